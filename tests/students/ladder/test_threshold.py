"""The choice of thresholds against brute force over every threshold that could part the answers."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillforge.students.ladder.threshold import Chosen, Outcome, candidates, choose, few_cases, stays


def climb(rungs, thresholds):
    """(mean score, mean dollars, questions to higher rungs) of a ladder case by case, and the scores."""
    score = usd = 0.0
    up = 0
    scores = []
    for case in range(len(rungs[0])):
        for number, row in enumerate(rungs):
            usd += row[case].usd
            last = number == len(rungs) - 1
            if last or stays(row[case], thresholds[number]):
                score += row[case].score
                scores.append(row[case].score)
                break
            up += 1
    count = len(rungs[0])
    return score / count, usd / count, up, scores


def lower_bound(scores, teacher):
    gaps = [one - other for one, other in zip(scores, teacher, strict=True)]
    spread = statistics.stdev(gaps) if len(gaps) > 1 else 0.0
    return statistics.fmean(gaps) - statistics.NormalDist().inv_cdf(0.95) * spread / math.sqrt(len(gaps))


LEVELS = st.sampled_from([0.0, 0.25, 0.5, 0.500001, 0.75, 1.0]) | st.none()
ROWS = st.lists(
    st.tuples(
        st.builds(Outcome, st.sampled_from([0.0, 1.0]), st.booleans(), LEVELS, st.just(0.0)),
        st.builds(Outcome, st.sampled_from([0.0, 0.5, 1.0]), st.booleans(), LEVELS, st.just(0.25)),
        st.builds(Outcome, st.sampled_from([0.0, 1.0]), st.just(True), st.none(), st.sampled_from([0.5, 2.0])),
    ),
    min_size=1,
    max_size=12,
)


@given(ROWS, st.sampled_from([0.05, 0.2]))
@settings(max_examples=150, deadline=None)
def test_the_choice_is_the_best_of_all_thresholds(rows, margin):
    rungs = [list(column) for column in zip(*rows, strict=True)]
    teacher = [outcome.score for outcome in rungs[-1]]
    chosen = choose(rungs, [None, None], teacher, margin)
    grid = [0.0, 0.2, 0.25, 0.3, 0.5, 0.5000005, 0.500001, 0.6, 0.75, 0.9, 1.0]
    told = [any(o.stays and o.confidence is not None for o in row) for row in rungs[:-1]]
    options = [grid if tells else [None] for tells in told]
    every = [climb(rungs, thresholds) for thresholds in itertools.product(*options)]
    within = [found for found in every if lower_bound(found[3], teacher) >= -margin - 1e-9]
    assert chosen.within == bool(within)
    if within:
        best = min(within, key=lambda found: (round(found[1], 12), found[2], -found[0]))
    else:
        best = min(every, key=lambda found: (-round(found[0], 12), round(found[1], 12), found[2]))
    found = climb(rungs, chosen.thresholds)
    assert found[:3] == pytest.approx(best[:3])
    assert (chosen.quality, chosen.usd, chosen.up * chosen.cases) == pytest.approx(best[:3])


@given(st.lists(st.floats(0, 1), max_size=30))
def test_candidates_part_equal_confidences_never_and_all_others_always(confidences):
    found = candidates(confidences)
    assert found == sorted(set(found))
    assert found[0] == 0
    cuts = {frozenset(c for c in confidences if c >= at) for at in found}
    levels = sorted(set(confidences))
    assert cuts >= {frozenset(levels[at:]) for at in range(len(levels))}
    assert all(0 <= at <= 1 for at in found)


def test_a_threshold_has_as_few_digits_as_part_the_answers():
    assert candidates([0.5, 0.5, 0.83, 0.831, 1.0]) == [0, 0.8, 0.831, 1]
    assert candidates([0.9]) == [0, 1]
    assert candidates([]) == [0]


def sure(*pairs: tuple[float, float]) -> list[Outcome]:
    return [Outcome(score, True, confidence, 0.0) for confidence, score in pairs]


def test_equal_confidences_stay_together():
    student = sure((0.9, 1), (0.6, 1), (0.6, 0), (0.6, 0))
    teacher = [Outcome(1.0, usd=1.0)] * 4
    chosen = choose([student, teacher], [None], [1.0] * 4, 0.05)
    assert chosen.thresholds == (0.9,)
    assert (chosen.quality, chosen.usd, chosen.up) == (1.0, 0.75, 0.75)


def test_nobody_is_asked_above_where_the_student_is_as_good():
    chosen = choose([sure((0.4, 1), (0.3, 1)), [Outcome(1.0, usd=1.0)] * 2], [None], [1.0, 1.0], 0.05)
    assert chosen == Chosen((0.0,), 1.0, 1.0, 0.0, 0.0, 2, within=True)


def test_what_fails_its_checks_goes_up_whatever_its_confidence():
    student = [Outcome(0.0, False, 0.99), Outcome(1.0, True, 0.2)]
    chosen = choose([student, [Outcome(1.0, usd=1.0)] * 2], [None], [1.0, 1.0], 0.05)
    assert (chosen.thresholds, chosen.up) == ((0.0,), 0.5)


def test_a_rung_that_tells_no_confidence_gets_no_threshold():
    student = [Outcome(1.0), Outcome(1.0, False)]
    assert choose([student, [Outcome(1.0)] * 2], [None], [1.0, 1.0], 0.05).thresholds == (None,)


def test_a_given_threshold_is_kept():
    student = sure((0.9, 1), (0.6, 1))
    chosen = choose([student, [Outcome(1.0, usd=1.0)] * 2], [0.7], [1.0, 1.0], 0.05)
    assert (chosen.thresholds, chosen.up) == ((0.7,), 0.5)


def test_where_nothing_reaches_the_teacher_the_best_is_taken_and_that_is_said():
    student = sure((0.9, 0), (0.6, 0))
    last = [Outcome(0.0, usd=1.0), Outcome(1.0, usd=1.0)]
    chosen = choose([student, last], [None], [1.0, 1.0], 0.05)
    assert not chosen.within
    assert (chosen.quality, chosen.thresholds) == (0.5, (0.9,))


def test_an_unknown_price_lets_the_questions_decide():
    student = sure((0.9, 1), (0.6, 1))
    chosen = choose([student, [Outcome(1.0, usd=None)] * 2], [None], [1.0, 1.0], 0.05)
    assert (chosen.usd, chosen.up, chosen.thresholds) == (None, 0.0, (0.0,))


def test_without_cases_nothing_is_chosen():
    with pytest.raises(ValueError, match="no cases"):
        choose([[], []], [None], [], 0.05)


@pytest.mark.parametrize("margin", [0.01, 0.05, 0.1, 0.2])
def test_few_cases_cannot_show_the_margin_even_without_an_error(margin):
    n = few_cases(margin)
    assert (1 - margin) ** n <= 0.1 < (1 - margin) ** (n - 1)
    assert not math.isnan(n)


def test_several_open_rungs_are_compared_on_a_thinned_grid():
    many = [Outcome(float(number % 7 > 0), True, number / 400, 0.0) for number in range(400)]
    chosen = choose([many, many, many, [Outcome(1.0, usd=1.0)] * 400], [None] * 3, [1.0] * 400, 0.05)
    assert chosen.within


def test_no_more_is_lost_than_the_coming_test_can_prove() -> None:
    """100 cases, the less sure half of them half wrong: the bound alone keeps more than a test of 340 would prove."""
    rng = random.Random(3)
    sure = [rng.random() for _ in range(400)]
    first = [Outcome(float(rng.random() < 0.9 + 0.1 * one), confidence=one) for one in sure]
    second = [Outcome(1.0, usd=1.0) for _ in sure]
    teacher = [1.0] * len(sure)
    lenient = choose([first, second], [None], teacher, 0.05)
    provable = choose([first, second], [None], teacher, 0.05, provable=-0.019)
    assert lenient.within
    assert provable.within
    assert provable.quality >= 1 - 0.019 > lenient.quality
    assert provable.up > lenient.up
