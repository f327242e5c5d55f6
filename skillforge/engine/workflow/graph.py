"""Which step waits for which: for the steps whose values it uses, and a write for what stands before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from skillforge.messages import Tool
from skillforge.references import steps_named
from skillforge.skill import Skill
from skillforge.step import Step
from skillforge.template import template_paths


@dataclass(frozen=True)
class Graph:
    """``needs``: step -> the steps it waits for, in file order; ``followers`` the other way round. ``writes`` are those
    that change the world. ``shown`` are the paths that a prompt looks up (``request``, ``item``, ``steps.order``).
    """

    needs: Mapping[str, tuple[str, ...]]
    followers: Mapping[str, tuple[str, ...]]
    writes: frozenset[str]
    shown: Mapping[str, frozenset[str]]

    def levels(self) -> dict[str, int]:
        """How many steps must have ended one after another before each, 0 for those that can start at once."""
        levels: dict[str, int] = {}
        for step, needs in self.needs.items():  # in file order: what a step waits for stands before it
            levels[step] = 1 + max((levels[need] for need in needs), default=-1)
        return levels


def writing_tools(tools: Iterable[Tool]) -> frozenset[str]:
    """The names of those that change the world."""
    return frozenset(tool.name for tool in tools if tool.effect == "write")


def graph(skill: Skill, writing: frozenset[str]) -> Graph:
    """The order of a workflow's steps. A step waits for those that its arguments, condition, list and prompt name; one
    that writes waits for every step that stands before it in the file: what comes first there happens first in the
    world, and nothing is changed that a failed read, a wrong answer or an escalation before it would have prevented.

    ``writing`` are the names of the tools that write.
    """
    writes = frozenset(step.id for step in skill.steps if writing & _called(step))
    shown = {step.id: template_paths(step.prompt) for step in skill.steps}
    needs: dict[str, tuple[str, ...]] = {}
    for step in skill.steps:
        named = steps_named([step.args, step.when, step.each])
        named |= {path.split(".")[1] for path in shown[step.id] if path.startswith("steps.")}
        needs[step.id] = tuple(other for other in needs if other in named or step.id in writes)
    followers = {step: tuple(other for other, own in needs.items() if step in own) for step in needs}
    return Graph(needs, followers, writes, shown)


def _called(step: Step) -> frozenset[str | None]:
    return frozenset((step.tool, *(step.agent.tools if step.agent is not None else ())))
