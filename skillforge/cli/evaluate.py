"""``skillforge eval``: students beside their teacher, with error bars and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillforge.cli._progress import Progress
from skillforge.cli._shared import as_json, note, open_forge, print_json, resumable
from skillforge.cli._terms import BudgetOption, DryRunOption, RecordOption, ReplayOption, render_estimate, terms_of
from skillforge.errors import UsageError

if TYPE_CHECKING:
    from skillforge.case import Case
    from skillforge.evals.arms import Arm
    from skillforge.evals.report import EvalReport
    from skillforge.forge.forge import Forge
    from skillforge.forge.session import Terms
    from skillforge.sample import Sample

EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 3}
INFRASTRUCTURE = 4


def evaluate(
    ref: Annotated[str, typer.Argument(metavar="NAME|PATH[@REF]", help="The skill: a name, name@3, or a path.")],
    students: Annotated[str | None, typer.Option(help="Who is measured, comma separated: local:smollm2-135m.")] = None,
    teacher: Annotated[str | None, typer.Option(help='The strong model, or "recorded": what the suite holds.')] = None,
    suite: Annotated[Path | None, typer.Option(help="The suite (default: the skill's, or evals/NAME.yaml).")] = None,
    split: Annotated[str | None, typer.Option(help="train, dev, test or all (default: test).")] = None,
    limit: Annotated[int | None, typer.Option(help="A fixed stratified part of that many cases.")] = None,
    student: Annotated[
        str | None, typer.Option(help="The one student whose verdict is the exit code (default: the best).")
    ] = None,
    budget: BudgetOption = None,
    dry_run: DryRunOption = False,
    record: RecordOption = None,
    replay: ReplayOption = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
) -> None:
    """Measure students with and without a skill beside the teacher.

    Teacher, no-model, bare and skill arms answer the same unseen cases. A suite made from a log brings the arm today:
    what the program's own prompt and model answered, at what they cost. Every sample is kept as it arrives: an
    interrupted eval goes on where it stopped, with the same command.

    Examples:

    \b
      skillforge eval ticket-triage --students local:smollm2-135m
      skillforge eval ticket-triage --teacher anthropic:claude-opus-5-5 \\
        --students anthropic:claude-haiku-5-5,openai:gpt-6-luna --dry-run
      skillforge eval skills/ticket-triage --limit 60 --json \\
        --students local:smollm2-135m,local:./other.gguf

    Exit code: 0 REPLACE, 1 KEEP, 3 NOT SURE, 2 usage, 4 more than 2% infrastructure errors.
    """
    names = tuple(name.strip() for name in (students or student or "").split(",") if name.strip())
    if student and student not in names:
        raise UsageError(f"--student {student} is not among --students", hint=f"measured are: {', '.join(names)}")
    terms = terms_of(budget, record, replay)
    with open_forge() as forge:
        if dry_run:
            estimate = forge.estimate_eval(ref, students=names, teacher=teacher, suite=suite, split=split, limit=limit)
            render_estimate(estimate, json_out=json_out)
            return
        report = measured(
            forge, ref, students=names, teacher=teacher, suite=suite, split=split, limit=limit, terms=terms
        )
    if json_out:
        print_json(as_json(report))
    else:
        from skillforge.cli._report import render_report

        render_report(report)
    code = exit_code(report, student)
    if code == 0 and not json_out:
        on = f" --suite {suite}" if suite is not None else ""
        note(f"next: skillforge promote {report.skill}@{report.version} --student {_proven(report, student)}{on}")
    raise typer.Exit(code)


def measured(
    forge: Forge,
    ref: str,
    *,
    students: Sequence[str],
    teacher: str | None,
    suite: Path | None = None,
    split: str | None = None,
    limit: int | None = None,
    terms: Terms | None = None,
) -> EvalReport:
    """``forge.eval`` with progress on stderr; an interrupt says how to go on."""
    from skillforge.forge.session import Terms

    bar: Progress | None = None

    def on_start(arms: Sequence[Arm], cases: Sequence[Case]) -> None:
        nonlocal bar
        bar = Progress("measuring", sum(arm.covers(case) for arm in arms for case in cases)).__enter__()
        note(f"{len(cases)} cases x {len(arms)} arms: {', '.join(arm.name for arm in arms)}")

    def on_sample(arm: Arm, sample: Sample, reused: bool) -> None:
        if bar is not None:
            bar.advance(arm.name, instant=reused or not sample.run.latency_s)

    try:
        with resumable(lambda: _interrupted(bar)):
            return forge.eval(
                ref,
                students=students,
                teacher=teacher,
                suite=suite,
                split=split,
                limit=limit,
                terms=terms or Terms(),
                on_start=on_start,
                on_sample=on_sample,
            )
    finally:
        if bar is not None:
            bar.__exit__(None, None, None)


def _interrupted(bar: Progress | None) -> str:
    if bar is None:
        return "before the first sample: nothing was asked"
    return f"while measuring: {bar.done} of {bar.total} samples are kept"


def exit_code(report: EvalReport, student: str | None = None) -> int:
    """The verdict as an exit code: of ``student`` when named, else the best one; 4 when errors spoiled the eval."""
    from skillforge.evals.report import MAX_ERRORS

    chosen = [arm for arm in report.arms if arm.kind == "skill" and student in (None, arm.student)]
    measured_arms = [report.teacher, *chosen]
    if any(arm.errors > MAX_ERRORS * (arm.errors + arm.n) for arm in measured_arms):
        return INFRASTRUCTURE
    verdicts = {arm.versus_teacher.verdict for arm in chosen if arm.versus_teacher}
    return min((EXIT_CODES[verdict] for verdict in verdicts), key=[0, 3, 1].index)


def _proven(report: EvalReport, student: str | None) -> str:
    """The student with the verdict ``pass`` that was right most often, or ``student``."""
    arms = [arm for arm in report.arms if arm.kind == "skill" and arm.versus_teacher is not None]
    proven = [arm for arm in arms if arm.versus_teacher and arm.versus_teacher.verdict == "pass"]
    return student or max(proven, key=lambda arm: arm.quality or 0.0).student
