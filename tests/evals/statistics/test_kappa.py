"""Cohen's kappa against statsmodels, and where its textbook interval is no interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa as oracle

from skillforge.errors import UsageError
from skillforge.evals.statistics import Kappa, cohens_kappa

LABELS: list[Any] = ["good", "bad", 3, True, None]


def table(pairs: list[tuple[int, int]], kinds: int) -> Any:
    counts = np.zeros((kinds, kinds))
    for one, other in pairs:
        counts[one, other] += 1
    return counts


def named(pairs: list[tuple[int, int]]) -> list[tuple[Any, Any]]:
    return [(LABELS[one], LABELS[other]) for one, other in pairs]


@settings(max_examples=80)
@given(st.integers(2, 5), st.data())
def test_kappa_and_its_interval_agree_with_statsmodels(kinds: int, data: st.DataObject) -> None:
    label = st.integers(0, kinds - 1)
    pairs = data.draw(st.lists(st.tuples(label, label), min_size=2, max_size=80))
    for label in (0, 1):  # statsmodels divides by zero where a rater knows one label only
        pairs += [(label, label)]
    with np.errstate(invalid="ignore"):  # of full agreement its variance may round to just below 0
        found, expected = cohens_kappa(named(pairs)), oracle(table(pairs, kinds))
    assert found.value == pytest.approx(expected.kappa, abs=1e-12)
    if not np.isnan(expected.kappa_low):
        assert found.low <= max(-1, expected.kappa_low) + 1e-9
        assert found.high >= min(1, expected.kappa_upp) - 1e-9
    assert -1 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_with_disagreements_enough_it_is_the_textbook_interval(level: float) -> None:
    source = np.random.default_rng(8)
    truth = source.integers(0, 4, 300)
    judged = np.where(source.random(300) < 0.75, truth, source.integers(0, 4, 300))
    pairs = list(zip(truth.tolist(), judged.tolist(), strict=True))
    found, expected = cohens_kappa(named(pairs), level), oracle(table(pairs, 4))
    half = stats.norm.ppf((1 + level) / 2) * expected.std_kappa
    assert (found.low, found.high) == pytest.approx((expected.kappa - half, expected.kappa + half), abs=1e-9)
    if level == 0.95:
        assert (found.low, found.high) == pytest.approx((expected.kappa_low, expected.kappa_upp), abs=1e-9)


def test_full_agreement_on_few_items_is_no_proof() -> None:
    few, many = (cohens_kappa([("a", "a")] * n + [("b", "b")] * n) for n in (10, 1000))
    assert few.value == many.value == 1.0
    assert few.low < 0.7 < 0.99 < many.low
    assert few.high == many.high == 1.0


def test_where_chance_would_agree_as_well_kappa_is_unknown() -> None:
    assert cohens_kappa([]) == Kappa(None, -1.0, 1.0, 0, 0.95)
    assert cohens_kappa([("a", "a")] * 9) == Kappa(None, -1.0, 1.0, 9, 0.95)


def test_labels_are_told_apart_as_json_does() -> None:
    """1 and true are two labels; 1 and 1.0 are one, and so are objects whose keys stand in another order."""
    assert cohens_kappa([(1, True), (True, True)]).value == 0.0
    assert cohens_kappa([(1, 1.0), ("x", "x")]).value == 1.0
    assert cohens_kappa([({"a": 1, "b": 2}, {"b": 2, "a": 1}), ("x", "x")]).value == 1.0


def test_full_disagreement_is_below_chance() -> None:
    found = cohens_kappa([("a", "b"), ("b", "a")] * 20)
    assert found.value == -1.0
    assert found.low == -1.0


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(UsageError):
        cohens_kappa([(float("nan"), 1)])
    with pytest.raises(UsageError):
        cohens_kappa([("a", "b")], level=1.0)
