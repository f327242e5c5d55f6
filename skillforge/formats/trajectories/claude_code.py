"""Sessions of Claude Code: JSON Lines below ``~/.claude/projects``, one file a session or a subagent.

One answer of the model is several lines, one a content block, and each repeats the usage so far: lines are put together
by ``message.id`` and its last usage counts (summed over the lines, tokens count more than twice). Lines form a tree by
``parentUuid``. A resumed session's file may begin with a copy of the former one's lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skillforge.formats.fields import when
from skillforge.formats.parts import NotACall, parts, turn
from skillforge.formats.trajectories.building import build, told_cost, total_usage
from skillforge.formats.trajectories.lines import Item, Line, Lines, Quarantined
from skillforge.formats.trajectories.threads import Node, main_thread
from skillforge.messages import Message, Part, Text, ToolCall, ToolResult, Usage
from skillforge.providers.wires import messages_format, reading
from skillforge.trace import Trace, Turn

NAME = "claude-code"
_SYNTHETIC = "<synthetic>"  # the program's own words in the model's place
_MOST_SUMMARIES = 20
_ABOUT = ("cwd", "version", "gitBranch", "userType", "slug", "entrypoint")
_MARKS = ("uuid", "sessionId", "leafUuid", "parentUuid")
_PREFIX = 200  # characters of an agent's order that its call is known by


def knows(record: Mapping[str, Any]) -> bool:
    kind = record.get("type")
    if kind in ("user", "assistant"):
        return isinstance(record.get("message"), Mapping) and any(mark in record for mark in _MARKS)
    if kind == "summary":
        return "leafUuid" in record
    return kind == "file-history-snapshot" or (kind in ("system", "queue-operation") and "sessionId" in record)


def read(lines: Lines, seen: set[str]) -> Iterator[Item]:
    """The session's thread as one trace, and one for every subagent whose lines stand in the file.

    ``seen`` are the answers and questions of files read before: a copy of them is left out, and theirs are added.
    """
    session = _Session()
    for line in lines:
        if isinstance(line, Quarantined):
            yield line
            continue
        try:
            session.add(line)
        except NotACall as exc:
            yield line.broken(exc)
    yield from session.traces(seen)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of the tree. ``message`` is what it says of the model's message, without its content."""

    line: Line
    node: Node
    role: str
    found: tuple[Part, ...] = ()
    message: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""
    thread: str = ""  # of a subagent; "" is the session itself
    agent: str = ""  # that a result comes from
    meta: bool = False
    cost: Any = None

    @property
    def key(self) -> str:
        """What the same line is known by in a copy, whose session and parents may be others; empty for none."""
        own = self.node.answer or self.node.id
        return f"{self.role} {own} {self.at}" if own else ""


class _Session:
    """One file's lines, until all are read."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._known: set[str] = set()
        self._threads: dict[str, str] = {}  # of sidechain lines, by uuid
        self._agents: dict[str, str] = {}  # what threads are called that had no name at first
        self._other: Counter[str] = Counter()
        self._summaries: list[str] = []
        self._told: dict[str, Any] = {}
        self._session = ""

    def add(self, line: Line) -> None:
        """Take a line in. Raises ``NotACall`` where its message cannot be read."""
        value = line.value
        kind = reading.text(value.get("type")) or "unknown"
        own = reading.text(value.get("uuid"))
        if own and own in self._known:
            self._other["repeated"] += 1
            return
        self._session = self._session or reading.text(value.get("sessionId"))
        if kind not in ("user", "assistant"):
            self._other[kind] += 1
            if kind == "summary" and len(self._summaries) < _MOST_SUMMARIES:
                self._summaries.append(reading.text(value.get("summary")))
            if own:
                node = Node(own, reading.text(value.get("parentUuid")), said=False)
                self._entries.append(_Entry(line, node, kind, thread=self._thread(value, own)))
        else:
            self._entries.append(self._entry(line, kind, own))
            for key in _ABOUT:
                if key not in self._told and value.get(key):
                    self._told[key] = value[key]
        self._known.add(own)

    def _entry(self, line: Line, kind: str, own: str) -> _Entry:
        value = line.value
        told = value.get("message")
        if not isinstance(told, Mapping):
            raise NotACall("the message is no object")
        found = tuple(parts(told.get("content")))
        node = Node(
            own,
            reading.text(value.get("parentUuid")),
            answer=reading.text(told.get("id")) if kind == "assistant" else "",
            calls=frozenset(part.id for part in found if isinstance(part, ToolCall)),
            results=frozenset(part.id for part in found if isinstance(part, ToolResult)),
        )
        return _Entry(
            Line(line.file, line.number, {}),
            node,
            kind,
            found,
            {key: told[key] for key in ("model", "usage", "stop_reason") if key in told},
            when(value.get("timestamp")),
            self._thread(value, own),
            _started(value),
            bool(value.get("isMeta") or value.get("isCompactSummary")),
            value.get("costUSD"),
        )

    def _thread(self, value: Mapping[str, Any], own: str) -> str:
        """Which subagent a line is of: the one it names, else the one of the line before it, else a new one."""
        if value.get("isSidechain") is not True:
            return ""
        named = reading.text(value.get("agentId"))
        before = self._threads.get(reading.text(value.get("parentUuid")), "")
        if named and before and before not in self._agents:  # only some lines of older sessions name their agent
            self._agents[before] = named
        found = named or before or own or "sidechain"
        self._threads[own] = found
        return found

    def traces(self, seen: set[str]) -> Iterator[Trace]:
        fresh = [entry for entry in self._entries if not entry.key or entry.key not in seen]
        copied = sum(entry.node.said for entry in self._entries) - sum(entry.node.said for entry in fresh)
        seen.update(entry.key for entry in self._entries if entry.key)
        threads: dict[str, list[_Entry]] = {}
        for entry in fresh:
            threads.setdefault(self._agents.get(entry.thread, entry.thread), []).append(entry)
        orders = self._orders()
        for name, entries in threads.items():
            if not any(entry.node.said for entry in entries):
                continue
            if name:
                caller = self._caller(name, entries, orders)
                link = {"sidechain_of": self._session, "agent": name, "called_by": caller}
                yield self._trace(entries, f"{self._session}/{name}" if self._session else name, link)
            else:
                yield self._trace(
                    entries, self._session or Path(entries[0].line.file).stem, self._about(entries, copied)
                )

    def _about(self, entries: Sequence[_Entry], copied: int) -> dict[str, Any]:
        """What a session says beyond its messages. ``agents`` are the calls that started subagents."""
        return {
            "summaries": self._summaries or None,
            "other_records": dict(self._other),
            "copied": copied or None,
            "agents": {entry.agent: min(entry.node.results) for entry in entries if entry.agent and entry.node.results},
        }

    def _orders(self) -> dict[str, str]:
        """What subagents were told to do, with the calls that told them."""
        found = {}
        for entry in self._entries:
            for part in entry.found:
                if isinstance(part, ToolCall) and isinstance(part.arguments.get("prompt"), str):
                    found[part.arguments["prompt"][:_PREFIX]] = part.id
        return found

    def _caller(self, agent: str, entries: Sequence[_Entry], orders: Mapping[str, str]) -> str:
        for entry in self._entries:
            if entry.agent == agent and entry.node.results:
                return min(entry.node.results)
        said = next((part.text for entry in entries for part in entry.found if isinstance(part, Text)), "")
        return orders.get(said[:_PREFIX], "")

    def _trace(self, entries: Sequence[_Entry], case_id: str, extra: Mapping[str, Any]) -> Trace:
        kept = main_thread([entry.node for entry in entries])
        talk = _talk([entry for place, entry in enumerate(entries) if place in kept])
        left = [entry for place, entry in enumerate(entries) if entry.node.said and place not in kept]
        return build(
            next(entry.line for entry in entries if entry.node.said),
            NAME,
            talk.messages,
            case_id=case_id,
            turns=talk.turns,
            given={"request": talk.request} if talk.request else None,
            task=talk.request,
            extra={"session": self._session, **self._told, **extra, "taken_back": _taken_back(left)},
        )


def _started(value: Mapping[str, Any]) -> str:
    """The subagent whose result a line of the session itself brings."""
    if value.get("isSidechain") is True:
        return ""
    return reading.text(reading.mapping(value.get("toolUseResult")).get("agentId") or value.get("agentId"))


@dataclass(slots=True)
class _Talk:
    messages: list[Message] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    request: str = ""


def _talk(entries: Sequence[_Entry]) -> _Talk:
    """Messages in the order of the file; an answer stands where its first piece stood."""
    pieces: dict[str, list[_Entry]] = {}
    for entry in entries:
        if entry.node.answer:
            pieces.setdefault(entry.node.answer, []).append(entry)
    talk = _Talk()
    for entry in entries:
        if entry.role == "user":
            message = turn("user", entry.found)
            talk.messages.append(message)
            if not talk.request and not entry.meta and message.role == "user":
                talk.request = _asked(message.text)
            continue
        group = pieces.pop(entry.node.answer, None) if entry.node.answer else [entry]
        if group is not None:
            talk.messages.append(Message(role="assistant", content=tuple(_joined(group))))
            if (made := _turn(len(talk.messages) - 1, group)) is not None:
                talk.turns.append(made)
    return talk


def _asked(text: str) -> str:
    """A request of a person: not what the program put in between tags or noted of a command."""
    said = text.strip()
    return "" if said.startswith(("<", "Caveat:", "[Request interrupted")) else text


def _joined(group: Sequence[_Entry]) -> list[Part]:
    """The blocks of an answer. What a later piece says again, or goes on with, takes the place of what was said."""
    found: list[Part] = []
    for entry in group:
        for part in entry.found:
            same = next((place for place, other in enumerate(found) if _goes_on(other, part)), None)
            if same is None:
                found.append(part)
            else:
                found[same] = part
    return found


def _goes_on(before: Part, after: Part) -> bool:
    if isinstance(before, ToolCall) and isinstance(after, ToolCall):
        return before.id == after.id
    if isinstance(before, Text) and isinstance(after, Text):
        return after.text.startswith(before.text)
    return before == after


def _turn(place: int, group: Sequence[_Entry]) -> Turn | None:
    """What an answer cost: the usage that its last piece tells. What the program said itself is no answer."""
    models = [reading.text(entry.message.get("model")) for entry in group]
    if _SYNTHETIC in models:
        return None
    stops = [entry.message.get("stop_reason") for entry in group]
    stop = next((reading.text(reason) for reason in reversed(stops) if reason), "")
    cost = next((entry.cost for entry in reversed(group) if entry.cost is not None), None)
    return Turn(
        message=place,
        model=next(filter(None, models), ""),
        usage=_usage(group),
        cost=told_cost(cost),
        stop=messages_format.STOPS.get(stop, stop),
        at=group[0].at,
    )


def _usage(group: Sequence[_Entry]) -> Usage:
    told = [entry.message["usage"] for entry in group if isinstance(entry.message.get("usage"), Mapping)]
    return messages_format.usage_of(told[-1]) if told else Usage()


def _taken_back(entries: Sequence[_Entry]) -> dict[str, Any]:
    """How much was said and taken back: it was paid for, and is no part of the conversation."""
    if not entries:
        return {}
    groups: dict[str, list[_Entry]] = {}
    for entry in entries:
        if entry.node.answer:
            groups.setdefault(entry.node.answer, []).append(entry)
    usage = total_usage(_usage(group) for group in groups.values())
    return {"records": len(entries), "answers": len(groups), "usage": usage.model_dump(exclude_none=True)}
