from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.canonical import digest
from skillforge.errors import NotFound, ProviderError, SkillFileError, UnknownRequest, UsageError
from skillforge.messages import Completion, Cost, Message, Request, Usage
from skillforge.providers.recording import RecordedLine, RecordedRequest, RecordedResponse, write_recording
from skillforge.providers.replay import Replay

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
