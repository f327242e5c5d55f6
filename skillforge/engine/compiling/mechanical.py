"""A whole plan without any model: what moved is a reference, what did not is what a language step has to say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skillforge.contract import Validator, schema_problems
from skillforge.engine.compiling.events import is_conversation
from skillforge.engine.compiling.examples import Answers, with_examples
from skillforge.engine.compiling.fold import Folded, FoldedCall, asked_in, fold
from skillforge.engine.compiling.origins import Ask
from skillforge.engine.compiling.slots import Slot
from skillforge.engine.compiling.values import same, shape
from skillforge.hygiene import hidden_text, walk_strings
from skillforge.messages import Tool
from skillforge.redact import find_secrets
from skillforge.skill import Skill
from skillforge.step import Step
from skillforge.template import RESERVED_NAMES
from skillforge.trace import Trace

UNDERSTAND, DECIDE, REPLY = "understand", "decide", "reply"
DONE = "Done."  # what a trace answered that ends without a word
MAX_RULES = 16_000  # characters of the agent's own prompt that the deciding steps are told
MAX_DESCRIPTION = 1000
_UNSLUG = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Plan:
    """A drafted workflow, what its language steps answered in each trace, and the analysis it was made from."""

    skill: Skill
    answers: Answers
    folded: Folded


def mechanical_plan(task: str, traces: Sequence[Trace], name: str | None = None) -> Skill:
    """A draft workflow from what the successful ones of ``traces`` share, with nobody asked.

    Arguments that stand in the request come from one language step, ``understand``; those that nothing explains, and
    whether a call that only some traces made is made at all, from ``decide`` steps that see the results before them;
    the final text from ``reply``. Their examples are the traces.

    Raises ``UsageError`` as ``align``, and where no call is left.
    """
    return mechanical(task, traces, name).skill


def mechanical(task: str, traces: Sequence[Trace], name: str | None = None) -> Plan:
    """``mechanical_plan`` with the answers that reproduce the traces."""
    return planned(fold(traces), task, name)


def planned(folded: Folded, task: str, name: str | None = None) -> Plan:
    """The plan of calls whose origins are known already."""
    return _Writer(folded).plan(task, name)


@dataclass
class _Language:
    """A language step under way: ``fields`` are what it is asked, ``sees`` the slots whose results its prompt shows."""

    id: str
    sees: tuple[str, ...]
    fields: dict[str, Ask] = field(default_factory=dict)
    schemas: dict[str, dict[str, Any]] = field(default_factory=dict)


class _Writer:
    """Writes the steps of a folded trace in order, and a language step wherever one is first needed."""

    def __init__(self, folded: Folded) -> None:
        self._folded = folded
        self._traces = folded.alignment.traces
        self._tools = folded.alignment.tools
        self._taken = {call.slot.id for call in folded.calls}
        self._understand = _Language(self._free(UNDERSTAND), ())
        self._deciding: list[_Language] = []
        self._steps: list[dict[str, Any] | _Language] = [self._understand]
        self._done: list[Slot] = []

    def plan(self, task: str, name: str | None) -> Plan:
        for call in self._folded.calls:
            step = self._tool_step(call)
            self._steps.append(step)
            self._done.append(call.slot)
        output, result, texts = self._answer()
        steps = [self._language_step(step) if isinstance(step, _Language) else step for step in self._steps]
        called = dict.fromkeys(slot.tool for slot in self._done)
        inputs = list(self._folded.given.values())
        body = {
            "name": name or _name(task, self._done, self._tools),
            "description": _description(task, self._done, len(self._traces)),
            "task": task,
            "input": {
                key: shape([given[key] for given in inputs if key in given]) for given in inputs for key in given
            },
            "output": output,
            "tools": tuple(self._tools[tool] for tool in called),
            "steps": tuple(Step.model_validate(step) for step in steps if step is not None),
            "result": result,
        }
        skill = Skill.model_validate(body)
        answers = self._answers(texts)
        return Plan(with_examples(skill, self._folded, answers), answers, self._folded)

    def _free(self, name: str) -> str:
        while name in self._taken:
            name = f"{name}_step"
        self._taken.add(name)
        return name

    def _tool_step(self, call: FoldedCall) -> dict[str, Any]:
        write = self._tools[call.slot.tool].effect == "write"
        step: dict[str, Any] = {"id": call.slot.id}
        if not write and call.when is None and (changed := self._written_since(call.slot)):
            step["when"] = {"any": [{"from": f"steps.{changed}", "exists": there} for there in (True, False)]}
        if isinstance(call.when, Ask):
            path = self._said(call.when, call, write, {"type": "boolean"})
            step["when"] = {"from": path, "equals": True}
        elif call.when is not None:
            step["when"] = call.when
        if isinstance(call.each, Ask):
            step["each"] = {"from": self._said(call.each, call, write, self._list_schema(call))}
        elif call.each is not None:
            step["each"] = call.each if call.when is None else {**call.each, "default": []}
        step["tool"] = call.slot.tool
        step["args"] = {key: self._written(key, found.expression, call, write) for key, found in call.args.items()}
        if any(event.failed for run in call.slot.runs.values() for event in run):
            step["on_error"] = "continue"
        return step

    def _written_since(self, slot: Slot) -> str:
        """The last write since the same tool read before: to read again means to wait for it."""
        last = ""
        for done in self._done:
            if self._tools[done.tool].effect == "write":
                last = done.id
            elif done.tool == slot.tool:
                last = ""
        return last if any(done.tool == slot.tool for done in self._done) else ""

    def _written(self, key: str, expression: Any, call: FoldedCall, write: bool) -> Any:
        """The expression with every ``Ask`` replaced by a reference to the language step that says it."""
        if isinstance(expression, Ask):
            given = self._tools[call.slot.tool].parameters.get("properties", {}).get(key)
            return {"from": self._said(expression, call, write, given if expression.name == key else None)}
        if isinstance(expression, Mapping) and any(True for _ in asked_in(expression)):
            return {inner: self._written(inner, value, call, write) for inner, value in expression.items()}
        if isinstance(expression, list):
            return [self._written(key, value, call, write) for value in expression]
        return expression

    def _list_schema(self, call: FoldedCall) -> dict[str, Any] | None:
        assert isinstance(call.each, Ask)
        rows = [row for listed in call.each.values.values() for row in listed]
        given = self._tools[call.slot.tool].parameters.get("properties", {})
        if rows and isinstance(rows[0], dict) and set(rows[0]) <= set(call.slot.keys):
            fields = {key: _fitting(given.get(key), [row[key] for row in rows]) for key in rows[0]}
            items = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
            return {"type": "array", "items": items}
        told = next((key for key, found in call.args.items() if found.expression == {"from": "item"}), "")
        return {"type": "array", "items": _fitting(given.get(told), rows)}

    def _said(self, ask: Ask, call: FoldedCall, write: bool, schema: dict[str, Any] | None) -> str:
        """The path at which a language step says the value; the step is made where there is none yet."""
        step = self._asked(ask, write)
        name = _field_name(ask.name)
        values = list(ask.values.values())
        if name in step.fields and not _alike(step.fields[name], ask):
            name = _field_name(f"{call.slot.id}_{ask.name}")
            while name in step.fields and not _alike(step.fields[name], ask):
                name += "_2"
        found = _fitting(schema, values)
        if len(ask.values) < len(self._traces):
            found = _nullable(found)
        if "description" not in found:
            found = {**found, "description": _about(ask, call, self._tools[call.slot.tool])}
        step.fields.setdefault(name, ask)
        step.schemas.setdefault(name, found)
        return f"steps.{step.id}.{name}"

    def _asked(self, ask: Ask, write: bool) -> _Language:
        """Which step says it: what stands in the request is understood at once, what a result holds is decided where
        that result is known, and all else as late as it can be (of a call that reads: as early).
        """
        if ask.literal or not self._done:
            return self._understand
        for step in (self._understand, *self._deciding):
            if ask.seen_in and ask.seen_in <= set(step.sees):
                return step
        if not ask.seen_in and not write and not self._deciding:
            return self._understand
        here = tuple(slot.id for slot in self._done)
        if not self._deciding or self._deciding[-1].sees != here:
            name = DECIDE if not self._deciding else f"{DECIDE}_{len(self._deciding) + 1}"
            self._deciding.append(_Language(self._free(name), here))
            self._steps.append(self._deciding[-1])
        return self._deciding[-1]

    def _answer(self) -> tuple[Any, Any, dict[str, str]]:
        """``(output, result, texts)``: the contract of the answer, how it is made, and the texts ``reply`` wrote."""
        everything = tuple(slot.id for slot in self._done)
        answers = self._folded.alignment.outcomes
        if self._folded.outcome is None:
            texts = {trace: answer if isinstance(answer, str) and answer else DONE for trace, answer in answers.items()}
            self._reply = _Language(self._free(REPLY), everything)
            self._steps.append(self._reply)
            return "text", {"from": f"steps.{self._reply.id}"}, texts
        reply = _Language(self._free(REPLY), everything)
        output = {
            key: shape([answer[key] for answer in answers.values() if key in answer]) for key in self._folded.outcome
        }
        result = {}
        for key, found in self._folded.outcome.items():
            whole = any(True for _ in asked_in(found.expression))
            if whole:
                values = {trace: answer.get(key) for trace, answer in answers.items()}
                reply.fields[key] = Ask(key, values)
                reply.schemas[key] = output[key]
            result[key] = {"from": f"steps.{reply.id}.{key}"} if whole else found.expression
        if reply.fields:
            self._steps.append(reply)
            self._deciding.append(reply)
        return output, result, {}

    def _language_step(self, step: _Language) -> dict[str, Any] | None:
        text = not step.fields
        if text and not step.id.startswith(REPLY):
            return None
        names = list(next(iter(self._folded.given.values())))
        lines = [f"{key}: {{{{ {key} }}}}" for key in names]
        lines += [f"{slot}: {{{{ steps.{slot} }}}}" for slot in step.sees]
        told = _FOR_REPLY if text else _FOR_UNDERSTAND if step is self._understand else _FOR_DECIDE
        rules = _rules(self._traces) if step is not self._understand else ""
        return {
            "id": step.id,
            "instructions": f"{told}\n\n{rules}".strip(),
            "prompt": "\n".join(lines),
            "output": "text" if text else step.schemas,
            **({"checks": self._copied(step)} if step is self._understand else {}),
        }

    def _copied(self, step: _Language) -> list[dict[str, Any]]:
        """Checks for what was copied out of the input in every trace: a model that makes it up, or takes it from an
        example, must not act on it.
        """
        given = {trace: _collapsed(" ".join(_texts(values))) for trace, values in self._folded.given.items()}
        return [
            {"type": "in-input", "path": f"/{name}", "on_fail": "escalate"}
            for name, ask in step.fields.items()
            if all(
                isinstance(value, str) and len(value) >= _COPIED and _collapsed(value) in given[trace]
                for trace, value in ask.values.items()
            )
        ]

    def _answers(self, texts: Mapping[str, str]) -> Answers:
        asking = [step for step in (self._understand, *self._deciding) if step.fields]
        return {
            trace.case_id: {
                **{
                    step.id: {name: ask.values.get(trace.case_id) for name, ask in step.fields.items()}
                    for step in asking
                },
                **({self._reply.id: texts[trace.case_id]} if texts else {}),
            }
            for trace in self._traces
        }


_COPIED = 3  # characters of a value that does not stand somewhere by accident


def _texts(value: Any) -> Iterator[str]:
    return (text for _, text in walk_strings(value))


def _collapsed(text: str) -> str:
    return " ".join(text.split())


_FOR_UNDERSTAND = "Read the request and say what it asks for. Copy names, numbers and ids exactly as they are written."
_FOR_DECIDE = (
    "Decide what to do from the request and from what the tools returned. Copy names, numbers and ids exactly as they "
    "are written; null where a field does not apply."
)
_FOR_REPLY = "Answer the request from what was done and found. Say only what the results show."


def _rules(traces: Sequence[Trace]) -> str:
    """The agent's own system prompt, where all traces had the same one: the rules it decided by."""
    told = {
        "\n".join(m.text for m in trace.messages if m.role == "system") for trace in traces if is_conversation(trace)
    }
    text = told.pop().strip() if len(told) == 1 else ""
    usable = text and len(text) <= MAX_RULES and not hidden_text(text) and not find_secrets(text)
    return f"The rules:\n{text}" if usable else ""


def _alike(one: Ask, other: Ask) -> bool:
    return same(dict(one.values)) == same(dict(other.values))


def _field_name(name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)[:60]
    plain = plain if plain and not plain[0].isdigit() else f"f_{plain}"
    return plain if plain not in RESERVED_NAMES else f"{plain}_value"


def _fitting(schema: dict[str, Any] | None, values: Sequence[Any]) -> dict[str, Any]:
    """The tool's own schema of a value where it can stand alone and holds all values, else what the values show."""
    if schema and isinstance(schema, dict) and "$ref" not in str(schema) and not schema_problems(schema):
        validator = Validator(schema)
        if not any(validator.problems(value) for value in values):
            return {key: value for key, value in schema.items() if key not in ("default", "title")}
    return shape(list(values))


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    kind = schema.get("type")
    if "enum" in schema:
        return {**{key: value for key, value in schema.items() if key != "type"}, "enum": [*schema["enum"], None]}
    if isinstance(kind, str):
        return {**schema, "type": [kind, "null"]}
    if isinstance(kind, list):
        return {**schema, "type": [*dict.fromkeys([*kind, "null"])]}
    return {"anyOf": [schema, {"type": "null"}]} if schema else {}


def _about(ask: Ask, call: FoldedCall, tool: Tool) -> str:
    """What a field means, for the model that fills it in."""
    if ask is call.when:
        return f"whether {tool.name} has to be called"
    if ask is call.each:
        return f"{', '.join(call.slot.keys)} of every call of {tool.name}; [] for none"
    return f"{ask.name} for {tool.name}"


def _name(task: str, slots: Sequence[Slot], tools: Mapping[str, Tool]) -> str:
    writing = [slot.tool for slot in slots if tools[slot.tool].effect == "write"]
    source = (
        "-".join(task.split()[:6]) if task.strip() else (writing or [slot.tool for slot in slots] or ["workflow"])[-1]
    )
    slug = _UNSLUG.sub("-", source.lower()).strip("-")[:64].strip("-")
    return slug or "workflow"


def _description(task: str, slots: Sequence[Slot], count: int) -> str:
    called = ", ".join(dict.fromkeys(slot.tool for slot in slots)) or "no tools"
    told = " ".join(task.split()).replace("<", "(").replace(">", ")")
    text = f"{told or 'A workflow'} (compiled from {count} trace{'' if count == 1 else 's'}; calls {called})"
    return text[:MAX_DESCRIPTION]
