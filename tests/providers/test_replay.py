from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.canonical import digest
from skillforge.errors import NotFound, ProviderError, SkillFileError, UnknownRequest, UsageError
from skillforge.messages import (
    Completion,
    Cost,
    Media,
    Message,
    Reasoning,
    Request,
    RequestKey,
    Text,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
)
from skillforge.providers.recording import (
    RecordedLine,
    RecordedRequest,
    RecordedResponse,
    prompt_digest,
    write_recording,
)
from skillforge.providers.replay import Replay
from skillforge.redact import Redactor

TASK = "sort mail"


def line(asked: str, /, *, role: str = "solve", task: str = TASK, **response: Any) -> RecordedLine:
    request = RecordedRequest(role=role, task=digest(task), input={"text": asked})
    return RecordedLine(request=request, response=RecordedResponse.model_validate(response))


def ask(provider: Replay, request: Request) -> Completion:
    return anyio.run(provider.complete, request)


def replay(folder: Path, *lines: RecordedLine, **more: Any) -> Replay:
    write_recording(folder / "recorded.jsonl", lines, **more)
    return Replay(folder / "recorded.jsonl")


def test_a_recorded_request_is_answered_whatever_its_wording(tmp_path, asking):
    provider = replay(tmp_path, line("hi", text="hello"), line("refund", json={"z": 1, "a": [2]}))
    assert ask(provider, asking("hi", max_output_tokens=5, temperature=1.0)).text == "hello"
    assert ask(provider, asking("reworded", input={"text": "refund"})).text == '{"z": 1, "a": [2]}'


def test_what_the_recording_does_not_say_stays_unknown(tmp_path, asking):
    completion = ask(replay(tmp_path, line("hi", text="hello")), asking("hi"))
    assert (completion.usage, completion.cost, completion.latency_s) == (Usage(), Cost(), None)
    assert completion.stop == "stop"


def test_a_completion_survives_recording_and_replaying(tmp_path, asking):
    completion = Completion(
        message=Message.of("assistant", ' {"b":1,  "a":2}\n'),
        stop="length",
        model="teacher-1",
        usage=Usage(input_tokens=10, output_tokens=3),
        cost=Cost(usd=0.25, estimated=True, basis="list price"),
        latency_s=1.5,
    )
    provider = replay(tmp_path, RecordedLine.of(asking("hi"), completion))
    assert ask(provider, asking("hi")) == completion


def test_repeated_recordings_come_in_order_and_stay_on_the_last(tmp_path, asking):
    provider = replay(tmp_path, line("hi", text="first"), line("other", text="x"), line("hi", text="second"))
    assert [ask(provider, asking("hi")).text for _ in range(3)] == ["first", "second", "second"]


def test_a_folder_is_read_file_by_file(tmp_path, asking):
    write_recording(tmp_path / "b.jsonl", [line("hi", text="second")])
    write_recording(tmp_path / "a.jsonl", [line("hi", text="first")], provenance={"teacher": "claude"})
    provider = Replay(tmp_path)
    assert [ask(provider, asking("hi")).text for _ in range(2)] == ["first", "second"]
    assert provider.provenance == {"teacher": "claude"}


def test_many_first_calls_at_once_are_all_answered(tmp_path, asking):
    provider = replay(tmp_path, *(line(str(n), json=n) for n in range(50)))
    answers: dict[int, str] = {}

    async def one(number: int) -> None:
        answers[number] = (await provider.complete(asking(str(number)))).text

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(one, number)

    anyio.run(main)
    assert answers == {number: str(number) for number in range(50)}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"role": "author"}, "differs in role: role 'solve'"),
        ({"task": "sort post"}, "differs in task: task sha256:"),
        ({"text": "I want my money bakc"}, r"differs in input: input .*money back"),
        ({"text": "I want my money bakc", "task": "x"}, "differs in task and input"),
    ],
)
def test_an_unknown_request_names_its_nearest_neighbour_and_what_differs(tmp_path, asking, changed, words):
    provider = replay(tmp_path, line("the weather", json=1), line("I want my money back", json=2))
    wanted = {"text": "I want my money back", **changed}
    with pytest.raises(UnknownRequest, match=words) as caught:
        ask(provider, asking(wanted.pop("text"), **wanted))
    assert caught.value.hint
    assert "I want my money" in str(caught.value)


def test_the_difference_of_long_inputs_is_shown_where_it_is(tmp_path, asking):
    provider = replay(tmp_path, line("a" * 5000 + " ends in blue", json=1))
    with pytest.raises(UnknownRequest, match="ends in blue"):
        ask(provider, asking("a" * 5000 + " ends in green"))


def test_an_empty_recording_says_so(tmp_path, asking):
    with pytest.raises(UnknownRequest, match="empty"):
        ask(replay(tmp_path), asking())


def test_an_input_that_has_no_digest_is_a_provider_error(tmp_path, asking):
    with pytest.raises(ProviderError, match="cannot be matched"):
        ask(replay(tmp_path, line("x", json=1)), asking(input={"n": 2**60}))


GOOD = json.dumps(line("hi", text="x").to_json())


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("{broken", "not JSON"),
        ("[1]", "must be a JSON object"),
        ('{"provenance": {}}', "first line"),
        ('{"request": {"role": "solve", "task": "abc", "input": 1}, "response": {"text": "x"}}', "request.task"),
        (GOOD.replace('"text": "x"', '"text": "x", "json": 1'), "either text or json"),
        (GOOD.replace('{"text": "x"}', "{}"), "either text or json"),
        (GOOD.replace('"text": "x"', '"text": "x", "costs": 1'), "response.costs"),
        (GOOD.replace('"hi"', "9007199254740993000"), "request.input"),
        (GOOD.replace('"hi"', "NaN"), "not JSON"),
        (GOOD.replace('"text": "x"', '"text": "x", "parts": []'), "either text or json"),
        (GOOD.replace('"task"', '"prompt": "abc", "task"'), "request.prompt"),
    ],
)
def test_a_malformed_line_is_named_with_file_and_line(tmp_path, asking, second, words):
    path = tmp_path / "bad.jsonl"
    path.write_text(GOOD + "\n" + second + "\n", encoding="utf-8")
    with pytest.raises(SkillFileError, match=rf"bad\.jsonl:2.*{words}"):
        ask(Replay(path), asking("hi"))


def test_a_missing_recording_and_an_empty_folder_are_not_found(tmp_path, asking):
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(NotFound):
            ask(Replay(path), asking())


def test_writing_a_recording_is_whole_or_not_at_all(tmp_path):
    path = tmp_path / "recorded.jsonl"
    write_recording(path, [line("old", json=1)])

    def broken():
        yield line("new", json=2)
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        write_recording(path, broken())
    assert "old" in path.read_text()
    assert [item.name for item in tmp_path.iterdir()] == ["recorded.jsonl"]
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError):
        write_recording(tmp_path / "file" / "x.jsonl", [])


def test_the_fingerprint_follows_the_content(tmp_path):
    first = replay(tmp_path, line("hi", json=1)).fingerprint()
    assert replay(tmp_path, line("hi", json=1)).fingerprint() == first
    assert replay(tmp_path, line("hi", json=2)).fingerprint() != first


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(value=JSON, text=st.none() | st.text(st.characters(exclude_categories=["Cs"])))
def test_every_line_reads_back_as_written(value, text):
    answer = {"json": value} if text is None else {"text": text}
    response = RecordedResponse.model_validate(answer)
    written = RecordedLine(request=RecordedRequest(role="r", task=digest("t"), input=value), response=response)
    assert RecordedLine.model_validate(json.loads(json.dumps(written.to_json()))) == written


def said(text: str, **more: Any) -> Completion:
    return Completion(message=Message.of("assistant", text), stop="stop", model="m", **more)


def live(text: str, request: Request) -> RecordedLine:
    return RecordedLine.of(request, said(text))


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)
COUNT = st.none() | st.integers(0, 2**70)
PART = st.one_of(
    st.builds(Text, text=TEXT),
    st.builds(ToolCall, id=TEXT, name=TEXT, arguments=OBJECT),
    st.builds(Reasoning, kind=TEXT, data=OBJECT),
    st.builds(ToolResult, id=TEXT, content=JSON, is_error=st.booleans()),
    st.builds(Media, type=st.sampled_from(["image", "document"]), media_type=TEXT, data=TEXT, url=TEXT),
)
NATS = st.floats(allow_nan=False, allow_infinity=False) | st.just(-math.inf)
TOP = st.lists(st.tuples(TEXT, NATS), max_size=3).map(tuple)
LOGPROB = st.builds(TokenLogprob, token=TEXT, logprob=NATS, top=TOP)
COMPLETION = st.builds(
    Completion,
    message=st.builds(
        Message,
        role=st.just("assistant"),
        content=st.lists(PART, max_size=4).map(tuple) | st.builds(Text, text=TEXT).map(lambda part: (part,)),
    ),
    stop=st.sampled_from(["stop", "length", "tool_calls", "refusal", "content_filter"]),
    model=TEXT,
    usage=st.builds(
        Usage,
        input_tokens=COUNT,
        cached_tokens=COUNT,
        written_tokens=COUNT,
        output_tokens=COUNT,
        reasoning_tokens=COUNT,
        estimated=st.booleans(),
    ),
    cost=st.builds(Cost, usd=st.none() | st.floats(0, 1e6), estimated=st.booleans(), basis=TEXT),
    latency_s=st.none() | st.floats(0, 1e6),
    logprobs=st.none() | st.lists(LOGPROB, max_size=3).map(tuple),
    calls=st.integers(0, 9),
)


@given(completion=COMPLETION, asked=JSON | st.integers(2**53, 2**80), text=st.text())
def test_every_completion_reads_back_as_it_was(completion, asked, text):
    request = Request(
        messages=(Message.of("user", text),), key=RequestKey(role="run", task="sort", input=asked), max_output_tokens=5
    )
    written = json.dumps(RecordedLine.of(request, completion).to_json())
    read = RecordedLine.model_validate(json.loads(written))
    assert read.completion("another") == completion
    assert read.request == RecordedRequest.of(request)


def test_a_line_holds_no_defaults(asking):
    written = live("hello", asking("hi")).to_json()
    assert list(written["request"]) == ["role", "task", "input", "prompt"]
    assert written["response"] == {"text": "hello", "model": "m"}
    assert list(line("hi", text="x").to_json()["request"]) == ["role", "task", "input"]


def test_figures_that_json_cannot_hold_are_unknown(asking):
    odd = said("x", latency_s=-1.0, cost=Cost(usd=math.inf, basis="b"))
    read = RecordedLine.of(asking(), odd).completion("m")
    assert (read.latency_s, read.cost) == (None, Cost(basis="b"))


TOOL = Tool(name="look", parameters={"type": "object"})


@pytest.mark.parametrize(
    "changed",
    [
        {"output_schema": {"type": "object"}},
        {"tools": (TOOL,)},
        {"max_output_tokens": 5},
        {"temperature": 0.0},
        {"logprobs": True},
        {"messages": (Message.of("user", "hello"),)},
        {"messages": (Message(role="user", content=(Reasoning(kind="k", data={}), Text(text="hello"))),)},
    ],
)
def test_the_prompt_digest_follows_all_that_a_model_sees(asking, changed):
    assert prompt_digest(asking().model_copy(update=changed)) != prompt_digest(asking())


def test_the_prompt_digest_ignores_what_no_model_sees(asking):
    other = asking(role="solve-repair", input={"other": 1}, timeout_s=3, fixed=1)
    assert prompt_digest(other) == prompt_digest(asking())
    assert prompt_digest(asking(tools=(TOOL,))) == prompt_digest(
        asking(tools=(TOOL.model_copy(update={"effect": "write"}),))
    )


def test_the_order_of_a_schema_is_part_of_the_prompt(asking):
    first = prompt_digest(asking(output_schema={"properties": {"a": {}, "b": {}}}))
    assert first != prompt_digest(asking(output_schema={"properties": {"b": {}, "a": {}}}))


def deep() -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(5_000):
        value = {"a": [value]}
    return value


@pytest.mark.parametrize("odd", [math.nan, 2**80, 1 << 20_000, "\ud800", {1: 2}, {3, 4}, None], ids=range(7))
def test_a_prompt_that_is_no_canonical_json_has_a_digest(asking, odd):
    call = ToolCall(id="1", name="look", arguments={"odd": deep() if odd is None else odd})
    request = asking("\ud800 half").model_copy(update={"messages": (Message(role="assistant", content=(call,)),)})
    assert prompt_digest(request) == prompt_digest(request) != prompt_digest(asking("\ud800 half"))


@given(first=JSON, second=JSON)
def test_two_prompts_never_share_a_digest(first, second):
    def request(value: Any) -> Request:
        content = (ToolResult(id="1", content=value),)
        return Request(messages=(Message(role="tool", content=content),), key=RequestKey(role="r", task="t", input=1))

    same = json.dumps(first) == json.dumps(second)
    assert (prompt_digest(request(first)) == prompt_digest(request(second))) == same


def test_two_arms_that_ask_the_same_get_each_its_own_answers(tmp_path, asking):
    bare, skilled = (asking(words, role="run", input={"text": "hi"}) for words in ("bare", "with a skill"))
    lines = [live("b1", bare), live("s1", skilled), live("b2", bare), live("s2", skilled)]
    provider = replay(tmp_path, *lines)
    assert [ask(provider, skilled).text for _ in range(3)] == ["s1", "s2", "s2"]
    assert [ask(provider, bare).text for _ in range(3)] == ["b1", "b2", "b2"]


def test_a_line_written_by_hand_answers_where_no_prompt_is_the_same(tmp_path, asking):
    asked = asking("as recorded", role="run", input={"text": "hi"})
    provider = replay(tmp_path, line("hi", role="run", text="by hand"), live("live", asked))
    assert ask(provider, asked).text == "live"
    assert ask(provider, asking("another", role="run", input={"text": "hi"})).text == "by hand"


def test_what_the_teacher_solved_answers_any_wording(tmp_path, asking):
    provider = replay(tmp_path, live("one", asking("a", input={"t": 1})), live("two", asking("b", input={"t": 1})))
    assert ask(provider, asking("b", input={"t": 1})).text == "two"
    assert [ask(provider, asking("c", input={"t": 1})).text for _ in range(3)] == ["one", "two", "two"]


@pytest.mark.parametrize("role", ["run", "run-repair", "author", "solve-repair"])
def test_another_prompt_is_not_answered_and_says_so(tmp_path, asking, role):
    provider = replay(tmp_path, live("x", asking("with a skill", role=role, input={"text": "hi"})))
    with pytest.raises(UnknownRequest, match=r"another prompt: the skill, .* changed") as caught:
        ask(provider, asking("with another", role=role, input={"text": "hi"}))
    assert "--record" in caught.value.hint


def test_a_last_line_that_was_cut_off_is_left_out(tmp_path, asking):
    path = tmp_path / "cut.jsonl"
    path.write_text(GOOD + "\n" + GOOD[:-9], encoding="utf-8")
    assert ask(Replay(path), asking("hi")).text == "x"
    path.write_text(GOOD[:-9] + "\n" + GOOD, encoding="utf-8")
    with pytest.raises(SkillFileError, match=r"cut\.jsonl:1"):
        ask(Replay(path), asking("hi"))


KEY = "sk-ant-api03-" + "Ab3dEf6hIj" * 4


def test_a_written_recording_holds_no_secret(tmp_path, asking):
    redactor = Redactor({"SHOP_PASSWORD": "correcthorse77"})
    request = asking("x", input={"text": f"my key is {KEY}"})
    parts = (Text(text="see"), ToolCall(id="1", name="look", arguments={"q": "correcthorse77"}))
    lines = [
        live(f'{{"card": 4111111111111111, "key": "{KEY}"}}', asking("card")),
        live("fine", request),
        RecordedLine.of(
            asking("call"), said("").model_copy(update={"message": Message(role="assistant", content=parts)})
        ),
        line("value", json={"n": 12, "key": KEY}, logprobs=[[KEY[:9], -1], [KEY[9:], -1]]),
        line("plain", text="yes", logprobs=[["y", -0.5], ["es", None]]),
    ]
    path = tmp_path / "clean.jsonl"
    provenance = {"who": f"me, with {KEY}", "tokens": 12}
    write_recording(path, lines, provenance=provenance, clean=redactor.value, clean_text=redactor.text)
    content = path.read_text()
    assert KEY[13:] not in content
    assert "correcthorse77" not in content
    assert "4111" not in content
    assert prompt_digest(request) not in content
    provider = Replay(path, clean=redactor.value)
    assert provider.provenance["tokens"] == 12
    assert json.loads(ask(provider, asking("card")).text).keys() == {"card", "key"}
    assert ask(provider, request).text == "fine"
    assert ask(provider, asking("value")).logprobs is None
    assert ask(provider, asking("plain")).logprobs == (
        TokenLogprob(token="y", logprob=-0.5),
        TokenLogprob(token="es", logprob=-math.inf),
    )


def test_a_line_that_could_not_be_read_again_is_not_written(tmp_path, asking):
    for asked, answer in (({"n": 2**60}, "x"), ({"n": 1}, "x" * 2_000_000)):
        with pytest.raises(UsageError, match="read again"):
            write_recording(tmp_path / "r.jsonl", [live(answer, asking(input=asked))])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("recorded", [True, False])
def test_a_recording_answers_whether_probabilities_are_wanted_or_not(tmp_path, asking, recorded):
    path = tmp_path / "r.jsonl"
    write_recording(path, [live("hello", asking("hi", role="run", logprobs=recorded))])
    assert ask(Replay(path), asking("hi", role="run", logprobs=not recorded)).text == "hello"
    assert ask(Replay(path, clean=Redactor({}).value), asking("hi", role="run", logprobs=not recorded)).text == "hello"
    with pytest.raises(UnknownRequest):
        ask(Replay(path), asking("hi", role="run", logprobs=not recorded, max_output_tokens=7))
