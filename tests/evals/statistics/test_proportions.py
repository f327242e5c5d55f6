"""Right-or-wrong scores: against scipy and statsmodels, from first principles, and by enumeration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from skillforge.errors import UsageError
from skillforge.evals.statistics import (
    Interval,
    clopper_pearson,
    decide,
    mcnemar_p,
    normal_quantile,
    tango_interval,
    wilson,
)

levels = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.999998])


@st.composite
def discordant(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 600))
    gained = draw(st.integers(0, n))
    return gained, draw(st.integers(0, n - gained)), n


def contains(outer: Interval, inner: Interval) -> bool:
    return outer.low <= inner.low + 1e-12 and inner.high <= outer.high + 1e-12


def binomial_masses(n: int, p: float) -> list[float]:
    return [float(mass) for mass in stats.binom.pmf(range(n + 1), n, p)]


# --- one share ---


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (3, 7), (389, 412), (1, 100_000)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_wilson_agrees_with_statsmodels(k: int, n: int, level: float) -> None:
    low, high = proportion_confint(k, n, alpha=1 - level, method="wilson")
    interval = wilson(k, n, level)
    assert (interval.low, interval.high) == pytest.approx((max(low, 0), min(high, 1)), abs=1e-12)


@pytest.mark.parametrize(
    ("k", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (3, 7), (389, 412), (1, 100_000), (50_000, 99_999)]
)
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99, 0.999999])
def test_clopper_pearson_agrees_with_scipy_and_statsmodels(k: int, n: int, level: float) -> None:
    exact = stats.binomtest(k, n).proportion_ci(level, "exact")
    interval = clopper_pearson(k, n, level)
    assert (interval.low, interval.high) == pytest.approx((exact.low, exact.high), rel=1e-7, abs=1e-12)
    low, high = proportion_confint(k, n, alpha=1 - level, method="beta")
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-7, abs=1e-12)


@given(st.integers(1, 500), st.data(), levels)
def test_wilson_holds_the_estimate_and_grows_with_the_count(n: int, data: st.DataObject, level: float) -> None:
    k = data.draw(st.integers(0, n - 1))
    one, more = wilson(k, n, level), wilson(k + 1, n, level)
    assert 0 <= one.low <= k / n <= one.high <= 1
    assert one.low <= more.low
    assert one.high <= more.high


@given(st.integers(1, 300), st.data(), levels)
def test_clopper_pearson_mirrors_and_holds_the_estimate(n: int, data: st.DataObject, level: float) -> None:
    k = data.draw(st.integers(0, n))
    one, mirrored = clopper_pearson(k, n, level), clopper_pearson(n - k, n, level)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((one.low, one.high), abs=1e-9)
    assert 0 <= one.low <= k / n <= one.high <= 1


@pytest.mark.parametrize("n", [5, 40])
def test_the_exact_interval_never_misses_more_often_than_it_says(n: int) -> None:
    found = [clopper_pearson(k, n) for k in range(n + 1)]
    for p in np.linspace(0.005, 0.995, 100):
        missed = sum(m for m, i in zip(binomial_masses(n, p), found, strict=True) if not i.low <= p <= i.high)
        assert missed <= 0.05 + 1e-9


def test_no_cases_know_nothing() -> None:
    assert wilson(0, 0) == clopper_pearson(0, 0) == Interval(0.0, 1.0, 0.95)
    assert tango_interval(0, 0, 0) == Interval(-1.0, 1.0, 0.90)


# --- two paired shares ---


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
    assert decide(tango_interval(0, 0, first - 1), margin) == "inconclusive"
    assert decide(tango_interval(0, 0, first), margin) == "pass"


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
    assert contains(tango_interval(gained, lost, n, 0.999999), interval)


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


@pytest.mark.parametrize(
    ("q", "n", "passes", "fails"), [(0.1, 50, 0.0341, 0.0568), (0.1, 200, 0.0490, 0.0545), (0.2, 200, 0.0497, 0.0502)]
)
def test_a_student_exactly_the_margin_worse_passes_at_most_one_time_in_twenty(
    q: float, n: int, passes: float, fails: float
) -> None:
    """By enumeration of all outcomes; the figures were computed apart, with scipy and a vectorised score."""
    found = {"pass": 0.0, "fail": 0.0, "inconclusive": 0.0}
    win, lose = (q - 0.05) / 2, (q + 0.05) / 2
    masses = stats.multinomial(n, [win, lose, 1 - q])
    cells = [(g, x) for g in range(n + 1) for x in range(n + 1 - g)]
    chances = masses.pmf([[g, x, n - g - x] for g, x in cells])
    for (gained, lost), chance in zip(cells, chances, strict=True):
        if chance > 1e-9:
            found[decide(tango_interval(gained, lost, n), 0.05)] += chance
    assert (found["pass"], found["fail"]) == pytest.approx((passes, fails), abs=1e-4)


# --- McNemar ---


@pytest.mark.parametrize(
    ("gained", "lost"), [(0, 0), (0, 1), (3, 9), (9, 3), (7, 7), (0, 30), (250, 310), (4000, 4200)]
)
def test_mcnemar_agrees_with_statsmodels_and_the_sign_test(gained: int, lost: int) -> None:
    table = mcnemar([[5, lost], [gained, 5]], exact=True)
    expected = 1.0 if gained + lost == 0 else table.pvalue
    assert mcnemar_p(gained, lost) == pytest.approx(expected, rel=1e-9)
    if gained + lost:
        assert mcnemar_p(gained, lost) == pytest.approx(stats.binomtest(gained, gained + lost).pvalue, rel=1e-9)


def test_mcnemar_takes_a_hundred_thousand_disagreements() -> None:
    assert mcnemar_p(50_000, 50_500) == pytest.approx(stats.binomtest(50_000, 100_500).pvalue, rel=1e-7)


def test_no_difference_is_not_parity() -> None:
    """The trap that the margin is for: 5 points worse on 200 cases, and no significant difference."""
    assert mcnemar_p(10, 20) > 0.05
    assert decide(tango_interval(10, 20, 200), 0.05) == "inconclusive"


# --- the rule, and what is refused ---


def test_decide_has_three_answers() -> None:
    assert decide(Interval(-0.04, 0.1, 0.9), 0.05) == "pass"
    assert decide(Interval(-0.2, -0.06, 0.9), 0.05) == "fail"
    assert decide(Interval(-0.05, 0.1, 0.9), 0.05) == decide(Interval(-0.2, -0.05, 0.9), 0.05) == "inconclusive"


@pytest.mark.parametrize("margin", [0.0, 1e-9, 0.5, 0.999999])
def test_any_margin_gives_a_verdict(margin: float) -> None:
    assert decide(tango_interval(0, 40, 40), margin) == ("fail" if margin <= 0.5 else "inconclusive")
    assert decide(tango_interval(0, 0, 40), margin) == ("pass" if margin >= 0.5 else "inconclusive")


@pytest.mark.parametrize(
    "call",
    [
        lambda: wilson(3, 2),
        lambda: wilson(-1, 2),
        lambda: wilson(1, 2, 1.0),
        lambda: wilson(1, 2, math.nan),
        lambda: clopper_pearson(3, 2),
        lambda: clopper_pearson(1, 2, 0),
        lambda: tango_interval(2, 2, 3),
        lambda: tango_interval(-1, 0, 3),
        lambda: mcnemar_p(-1, 4),
        lambda: decide(Interval(0, 0, 0.9), -0.01),
        lambda: decide(Interval(0, 0, 0.9), math.nan),
    ],
)
def test_counts_and_levels_that_make_no_sense_are_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError):
        call()
