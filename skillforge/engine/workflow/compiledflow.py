"""What is worked out once per workflow: its graph, its language steps as small skills."""

from __future__ import annotations

from skillforge.contract import Validator
from skillforge.engine.workflow.graph import Graph, graph
from skillforge.engine.workflow.language import step_skill
from skillforge.skill import Skill
from skillforge.step import Step

_KEPT = 32


class CompiledFlow:
    """Read-only companions of one workflow value: ``steps`` by id, ``small`` the skills of those that ask a model,
    ``arguments`` validates what a tool is given, by its name.
    """

    __slots__ = ("arguments", "graph", "small", "steps")

    def __init__(self, skill: Skill, writing: frozenset[str]) -> None:
        self.graph: Graph = graph(skill, writing)
        self.arguments = {tool.name: Validator(tool.parameters) for tool in skill.tools}
        self.steps: dict[str, Step] = {step.id: step for step in skill.steps}
        asking = (step for step in skill.steps if step.kind in ("prompt", "agent"))
        self.small: dict[str, Skill] = {step.id: step_skill(skill, step) for step in asking}


# By the object a skill is, as its other companions: see skillforge.engine.compiled.
_compiled: dict[tuple[int, frozenset[str]], tuple[Skill, CompiledFlow]] = {}


def compiled_flow(skill: Skill, writing: frozenset[str]) -> CompiledFlow:
    """The companions of a workflow whose tools ``writing`` change the world, built on first use and kept for the last
    32 that were built.
    """
    key = id(skill), writing
    found = _compiled.get(key)
    if found is None:
        found = skill, CompiledFlow(skill, writing)
        for oldest in list(_compiled)[: 1 - _KEPT]:
            _compiled.pop(oldest, None)
        _compiled[key] = found
    return found[1]
