"""What must hold besides the margin: quality, latency, cost. A missed one is a fail, an unknown one holds a pass back.

Quality is judged by its one-sided bounds at the alpha of one candidate; latency and cost by what was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from skillforge.case import Decision
from skillforge.evals.answer import Answers
from skillforge.evals.report import ArmReport
from skillforge.evals.statistics import BettingTest, Interval, Verdict, mean_interval, wilson
from skillforge.evals.verdict.comparison import Comparison, Pairing


def quality_interval(
    values: Mapping[str, float], *, binary: bool, clusters: Mapping[str, str], level: float = 0.95
) -> Interval:
    """Two-sided interval of the mean of an arm's scores, by case id."""
    scores = list(values.values())
    groups = [clusters.get(case_id, f"\0{case_id}") for case_id in values] if clusters else []
    if len(set(groups)) < len(groups):
        return mean_interval(scores, level, groups)
    if binary and all(score in (0.0, 1.0) for score in scores):
        return wilson(round(sum(scores)), len(scores), level)
    return mean_interval(scores, level)


def floor_test(rule: Decision, largest: int) -> BettingTest | None:
    """The anytime-valid test of ``min_quality``, to be fed with score - 1; ``None`` where none is asked for."""
    least = rule.min_quality
    return None if least is None or 1 - least >= 1 else BettingTest(1 - least, rule.alpha, largest)


def gated(versus: Comparison, report: ArmReport, answers: Answers, floor: Verdict | None, rule: Decision) -> Comparison:
    """The comparison under the rule's further conditions; ``floor`` is what is known of the least quality."""
    missed, open_ = [], []
    if floor == "fail":
        missed.append(f"quality is below {rule.min_quality or 0:.1%}")
    elif floor == "inconclusive":
        open_.append(f"quality may be below {rule.min_quality or 0:.1%}")
    p95 = None if report.p95_s is None else report.p95_s * 1000
    untimed = _untimed(answers)
    limits = (
        ("p95 latency", None if untimed else p95, untimed, rule.max_p95_ms, "{:,.0f} ms"),
        ("the cost of 1,000 runs", report.usd_per_1000, "", rule.max_cost_per_1k, "${:,.2f}"),
    )
    for what, value, of, most, form in limits:
        if most is None:
            continue
        if value is None:
            open_.append(f"{what} is unknown{of}, and must be at most {form.format(most)}")
        elif value > most:
            missed.append(f"{what} is {form.format(value)}, more than {form.format(most)}")
    if missed:
        return versus.model_copy(update={"verdict": "fail", "reason": "; ".join(missed), "cases_needed": None})
    if open_ and versus.verdict == "pass":
        return versus.model_copy(update={"verdict": "inconclusive", "reason": "; ".join(open_)})
    return versus


def floor_verdict(
    values: Mapping[str, float], pairing: Pairing, rule: Decision, *, binary: bool, clusters: Mapping[str, str]
) -> Verdict | None:
    """Whether scores reach the least quality: surely, surely not, or unknown. ``None`` where none is asked for.

    A sequential eval stops where it likes, so that there the test must be valid at any time too; it sees the same cases
    in the same order as the test of the margin.
    """
    if rule.min_quality is None:
        return None
    if rule.mode == "sequential":
        test = floor_test(rule, pairing.largest)
        if test is None:
            return "pass"
        for part in _units(pairing):
            test.add(*(values[case_id] - 1 for case_id in part))
        return test.verdict
    bounds = quality_interval(values, binary=binary, clusters=clusters, level=1 - 2 * rule.alpha)
    if bounds.low >= rule.min_quality:
        return "pass"
    return "fail" if bounds.high < rule.min_quality else "inconclusive"


def _units(pairing: Pairing) -> Iterator[list[str]]:
    """The cases that are bet on together, in their order."""
    groups = pairing.groups or pairing.cases
    for _, members in groupby(zip(groups, pairing.cases, strict=True), key=lambda pair: pair[0]):
        yield [case_id for _, case_id in members]


def _untimed(answers: Answers) -> str:
    """How many answers have no latency, where only some have one: the slow ones may be those that are not known."""
    given = [answer.latency_s for epochs in answers.values() for answer in epochs if answer.status == "ok"]
    unknown = given.count(None)
    return f" ({unknown} of {len(given)} answers are not timed)" if 0 < unknown < len(given) else ""
