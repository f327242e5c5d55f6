"""Claude Code's sessions: answers in pieces, trees, subagents, copies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trajectory_samples import Row, claude_line, claude_session, jsonl, usage

from skillforge.formats.trajectories.detect import read_trajectories
from skillforge.formats.trajectories.lines import Quarantined
from skillforge.messages import ToolResult, Usage
from skillforge.trace import Trace


def read(path: Path) -> list[Trace]:
    found = list(read_trajectories(path))
    assert not [item for item in found if isinstance(item, Quarantined)]
    return [item for item in found if isinstance(item, Trace)]


def one(path: Path) -> Trace:
    (found,) = read(path)
    return found


def texts(trace: Trace) -> list[str]:
    return [message.text for message in trace.messages if message.text]


def test_the_pieces_of_an_answer_are_one_message_and_count_once(tmp_path: Path) -> None:
    trace = one(jsonl(tmp_path / "s1.jsonl", claude_session()))
    assert [message.role for message in trace.messages] == ["user", "assistant", "tool", "tool", "assistant"]
    assert [call.name for call in trace.messages[1].tool_calls] == ["Bash", "Read"]
    assert trace.usage == Usage(input_tokens=15 + 42, cached_tokens=15, written_tokens=2, output_tokens=9 + 5)
    assert trace.cost.usd is None
    assert [(turn.message, turn.model, turn.stop) for turn in trace.turns] == [
        (1, "claude-x", "tool_calls"),
        (4, "claude-x", "stop"),
    ]
    assert trace.turns[0].at == "2026-03-01T10:00:02.000Z"
    assert (trace.case_id, trace.input) == ("s1", {"request": "Rename the module"})
    assert trace.extra["summaries"] == ["A rename"]
    assert trace.extra["other_records"] == {"file-history-snapshot": 1, "summary": 1}


def test_results_of_calls_that_ran_at_the_same_time_all_stay(tmp_path: Path) -> None:
    """They hang on different pieces of one answer: a walk up from the last line meets only one of them."""
    trace = one(jsonl(tmp_path / "s1.jsonl", claude_session()))
    found = [part for message in trace.messages for part in message.content if isinstance(part, ToolResult)]
    assert [(part.id, part.is_error) for part in found] == [("t1", False), ("t2", True)]
    assert "taken_back" not in trace.extra


def test_a_piece_that_is_said_again_with_more_replaces_what_it_was(tmp_path: Path) -> None:
    more: dict[str, Any] = {"id": "m1", "model": "c"}
    rows = [
        claude_line("user", 1, "hi", None),
        claude_line("assistant", 2, [{"type": "text", "text": "I am"}], 1, usage=usage(1, 1), **more),
        claude_line("assistant", 3, [{"type": "text", "text": "I am here."}], 2, usage=usage(1, 4), **more),
    ]
    trace = one(jsonl(tmp_path / "s.jsonl", [*rows, rows[2]]))
    assert texts(trace) == ["hi", "I am here."]
    assert trace.usage.output_tokens == 4
    assert trace.extra["other_records"] == {"repeated": 1}


def test_what_a_person_took_back_is_told_and_no_part_of_the_conversation(tmp_path: Path) -> None:
    def answer(number: int, text: str, parent: int, made: int) -> Row:
        content = [{"type": "text", "text": text}]
        return claude_line("assistant", number, content, parent, id=f"m{number}", model="c", usage=usage(2, made))

    rows = [
        claude_line("user", 1, "start", None),
        answer(2, "ready", 1, 1),
        claude_line("user", 3, "wrong way", 2),
        answer(4, "going the wrong way", 3, 7),
        claude_line("user", 5, "right way", 2),
        answer(6, "going the right way", 5, 1),
    ]
    trace = one(jsonl(tmp_path / "s.jsonl", rows))
    assert texts(trace) == ["start", "ready", "right way", "going the right way"]
    assert trace.usage.output_tokens == 2
    assert trace.extra["taken_back"]["records"] == 2
    assert trace.extra["taken_back"]["usage"]["output_tokens"] == 7


def test_lines_without_a_tree_stay_in_the_order_of_the_file(tmp_path: Path) -> None:
    rows = [claude_line("user", n, f"line {n}", None) for n in range(1, 5)]
    for row in rows:
        del row["parentUuid"], row["isSidechain"]
    assert texts(one(jsonl(tmp_path / "s.jsonl", rows))) == ["line 1", "line 2", "line 3", "line 4"]


def test_what_stands_before_and_after_a_compaction_is_one_session(tmp_path: Path) -> None:
    summary = claude_line("user", 8, "This session is continued", None, isCompactSummary=True, logicalParentUuid="u7")
    later = claude_line("user", 9, "go on", 8)
    trace = one(jsonl(tmp_path / "s1.jsonl", [*claude_session(), summary, later]))
    assert texts(trace)[-2:] == ["This session is continued", "go on"]
    assert len(trace.messages) == 7


def test_the_program_s_own_words_are_no_answer_and_no_request(tmp_path: Path) -> None:
    rows = [
        claude_line("user", 1, "<command-name>/clear</command-name>", None),
        claude_line("user", 2, "Caveat: noted", 1, isMeta=True),
        claude_line("user", 3, "Do it", 2),
        claude_line("assistant", 4, "API Error", 3, id="x", model="<synthetic>", usage=usage(0, 0)),
    ]
    trace = one(jsonl(tmp_path / "s.jsonl", rows))
    assert trace.input == {"request": "Do it"}
    assert trace.turns == ()


def test_subagents_are_traces_with_a_link_to_the_call_that_started_them(tmp_path: Path) -> None:
    order = {"type": "tool_use", "id": "t9", "name": "Task", "input": {"prompt": "Find the bug"}}
    done = {"type": "tool_result", "tool_use_id": "t9", "content": "line 3"}
    content = [{"type": "text", "text": "It is line 3"}]
    rows = [
        claude_line("user", 1, "Fix it", None),
        claude_line("assistant", 2, [order], 1, id="m1", model="c", usage=usage(1, 1)),
        claude_line("user", 10, "Find the bug", None, isSidechain=True),
        claude_line("assistant", 11, content, 10, isSidechain=True, id="m2", model="c", usage=usage(5, 5)),
        claude_line("user", 3, [done], 2),
    ]
    main, agent = read(jsonl(tmp_path / "s1.jsonl", rows))
    assert (len(main.messages), main.usage.input_tokens) == (3, 1)
    assert texts(agent) == ["Find the bug", "It is line 3"]
    assert agent.case_id == "s1/u10"
    assert agent.extra["sidechain_of"] == "s1"
    assert agent.extra["called_by"] == "t9"


def test_an_agent_that_only_some_of_its_lines_name_is_one_trace(tmp_path: Path) -> None:
    done = {"type": "tool_result", "tool_use_id": "t9", "content": "line 3"}
    grep = {"type": "tool_use", "id": "t5", "name": "Grep", "input": {}}
    found = {"type": "tool_result", "tool_use_id": "t5", "content": "a.py"}
    rows = [
        claude_line("user", 1, "Fix it", None),
        claude_line("user", 2, [done], 1, agentId="e1"),
        claude_line("assistant", 10, [grep], None, isSidechain=True, id="m2", model="c", usage=usage(5, 5)),
        claude_line("user", 11, [found], 10, isSidechain=True, agentId="e1"),
    ]
    main, agent = read(jsonl(tmp_path / "s1.jsonl", rows))
    assert main.extra["agents"] == {"e1": "t9"}
    assert (agent.extra["agent"], agent.extra["called_by"], len(agent.messages)) == ("e1", "t9", 2)


def test_a_subagent_s_own_file_names_its_session(tmp_path: Path) -> None:
    done = {"type": "tool_result", "tool_use_id": "t9", "content": "line 3"}
    jsonl(
        tmp_path / "s1.jsonl",
        [claude_line("user", 1, "Fix it", None), claude_line("user", 2, [done], 1, toolUseResult={"agentId": "ab12"})],
    )
    own = [claude_line("user", 10, "Find the bug", None, isSidechain=True, agentId="ab12")]
    jsonl(tmp_path / "s1" / "subagents" / "agent-ab12.jsonl", own)
    found = {trace.case_id: trace for trace in read(tmp_path)}
    assert found["s1"].extra["agents"] == {"ab12": "t9"}
    assert found["s1/ab12"].extra["agent"] == "ab12"


def test_a_resumed_session_s_copy_is_not_counted_twice(tmp_path: Path) -> None:
    first = claude_session()
    copied = [row | ({"sessionId": "s2"} if "sessionId" in row else {}) for row in first]
    content = [{"type": "text", "text": "Undone."}]
    later = [
        claude_line("user", 20, "Undo it", 7, sessionId="s2"),
        claude_line("assistant", 21, content, 20, id="msg_9", model="c", sessionId="s2", usage=usage(40, 2)),
    ]
    jsonl(tmp_path / "b.jsonl", first)
    jsonl(tmp_path / "a.jsonl", [*copied, *later])  # read first by its name, but last written to
    original, resumed = read(tmp_path)
    assert original.messages == one(tmp_path / "b.jsonl").messages
    assert texts(resumed) == ["Undo it", "Undone."]
    assert resumed.usage.input_tokens == 40
    assert resumed.extra["copied"] == 7
    assert len(one(tmp_path / "a.jsonl").messages) == 7  # alone it is whole


def test_a_long_session_is_read_in_time_that_grows_with_its_length(tmp_path: Path) -> None:
    rows = [claude_line("user", 0, "x", None)]
    rows += [
        claude_line("assistant", n, "y", n - 1, id=f"m{n // 4}", model="c", usage=usage(1, 1), timestamp="")
        for n in range(1, 6_000)
    ]
    assert len(one(jsonl(tmp_path / "s.jsonl", rows)).messages) == 1_501
