"""Doubtful labels, splits that keep relatives together, and how much alike answers are."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillforge.students.data.noise import suspects
from skillforge.students.data.row import Row
from skillforge.students.data.split import parts_of
from skillforge.students.data.style import styles

WORDS = {
    "billing": ["invoice", "charged", "card", "refund", "payment", "euro", "price", "subscription"],
    "bug": ["crash", "screen", "freeze", "login", "error", "update", "restart", "blank"],
}


def row(number: int, queue: str, *, words: str = "", **changes: Any) -> Row:
    source = random.Random(number)
    text = words or " ".join(source.choices(WORDS[queue], k=6))
    made: dict[str, Any] = {
        "id": f"r{number}",
        "input": {"ticket": text},
        "output": {"queue": queue, "quote": text.split()[0]},
        "teacher": "strong",
        "source": "recorded",
    }
    return Row(**{**made, **changes})


def test_a_planted_label_is_found_and_a_rare_one_is_not_doubted(triage: Callable[..., Any]) -> None:
    rows = [row(number, "bug" if number % 5 == 0 else "billing") for number in range(100)]
    wrong = rows[7].model_copy(update={"output": {"queue": "bug", "quote": "x"}, "id": "planted"})
    found, agreement = suspects(triage(), [*rows[:7], wrong, *rows[8:]])
    assert [item.id for item in found] == ["planted"]
    assert (found[0].label, found[0].other, found[0].suite) == ("bug", "billing", "")
    assert agreement["queue"] > 0.95


def test_what_the_suite_labels_otherwise_comes_first(triage: Callable[..., Any]) -> None:
    rows = [row(number, ("billing", "bug")[number % 2]) for number in range(40)]
    rows[3] = rows[3].model_copy(update={"expected": {"queue": "billing"}})
    found, _ = suspects(triage(), rows)
    assert (found[0].id, found[0].suite, found[0].other) == ("r3", "billing", "billing")
    assert found[0].own > found[0].share


def test_few_rows_and_free_texts_say_nothing(triage: Callable[..., Any]) -> None:
    assert suspects(triage(), [row(1, "bug")]) == ([], {})
    assert suspects(triage(output="text", examples={}), [row(n, "bug") for n in range(20)]) == ([], {})


def test_relatives_clusters_and_conversations_share_a_split() -> None:
    base = "the parcel that was promised for {} has still not come and the phone rings out"
    rows = [row(number, "bug") for number in range(60)]
    rows += [row(100 + n, "bug", words=base.format(day)) for n, day in enumerate(("monday", "sunday", "today now"))]
    rows = [item.model_copy(update={"kin": "talk"}) if item.id in ("r1", "r2", "r3") else item for item in rows]
    for seed in range(30):
        parts, families = parts_of(rows, share=0.2, seed=seed)
        by_id = {item.id: part for item, part in zip(rows, parts, strict=True)}
        assert by_id["r1"] == by_id["r2"] == by_id["r3"]
        assert by_id["r100"] == by_id["r101"] == by_id["r102"]
        assert families <= 59
        assert parts.count("validation") <= 13


@settings(max_examples=25)
@given(st.integers(0, 5), st.integers(2, 25), st.randoms(use_true_random=False))
def test_a_split_depends_on_the_rows_and_not_on_their_order(seed: int, count: int, source: random.Random) -> None:
    rows = [row(number, "bug") for number in range(count)]
    shuffled = source.sample(rows, count)
    parts, _ = parts_of(rows, seed=seed)
    again, _ = parts_of(shuffled, seed=seed)
    told = {item.id: part for item, part in zip(rows, parts, strict=True)}
    assert told == {item.id: part for item, part in zip(shuffled, again, strict=True)}


def test_no_share_leaves_all_to_train() -> None:
    assert parts_of([row(n, "bug") for n in range(9)], share=0)[0] == ["train"] * 9


def test_answers_that_all_begin_and_end_alike_are_seen(triage: Callable[..., Any]) -> None:
    skill = triage(output="text", examples={})
    (same,) = styles(
        skill, ["Thank you for your message about the lamp.", "Thank you for your message about the bill."]
    )
    (other,) = styles(
        skill, ["Yes.", "The lamp is on its way:\n- today\n- by post", "No idea, sorry about that, really"]
    )
    assert (same.opening, same.markdown, same.spread) == (1.0, 0.0, 0.0)
    assert other.opening == pytest.approx(1 / 3, abs=0.01)
    assert other.markdown == pytest.approx(1 / 3, abs=0.01)
    assert other.spread > 0.3
    assert other.distinct > same.distinct
    assert "share one opening" in same.line()


def test_only_free_texts_have_a_style(triage: Callable[..., Any]) -> None:
    (style,) = styles(triage(), [{"queue": "bug", "quote": "it crashed"}, {"queue": "bug", "quote": ""}])
    assert (style.field, style.n) == ("quote", 2)
    assert styles(triage(output={"n": {"type": "number"}}, examples={}), [{"n": 1}]) == []
