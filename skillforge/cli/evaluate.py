"""``skillforge eval | rescore``: students beside their teacher, with error bars and a verdict."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from skillforge.cli._eval_options import (
    AgainstItself,
    Arms,
    Filter,
    JsonOut,
    JudgeModel,
    Limit,
    MaxErrors,
    NoVariant,
    OneStudent,
    Output,
    Own,
    Probabilities,
    Ref,
    Repeat,
    SandboxOption,
    ScorerName,
    SplitName,
    Students,
    SuiteFile,
    Teacher,
    TimeLimit,
    Variants,
    check_outputs,
    wishes_of,
    write_outputs,
)
from skillforge.cli._progress import Progress
from skillforge.cli._shared import as_json, note, open_forge, print_json, resumable
from skillforge.cli._terms import BudgetOption, DryRunOption, RecordOption, ReplayOption, render_estimate, terms_of
from skillforge.cli._tool_options import McpOption, ToolRecordingOption, ToolsOption
from skillforge.evals.wording.words import many

if TYPE_CHECKING:
    from skillforge.case import Case
    from skillforge.evals.answer import Answer
    from skillforge.evals.report import ArmReport, EvalReport
    from skillforge.evals.running.arms import Arm
    from skillforge.forge.forge import Forge
    from skillforge.forge.measuring.plan import EvalWishes
    from skillforge.forge.measuring.reporting import Measured

EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 3}
INFRASTRUCTURE = 4


def evaluate(
    ctx: typer.Context,
    ref: Ref,
    students: Students = None,
    teacher: Teacher = None,
    suite: SuiteFile = None,
    split: SplitName = None,
    limit: Limit = None,
    filter: Filter = "",
    repeat: Repeat = None,
    arms: Arms = "",
    arm: Own = None,
    variant: Variants = None,
    no_variant: NoVariant = False,
    scorer: ScorerName = None,
    judge: JudgeModel = None,
    a_a: AgainstItself = False,
    probabilities: Probabilities = False,
    student: OneStudent = None,
    max_errors: MaxErrors = None,
    time_limit: TimeLimit = None,
    budget: BudgetOption = None,
    dry_run: DryRunOption = False,
    record: RecordOption = None,
    replay: ReplayOption = None,
    tools: ToolsOption = None,
    mcp: McpOption = None,
    sandbox: SandboxOption = None,
    tool_recording: ToolRecordingOption = None,
    output: Output = None,
    json_out: JsonOut = False,
) -> None:
    """Measure students with a skill beside the teacher.

    All arms answer the same unseen cases: the teacher, no model at all, and each student bare, with the skill's
    examples alone, with the skill. Every sample is kept: the same command goes on where an interrupted one stopped.

    A workflow is measured beside the tool loop that it replaces. Its tools must not write for real: --sandbox gives
    every execution tools of its own, --tool-recording answers in their place.

    Examples:

    \b
      skillforge eval ticket-triage --students local:smollm2-135m
      skillforge eval ticket-triage --probabilities --dry-run
      skillforge eval ticket-triage --limit 60 -o report.html -o pr.md
      skillforge eval ticket-triage --arm 'mine=command:python solve.py'
      skillforge eval refund-request --sandbox shop:sandbox

    Exit code: 0 REPLACE, 1 KEEP, 3 NOT SURE, 2 usage, 4 more than 2% infrastructure errors.
    """
    wishes = wishes_of(ctx.params, terms_of(budget, record, replay))
    check_outputs(output)
    with open_forge() as forge:
        if dry_run:
            render_estimate(forge.evals.estimate(ref, **wishes), json_out=json_out)
            return
        found = measured(forge, ref, wishes)
        write_outputs(forge, found, output)
    _told(found, student, suite, json_out=json_out)


def rescore(
    ctx: typer.Context,
    ref: Ref,
    students: Students = None,
    teacher: Teacher = None,
    suite: SuiteFile = None,
    split: SplitName = None,
    limit: Limit = None,
    filter: Filter = "",
    repeat: Repeat = None,
    arms: Arms = "",
    arm: Own = None,
    variant: Variants = None,
    no_variant: NoVariant = False,
    scorer: ScorerName = None,
    judge: JudgeModel = None,
    probabilities: Probabilities = False,
    budget: BudgetOption = None,
    tools: ToolsOption = None,
    mcp: McpOption = None,
    sandbox: SandboxOption = None,
    tool_recording: ToolRecordingOption = None,
    output: Output = None,
    json_out: JsonOut = False,
) -> None:
    """Score stored answers again, by the suite as it is now.

    After a change of labels, scorer, margin or judge: no student and no teacher is asked anything. A judge is, for
    grades it has not given yet. Answers that are not stored are left out, and counted.

    Examples:

    \b
      skillforge rescore ticket-triage --students local:smollm2-135m
      skillforge rescore ticket-triage --scorer fields -o report.html

    Exit code: as eval.
    """
    wishes = wishes_of(ctx.params, terms_of(budget, None, None))
    check_outputs(output)
    with open_forge() as forge, resumable(lambda: "while scoring: grades given so far are kept"):
        with redirect_stdout(sys.stderr):
            found = forge.evals.rescore(ref, **wishes)
        write_outputs(forge, found, output)
    _told(found, None, suite, json_out=json_out)


def measured(forge: Forge, ref: str, wishes: EvalWishes) -> Measured:
    """``forge.evals.measure`` with progress on stderr; an interrupt says how to go on."""
    bar: Progress | None = None

    def on_start(arms: Sequence[Arm], cases: Sequence[Case], repeat: int) -> None:
        nonlocal bar
        total = sum(len(arm.epochs(repeat)) * arm.covers(case) for arm in arms for case in cases)
        bar = Progress("measuring", total).__enter__()
        times = f" x {repeat}" if repeat > 1 else ""
        note(f"{many(len(cases), 'case')} x {many(len(arms), 'arm')}{times}: {', '.join(arm.name for arm in arms)}")

    def on_sample(arm: Arm, case_id: str, answer: Answer, reused: bool) -> None:
        if bar is not None:
            bar.advance(arm.name, instant=reused or not answer.latency_s)

    try:
        with resumable(lambda: _interrupted(bar)):
            watched = wishes.copy()
            watched["on_start"], watched["on_sample"] = on_start, on_sample
            with redirect_stdout(sys.stderr):  # what a scorer or a program of one's own prints is no part of the result
                return forge.evals.measure(ref, **watched)
    finally:
        if bar is not None:
            bar.__exit__(None, None, None)


def _told(found: Measured, student: str | None, suite: Path | None, *, json_out: bool) -> None:
    """Print the report, say what comes next, and end with its exit code."""
    report = found.report
    if json_out:
        print_json({**as_json(report), **found.besides.keys()})
    else:
        from skillforge.cli._report import render_report

        render_report(report, found.soft)
    code = exit_code(report, student)
    if code == 0 and not json_out and report.verdict is not None and (who := _proven(report, student)):
        from skillforge.forge.deploy.grounds import deciding_split
        from skillforge.forge.stale import declared

        on = f" --suite {suite}" if suite is not None else ""
        if report.limit is not None or report.filter or report.split != deciding_split(found.ready.suite):
            note("next: measure all the cases that decide: a part of them is no proof to promote on")
        elif report.wished:
            told = declared(report.wished, report.decision.metric)
            note(f"next: write it into the suite ({told}) and rescore: then it is proof to promote on")
        else:
            note(f"next: skillforge promote {report.skill}@{report.version} --student {shlex.quote(who)}{on}")
    raise typer.Exit(code)


def _interrupted(bar: Progress | None) -> str:
    if bar is None:
        return "before the first sample: nothing was asked"
    return f"while measuring: {bar.done} of {bar.total} samples are kept"


def exit_code(report: EvalReport, student: str | None = None) -> int:
    """The verdict as an exit code: of ``student`` when named, else the best one; 4 when errors spoiled the eval."""
    from skillforge.evals.verdict.trust import MAX_ERRORS
    from skillforge.ladder import is_meant

    def spoiled(arm: ArmReport) -> bool:
        return arm.errors > MAX_ERRORS * (arm.answers or arm.errors + arm.n)

    chosen = [arm for arm in report.candidates() if student is None or is_meant(student, arm.student)]
    sound = [arm for arm in chosen if not spoiled(arm)]
    verdicts = {arm.versus_teacher.verdict for arm in sound if arm.versus_teacher}
    if spoiled(report.teacher) or (len(sound) < len(chosen) and "pass" not in verdicts):
        return INFRASTRUCTURE
    return min((EXIT_CODES[verdict] for verdict in verdicts), key=[0, 3, 1].index, default=EXIT_CODES["inconclusive"])


def _proven(report: EvalReport, student: str | None) -> str:
    """The student whose skill got the verdict ``pass`` and was right most often, or ``student``; empty: none."""
    from skillforge.evals.running.arms import DEPLOYABLE

    if report.against_itself:
        return ""
    from skillforge.ladder import is_meant

    arms = [arm for arm in report.arms if arm.kind in DEPLOYABLE and arm.versus_teacher is not None]
    named = [arm for arm in arms if student is not None and is_meant(student, arm.student)]
    proven = [arm for arm in arms if arm.versus_teacher and arm.versus_teacher.verdict == "pass"]
    best = max(proven, key=lambda arm: arm.quality or 0.0, default=None)
    if student:
        return named[0].student if named else student
    return best.student if best else ""
