"""What became of a trace's calls in a workflow, for ``trace show --plan``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import typer

from skillforge.cli._asking import visible
from skillforge.cli._shared import as_json, print_json

if TYPE_CHECKING:
    from skillforge.engine.compiling.plandiff import PlanRow
    from skillforge.skill import Skill
    from skillforge.trace import Trace


def show_plan(traces: Sequence[Trace], skill: Skill, *, json_out: bool) -> None:
    """One block a trace: its calls with the step each became, then the steps that no call stands behind."""
    from skillforge.engine.compiling.plandiff import plan_diff

    rows = {trace.case_id: plan_diff(trace, skill) for trace in traces}
    if json_out:
        print_json({name: [as_json(row) for row in found] for name, found in rows.items()})
        return
    for name, found in rows.items():
        typer.echo(f"{visible(name)} -> {skill.name}")
        for line in _lines(found):
            typer.echo(visible(line))


def _lines(rows: Sequence[PlanRow]) -> Iterator[str]:
    width = max((len(row.step) for row in rows), default=0)
    for row in rows:
        if row.fate == "dropped":
            yield f"  - {row.n:>3}  {'dropped':<{width}}  {row.call}  ({row.why})"
        elif row.fate == "new":
            yield f"  +      {row.step:<{width}}  {row.why}"
        else:
            constant = f"  (constant: {', '.join(row.folded)})" if row.folded else ""
            each = f"  ({row.why})" if row.why else ""
            yield f"  = {row.n:>3}  {row.step:<{width}}  {row.call}{each}{constant}"
