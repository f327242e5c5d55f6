"""Random workflows are executed on synthetic tools; what is compiled from their traces does the same again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import anyio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillforge.engine.compiling.fold import asked_in
from skillforge.engine.compiling.mechanical import Plan, mechanical
from skillforge.engine.compiling.verify import Verified, verify
from skillforge.skillfile import parse_skill
from skillforge.trace import Trace
from tests.fakes.agent_traces import Call, agent_trace


@dataclass(frozen=True)
class Made:
    """A step of a synthetic workflow: its tool, where each argument comes from, and whether it runs for a list."""

    tool: str
    sources: tuple[tuple[str, str, str], ...]  # (argument, kind, reference)
    each: int | None = None  # the step whose ``lines`` it runs over
    only_if: bool = False


def _result(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What a synthetic tool gives: values that hang on all of its arguments, and stand nowhere else."""
    mark = hashlib.sha256(repr((tool, sorted(arguments.items()))).encode()).hexdigest()
    return {
        "id": f"{tool}-{mark[:8]}",
        "total": int(mark[8:13], 16) + 1000,
        "owner": {"code": f"P{mark[13:20]}"},
        "lines": [{"sku": f"S{mark[20 + n : 26 + n]}", "count": n + 200} for n in range(2 + int(mark[40], 16) % 2)],
        "open": True,
    }


@st.composite
def workflows(draw: st.DrawFn) -> tuple[Made, ...]:
    """Two to five steps, the last of which writes; each uses the input, constants and earlier results."""
    count = draw(st.integers(2, 5))
    steps: list[Made] = []
    for number in range(count):
        write = number == count - 1 or draw(st.integers(0, 3)) == 0
        tool = f"{'update' if write else 'get'}_thing_{number}"
        each = draw(st.sampled_from([None, None, None, *range(number)])) if number else None
        if each is not None and steps[each].each is not None:
            each = None
        sources = [("key", *draw(_source(steps)))]
        if draw(st.booleans()):
            sources.append(("extra", *draw(_source(steps))))
        if draw(st.booleans()):
            sources.append(("kind", "constant", draw(st.sampled_from(["standard", 7, True]))))  # type: ignore[arg-type]
        if each is not None:
            sources = [("sku", "item", "sku"), *sources[1:]]
        steps.append(Made(tool, tuple(sources), each, only_if=draw(st.integers(0, 4)) == 0 and number == count - 1))
    return tuple(steps)


def _source(steps: list[Made]) -> st.SearchStrategy[tuple[str, str]]:
    usable = [n for n, step in enumerate(steps) if step.each is None and not step.only_if]
    inputs = st.sampled_from(["customer", "order"]).map(lambda name: ("input", name))
    if not usable:
        return inputs
    paths = st.tuples(st.sampled_from(usable), st.sampled_from(["id", "total", "owner.code"]))
    return inputs | paths.map(lambda pair: ("result", f"{pair[0]}.{pair[1]}"))


def _executed(steps: tuple[Made, ...], name: str, values: dict[str, Any]) -> Trace:
    results: list[Any] = []
    calls: list[Call] = []
    for step in steps:
        if step.only_if and not values["urgent"]:
            results.append(None)
            continue
        items = [None] if step.each is None else results[step.each]["lines"]
        made = []
        for item in items:
            arguments = {argument: _value(kind, path, values, results, item) for argument, kind, path in step.sources}
            made.append(_result(step.tool, arguments))
            calls.append((step.tool, arguments, made[-1]))
        results.append(made[0] if step.each is None else made)
    shown = {
        f"r{n}": found["id"] for n, found in enumerate(results) if isinstance(found, dict) and not steps[n].only_if
    }
    return agent_trace(name, calls, given=values, answer=shown or "done", task="do the thing", said=repr(values))


def _value(kind: str, path: Any, values: dict[str, Any], results: list[Any], item: Any) -> Any:
    if kind == "constant":
        return path
    if kind == "input":
        return values[path]
    if kind == "item":
        return item[path]
    step, _, inner = path.partition(".")
    found = results[int(step)]
    for part in inner.split("."):
        found = found[part]
    return found


def _compiled(traces: list[Trace]) -> tuple[Plan, Verified]:
    plan = mechanical("do the thing", traces)
    return plan, anyio.run(verify, plan.skill, traces, plan.answers)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=workflows(), seed=st.integers(0, 10_000), count=st.integers(1, 4))
def test_what_is_compiled_from_traces_makes_their_writes_again(steps: tuple[Made, ...], seed: int, count: int) -> None:
    traces = [
        _executed(
            steps,
            f"t{n}",
            {"customer": f"C{seed * 7 + n * 13 + 1000}", "order": f"O-{seed + n * 31 + 5000}", "urgent": n % 2 == 0},
        )
        for n in range(count)
    ]
    plan, verified = _compiled(traces)
    assert verified.problems == ()
    parse_skill(plan.skill.model_dump(mode="json", by_alias=True, exclude_defaults=True), path="compiled")
    if count > 1 and not any(step.only_if for step in steps):  # all of it can be looked up: no model says an argument
        asked = [ask for call in plan.folded.calls for ask in asked_in([call.when, call.each, _expressions(call)])]
        assert asked == []
        assert verified.warnings == ()


def _expressions(call: Any) -> list[Any]:
    return [found.expression for found in call.args.values()]
