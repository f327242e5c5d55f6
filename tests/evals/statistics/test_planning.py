"""Plans: the textbook's numbers, and what they promise, by simulation and enumeration."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillforge.errors import UsageError
from skillforge.evals.statistics import (
    MAX_CASES,
    cases_needed,
    decide,
    detectable_difference,
    paired_t_interval,
    tango_cases_needed,
    tango_detectable,
    tango_interval,
)

differences = st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=1, max_size=40)
margins = st.sampled_from([0.001, 0.02, 0.05, 0.1, 0.9])


@st.composite
def discordant(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 600))
    gained = draw(st.integers(0, n))
    return gained, draw(st.integers(0, n - gained)), n


def spread(mean: float, deviation: float, n: int) -> list[float]:
    """``n`` (even) differences with exactly this mean and standard deviation."""
    step = deviation * math.sqrt((n - 1) / n)
    return [mean + step, mean - step] * (n // 2)


@cache
def tango_verdict(gained: int, lost: int, n: int, margin: float) -> str:
    return decide(tango_interval(gained, lost, n), margin)


def settled(q: float, difference: float, n: int, margin: float, draws: int = 2000) -> dict[str, float]:
    """How often each verdict falls, for a true discordance and difference."""
    shares = [(q + difference) / 2, (q - difference) / 2, 1 - q]
    counts = np.random.default_rng(20).multinomial(n, shares, size=draws)
    pairs, times = np.unique(counts[:, :2], axis=0, return_counts=True)
    rates = dict.fromkeys(("pass", "fail", "inconclusive"), 0.0)
    for (gained, lost), weight in zip(pairs.tolist(), times.tolist(), strict=True):
        rates[tango_verdict(gained, lost, n, margin)] += weight / draws
    return rates


# --- how many more ---


def test_cases_needed_is_the_textbook_number_less_what_is_there() -> None:
    """((1.645 + .842) / .05)^2 .2^2 = 99 by the normal distribution; Student's t takes one or two more."""
    assert cases_needed(spread(0.0, 0.2, 50), 0.05) == 101 - 50
    assert cases_needed(spread(0.0, 0.2, 102), 0.05) == 0
    assert cases_needed(spread(0.0, 0.447214, 100), 0.05) == pytest.approx(495 - 100, abs=3)
    assert cases_needed(spread(-0.1, 0.447214, 100), 0.05) == pytest.approx(495 - 100, abs=3)  # as far below: to fail


def test_cases_needed_without_any_spread_is_what_the_unseen_share_takes() -> None:
    assert cases_needed([0.0] * 5, 0.05) == 52 - 5
    assert cases_needed([0.0], 0.05) == 52 - 1
    assert tango_cases_needed(0, 0, 5, 0.05) == 52 - 5


def test_more_cases_will_not_help_near_the_margin() -> None:
    assert cases_needed(spread(-0.05, 0.2, 100), 0.05) is None
    assert cases_needed([-0.05] * 100, 0.05) is None
    assert cases_needed(spread(-0.049, 0.2, 100), 0.05) is None  # 50 times the cases at hand
    assert cases_needed(spread(-0.0485, 0.2, 10_000), 0.05) is None  # MAX_CASES
    assert cases_needed(spread(-0.045, 0.2, 4000), 0.05) == pytest.approx(9893 - 4000, abs=3)
    assert tango_cases_needed(5, 15, 200, 0.05) is None
    assert MAX_CASES == 100_000


def test_with_clusters_it_is_clusters_that_are_planned() -> None:
    """Five equal cases in each cluster say as much as one: as many clusters, five times the cases."""
    once = spread(0.0, 0.2, 40)
    alone = cases_needed(once, 0.05)
    groups = [n for n in range(40) for _ in range(5)]
    assert alone is not None
    assert cases_needed([value for value in once for _ in range(5)], 0.05, groups=groups) == 5 * alone


def test_from_one_cluster_the_unseen_share_alone_is_planned() -> None:
    assert cases_needed([0.0] * 10, 0.05, groups=["a"] * 10) == 51 * 10


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
    ("mean", "deviation"), [(0.0, 0.3), (0.0, 0.15), (0.0, 0.05), (0.02, 0.2), (-0.02, 0.2), (-0.12, 0.2), (-0.3, 0.2)]
)
def test_at_the_planned_number_the_paired_t_verdict_is_settled_as_often_as_asked(mean: float, deviation: float) -> None:
    margin, draws = 0.05, 400
    more = cases_needed(spread(mean, deviation, 10), margin)
    assert more is not None
    samples = np.random.default_rng(21).normal(mean, deviation, size=(draws, 10 + more)).clip(-1, 1)
    verdicts = [decide(paired_t_interval(sample.tolist()), margin) for sample in samples]
    assert 1 - verdicts.count("inconclusive") / draws == pytest.approx(0.8, abs=0.08)


@given(discordant(), margins)
def test_an_open_verdict_always_asks_for_more_cases(counts: tuple[int, int, int], margin: float) -> None:
    gained, lost, n = counts
    more = tango_cases_needed(gained, lost, n, margin)
    if decide(tango_interval(gained, lost, n), margin) == "inconclusive":
        assert more is None or more > 0


@settings(max_examples=60)
@given(differences, st.data(), margins)
def test_an_open_verdict_on_graded_scores_always_asks_for_more_cases(
    values: list[float], data: st.DataObject, margin: float
) -> None:
    groups = data.draw(st.none() | st.lists(st.sampled_from("abcdefgh"), min_size=len(values), max_size=len(values)))
    if decide(paired_t_interval(values, 0.9, groups), margin) == "inconclusive":
        more = cases_needed(values, margin, groups=groups)
        assert more is None or more > 0


# --- what could have been seen ---


@pytest.mark.parametrize(("gained", "lost", "n"), [(10, 10, 200), (5, 5, 100), (25, 25, 500), (1, 1, 60), (3, 8, 150)])
def test_the_detectable_difference_of_right_or_wrong_scores_passes_as_often_as_asked(
    gained: int, lost: int, n: int
) -> None:
    found = tango_detectable(gained, lost, n, 0.05)
    assert found is not None
    q = max((gained + lost) / n, abs(found))
    assert settled(q, found, n, 0.05)["pass"] == pytest.approx(0.83, abs=0.11)  # counts come in steps


@pytest.mark.parametrize(("deviation", "n"), [(0.2, 60), (0.3, 300), (0.02, 80)])
def test_the_detectable_difference_of_graded_scores_passes_as_often_as_asked(deviation: float, n: int) -> None:
    found = detectable_difference(spread(0.1, deviation, n), 0.05)
    assert found is not None
    samples = np.random.default_rng(22).normal(found, deviation, size=(600, n)).clip(-1, 1)
    passed = sum(decide(paired_t_interval(sample.tolist()), 0.05) == "pass" for sample in samples)
    assert passed / 600 == pytest.approx(0.8, abs=0.08)


def test_the_detectable_effect_is_the_textbooks() -> None:
    """(1.645 + .842) sd / sqrt(n) above -margin."""
    found = detectable_difference(spread(0.3, 0.3, 1000), 0.05)
    assert found == pytest.approx(-0.05 + (1.6449 + 0.8416) * 0.3 / math.sqrt(1000), abs=1e-4)


def test_more_cases_detect_less_and_too_few_detect_nothing() -> None:
    few, many = tango_detectable(4, 4, 80, 0.05), tango_detectable(40, 40, 800, 0.05)
    assert few is not None
    assert many is not None
    assert -0.05 < many < few
    assert tango_detectable(0, 0, 1, 0.05) is None
    assert detectable_difference([0.0], 0.05) is None
    assert detectable_difference([0.0] * 50, 0.05, groups=["a"] * 50) is None


@given(discordant(), margins)
def test_a_detectable_difference_lies_above_the_margin(counts: tuple[int, int, int], margin: float) -> None:
    found = tango_detectable(*counts, margin)
    assert found is None or -margin < found <= 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: cases_needed([], 0.05),
        lambda: cases_needed([0.0] * 10, 0.05, power=0.2),
        lambda: cases_needed([0.0] * 10, 0.05, alpha=0.5),
        lambda: cases_needed([0.0] * 10, 1.0),
        lambda: cases_needed([math.nan], 0.05),
        lambda: tango_cases_needed(8, 8, 10, 0.05),
        lambda: tango_detectable(8, 8, 10, 0.05),
        lambda: detectable_difference([], 0.05),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError):
        call()
