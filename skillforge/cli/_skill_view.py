"""How a skill is shown to a person: what it takes and gives, what a model is told, the steps of a workflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from skillforge.canonical import compact
from skillforge.cli._asking import visible

if TYPE_CHECKING:
    from skillforge.skill import Skill
    from skillforge.step import Step


def skill_lines(skill: Skill) -> Iterator[str]:
    """The skill's body, line by line."""
    yield f"input:  {compact(skill.input)}"
    yield f"output: {compact(skill.output)}"
    yield ""
    if skill.instructions or not skill.is_workflow:
        yield f"instructions:\n{skill.instructions.rstrip()}\n"
    if skill.is_workflow:
        yield from _workflow(skill)
    else:
        yield f"prompt:\n{skill.prompt.rstrip()}\n"
        examples = skill.examples
        shown = "" if examples.select == "all" else f", k {examples.k}"
        yield f"examples: {len(examples.items)}, select {examples.select}{shown}"
    for check in skill.checks:
        yield f"check: {compact(check.model_dump(exclude_defaults=True))}"


def origin_lines(provenance: Mapping[str, Any]) -> Iterator[str]:
    """What a reviewer must know of where a skill came from: traces that nobody here watched, texts out of their tools'
    results.
    """
    if not provenance.get("untrusted") and provenance.get("source") != "untrusted":
        return
    traces = [str(trace) for trace in provenance.get("traces", [])]
    shown = ", ".join(traces[:5]) + (f" and {len(traces) - 5} more" if len(traces) > 5 else "")
    own = "its own traces" if provenance.get("author") == "teacher" else "what nobody here wrote"
    source = f"traces ({shown})" if traces else own
    yield visible(f"untrusted: written from {source} by {provenance.get('author', 'an unknown author')}")
    for taint in provenance.get("from_tools", []):
        yield visible(f"  out of a tool's result: {taint}")
    held = provenance.get("examples_from") or {}
    if held:
        counts = ", ".join(f"{count} from {tool}" for tool, count in held.items())
        yield visible(f"  its examples hold texts out of tool results: {counts}")


def _workflow(skill: Skill) -> Iterator[str]:
    for tool in skill.tools:
        effect = "writes" if tool.effect == "write" else "reads"
        key = f", idempotency key {tool.idempotency_key}" if tool.idempotency_key else ""
        yield f"tool: {tool.name} ({effect}{key})"
    yield ""
    for number, step in enumerate(skill.steps, start=1):
        yield f"{number}. {step.id}: {_done(step)}"
        if step.when is not None:
            yield f"     when {compact(step.when)}"
        if step.each is not None:
            yield f"     for each of {compact(step.each)}"
        for text in (step.instructions, step.prompt):
            yield from (f"     | {line}" for line in text.strip().splitlines())
        if step.kind in ("prompt", "agent"):
            yield f"     gives {compact(step.output)}; {len(step.examples.items)} examples"
    yield f"result: {compact(skill.result) if skill.result is not None else 'the value of the last step'}"


def _done(step: Step) -> str:
    match step.kind:
        case "tool":
            return f"{step.tool}({compact(step.args)})"
        case "agent":
            assert step.agent is not None
            return f"a tool loop of at most {step.agent.max_turns} turns over {', '.join(step.agent.tools)}"
        case "escalate":
            return f"stops: {step.escalate}"
        case _:
            return "asks a model"
