"""What every known format becomes: messages, calls with their results, what each answer cost, and all the rest."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from trajectory_samples import (
    FILES,
    anthropic_row,
    codex_session,
    exchange_row,
    genai_trace,
    jsonl,
    mini_messages,
    otlp,
    our_row,
    pi_session,
    span,
    swe_row,
    tau_row,
    tooltalk_row,
)

from skillforge.errors import NotFound, UsageError
from skillforge.formats.trajectories import lines
from skillforge.formats.trajectories.detect import FORMATS, read_trajectories
from skillforge.formats.trajectories.lines import Quarantined
from skillforge.messages import Cost, ToolResult, Usage
from skillforge.trace import Trace


def read(path: Path, **options: Any) -> list[Trace]:
    found = list(read_trajectories(path, **options))
    assert all(isinstance(item, Trace) for item in found), found
    return [item for item in found if isinstance(item, Trace)]


def one(path: Path, **options: Any) -> Trace:
    (found,) = read(path, **options)
    return found


def aside(path: Path) -> list[Quarantined]:
    return [item for item in read_trajectories(path) if isinstance(item, Quarantined)]


def results(trace: Trace) -> list[ToolResult]:
    return [part for message in trace.messages for part in message.content if isinstance(part, ToolResult)]


def calls(trace: Trace) -> list[tuple[str, dict[str, Any]]]:
    return [(call.name, call.arguments) for message in trace.messages for call in message.tool_calls]


@pytest.mark.parametrize("name", FILES)
def test_every_format_is_known_by_its_content(name: str, tmp_path: Path) -> None:
    rows = FILES[name]()
    first = next(iter(read_trajectories(jsonl(tmp_path / "file.jsonl", rows))))
    assert isinstance(first, Trace)
    assert first.format == name
    assert first.untrusted
    assert first.source.startswith(f"{tmp_path / 'file.jsonl'}:")
    assert first.messages


@pytest.mark.parametrize("name", sorted(set(FILES) - {"claude-code", "pi", "codex"}))
@pytest.mark.parametrize("indent", [None, 1])
def test_an_array_holds_the_same_as_lines(name: str, indent: int | None, tmp_path: Path) -> None:
    rows = FILES[name]()
    array = tmp_path / "file.json"
    array.write_text(json.dumps(rows, indent=indent))
    packed = tmp_path / "file.jsonl.gz"
    packed.write_bytes(gzip.compress(jsonl(tmp_path / "file.jsonl", rows).read_bytes()))
    expected = [trace.messages for trace in read(tmp_path / "file.jsonl")]
    assert [trace.messages for trace in read(array)] == expected
    assert [trace.messages for trace in read(packed)] == expected


def test_a_row_of_tau_bench_keeps_reward_task_and_gold(tmp_path: Path) -> None:
    first, second = read(jsonl(tmp_path / "t.jsonl", [tau_row(7), tau_row(7, 1, 0.0, gold_actions=[])]))
    assert (first.case_id, first.group, first.reward) == ("7-0", "7", 1.0)
    assert (second.case_id, second.group, second.reward) == ("7-1", "7", 0.0)
    assert first.input == {"request": "Cancel my order A1, attempt 0"}
    assert first.output == "Done."
    assert first.extra["gold_actions"] == [{"name": "cancel_order", "kwargs": {"order_id": "A1"}}]
    assert second.extra["gold_actions"] == []  # that nothing was to be done is something
    assert calls(first) == [("get_order", {"order_id": "A1"})]
    assert results(first)[0].id == "call_a"
    assert (first.usage, first.cost) == (Usage(), Cost())  # not told, so not known
    assert first.calls == 2


def test_results_that_name_their_function_belong_to_its_call(tmp_path: Path) -> None:
    row = tau_row()
    row["messages"][2] = {"role": "function", "name": "get_order", "content": "open"}
    assert results(one(jsonl(tmp_path / "t.jsonl", [row])))[0].id == "call_a"


def test_anthropic_messages_keep_system_and_tools(tmp_path: Path) -> None:
    trace = one(jsonl(tmp_path / "a.jsonl", [anthropic_row(usage={"input_tokens": 5, "output_tokens": 2}, note="x")]))
    assert [message.role for message in trace.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert trace.tools[0].description == "An order"
    assert results(trace)[0].content == "sent"
    assert (trace.usage.input_tokens, trace.usage.output_tokens, trace.model) == (5, 2, "claude-x")
    assert trace.extra == {"note": "x"}


def test_of_an_exchange_its_own_answer_was_paid_for(tmp_path: Path) -> None:
    trace = one(jsonl(tmp_path / "e.jsonl", [exchange_row()]))
    assert [message.role for message in trace.messages] == ["user", "assistant", "user", "assistant"]
    assert (trace.usage.input_tokens, trace.usage.output_tokens, trace.cost.usd) == (11, 3, 0.25)
    assert [turn.usage.input_tokens for turn in trace.turns] == [None, 11]
    assert trace.input == {"request": "hi"}


def test_pi_tells_tokens_and_dollars(tmp_path: Path) -> None:
    trace = one(jsonl(tmp_path / "p.jsonl", pi_session()))
    assert trace.case_id == "p1"
    assert trace.input == {"request": "Read a.md"}  # a command of the program is no request
    assert trace.usage == Usage(input_tokens=40, cached_tokens=6, written_tokens=4, output_tokens=12)
    assert trace.cost.usd == pytest.approx(0.035)
    assert [turn.stop for turn in trace.turns] == ["tool_calls", "stop"]
    assert results(trace)[0].content == "hi"
    assert trace.extra["other_records"] == {"model_change": 1}


def test_a_branch_that_was_left_is_told_and_no_part_of_a_pi_session(tmp_path: Path) -> None:
    session = pi_session()
    for number, row in enumerate(session):
        row |= {"id": row.get("id", f"n{number}"), "parentId": None if number == 0 else f"n{number - 1}"}
    session[1]["parentId"] = "p1"
    left = [{**session[6], "id": "x", "parentId": "n3"}, {**session[5], "id": "y", "parentId": "x"}]
    trace = one(jsonl(tmp_path / "p.jsonl", [*session[:4], *left, *session[4:]]))
    assert trace.messages == one(jsonl(tmp_path / "q.jsonl", session)).messages
    assert trace.extra["taken_back"]["answers"] == 1
    assert trace.extra["taken_back"]["usd"] == pytest.approx(0.0225)


def test_actions_of_swe_agent_are_calls_of_a_shell(tmp_path: Path) -> None:
    trace = one(jsonl(tmp_path / "s.jsonl", [swe_row()]))
    assert calls(trace) == [("bash", {"command": "open a.py"}), ("bash", {"command": "submit"})]
    assert [message.role for message in trace.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert results(trace)[0].content == "1: print 1"
    assert (trace.usage.input_tokens, trace.usage.output_tokens, trace.cost.usd) == (900, 80, 0.5)
    assert (trace.extra["n_steps"], trace.extra["exit_status"]) == (2, "submitted")


def test_a_replayed_demonstration_has_no_known_cost(tmp_path: Path) -> None:
    stats = {"total_cost": 0, "instance_cost": 0, "tokens_sent": 0, "tokens_received": 0, "api_calls": 0}
    trace = one(jsonl(tmp_path / "s.jsonl", [swe_row(model_stats=stats)]))
    assert (trace.usage, trace.cost) == (Usage(), Cost())
    assert trace.extra["model_stats"] == stats


def test_a_trajectory_without_history_is_read_by_its_steps(tmp_path: Path) -> None:
    steps = [{"action": "ls", "observation": "a b", "response": "I look.\n```\nls\n```", "thought": "I look."}]
    info = {"exit_status": "submitted", "submission": "diff", "model_stats": {"api_calls": 1, "instance_cost": 0.1}}
    (tmp_path / "x.traj").write_text(json.dumps({"trajectory": steps, "info": info}, indent=1))
    trace = one(tmp_path / "x.traj")
    assert (trace.case_id, trace.output, trace.cost.usd) == ("x", "diff", 0.1)
    assert results(trace)[0].content == "a b"


def test_mini_swe_agent_runs_the_one_block_of_an_answer(tmp_path: Path) -> None:
    trace = one(jsonl(tmp_path / "m.jsonl", mini_messages()))
    assert calls(trace) == [("bash", {"command": "cat a.py"}), ("bash", {"command": "ls"})]
    assert [(result.is_error) for result in results(trace)] == [True, False]
    wrapped = {"trajectory_format": "mini-swe-agent-1", "messages": mini_messages(), "info": {"submission": "d"}}
    (tmp_path / "m.traj.json").write_text(json.dumps(wrapped))
    assert one(tmp_path / "m.traj.json").messages == trace.messages
    assert one(tmp_path / "m.traj.json").case_id == "m"


def test_tooltalk_calls_come_before_the_answer_they_led_to(tmp_path: Path) -> None:
    trace = one(jsonl(tmp_path / "t.jsonl", [tooltalk_row()]))
    roles = [message.role for message in trace.messages]
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "assistant"]
    assert [(result.content, result.is_error) for result in results(trace)] == [
        ({"reminders": []}, False),
        ("no session", True),
    ]
    assert [tool.name for tool in trace.tools] == ["GetReminders", "AddReminder"]


def test_codex_counts_an_answer_once(tmp_path: Path) -> None:
    trace = one(jsonl(tmp_path / "rollout-1.jsonl", codex_session()))
    assert trace.usage.input_tokens == 30
    assert trace.usage.output_tokens == 14
    assert [turn.model for turn in trace.turns] == ["gpt-codex", "gpt-codex"]
    assert trace.input == {"request": "List the files"}
    assert calls(trace) == [("shell", {"command": ["ls"]})]
    assert trace.extra["instructions"] == "Be short."


def test_a_codex_tool_that_takes_a_text_is_a_call_too(tmp_path: Path) -> None:
    session = codex_session()
    session[5]["payload"] = {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin", "call_id": "k1"}
    assert calls(one(jsonl(tmp_path / "r.jsonl", session))) == [("apply_patch", {"input": "*** Begin"})]


def test_where_codex_tells_sums_alone_the_difference_counts(tmp_path: Path) -> None:
    session = codex_session()
    for row in session:
        info = row["payload"].get("info") or {}
        info.pop("last_token_usage", None)
    trace = one(jsonl(tmp_path / "r.jsonl", session))
    assert [turn.usage.input_tokens for turn in trace.turns] == [10, 20]


def test_a_copy_in_a_branched_pi_session_is_not_counted_twice(tmp_path: Path) -> None:
    session = pi_session()
    for number, row in enumerate(session[2:]):
        row["timestamp"] = f"2026-01-01T00:00:{number:02d}Z"
        row["message"]["timestamp"] = 1_767_225_600_000 + number
    later = json.loads(json.dumps(session[-1]))
    later["timestamp"], later["message"]["timestamp"] = "2026-01-02T00:00:00Z", 1_767_312_000_000
    header = {**session[0], "id": "p2", "branchedFrom": "p1"}
    jsonl(tmp_path / "b.jsonl", session)
    jsonl(tmp_path / "a.jsonl", [header, *session[1:], later])
    original, branched = read(tmp_path)
    assert (len(original.messages), len(branched.messages)) == (5, 1)
    assert branched.cost.usd == pytest.approx(0.0225)
    assert branched.extra["copied"] == 5


def test_our_own_traces_come_back_untrusted(tmp_path: Path) -> None:
    trace = one(jsonl(tmp_path / "o.jsonl", [our_row()]))
    assert (trace.case_id, trace.output, trace.untrusted, trace.format) == (
        "t1",
        {"team": "billing"},
        True,
        "skillforge",
    )
    wrong = jsonl(tmp_path / "w.jsonl", [our_row() | {"messages": "none"}, our_row()])
    assert [item.reason for item in aside(wrong)] == ["messages: Input should be a valid tuple"]


def test_model_calls_of_a_trace_are_one_conversation(tmp_path: Path) -> None:
    trace = one(jsonl(tmp_path / "o.json", [genai_trace()]))
    assert [message.role for message in trace.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert calls(trace) == [("get_order", {"id": "A1"})]
    assert [(result.id, result.content) for result in results(trace)] == [("t1", {"status": "sent"})]
    assert (trace.usage.input_tokens, trace.usage.output_tokens) == (30, 5)  # the agent's own sum is not added
    assert [turn.model for turn in trace.turns] == ["m-1", "m-1"]
    assert trace.extra["gen_ai.agent.name"] == "shop"


def test_older_words_and_openinference_are_read_too(tmp_path: Path) -> None:
    older = {
        "llm.request.type": "chat",
        "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": "Where is A1?",
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": "",
        "gen_ai.completion.0.tool_calls.0.id": "t1",
        "gen_ai.completion.0.tool_calls.0.name": "get_order",
        "gen_ai.completion.0.tool_calls.0.arguments": '{"id": "A1"}',
        "gen_ai.usage.prompt_tokens": 4,
        "gen_ai.usage.completion_tokens": 2,
        "llm.request.functions.0.name": "get_order",
        "llm.request.functions.0.parameters": '{"type": "object"}',
    }
    inference = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "m",
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.contents.0.message_content.type": "text",
        "llm.input_messages.0.message.contents.0.message_content.text": "Where is A1?",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.tool_calls.0.tool_call.id": "t1",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "get_order",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"id": "A1"}',
        "llm.token_count.prompt": 4,
        "llm.token_count.completion": 2,
        "llm.cost.total": 0.5,
    }
    asked = {"model": "m", "messages": [{"role": "user", "content": "Where is A1?"}], "tools": []}
    call = {"id": "t1", "type": "function", "function": {"name": "get_order", "arguments": '{"id": "A1"}'}}
    answer = {"choices": [{"message": {"role": "assistant", "tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    bodies = {
        "openinference.span.kind": "LLM",
        "input.value": json.dumps(asked),
        "input.mime_type": "application/json",
        "output.value": json.dumps(answer),
        "llm.token_count.prompt": 4,
        "llm.token_count.completion": 2,
    }
    found = [
        one(jsonl(tmp_path / f"{number}.json", [otlp(span("call", 1, told))]))
        for number, told in enumerate((older, inference, bodies))
    ]
    assert found[0].messages == found[1].messages == found[2].messages
    assert calls(found[0]) == [("get_order", {"id": "A1"})]
    assert {(trace.usage.input_tokens, trace.usage.output_tokens) for trace in found} == {(4, 2)}
    assert found[1].cost.usd == 0.5
    assert found[0].tools[0].parameters == {"type": "object"}


def test_an_attribute_that_was_cut_off_is_put_aside_and_the_rest_is_read(tmp_path: Path) -> None:
    whole = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "Sent."}]}])
    told = {
        "gen_ai.operation.name": "chat",
        "gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "cont',
        "gen_ai.output.messages": whole,
    }
    found = list(read_trajectories(jsonl(tmp_path / "o.json", [otlp(span("chat", 1, told))])))
    (broken,) = [item for item in found if isinstance(item, Quarantined)]
    assert "gen_ai.input.messages" in broken.reason
    assert [item.output for item in found if isinstance(item, Trace)] == ["Sent."]


def test_spans_as_an_exporter_prints_them_are_read_too(tmp_path: Path) -> None:
    told = {"gen_ai.operation.name": "chat", "gen_ai.output.messages": [{"role": "assistant", "content": "Yes."}]}
    printed = {"name": "chat", "context": {"trace_id": "0xaa", "span_id": "0x1"}, "attributes": told}
    assert one(jsonl(tmp_path / "o.jsonl", [printed])).output == "Yes."


def test_a_trace_without_model_calls_is_put_aside(tmp_path: Path) -> None:
    (broken,) = aside(jsonl(tmp_path / "o.json", [otlp(span("GET /", 1, {"http.method": "GET"}))]))
    assert "holds no model call" in broken.reason


def test_an_unknown_format_says_what_was_seen_and_what_is_known(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "x.jsonl", [{"wheel\x1b[31m": 1, "colour": 2}])
    with pytest.raises(UsageError, match=r"colour") as refused:
        read(path)
    assert "\x1b" not in str(refused.value)
    assert all(known.name in refused.value.hint for known in FORMATS)


def test_a_named_format_is_taken_at_its_word(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "x.jsonl", [tau_row()])
    assert aside(path) == []
    (refused_row,) = read_trajectories(path, format="tooltalk")
    assert isinstance(refused_row, Quarantined)
    assert refused_row.reason == "there is no conversation in it"
    with pytest.raises(UsageError, match="no format") as refused:
        read(path, format="claude-cod")
    assert "claude-code" in refused.value.hint


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read(tmp_path / "none.jsonl")


def test_a_folder_is_read_whole_and_what_is_unknown_is_put_aside(tmp_path: Path) -> None:
    jsonl(tmp_path / "a" / "tau.jsonl", [tau_row()])
    jsonl(tmp_path / "b" / "pi.jsonl", pi_session())
    jsonl(tmp_path / "c" / "config.json", [{"theme": "dark"}])
    (tmp_path / "notes.json").write_text("no JSON")
    (tmp_path / "a" / "readme.md").write_text("not looked at")
    found = list(read_trajectories(tmp_path))
    assert {item.format for item in found if isinstance(item, Trace)} == {"openai-chat", "pi"}
    assert {Path(item.place).name for item in found if isinstance(item, Quarantined)} == {"config.json", "notes.json"}


def test_fields_that_are_too_large_are_named_and_left_out(tmp_path: Path) -> None:
    trace = one(jsonl(tmp_path / "t.jsonl", [tau_row(small="x", huge="y" * 100_000, none=None)]))
    assert trace.extra["small"] == "x"
    assert trace.extra["left_out"] == ["huge"]
    assert "none" not in trace.extra


def test_a_line_that_is_too_long_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_RECORD", 300_000)
    found = list(read_trajectories(jsonl(tmp_path / "t.jsonl", [tau_row(), tau_row(note="x" * 400_000), tau_row(3)])))
    assert [type(item) for item in found] == [Trace, Quarantined, Trace]
    assert isinstance(found[1], Quarantined)
    assert found[1].place.endswith(":2")
    assert "300,000 bytes" in found[1].reason


def test_what_is_put_aside_shows_nothing_a_terminal_obeys(tmp_path: Path) -> None:
    row = tau_row(messages=[{"role": "user", "content": "x"}, {"role": "\x1b[2Jking", "content": "\x1b]0;x\x07" * 90}])
    (broken,) = aside(jsonl(tmp_path / "t.jsonl", [tau_row(), row]))
    assert broken.place.endswith("t.jsonl:2")
    assert "the role" in broken.reason
    assert len(broken.excerpt) <= 120
    assert (broken.reason + broken.excerpt).isprintable()


@pytest.mark.parametrize(
    "bad",
    [
        '{"messages": [{"role": "user", "content": 5}]}',
        '{"messages": [{"role": "user", "content": "\\ud800"}]}',
        '{"messages": [{"role": "user", "content": "x"}], "reward": 1e999}',
        '{"messages": [{"role": "user", "content": "x"}], "n": ' + "9" * 5000 + "}",
        '{"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]}',
        "[" * 3000,
        '"text"',
        "\x00\xff",
    ],
)
def test_hostile_records_cost_nothing_but_themselves(bad: str, tmp_path: Path) -> None:
    found = list(read_trajectories(jsonl(tmp_path / "t.jsonl", [tau_row(), bad, tau_row(3)])))
    traces = [item for item in found if isinstance(item, Trace)]
    assert {"7-0", "3-0"} <= {trace.case_id for trace in traces}
    for trace in traces:
        trace.model_dump_json()
