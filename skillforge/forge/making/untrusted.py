"""What of a new skill stands in a tool result: provenance names it, and whoever reviews the draft is shown it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from skillforge.forge.workspace import Workspace
from skillforge.skill import Skill
from skillforge.taint import suspicious_tools, tainted
from skillforge.trace import Trace

TOLD = 20  # stretches that provenance names


def from_tools(work: Workspace, skill: Skill, traces: Sequence[Trace]) -> tuple[tuple[str, ...], dict[str, int]]:
    """What of the skill comes from tool results: line by line, without secrets, and of its examples how many texts of
    each tool. The names of its own fields are nobody's text.
    """
    names = {name for tool in skill.tools for name in tool.parameters.get("properties", {})}
    found = [taint for taint in tainted(skill, traces) if taint.flagged or taint.excerpt not in names]
    examples = Counter(taint.tool for taint in found if _is_example(taint.where))
    left_out = [f"{taint} (left out)" for taint in suspicious_tools(traces)]
    told = [str(taint) for taint in found if not _is_example(taint.where)]
    return tuple(map(work.redactor.text, (*left_out, *told))), dict(examples.most_common())


def _is_example(where: str) -> bool:
    return where.startswith("examples.items") or ".examples.items" in where
