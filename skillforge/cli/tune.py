"""``skillforge tune``: find the form of a skill that suits one student."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from skillforge.cli._progress import Progress
from skillforge.cli._shared import aligned, as_json, note, open_forge, print_json, resumable
from skillforge.cli._tune_options import (
    Anchors,
    Authors,
    BudgetText,
    DevCases,
    DryRun,
    History,
    JsonOut,
    NoTest,
    OptimizerName,
    Output,
    Ref,
    Stages,
    Student,
    SuiteFile,
    Teacher,
    Tolerance,
)
from skillforge.errors import NotFound, UsageError

if TYPE_CHECKING:
    from skillforge.forge.forge import Forge
    from skillforge.forge.tuning.plan import TuneWishes
    from skillforge.students.tune.tuned import Tried, Tuned

BUDGET_SPENT = 4


def tune(
    ref: Ref,
    student: Student = None,
    teacher: Teacher = None,
    budget: BudgetText = None,
    authors: Authors = "",
    optimizer: OptimizerName = "reflect",
    stages: Stages = "",
    anchor: Anchors = None,
    suite: SuiteFile = None,
    dev: DevCases = None,
    tolerance: Tolerance = None,
    no_test: NoTest = False,
    dry_run: DryRun = False,
    history: History = False,
    output: Output = None,
    json_out: JsonOut = False,
) -> None:
    """Find the form of a skill that suits one student.

    Measured in order: no skill or parts of it, the output format, the examples, the instructions, leaving things out,
    effort. A form is kept only where it is proven better on the dev cases; the winner is measured once on the test
    cases and written to skills/NAME/variants/. The same command goes on where it was, and pays nothing twice.

    Examples:

    \b
      skillforge tune ticket-triage --student local:smollm2-135m --budget 400calls
      skillforge tune ticket-triage --student openai:gpt-6-luna --teacher anthropic:claude-opus-5-5 --budget 5
      skillforge tune ticket-triage --stages format,examples --dry-run
      skillforge tune ticket-triage --history -o tuning.html

    Exit code: 0 done, 2 usage, 4 the budget was spent before the end.
    """
    _check_output(output)
    wishes: TuneWishes = {
        "student": student,
        "teacher": teacher,
        "budget": budget,
        "authors": _listed(authors),
        "optimizer": optimizer,
        "stages": _listed(stages),
        "anchors": anchor or [],
        "suite": suite,
        "dev": dev,
        "tolerance": tolerance,
        "test": not no_test,
    }
    with open_forge() as forge:
        if dry_run:
            _estimate(forge, ref, wishes, json_out=json_out)
            return
        if history:
            _history(forge, ref, student or "", output, json_out=json_out)
            return
        tuned = _tuned(forge, ref, wishes)
        if output is not None:
            _write(output, [tuned])
    print_json(as_json(tuned)) if json_out else _print(tuned)
    raise typer.Exit(BUDGET_SPENT if tuned.status == "budget" else 0)


def _tuned(forge: Forge, ref: str, wishes: TuneWishes) -> Tuned:
    """``forge.students.tune`` with progress on stderr; an interrupt says how to go on."""
    bar = Progress("asked", 0)

    def on_asked(reused: bool) -> None:
        if not reused:
            bar.done += 1
            bar.step(f"{bar.done} answers")

    watched = wishes.copy()
    watched["on_asked"] = on_asked
    with bar, resumable(lambda: f"while tuning: {bar.done} new answers are kept"), redirect_stdout(sys.stderr):
        return forge.students.tune(ref, **watched)


def _print(tuned: Tuned) -> None:
    head = f"{tuned.skill}@{tuned.version} for {tuned.student}: {tuned.status}"
    spent = "unknown" if tuned.spent_usd is None else f"${tuned.spent_usd:,.4f}"
    typer.echo(f"{head}, {tuned.calls} calls, {spent} ({tuned.tuning})")
    typer.echo(f"rule: level {tuned.rule.level:.0%}, tolerance {tuned.rule.tolerance:g}, {_cases(tuned)}")
    rows = [["", "stage", "form", "from", "cases", "quality", "cost", "outcome"]]
    rows += [_row(each, tuned) for each in tuned.tried]
    for line in aligned(rows, left={1, 2, 7}):
        typer.echo(line)
    for words in tuned.words:
        typer.echo(words)
    if tuned.file:
        typer.echo(f"written: {tuned.file}")


def _row(each: Tried, tuned: Tuned) -> list[str]:
    parent = tuned.named(each.parent)
    quality = "" if each.quality is None else f"{each.quality:.3f}"
    tokens = "" if each.tokens is None else f"{each.tokens:,.0f} tokens"
    cost = f"${each.usd:.6f}" if each.usd else tokens
    mark = "* " if each.id == tuned.winner else ""
    made_from = str(parent.number) if parent is not None else ""
    told = [str(each.number), each.stage, f"{mark}{each.note}"[:60], made_from, str(each.n) if each.n else ""]
    return [*told, quality, cost, each.decided.outcome]


def _cases(tuned: Tuned) -> str:
    return ", ".join(f"{count} {name}" for name, count in tuned.cases.items())


def _history(forge: Forge, ref: str, student: str, output: Path | None, *, json_out: bool) -> None:
    found = forge.students.tunings(ref, student=student)
    if not found:
        raise NotFound(f"nothing was tuned for {ref}", hint=f"skillforge tune {ref} --student MODEL")
    if output is not None:
        _write(output, found)
    if json_out:
        print_json([as_json(each) for each in found])
        return
    for tuned in found:
        _print(tuned)
        for each in tuned.tried:
            typer.echo(f"  {each.number}: {each.decided.why}")


def _estimate(forge: Forge, ref: str, wishes: TuneWishes, *, json_out: bool) -> None:
    estimate = forge.students.estimate_tuning(ref, **wishes)
    if json_out:
        print_json(as_json(estimate))
        return
    for line in estimate.lines():
        typer.echo(line)
    note("nothing was asked. Calls are at most: races end early, and what is known already costs nothing.")


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _check_output(output: Path | None) -> None:
    if output is None:
        return
    if output.suffix not in (".html", ".json"):
        raise UsageError(f"-o {output}: must end in .html or .json", hint="such as -o tuning.html")
    if not output.parent.is_dir():
        raise UsageError(f"-o {output}: {output.parent} is no folder", hint="make it first")


def _write(output: Path, found: list[Tuned]) -> None:
    if output.suffix == ".json":
        import json

        text = json.dumps([as_json(each) for each in found], ensure_ascii=False, indent=2) + "\n"
    else:
        from skillforge.students.tune.page import tuning_page

        text = tuning_page(found)
    output.write_text(text, "utf-8")
    note(f"written: {output}")
