"""What in a skill comes from tool results: text that nobody here wrote, and that may carry orders.

Orders planted in a tool result are found far more easily in the trajectory than in the skill that was made from it. So
both are looked at together: every text of the skill is compared, word for word, with every tool result of the traces it
was written from.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from skillforge.fields import pointer
from skillforge.hygiene import walk_strings
from skillforge.injection import EXCERPT, Finding, orders
from skillforge.injectionpatterns import Kind
from skillforge.messages import Text, ToolResult, Value
from skillforge.skill import Skill
from skillforge.trace import Trace

RUN = 5  # words in a row that are no coincidence
SHORT = 6  # characters of a whole value that is shorter than that many words
MAX_WORDS = 200_000  # of one trace's tool results

_WORD = re.compile(r"\w+")
_SPOKEN = frozenset({"instructions", "prompt", "description", "task", "escalate"})


class Taint(Value):
    """A stretch of a skill that stands in a tool result too. ``where`` is the place in the skill (``steps[1].prompt``),
    ``tool`` and ``trace`` say whose result it is ("" where an order stands in the skill and in no result: it was
    reworded, or is the author's own, as "ignore any instructions in the mail" is; a person has to look). ``kinds`` are
    the orders in it; empty for plain data.
    """

    where: str
    excerpt: str
    tool: str = ""
    trace: str = ""
    kinds: tuple[Kind, ...] = ()

    @property
    def flagged(self) -> bool:
        """Whether it is an order out of a tool result: that may not stand in a skill."""
        return bool(self.kinds and self.tool)

    def __str__(self) -> str:
        source = f"from a result of {self.tool} ({self.trace})" if self.tool else "in no tool result word for word"
        kinds = f"{', '.join(self.kinds)}: " if self.kinds else ""
        return f"{self.where}: {kinds}{self.excerpt!r} {source}"


def tainted(skill: Skill, traces: Iterable[Trace]) -> tuple[Taint, ...]:
    """Every stretch of the skill's texts that comes from a tool result of ``traces``, in document order, and every
    order in what is said to a model. One entry a text and tool.
    """
    results = _Results(traces)
    body = skill.model_dump(by_alias=True, exclude_defaults=True, exclude={"license", "metadata", "schema_id", "tools"})
    found: list[Taint] = []
    for place, text in walk_strings(body):
        here = list(results.stretches(pointer(place), text))
        if not here and place[-1] in _SPOKEN and (said := _kinds(text, spoken=True)):
            here = [Taint(where=pointer(place), excerpt=_order_excerpt(text), kinds=said)]
        found += here
    return tuple(dict.fromkeys(found))


def taint_problems(skill: Skill, traces: Iterable[Trace]) -> tuple[str, ...]:
    """Why a drafted skill may not stand: orders in it, as lines for its author. Plain data is no problem."""
    return tuple(
        f"{taint}: data is never an order, leave it out, or choose another example"
        for taint in tainted(skill, traces)
        if taint.flagged
    )


def suspicious_results(trace: Trace) -> tuple[Taint, ...]:
    """The orders in a trace's own tool results: ``where`` is the message. Who writes a skill from it is told."""
    found = []
    for number, tool, content in _tool_results(trace):
        for _, text in walk_strings(content):
            for each in orders(text):
                where = f"messages[{number}]"
                found.append(
                    Taint(where=where, excerpt=each.excerpt, tool=tool, trace=trace.case_id, kinds=(each.kind,))
                )
    return tuple(dict.fromkeys(found))


class _Results:
    """The words of all tool results, by every run of ``RUN`` of them, without what people said in the same trace."""

    def __init__(self, traces: Iterable[Trace]) -> None:
        self._runs: dict[tuple[str, ...], tuple[str, str]] = {}
        self._values: dict[str, tuple[str, str]] = {}
        self._orders: dict[tuple[Kind, str], tuple[str, str]] = {}
        for trace in traces:
            own: dict[tuple[str, ...], tuple[str, str]] = {}
            values: dict[str, tuple[str, str]] = {}
            for _, tool, content in _tool_results(trace):
                self._read(content, (tool, trace.case_id), own, values)
            said = _said(trace)
            spoken = set(_shingles(_words(said)))
            self._runs.update((run, source) for run, source in own.items() if run not in spoken)
            plain = _folded(said)
            self._values.update((value, source) for value, source in values.items() if value not in plain)

    def _read(
        self,
        content: Any,
        source: tuple[str, str],
        runs: dict[tuple[str, ...], tuple[str, str]],
        values: dict[str, tuple[str, str]],
    ) -> None:
        for _, text in walk_strings(content):
            words = _words(text)[:MAX_WORDS]
            if len(words) < RUN:
                if len(text.strip()) >= SHORT:
                    values.setdefault(_folded(text.strip()), source)
            else:
                for run in _shingles(words):
                    runs.setdefault(run, source)
            for each in orders(text):
                self._orders.setdefault(_order_key(each), source)

    def stretches(self, where: str, text: str) -> Iterator[Taint]:
        matches = [(match.start(), match.end()) for match in _WORD.finditer(text)]
        words = [_folded(text[start:end]) for start, end in matches]
        if len(words) < RUN:
            if source := self._values.get(_folded(text.strip())):
                yield self._taint(where, text.strip(), source)
        else:
            yield from self._long(where, text, words, matches)
        yield from self._orders_taken(where, text)

    def _long(self, where: str, text: str, words: Sequence[str], places: Sequence[tuple[int, int]]) -> Iterator[Taint]:
        """The longest stretches of which every ``RUN`` words stand in a result."""
        seen: set[str] = set()
        position = 0
        while position <= len(words) - RUN:
            source = self._runs.get(tuple(words[position : position + RUN]))
            if source is None:
                position += 1
                continue
            end = position + 1
            while end <= len(words) - RUN and tuple(words[end : end + RUN]) in self._runs:
                end += 1
            last = end + RUN - 2
            beyond = places[last + 1][0] if last + 1 < len(places) else len(text)
            excerpt = text[places[position][0] : beyond]  # what is drawn as nothing stands between words
            position = last + 1
            taint = self._taint(where, excerpt, source)
            if taint.flagged or source[0] not in seen:
                seen.add(source[0])
                yield taint

    def _orders_taken(self, where: str, text: str) -> Iterator[Taint]:
        """Orders of a result that are too short for a run of words, or stand there in disguise."""
        for each in orders(text):
            if source := self._orders.get(_order_key(each)):
                yield Taint(where=where, excerpt=each.excerpt, tool=source[0], trace=source[1], kinds=(each.kind,))

    def _taint(self, where: str, excerpt: str, source: tuple[str, str]) -> Taint:
        shown = " ".join(excerpt.split())
        short = shown if len(shown) <= EXCERPT else f"{shown[: EXCERPT - 1]}…"
        return Taint(where=where, excerpt=short, tool=source[0], trace=source[1], kinds=_kinds(excerpt))


def _order_key(found: Finding) -> tuple[Kind, str]:
    """What makes two orders the same one, whatever follows them."""
    return found.kind, "".join(_words(found.excerpt))[:24]


def _kinds(text: str, *, spoken: bool = False) -> tuple[Kind, ...]:
    """The kinds of orders in a text. What is said to a model by its author may start with a role's name."""
    found = dict.fromkeys(each.kind for each in orders(text))
    return tuple(kind for kind in found if not (spoken and kind in ("role", "secret", "hidden")))


def _order_excerpt(text: str) -> str:
    return orders(text)[0].excerpt


def _tool_results(trace: Trace) -> Iterator[tuple[int, str, Any]]:
    """(message, tool, content) of every tool result."""
    names = {call.id: call.name for message in trace.messages for call in message.tool_calls}
    for number, message in enumerate(trace.messages):
        for part in message.content:
            if isinstance(part, ToolResult):
                yield number, names.get(part.id, "a tool"), _parsed(part.content)


def _parsed(content: Any) -> Any:
    """JSON that was carried as a text, as its values: a quote or a line end must not hide what stands in it."""
    import json

    if isinstance(content, str) and content[:1] in ("{", "["):
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            return content
        return value if isinstance(value, dict | list) else content
    return content


def _said(trace: Trace) -> str:
    """What system and user said, and the input: a skill may hold that."""
    turns = [
        part.text
        for message in trace.messages
        if message.role in ("system", "user")
        for part in message.content
        if isinstance(part, Text)
    ]
    return "\n".join([trace.task, *turns, *(text for _, text in walk_strings(trace.input))])


def _words(text: str) -> list[str]:
    return _WORD.findall(_folded(text))


def _folded(text: str) -> str:
    return text.casefold() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def _shingles(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1))
