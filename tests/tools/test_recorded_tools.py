"""Recordings in the tools' place: written while tools answer, matched by tool and arguments."""

from __future__ import annotations

import json
import stat

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.errors import NotFound, SkillFileError, ToolUnavailable, UnknownToolCall, UsageError
from skillforge.messages import Message, Text, Tool, ToolCall, ToolResult
from skillforge.redact import Redactor
from skillforge.tools.binding import bind
from skillforge.tools.python import PythonTools
from skillforge.tools.recorded import RecordedCall, RecordedTools, calls_of_trace, read_calls, read_recording
from skillforge.tools.recording import RecordingTools
from skillforge.trace import Trace

REFUND = Tool(name="refund", effect="write", idempotency_key="key")


def call(box, name, **arguments):
    return anyio.run(box.call, name, arguments)


def recorded(name, content, is_error=False, **arguments):
    return RecordedCall(tool=name, arguments=arguments, content=content, is_error=is_error)


def test_a_call_is_known_by_its_arguments_whatever_their_order():
    box = RecordedTools([recorded("get", {"total": 5}, a=1, b={"x": 1, "y": 2.0})])
    assert call(box, "get", b={"y": 2, "x": 1}, a=1).content == {"total": 5}
    assert [tool.name for tool in box.tools] == ["get"]


def test_the_same_call_answers_in_order_and_the_last_repeats():
    box = RecordedTools([recorded("get", "open"), recorded("get", "no", is_error=True), recorded("get", "closed")])
    outcomes = [call(box, "get") for _ in range(4)]
    assert [outcome.content for outcome in outcomes] == ["open", "no", "closed", "closed"]
    assert [outcome.is_error for outcome in outcomes] == [False, True, False, False]


def test_a_key_makes_no_other_call():
    box = RecordedTools([recorded("refund", "done", order="a", key="k1")], [REFUND])
    assert call(box, "refund", order="a", key="k2").content == "done"
    assert call(box, "refund", order="a").content == "done"


def test_a_bound_recording_learns_the_key_from_the_skill_and_starts_anew():
    box = RecordedTools([recorded("refund", "first", order="a"), recorded("refund", "second", order="a")])
    for _ in range(2):
        bound = bind(box, [REFUND])
        assert bound.tools == (REFUND,)
        assert call(bound, "refund", order="a", key="k").content == "first"
        assert call(bound, "refund", order="a", key="k").content == "second"


def test_an_unknown_call_names_tool_and_arguments_shortened():
    box = RecordedTools([recorded("get", 1, a=1)], [Tool(name="other")])
    with pytest.raises(UnknownToolCall) as error:
        call(box, "get", a="x" * 100_000)
    assert str(error.value).startswith('the recording holds no call get({"a": "xxx')
    assert "only 1 other call of get" in str(error.value)
    assert len(str(error.value)) < 400
    assert error.value.hint
    with pytest.raises(UnknownToolCall, match="none of other at all"):
        call(box, "other")
    with pytest.raises(UsageError, match="no tool 'got'"):
        call(box, "got")


def test_arguments_that_json_cannot_hold_are_an_unknown_call():
    with pytest.raises(UnknownToolCall):
        call(RecordedTools([recorded("get", 1)]), "get", a=float("nan"))


def result(call_id, content, is_error=False):
    return Message(role="tool", content=(ToolResult(id=call_id, content=content, is_error=is_error),))


def asked(*calls):
    return Message(role="assistant", content=(Text(text="let me see"), *calls))


def test_the_calls_of_a_trace_are_those_that_were_answered():
    trace = Trace(
        case_id="c1",
        task="t",
        input={},
        messages=(
            asked(ToolCall(id="1", name="get", arguments={"a": 1}), ToolCall(id="2", name="get", arguments={"a": 2})),
            result("2", '{"total": 7}'),
            result("1", "not found", is_error=True),
            asked(ToolCall(id="1", name="late", arguments={})),  # an id that stood before
            result("1", "[broken"),
            result("9", "nobody asked"),
            asked(ToolCall(id="3", name="cut", arguments={})),
        ),
    )
    assert calls_of_trace(trace) == (
        recorded("get", {"total": 7}, a=2),
        recorded("get", "not found", is_error=True, a=1),
        recorded("late", "[broken"),
    )


def shop():
    def get(order: str) -> dict:
        if order == "none":
            raise ValueError("no such order")
        return {"order": order, "lines": [1, 2]}

    return PythonTools([get])


def test_what_was_recorded_answers_as_the_tools_did(tmp_path):
    path = tmp_path / "new" / "calls.jsonl"
    live = RecordingTools(shop(), path, Redactor({}).value)
    assert live.tools == shop().tools
    given = [{"order": "a"}, {"order": "none"}, {"order": 5}, {"order": "ä\u2028"}]
    made = [call(live, "get", **arguments) for arguments in given]
    again = read_recording(path)
    assert again.tools == shop().tools
    for arguments, outcome in zip(given, made, strict=True):
        replayed = call(again, "get", **arguments)
        assert (replayed.content, replayed.is_error) == (outcome.content, outcome.is_error)
    assert len(read_calls(path)) == 4
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_secrets_reach_no_recording_and_still_find_their_answer(tmp_path):
    secret = "sk-ant-api03-" + "a1B2" * 10
    path = tmp_path / "calls.jsonl"
    clean = Redactor({"SHOP_TOKEN": "hunter2hunter2"}).value
    box = PythonTools({"echo": lambda text: {"said": text, "also": "hunter2hunter2"}})
    call(RecordingTools(box, path, clean), "echo", text=secret)
    held = path.read_text("utf-8")
    assert secret not in held
    assert "hunter2" not in held
    outcome = call(read_recording(path, clean=clean), "echo", text=secret)
    assert outcome.content["also"] == "[redacted:env]"


def test_a_line_that_a_killed_process_left_torn_is_cut(tmp_path):
    path = tmp_path / "calls.jsonl"
    call(RecordingTools(shop(), path, Redactor({}).value), "get", order="a")
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"tool": "get", "argum')
    call(RecordingTools(shop(), path, Redactor({}).value), "get", order="b")
    assert path.read_bytes().startswith(whole)
    assert [found.arguments for found in read_calls(path)] == [{"order": "a"}, {"order": "b"}]


def test_what_reached_no_tool_is_not_recorded(tmp_path):
    def gone():
        raise ToolUnavailable("gone")

    path = tmp_path / "calls.jsonl"
    with pytest.raises(ToolUnavailable):
        call(RecordingTools(PythonTools([gone]), path, Redactor({}).value), "gone")
    assert read_calls(path) == ()


def test_a_recording_that_cannot_be_written_is_a_usage_error(tmp_path):
    (tmp_path / "calls.jsonl").mkdir()
    with pytest.raises(UsageError, match="cannot write the recording"):
        call(RecordingTools(shop(), tmp_path / "calls.jsonl", Redactor({}).value), "get", order="a")


def test_a_line_longer_than_a_reader_takes_is_left_out(tmp_path):
    path = tmp_path / "calls.jsonl"
    live = RecordingTools(PythonTools({"len": lambda text: len(text)}), path, Redactor({}).value)
    call(live, "len", text="x" * 1_100_000)
    assert live.left_out == 1
    assert read_calls(path) == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "must be a JSON object"),
        ('{"arguments": {}}', "tool: is required"),
        ('{"tool": "get", "arguments": []}', "arguments: must be a mapping"),
        ('{"tool": "get", "args": {}}', "args: unknown key"),
        ('{"tool": 5}', "tool: must be text"),
        ('{"declared": {"name": "x", "effect": "delete"}}', "effect"),
        ('{"declared": 5}', "Tool"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, said):
    path = tmp_path / "calls.jsonl"
    path.write_text('{"tool": "get"}\n' + line + "\n")
    with pytest.raises(SkillFileError) as error:
        read_calls(path)
    assert f"{path}:2" in str(error.value)
    assert said in str(error.value)


def test_a_recording_that_is_missing_or_empty_is_told(tmp_path):
    with pytest.raises(NotFound, match=r"calls\.jsonl: cannot be read"):
        read_calls(tmp_path / "calls.jsonl")
    (tmp_path / "calls.jsonl").touch()
    with pytest.raises(SkillFileError, match="it holds no calls"):
        read_calls(tmp_path / "calls.jsonl")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4), json_values)
def test_every_call_finds_its_own_answer(arguments, content):
    box = RecordedTools(
        [RecordedCall(tool="t", arguments={"other": 1}), RecordedCall(tool="t", arguments=arguments, content=content)]
    )
    again = json.loads(json.dumps(arguments))
    if again != {"other": 1}:
        assert anyio.run(box.call, "t", dict(reversed(again.items()))).content == content
