"""The airline trajectories as the benchmark uses them: families, split, outcomes, what recordings show of the world.

All of it is fixed by rules over the customer's goal and the task's number, before anything is run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillforge.engine.compiling.events import tool_events
from skillforge.formats.trajectories.detect import read_trajectories
from skillforge.messages import Message, ToolCall, ToolResult
from skillforge.tools.recorded import RecordedCall, calls_of_trace
from skillforge.trace import Trace

# The word of the goal that comes first says what the task is.
FAMILIES = {
    "cancel": r"\bcancel",
    "change": r"\bchange|\bdowngrade|\bupgrade|\bpush back|\bremove",
    "book": r"\bbook\b|want to fly",
    "compensate": r"delayed flight|complain",
}
WRITES = frozenset(
    {
        "book_reservation",
        "cancel_reservation",
        "send_certificate",
        "update_reservation_baggages",
        "update_reservation_flights",
        "update_reservation_passengers",
    }
)
READS = frozenset({"get_reservation_details", "get_user_details", "search_direct_flight", "search_onestop_flight"})

Call = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Task:
    """The trials of one task. ``gold`` are the calls that its author wrote as the right ones."""

    id: int
    family: str
    train: bool
    gold: tuple[Call, ...]
    trials: tuple[Trace, ...]

    @property
    def writes(self) -> tuple[Call, ...]:
        return tuple(call for call in self.gold if call[0] in WRITES)

    @property
    def customers(self) -> frozenset[str]:
        return frozenset(re.findall(r"[a-z]+_[a-z]+_\d{4}", str(self.trials[0].extra["instruction"])))


def family_of(goal: str) -> str:
    """The family whose word stands first in a goal, "" where none does."""
    found = {name: match.start() for name, words in FAMILIES.items() if (match := re.search(words, goal.lower()))}
    return min(found, key=lambda name: found[name], default="")


def read_tasks(data: Path) -> tuple[Task, ...]:
    """All tasks, read by the importer. Inside a family, in the order of their numbers, the first, third … are train."""
    groups: dict[int, list[Trace]] = {}
    for item in read_trajectories(data / "trc_tau_airline" / "trajectories.jsonl"):
        if not isinstance(item, Trace):
            raise SystemExit(f"put aside: {item}")
        groups.setdefault(int(item.group), []).append(item)
    counts: dict[str, int] = {}
    tasks = []
    for number in sorted(groups):
        trials = tuple(groups[number])
        family = family_of(str(trials[0].extra["instruction"]))
        place = counts[family] = counts.get(family, -1) + 1
        gold = tuple((call["name"], call["kwargs"]) for call in trials[0].extra["gold_actions"])
        tasks.append(Task(number, family, place % 2 == 0, gold, trials))
    return tuple(tasks)


def first_reads(traces: Iterable[Trace]) -> dict[str, RecordedCall]:
    """What reads gave before anything was written: all trials start from the same world."""
    found: dict[str, RecordedCall] = {}
    for trace in traces:
        for call in calls_of_trace(trace):
            if call.tool in WRITES:
                break
            if call.tool in READS:
                found.setdefault(key_of(call.tool, call.arguments), call)
    return found


def key_of(name: str, arguments: dict[str, Any]) -> str:
    return json.dumps([name, arguments], sort_keys=True)


def outcome_trace(task: Task) -> Trace:
    """A train task that no trial solved, as a trace of its outcome: the goal as the request, the reads of its trials,
    the writes that its author wrote as the right ones.
    """
    first = task.trials[0]
    request = re.sub(r"^You (are )?", "I am ", str(first.extra["instruction"]))
    messages = [message for message in first.messages if message.role == "system"]
    messages.append(Message.of("user", request))
    calls = [(call.tool, call.arguments, call.content) for call in first_reads(task.trials).values()]
    calls += [(name, arguments, {"status": "done"}) for name, arguments in task.writes]
    for number, (name, arguments, content) in enumerate(calls):
        asked = ToolCall(id=f"call-{number}", name=name, arguments=arguments)
        messages.append(Message(role="assistant", content=(asked,)))
        messages.append(Message(role="tool", content=(ToolResult(id=asked.id, content=content),)))
    messages.append(Message.of("assistant", "Done."))
    update = {"case_id": f"{task.id}-gold", "messages": tuple(messages), "turns": (), "reward": 1.0, "error": ""}
    return first.model_copy(update={**update, "input": {"request": request}, "output": "Done."})


def turns_of(trace: Trace) -> int:
    """How often the agent's model was asked."""
    return sum(message.role == "assistant" for message in trace.messages)


def made_by_agent(trace: Trace) -> tuple[Call, ...]:
    """The writes that the agent made and that were taken."""
    return tuple((e.name, e.arguments) for e in tool_events(trace) if e.name in WRITES and not e.failed)


def same_writes(made: Sequence[Call], gold: Sequence[Call]) -> bool:
    """Equal as JSON; those on one reservation in the same order."""
    left = list(gold)
    for call in made:
        if call not in left:
            return False
        left.remove(call)
    return not left and all(
        [call for call in made if call[1].get("reservation_id") == name]
        == [call for call in gold if call[1].get("reservation_id") == name]
        for name in {str(call[1].get("reservation_id")) for call in gold}
    )
