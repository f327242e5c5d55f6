"""What a group of calls does, told from its answers beside its inputs: no model is asked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

from skillforge.traffic.answers import Answers, Values

Kind = Literal["classification", "extraction", "rewriting", "writing", "agent"]

_NEAR = 55.0  # rapidfuzz's ratio (normalised indel similarity, 0 to 100) of an answer and what it was made from
_LABEL = re.compile(r"[\w/&+.-]+(?: [\w/&+.-]+){0,4}!?")
_AROUND = "[]()<>*\"'` "  # what a label may be wrapped in
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[_./-][A-Za-z0-9]+)*")


def kind_of(answers: Answers, *, has_tools: bool) -> Kind:
    """The kind of a group. Tools make an agent; then a choice among few, spans of the input, the input reworded."""
    if has_tools or 2 * answers.with_tools > answers.count:
        return "agent"
    samples = [(_input_text(fields), text) for fields, text in answers.samples() if text.strip()]
    if 2 * answers.objects > answers.count:
        return _kind_of_objects(answers, [text for text, _ in samples], [answer for _, answer in samples])
    if is_choice(answers.bare):
        return "classification"
    if _share(_stands_in(answer, text) for text, answer in samples) >= 0.6:
        return "extraction"
    if _share(_is_reworded(answer, fields) for fields, answer in answers.samples()) >= 0.5:
        return "rewriting"
    return "writing"


def is_choice(values: Values) -> bool:
    """Whether these values are a choice among few: short, and most of them seen before."""
    counts = values.texts
    total = counts.total()
    if values.many or not counts or total < 5 or not all(_LABEL.fullmatch(text.strip(_AROUND)) for text in counts):
        return False
    # Good and Turing: the share of values seen once estimates how many of the next ones will be new
    new = sum(1 for count in counts.values() if count == 1) / total
    if new <= 0.15 and len(counts) <= max(2, total // 3):
        return True
    return len(counts) < total and all(map(_is_identifier, counts))


def _is_identifier(text: str) -> bool:
    return _IDENTIFIER.fullmatch(text) is not None and ("_" in text or text.isupper())


def _kind_of_objects(answers: Answers, inputs: list[str], texts: list[str]) -> Kind:
    from skillforge.engine.parse import find_json

    free: list[bool] = []  # of the leaves that are no choice: whether they stand in the input
    long = 0
    choices = sum(is_choice(values) or set(values.types) <= {"boolean", "null"} for values in answers.keys.values())
    chosen = {key for key, values in answers.keys.items() if is_choice(values)}
    for source, text in zip(inputs, texts, strict=True):
        for key, value in (find_json(text) or {}).items():
            for leaf in () if key in chosen else _leaves(value):
                long += len(leaf) > 300
                free.append(_stands_in(leaf, source))
    if not free:
        return "classification" if choices else "writing"
    if _share(free) >= 0.6:
        return "extraction"
    short_ones = choices and _share(len(text) <= 300 for text in texts) >= 0.8
    return "classification" if short_ones else "writing"


def _leaves(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, str) and value.strip():
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _stands_in(answer: str, text: str) -> bool:
    wanted = _plain(answer)
    return bool(wanted) and wanted in _plain(text)


def _is_reworded(answer: str, fields: dict[str, Any]) -> bool:
    from rapidfuzz.fuzz import ratio

    texts = [value for value in fields.values() if isinstance(value, str) and len(value.split()) >= 4]
    if not texts or not answer.strip():
        return False
    source = max(texts, key=len)[:4_000]
    near_in_length = 0.4 <= len(answer) / len(source) <= 2.5
    return near_in_length and ratio(source.lower(), answer[:4_000].lower()) >= _NEAR


def _input_text(fields: dict[str, Any]) -> str:
    return "\n".join(str(value) for value in fields.values())


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _share(flags: Iterable[bool]) -> float:
    found = [bool(flag) for flag in flags]
    return sum(found) / len(found) if found else 0.0
