"""``skillforge leaderboard`` and ``skillforge recommend``: who was measured on a skill, and whom to take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillforge.cli._shared import aligned, note, open_forge, print_json

if TYPE_CHECKING:
    from skillforge.students.leaderboard import Leaderboard
    from skillforge.students.recommend import Recommendation


def leaderboard(
    ref: Annotated[str, typer.Argument(metavar="NAME", help="The skill.")],
    floors: Annotated[bool, typer.Option("--all", help="Also the students bare, and with the examples alone.")] = False,
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", help="Write it to a .html, .md or .json file; again for more."),
    ] = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show all students ever measured on a skill.

    Quality with its interval, the share of the teacher's quality it surely reaches, dollars, latency, size, where it
    runs, the verdict; * marks those that nobody beats in quality and cost. Nothing is measured and nothing is asked.

    Examples:

    \b
      skillforge leaderboard ticket-triage
      skillforge leaderboard ticket-triage -o board.html
      skillforge leaderboard ticket-triage --all --json
    """
    with open_forge() as forge:
        board = forge.students.leaderboard(ref, floors=floors)
    if output:
        from skillforge.students.boardpage import write_board

        for path in output:
            write_board(board, path)
            note(f"written: {path}")
    if json_out:
        print_json(board.model_dump(mode="json"))
    else:
        _render(board)


def _render(board: Leaderboard) -> None:
    from skillforge.students.boardwords import HEAD, headline, notes, row

    typer.echo(headline(board))
    for line in aligned([list(HEAD), *(row(entry) for entry in board.entries)], left={0, 1, 2, 10}):
        typer.echo(line)
    for text in notes(board):
        typer.echo(text)


def recommend(
    ref: Annotated[str, typer.Argument(metavar="NAME", help="The skill.")],
    min_parity: Annotated[
        float, typer.Option(help="The share of the teacher's quality it must surely reach, such as .97.")
    ] = 0.95,
    max_cost: Annotated[float | None, typer.Option(help="Dollars that 1,000 runs may cost.")] = None,
    max_p95_ms: Annotated[float | None, typer.Option(help="Its p95 latency must be at most so much.")] = None,
    local_only: Annotated[bool, typer.Option("--local-only", help="Nothing may leave your machines.")] = False,
    edge_only: Annotated[bool, typer.Option("--edge-only", help="It must fit on a small device.")] = False,
    json_out: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Name the student to take, or what is not measured yet.

    Chosen is the cheapest whose 95% sure lower bound reaches the wanted share of the teacher's quality, on the skill's
    suite as it is now. Nothing is measured and nothing is asked.

    Examples:

    \b
      skillforge recommend ticket-triage --min-parity .97 --local-only
      skillforge recommend ticket-triage --max-cost 0.5 --json

    Exit code: 0 where there is one, 3 where nobody is sure.
    """
    with open_forge() as forge:
        found = forge.students.recommend(
            ref,
            min_parity=min_parity,
            max_cost=max_cost,
            max_p95_ms=max_p95_ms,
            local_only=local_only,
            edge_only=edge_only,
        )
    if json_out:
        print_json(found.model_dump(mode="json"))
    else:
        _render_choice(found)
    raise typer.Exit(0 if found.choice is not None else 3)


def _render_choice(found: Recommendation) -> None:
    from skillforge.evals.wording.reading import dollars, one_line, percent, seconds
    from skillforge.students.boardwords import name, size

    entry = found.choice
    if entry is None:
        typer.echo("nobody surely meets this")
    else:
        typer.echo(name(entry))
        sure = f"surely {percent(entry.parity_low)} of the teacher's quality (measured {percent(entry.parity)})"
        cost = f"{dollars(entry.usd_per_1000, entry.cost_estimated)} per 1,000"
        typer.echo(f"  {sure}, {cost}, p95 {seconds(entry.p95_s)}, {size(entry.size)}, runs: {entry.place}")
        typer.echo(f"  use it: {entry.student}")
    for refused in found.refused:
        typer.echo(f"  not {one_line(refused.student)}: {one_line(refused.why)}")
    for missing in found.missing:
        typer.echo(f"missing: {one_line(missing.what)}\n  -> {one_line(missing.command)}")
