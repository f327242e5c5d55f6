"""Sessions of Codex: ``rollout-*.jsonl`` below ``~/.codex/sessions``, records of ``{timestamp, type, payload}``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from skillforge.formats.fields import when
from skillforge.formats.parts import NotACall, block_parts, parts, tool_call, turn
from skillforge.formats.trajectories.building import build, request_of, rest
from skillforge.formats.trajectories.lines import Item, Line, Lines, Quarantined
from skillforge.messages import Message, Part, Usage
from skillforge.providers.wires import reading
from skillforge.trace import Trace, Turn

NAME = "codex"
_TYPES = frozenset({"session_meta", "turn_context", "response_item", "event_msg", "compacted"})


def knows(record: Mapping[str, Any]) -> bool:
    return reading.text(record.get("type")) in _TYPES and isinstance(record.get("payload"), Mapping)


def read(lines: Lines) -> Iterator[Item]:
    """The session as one trace. Items in a row that the model made are one answer, as the API counts them."""
    session = _Session()
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
    def __init__(self) -> None:
        self._meta: dict[str, Any] = {}
        self._first: Line | None = None
        self._messages: list[Message] = []
        self._turns: list[Turn] = []
        self._open: list[Part] = []  # of the answer under way
        self._at = ""
        self._model = ""
        self._counted: Mapping[str, Any] = {}  # the sum so far, as the file tells it
        self._other: Counter[str] = Counter()

    def add(self, line: Line) -> None:
        self._first = self._first or line
        kind, payload = line.value.get("type"), reading.mapping(line.value.get("payload"))
        if kind == "session_meta":
            self._meta = self._meta or dict(payload)
        elif kind == "turn_context":
            self._model = reading.text(payload.get("model")) or self._model
        elif kind == "response_item":
            self._item(payload, when(line.value.get("timestamp")))
        elif payload.get("type") == "token_count":
            self._count(reading.mapping(payload.get("info")))
        else:
            self._other[f"{kind}.{reading.text(payload.get('type'))}".rstrip(".")] += 1

    def traces(self) -> Iterator[Trace]:
        self._close()
        if self._first is None or not self._messages:
            return
        told = self._meta
        instructions = told.get("base_instructions") or told.get("instructions")
        if isinstance(instructions, Mapping):
            instructions = instructions.get("text")
        yield build(
            self._first,
            NAME,
            self._messages,
            case_id=reading.text(told.get("id") or told.get("session_id")) or Path(self._first.file).stem,
            turns=self._turns,
            task=request_of(self._messages),
            extra={
                **rest(told, "id", "instructions", "base_instructions"),
                "instructions": reading.text(instructions),
                "other_records": dict(self._other),
            },
        )

    def _item(self, item: Mapping[str, Any], at: str) -> None:
        kind = reading.text(item.get("type"))
        if kind == "message" and item.get("role") != "assistant":
            self._close()
            system = item.get("role") in ("system", "developer")
            self._messages.append(turn("system" if system else "user", parts(item.get("content"))))
        elif kind.endswith("_output"):
            self._close()
            self._messages.append(Message(role="tool", content=tuple(block_parts(item, len(self._messages)))))
        else:
            found = list(_made(item, kind, len(self._open)))
            self._at = self._at or at
            self._open += found

    def _close(self) -> None:
        """The answer under way is whole: its cost may still come."""
        if self._open:
            message = Message(role="assistant", content=tuple(self._open))
            stop = "tool_calls" if message.tool_calls else "stop"
            self._turns.append(Turn(message=len(self._messages), model=self._model, at=self._at, stop=stop))
            self._messages.append(message)
        self._open, self._at = [], ""

    def _count(self, info: Mapping[str, Any]) -> None:
        """What the answer before cost. The same count comes again with every other news of the account."""
        total = reading.mapping(info.get("total_token_usage"))
        if not total or total == self._counted:
            return
        before, self._counted = self._counted, total
        self._close()
        if self._turns and self._turns[-1].usage == Usage():
            last = reading.mapping(info.get("last_token_usage")) or _less(total, before)
            self._turns[-1] = self._turns[-1].model_copy(update={"usage": _usage(last)})


def _made(item: Mapping[str, Any], kind: str, number: int) -> Iterator[Part]:
    if kind == "message":
        yield from parts(item.get("content"))
    elif kind == "local_shell_call":
        yield tool_call(number, item.get("call_id") or item.get("id"), "local_shell", item.get("action") or {})
    elif kind == "custom_tool_call" and isinstance(item.get("input"), str):  # it takes a text
        yield tool_call(number, item.get("call_id"), item.get("name"), {"input": item["input"]})
    else:
        yield from block_parts(item, number)


def _less(total: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, int]:
    """What came to the sum since it was told last."""
    counts = {key: (reading.count(value), reading.count(before.get(key, 0))) for key, value in total.items()}
    return {key: now - then for key, (now, then) in counts.items() if now is not None and then is not None}


def _usage(told: Mapping[str, Any]) -> Usage:
    return reading.usage_of(
        told.get("input_tokens"),
        told.get("output_tokens"),
        None,
        {"cached_tokens": told.get("cached_input_tokens")},
        {"reasoning_tokens": told.get("reasoning_output_tokens")},
    )
