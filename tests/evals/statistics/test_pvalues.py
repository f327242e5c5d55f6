"""p-values: against scipy and statsmodels, and never at odds with the verdict."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from skillforge.errors import UsageError
from skillforge.evals.statistics import (
    SMALLEST_P,
    Interval,
    decide,
    holm,
    inferiority_p,
    noninferiority_p,
    paired_t_interval,
    tango_interval,
)

alphas = st.sampled_from([1e-6, 1e-4, 0.01, 0.025, 0.05, 0.1, 0.3, 0.49])
margins = st.sampled_from([1e-6, 0.02, 0.05, 0.3, 0.999])


@settings(max_examples=80)
@given(st.integers(1, 300), st.data(), alphas, margins)
def test_p_is_at_most_alpha_exactly_where_the_verdict_says_so(
    n: int, data: st.DataObject, alpha: float, margin: float
) -> None:
    gained = data.draw(st.integers(0, n))
    lost = data.draw(st.integers(0, n - gained))

    def interval(level: float) -> Interval:
        return tango_interval(gained, lost, n, level)

    p, worse = noninferiority_p(interval, margin), inferiority_p(interval, margin)
    verdict = decide(interval(1 - 2 * alpha), margin)
    assert (p <= alpha) == (verdict == "pass")
    assert (worse <= alpha) == (verdict == "fail")
    assert 0 < p <= 1
    assert 0 < worse <= 1


@settings(max_examples=40)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.data(), alphas, margins)
def test_the_same_holds_of_graded_scores_and_clusters(
    values: list[float], data: st.DataObject, alpha: float, margin: float
) -> None:
    groups = data.draw(st.none() | st.lists(st.sampled_from("abcdefgh"), min_size=len(values), max_size=len(values)))

    def interval(level: float) -> Interval:
        return paired_t_interval(values, level, groups)

    verdict = decide(interval(1 - 2 * alpha), margin)
    assert (noninferiority_p(interval, margin) <= alpha) == (verdict == "pass")
    assert (inferiority_p(interval, margin) <= alpha) == (verdict == "fail")


@pytest.mark.parametrize("mean", [-0.2, -0.08, -0.05, -0.03, 0.0])
def test_of_graded_scores_it_is_the_one_sided_t_test(mean: float) -> None:
    values = np.random.default_rng(6).normal(mean, 0.3, 200).clip(-1, 1)

    def interval(level: float) -> Interval:
        return paired_t_interval(values.tolist(), level)

    better = stats.ttest_1samp(values, -0.05, alternative="greater").pvalue
    worse = stats.ttest_1samp(values, -0.05, alternative="less").pvalue
    for found, expected in ((noninferiority_p(interval, 0.05), better), (inferiority_p(interval, 0.05), worse)):
        if expected > 1e-5:
            assert found == pytest.approx(expected, rel=1e-6)
        else:  # so sure that the unseen share weighs more than the spread
            assert expected <= found < 1e-5


def test_where_nothing_is_known_nothing_is_rejected() -> None:
    def unknown(level: float) -> Interval:
        return Interval(-1.0, 1.0, level)

    assert noninferiority_p(unknown, 0.05) == inferiority_p(unknown, 0.05) == 1.0


def test_a_p_value_is_never_told_as_zero() -> None:
    assert noninferiority_p(lambda level: tango_interval(0, 0, 100_000, level), 0.5) == SMALLEST_P


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_holm_agrees_with_statsmodels(count: int) -> None:
    for scale in (0.01, 0.1, 1.0):
        ps = (np.random.default_rng(count).random(count) * scale).tolist()
        assert holm(ps) == pytest.approx(multipletests(ps, method="holm")[1].tolist(), abs=1e-12)
    assert holm([0.02] * count) == pytest.approx([min(1.0, 0.02 * count)] * count)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(ps: list[float]) -> None:
    adjusted = holm(ps)
    assert all(before <= after <= 1 for before, after in zip(ps, adjusted, strict=True))
    assert [after for _, after in sorted(zip(ps, adjusted, strict=True))] == sorted(adjusted)


def test_holm_of_none_and_of_one() -> None:
    assert holm([]) == []
    assert holm([0.03]) == [0.03]
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@pytest.mark.parametrize("ps", [[-0.1], [1.1], [math.nan, 0.5]])
def test_holm_refuses_what_is_no_probability(ps: list[float]) -> None:
    with pytest.raises(UsageError):
        holm(ps)
