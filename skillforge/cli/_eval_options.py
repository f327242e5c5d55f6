"""What ``eval`` and ``rescore`` ask for alike, and how that becomes the wishes of an eval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from skillforge.cli._shared import note
from skillforge.cli._tool_options import tools_given
from skillforge.errors import UsageError
from skillforge.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from skillforge.forge.forge import Forge
    from skillforge.forge.measuring.plan import EvalWishes
    from skillforge.forge.measuring.reporting import Measured
    from skillforge.forge.session import Terms

Ref = Annotated[str, typer.Argument(metavar="NAME|PATH[@REF]", help="The skill: a name, name@3, or a path.")]
Students = Annotated[str | None, typer.Option(help="Who is measured, comma separated: local:smollm2-135m.")]
Teacher = Annotated[str | None, typer.Option(help='The strong model, or "recorded": what the suite holds.')]
SuiteFile = Annotated[Path | None, typer.Option(help="The suite (default: the skill's, or evals/NAME.yaml).")]
SplitName = Annotated[str | None, typer.Option(help="train, dev, test or all (default: test).")]
Limit = Annotated[int | None, typer.Option(help="A fixed stratified part of that many cases.")]
Filter = Annotated[str, typer.Option("--filter", help="Only cases whose metadata has KEY=VALUE, or id this TEXT.")]
Repeat = Annotated[int | None, typer.Option(help="Answer every case so often (default: what the suite says).")]
Arms = Annotated[
    str, typer.Option(help="Kinds of arms: today,no-model,bare,raw,examples,skill,variant (default: not raw).")
]
Own = Annotated[
    list[str] | None,
    typer.Option("--arm", metavar="NAME=PROGRAM", help="NAME=command:PROGRAM ARGS, or NAME=module:function."),
]
Variants = Annotated[
    list[Path] | None, typer.Option("--variant", help="Another skill.yaml of the same contract, measured beside.")
]
NoVariant = Annotated[bool, typer.Option("--no-variant", help="Leave out the students' own variants of the skill.")]
ScorerName = Annotated[
    str | None, typer.Option(help="The metric instead of the suite's: a type, /FIELD, or module:function.")
]
JudgeModel = Annotated[str | None, typer.Option("--judge", help="The model that grades (default: the suite's).")]
AgainstItself = Annotated[bool, typer.Option("--a-a", help="The skill against itself: how noisy the harness is.")]
Probabilities = Annotated[
    bool, typer.Option("--probabilities", help="Ask for the probabilities of labels: how sure is everybody?")
]
OneStudent = Annotated[
    str | None, typer.Option(help="The one student whose verdict is the exit code (default: the best).")
]
MaxErrors = Annotated[int | None, typer.Option(help="Stop after so many calls without an answer.")]
TimeLimit = Annotated[float | None, typer.Option(metavar="SECONDS", help="Stop asking after so long.")]
Output = Annotated[
    list[Path] | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write it to .html, .md, .json, .jsonl or .xml (JUnit)."),
]
JsonOut = Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")]


_WISHES = {"arm": "own", "variant": "variants", "a_a": "against_itself", "probabilities": "probabilities"}
_ASKED = ("teacher", "suite", "split", "limit", "filter", "repeat", "scorer", "judge", "max_errors", "sandbox")


SandboxOption = Annotated[
    str | None,
    typer.Option(
        metavar="MODULE:FUNCTION", help="Gives every execution of a workflow tools of its own, made from its input."
    ),
]


def wishes_of(flags: Mapping[str, Any], terms: Terms) -> EvalWishes:
    """The wishes that the flags of a command spell, by their names there.

    Raises ``UsageError`` for a flag that says nothing, and for a ``--student`` that is not measured.
    """
    names = tuple(name.strip() for name in (flags.get("students") or "").split(",") if name.strip())
    student = flags.get("student")
    if student and names and student not in names:
        raise UsageError(f"--student {student} is not among --students", hint=f"measured are: {', '.join(names)}")
    wishes: dict[str, Any] = {name: flags[name] for name in _ASKED if flags.get(name) is not None}
    wishes |= {wish: flags[name] for name, wish in _WISHES.items() if flags.get(name) not in (None, False, [])}
    if flags.get("time_limit") is not None:  # 0 is one: answer from what is stored
        wishes["time_limit_s"] = flags["time_limit"]
    box = tools_given(flags.get("tools"), flags.get("mcp"), flags.get("tool_recording"))
    wishes |= {"tools": box} if box is not None else {}
    if flags.get("arms"):
        wishes["arms"] = _kinds(flags["arms"])
    if flags.get("no_variant"):
        wishes["own_variants"] = False
    if "own" in wishes:
        wishes["own"] = _programs(wishes["own"])
    return {**wishes, "students": names or ((student,) if student else ()), "terms": terms}  # type: ignore[typeddict-item]


def write_outputs(forge: Forge, measured: Measured, output: Sequence[Path] | None) -> None:
    """Write the report to the files asked for, and say where it lies."""
    if output:
        forge.evals.write(measured, output)
        for path in output:
            note(f"written: {path}")


def check_outputs(output: Sequence[Path] | None) -> None:
    """Raise ``UsageError`` for a file that could not be written: before an hour of measuring, not after."""
    if output:
        from skillforge.evals.pages.write import require_writable

        require_writable(output)


def _kinds(text: str) -> tuple[str, ...]:
    from skillforge.evals.running.arms import ArmKind

    known = [kind for kind in get_args(ArmKind) if kind not in ("teacher", "again", "encoder", "ladder", "own")]
    kinds = tuple(kind.strip() for kind in text.split(",") if kind.strip())
    for kind in kinds:
        if kind not in known:
            hint = did_you_mean(kind, known) or f"there are: {', '.join(known)}"
            raise UsageError(f"--arms {kind}: no such arm", hint=hint)
    return kinds


def _programs(pairs: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, program = pair.partition("=")
        if not equals or not name.strip() or not program.strip():
            raise UsageError(f"--arm {pair}: must be NAME=PROGRAM", hint="such as --arm 'mine=command:python solve.py'")
        if name.strip() in found:
            raise UsageError(f"--arm {name.strip()}: given twice", hint="give each arm its own name")
        found[name.strip()] = program.strip()
    return found
