"""Wrong outputs made from right ones, always the same: what a check must be able to tell apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from skillforge.canonical import canonical_json
from skillforge.contract import Validator
from skillforge.skill import Skill
from skillforge.trace import Trace

MAX_TRACES = 20
MAX_OTHERS = 5  # outputs of other cases tried on one
_CHARACTERS_PER_TOKEN = 4
_REFUSAL = "I am sorry, but I cannot help with that."
_MARKUP = "See http://example.com and https://example.com <b>now</b>.\n```\n{}\n```"


def wrong_outputs(skill: Skill, traces: Sequence[Trace]) -> list[tuple[Trace, Any]]:
    """(the case, a wrong output for it) for up to ``MAX_TRACES`` cases: other cases' outputs, swapped labels, emptied,
    overlong, echoed and marked-up texts, changed numbers. Only those that the output contract lets through, since no
    check ever sees another.
    """
    schema = skill.output_schema()
    validator = None if schema is None else Validator(schema)
    found = []
    for place, trace in enumerate(traces[:MAX_TRACES]):
        right, seen = _key(trace.output), set()
        others = [*traces[place + 1 :], *traces[:place]]
        for output in _mutated(skill, trace, [other.output for other in others]):
            key = _key(output)
            if key == right or key in seen or not _fits(output, validator):
                continue
            seen.add(key)
            found.append((trace, output))
    return found


def _mutated(skill: Skill, trace: Trace, others: Sequence[Any]) -> Iterator[Any]:
    different = list({_key(other): other for other in others if _key(other) != _key(trace.output)}.values())
    yield from different[:MAX_OTHERS]
    operands = [text for check in skill.checks for text in _texts(check.value)]
    if not isinstance(trace.output, Mapping) or skill.output == "text":
        if isinstance(trace.output, str):
            yield from _other_texts(trace.output, trace.input, skill, operands)
        return
    for name, value in trace.output.items():
        schema = skill.output.get(name, {}) if isinstance(skill.output, Mapping) else {}
        swapped = [other[name] for other in different if isinstance(other, Mapping) and name in other]
        for wrong in (*_other_values(value, schema, trace.input, skill, operands), *swapped[:MAX_OTHERS]):
            yield {**trace.output, name: wrong}


def _other_values(
    value: Any, schema: Mapping[str, Any], given: Mapping[str, Any], skill: Skill, operands: Sequence[str]
) -> Iterator[Any]:
    if isinstance(schema.get("enum"), list):
        yield from schema["enum"]
        return
    yield None
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, str):
        yield from _other_texts(value, given, skill, operands)
    elif isinstance(value, int | float):
        yield from (0, -1, value + 1, value * 1000 + 7, -value)
    elif isinstance(value, list | tuple):
        yield from ([], [*value, *value], list(value)[:-1])
    elif isinstance(value, Mapping):
        yield {}


def _other_texts(value: str, given: Mapping[str, Any], skill: Skill, operands: Sequence[str]) -> Iterator[str]:
    longest = max((text for text in given.values() if isinstance(text, str)), key=len, default="")
    overlong = skill.limits.output_tokens * _CHARACTERS_PER_TOKEN
    yield from ("", " ", "?", _REFUSAL, _MARKUP, longest, value.upper(), value[: len(value) // 2], value[::-1])
    yield ("word " * (overlong // 5 + 1))[:overlong]
    for operand in operands:
        yield from (operand, f"So: {operand} and more")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value[:2_000]
    elif isinstance(value, list | tuple):
        yield from (item[:2_000] for item in value[:20] if isinstance(item, str))


def _fits(output: Any, validator: Validator | None) -> bool:
    if validator is None:
        return isinstance(output, str) and bool(output.strip())
    return not validator.problems(output)


def _key(value: Any) -> bytes:
    try:
        return canonical_json(value)
    except ValueError:
        return repr(value).encode("utf-8", "backslashreplace")
