"""An eval report in words: the verdict, one sentence an arm, and what it is called. Every report says the same.

Words only, no layout: the terminal, the pull request and the page each set them in their own way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from skillforge.evals.wording.words import WORDS

if TYPE_CHECKING:
    from skillforge.evals.report import ArmReport, Comparison, EvalReport
    from skillforge.evals.running.arms import ArmKind
    from skillforge.evals.statistics import Verdict

_NOISE: Mapping[str, str] = {"pass": "SAME", "fail": "DIFFERENT", "inconclusive": "NOT SURE"}
_ORDER: Mapping[ArmKind, int] = {
    "skill": 0, "variant": 1, "encoder": 2, "ladder": 3, "own": 4, "today": 5, "no-model": 6, "examples": 7, "raw": 8,
    "bare": 9,
}  # fmt: skip
_ENOUGH = 50  # cases: with fewer, "no number would do" says nothing of the gap yet
_EQUALITIES = ("exact", "normalized", "checks")


@dataclass(frozen=True, slots=True)
class ArmLine:
    """One compared arm as it is read: ``word`` is the verdict's, ``quality`` such as ``93.4% right``, ``cost`` such as
    ``$0.38 (-95%)``, ``says`` the sentence.
    """

    arm: ArmReport
    versus: Comparison
    word: str
    label: str
    quality: str
    cost: str
    p95: str
    says: str


def arm_lines(report: EvalReport) -> list[ArmLine]:
    """The compared arms, those that may replace the teacher first."""
    return [_arm_line(report, arm, arm.versus_teacher) for arm in in_order(report) if arm.versus_teacher is not None]


def in_order(report: EvalReport) -> list[ArmReport]:
    """The arms beside the teacher: candidates, what is used today, then what they are held against."""
    return sorted(report.arms, key=lambda arm: _ORDER.get(arm.kind, len(_ORDER)))


def best(report: EvalReport) -> ArmLine | None:
    """The candidate that the report's verdict is of: the best verdict, then the best score. ``None`` without any."""
    rank: Mapping[Verdict, int] = {"pass": 2, "inconclusive": 1, "fail": 0}
    names = {arm.name for arm in report.candidates()}
    lines = [line for line in arm_lines(report) if line.arm.name in names]
    return max(lines, key=lambda line: (rank[line.versus.verdict], line.arm.quality or 0.0), default=None)


def word(report: EvalReport, verdict: Verdict) -> str:
    """REPLACE, KEEP or NOT SURE. An arm against itself replaces nobody: SAME, DIFFERENT."""
    return (_NOISE if report.against_itself else WORDS)[verdict]


def headline(report: EvalReport) -> str:
    """What was measured on what, and what the teacher does."""
    teacher = report.teacher
    kind = {"test": "unseen cases", "all": "cases"}.get(report.split, f"{report.split} cases")
    price = dollars(teacher.usd_per_1000, teacher.cost_estimated)
    version = "" if report.version is None else f" v{report.version}"
    does = f"{quality(report, teacher)}, {price} per 1,000, p95 {seconds(teacher.p95_s)}"
    name = teacher_name(report)
    who = "teacher" if name == "teacher" else f"teacher {name}"  # where recorded outputs name nobody
    who = "against its own second answers" if report.against_itself else who
    return f"{one_line(report.skill)}{version} · {report.cases:,} {one_line(kind)} · {who}: {does}"


def teacher_name(report: EvalReport) -> str:
    """The model that answered as the teacher; a program's own answers by their name."""
    teacher = report.teacher
    return one_line(teacher.student if report.today == teacher.name else teacher.model or teacher.student)


def label(report: EvalReport, arm: ArmReport) -> str:
    """The arm without its provider's prefix, a model file by its name: ``smollm2-135m + skill``.

    With the whole name where two students would be called the same.
    """
    if arm.name == report.today:
        return one_line(arm.student if arm.kind == "today" else f"teacher = {arm.student}")
    if report.against_itself:
        return "first answers" if arm.name == report.teacher.name else "second answers"
    if arm.kind in ("teacher", "no-model"):
        return arm.kind
    if arm.kind in ("own", "encoder", "ladder", "variant"):
        return one_line(short(arm.name) if arm.kind == "variant" else arm.name)
    alike = {item.student for item in report.arms if short(item.student) == short(arm.student)}
    name = short(arm.student) if len(alike) == 1 else arm.student
    how = {"skill": "+ skill", "examples": "+ examples", "raw": "+ teacher's prompt"}
    return one_line(f"{name} {how.get(arm.kind, arm.kind)}")


def short(student: str) -> str:
    """``anthropic:claude-haiku-5-5`` as ``claude-haiku-5-5``, a model file by its name."""
    return PurePath(student.partition(":")[2] or student).name or student


def quality(report: EvalReport, arm: ArmReport) -> str:
    """``93.4% right``; without labels agreement, of graded scores their mean."""
    if report.reference == "teacher" and arm.name == report.teacher.name:
        return f"{percent(arm.quality)} agreement with itself" if report.second_pass else "measured by its answers"
    return f"{percent(arm.quality)} {measured_in(report)}"


def measured_in(report: EvalReport) -> str:
    """What a share is of: ``right``, ``agreement``, ``passed``; of graded scores ``score``."""
    if report.reference == "teacher":
        return "agreement"
    if _graded(report):
        return "score"
    return "right" if report.reference == "labels" else "passed"


def _graded(report: EvalReport) -> bool:
    """Whether the metric gives more than right or wrong; the mean of several right-or-wrong answers is still that."""
    metric = report.decision.metric
    if metric.startswith("/") or metric in _EQUALITIES or report.repeat > 1:
        return False
    compared = [arm.versus_teacher for arm in report.arms if arm.versus_teacher is not None and arm.versus_teacher.n]
    return any(versus.method != "tango" and versus.mcnemar_p is None for versus in compared)


def _arm_line(report: EvalReport, arm: ArmReport, versus: Comparison) -> ArmLine:
    saved = "" if versus.saving is None else f" ({saving(versus.saving)})"
    return ArmLine(
        arm=arm,
        versus=versus,
        word=word(report, versus.verdict),
        label=label(report, arm),
        quality=quality(report, arm),
        cost=f"{dollars(arm.usd_per_1000, arm.cost_estimated)}{saved}",
        p95=f"p95 {seconds(arm.p95_s)}",
        says=sentence(report, arm, versus),
    )


def sentence(report: EvalReport, arm: ArmReport, versus: Comparison) -> str:
    """What the verdict rests on: how much worse the arm is at most or at least, or why nothing is concluded."""
    low, high = versus.bounds.low, versus.bounds.high
    if versus.reason:
        more = f"; about {versus.cases_needed:,} more cases would settle it" if versus.cases_needed else ""
        return one_line(versus.reason) + more
    if report.against_itself and versus.verdict == "fail":
        return f"{sure(versus)}: at least {points(-high)} points apart: the harness is noisier than the margin"
    if versus.verdict == "pass":
        worse = f"at most {points(-low)} points worse" if low < 0 else "not worse"
        return f"{sure(versus)}: {worse} (you allow {points(report.decision.margin)})"
    if versus.verdict == "fail":
        return f"{sure(versus)}: at least {points(-high)} points worse{_what_the_skill_did(report, arm)}"
    of_new = " of as many new groups" if versus.clusters is not None else ""
    more = (
        f"about {versus.cases_needed:,} more cases{of_new} would settle it"
        if versus.cases_needed
        else "no sensible number of cases would settle it: the gap is too near what you allow"
        if versus.n >= _ENOUGH
        else "far too few cases to plan with"
    )
    return f"may be up to {points(max(0.0, -low))} points worse; {more}"


def sure(versus: Comparison) -> str:
    """``95% sure``: how sure each end of the two-sided interval is by itself."""
    return f"{100 * (1 + versus.bounds.level) / 2:.4g}% sure"


def _what_the_skill_did(report: EvalReport, arm: ArmReport) -> str:
    """Told on a skill's arm that failed, and on a bare one where the skill makes the difference."""
    if arm.kind not in ("skill", "bare"):
        return ""
    other = _same_student(report, arm, "bare" if arm.kind == "skill" else "skill")
    if other is None or other.quality is None or arm.quality is None:
        return ""
    if arm.kind == "bare":
        passes = other.versus_teacher is not None and other.versus_teacher.verdict == "pass"
        return "; the skill is what helps" if passes else ""
    gain = arm.quality - other.quality
    return f"; the skill {'adds' if gain >= 0 else 'costs'} {points(abs(gain))} points"


def _same_student(report: EvalReport, arm: ArmReport, kind: ArmKind) -> ArmReport | None:
    return next((item for item in report.arms if item.kind == kind and item.student == arm.student), None)


def badge(report: EvalReport) -> str:
    """One line for a pull request: ``haiku-5.5 = opus-5.5, n=412, -95%``. ``=`` is REPLACE, ``<`` KEEP, ``?`` NOT SURE.

    ``against itself`` for an arm compared with its own second answers.
    """
    line = best(report)
    if line is None:
        return f"no candidate was measured, n={report.cases}"
    sign = {"pass": "=", "fail": "<", "inconclusive": "?"}[line.versus.verdict]
    saved = "" if line.versus.saving is None or report.against_itself else f", {saving(line.versus.saving)}"
    student = one_line(line.label if line.arm.kind in ("encoder", "ladder") else short(_called(line.arm)))
    teacher = "itself" if report.against_itself else one_line(short(teacher_name(report)))
    return f"{student} {sign} {teacher}, n={line.versus.n}{saved}"


def _called(arm: ArmReport) -> str:
    return arm.name if arm.kind in ("own", "variant") else arm.student


def one_line(text: str) -> str:
    """The text without what is not printed: names and reasons come from anywhere, and stand on terminals and pages."""
    return "".join(char if char.isprintable() else " " for char in text)


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}%"


def points(value: float) -> str:
    """A share as points of a hundred, without its sign where that is of nothing: ``2.8``, ``5``."""
    text = f"{100 * value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def signed(value: float) -> str:
    """As ``points``, with its sign: ``+2.8``, ``-5``, ``0``."""
    text = points(value)
    return text if text == "0" or text.startswith("-") else f"+{text}"


def dollars(value: float | None, estimated: bool = False) -> str:
    """Dollars for 1,000 runs. What costs less than a cent is not told as nothing."""
    if value is None:
        return "$ unknown"
    if value == 0:
        return "$0"
    amount = f"{value:,.2f}" if abs(value) >= 0.01 else f"{value:.2g}"
    return f"${amount}{' est.' if estimated else ''}"


def seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def saving(share: float | None) -> str:
    from skillforge.evals.verdict.versus_today import saving_text

    return "an unknown share" if share is None else saving_text(share)
