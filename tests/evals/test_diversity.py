"""Diversity against a plain recomputation with numpy, and near duplicates by property."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from skillforge.case import Case
from skillforge.evals.alike import ALIKE, RELATED, Known, related
from skillforge.evals.diversity import MEASURED, balance, distinct, diversity, nearest_distances
from skillforge.forge.making.splits import split_cases
from skillforge.nearest import canonical_text

TEXTS = [
    "the invoice was charged twice on my card",
    "the app crashes when I open the settings page",
    "I was charged twice, please refund the second invoice",
    "how do I change my password and my e-mail address",
    "the app crashes when I open the settings pages",
    "Rechnung doppelt abgebucht, bitte erstatten",
]
INPUTS = [{"text": text} for text in TEXTS]

words = st.sampled_from(["alpha", "beta", "gamma", "delta", "omega", "red", "green", "blue", "one", "two"])
inputs = st.lists(
    st.builds(lambda parts: {"text": " ".join(parts)}, st.lists(words, min_size=1, max_size=12)),
    min_size=1,
    max_size=14,
)


def oracle_distances(texts: list[str]) -> list[float]:
    """1 - cosine to the nearest, by dense matrices: (1 + ln tf) * (ln((1 + N) / (1 + df)) + 1) of 3- and 4-grams."""
    padded = [f" {text} " for text in texts]
    grams = [Counter(text[i : i + n] for n in (3, 4) for i in range(len(text) - n + 1)) for text in padded]
    for counts, text in zip(grams, padded, strict=True):
        counts.update(one + two for one, two in pairwise(text) if one > "\x7f" and two > "\x7f")
    names = sorted({gram for counts in grams for gram in counts})
    tf = np.array([[counts[name] for name in names] for counts in grams], dtype=float)
    idf = np.log((1 + len(texts)) / (1 + (tf > 0).sum(axis=0))) + 1
    vectors = np.where(tf > 0, (1 + np.log(np.maximum(tf, 1))) * idf, 0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    return [float(1 - row.max()) for row in cosines]


def test_distances_are_those_of_a_dense_recomputation():
    texts = [canonical_text(given) for given in INPUTS]
    assert nearest_distances(texts) == pytest.approx(oracle_distances(texts), abs=1e-9)
    found = diversity(INPUTS)
    assert found.nearest == pytest.approx(np.median(oracle_distances(texts)))
    assert found.near_duplicates == pytest.approx(np.mean(np.array(oracle_distances(texts)) < 0.1))


@given(st.lists(st.lists(words, max_size=8), max_size=8), st.integers(1, 3))
def test_distinct_is_different_n_grams_over_all_words(texts, n):
    grams = {tuple(text[i : i + n]) for text in texts for i in range(len(text) - n + 1)}
    total = sum(len(text) for text in texts)
    assert distinct(texts, n) == (len(grams) / total if total else 0)


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 50), max_size=6))
def test_balance_is_normalised_entropy(labels):
    counts = [count for count in labels.values() if count]
    found = balance(labels)
    if len(counts) < 2:
        assert found is None
    else:
        assert found == pytest.approx(entropy(counts) / math.log(len(counts)))


def test_corners_purposes_and_lines():
    fields = {"text": {"type": "string"}, "kind": {"enum": ["a", "b"]}}
    found = diversity(
        [{"text": "", "kind": "a"}, {"text": "x y", "kind": "a"}],
        labels=["yes", "no"],
        fields=fields,
        purposes=["noise", "corners"],
    )
    assert (found.corners, found.corners_of) == (2, 4)
    assert any('kind is "b"' in text for text in found.open)
    assert found.balance == 1
    assert found.lines()[-1] == "written for corners 1, noise 1"
    assert diversity([]).nearest is None


def test_of_many_inputs_a_fixed_part_is_measured():
    texts = [f"text number {number} of many" for number in range(MEASURED + 50)]
    assert len(nearest_distances(texts)) == MEASURED
    assert nearest_distances(texts) == nearest_distances(texts[::-1])


@given(inputs)
def test_no_two_that_are_kept_read_alike(found):
    from rapidfuzz import fuzz

    known = Known()
    kept = []
    for given_ in found:
        if not known.twin(given_):
            known.add(given_, "kept")
            kept.append(canonical_text(given_))
    assert all(fuzz.ratio(one, two) < ALIKE for place, one in enumerate(kept) for two in kept[:place])
    assert all(known.twin(given_) == "kept" for given_ in found), "what was left out has a twin among the kept"


@pytest.mark.parametrize(
    "copy",
    [
        "The  INVOICE was charged twice on my card",
        "the invoice was charged twice on my card!",
        "Hello, she wrote to us: the invoice was charged twice on my card. Best wishes, Ann from the front desk",
    ],
)
def test_case_space_typos_and_quotation_make_no_new_case(copy):
    known = Known()
    known.add(INPUTS[0], "like a test case")
    assert known.twin({"text": copy}) == "like a test case"


def test_short_texts_that_stand_in_longer_ones_are_their_own():
    known = Known()
    known.add({"text": "refund please"}, "x")
    assert known.twin({"text": "I want a refund please, the blue jacket never came"}) == ""
    assert known.twin({"text": ""}) == ""


@given(inputs)
def test_relatives_are_never_in_two_splits(found):
    from rapidfuzz import fuzz

    cases = [Case(id=f"c{place}", input=given_) for place, given_ in enumerate(found)]
    made, left_out = split_cases(cases, {})
    assert (len(made), left_out) == (len(cases), 0)
    texts = [canonical_text(case.input) for case in made]
    for place, one in enumerate(texts):
        for other, two in enumerate(texts[:place]):
            if fuzz.ratio(one, two) >= RELATED:
                assert made[place].split == made[other].split
                assert made[place].cluster == made[other].cluster is not None


def test_given_splits_are_kept_and_what_lies_between_is_left_out():
    cases = [
        Case(id="a", input={"t": "one two three four five six"}, split="train"),
        Case(id="b", input={"t": "one two three nine ten six"}, split="test"),
        Case(id="between", input={"t": "one two three four ten six"}),
        Case(id="near-a", input={"t": "one two three four five sixty"}),
        Case(id="far", input={"t": "completely other words stand here"}),
    ]
    found = related([case.input for case in cases])
    made, left_out = split_cases(cases, {})
    by_id = {case.id: case.split for case in made}
    assert (by_id["a"], by_id["b"]) == ("train", "test")
    assert left_out == sum(case.id not in by_id for case in cases)
    if len(set(found[:3])) == 1:
        assert "between" not in by_id


def test_splits_keep_the_labels_in_their_proportions():
    texts = [
        f"{'money' if n % 3 else 'bug'} {n * 7919 % 1000} {chr(97 + n % 26) * (n % 9 + 3)} {n**3}" for n in range(90)
    ]
    cases = [Case(id=f"c{n}", input={"t": text}) for n, text in enumerate(texts)]
    made, _ = split_cases(cases, {case.id: "money" if place % 3 else "bug" for place, case in enumerate(cases)})
    shares = {}
    for split in ("train", "test"):
        chosen = [case for case in made if case.split == split]
        shares[split] = sum(case.input["t"].startswith("bug") for case in chosen) / len(chosen)
    assert shares["train"] == pytest.approx(1 / 3, abs=0.1)
    assert shares["test"] == pytest.approx(1 / 3, abs=0.1)
