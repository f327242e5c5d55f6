"""What a workflow would do for an input, before anything is called: ``run --plan``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from skillforge.engine.frame import complete_input
from skillforge.engine.workflow.graph import Graph, graph, writing_tools
from skillforge.errors import InvalidInput
from skillforge.references import holds, paths, resolve
from skillforge.skill import Skill
from skillforge.step import Step, StepKind

Runs = Literal["yes", "no", "open"]


@dataclass(frozen=True)
class PlannedStep:
    """One step as far as the input alone tells. Steps of one ``group`` (from 1) may run at the same time.

    ``runs``: whether its condition holds, ``open`` where that depends on earlier steps. ``known`` are the arguments
    that are settled, ``open`` those that are not, with the paths they come from. ``times`` is how often it runs,
    ``None`` where the list is not known yet; ``model_calls`` the most it can ask a model each time, repairs and the
    closing question of a tool loop included. ``tools`` are those it calls or may call.
    """

    id: str
    kind: StepKind
    group: int
    runs: Runs
    writes: bool
    tools: tuple[str, ...] = ()
    known: Mapping[str, Any] = field(default_factory=dict)
    open: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    when: Mapping[str, Any] | None = None
    each: str = ""
    times: int | None = 1
    model_calls: int = 0
    waits_for: tuple[str, ...] = ()
    escalate: str = ""

    @property
    def model_calls_at_most(self) -> int | None:
        """Over all its times; ``None`` where nobody knows how often."""
        if self.runs == "no" or not self.model_calls:
            return 0
        return None if self.times is None else self.times * self.model_calls


def preview(skill: Skill, given: Mapping[str, Any]) -> tuple[PlannedStep, ...]:
    """The steps of a workflow by group, those of a group in file order. Calls nothing.

    Raises ``InvalidInput`` when the input does not fit the contract.
    """
    values = complete_input(skill, given)
    order = graph(skill, writing_tools(skill.tools))
    levels = order.levels()
    # the steps whose condition is false already have a value: none
    scope: dict[str, Any] = {**values, "steps": {}}
    planned = []
    for step in skill.steps:
        one = _planned(step, scope, order, 1 + levels[step.id])
        if one.runs == "no":
            scope["steps"][step.id] = None
        planned.append(one)
    return tuple(sorted(planned, key=lambda one: one.group))


def _planned(step: Step, scope: dict[str, Any], order: Graph, group: int) -> PlannedStep:
    known, unknown = _arguments(step, scope)
    return PlannedStep(
        id=step.id,
        kind=step.kind,
        group=group,
        runs=_runs(step, scope),
        writes=step.id in order.writes,
        tools=step.agent.tools if step.agent is not None else (step.tool,) if step.tool else (),
        known=known,
        open=unknown,
        when=step.when,
        each=next(paths(step.each), "") if step.each is not None else "",
        times=_times(step, scope),
        model_calls=_model_calls(step),
        waits_for=order.needs[step.id],
        escalate=step.escalate,
    )


def _settled(value: Any, scope: Mapping[str, Any]) -> bool:
    """Whether every path of ``value`` leads to the input, or to a step that is known to be skipped."""
    for path in paths(value):
        root, *rest = path.split(".")
        if root == "steps" and rest[0] not in scope["steps"]:
            return False
        if root == "item" and root not in scope:
            return False
    return True


def _arguments(step: Step, scope: dict[str, Any]) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
    known: dict[str, Any] = {}
    unknown: dict[str, tuple[str, ...]] = {}
    for name, value in step.args.items():
        if not _settled(value, scope):
            unknown[name] = tuple(dict.fromkeys(paths(value)))
            continue
        try:
            known[name] = resolve(value, scope)
        except InvalidInput:
            unknown[name] = tuple(dict.fromkeys(paths(value)))
    return known, unknown


def _runs(step: Step, scope: dict[str, Any]) -> Runs:
    if step.when is None:
        return "yes"
    if not _settled(step.when, scope):
        return "open"
    return "yes" if holds(step.when, scope) else "no"


def _times(step: Step, scope: dict[str, Any]) -> int | None:
    if step.each is None:
        return 1
    if not _settled(step.each, scope):
        return None
    try:
        elements = resolve(step.each, scope)
    except InvalidInput:
        return None
    return len(elements) if isinstance(elements, list | tuple) else 0


def _model_calls(step: Step) -> int:
    if step.kind == "prompt":
        return 2  # the answer and its repair
    if step.agent is None:
        return 0
    return step.agent.max_turns + 1 + 2  # turns, the closing question, and both again for the repair
