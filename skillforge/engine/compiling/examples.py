"""The examples of language steps are taken from the traces: what a step would have seen, and what it answered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from skillforge.engine.compiling.fold import Folded, FoldedCall
from skillforge.engine.compiling.values import same
from skillforge.hygiene import hidden_text, walk_strings
from skillforge.redact import find_secrets
from skillforge.references import holds
from skillforge.secretpatterns import is_credential
from skillforge.skill import Skill
from skillforge.skillparts import Example, Examples, Limits
from skillforge.step import Step
from skillforge.taint import suspicious_results
from skillforge.tokens import CHARACTERS_PER_TOKEN

Answers = Mapping[str, Mapping[str, Any]]  # trace id -> step id -> what it answered (of `each`: a list)
Scopes = Mapping[str, Mapping[str, Any]]  # trace id -> the input fields, and `steps`: step id -> value

MAX_EXAMPLES = 4
MAX_CHARS = 24_000  # of all examples of a step: a cheap model reads them with every input
_ROOM = 1.5  # an input may be this much longer than the longest that was seen


def with_examples(skill: Skill, folded: Folded, answers: Answers) -> Skill:
    """The skill with examples for each language step from the traces it was folded from, and limits that fit them. A
    trace with an order in a tool result gives none.
    """
    scopes = {trace.case_id: _scope(folded, trace.case_id, answers) for trace in folded.alignment.traces}
    clean = frozenset(trace.case_id for trace in folded.alignment.traces if not suspicious_results(trace))
    steps = tuple(_with(skill, step, scopes, answers, clean) if step.kind == "prompt" else step for step in skill.steps)
    return skill.model_copy(update={"steps": steps})


def _scope(folded: Folded, trace: str, answers: Answers) -> dict[str, Any]:
    given = folded.given[trace]
    values: dict[str, Any] = dict(answers[trace])
    for call in folded.calls:
        values[call.slot.id] = _value(call, trace)
    return {**given, "steps": values}


def _value(call: FoldedCall, trace: str) -> Any:
    """What the step will give: as recorded, or that of a step which is skipped or has nothing to do."""
    return call.slot.result(trace) if trace in call.slot.runs or call.each is None else []


def _with(skill: Skill, step: Step, scopes: Scopes, answers: Answers, clean: frozenset[str]) -> Step:
    items = step_examples(skill, step, scopes, answers, list(scopes))
    shown = fitted(step, [(item, trace) for item, trace in items if trace in clean])
    return sized(shown, [item for item, _ in items])


def step_examples(
    skill: Skill, step: Step, scopes: Scopes, answers: Answers, chosen: Sequence[str]
) -> list[tuple[Example, str]]:
    """An example with the trace it is from, for each time the step was asked in the ``chosen`` traces. Of a step with
    ``each`` there is one for every element.
    """
    from skillforge.engine.workflow.language import step_input, step_skill
    from skillforge.template import template_paths

    small, paths = step_skill(skill, step), template_paths(step.prompt)
    found: list[tuple[Example, str]] = []
    for trace in chosen:
        answer = answers.get(trace, {}).get(step.id)
        for name, scope, said in _asked(step, trace, scopes[trace], answer):
            found.append((Example(id=name, input=step_input(small, scope, paths), output=said), trace))
    return found


def _asked(step: Step, trace: str, scope: Mapping[str, Any], answer: Any) -> list[tuple[str, Mapping[str, Any], Any]]:
    if answer is None:
        return []
    if step.each is None:
        return [(trace, scope, answer)]
    from skillforge.references import resolve

    elements = resolve(step.each, scope)
    if not isinstance(elements, list) or not isinstance(answer, list):
        return []
    inner = [{**scope, "item": element} for element in elements]
    asked = [each for each in inner if step.when is None or holds(step.when, each)]
    return [(f"{trace}-{n + 1}", each, said) for n, (each, said) in enumerate(zip(asked, answer, strict=False))]


def fitted(step: Step, items: Sequence[tuple[Example, str]]) -> Step:
    """The step with as many examples as are worth their length, different answers first; none that holds a secret or
    hidden text, which no skill may.
    """
    seen: set[str] = set()
    fresh: list[Example] = []
    others: list[Example] = []
    for item, _ in items:
        (others if same(item.output) in seen else fresh).append(item)
        seen.add(same(item.output))
    shown: list[Example] = []
    room = MAX_CHARS
    for item in (*fresh, *others):
        size = _size(item)
        if len(shown) < MAX_EXAMPLES and size <= room and _may_be_shown(item):
            shown.append(item)
            room -= size
    return step.model_copy(update={"examples": Examples(items=tuple(shown))})


def _may_be_shown(item: Example) -> bool:
    for place, text in walk_strings([item.input, item.output]):
        names = [part for part in place if isinstance(part, str)]
        if hidden_text(text) or find_secrets(text) or (names and is_credential(names[-1], text)):
            return False
    return True


def sized(step: Step, asked: Sequence[Example]) -> Step:
    """The step with limits that its own inputs fit with room to spare."""
    longest = max((_size(item) for item in asked), default=0)
    said = max((len(json.dumps(item.output, ensure_ascii=False)) for item in asked), default=0)
    fixed = len(step.instructions) + len(step.prompt) + sum(_size(item) for item in step.examples.items)
    default = Limits()
    inputs = max(default.input_tokens, int((fixed + _ROOM * longest) / CHARACTERS_PER_TOKEN) + 2000)
    outputs = max(default.output_tokens, int(_ROOM * said / 3) + 200)
    return step.model_copy(update={"limits": Limits(input_tokens=inputs, output_tokens=outputs)})


def _size(item: Example) -> int:
    return len(json.dumps([item.input, item.output], ensure_ascii=False))
