"""What ``run`` says of a workflow while it runs, and before it would begin anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from skillforge.cli._asking import visible
from skillforge.cli._shared import note
from skillforge.errors import UsageError
from skillforge.forge.workflows import Watch

if TYPE_CHECKING:
    from skillforge.run import Run, StepRun
    from skillforge.store.workflow_state import OpenRun


class StepLines(Watch):
    """A line on stderr for every step as it ends. ``show`` prints the run: it is called before the run counts as
    delivered, so that whoever is killed in between finds it again.
    """

    def __init__(self, show: Callable[[Run], None], *, yes: bool) -> None:
        self._show = show
        self._yes = yes

    def drops(self, run: OpenRun) -> None:
        """Raises ``UsageError`` naming what was written, unless that was said to be all right."""
        if run.writes and not self._yes:
            raise UsageError(
                f"run {run.run_id} has begun these writes: {', '.join(run.writes)}; --fresh would make them again",
                hint="go on with it: leave out --fresh; or write again: --fresh --yes",
            )
        made = f"; these writes may happen again: {', '.join(run.writes)}" if run.writes else ""
        note(f"run {run.run_id} is forgotten{made}")

    def step(self, step: StepRun) -> None:
        note(step_line(step))

    def ended(self, run: Run) -> None:
        self._show(run)


def step_line(step: StepRun) -> str:
    """``order  tool get_order  ok  12 ms``: key, kind, status, calls, time, dollars where a model was asked."""
    kind = f"{step.kind} {visible(step.tool)}" if step.tool else step.kind
    parts = [f"  {step.key}", kind, "taken over" if step.resumed else step.status]
    calls = step.tries + len(step.called)
    if calls > 1:
        parts.append(f"{calls} calls")
    if step.latency_s is not None:
        parts.append(f"{step.latency_s * 1000:.0f} ms")
    if step.cost.usd is None:
        parts.append("cost unknown")
    elif step.cost.usd:
        parts.append(f"${step.cost.usd:.6g}")
    if step.reason:
        parts.append(visible(step.reason))
    return " · ".join(parts)
