from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from skillforge.traffic.cases import Candidate, Pool, apportion, assign_splits, normalised, select


def candidate(number: int, text: str | None = None, **named) -> Candidate:
    return Candidate(f"c{number}", {"t": words(number) if text is None else text}, **named)


def words(number: int) -> str:
    """A text unlike those of other numbers."""
    source = random.Random(number)
    return " ".join("".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(8))


def pooled(*candidates: Candidate, seed: int = 0) -> Pool:
    pool = Pool(seed)
    for item in candidates:
        pool.add(item)
    return pool


def test_inputs_that_differ_in_whitespace_alone_are_one():
    pool = pooled(candidate(2, "a  b\n"), candidate(1, "a b"), candidate(3, "a c"))
    assert (pool.added, pool.duplicates) == (3, 1)
    assert {item.id for item in pool.candidates()} == {"c1", "c3"}


def test_normalised_reaches_into_lists_and_objects():
    assert normalised({"b": [" x  y "], "a": 1}) == b'{"a":1,"b":["x y"]}'


def test_near_duplicates_of_one_kind_are_left_out():
    text = words(0)
    close = [candidate(number, f"{text} {number}", label="a") for number in range(10)]
    other = [candidate(10, f"{text} x", label="b"), candidate(11, label="b")]
    made = select(pooled(*close, *other).candidates(), limit=20, seed=0)
    assert made.strata == {"a": 1, "b": 2}  # another answer to nearly the same input is worth a case
    assert made.alike == 9


def test_a_kind_that_runs_dry_leaves_its_places_to_others():
    text = words(0)
    close = [candidate(number, f"{text} {number}", label="a") for number in range(50)]
    other = [candidate(number, label="b") for number in range(100, 150)]
    made = select(pooled(*close, *other).candidates(), limit=40, seed=0)
    assert made.strata == {"a": 1, "b": 39}


def test_labels_keep_their_proportions_and_rare_ones_get_a_place():
    items = [candidate(number, label="a" if number < 90 else "b" if number < 99 else "c") for number in range(100)]
    assert select(pooled(*items).candidates(), limit=20, seed=0).strata == {"a": 18, "b": 1, "c": 1}


def test_answers_that_nearly_all_differ_are_no_labels():
    items = [candidate(number, "x" * (number + 1) + words(number), label=str(number)) for number in range(40)]
    made = select(pooled(*items).candidates(), limit=8, seed=0)
    assert made.strata == {f"length {quarter} of 4": 2 for quarter in range(1, 5)}


def test_the_choice_depends_on_the_seed_and_not_on_the_order_of_the_logs():
    items = [candidate(number, label=str(number % 3)) for number in range(60)]
    first = select(pooled(*items).candidates(), limit=20, seed=0)
    again = select(pooled(*reversed(items)).candidates(), limit=20, seed=0)
    other = select(pooled(*items, seed=1).candidates(), limit=20, seed=1)
    assert [item.id for item in first.chosen] == [item.id for item in again.chosen]
    assert first.splits == again.splits
    assert {item.id for item in first.chosen} != {item.id for item in other.chosen}


def test_splits_have_their_shares_in_every_stratum():
    items = [candidate(number, label="ab"[number % 2]) for number in range(200)]
    made = select(items, limit=200, seed=0)
    for label in "ab":
        splits = [made.splits[item.id] for item in items if item.label == label]
        assert [splits.count(name) for name in ("train", "dev", "test")] == [40, 10, 50]


def test_what_belongs_together_stays_together():
    items = [candidate(number, kin=f"conversation {number // 4}") for number in range(80)]
    splits = assign_splits(items, {}, seed=0)
    for start in range(0, 80, 4):
        assert len({splits[f"c{number}"] for number in range(start, start + 4)}) == 1
    told = list(splits.values())
    assert [told.count(name) for name in ("train", "dev", "test")] == [32, 8, 40]


def test_one_conversation_is_one_split():
    assert set(assign_splits([candidate(number, kin="k") for number in range(9)], {}, seed=0).values()) == {"test"}


kin = st.sampled_from(["", *"12345"])
labels = st.none() | st.sampled_from("abc")


@given(st.lists(st.tuples(st.text(max_size=12), labels, kin), max_size=40), st.integers(1, 30), st.integers(0, 3))
def test_any_selection_is_bounded_unique_and_never_parts_kin(rows, limit, seed):
    pool = pooled(
        *(candidate(number, text, label=label, kin=kin) for number, (text, label, kin) in enumerate(rows)), seed=seed
    )
    made = select(pool.candidates(), limit=limit, seed=seed)
    assert len(made.chosen) <= limit
    assert len(made.chosen) == sum(made.strata.values()) == len(made.splits)
    assert len({normalised(item.input) for item in made.chosen}) == len(made.chosen)
    for one in made.chosen:
        for two in made.chosen:
            if one.kin and one.kin == two.kin:
                assert made.splits[one.id] == made.splits[two.id]


@given(st.dictionaries(st.text(max_size=2), st.integers(1, 50), min_size=1, max_size=8), st.integers(0, 200))
def test_places_are_all_given_and_never_more_than_there_are(sizes, places):
    given_out = apportion(sizes, places, at_least=1)
    assert all(0 <= count <= sizes[name] for name, count in given_out.items())
    assert sum(given_out.values()) == min(places, sum(sizes.values()))
    if places >= len(sizes):
        assert all(given_out[name] for name in sizes)
