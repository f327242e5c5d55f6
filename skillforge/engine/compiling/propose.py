"""The teacher proposes a workflow from aligned traces; a program proves it on them before anybody sees it.

What a proposal looks like is said in ``proposal_text.INSTRUCTIONS``, to the teacher and to whoever writes one by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skillforge.canonical import digest
from skillforge.engine.author import REPAIR, Draft, Prove
from skillforge.engine.compiling.effects import tools_of
from skillforge.engine.compiling.events import segment, succeeded, task_input
from skillforge.engine.compiling.examples import Answers, sized, step_examples
from skillforge.engine.compiling.fold import fold
from skillforge.engine.compiling.mechanical import Plan, mechanical
from skillforge.engine.compiling.proposal_text import INSTRUCTIONS, evidence
from skillforge.engine.compiling.values import shape
from skillforge.engine.compiling.verify import Verified, verify, with_outcome
from skillforge.engine.parse import find_json
from skillforge.errors import SkillFileError
from skillforge.messages import Cost, Message, Request, RequestKey, Tool, Usage
from skillforge.providers.base import Provider
from skillforge.skill import SCHEMA_ID, Skill
from skillforge.skillfile import parse_skill
from skillforge.skillparts import Example, Examples, Limits
from skillforge.step import Step
from skillforge.taint import taint_problems
from skillforge.trace import Trace

WORKFLOW_ROLE = "author-workflow"
WORKFLOW_TOKENS = 16_000
SHOWN_PROBLEMS = 20
NO_STEPS = "steps: a workflow is wanted, as a list of steps: each has an id and a tool, a prompt, an agent or escalate"
PlanWriter = Callable[[str, Sequence[Trace], str | None], Plan]  # task, traces, the skill's name
_OPEN = Limits(input_tokens=1_000_000, output_tokens=100_000)  # until it is known how long inputs are


@dataclass(frozen=True)
class Proposed:
    """A proposal as it was read: the skill, all that is wrong with it, its answers, and how it did on its traces."""

    skill: Skill | None
    problems: tuple[str, ...]
    answers: Answers
    verified: Verified | None = None


def workflow_request(task: str, traces: Sequence[Trace]) -> Request:
    """What the teacher is asked. Its key names the traces by digest, not by wording.

    Raises ``UsageError`` as ``align``.
    """
    told = [[trace.case_id, [message.model_dump(mode="json") for message in trace.messages]] for trace in traces]
    return Request(
        messages=(Message.of("system", INSTRUCTIONS), Message.of("user", evidence(task, traces, fold(traces)))),
        key=RequestKey(role=WORKFLOW_ROLE, task=task, input={"traces": digest(_texts(told))}),
        max_output_tokens=WORKFLOW_TOKENS,
    )


async def author_workflow(
    task: str,
    traces: Sequence[Trace],
    teacher: Provider,
    *,
    name: str | None = None,
    prove: Prove | None = None,
) -> Draft:
    """A drafted workflow from traces: at most two calls. It is linted, run on its own traces, and may hold no order out
    of a tool result; ``prove`` must find nothing wrong either. What is wrong goes back once, verbatim.

    Raises ``UsageError`` as ``align``, and as the provider does.
    """
    request = workflow_request(task, traces)
    completion = await teacher.complete(request)
    skill, problems = await _judged(task, completion.text, traces, name, prove)
    answers: tuple[str, ...] = (completion.text,)
    usage, cost = completion.usage, completion.cost
    if problems:
        listed = "\n".join(f"- {problem}" for problem in problems)
        turns = (completion.message, Message.of("user", REPAIR.format(problems=listed)))
        asked = {**request.key.input, "draft": digest(completion.text)}
        key = RequestKey(role=f"{WORKFLOW_ROLE}-repair", task=task, input=asked)
        completion = await teacher.complete(
            request.model_copy(update={"messages": request.messages + turns, "key": key})
        )
        skill, problems = await _judged(task, completion.text, traces, name, prove)
        answers = (*answers, completion.text)
        usage, cost = usage + completion.usage, cost + completion.cost
    return Draft(skill, problems, answers, completion.model, usage, cost)


async def _judged(
    task: str, text: str, traces: Sequence[Trace], name: str | None, prove: Prove | None
) -> tuple[Skill | None, tuple[str, ...]]:
    read = await read_proposal(task, text, traces, name)
    if read.skill is None or read.problems or prove is None:
        return read.skill, read.problems
    return read.skill, await prove(read.skill)


async def mechanical_draft(
    task: str, traces: Sequence[Trace], name: str | None = None, write: PlanWriter = mechanical
) -> Proposed:
    """The plan that nobody wrote, held to the same rules as a teacher's."""
    plan = write(task, traces, name)
    verified = await verify(plan.skill, traces, plan.answers)
    problems = (*verified.problems, *_lint(plan.skill), *taint_problems(plan.skill, traces))
    return Proposed(plan.skill, problems[:SHOWN_PROBLEMS], plan.answers, verified)


async def read_proposal(task: str, text: str, traces: Sequence[Trace], name: str | None = None) -> Proposed:
    """The workflow in a proposal, read strictly and run on its traces, and all that is wrong with it."""
    body = find_json(text)
    if body is None:
        return Proposed(None, ("the answer is not one JSON object",), {})
    answers, problems = _answers(body.pop("answers", None), traces)
    if not isinstance(body.get("steps"), list) or not body["steps"]:
        problems += (NO_STEPS,)
    good = [segment(trace) for trace in traces if succeeded(trace)]
    tools, wrong = _tools(body.get("tools"), body.get("steps"), traces)
    chosen, misspelt = _without_examples(body.get("steps"), good)
    problems += (*wrong, *misspelt)
    if problems:
        return Proposed(None, problems, answers)
    given = [task_input(trace) for trace in good]
    contract = {key: shape([each[key] for each in given if key in each]) for each in given for key in each}
    body = {
        "schema": SCHEMA_ID,
        "input": contract,
        **body,
        "task": task,
        "tools": tools,
        **({"name": name} if name else {}),
    }
    limited = {step.get("id") for step in body.get("steps") or [] if isinstance(step, dict) and "limits" in step}
    try:
        skill = parse_skill(body, path="the proposed workflow")
    except SkillFileError as exc:
        return Proposed(None, _listed(exc), answers)
    open_steps = tuple(
        step if step.id in limited else step.model_copy(update={"limits": _OPEN}) for step in skill.steps
    )
    verified = await verify(skill.model_copy(update={"steps": open_steps}), traces, answers)
    if verified.problems:
        return Proposed(skill, verified.problems[:SHOWN_PROBLEMS], answers, verified)
    finished = _finished(skill, good, answers, verified, chosen, limited)
    problems = (*_lint(finished), *taint_problems(finished, traces))
    return Proposed(finished, problems[:SHOWN_PROBLEMS], answers, verified)


def _answers(given: Any, traces: Sequence[Trace]) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
    good = [trace.case_id for trace in traces if succeeded(trace)]
    if given is None:
        given = {}
    if not isinstance(given, dict) or not all(isinstance(said, dict) for said in given.values()):
        return {}, ("answers: must be {trace id: {step id: answer}}",)
    known = {trace.case_id for trace in traces}
    unknown = [str(name) for name in given if name not in known]
    if unknown:
        return {}, (f"answers: there is no trace {', '.join(unknown[:5])}; the traces are {', '.join(good[:20])}",)
    said = {name: {step: answer for step, answer in row.items() if answer is not None} for name, row in given.items()}
    return said, ()


def _tools(given: Any, steps: Any, traces: Sequence[Trace]) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The tools that the steps name, as the traces show them, corrected by what the proposal says. It may call a read a
    write, never the other way round.
    """
    known = dict(tools_of(traces))
    problems: list[str] = []
    for item in given if isinstance(given, list) else []:
        row = {"name": item} if isinstance(item, str) else item
        base = known.get(row.get("name", "")) if isinstance(row, dict) else None
        if base is None:
            named = row.get("name", "") if isinstance(row, dict) else row
            problems.append(f"tools: {str(named)[:80]} is called in no trace")
        elif base.effect == "write" and row.get("effect") == "read":
            problems.append(f"tools: {base.name} writes: that cannot be taken back by a proposal")
        else:
            allowed = {"description", "parameters", "effect", "idempotency_key"}
            changed = {key: value for key, value in row.items() if key in allowed}
            known[base.name] = Tool.model_construct(**{**base.model_dump(), **changed})
    named = _named_tools(steps)
    problems += [f"steps: the tool {name!r} is called in no trace" for name in named if name not in known]
    return [known[name].model_dump() for name in named if name in known], tuple(problems)


def _named_tools(steps: Any) -> list[str]:
    named: list[str] = []
    for step in steps if isinstance(steps, list) else []:
        if isinstance(step, dict):
            agent = step.get("agent")
            inner = agent.get("tools") if isinstance(agent, dict) else None
            named += [name for name in (step.get("tool"), *(inner if isinstance(inner, list) else ())) if name]
    return [*dict.fromkeys(name for name in named if isinstance(name, str))]


def _without_examples(steps: Any, good: Sequence[Trace]) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
    """What each step says of its examples, taken out of it: they are made when the plan has run."""
    chosen: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    ids = [trace.case_id for trace in good]
    for step in steps if isinstance(steps, list) else []:
        spec = step.pop("examples", None) if isinstance(step, dict) else None
        if spec is None:
            continue
        place = f"steps.{step.get('id')}.examples"
        named = spec.get("ids") if isinstance(spec, dict) else None
        named = ids if named == "all" else named
        if not isinstance(named, list) or not spec.keys() <= {"ids", "select", "k"}:
            problems.append(f'{place}: must be {{"ids": [trace ids] or "all", "select": …, "k": …}}')
        elif unknown := [str(name) for name in named if name not in ids]:
            problems.append(f"{place}: no successful trace has the id {', '.join(unknown[:5])}")
        else:
            chosen[str(step.get("id"))] = {**spec, "ids": named}
    return chosen, tuple(problems)


def _finished(
    skill: Skill,
    good: Sequence[Trace],
    answers: Answers,
    verified: Verified,
    chosen: Mapping[str, Mapping[str, Any]],
    limited: set[Any],
) -> Skill:
    """The skill with its examples and with limits that its inputs fit."""
    said = {trace.case_id: with_outcome(skill, trace, answers.get(trace.case_id, {})) for trace in good}
    scopes = {check.trace: _scope(skill, check.run) for check in verified.checks if check.run is not None}
    steps = []
    for step in skill.steps:
        if step.kind in ("prompt", "agent"):
            spec = chosen.get(step.id)
            asked = [(item, trace) for item, trace in step_examples(skill, step, scopes, said, list(scopes))]
            shown = tuple(item for item, trace in asked if spec is not None and trace in spec["ids"])
            step = _with_examples(step, shown, spec)
            step = step if step.id in limited else sized(step, [item for item, _ in asked])
        steps.append(step)
    return skill.model_copy(update={"steps": tuple(steps)})


def _with_examples(step: Step, shown: tuple[Example, ...], spec: Mapping[str, Any] | None) -> Step:
    if not shown:
        return step
    how = {key: value for key, value in (spec or {}).items() if key in ("select", "k")}
    return step.model_copy(
        update={"examples": Examples.model_construct(**{**Examples().model_dump(), **how, "items": shown})}
    )


def _scope(skill: Skill, run: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for step in skill.steps:
        mine = {each.key: each.output for each in run.steps if each.key.partition("[")[0] == step.id}
        if step.each is None:
            values[step.id] = mine.get(step.id)
        else:
            values[step.id] = [mine[f"{step.id}[{n}]"] for n in range(len(mine)) if f"{step.id}[{n}]" in mine]
    return {**run.input, "steps": values}


def _lint(skill: Skill) -> tuple[str, ...]:
    try:
        parse_skill(skill.model_dump(mode="json", by_alias=True, exclude_defaults=True), path="the workflow")
    except SkillFileError as exc:
        return _listed(exc)
    return ()


def _listed(exc: SkillFileError) -> tuple[str, ...]:
    wrong = [item for item in exc.problems if item.level == "error"]
    return tuple(f"{item.field}: {item.message}" if item.field else item.message for item in wrong)[:SHOWN_PROBLEMS]


def _texts(told: Any) -> Any:
    """As JSON that always has a digest: numbers beyond 2**53 in a result are no reason to refuse a trace."""
    import json

    return json.dumps(told, sort_keys=True, ensure_ascii=True)


def free_draft(proposed: Proposed, text: str = "") -> Draft:
    """A proposal that no provider was asked for, as a draft."""
    answers = (text,) if text else ()
    return Draft(proposed.skill, proposed.problems, answers, "", Usage(), Cost(usd=0.0))
