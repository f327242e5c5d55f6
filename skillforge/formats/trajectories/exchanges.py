"""A request and its response, of any of the three APIs: the last exchange of a conversation holds all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from skillforge.call import Call
from skillforge.formats import fields
from skillforge.formats.pairs import is_pair, read_pair
from skillforge.formats.trajectories.building import answer_turns, build, rest, reward_of, text_message
from skillforge.formats.trajectories.lines import Item, Line, Lines, each
from skillforge.messages import Message
from skillforge.trace import Trace

NAME = "exchange"
_KNOWN = ("request", "response", "id", "reward", "score", "success", "task_id", "group")


def knows(record: Mapping[str, Any]) -> bool:
    return is_pair(record)


def read(lines: Lines) -> Iterator[Item]:
    """A trace an exchange. Only its own answer was paid for with it; earlier ones are told and cost nothing here."""
    return each(lines, _exchange)


def _exchange(line: Line) -> Iterator[Trace]:
    raw = json.dumps(line.value, sort_keys=True).encode()
    call = read_pair(line.value, hashlib.blake2b(raw, digest_size=16).hexdigest())
    if call is not None:
        yield trace_of_call(line, call, NAME)


def trace_of_call(line: Line, call: Call, format: str) -> Trace:
    """The conversation that a recorded call ended with."""
    messages: list[Message] = [text_message("system", call.system)] if call.system else []
    messages += [*call.messages, *([call.output] if call.output is not None else [])]
    turns = answer_turns(messages, call.model)
    if turns and call.output is not None:
        own = {"usage": call.usage, "cost": call.cost, "latency_s": call.latency_s, "stop": call.stop, "at": call.at}
        turns[-1] = turns[-1].model_copy(update=own)
    return build(
        line,
        format,
        messages,
        case_id=call.id,
        turns=turns,
        usage=call.usage,
        cost=call.cost,
        latency_s=call.latency_s,
        model=call.model,
        tools=call.tools,
        group=fields.text(line.value, "task_id", "group"),
        reward=reward_of(line.value),
        error=call.error,
        extra=rest(line.value, *_KNOWN),
    )
