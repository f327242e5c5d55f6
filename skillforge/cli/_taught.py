"""``create --cases-target`` as a command shows it: a line for each stage, then what all roles made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillforge.cli._created import render_created
from skillforge.cli._progress import Progress
from skillforge.cli._shared import as_json, note, open_forge_at, print_json, resumable, split_pairs
from skillforge.cli._terms import render_estimate
from skillforge.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from skillforge.forge.making.teach import Taught
    from skillforge.forge.session import Terms

TargetOption = Annotated[
    int | None,
    typer.Option("--cases-target", metavar="N", help="Simulate and label inputs up to N cases, frozen as a suite."),
]
SimulatorOption = Annotated[str | None, typer.Option(help="Model that writes new inputs (the teacher).")]
LabellerOption = Annotated[str | None, typer.Option(help="Model of the second answer (the teacher, asked twice).")]
CriticOption = Annotated[str | None, typer.Option(help="Model that attacks the draft (the teacher).")]

_COUNTED = {"solve": "solving", "simulate": "simulating", "label": "labelling"}
_SAID = {
    "freeze": "splitting and freezing the suite",
    "author": "the teacher writes the skill from the train cases",
    "prove": "the draft runs on its own inputs",
    "critique": "the critic attacks the draft",
}


@dataclass(frozen=True)
class RoleWishes:
    """How many cases, and which models play the other roles. Raises ``UsageError`` for roles without cases."""

    target: int | None
    simulator: str | None
    labeller: str | None
    critic: str | None

    def __post_init__(self) -> None:
        named = {"--simulator": self.simulator, "--labeller": self.labeller, "--critic": self.critic}
        if self.target is None and (given := [flag for flag, model in named.items() if model is not None]):
            raise UsageError(f"{given[0]} names a model, but no cases are wanted", hint="add --cases-target 200")

    @property
    def models(self) -> dict[str, Any]:
        return {"simulator": self.simulator or "", "labeller": self.labeller or "", "critic": self.critic or ""}


def create_with_cases(
    wishes: RoleWishes,
    task: str | None,
    cases: Path | None,
    pairs: Sequence[str],
    *,
    useless: Mapping[str, Any],
    make_home: Callable[[], None],
    teacher: str | None,
    name: str | None,
    folder: Path | None,
    terms: Terms,
    dry_run: bool,
    json_out: bool,
) -> None:
    """All of ``create --cases-target``. ``useless`` are flags it has no use for, ``make_home`` makes a repository where
    there is none. Raises ``UsageError``.
    """
    if given := [flag for flag, value in useless.items() if value]:
        raise UsageError(
            f"{given[0]} does not go with --cases-target", hint="it starts from real inputs and makes its own suite"
        )
    if task is None or (cases is None) == (not pairs):
        raise UsageError(
            "a task and real inputs are needed", hint='skillforge create "Route one ticket" --cases FILE.jsonl'
        )
    assert wishes.target is not None
    real: Any = cases if cases is not None else [{"input": dict(split_pairs(list(pairs)))}]
    wanted: dict[str, Any] = {"cases": real, "target": wishes.target, "teacher": teacher, "name": name}
    if dry_run:
        with open_forge_at(Path.cwd()) as forge:
            estimate = forge.teaching.estimate(task, **wanted, **wishes.models)
        render_estimate(estimate, json_out=json_out)
        return
    make_home()
    shown = _Shown()
    with open_forge_at(Path.cwd()) as forge, resumable(shown.where):
        taught = forge.teaching.create(
            task, **wanted, **wishes.models, folder=folder, terms=terms, on_progress=shown.on_progress
        )
    if json_out:
        print_json(as_json(taught))
    else:
        render_taught(taught)


class _Shown:
    """Progress on stderr, a bar for what is counted and a line for what is not."""

    def __init__(self) -> None:
        self._stage = "solve"
        self._bar: Progress | None = None

    def on_progress(self, now: str, done: int, total: int) -> None:
        if now in _SAID:
            if now != self._stage:
                note(_SAID[now])
        elif self._bar is None or now != self._stage or self._bar.total != total:
            self._bar = Progress(_COUNTED[now], total)
        self._stage = now
        while now in _COUNTED and self._bar is not None and self._bar.done < done:
            self._bar.advance()

    def where(self) -> str:
        return f"while {_COUNTED.get(self._stage) or _SAID[self._stage]}: every answer given so far is kept"


def render_taught(taught: Taught) -> None:
    """What was made, for a person. What models wrote is quoted in one line, without anything a terminal would obey."""
    render_created(taught.created)
    splits = ", ".join(f"{name} {count}" for name, count in taught.splits.items())
    test, invented = taught.splits["test"], taught.simulated["test"]
    lines = [
        f"{invented} of the {test} test cases are simulated; labels are what two answers agree on",
        taught.ended and f"the simulator ended early: {taught.ended}",
        *taught.diversity.lines(),
        taught.removed and f"of {taught.written} inputs written, left out: {_counts(taught.removed)}",
        taught.failed and f"not labelled: {_counts(taught.failed)}",
        taught.queue and f"{_many(taught.disputed, 'input')} for a person to label: {taught.queue}",
        *_critique(taught),
    ]
    typer.echo(f"{taught.suite}: {taught.cases} cases ({splits}), wanted {taught.target}")
    for line in filter(None, lines):
        typer.echo(f"  {_plain(str(line))}")
    dollars = "unknown" if taught.cost.usd is None else f"${taught.cost.usd:.4g}"
    typer.echo(f"  all roles: {dollars}{' est.' if taught.cost.estimated else ''}")
    for line in taught.next_step.splitlines():
        note(f"next: {line}")


def _critique(taught: Taught) -> list[str]:
    told = f"critic {taught.critic}: {taught.confirmed} of {_many(taught.claims, 'claim')} confirmed"
    error = f"; {taught.critic_error}" if taught.critic_error else ""
    lines = [f"{told}, {_many(len(taught.findings), 'finding')}{error}", *(f"- {item}" for item in taught.findings)]
    if taught.mended:
        lines.append(f"the draft was mended, {_many(sum(item.of_draft for item in taught.left), 'finding')} of it left")
    elif taught.not_mended:
        lines.append(f"the draft stays as it was: {taught.not_mended}")
    return lines


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _plain(text: str) -> str:
    from skillforge.evals.wording.reading import one_line

    return one_line(text)


def _counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counted.items()))
