"""The statistics against scipy and statsmodels, against exact sums over all outcomes, and against simulation."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from skillforge.errors import UsageError
from skillforge.evals.statistics import (
    MAX_CASES,
    Interval,
    cases_needed,
    decide,
    mean_interval,
    normal_quantile,
    paired_t_interval,
    percentile,
    t_quantile,
    tango_cases_needed,
    tango_interval,
    wilson,
)

levels = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99])
scores = st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=40)
differences = st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=1, max_size=40)


@st.composite
def discordant(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 600))
    gained = draw(st.integers(0, n))
    return gained, draw(st.integers(0, n - gained)), n


def contains(outer: Interval, inner: Interval) -> bool:
    return outer.low <= inner.low + 1e-12 and inner.high <= outer.high + 1e-12


# --- quantiles ---


@pytest.mark.parametrize("df", [1, 1.5, 2, 2.7, 3, 5, 10.25, 30, 99.5, 199.9, 200, 201, 500, 12345.6, 1e5, 1e6])
def test_t_quantile_agrees_with_scipy(df: float) -> None:
    for p in (1e-9, 1e-4, 0.005, 0.05, 0.3, 0.49999, 0.5, 0.51, 0.75, 0.9, 0.95, 0.975, 0.999, 1 - 1e-8):
        assert t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-8, abs=1e-10)


@settings(max_examples=60)
@given(st.floats(1e-6, 1 - 1e-6), st.floats(1, 1e6))
def test_t_quantile_inverts_the_cdf_is_symmetric_and_heavier_than_the_normal(p: float, df: float) -> None:
    t = t_quantile(p, df)
    assert stats.t.cdf(t, df) == pytest.approx(p, rel=1e-9, abs=1e-12)
    assert t_quantile(1 - p, df) == pytest.approx(-t, rel=1e-8, abs=1e-9)
    assert abs(t) >= abs(normal_quantile(p)) - 1e-9


def test_t_quantile_ends_in_the_normal_without_a_step() -> None:
    assert t_quantile(0.975, math.inf) == normal_quantile(0.975)
    assert t_quantile(0.975, 1.0001e7) == pytest.approx(t_quantile(0.975, 0.9999e7), rel=1e-10)


# --- one arm ---


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (3, 7), (389, 412), (1, 100_000)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_wilson_agrees_with_statsmodels(k: int, n: int, level: float) -> None:
    low, high = proportion_confint(k, n, alpha=1 - level, method="wilson")
    interval = wilson(k, n, level)
    assert (interval.low, interval.high) == pytest.approx((max(low, 0), min(high, 1)), abs=1e-12)


@given(st.integers(1, 500), st.data(), levels)
def test_wilson_holds_the_estimate_and_grows_with_the_count(n: int, data: st.DataObject, level: float) -> None:
    k = data.draw(st.integers(0, n - 1))
    one, more = wilson(k, n, level), wilson(k + 1, n, level)
    assert 0 <= one.low <= k / n <= one.high <= 1
    assert one.low <= more.low
    assert one.high <= more.high


def test_no_cases_know_nothing() -> None:
    assert wilson(0, 0) == mean_interval([]) == Interval(0.0, 1.0, 0.95)
    assert tango_interval(0, 0, 0) == paired_t_interval([]) == Interval(-1.0, 1.0, 0.90)


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
    assert contains(mean_interval(values, 0.999), interval)


# --- paired, graded ---


def test_paired_t_interval_gives_the_one_sided_bounds_of_scipy() -> None:
    values = np.random.default_rng(5).normal(-0.02, 0.3, 150).clip(-1, 1)
    interval = paired_t_interval(values.tolist())
    assert stats.ttest_1samp(values, interval.low, alternative="greater").pvalue == pytest.approx(0.05, abs=1e-9)
    assert stats.ttest_1samp(values, interval.high, alternative="less").pvalue == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize("n", [1, 5, 51, 52, 400])
def test_ties_prove_no_more_than_for_pass_fail_scores(n: int) -> None:
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
    assert contains(paired_t_interval(values, 0.999), interval)


def test_rare_disasters_do_not_slip_through_where_a_plain_t_test_lets_them() -> None:
    """A student that loses 6% of the cases outright and ties the others."""
    margin, n, loss = 0.05, 60, 0.06
    draws = stats.binom(n, loss)
    wrong = sum(
        draws.pmf(k) for k in range(n + 1) if decide(paired_t_interval([-1.0] * k + [0.0] * (n - k)), margin) == "pass"
    )
    plain = sum(draws.pmf(k) for k in range(n) if -k / n - 1.671 * math.sqrt(k / n * (1 - k / n) / (n - 1)) > -margin)
    assert wrong < 0.05 < plain


# --- paired, pass/fail ---


def efficient_score(gained: int, lost: int, n: int, difference: float) -> float:
    """The score statistic from first principles: the likelihood maximised numerically, the information inverted."""
    both = n - gained - lost

    def minus_log_likelihood(q: float) -> float:
        return -(gained * math.log(q + difference) + lost * math.log(q) + both * math.log(1 - 2 * q - difference))

    lower, upper = max(0.0, -difference), (1 - difference) / 2
    q = optimize.minimize_scalar(
        minus_log_likelihood, bounds=(lower, upper), method="bounded", options={"xatol": 1e-13}
    ).x
    cells = np.array([q + difference, q, 1 - 2 * q - difference])
    slopes = np.array([[1.0, 1.0], [0.0, 1.0], [-1.0, -2.0]])  # of the cells by (difference, q)
    score = gained / cells[0] - both / cells[2]
    information = n * slopes.T @ np.diag(1 / cells) @ slopes
    return float(score * math.sqrt(np.linalg.inv(information)[0, 0]))


@pytest.mark.parametrize(
    ("gained", "lost", "n"), [(1, 1, 3), (3, 9, 50), (9, 3, 50), (1, 30, 40), (11, 14, 412), (60, 60, 200), (2, 1, 900)]
)
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_tango_agrees_with_a_numerically_maximised_score(gained: int, lost: int, n: int, level: float) -> None:
    z, estimate = stats.norm.ppf((1 + level) / 2), (gained - lost) / n
    interval = tango_interval(gained, lost, n, level)
    low = optimize.brentq(lambda d: efficient_score(gained, lost, n, d) - z, 0.05 * estimate - 0.95, estimate)
    high = optimize.brentq(lambda d: efficient_score(gained, lost, n, d) + z, estimate, 0.05 * estimate + 0.95)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize(("margin", "first"), [(0.05, 52), (0.03, 88)])
def test_without_disagreement_a_margin_takes_so_many_cases(margin: float, first: int) -> None:
    assert tango_interval(0, 0, first - 1).low <= -margin < tango_interval(0, 0, first).low


def test_tango_at_the_corners() -> None:
    z2 = normal_quantile(0.95) ** 2
    for n in (1, 7, 10_000):
        assert tango_interval(0, 0, n).high == pytest.approx(z2 / (n + z2), abs=1e-12)
        assert tango_interval(0, n, n).low == -1
        assert tango_interval(n, 0, n).high == 1
        assert -1 < tango_interval(0, n, n).high < 1
    assert tango_interval(0, 1, 1).high > 0  # one case proves nothing


@given(discordant(), levels)
def test_tango_is_bounded_mirrors_and_widens(counts: tuple[int, int, int], level: float) -> None:
    gained, lost, n = counts
    interval, mirrored = tango_interval(gained, lost, n, level), tango_interval(lost, gained, n, level)
    assert -1 <= interval.low <= (gained - lost) / n <= interval.high <= 1
    assert (mirrored.low, mirrored.high) == (-interval.high, -interval.low)
    assert contains(tango_interval(gained, lost, n, 0.999), interval)


@given(discordant(), levels)
def test_a_case_won_raises_tangos_interval_and_a_case_lost_lowers_it(
    counts: tuple[int, int, int], level: float
) -> None:
    gained, lost, n = counts
    if gained + lost == n:
        return
    here, won, dropped = (tango_interval(gained + g, lost + x, n, level) for g, x in ((0, 0), (1, 0), (0, 1)))
    assert dropped.low <= here.low + 1e-12 <= won.low + 2e-12
    assert dropped.high <= here.high + 1e-12 <= won.high + 2e-12


@cache
def tango_verdict(gained: int, lost: int, n: int, margin: float) -> str:
    return decide(tango_interval(gained, lost, n), margin)


def settled(q: float, difference: float, n: int, margin: float, draws: int = 3000) -> dict[str, float]:
    """How often each verdict falls, for a true discordance and difference."""
    shares = [(q + difference) / 2, (q - difference) / 2, 1 - q]
    counts = np.random.default_rng(20).multinomial(n, shares, size=draws)
    pairs, times = np.unique(counts[:, :2], axis=0, return_counts=True)
    rates = dict.fromkeys(("pass", "fail", "inconclusive"), 0.0)
    for (gained, lost), weight in zip(pairs.tolist(), times.tolist(), strict=True):
        rates[tango_verdict(gained, lost, n, margin)] += weight / draws
    return rates


@pytest.mark.parametrize(("q", "n", "expected"), [(0.1, 50, 0.036), (0.1, 200, 0.054), (0.2, 200, 0.051)])
def test_a_student_exactly_the_margin_worse_passes_one_time_in_twenty(q: float, n: int, expected: float) -> None:
    rates = settled(q, -0.05, n, 0.05)
    error = 3 * math.sqrt(0.05 * 0.95 * (1 / 3000 + 1 / 2000))  # ``expected`` came from 2,000 draws
    assert rates["pass"] == pytest.approx(expected, abs=error)
    assert rates["fail"] < 0.07


# --- verdict and plan ---


def test_decide_has_three_answers() -> None:
    assert decide(Interval(-0.04, 0.1, 0.9), 0.05) == "pass"
    assert decide(Interval(-0.2, -0.06, 0.9), 0.05) == "fail"
    assert decide(Interval(-0.05, 0.1, 0.9), 0.05) == decide(Interval(-0.2, -0.05, 0.9), 0.05) == "inconclusive"


def test_cases_needed_is_the_textbook_number_less_what_is_there() -> None:
    assert cases_needed(0.0, 0.2, 100, 0.05) == 495 - 100
    assert cases_needed(0.0, 0.2, 495, 0.05) == 0
    assert cases_needed(-0.1, 0.2, 100, 0.05) == 495 - 100  # as far below -margin: as many to fail


def test_cases_needed_without_any_spread_is_what_the_unseen_share_takes() -> None:
    assert cases_needed(0.0, 0.0, 5, 0.05) == 52 - 5
    assert tango_cases_needed(0, 0, 5, 0.05) == 52 - 5


def test_more_cases_will_not_help_near_the_margin() -> None:
    assert cases_needed(-0.05, 0.2, 100, 0.05) is None
    assert cases_needed(-0.05 + 1e-200, 0.0, 100, 0.05) is None
    assert cases_needed(-0.049, 0.2, 100, 0.05) is None  # 50 times the cases at hand
    assert cases_needed(-0.0475, 0.2, 10_000, 0.05) is None  # MAX_CASES
    assert cases_needed(-0.045, 0.2, 10_000, 0.05) == 49_461 - 10_000
    assert tango_cases_needed(5, 15, 200, 0.05) is None
    assert MAX_CASES == 100_000


@pytest.mark.parametrize(
    ("gained", "lost", "n", "margin"),
    [(4, 4, 40, 0.05), (1, 1, 40, 0.05), (3, 2, 50, 0.03), (2, 3, 50, 0.05), (1, 6, 25, 0.05), (1, 1, 20, 0.1)],
)
def test_at_the_planned_number_tangos_verdict_is_settled_as_often_as_asked(
    gained: int, lost: int, n: int, margin: float
) -> None:
    more = tango_cases_needed(gained, lost, n, margin)
    assert more is not None
    assert more > 0
    rates = settled((gained + lost) / n, (gained - lost) / n, n + more, margin)
    assert rates["pass"] + rates["fail"] == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize(
    ("mean", "spread"), [(0.0, 0.3), (0.0, 0.15), (0.0, 0.05), (0.02, 0.2), (-0.02, 0.2), (-0.12, 0.2), (-0.3, 0.2)]
)
def test_at_the_planned_number_the_paired_t_verdict_is_settled_as_often_as_asked(mean: float, spread: float) -> None:
    margin, draws = 0.05, 400
    more = cases_needed(mean, spread**2, 10, margin)
    assert more is not None
    samples = np.random.default_rng(21).normal(mean, spread, size=(draws, 10 + more)).clip(-1, 1)
    verdicts = [decide(paired_t_interval(sample.tolist()), margin) for sample in samples]
    assert 1 - verdicts.count("inconclusive") / draws == pytest.approx(0.8, abs=0.07)


@given(discordant(), st.sampled_from([0.02, 0.05, 0.1]))
def test_an_open_verdict_always_asks_for_more_cases(counts: tuple[int, int, int], margin: float) -> None:
    gained, lost, n = counts
    more = tango_cases_needed(gained, lost, n, margin)
    if decide(tango_interval(gained, lost, n), margin) == "inconclusive":
        assert more is None or more > 0


@settings(max_examples=50)
@given(differences, st.sampled_from([0.02, 0.05, 0.1]))
def test_an_open_verdict_on_graded_scores_always_asks_for_more_cases(values: list[float], margin: float) -> None:
    if len(values) > 10 and decide(paired_t_interval(values), margin) == "inconclusive":
        more = cases_needed(float(np.mean(values)), float(np.var(values, ddof=1)), len(values), margin)
        assert more is None or more > 0


# --- percentile, and what is refused ---


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(0, 100))
def test_percentile_is_numpys(values: list[float], q: float) -> None:
    assert percentile(values, q) == pytest.approx(np.percentile(values, q), rel=1e-9, abs=1e-6)


def test_percentile_of_nothing_is_unknown() -> None:
    assert percentile([], 95) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: wilson(3, 2),
        lambda: wilson(-1, 2),
        lambda: wilson(1, 2, 1.0),
        lambda: wilson(1, 2, math.nan),
        lambda: mean_interval([0.5, 1.2]),
        lambda: mean_interval([math.nan]),
        lambda: paired_t_interval([-1.1]),
        lambda: tango_interval(2, 2, 3),
        lambda: tango_interval(-1, 0, 3),
        lambda: decide(Interval(0, 0, 0.9), -0.01),
        lambda: decide(Interval(0, 0, 0.9), math.nan),
        lambda: cases_needed(0, 0.1, 0, 0.05),
        lambda: cases_needed(0, 0.1, 10, 0.05, power=0.2),
        lambda: cases_needed(0, -0.1, 10, 0.05),
        lambda: cases_needed(math.nan, 0.1, 10, 0.05),
        lambda: tango_cases_needed(8, 8, 10, 0.05),
        lambda: percentile([1.0], 101),
        lambda: percentile([math.inf], 50),
        lambda: normal_quantile(1),
        lambda: t_quantile(0, 5),
        lambda: t_quantile(0.9, 0.5),
        lambda: t_quantile(0.9, math.nan),
    ],
)
def test_what_makes_no_sense_is_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError):
        call()
