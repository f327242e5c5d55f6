"""Recorded calls in the database: once each, in order of time, with no more of what was said than is wanted."""

from __future__ import annotations

from typing import Any

import pytest
from sqlite_utils import Database

from skillforge.call import Call
from skillforge.messages import Cost, Message, Reasoning, Text, Tool, ToolCall, ToolResult, Usage
from skillforge.redact import Redactor
from skillforge.store.calls import CallLog
from skillforge.store.database import rows


def call(id: str, **changes: Any) -> Call:
    told: dict[str, Any] = {
        "id": id,
        "api": "openai-chat",
        "model": "gpt-6-luna",
        "system": "You route tickets.",
        "messages": (
            Message.of("user", "charged twice"),
            Message(role="assistant", content=(ToolCall(id="c", name="look", arguments={"a": [1, None]}),)),
            Message(role="tool", content=(ToolResult(id="c", content={"b": 1}),)),
        ),
        "tools": (Tool(name="look", parameters={"type": "object"}),),
        "output_schema": {"type": "object"},
        "params": {"temperature": 0},
        "output": Message(role="assistant", content=(Reasoning(kind="x", data={"y": 1}), Text(text="billing"))),
        "stop": "stop",
        "usage": Usage(input_tokens=10, output_tokens=2),
        "cost": Cost(usd=0.5, basis="list"),
        "list_usd": 0.75,
        "latency_s": 1.5,
        "at": "2026-01-01T00:00:00.000Z",
        "conversation": "conv",
        "tags": {"app": "support"},
    }
    return Call.model_validate(told | changes)


def test_a_stored_call_comes_back_as_it_was(db: Database, redactor: Redactor):
    log = CallLog(db, redactor)
    assert log.add([call("a")], "wrap") == 1
    assert list(log.stream()) == [call("a")]
    (row,) = rows(db, "SELECT * FROM calls")
    assert (row["usd"], row["list_usd"], row["input_tokens"], row["source"]) == (0.5, 0.75, 10, "wrap")


def test_a_call_is_stored_once(db: Database, redactor: Redactor):
    log = CallLog(db, redactor)
    assert log.add([call("a"), call("b"), call("a", system="other")], "import") == 2
    assert log.add([call("b"), call("c")], "import") == 1
    assert log.count() == 3
    assert next(log.stream()).system == "You route tickets."


def test_the_stream_is_in_order_of_time_across_pages(db: Database, redactor: Redactor, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("skillforge.store.calls._PAGE", 3)
    log = CallLog(db, redactor)
    times = ["", "2026-01-03", "2026-01-01", "2026-01-01", "2026-01-02", "2026-01-01", "", "2026-01-04"]
    log.add([call(str(number), at=at) for number, at in enumerate(times)], "import")
    assert [found.id for found in log.stream()] == ["0", "6", "2", "3", "5", "4", "1", "7"]
    assert [found.id for found in log.recent(3)] == ["7", "1", "4"]


def test_secrets_never_reach_the_file(db: Database, redactor: Redactor, canary: str, path: Any):
    secret = call(
        "a",
        system=f"key {canary}",
        messages=(Message.of("user", canary), Message(role="tool", content=(ToolResult(id="x", content=[canary]),))),
        output=Message(role="assistant", content=(ToolCall(id="c", name="f", arguments={canary: canary}),)),
        params={"password": "hunter2hunter2", "x": canary},
        output_schema={"description": canary},
        tools=(Tool(name="t", description=canary, parameters={"d": canary}),),
        tags={"t": canary},
        error=canary,
        server=f"https://{canary}@example.org",
        conversation=canary,
        subject=canary,
    )
    CallLog(db, redactor).add([secret], "import")
    stored = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert canary.encode() not in stored
    assert b"hunter2hunter2" not in stored
    assert [found.id for found in CallLog(db, redactor).stream()] == ["a"]


def test_none_keeps_the_figures_and_nothing_that_was_said(db: Database, redactor: Redactor):
    CallLog(db, redactor, "none").add([call("a", error="HTTP 400: charged twice")], "import")
    (found,) = CallLog(db, redactor).stream()
    kept = call("a")
    assert (found.usage, found.cost, found.tags, found.conversation) == (
        kept.usage,
        kept.cost,
        kept.tags,
        kept.conversation,
    )
    assert (found.system, found.messages, found.tools, found.output, found.params) == ("", (), (), None, {})
    assert (found.output_schema, found.error) == (None, "HTTP 400")


def test_full_keeps_what_was_said_and_still_cleans_tags_and_errors(db: Database, redactor: Redactor, canary: str):
    CallLog(db, redactor, "full").add([call("a", system=canary, tags={"t": canary}, error=canary)], "import")
    (found,) = CallLog(db, redactor).stream()
    assert found.system == canary
    assert canary not in found.error + found.tags["t"]


def test_a_failing_call_leaves_nothing_of_its_batch(db: Database, redactor: Redactor):
    log = CallLog(db, redactor)

    def calls() -> Any:
        yield call("a")
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError):
        log.add(calls(), "import")
    assert log.count() == 0


def test_what_looks_like_a_secret_but_is_a_count_or_a_word_of_ours_stays(db: Database):
    redactor = Redactor({"ROLE_KEY": "assistant", "PART_KEY": "tool_result"})
    redactor.learn("openai-chat")  # a key that a local server was given
    told = call("a", usage=Usage(input_tokens=4111111111111111, output_tokens=2))  # as a card's number is made
    log = CallLog(db, redactor)
    log.add([told], "wrap")
    assert list(log.stream()) == [told]
