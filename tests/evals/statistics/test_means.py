"""Graded scores and clusters: against scipy, statsmodels and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from skillforge.errors import UsageError
from skillforge.evals.statistics import (
    Interval,
    decide,
    difference_estimate,
    mean_interval,
    paired_t_interval,
    t_quantile,
    tango_interval,
    wilson,
)

levels = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.999998])
scores = st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=40)
differences = st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=1, max_size=40)


def contains(outer: Interval, inner: Interval) -> bool:
    return outer.low <= inner.low + 1e-12 and inner.high <= outer.high + 1e-12


# --- one arm ---


def test_mean_interval_of_spread_scores_is_the_t_interval() -> None:
    values = np.random.default_rng(4).uniform(0, 1, 80).tolist()
    interval = mean_interval(values)
    assert (interval.low, interval.high) == pytest.approx(DescrStatsW(values).tconfint_mean(0.05), abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 10, 300])
def test_equal_scores_at_an_end_give_wilsons_interval(n: int) -> None:
    for value in (0, 1):
        interval, expected = mean_interval([value] * n), wilson(value * n, n)
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_equal_scores_inside_the_range_keep_a_width_that_shrinks_with_n() -> None:
    few, many = mean_interval([0.7] * 5), mean_interval([0.7] * 500)
    assert few.low < many.low < 0.7 < many.high < few.high
    assert many.high - many.low > 0.005


@given(scores, levels)
def test_mean_interval_holds_the_mean_and_widens_with_the_level(values: list[float], level: float) -> None:
    interval = mean_interval(values, level)
    assert 0 <= interval.low <= np.mean(values) + 1e-12
    assert np.mean(values) - 1e-12 <= interval.high <= 1
    assert contains(mean_interval(values, 0.999999), interval)


def test_no_scores_know_nothing() -> None:
    assert mean_interval([]) == mean_interval([], groups=[]) == Interval(0.0, 1.0, 0.95)
    assert paired_t_interval([]) == Interval(-1.0, 1.0, 0.90)


# --- paired ---


def test_paired_t_interval_gives_the_one_sided_bounds_of_scipy() -> None:
    values = np.random.default_rng(5).normal(-0.02, 0.3, 150).clip(-1, 1)
    interval = paired_t_interval(values.tolist())
    assert stats.ttest_1samp(values, interval.low, alternative="greater").pvalue == pytest.approx(0.05, abs=1e-9)
    assert stats.ttest_1samp(values, interval.high, alternative="less").pvalue == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize("n", [1, 5, 51, 52, 400])
def test_ties_prove_no_more_than_for_right_or_wrong_scores(n: int) -> None:
    graded, binary = paired_t_interval([0.0] * n), tango_interval(0, 0, n)
    assert (graded.low, graded.high) == pytest.approx((binary.low, binary.high), abs=1e-12)
    assert decide(graded, 0.05) == ("pass" if n >= 52 else "inconclusive")


@pytest.mark.parametrize("nearly_equal", [[0.01] * 5, [0.0] * 4 + [1e-9], [-0.01] * 20])
def test_nearly_equal_differences_prove_nothing_at_small_n(nearly_equal: list[float]) -> None:
    assert decide(paired_t_interval(nearly_equal), 0.05) == "inconclusive"


@given(differences, levels)
def test_paired_t_interval_is_bounded_mirrors_and_widens(values: list[float], level: float) -> None:
    interval, mirrored = paired_t_interval(values, level), paired_t_interval([-v for v in values], level)
    assert -1 <= interval.low <= np.mean(values) + 1e-12
    assert np.mean(values) - 1e-12 <= interval.high <= 1
    assert (mirrored.low, mirrored.high) == pytest.approx((-interval.high, -interval.low), abs=1e-12)
    assert contains(paired_t_interval(values, 0.999999), interval)


def test_rare_disasters_do_not_slip_through_where_a_plain_t_test_lets_them() -> None:
    """A student that loses 6% of the cases outright and ties the others."""
    margin, n, loss = 0.05, 60, 0.06
    masses = stats.binom(n, loss)
    wrong = sum(
        masses.pmf(k) for k in range(n + 1) if decide(paired_t_interval([-1.0] * k + [0.0] * (n - k)), margin) == "pass"
    )
    plain = sum(masses.pmf(k) for k in range(n) if -k / n - 1.671 * math.sqrt(k / n * (1 - k / n) / (n - 1)) > -margin)
    assert wrong < 0.05 < plain


# --- clusters ---


@pytest.mark.parametrize(("count", "largest"), [(8, 1), (12, 4), (40, 9), (200, 3)])
def test_the_error_over_clusters_is_statsmodels(count: int, largest: int) -> None:
    source = np.random.default_rng(count)
    sizes = source.integers(1, largest + 1, count)
    groups = np.repeat(np.arange(count), sizes)
    values = (source.normal(0, 0.2, count)[groups] + source.normal(0, 0.2, len(groups))).clip(-1, 1)
    estimate = difference_estimate(values.tolist(), groups.tolist())
    model = sm.OLS(values, np.ones(len(values)))
    robust = model.fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": True, "df_correction": True})
    plain = model.fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False})
    # statsmodels' correction is C/(C-1) * (n-1)/(n-k) with k = 1 parameter, so C/(C-1)
    assert estimate.error == pytest.approx(robust.bse[0], rel=1e-10)
    assert estimate.error == pytest.approx(plain.bse[0] * math.sqrt(count / (count - 1)), rel=1e-10)
    interval = paired_t_interval(values.tolist(), 0.9, groups.tolist())
    half = t_quantile(0.95, count - 1) * robust.bse[0]
    assert interval.low <= values.mean() - half + 1e-12
    if count >= 200:  # enough clusters for the unseen share not to matter
        assert (interval.low, interval.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=1e-10)


@given(differences, levels)
def test_clusters_of_one_case_are_independent_cases(values: list[float], level: float) -> None:
    alone = paired_t_interval(values, level)
    grouped = paired_t_interval(values, level, list(range(len(values))))
    assert (grouped.low, grouped.high) == pytest.approx((alone.low, alone.high), abs=1e-12)


@given(st.integers(2, 60), st.integers(1, 6), levels)
def test_repeating_every_case_in_its_cluster_adds_nothing(count: int, times: int, level: float) -> None:
    once = [math.sin(n) for n in range(count)]
    alone = paired_t_interval(once, level)
    repeated = paired_t_interval(
        [v for v in once for _ in range(times)], level, [n for n in range(count) for _ in range(times)]
    )
    assert (repeated.low, repeated.high) == pytest.approx((alone.low, alone.high), abs=1e-9)


def test_one_cluster_proves_nothing() -> None:
    assert paired_t_interval([0.0] * 500, 0.9, ["a"] * 500) == Interval(-1.0, 1.0, 0.9)
    assert mean_interval([1.0] * 500, 0.95, ["a"] * 500) == Interval(0.0, 1.0, 0.95)


@pytest.mark.parametrize("clusters", [51, 52])
def test_ties_in_clusters_count_as_so_many_clusters(clusters: int) -> None:
    groups = [n % clusters for n in range(clusters * 10)]
    verdict = decide(paired_t_interval([0.0] * len(groups), 0.9, groups), 0.05)
    assert verdict == ("pass" if clusters >= 52 else "inconclusive")


def test_one_large_cluster_among_small_ones_is_not_taken_for_many() -> None:
    """By 60 clusters alone this would pass; half of the cases are one document."""
    groups = ["large"] * 59 + [str(n) for n in range(59)]
    assert decide(paired_t_interval([0.0] * 118, 0.9, groups), 0.05) == "inconclusive"


@given(differences, st.data(), levels)
def test_cluster_intervals_are_bounded_mirror_and_widen(values: list[float], data: st.DataObject, level: float) -> None:
    groups = data.draw(st.lists(st.sampled_from("abcde"), min_size=len(values), max_size=len(values)))
    interval = paired_t_interval(values, level, groups)
    mirrored = paired_t_interval([-v for v in values], level, groups)
    assert -1 <= interval.low <= np.mean(values) + 1e-12
    assert (mirrored.low, mirrored.high) == pytest.approx((-interval.high, -interval.low), abs=1e-12)
    assert contains(paired_t_interval(values, 0.999999, groups), interval)


def test_dependent_cases_are_not_taken_for_independent_ones() -> None:
    """The same student at the margin, its losses bunched in documents of 10: simulated false passes."""
    source, suites, clusters = np.random.default_rng(7), 600, 60
    naive = robust = 0
    for _ in range(suites):
        bad = source.random(clusters) < 0.1
        losses = source.random((clusters, 10)) < np.where(bad, 0.5, 0.0)[:, None]
        values = (-losses.astype(float)).ravel().tolist()
        groups = [n for n in range(clusters) for _ in range(10)]
        naive += decide(paired_t_interval(values), 0.05) == "pass"
        robust += decide(paired_t_interval(values, 0.9, groups), 0.05) == "pass"
    assert robust / suites < 0.1 < naive / suites


@pytest.mark.parametrize(
    "call",
    [
        lambda: mean_interval([0.5, 1.2]),
        lambda: mean_interval([math.nan]),
        lambda: paired_t_interval([-1.1]),
        lambda: paired_t_interval([0.1], 1.0),
        lambda: paired_t_interval([0.1, 0.2], 0.9, ["a"]),
    ],
)
def test_scores_out_of_range_are_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError):
        call()
