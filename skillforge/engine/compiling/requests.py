"""A session cut into the requests of its user, and a request cut down to what was done for it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from skillforge.engine.compiling.effects import tools_of
from skillforge.engine.compiling.events import MAX_CALLS, ToolEvent, is_request, tool_events
from skillforge.engine.compiling.prune import prune
from skillforge.engine.compiling.shell import command_of, learns, only_looks
from skillforge.errors import UsageError
from skillforge.messages import Cost, Message, Part, Text, ToolCall, ToolResult, Usage
from skillforge.trace import Trace

_LISTED = 20
_SHOWN = 80


@dataclass(frozen=True)
class Asked:
    """One request, the ``number``-th (from 1), with what came of it. ``trace`` is cut to it, has only what it took, and
    ends where the agent began to learn from it. ``calls`` and ``answers`` count all of it, ``looks`` are the shell
    commands that only looked; ``open``: a call has no result.
    """

    number: int
    text: str
    trace: Trace
    calls: int
    answers: int
    looks: frozenset[int]
    open: bool

    @cached_property
    def idle(self) -> frozenset[int]:
        """Calls of ``done`` that never mattered: notes, repeats, reads that nothing came of."""
        seen = _without(self.trace, self.looks)
        return frozenset(prune(seen, tools_of([seen])).dropped)

    @property
    def acts(self) -> int:
        """Calls that mattered."""
        return self.calls - len(self.looks) - len(self.idle)

    @property
    def done(self) -> Trace:
        """The request without the shell commands that only looked, and without the program's own rules for the agent:
        they are no rules of the task. Where more than 40 calls are left, also without those that never mattered.
        """
        kept = _without(self.trace, self.looks)
        kept = kept if self.calls - len(self.looks) <= MAX_CALLS else _without(kept, self.idle)
        messages = tuple(message for message in kept.messages if message.role != "system")
        return kept.model_copy(update={"messages": messages, "turns": ()})


def requests(trace: Trace) -> tuple[Asked, ...]:
    """The requests of a session, in their order."""
    starts = [number for number, message in enumerate(trace.messages) if is_request(message)]
    ends = [*starts[1:], len(trace.messages)]
    return tuple(
        _asked(trace, number, start, end) for number, (start, end) in enumerate(zip(starts, ends, strict=False), 1)
    )


def request_of(trace: Trace, number: int) -> Asked:
    """The ``number``-th request. Raises ``UsageError`` that lists them."""
    found = requests(trace)
    if not 1 <= number <= len(found):
        raise UsageError(f"there is no request {number}\n{listed(found)}".rstrip(), hint="name one: --turn N")
    return found[number - 1]


def chosen(trace: Trace, number: int | None = None) -> Asked:
    """The request that a plan can be made of: the ``number``-th, or the last one that is finished and in which a tool
    was called.

    Raises ``UsageError`` that lists the requests where there is none, and where it took more than 40 calls.
    """
    found = requests(trace)
    asked = request_of(trace, number) if number is not None else _last(found)
    if asked is None:
        raise UsageError(
            "\n".join(
                ["no request of this session is finished and called a tool that changed something", listed(found)]
            ).rstrip(),
            hint="solve the task first; of a task without tools a teacher writes a skill: create --cases",
        )
    if asked.open:
        raise UsageError(
            f"request {asked.number} is not finished: a call of it has no result yet",
            hint="learn it when it is done, or name another: --turn N",
        )
    if not asked.acts:
        raise UsageError(
            f"request {asked.number} called no tool that changed something, or whose result came back\n{listed(found)}",
            hint="name one that did: --turn N",
        )
    if asked.acts > MAX_CALLS:
        raise UsageError(
            f"request {asked.number} took {asked.acts} tool calls, a plan is made of at most {MAX_CALLS}\n"
            f"{listed(found)}",
            hint="name a shorter one: --turn N",
        )
    return asked


def listed(found: Sequence[Asked]) -> str:
    """The requests, a line each: the last ``_LISTED``."""
    return "\n".join(f"  {_line(asked)}" for asked in found[-_LISTED:])


def _line(asked: Asked) -> str:
    said = "".join(char if char.isprintable() else "?" for char in " ".join(asked.text.split()))
    said = said if len(said) <= _SHOWN else f"{said[: _SHOWN - 1]}…"
    return f"--turn {asked.number}: {asked.calls} tool calls{', not finished' if asked.open else ''}: {said}"


def _last(found: Sequence[Asked]) -> Asked | None:
    return next((asked for asked in reversed(found) if asked.acts and not asked.open), None)


def _asked(trace: Trace, number: int, start: int, end: int) -> Asked:
    first = next((place for place, message in enumerate(trace.messages) if is_request(message)), start)
    head = tuple(message for message in trace.messages[:first] if message.role == "system")
    told = tuple(_until_it_learns(trace.messages[start:end]))
    whole = end == len(trace.messages) and len(told) == end - start
    turns = tuple(
        turn.model_copy(update={"message": turn.message - start + len(head)})
        for turn in trace.turns
        if start <= turn.message < start + len(told)
    )
    cut = trace.model_copy(
        update={
            "messages": (*head, *told),
            "turns": turns,
            "output": trace.output if whole else None,
            "usage": sum((turn.usage for turn in turns[1:]), turns[0].usage) if turns else Usage(),
            "cost": sum((turn.cost for turn in turns[1:]), turns[0].cost) if turns else Cost(),
        }
    )
    events = tool_events(cut)
    return Asked(
        number=number,
        text=trace.messages[start].text.strip(),
        trace=cut,
        calls=len(events),
        answers=sum(message.role == "assistant" for message in told),
        looks=frozenset(event.n for event in events if _looks(event)),
        open=any(not event.answered for event in events),
    )


def _until_it_learns(messages: Sequence[Message]) -> Iterator[Message]:
    """What stands before the agent's own ``skillforge learn``, and what it said in that message."""
    for message in messages:
        if any(learns(command_of(call.name, call.arguments)) for call in message.tool_calls):
            if text := message.text.strip():
                yield Message.of("assistant", text)
            return
        yield message


def _looks(event: ToolEvent) -> bool:
    return only_looks(command_of(event.name, event.arguments))


def _without(trace: Trace, left_out: Collection[int]) -> Trace:
    """The trace without some calls (by their number) and their results."""
    messages: list[Message] = []
    pending: list[tuple[str, int]] = []
    count = 0
    for message in trace.messages:
        kept: list[Part] = []
        for part in message.content:
            number: int | None = None
            if isinstance(part, ToolCall):
                number, count = count, count + 1
                pending.append((part.id, number))
            elif isinstance(part, ToolResult):
                found = next((each for each in pending if each[0] == part.id), None)
                if found is not None:
                    pending.remove(found)
                    number = found[1]
            if number not in left_out:
                kept.append(part)
        if any(not isinstance(part, Text) or part.text.strip() for part in kept):
            messages.append(message.model_copy(update={"content": tuple(kept)}))
    return trace.model_copy(update={"messages": tuple(messages)})
