"""The test that may be looked at at any time: what it promises, by simulation, and its bounds against its verdicts."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillforge.errors import UsageError
from skillforge.evals.statistics import (
    SMALLEST_P,
    BettingTest,
    Interval,
    betting_cases_needed,
    betting_detectable,
    betting_interval,
    tango_interval,
)
from skillforge.evals.statistics.sequential import Wealth

MARGIN = 0.05
gaps = st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=1, max_size=60)
margins = st.sampled_from([0.0, 0.01, 0.05, 0.3, 0.99])


def drawn(seed: int, q: float, difference: float, suites: int, n: int) -> list[list[float]]:
    source = np.random.default_rng(seed)
    shares = [(q + difference) / 2, 1 - q, (q - difference) / 2]
    return source.choice([1.0, 0.0, -1.0], size=(suites, n), p=shares).tolist()


def raced(rows: list[list[float]], margin: float = MARGIN, alpha: float = 0.05) -> tuple[dict[str, float], list[int]]:
    """Share of each verdict, and where it fell."""
    found, stops = dict.fromkeys(("pass", "fail", "inconclusive"), 0.0), []
    for row in rows:
        test = BettingTest(margin, alpha)
        for gap in row:
            if test.add(gap) != "inconclusive":
                break
        found[test.verdict] += 1 / len(rows)
        stops.append(test.n)
    return found, stops


def decided(values: list[float], margin: float, alpha: float) -> str:
    test = BettingTest(margin, alpha)
    for value in values:
        test.add(value)
    return test.verdict


# --- what it promises ---


@pytest.mark.parametrize("q", [0.1, 0.2])
def test_at_the_margin_looking_after_every_case_is_no_cheating(q: float) -> None:
    found, _ = raced(drawn(1, q, -MARGIN, 300, 500))
    assert found["pass"] < 0.055
    assert found["fail"] < 0.055


def test_the_expected_wealth_of_a_fair_game_is_what_one_started_with() -> None:
    """Exactly, over all sequences of six cases at the margin: the property that everything else rests on."""
    q, margin, n = 0.4, 0.1, 6
    chances = {1.0: (q - margin) / 2, -1.0: (q + margin) / 2, 0.0: 1 - q}

    def expected(chance: float, depth: int, values: tuple[float, ...]) -> float:
        if depth == 0:
            wealth = Wealth(-margin, 1)
            return chance * [wealth.add(value, 1) for value in values][-1]
        return sum(expected(chance * one, depth - 1, (*values, gap)) for gap, one in chances.items())

    assert expected(1.0, n, ()) == pytest.approx(1.0, abs=1e-12)


def test_a_clearly_worse_student_is_stopped_early_and_an_equal_one_passes() -> None:
    worse, stops = raced(drawn(2, 0.2, -0.15, 200, 600))
    assert worse["fail"] > 0.97
    assert worse["pass"] < 0.01
    assert statistics.median(stops) < 150
    equal, stops = raced(drawn(3, 0.1, 0.0, 200, 1200))
    assert equal["pass"] > 0.95
    assert statistics.median(stops) < 350


def test_without_disagreement_a_margin_of_five_points_takes_101_cases() -> None:
    assert decided([0.0] * 100, MARGIN, 0.05) == "inconclusive"
    assert decided([0.0] * 101, MARGIN, 0.05) == "pass"


def test_a_verdict_stays_once_it_fell() -> None:
    test = BettingTest(MARGIN)
    for _ in range(101):
        test.add(0.0)
    assert test.verdict == "pass"
    for _ in range(400):
        assert test.add(-1.0) == "pass"
    assert test.n == 501
    assert test.p <= 0.05


def test_clusters_are_bet_on_as_one() -> None:
    """Documents of 10 in which the student loses all or nothing: single bets are fooled, whole ones are not."""
    source = np.random.default_rng(4)
    single = whole = 0
    for _ in range(120):
        alone, together = BettingTest(MARGIN), BettingTest(MARGIN, largest=10)
        for lost in source.random(80) < MARGIN:
            for _case in range(10):
                alone.add(-1.0 if lost else 0.0)
            together.add(*([-1.0 if lost else 0.0] * 10))
        single += alone.verdict == "pass"
        whole += together.verdict == "pass"
    assert whole / 120 < 0.055 < single / 120


@given(gaps, margins)
def test_p_is_at_most_alpha_where_its_side_was_ever_sure(values: list[float], margin: float) -> None:
    test = BettingTest(margin)
    for value in values:
        test.add(value)
    assert (test.verdict == "inconclusive") == (test.p > 0.05 and test.p_worse > 0.05)
    assert 0 < test.p <= 1
    assert 0 < test.p_worse <= 1


def test_a_million_wins_do_not_overflow() -> None:
    test = BettingTest(0.0, 1e-6)
    for _ in range(20_000):
        test.add(1.0)
    assert test.verdict == "pass"
    assert test.p == SMALLEST_P


# --- the bounds ---


@settings(max_examples=60)
@given(gaps, margins, st.sampled_from([0.01, 0.05, 0.2]))
def test_the_bounds_lie_where_the_verdict_says(values: list[float], margin: float, alpha: float) -> None:
    interval = betting_interval(values, 1 - 2 * alpha)
    assert -1 <= interval.low <= interval.high <= 1
    verdict = decided(values, margin, alpha)
    if verdict == "pass":
        assert interval.low >= -margin - 2e-9
    elif verdict == "fail":
        assert interval.high <= -margin + 2e-9
    else:
        assert interval.low <= -margin + 2e-9
        assert interval.high >= -margin - 2e-9


@settings(max_examples=40)
@given(gaps, st.sampled_from([0.5, 0.9, 0.98]))
def test_the_bounds_mirror_and_widen_with_the_level(values: list[float], level: float) -> None:
    one, mirrored = betting_interval(values, level), betting_interval([-v for v in values], level)
    assert (mirrored.low, mirrored.high) == pytest.approx((-one.high, -one.low), abs=1e-8)
    wide = betting_interval(values, 0.999)
    if one.low < one.high:
        assert wide.low <= one.low + 1e-8
        assert wide.high >= one.high - 1e-8


@settings(max_examples=40)
@given(gaps, st.data())
def test_more_cases_never_widen_the_bounds(values: list[float], data: st.DataObject) -> None:
    part = betting_interval(values[: data.draw(st.integers(1, len(values)))])
    whole = betting_interval(values)
    if whole.low < whole.high and part.low < part.high:
        assert whole.low >= part.low - 1e-8
        assert whole.high <= part.high + 1e-8


def test_the_bounds_hold_the_truth_at_every_look() -> None:
    missed = 0
    for row in drawn(5, 0.2, 0.04, 50, 100):
        interval = betting_interval(row, 0.9)  # the tightest of all looks up to here
        missed += not interval.low <= 0.04 <= interval.high
    assert missed / 50 < 0.1


def test_the_bounds_are_at_most_twice_as_wide_as_those_of_a_fixed_number_of_cases() -> None:
    values = [1.0] * 50 + [-1.0] * 50 + [0.0] * 400
    np.random.default_rng(6).shuffle(values)
    fixed, anytime = tango_interval(50, 50, 500), betting_interval(values)
    assert anytime.low < fixed.low < 0 < fixed.high < anytime.high
    assert anytime.high - anytime.low < 2 * (fixed.high - fixed.low)


def test_no_cases_know_nothing() -> None:
    assert betting_interval([]) == Interval(-1.0, 1.0, 0.90)
    assert BettingTest(MARGIN).verdict == "inconclusive"
    assert BettingTest(MARGIN).p == BettingTest(MARGIN).p_worse == 1.0


# --- the plan ---


@pytest.mark.parametrize(("q", "difference"), [(0.1, 0.0), (0.2, 0.0), (0.2, -0.15), (0.05, 0.03)])
def test_at_the_planned_number_the_verdict_is_settled_about_as_often_as_asked(q: float, difference: float) -> None:
    n = 40
    gained, lost = round(n * (q + difference) / 2), round(n * (q - difference) / 2)
    values = [1.0] * gained + [-1.0] * lost + [0.0] * (n - gained - lost)
    more = betting_cases_needed(values, MARGIN)
    assert more is not None
    seen = (gained - lost) / n
    source = np.random.default_rng(7)
    further = source.choice(values, size=(150, more)).tolist()
    found, _ = raced([[*values, *row] for row in further])
    assert found["pass" if seen > -MARGIN else "fail"] == pytest.approx(0.85, abs=0.12)


def test_near_the_margin_more_cases_will_not_help() -> None:
    assert betting_cases_needed([-1.0] * 5 + [0.0] * 95, MARGIN) is None
    assert betting_cases_needed([0.0] * 10, MARGIN) == 106 - 10  # by the quickest bet, not by their sum


@pytest.mark.parametrize(("q", "n"), [(0.1, 400), (0.2, 800), (0.0, 200)])
def test_the_detectable_difference_passes_about_as_often_as_asked(q: float, n: int) -> None:
    half = round(q * n / 2)
    values = [1.0] * half + [-1.0] * half + [0.0] * (n - 2 * half)
    found = betting_detectable(values, MARGIN)
    assert found is not None
    assert -MARGIN < found < 0.1
    rows = (np.array(drawn(8, max(q, abs(found)), found, 200, n))).tolist()
    assert raced(rows)[0]["pass"] > 0.7


def test_too_few_cases_detect_nothing() -> None:
    assert betting_detectable([0.0], MARGIN) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: BettingTest(1.0),
        lambda: BettingTest(0.05, 0.5),
        lambda: BettingTest(0.05, 0.05, 0),
        lambda: BettingTest(0.05).add(1.1),
        lambda: BettingTest(0.05).add(math.nan),
        lambda: BettingTest(0.05).add(0.1, 0.2),
        lambda: betting_interval([1.5]),
        lambda: betting_interval([0.5], 1.0),
        lambda: betting_cases_needed([], 0.05),
        lambda: betting_detectable([], 0.05),
    ],
)
def test_bets_that_make_no_sense_are_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError):
        call()
