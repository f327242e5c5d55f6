"""What in a skill comes from tool results: text that nobody here wrote, and that may carry orders.

Orders planted in a tool result are found far more easily in the trajectory than in the skill that was made from it. So
both are looked at together: every text of the skill is compared, word for word, with every tool result of the traces it
was written from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from skillforge.fields import pointer
from skillforge.hygiene import walk_strings
from skillforge.injection import EXCERPT, INVISIBLE, Finding, orders, plain
from skillforge.injectionpatterns import Kind
from skillforge.messages import Text, Tool, ToolResult, Value
from skillforge.skill import Skill
from skillforge.trace import Trace

RUN = 5  # words that are no coincidence
PIECE = 3  # they may come in pieces of so many in a row, with one other word between: a word that was changed
NEAR = 300  # characters around an order that are part of it
SHORT = 6  # characters of a whole value that is shorter than that many words
USER = "the user"  # whose orders are none to a skill either
MAX_WORDS = 200_000  # of one trace's tool results

# A word, with what is drawn as nothing in it; scripts without spaces letter by letter; markup is none.
_MARKUP = r"</?(?:a|b|br|code|div|em|font|i|p|s|small|span|strong|u)\s?/?>"
_WORD = re.compile(
    rf"{_MARKUP}|([\u3040-\u30ff\u3400-\u9fff])|((?:[^\W_]|[\u0300-\u036f]|{INVISIBLE.pattern})+)", re.IGNORECASE
)
_Placed = tuple[str, int, int]
_SAID_IN_SCHEMA = frozenset({"$comment", "const", "default", "description", "examples", "title"})
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
        told = self.tool if self.tool == USER else f"a result of {self.tool}"
        source = f"from {told} ({self.trace})" if self.tool else "in no tool result word for word"
        kinds = f"{', '.join(self.kinds)}: " if self.kinds else ""
        return f"{self.where}: {kinds}{self.excerpt!r} {source}"


def tainted(skill: Skill, traces: Iterable[Trace]) -> tuple[Taint, ...]:
    """Every stretch of the skill's texts that comes from a tool result of ``traces``, in document order, and every
    order in what is said to a model. Of what is only shown (an example), one entry a text and tool.
    """
    results = _Results(traces)
    body = skill.model_dump(by_alias=True, exclude_defaults=True, exclude={"license", "metadata", "schema_id", "tools"})
    found: list[Taint] = []
    for place, text in walk_strings(body):
        spoken = place[-1] in _SPOKEN
        here = list(results.stretches(pointer(place), text, spoken=spoken))
        if _is_name(place, text):
            here = [taint for taint in here if taint.flagged]
        if not here and spoken and (said := _kinds(text, spoken=True)):
            here = [Taint(where=pointer(place), excerpt=_order_excerpt(text), kinds=said)]
        found += here
    return tuple(dict.fromkeys(found))


def _is_name(place: Sequence[str | int], text: str) -> bool:
    """Whether a text is a key, an id, the name of a tool or field, a reference or a type, and not prose or a value: it
    may stand in a result too without being from there.
    """
    if text == place[-1]:
        return True
    own = place[2:] if place[0] == "steps" else place  # what a step and a skill have in common
    match own:
        case ("name" | "suite" | "id" | "tool" | "on_error",) | ("agent", "tools", _) | ("examples", "file" | "select"):
            return True
        case ("examples", "items", _, "id") | ("checks", _, "type" | "path" | "of" | "name" | "on_fail"):
            return True
        case ("input" | "output", *_):
            return not _SAID_IN_SCHEMA.intersection(own)
    return place[-1] == "from" and (place[0] == "result" or own[0] in ("args", "when", "each"))


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
        texts = [text for _, text in walk_strings(content)]
        for text in (*texts, " ".join(texts)) if len(texts) > 1 else texts:
            for each in orders(text):
                where = f"messages[{number}]"
                found.append(
                    Taint(where=where, excerpt=each.excerpt, tool=tool, trace=trace.case_id, kinds=(each.kind,))
                )
    return tuple(dict.fromkeys(found))


def suspicious_tools(traces: Iterable[Trace]) -> tuple[Taint, ...]:
    """The orders in what others' traces say of their tools: names, descriptions, parameters."""
    found = []
    for trace in traces:
        for number, tool in enumerate(trace.tools if trace.untrusted else ()):
            told = tool.model_dump(include={"name", "description", "parameters"})
            for place, text in walk_strings(told):
                where = pointer(("tools", number, *place))
                found += [
                    Taint(where=where, excerpt=each.excerpt, tool=tool.name, trace=trace.case_id, kinds=(each.kind,))
                    for each in orders(text)
                ]
    return tuple(dict.fromkeys(found))


def without_orders(tool: Tool) -> Tool:
    """The tool without the descriptions that hold orders, and without parameters that hold them elsewhere."""
    description = "" if orders(tool.description) else tool.description
    parameters = _undescribed(tool.parameters)
    if any(orders(text) for _, text in walk_strings(parameters)):
        parameters = Tool(name="").parameters
    return tool.model_copy(update={"description": description, "parameters": parameters})


def _undescribed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_undescribed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _undescribed(value)
        for key, value in schema.items()
        if not (key in ("description", "title", "$comment") and isinstance(value, str) and orders(value))
    }


class _Source(NamedTuple):
    """Whose result a text stands in, and the kinds of the orders around it there."""

    tool: str
    trace: str
    kinds: tuple[Kind, ...] = ()


class _Results:
    """The words of all tool results, by every ``PIECE`` of them, without what people said in the same trace."""

    def __init__(self, traces: Iterable[Trace]) -> None:
        self._runs: dict[tuple[str, ...], _Source] = {}
        self._values: dict[str, _Source] = {}
        self._orders: dict[tuple[Kind, str], _Source] = {}
        self._asked: dict[tuple[Kind, str], _Source] = {}
        for trace in traces:
            own: dict[tuple[str, ...], _Source] = {}
            values: dict[str, _Source] = {}
            told = [(0, each.tool, each.excerpt) for each in suspicious_tools([trace])]
            for _, tool, content in (*_tool_results(trace), *told):
                self._read(content, _Source(tool, trace.case_id), own, values)
            said = _said(trace)
            spoken = set(_shingles(_words(said)))
            self._keep({run: source for run, source in own.items() if source.kinds or run not in spoken})
            folded = _folded(said)
            self._values.update((value, source) for value, source in values.items() if value not in folded)
            for text in _asked(trace):
                self._asked.update((_order_key(each), _Source(USER, trace.case_id)) for each in orders(text))

    def _keep(self, runs: Mapping[tuple[str, ...], _Source]) -> None:
        for run, source in runs.items():
            if source.kinds or run not in self._runs:
                self._runs[run] = source

    def _read(
        self, content: Any, source: _Source, runs: dict[tuple[str, ...], _Source], values: dict[str, _Source]
    ) -> None:
        for _, text in walk_strings(content):
            found = orders(text)
            placed = _placed(text)[:MAX_WORDS]
            if len(placed) < RUN and len(text.strip()) >= SHORT:
                values.setdefault(_folded(text.strip()), source)
            words = [word for word, _, _ in placed]
            for number, run in enumerate(_shingles(words)):
                kinds = _around(found, placed[number][1], placed[number + PIECE - 1][2])
                if kinds or run not in runs:
                    runs[run] = source._replace(kinds=kinds)
            for each in found:
                self._orders.setdefault(_order_key(each), source)

    def stretches(self, where: str, text: str, *, spoken: bool) -> Iterator[Taint]:
        """What of a text stands in a result: all of it where a model is told so, else one stretch a tool."""
        placed = _placed(text)
        found = list(self._long(where, text, placed))
        if not found and len(placed) < RUN and (source := self._values.get(_folded(text.strip()))):
            found = [self._taint(where, text.strip(), source)]
        seen: set[str] = set()
        for taint in found:
            if taint.flagged or spoken or taint.tool not in seen:
                seen.add(taint.tool)
                yield taint
        yield from self._orders_taken(where, text, self._orders)
        if spoken:
            yield from self._orders_taken(where, text, self._asked)

    def _long(self, where: str, text: str, placed: Sequence[_Placed]) -> Iterator[Taint]:
        """The longest stretches in which ``RUN`` words, or all there are, stand in results, one word apart at most."""
        words = [word for word, _, _ in placed]
        taken: dict[int, _Source] = {}
        for number, run in enumerate(_shingles(words)):
            if source := self._runs.get(run):
                for place in range(number, number + PIECE):
                    if place not in taken or source.kinds:
                        taken[place] = source
        for stretch in _chained(sorted(taken)):
            if len(stretch) < min(RUN, len(words)):
                continue
            beyond = placed[stretch[-1] + 1][1] if stretch[-1] + 1 < len(placed) else len(text)
            excerpt = text[placed[stretch[0]][1] : beyond]  # what is drawn as nothing stands between words
            near = dict.fromkeys(kind for place in stretch for kind in taken[place].kinds)
            source = next((taken[place] for place in stretch if taken[place].kinds), taken[stretch[0]])
            yield self._taint(where, excerpt, source._replace(kinds=tuple(near)))

    def _orders_taken(self, where: str, text: str, known: Mapping[tuple[Kind, str], _Source]) -> Iterator[Taint]:
        """Orders of a result that are too short for a run of words, or stand there in disguise."""
        for each in orders(text):
            if source := known.get(_order_key(each)):
                yield Taint(where=where, excerpt=each.excerpt, tool=source.tool, trace=source.trace, kinds=(each.kind,))

    def _taint(self, where: str, excerpt: str, source: _Source) -> Taint:
        shown = " ".join(excerpt.split())
        short = shown if len(shown) <= EXCERPT else f"{shown[: EXCERPT - 1]}…"
        kinds = tuple(dict.fromkeys((*_kinds(excerpt), *source.kinds)))
        return Taint(where=where, excerpt=short, tool=source.tool, trace=source.trace, kinds=kinds)


def _around(found: Sequence[Finding], start: int, end: int) -> tuple[Kind, ...]:
    """The kinds of the orders that a stretch of a text is part of. Of one found only after decoding, the whole text."""
    near = (each.kind for each in found if each.start < 0 or start - NEAR <= each.start <= end + NEAR)
    return tuple(dict.fromkeys(near))


def _chained(places: Sequence[int]) -> Iterator[list[int]]:
    """Numbers in ascending order, in groups that have gaps of one at most."""
    chain: list[int] = []
    for place in places:
        if chain and place - chain[-1] > 2:
            yield chain
            chain = []
        chain.append(place)
    if chain:
        yield chain


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


def _asked(trace: Trace) -> Iterator[str]:
    """What the user said: a skill may hold it as data, not as an order."""
    yield from (m.text for m in trace.messages if m.role == "user")
    yield from (text for _, text in walk_strings(trace.input))


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


def _placed(text: str) -> list[_Placed]:
    """Every word as it is compared, with where it begins and ends."""
    found = ((match[match.lastindex or 0], match) for match in _WORD.finditer(text) if match.lastindex)
    return [(word, match.start(), match.end()) for said, match in found if (word := _folded(said))]


def _words(text: str) -> list[str]:
    return [word for word, _, _ in _placed(text)]


def _folded(text: str) -> str:
    return plain(text).casefold()


def _shingles(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(words[start : start + PIECE]) for start in range(len(words) - PIECE + 1))
