"""``skillforge learn``: from what a coding agent just did to a draft skill, a ``SKILL.md`` and a first verdict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillforge.cli._asking import visible
from skillforge.cli._from_trace import draft_text
from skillforge.cli._repository import make_repository
from skillforge.cli._shared import as_json, note, open_forge_at, print_json
from skillforge.cli._terms import BudgetOption, RecordOption, ReplayOption, terms_of
from skillforge.evals.wording.words import WORDS, many

if TYPE_CHECKING:
    from skillforge.forge.learning import Learned, LearnWishes, Spent

_SHOWN = 10


def learn(
    session: Annotated[
        str, typer.Argument(metavar="[SESSION|latest]", help="A session's file, or a stored trace; default: latest.")
    ] = "latest",
    turn: Annotated[
        int | None, typer.Option(metavar="N", help="Which request of the user (default: the last that did something).")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the skill; made of the request otherwise.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for <name>/skill.yaml (skills/).")] = None,
    export: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the SKILL.md goes (.agents/drafts, which no agent loads).")
    ] = None,
    teacher: Annotated[str | None, typer.Option(help="A model that proposes the workflow; none is asked else.")] = None,
    draft: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The answer to --author-request, instead of a teacher's.")
    ] = None,
    author_request: Annotated[
        bool, typer.Option("--author-request", help="Print what a teacher would be asked; nothing is stored.")
    ] = False,
    budget: BudgetOption = None,
    record: RecordOption = None,
    replay: ReplayOption = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Make a draft skill of what a coding agent just did.

    It takes the newest session of this project (Claude Code, Codex, pi; never one of another), stores it, takes its
    last request that is finished and did something, and writes down what was done: no model is asked, no key is needed.
    The draft must write what the session wrote on its recorded results, and may hold no order out of a tool's result.
    It waits for a person: nothing is promoted, and its SKILL.md stands where no agent loads it.

    An agent that does better than a program asks itself: --author-request, then --draft FILE with the answer.

    Examples:

    \b
      skillforge learn
      skillforge learn latest --turn 3 --name release-notes
      skillforge learn --author-request
      skillforge learn ~/.claude/projects/-home-me-app/3f9c.jsonl --draft answer.json

    Exit code: 0 made, whose first verdict is always NOT SURE; 1 no draft that does what the session did; 2 nothing to
    learn from.
    """
    wishes: LearnWishes = {"turn": turn, "name": name, "folder": out, "export": export, "teacher": teacher}
    if author_request:
        _request(session, wishes)
        return
    wishes |= {"draft": draft_text(draft), "terms": terms_of(budget, record, replay)}
    _require_repository()
    with open_forge_at(Path.cwd()) as forge:
        learned = forge.traces.learn(session, **wishes)
    if json_out:
        print_json(as_json(learned))
        return
    for line in _lines(learned):
        typer.echo(visible(line))


def _request(session: str, wishes: LearnWishes) -> None:
    with open_forge_at(Path.cwd()) as forge:
        request = forge.traces.learn_request(session, **wishes)
    typer.echo("\n".join(map(visible, request.text.split("\n"))))
    note(f"save the answer, then: {visible(request.command)}")


def _require_repository() -> None:
    from skillforge.config import find_root

    if find_root(Path.cwd()) is None:
        make_repository(Path.cwd())
        note(f"{Path.cwd()} is a skillforge repository now (as skillforge init makes one)")


def _lines(learned: Learned) -> Iterator[str]:
    made = learned.made
    yield f"{made.name}@{made.version}  {made.path}  {'new draft' if made.new else 'unchanged'}, untrusted"
    where = f"request {learned.request} of {learned.requests} of {learned.session}"
    yield f"  taken from {where}{f' ({learned.format})' if learned.format else ''}"
    yield f'  it said: "{learned.said}"'
    yield f"  the agent took {_spent(learned.spent)}"
    yield f"  the draft asks a model {many(learned.asks, 'time')} and makes {many(learned.calls, 'tool call')}"
    left = [
        f"{many(count, what)} that {why}"
        for count, what, why in (
            (learned.spent.looked, "shell command", "only looked"),
            (learned.spent.idle, "call", "never mattered"),
        )
        if count
    ]
    if left:
        yield f"  left out: {', '.join(left)}"
    yield f"  {_exported(learned)}"
    yield "checked now:"
    yield from (f"  {line}" for line in _checked(learned))
    yield f"{WORDS[learned.verdict]} whether a cheap model does it as well: 1 trace measures nothing, it takes at least"
    yield f"{learned.cases_needed} cases. It waits for you:"
    yield from (f"  {step.command}  # {step.why}" for step in learned.next)


def _spent(spent: Spent) -> str:
    known = spent.input_tokens is not None and spent.output_tokens is not None
    tokens = f"{spent.input_tokens:,} tokens in, {spent.output_tokens:,} out" if known else "tokens not told"
    dollars = "cost not told" if spent.usd is None else f"${spent.usd:.4f}"
    return f"{many(spent.answers, 'model call')} and {many(spent.calls, 'tool call')}: {tokens}, {dollars}"


def _exported(learned: Learned) -> str:
    if learned.exported:
        return f"SKILL.md: {learned.exported}"
    return f"no SKILL.md: {'; '.join(learned.unexported)}"


def _checked(learned: Learned) -> Iterator[str]:
    made = learned.made
    yield f"{'yes' if learned.reproduced else 'no '}  on the recorded results it writes what the session wrote"
    warned = many(len(learned.warnings), "warning")
    yield f"yes  it lints{f', with {warned}' if learned.warnings else ''}"
    yield from _some(learned.warnings)
    yield "yes  no known form of an order out of a tool result stands in it"
    if learned.orders:
        yield f"     {many(len(learned.orders), 'order')} in the session's tool results; they are data:"
        yield from _some(learned.orders)
    if made.from_tools or made.examples_from:
        count = len(made.from_tools) + sum(made.examples_from.values())
        yield f"look {many(count, 'text')} of it out of tool results: data, but nobody here wrote it"
        yield from _some(made.from_tools)
    if made.warnings:
        yield "look what the traces alone do not settle:"
        yield from _some(made.warnings)
    if learned.constants:
        same = many(learned.constants, "argument")
        yield f"look {same} will be the same in every run: what varies, 1 trace cannot tell"


def _some(lines: Any) -> Iterator[str]:
    yield from (f"       {line}" for line in lines[:_SHOWN])
    if len(lines) > _SHOWN:
        yield f"       … and {len(lines) - _SHOWN} more (--json names them)"
