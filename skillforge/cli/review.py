"""``skillforge review``: label the cases of a suite at the terminal, blind."""

from __future__ import annotations

import getpass
import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillforge.cli._asking import COMMANDS, Asking, Command, asking, command_in, say, visible, wrapped
from skillforge.cli._shared import aligned, as_json, open_forge, print_json, resumable
from skillforge.errors import InvalidInput

if TYPE_CHECKING:
    from skillforge.case import Case
    from skillforge.forge.suites.answer_fields import Field
    from skillforge.forge.suites.review import Agreement, Reveal, ReviewSession, ReviewSummary

_MOST_LINES = 400  # of an input shown at once where there is no screen to fill
_SHOWN_DIFFERENT = 10
_SHOWN = 200  # characters of an answer that differs
_HELP = """\
 a number, or the first letters of a name, chooses; other answers are typed and end with Enter
 a text that begins and ends with double quotes is read as JSON: "" is the empty text, "a\\nb" has two lines
 Enter alone leaves a field out where the suite's metric does not need it
 where the right choice is missing, quit, add it to the contract in the suite's file, and go on
 s skip   b back   q quit   m more of a long input   ? this
 with a colon before it a command is meant everywhere: :s :b :q :m :?
 it is needed where text is typed, and where the name of a choice begins with the letter: that alone does nothing
 your answer is kept as you give it; only then you see what was answered before, and may revise yours"""


def review(
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="The suite: its name in evals/, or its file.")],
    split: Annotated[str | None, typer.Option(help="train, dev or test (default: all, test first).")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first so many cases of the random order.")] = None,
    by: Annotated[str | None, typer.Option(help="Whose labels they are (default: the user's name).")] = None,
    seed: Annotated[int, typer.Option(help="Another random order.")] = 0,
    json_out: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Label the cases of a suite blind.

    You see an input and say what the right answer is; only then what was answered so far is shown. Every answer is kept
    at once: quit whenever you like, the same command goes on. In the end it says how far both agree.

    From a pipe it reads one answer a line (:s skips, :b goes back) and never asks whether to revise it.

    Examples:

    \b
      skillforge review ticket-triage
      skillforge review evals/ticket-triage.yaml --split test --limit 100 --by ada
    """
    with open_forge() as forge:
        session = forge.traffic.review(suite, split=split, limit=limit, by=by or _user(), seed=seed)
        with resumable(lambda: f"while labelling: {_kept(session.summary().labelled)}"):
            try:
                _Talk(session, asking()).run()
            finally:
                _print(session.summary(), json_out)


class _Talk:
    """The conversation: case after case, field after field."""

    def __init__(self, session: ReviewSession, answers: Asking) -> None:
        self._session = session
        self._answers = answers
        self._colon = ""
        self._rest: list[str] = []  # of the input on the screen

    def run(self) -> None:
        case = self._session.next_case()
        if case is not None:
            self._colon = _colon(self._session.fields)
            left = f"{self._session.left} of {len(self._session.cases)} cases have no label yet"
            say(f"{left}; {self._colon}? helps, {self._colon}q quits")
        while case is not None:
            command = self._label(case)
            if command is Command.QUIT:
                return
            earlier = self._session.back() if command is Command.BACK else None
            if command is Command.BACK and earlier is None:
                say(" this is the first case of this sitting")
            if command is Command.SKIP:
                self._session.skip(case)
            case = earlier or self._session.next_case()
        say("every case has a label")

    def _label(self, case: Case) -> Command | None:
        """Ask for one case and keep the answer; a command where it was not given."""
        self._show(case)
        answer = self._ask(self._session.fields)
        if isinstance(answer, Command):
            return answer
        reveal = self._session.answer(case, _whole(answer))
        if reveal is None:
            return None
        _show_reveal(reveal, answer)
        if reveal.same or not self._answers.present:  # a line of a pipe is the answer to the next case
            return None
        return self._second_thoughts(case, answer, reveal)

    def _second_thoughts(self, case: Case, answer: dict[str, Any], reveal: Reveal) -> Command | None:
        say(" Enter keeps your answer, r revises it")
        said = self._answers.choice(("keep", "revise"), enter=0)
        while said in (Command.HELP, Command.MORE):
            say(_HELP)
            said = self._answers.choice(("keep", "revise"), enter=0)
        if isinstance(said, Command):
            return None if said is Command.SKIP else said
        if said == 0:
            return None
        revised = self._ask([field for field in self._session.fields if not reveal.agrees.get(field.name, True)])
        if isinstance(revised, Command):
            return revised if revised is Command.QUIT else None
        self._session.revise(case, _whole({**answer, **revised}))
        return None

    def _ask(self, fields: Sequence[Field]) -> dict[str, Any] | Command:
        """An answer by field name; a command that leaves the case."""
        found: dict[str, Any] = {}
        place = 0
        while place < len(fields):
            said = self._ask_field(fields[place])
            if said is Command.BACK and place:
                place -= 1
                found.pop(fields[place].name, None)
            elif isinstance(said, Command):
                return said
            else:
                found.update(said)
                place += 1
            if place == len(fields) and not found:
                say(" nothing was answered: s skips the case")
                place = 0
        return found

    def _ask_field(self, field: Field) -> dict[str, Any] | Command:
        """``{name: value}``, ``{}`` where the field was left out, or a command."""
        _show_field(field)
        while True:
            said = self._choose(field) if field.kind == "choice" else self._read(field)
            if said is Command.HELP:
                say(_HELP)
                _show_field(field)
            elif said is Command.MORE:
                self._more()
                _show_field(field)
            elif said is not None:
                return said

    def _choose(self, field: Field) -> dict[str, Any] | Command:
        said = self._answers.choice([_text(value) for value in field.choices], enter=None if field.required else -1)
        if isinstance(said, Command):
            return said
        return {field.name: field.choices[said]} if said >= 0 else {}

    def _read(self, field: Field) -> dict[str, Any] | Command | None:
        """``None`` where what was typed does not fit."""
        typed = self._answers.line()
        if isinstance(typed, Command):
            return typed
        if not typed.strip() and not field.required:
            return {}
        try:
            return {field.name: field.read(typed)}
        except InvalidInput as exc:
            say(f" {visible(str(exc))}")
            if exc.hint:
                say(f"  -> {exc.hint}")
            return None

    def _show(self, case: Case) -> None:
        place = f"{self._session.cases.index(case) + 1} of {len(self._session.cases)}"
        say(f"\n── {place}{f' · {case.split}' if case.split else ''} · {visible(case.id)}")
        self._rest = []
        for name, value in case.input.items():
            self._rest += [f" {visible(name)}:", *wrapped(_text(value), "   ")]
        self._more()

    def _more(self) -> None:
        page = max(10, shutil.get_terminal_size(fallback=(80, _MOST_LINES)).lines - 8)
        say("\n".join(self._rest[:page]) if self._rest else " that is all of it")
        self._rest = self._rest[page:]
        if self._rest:
            say(f" … {len(self._rest)} more lines: {self._colon}m shows them")


def _kept(labels: int) -> str:
    return "1 label is kept" if labels == 1 else f"{labels} labels are kept"


def _colon(fields: Sequence[Field]) -> str:
    """What is typed before a command's letter so that it is one at every question; empty where none is needed."""
    options = [_text(value) for field in fields for value in field.choices]
    plain = all(field.kind == "choice" for field in fields)
    return "" if plain and all(command_in(letter, options) for letter in COMMANDS) else ":"


def _whole(answer: Mapping[str, Any]) -> Any:
    """The label: an object by field, or the text that is the whole answer."""
    from skillforge.forge.suites.answer_fields import TEXT

    return answer[TEXT] if TEXT in answer else dict(answer)


def _show_field(field: Field) -> None:
    leave = "" if field.required else "   (Enter: leave out)"
    options = "  ".join(f"{place} {visible(_text(value))}" for place, value in enumerate(field.choices, start=1))
    kind = options or ("text" if field.kind == "text" else "JSON")
    say(f" {visible(field.name) or 'answer'}: {kind}{leave}")


def _show_reveal(reveal: Reveal, answer: Mapping[str, Any]) -> None:
    if reveal.same:
        say(f" {reveal.source}: the same")
        return
    if reveal.answer is None:
        say("\n".join([f" {reveal.source}, which do not have the form asked for:", *wrapped(reveal.text, "   ")][:20]))
        return
    for name, agrees in reveal.agrees.items():
        if not agrees:
            other = reveal.answer.get(name, "(nothing)") if isinstance(reveal.answer, Mapping) else reveal.answer
            label = f"{visible(name)}: " if name else ""
            say(f" differs: {label}you {_short(answer[name])}, {reveal.source} {_short(other)}")


def _print(summary: ReviewSummary, json_out: bool) -> None:
    if json_out:
        print_json(as_json(summary))
        return
    skipped = f", {summary.skipped} skipped" if summary.skipped else ""
    typer.echo(f"{summary.suite}: {summary.labelled} of {summary.cases} cases labelled{skipped}, {summary.left} left")
    typer.echo(f" in {visible(summary.labels)}")
    if summary.overall is None:
        return
    typer.echo(f" agreement of {summary.source} with the blind labels:")
    rows = [_row("whole answer", summary.overall)]
    if len(summary.fields) > 1:
        rows += [_row(visible(name), one) for name, one in summary.fields.items()]
    for line in aligned(rows, left={0}):
        typer.echo(f"  {line}")
    if summary.differ:
        more = f" and {len(summary.differ) - _SHOWN_DIFFERENT} more" if len(summary.differ) > _SHOWN_DIFFERENT else ""
        typer.echo(f" they differ on {', '.join(map(visible, summary.differ[:_SHOWN_DIFFERENT]))}{more}")


def _row(name: str, agreement: Agreement) -> list[str]:
    share = f"{100 * agreement.same / agreement.n:.1f}%"
    bounds = f"95% sure: {100 * agreement.low:.1f}–{100 * agreement.high:.1f}%"
    return [name, f"{agreement.same} of {agreement.n}", share, bounds]


def _text(value: Any) -> str:
    """A value as people read it: text as it is, anything else as JSON."""
    from skillforge.canonical import compact

    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else compact(value)


def _short(value: Any) -> str:
    shown = " ".join(visible(_text(value)).split())
    return f'"{shown}"' if len(shown) <= _SHOWN else f'"{shown[: _SHOWN - 1]}…"'


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return ""
