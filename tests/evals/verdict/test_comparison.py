"""Pairs of scores and the rule: the method, and that all a comparison tells agrees with its verdict."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillforge.case import Decision
from skillforge.evals.sampling import in_random_order
from skillforge.evals.statistics import BettingTest, cases_needed, mcnemar_p, paired_t_interval, tango_interval
from skillforge.evals.verdict.comparison import Comparison, Pairing

FIXED, SEQUENTIAL = Decision(), Decision(mode="sequential")


def pairing(
    values: list[float], rule: Decision = FIXED, groups: list[str] | None = None, binary: bool = False
) -> Pairing:
    """Of a teacher that scores 0 where the student is better, else 1."""
    reference = {f"c{n}": 0.0 if value > 0 else 1.0 for n, value in enumerate(values)}
    scores = {case: reference[case] + value for case, value in zip(reference, values, strict=True)}
    clusters = None if groups is None else dict(zip(reference, groups, strict=True))
    return Pairing(scores, reference, rule, binary=binary, clusters=clusters)


def mixed(n: int, seed: int = 1, loss: float = 0.08) -> list[float]:
    source = random.Random(seed)
    return [source.choices((0.0, -1.0, 1.0), (0.85, loss, 0.07))[0] for _ in range(n)]


# --- which method ---


def test_right_or_wrong_scores_go_by_tango() -> None:
    values = mixed(200)
    found = pairing(values, binary=True).compared()
    gained, lost = values.count(1.0), values.count(-1.0)
    interval = tango_interval(gained, lost, 200, 0.9)
    assert found.method == "tango"
    assert (found.bounds.low, found.bounds.high) == (interval.low, interval.high)
    assert found.mcnemar_p == mcnemar_p(gained, lost)
    assert (len(found.gained), len(found.lost)) == (gained, lost)
    assert found.difference == pytest.approx((gained - lost) / 200)
    assert found.clusters is None


def test_means_over_epochs_are_graded_even_where_one_answer_is_right_or_wrong() -> None:
    found = pairing([-1 / 3, 0.0, 0.0, 1.0], binary=True).compared()
    assert found.method == "paired-t"
    assert found.mcnemar_p is None


def test_cases_of_one_cluster_are_not_counted_as_independent() -> None:
    values, groups = mixed(200), [f"document {n // 4}" for n in range(200)]
    found = pairing(values, groups=groups, binary=True).compared()
    interval = paired_t_interval(values, 0.9, groups)
    assert (found.method, found.clusters) == ("cluster-t", 50)
    assert (found.bounds.low, found.bounds.high) == pytest.approx((interval.low, interval.high))


def test_clusters_of_one_case_each_change_nothing() -> None:
    values = mixed(120)
    alone = pairing(values, binary=True).compared()
    assert pairing(values, groups=[f"g{n}" for n in range(120)], binary=True).compared() == alone


def test_a_case_without_a_cluster_is_one_of_its_own() -> None:
    scores = dict.fromkeys("abcd", 1.0)
    pairs = Pairing(scores, scores, FIXED, binary=True, clusters={"a": "x", "b": "x"})
    assert pairs.compared().clusters == 3


def test_one_cluster_of_all_cases_decides_nothing() -> None:
    found = pairing([0.0] * 300, groups=["only"] * 300, binary=True).compared()
    assert (found.verdict, found.bounds.low, found.bounds.high) == ("inconclusive", -1.0, 1.0)
    assert (found.p, found.p_worse, found.detectable) == (1.0, 1.0, None)
    assert found.cases_needed is None  # 52 times the cases at hand
    assert pairing([0.0] * 10, groups=["only"] * 10).needed() == 51 * 10


def test_only_cases_that_both_answered_count() -> None:
    pairs = Pairing({"a": 1.0, "b": 0.0}, {"b": 1.0, "c": 1.0}, FIXED, binary=True)
    assert (pairs.n, pairs.compared().lost) == (1, ("b",))


@pytest.mark.parametrize("rule", [FIXED, SEQUENTIAL])
def test_without_a_common_case_nothing_is_known(rule: Decision) -> None:
    found = Pairing({"a": 1.0}, {"b": 1.0}, rule, binary=True).compared()
    assert (found.n, found.verdict, found.bounds.low, found.bounds.high) == (0, "inconclusive", -1.0, 1.0)
    assert found.p is found.p_worse is found.mcnemar_p is found.cases_needed is found.detectable is None


# --- what is told agrees with the verdict ---


def agrees(found: Comparison, rule: Decision) -> None:
    assert found.p is not None
    assert found.p_worse is not None
    assert (found.verdict == "pass") == (found.p <= rule.alpha)
    assert (found.verdict == "fail") == (found.p_worse <= rule.alpha)
    assert (found.verdict == "pass") == (found.bounds.low > -rule.margin)
    assert (found.verdict == "fail") == (found.bounds.high < -rule.margin)
    assert found.cases_needed is None or found.verdict == "inconclusive"
    assert found.cases_needed is None or found.cases_needed > 0
    assert found.detectable is None or -rule.margin < found.detectable <= 1
    assert -1 <= found.bounds.low <= found.bounds.high <= 1


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.0, 0.25, 1.0]), min_size=1, max_size=60),
    st.data(),
    st.sampled_from([0.001, 0.05, 0.3, 0.99]),
    st.sampled_from([1e-6, 0.05, 0.3, 0.49]),
)
def test_verdict_bounds_and_p_values_never_disagree(
    values: list[float], data: st.DataObject, margin: float, alpha: float
) -> None:
    rule = Decision(margin=margin, alpha=alpha)
    groups = data.draw(st.none() | st.lists(st.sampled_from("abcdefg"), min_size=len(values), max_size=len(values)))
    pairs = pairing(values, rule, groups, binary=data.draw(st.booleans()))
    found = pairs.compared()
    agrees(found, rule)
    assert pairs.verdict() == found.verdict


@settings(max_examples=40)
@given(st.integers(1, 300), st.integers(0, 10**6), st.sampled_from([0.02, 0.08, 0.2]), st.booleans())
def test_of_betting_they_do_not_disagree_either(n: int, seed: int, loss: float, clustered: bool) -> None:
    groups = [f"g{number // 3}" for number in range(n)] if clustered else None
    pairs = pairing(mixed(n, seed, loss), SEQUENTIAL, groups, binary=True)
    found = pairs.compared()
    assert (found.method, found.n) == ("betting", n)
    agrees(found, SEQUENTIAL)
    assert pairs.verdict() == found.verdict


def test_several_students_take_more_cases() -> None:
    pairs = pairing(mixed(100, loss=0.07), binary=True)
    one, five = pairs.needed(), pairs.needed(students=5)
    assert one is not None
    assert five is not None
    assert one < five


def test_the_plan_is_that_of_the_rules_own_error_and_power() -> None:
    values = [0.1, -0.3, 0.0, 0.2, -0.1] * 4
    rule = Decision(alpha=0.01, power=0.9)
    assert pairing(values, rule).needed() == cases_needed(values_of(pairing(values, rule)), 0.05, 0.01, 0.9)


def values_of(pairs: Pairing) -> list[float]:
    return pairs.differences


# --- stopping early ---


def test_a_sequential_decision_looks_at_the_cases_in_the_random_order() -> None:
    values = mixed(150, 5)
    pairs = pairing(values, SEQUENTIAL, binary=True)
    assert pairs.cases == in_random_order(f"c{n}" for n in range(150))
    test = BettingTest(SEQUENTIAL.margin, SEQUENTIAL.alpha)
    for case in pairs.cases:
        test.add(values[int(case[1:])])
    found = pairs.compared()
    assert (found.verdict, found.p, found.p_worse) == (test.verdict, test.p, test.p_worse)


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.booleans())
def test_what_was_decided_on_a_part_is_decided_on_the_whole(seed: int, clustered: bool) -> None:
    """The eval stops at the first sure verdict; the report is made later, of all that was answered."""
    values = mixed(400, seed, loss=0.25)
    groups = [f"g{n // 4}" for n in range(400)] if clustered else [f"g{n}" for n in range(400)]
    clusters = {f"c{n}": group for n, group in enumerate(groups)}
    order = in_random_order(clusters, clusters)
    reference = {case: 0.0 if values[int(case[1:])] > 0 else 1.0 for case in order}
    scores = {case: reference[case] + values[int(case[1:])] for case in order}
    for size in range(40, 401, 40):  # clusters of 4 are never cut
        part = {case: scores[case] for case in order[:size]}
        verdict = Pairing(part, reference, SEQUENTIAL, binary=True, clusters=clusters).verdict()
        if verdict != "inconclusive":
            whole = Pairing(scores, reference, SEQUENTIAL, binary=True, clusters=clusters)
            assert whole.compared().verdict == verdict
            return


def test_of_two_contradicting_gamblers_the_first_decides_and_the_bounds_follow_it() -> None:
    order = in_random_order(f"c{n}" for n in range(900))
    good = set(order[:150])
    reference = dict.fromkeys(order, 1.0)
    scores = {case: 1.0 if case in good else 0.0 for case in order}
    found = Pairing(scores, reference, SEQUENTIAL, binary=True).compared()
    assert found.verdict == "pass"
    assert -SEQUENTIAL.margin < found.bounds.low <= found.bounds.high


def test_the_order_owes_nothing_to_the_order_of_the_suite() -> None:
    ids = [f"c{n}" for n in range(50)]
    clusters = {case: f"g{n % 7}" for n, case in enumerate(ids[:40])}
    order = in_random_order(ids, clusters)
    assert order == in_random_order(reversed(ids), clusters) != ids
    names = [clusters.get(case, case) for case in order]
    assert sum(one != other for one, other in pairwise(names)) == len(set(names)) - 1
    assert [case for case in order if case in set(ids[10:30])] == in_random_order(ids[10:30], clusters)
    assert in_random_order(["\ud800", "a"])  # an id out of a hostile file


def test_alpha_shared_by_many_students_still_decides() -> None:
    """The smallest alpha there is, shared by a hundred."""
    for mode in ("fixed", "sequential"):
        rule = Decision(alpha=1e-6, mode=mode).model_copy(update={"alpha": 1e-8})
        found = pairing([0.0] * 2000, rule, binary=True).compared()
        agrees(found, rule)
        assert found.verdict == "pass"
