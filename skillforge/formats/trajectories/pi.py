"""Sessions of the coding agent pi: JSON Lines of a header, messages and changes of the model; costs stand in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from skillforge.formats.fields import when
from skillforge.formats.parts import NotACall, parts, result, tool_call
from skillforge.formats.trajectories.building import build, rest, text_message, told_cost, total_cost, total_usage
from skillforge.formats.trajectories.lines import Item, Line, Lines, Quarantined
from skillforge.formats.trajectories.threads import Node, main_thread
from skillforge.messages import Media, Message, Part, Reasoning, Text, Usage
from skillforge.providers.wires import reading
from skillforge.trace import Trace, Turn

NAME = "pi"
_ROLES = frozenset({"user", "assistant", "toolResult", "bashExecution", "custom", "hookMessage"})
_STOPS = {"stop": "stop", "length": "length", "toolUse": "tool_calls"}
_SUMMARIES = frozenset({"compaction", "branch_summary"})


def knows(record: Mapping[str, Any]) -> bool:
    kind = record.get("type")
    if kind == "session":
        return "cwd" in record or "modelId" in record
    message = record.get("message")
    return kind == "message" and isinstance(message, Mapping) and reading.text(message.get("role")) in _ROLES


def read(lines: Lines, seen: set[str]) -> Iterator[Item]:
    """The session's thread as one trace. A branched session's file begins with a copy of the former one's records:
    those that are among ``seen``, which are of files read before, are left out.
    """
    session = _Session(seen)
    for line in lines:
        if isinstance(line, Quarantined):
            yield line
            continue
        try:
            session.add(line)
        except NotACall as exc:
            yield line.broken(exc)
    yield from session.traces()


class _Session:
    def __init__(self, seen: set[str]) -> None:
        self._seen = seen
        self._own: set[str] = set()
        self._copied = 0
        self._header: dict[str, Any] = {}
        self._first: Line | None = None
        self._said: list[tuple[Message, Turn | None]] = []  # the turn's place is not known yet
        self._nodes: list[Node] = []
        self._places: list[int] = []  # of what a node says, or -1
        self._other: Counter[str] = Counter()

    def add(self, line: Line) -> None:
        value = line.value
        kind = reading.text(value.get("type")) or "unknown"
        said: tuple[Message, Turn | None] | None = None
        if kind == "session" and not self._header:
            self._header = value
        elif kind == "message":
            said = self._message(value)
        elif kind in _SUMMARIES and value.get("summary"):
            said = text_message("user", reading.text(value["summary"])), None
            self._other[kind] += 1
        else:
            self._other[kind] += 1
        self._first = self._first or line
        self._nodes.append(
            Node(reading.text(value.get("id")), reading.text(value.get("parentId")), said=said is not None)
        )
        self._places.append(len(self._said) if said is not None else -1)
        if said is not None:
            self._said.append(said)

    def _message(self, record: Mapping[str, Any]) -> tuple[Message, Turn | None] | None:
        """What a message says; nothing for a copy."""
        message = reading.mapping(record.get("message"))
        told = [record.get("timestamp"), message.get("timestamp"), message.get("role"), message.get("toolCallId")]
        key = f"pi {told}" if told[0] and told[1] else ""
        if key and key in self._seen:
            self._copied += 1
            return None
        self._own.add(key)
        return _said(message, record)

    def traces(self) -> Iterator[Trace]:
        self._seen |= self._own - {""}
        if self._first is None or not self._said:
            return
        kept = sorted(self._places[place] for place in main_thread(self._nodes))
        turns = [
            turn.model_copy(update={"message": place})
            for place, (_, turn) in enumerate(self._said[number] for number in kept)
            if turn is not None
        ]
        header = self._header
        yield build(
            self._first,
            NAME,
            [self._said[number][0] for number in kept],
            case_id=reading.text(header.get("id")) or Path(self._first.file).stem,
            turns=turns,
            model=reading.text(header.get("modelId")) if not turns else "",
            extra={
                **rest(header, "type", "id"),
                "other_records": dict(self._other),
                "copied": self._copied or None,
                "taken_back": self._taken_back(set(kept)),
            },
        )

    def _taken_back(self, kept: set[int]) -> dict[str, Any]:
        left = [turn for number, (_, turn) in enumerate(self._said) if number not in kept and turn is not None]
        if len(kept) == len(self._said):
            return {}
        usage = total_usage(turn.usage for turn in left)
        return {
            "records": len(self._said) - len(kept),
            "answers": len(left),
            "usage": usage.model_dump(exclude_none=True),
            "usd": total_cost(turn.cost for turn in left).usd,
        }


def _said(message: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[Message, Turn | None]:
    """A message, and for one of the model what it cost."""
    role = message.get("role")
    content = message.get("content")
    if role == "assistant":
        found = tuple(_parts(content))
        return Message(role="assistant", content=found), _turn(message, record)
    if role == "toolResult":
        told = result(message.get("toolCallId"), _blocks(content), is_error=message.get("isError") is True)
        return Message(role="tool", content=(told,)), None
    if role == "bashExecution":  # what the person ran and let the model see
        text = f"$ {reading.text(message.get('command'))}\n{reading.text(message.get('output'))}"
        return text_message("user", text), None
    if role in ("user", "custom", "hookMessage"):
        return Message(role="user", content=tuple(_parts(content))), None
    if isinstance(message.get("summary"), str):
        return text_message("user", message["summary"]), None
    raise NotACall(f"a message has the role {str(role)[:40]!r}")


def _parts(content: Any) -> Iterator[Part]:
    for number, block in enumerate(content if isinstance(content, list) else [content]):
        told = reading.mapping(block)
        kind = told.get("type")
        if kind == "toolCall":
            yield tool_call(number, told.get("id"), told.get("name"), told.get("arguments"))
        elif kind == "thinking":
            yield Reasoning(kind="pi", data=dict(told))
        elif kind == "image":
            yield Media(type="image", media_type=(reading.text(told.get("mimeType")) or "image/*")[:100])
        elif block is not None:
            yield from parts(block)


def _blocks(content: Any) -> Any:
    """A result's blocks without the bytes of images."""
    blocks: Sequence[Any] = content if isinstance(content, list) else [content]
    found = [part for block in blocks for part in _parts([block])]
    if all(isinstance(part, Text) for part in found):
        return "".join(part.text for part in found if isinstance(part, Text))
    return [part.model_dump(exclude_defaults=True) | {"type": part.type} for part in found]


def _turn(message: Mapping[str, Any], record: Mapping[str, Any]) -> Turn:
    usage = reading.mapping(message.get("usage"))
    stop = reading.text(message.get("stopReason"))
    return Turn(
        message=0,
        model=reading.text(message.get("model")),
        usage=_usage(usage),
        cost=told_cost(reading.mapping(usage.get("cost")).get("total")),
        stop=_STOPS.get(stop, stop),
        at=when(message.get("timestamp") or record.get("timestamp")),
    )


def _usage(told: Mapping[str, Any]) -> Usage:
    """pi counts what went through the cache apart from its input."""
    sent = [reading.count(told.get(key)) for key in ("input", "cacheRead", "cacheWrite")]
    known = [count for count in sent if count is not None]
    return Usage(
        input_tokens=sum(known) if len(known) == len(sent) else None,
        cached_tokens=sent[1],
        written_tokens=sent[2],
        output_tokens=reading.count(told.get("output")),
    )
