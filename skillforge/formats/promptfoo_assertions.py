"""promptfoo's assertions as checks of ours. What runs code is refused, and so is what would mean something else here.

The words, the defaults and the form of CSV cells are those of promptfoo 0.121.20.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from skillforge.canonical import compact
from skillforge.case import CaseCheck
from skillforge.checkkinds import KINDS
from skillforge.errors import SkillforgeError, UsageError
from skillforge.formats.promptfoo_files import FILE, Folder, is_code
from skillforge.suggest import did_you_mean
from skillforge.template import Template
from skillforge.yamlfile import load_yaml

CODE = frozenset({"javascript", "python", "ruby", "webhook"})
UNSUPPORTED = frozenset(
    {
        *("is-xml", "contains-xml", "is-html", "contains-html", "is-sql", "contains-sql", "is-refusal"),
        *("bleu", "gleu", "meteor", "similar", "similar:cosine", "similar:dot", "similar:euclidean"),
        *("perplexity", "perplexity-score", "classifier", "finish-reason", "guardrails", "moderation"),
        *("is-valid-function-call", "is-valid-openai-function-call", "is-valid-openai-tools-call", "skill-used"),
        *("trace-span-count", "trace-span-duration", "trace-error-spans"),
        *("trajectory:tool-used", "trajectory:tool-args-match", "trajectory:tool-sequence"),
        *("trajectory:step-count", "trajectory:goal-success", "agent-rubric", "search-rubric", "g-eval"),
        *("factuality", "model-graded-closedqa", "model-graded-factuality", "answer-relevance"),
        *("context-faithfulness", "context-recall", "context-relevance", "conversation-relevance"),
        *("pi", "select-best", "max-score", "human"),
    }
)
GROUP = "assert-set"
OURS = "all-of"

_NOT = "not-"
_OWN_SCORER = "write it as a scorer of your own: skillforge eval --scorer module:function"
_LEAVE_OUT = "leave such assertions out: --skip-unsupported"
_CSV_DEFAULTS = frozenset({"cost", "latency", "levenshtein", "rouge-n"})  # a CSV cell without (…) means 0.75 for these
_CSV_DEFAULT = 0.75
_NO_CELL = frozenset({"select-best", "max-score", "human"})  # these stand in a config only
_FIELDS = frozenset({"type", "value", "threshold", "weight", "metric", "provider", "config", "transform"})
_TEMPLATE = re.compile(r"\{[{%#]")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_CODE_PREFIXES = {"javascript:": "javascript", "fn:": "javascript", "eval:": "javascript", "python:": "python"}
_RUBRIC_PREFIXES = ("grade:", "llm-rubric:")


class Refused(Exception):
    """An assertion that cannot be taken over. ``skippable``: it may be left out, where that is wanted."""

    def __init__(self, message: str, *, hint: str = _LEAVE_OUT, skippable: bool = True) -> None:
        super().__init__(message)
        self.hint = hint
        self.skippable = skippable


@dataclass(frozen=True, slots=True)
class Reading:
    """What an assertion is read with: the case's vars, the files beside the config, and where judges are noted."""

    values: Mapping[str, Any]
    folder: Folder
    judged_by: Callable[[Any], None]
    rubric_prompt: bool = False

    def rendered(self, value: Any) -> Any:
        """A value with its ``{{var}}`` filled in, however deep."""
        if isinstance(value, str):
            return render(value, self.values)
        if isinstance(value, list):
            return [self.rendered(item) for item in value]
        if isinstance(value, dict):
            return {key: self.rendered(item) for key, item in value.items()}
        return value


def check_of(raw: Any, reading: Reading) -> CaseCheck:
    """One assertion that is no ``assert-set``. Raises ``Refused``."""
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        raise Refused("an assertion is a mapping with a type", hint="", skippable=False)
    name = raw["type"]
    negated = name.startswith(_NOT)
    kind = name.removeprefix(_NOT)
    _refuse_type(kind, name)
    _refuse_settings(raw, name)
    if kind == "llm-rubric":
        if reading.rubric_prompt or raw.get("rubricPrompt"):
            raise Refused(f"{name}: a rubricPrompt of your own is not taken over")
        reading.judged_by(raw.get("provider"))
    value = _value(raw.get("value"), name, reading)
    body = _MAPPED[kind](kind, value, _number(raw.get("threshold"), name))
    body["type"] = (_NOT if negated else "") + body["type"]
    body |= {"weight": raw.get("weight", 1), "metric": reading.rendered(raw.get("metric") or "")}
    try:
        return CaseCheck.model_validate({key: item for key, item in body.items() if item is not None})
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        raise Refused(f"{name}: {'.'.join(map(str, first['loc']))}: {first['msg']}", hint="") from None


def assertion_of_cell(cell: str) -> dict[str, Any]:
    """An ``__expected`` cell as an assertion: ``icontains:…``, ``similar(0.8):…``, ``llm-rubric:…``; any other text is
    what the answer must equal.
    """
    for prefix, kind in _CODE_PREFIXES.items():
        if cell.startswith(prefix):
            return {"type": kind, "value": cell.removeprefix(prefix).strip()}
    for prefix in _RUBRIC_PREFIXES:
        if cell.startswith(prefix):
            return {"type": "llm-rubric", "value": cell.removeprefix(prefix)}
    if cell.startswith(FILE) and is_code(cell):
        return {"type": "python" if ".py" in cell else "javascript", "value": cell}
    found = _cell_pattern().fullmatch(cell)
    if found is None:
        return {"type": "equals", "value": cell}
    kind, value = found["type"].removeprefix(_NOT), found["value"]
    given = {"type": found["type"], "value": value if value is None or "json" in kind else value.strip()}
    if kind.endswith(("-any", "-all")):
        given["value"] = comma_separated(value) if value else value
    threshold = float(found["threshold"]) if found["threshold"] else _CSV_DEFAULT if kind in _CSV_DEFAULTS else None
    takes = kind in _CSV_DEFAULTS or kind.startswith("similar")
    return {**given, **({"threshold": threshold} if takes and threshold is not None else {})}


def comma_separated(text: str) -> list[str]:
    """``a, "b, c"`` as ``["a", "b, c"]``; ``""`` in quotes is a quote. Raises ``Refused`` for text after a quote."""
    parts: list[str] = []
    at = 0
    while (at := _after(text, at, " \t\r\n,")) < len(text):
        if text[at] != '"':
            end = text.find(",", at)
            end = len(text) if end < 0 else end
            parts.append(text[at:end].strip())
            at = end
            continue
        found = _QUOTED.match(text, at)
        if found is None:
            raise Refused("a quote in its list is not closed", hint='write "" for a quote inside quotes')
        parts.append(found[1].replace('""', '"'))
        at = _after(text, found.end(), " \t\r\n")
        if at < len(text) and text[at] != ",":
            raise Refused("a comma is missing after a quote in its list", hint='write a, "b, c"')
    return parts


_QUOTED = re.compile(r'"((?:[^"]|"")*)"')


def render(source: str, values: Mapping[str, Any]) -> str:
    """A text with its ``{{var}}`` filled in. Raises ``Refused`` for what our templates do not know."""
    if not _TEMPLATE.search(source):
        return source
    try:
        return _template(source, frozenset(values)).render(values)
    except SkillforgeError as exc:
        said = str(exc).replace("\n", "; ").removeprefix("template:")
        raise Refused(f"its template cannot be filled in: {said}", hint="write the value out") from None


@lru_cache(maxsize=1024)
def _template(source: str, fields: frozenset[str]) -> Template:
    return Template(source, fields)


def _after(text: str, at: int, skipped: str) -> int:
    while at < len(text) and text[at] in skipped:
        at += 1
    return at


@lru_cache(maxsize=1)
def _cell_pattern() -> re.Pattern[str]:
    """``type(threshold):value`` for every type there is, the longer names first: some hold a colon."""
    known = sorted({*_MAPPED, *CODE, *UNSUPPORTED} - _NO_CELL, key=len, reverse=True)
    types = "|".join(map(re.escape, known))
    return re.compile(
        rf"(?P<type>(?:not-)?(?:{types}))(?:\((?P<threshold>\d+(?:\.\d+)?)\))?(?::(?P<value>.*))?", re.DOTALL
    )


def _refuse_type(kind: str, name: str) -> None:
    if kind in CODE:
        raise Refused(f"{name} runs code, and an import runs none", hint=f"{_OWN_SCORER}; or {_LEAVE_OUT}")
    if kind in UNSUPPORTED:
        raise Refused(f"{name} is not supported", hint=f"{_OWN_SCORER}; or {_LEAVE_OUT}")
    if kind not in _MAPPED:
        near = did_you_mean(name, [*_MAPPED, *CODE, *UNSUPPORTED, GROUP])
        raise Refused(f"unknown assertion type {name[:60]!r}", hint=near or "see promptfoo's assertion types")


def _refuse_settings(raw: Mapping[str, Any], name: str) -> None:
    if any(raw.get(key) for key in ("transform", "contextTransform")):
        raise Refused(f"{name}: its transform runs code", hint=f"{_OWN_SCORER}; or {_LEAVE_OUT}")
    if raw.get("config"):
        raise Refused(f"{name}: its config is not taken over")
    if unknown := [key for key in raw if key not in _FIELDS and key not in ("contextTransform", "rubricPrompt")]:
        raise Refused(f"{name}: unknown key {unknown[0][:60]!r}", hint=did_you_mean(unknown[0], _FIELDS))


def _value(value: Any, name: str, reading: Reading) -> Any:
    if isinstance(value, str) and value.startswith(FILE):
        if is_code(value):
            raise Refused(f"{name}: {value[:80]} is code, and nothing is run", hint=f"{_OWN_SCORER}; or {_LEAVE_OUT}")
        try:
            value = reading.folder.value(value)
        except UsageError as exc:
            raise Refused(f"{name}: {exc}", hint=exc.hint, skippable=False) from None
    return reading.rendered(value)


def _number(value: Any, name: str) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value)
    raise Refused(f"{name}: its threshold is no number", hint="")


def _text(kind: str, value: Any) -> str:
    """A value as the text promptfoo compares with."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, dict | list):
        raise Refused(f"{kind} needs a text as its value", hint="")
    return compact(value)


def _equals(kind: str, value: Any, threshold: float | None) -> dict[str, Any]:
    if isinstance(value, dict | list):  # promptfoo reads the answer as JSON then
        return {"type": "is-json", "value": {"const": value}}
    return {"type": kind, "value": _text(kind, value)}


def _one_text(kind: str, value: Any, threshold: float | None) -> dict[str, Any]:
    return _checked(kind, _text(kind, value))


def _texts(kind: str, value: Any, threshold: float | None) -> dict[str, Any]:
    listed = comma_separated(value) if isinstance(value, str) else value
    if not isinstance(listed, list):
        raise Refused(f"{kind} needs a list of texts as its value", hint="")
    return _checked(kind, [_text(kind, item) for item in listed])


def _schema(kind: str, value: Any, threshold: float | None) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = load_yaml(value, path=kind).value if value.strip() else None
        except SkillforgeError as exc:
            raise Refused(f"{kind}: its schema cannot be read: {exc}", hint="") from None
    return {"type": kind} if value is None else _checked(kind, value)


def _edits(kind: str, value: Any, threshold: float | None) -> dict[str, Any]:
    if threshold is not None and threshold < 0:
        raise Refused(f"{kind}: its threshold is a number of edits, 0 or more", hint="")
    return {**_checked(kind, _text(kind, value)), "threshold": threshold}


def _count(kind: str, value: Any, threshold: float | None) -> dict[str, Any]:
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    return _checked(kind, value)


def _bound(kind: str, value: Any, threshold: float | None) -> dict[str, Any]:
    if threshold is None or threshold < 0:
        raise Refused(f"{kind} needs a threshold", hint="")
    return {"type": kind, "threshold": threshold / 1000 if kind == "latency" else threshold}  # ours are seconds


def _overlap(kind: str, value: Any, threshold: float | None) -> dict[str, Any]:
    return {"type": kind, "value": _text(kind, value), "threshold": _CSV_DEFAULT if threshold is None else threshold}


def _rubric(kind: str, value: Any, threshold: float | None) -> dict[str, Any]:
    rubric = compact(value) if isinstance(value, dict | list) else _text(kind, value).strip()
    if not rubric:
        raise Refused(f"{kind} needs a rubric as its value", hint="")
    return {"type": kind, "value": rubric, "threshold": threshold}


def _tools(kind: str, value: Any, threshold: float | None) -> dict[str, Any]:
    body = _texts("contains-any", value, None)
    return {"type": kind, "value": body["value"], "threshold": 1.0 if threshold is None else threshold}


def _checked(kind: str, value: Any) -> dict[str, Any]:
    wrong = KINDS[kind].operand(value)
    problems = [wrong] if wrong else [problem.message for problem in KINDS[kind].lint(value)]
    if problems:
        raise Refused(f"{kind}: its value {problems[0]}" if wrong else f"{kind}: {problems[0]}")
    return {"type": kind, "value": value}


_MAPPED: Mapping[str, Callable[[str, Any, float | None], dict[str, Any]]] = {
    "equals": _equals,
    **dict.fromkeys(("contains", "icontains", "starts-with", "regex"), _one_text),
    **dict.fromkeys(("contains-any", "contains-all", "icontains-any", "icontains-all"), _texts),
    **dict.fromkeys(("is-json", "contains-json"), _schema),
    "levenshtein": _edits,
    "word-count": _count,
    **dict.fromkeys(("latency", "cost"), _bound),
    "rouge-n": _overlap,
    "llm-rubric": _rubric,
    "tool-call-f1": _tools,
}
