"""What a report says besides its verdict: what helped, what limits the figures, what it cost. Sentences only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skillforge.evals.wording.reading import (
    best,
    dollars,
    in_order,
    label,
    one_line,
    percent,
    points,
    saving,
    short,
    signed,
    word,
)
from skillforge.evals.wording.words import many

if TYPE_CHECKING:
    from skillforge.evals.report import ArmReport, EvalReport, JudgeAudit, Lift

_NAMED = 3  # cases named where more are meant


def helped(report: EvalReport) -> list[str]:
    """What did it, one line a student: the skill, its examples alone, or the model by itself."""
    if report.against_itself:
        return []
    lines = [_helped(report, arm) for arm in in_order(report) if arm.kind in ("skill", "variant")]
    return [line for line in (*lines, *_floor(report)) if line]


def _helped(report: EvalReport, arm: ArmReport) -> str:
    says = [_lift(report, arm, lift) for lift in arm.lifts if lift.n and lift.versus != "no-model"]
    if arm.kind == "skill" and _passes(report, arm, "bare"):
        says.append("the model was enough: it passes without the skill too")
    return f"{label(report, arm)}: {'; '.join(says)}" if says else ""


def _lift(report: EvalReport, arm: ArmReport, lift: Lift) -> str:
    """One lift. That no gain is shown is not that there is none: "would do" needs a bound below the margin."""
    low, high = lift.bounds.low, lift.bounds.high
    level = f"{100 * lift.bounds.level:.4g}%: {signed(low)} to {signed(high)}"
    gain = f"{signed(lift.difference)} points"
    if lift.versus == "examples":
        if low > 0:
            return f"the instructions add to the examples alone, {gain} ({level})"
        if high < 0:
            return f"its examples alone do better, {gain} with the rest ({level})"
        if high < report.decision.margin:
            return f"examples alone would do: the rest adds at most {points(high)} points ({level})"
        return f"whether examples alone would do is not sure, {gain} with the rest ({level})"
    over = {"bare": "the bare model", "raw": "the teacher's own prompt", "skill": "the skill"}.get(lift.versus, "it")
    what = "the variant" if arm.kind == "variant" else "the skill"
    if low > 0:
        return f"{what} helped, {gain} over {over} ({level})"
    if high < 0:
        return f"{what} hurt, {gain} against {over} ({level})"
    return f"no gain of {what} over {over} is shown, {gain} ({level})"


def _passes(report: EvalReport, arm: ArmReport, kind: str) -> bool:
    others = [item.versus_teacher for item in report.arms if item.kind == kind and item.student == arm.student]
    return any(versus is not None and versus.verdict == "pass" for versus in others)


def _floor(report: EvalReport) -> list[str]:
    """Said plainly: a student below the vote of its own examples adds nothing but cost."""
    lines = []
    for arm in report.arms:
        lift = next((item for item in arm.lifts if item.versus == "no-model" and item.n), None)
        if lift is None or lift.difference >= 0:
            continue
        if lift.bounds.high < 0:
            what = "a vote of the nearest examples answers these labels without a model"
            lines.append(f"no-model is better than {label(report, arm)}: {what}")
        else:
            by = f"{points(-lift.difference)} points ahead of {label(report, arm)}, within chance"
            lines.append(f"no-model, a vote of the nearest examples, is {by}")
    return lines


def measured(report: EvalReport) -> list[str]:
    """How the figures came about, and what limits them."""
    lines = [*_scope(report), *_reference(report), *_method(report), *_excluded(report)]
    for arm in (report.teacher, *report.arms):
        if arm.score_errors:
            why = "".join(f"; {count}: {one_line(reason)}" for reason, count in arm.score_error_reasons)
            lines.append(f"the scorer failed on {many(arm.score_errors, 'case')} of {label(report, arm)}{why}")
        metric = next(iter(arm.scores.values()), None)
        if metric is not None and metric.unscored:
            lines.append(
                f"{many(metric.unscored, 'answer')} of {label(report, arm)} not scored: the metric says nothing"
            )
    return [*lines, *_others(report), *_reach(report)]


def _others(report: EvalReport) -> list[str]:
    """The scorers that do not decide, arm by arm."""
    arms = in_order(report)
    names = [name for number, name in enumerate(report.teacher.scores) if number]
    lines = []
    for name in names:
        said = [f"{label(report, arm)} {percent(arm.scores[name].mean)}" for arm in arms if name in arm.scores]
        teacher = percent(report.teacher.scores[name].mean)
        lines.append(f"{one_line(name)} (told, does not decide): teacher {teacher}, {', '.join(said)}")
    return lines


def _scope(report: EvalReport) -> list[str]:
    lines = []
    part = [
        f"--limit {report.limit}" if report.limit is not None else "",
        report.filter and f"--filter {report.filter}",
    ]
    if any(part):
        lines.append(f"only a part was measured: {one_line(' '.join(filter(None, part)))}")
    if report.repeat > 1:
        lines.append(f"every case was answered {report.repeat} times; the mean of its scores counts")
    if report.simulated:
        which = "all" if report.simulated >= report.cases else f"{report.simulated:,} of {report.cases:,}"
        lines.append(f"{which} cases are simulated: a model wrote them, real inputs may be answered otherwise")
    return lines


def _reference(report: EvalReport) -> list[str]:
    if report.against_itself:
        return ["an arm against its own second answers: this is the noise of the harness, and nobody's quality"]
    if report.reference != "teacher":
        return []
    if report.second_pass:
        return [
            "there are no labels: agreement with the teacher's first answers is held against"
            " that of its own second ones"
        ]
    return ["there are no labels and one answer of the teacher: agreement with it, which is no verdict"]


def _method(report: EvalReport) -> list[str]:
    lines = []
    compared = [arm.versus_teacher for arm in report.arms if arm.versus_teacher is not None]
    groups = max((versus.clusters for versus in compared if versus.clusters is not None), default=None)
    if groups is not None:
        lines.append(f"cases of one group are not independent: the bounds count {groups:,} groups")
    if report.decision.mode == "sequential":
        asked = max((versus.n for versus in compared), default=0)
        stopped = f" after {asked:,} of {report.cases:,} cases" if asked < report.cases else ""
        lines.append(f"sequential: the test stays valid wherever it stops; it stopped{stopped or ' at the last case'}")
    if any(versus.adjusted for versus in compared):
        lines.append("verdicts are adjusted for several candidates (Holm)")
    return lines


def _excluded(report: EvalReport) -> list[str]:
    if not report.excluded:
        return []
    named = ", ".join(one_line(item.case) for item in report.excluded[:_NAMED])
    more = f" and {len(report.excluded) - _NAMED} more" if len(report.excluded) > _NAMED else ""
    count = len(report.excluded)
    gives = "them" if count > 1 else "it"
    return [f"{many(count, 'case')} left out, the skill gives {gives} away: {named}{more}"]


def _reach(report: EvalReport) -> list[str]:
    """What so many cases can prove at all; told where they did not."""
    line = best(report)
    if line is None or line.versus.verdict != "inconclusive" or line.versus.reason or not line.versus.n:
        return []
    true, n = line.versus.detectable, line.versus.n
    if true is None or true > 1 - (report.teacher.quality or 0.0):  # nobody is right more often than always
        return [f"{many(n, 'case')} can prove {word(report, 'pass')} of nobody: the margin is too narrow for them"]
    truly = f"at most {points(-true)} points worse" if true < 0 else f"at least {points(true)} points better"
    return [
        f"{many(n, 'case')} say {word(report, 'pass')} with {report.decision.power:.0%} probability"
        f" of one that is truly {truly}"
    ]


def rule(report: EvalReport) -> str:
    """The rule that was declared before anything ran."""
    decided = report.decision
    parts = [f"at most {points(decided.margin)} points worse by {one_line(decided.metric)}"]
    parts.append(f"{100 * (1 - decided.alpha):.4g}% sure")
    if decided.min_quality is not None:
        parts.append(f"quality at least {percent(decided.min_quality)}")
    if decided.max_p95_ms is not None:
        parts.append(f"p95 at most {decided.max_p95_ms:,.0f} ms")
    if decided.max_cost_per_1k is not None:
        parts.append(f"at most ${decided.max_cost_per_1k:,.2f} per 1,000")
    return ", ".join(parts)


def judges(report: EvalReport) -> list[str]:
    """One line a judge, and its warnings."""
    lines = []
    for audit in report.judges:
        lines.append(f"judge {_judge(audit)}: {judged(audit)}")
        lines.extend(f"judge {_judge(audit)}: {one_line(warning)}" for warning in audit.warnings)
    return lines


def _judge(audit: JudgeAudit) -> str:
    return f"{one_line(short(audit.model))} ({one_line(audit.scorer)})"


def judged(audit: JudgeAudit) -> str:
    """How far a judge can be trusted: unreadable replies, changes of mind, agreement with people."""
    replies = "reply" if audit.unreadable == 1 else "replies"
    says = [f"{many(audit.calls, 'call')}, {audit.unreadable:,} unreadable {replies}"]
    if audit.flip_rate is not None:
        says.append(f"changed its mind with the order in {percent(audit.flip_rate)}")
    if audit.longer_wins is not None:
        says.append(f"the longer answer won {percent(audit.longer_wins)}")
    if audit.kappa is not None:
        bounds = audit.kappa_bounds
        interval = "" if bounds is None else f" ({bounds.low:.2f} to {bounds.high:.2f})"
        says.append(f"kappa with people {audit.kappa:.2f}{interval}")
    return "; ".join(says)


def against_today(report: EvalReport) -> list[str]:
    """What the skill saves against the program's own prompt: at the list price, and as it was really paid."""
    if report.today is None:
        return []
    from skillforge.evals.running.arms import DEPLOYABLE

    today = report.arm(report.today)
    real, listed = (dollars(usd, today.cost_estimated) for usd in (today.usd_per_1000, today.list_usd_per_1000))
    name = one_line(today.student)
    lines = [f"{name}: {listed} per 1,000 at the list price, {real} really paid with its cache hits"]
    for arm in report.arms:
        versus = arm.versus_today
        if arm.kind not in DEPLOYABLE or versus is None:
            continue
        says = [f"{saving(versus.saving_list)} at the list price, {saving(versus.saving_real)} really paid"]
        if versus.difference is not None:
            says.append(_gap(versus.difference))
        says.append(_repaid(report, arm))
        lines.append(f"{label(report, arm)} against it: {'; '.join(part for part in says if part)}")
    return lines


def _gap(difference: float) -> str:
    apart = points(abs(difference))
    return "as often right" if apart == "0" else f"{apart} points {'better' if difference > 0 else 'worse'}"


def _repaid(report: EvalReport, arm: ArmReport) -> str:
    """When making the skill is paid back; said where it is known, and where it never is."""
    versus = arm.versus_today
    if arm.name in report.repaid_after and report.made_usd is not None:
        return f"making it took ${report.made_usd:.4g}, repaid after {report.repaid_after[arm.name]:,} calls"
    saved = None if versus is None else versus.saved_usd_per_1000
    if saved is not None and saved <= 0:
        return "never repaid: it costs no less"
    return "what making it took is unknown, so when it is repaid is too" if report.made_usd is None else ""


def teachers_noise(report: EvalReport) -> list[str]:
    """How far teacher and labels differ, by the metric and by field: no student can be measured finer than that."""
    teacher = report.teacher
    if report.reference != "labels" or teacher.quality is None or report.against_itself:
        return []
    wrong = round((1 - teacher.quality) * teacher.n)
    apart = [
        f"{one_line(name)} {round((1 - share) * teacher.n)}" for name, share in teacher.fields.items() if share < 1
    ]
    if wrong == teacher.n or (not wrong and not apart):  # right on nothing: the metric does not fit, which is told
        return []
    by_field = f"; by field: {', '.join(apart)}" if apart else ""
    return [f"teacher and labels differ on {wrong} of {teacher.n} cases{by_field}: that is the teacher's own noise"]


def errors(report: EvalReport) -> list[str]:
    """The commonest errors of every arm."""
    arms = (report.teacher, *report.arms)
    return [
        f"{many(n, 'error')} of {label(report, arm)}: {one_line(why)}" for arm in arms for why, n in arm.error_reasons
    ]


def spent(report: EvalReport) -> str:
    """What it took to measure: samples, errors, dollars, seconds."""
    arms = (report.teacher, *report.arms)
    failed = sum(arm.errors for arm in arms)
    estimated = " est." if any(arm.cost_estimated for arm in arms) else ""
    cost = "unknown" if report.cost_usd is None else f"${report.cost_usd:.4g}{estimated}"
    paid = "unknown" if report.spent_usd is None else f"${report.spent_usd:.4g}"
    reused = f" ({report.reused} from an earlier run)" if report.reused else ""
    return (
        f"{many(report.samples, 'sample')}{reused} · errors {failed / max(1, report.samples):.1%} (not scored)"
        f" · cost {cost}, now paid {paid} · {report.seconds:.0f} s"
    )
