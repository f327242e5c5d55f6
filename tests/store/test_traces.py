from __future__ import annotations

import pytest
from sqlite_utils import Database

from skillforge.messages import Cost, Message, ToolCall, ToolResult, Usage
from skillforge.redact import Redactor
from skillforge.store.traces import TraceLog
from skillforge.trace import Trace

TURNS = (
    Message.of("user", "Grüße 🐛"),
    Message(role="assistant", content=(ToolCall(id="1", name="look", arguments={"b": 1, "a": [None]}),)),
    Message(role="tool", content=(ToolResult(id="1", content={"x": 1.5}),)),
)


@pytest.fixture
def traces(db: Database, redactor: Redactor) -> TraceLog:
    return TraceLog(db, redactor)


def trace(output: object = "x", error: str = "") -> Trace:
    return Trace(
        case_id="1",
        task="Route it.",
        input={"ticket": "t"},
        output=output,
        messages=TURNS,
        model="m",
        usage=Usage(input_tokens=5),
        cost=Cost(usd=0.5, basis="list"),
        latency_s=0.25,
        error=error,
    )


def test_a_trace_comes_back_as_it_was(traces: TraceLog) -> None:
    given = trace({"b": 1, "a": ["\ud800"]})
    traces.add("k", given, "scripted:teacher")
    assert traces.known(["k", "other"]) == {"k": given}


def test_the_first_solved_trace_stays_and_failed_ones_are_asked_again(traces: TraceLog) -> None:
    traces.add("k", trace(error="no answer"), "t")
    assert traces.known(["k"]) == {}
    for output in ("first", "second"):
        traces.add("k", trace(output), "t")
    traces.add("k", trace(error="no answer"), "t")
    assert traces.known(["k"])["k"].output == "first"


def test_secrets_are_taken_out_of_every_turn(traces: TraceLog, canary: str) -> None:
    given = trace(output={"x": canary}).model_copy(
        update={"messages": (Message.of("user", f"my key is {canary}"),), "input": {"k": [canary]}}
    )
    traces.add("k", given, "t")
    read = traces.known(["k"])["k"]
    assert canary not in read.model_dump_json()
    assert read.messages[0].text.startswith("my key is ")


def test_a_token_count_that_looks_like_a_card_number_stays_a_number(traces: TraceLog) -> None:
    given = trace().model_copy(update={"usage": Usage(input_tokens=4111111111111111)})
    traces.add("k", given, "t")
    assert traces.known(["k"])["k"] == given


def test_nothing_of_a_trace_is_kept_where_nothing_is_to_be_kept(db: Database, redactor: Redactor) -> None:
    traces = TraceLog(db, redactor, "none")
    traces.add("k", trace(), "t")
    assert traces.known(["k"]) == {}
    assert list(db["traces"].rows) == []
