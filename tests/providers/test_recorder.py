from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from skillforge.canonical import digest
from skillforge.errors import NotFound, SkillFileError, UnknownRequest, UsageError
from skillforge.messages import Completion, Cost, Message, Reasoning, Request, Text, TokenLogprob, ToolCall, Usage
from skillforge.providers.cleaner import Cleaner
from skillforge.providers.recorder import Recorder, recording_file, replay_of
from skillforge.providers.recording import prompt_digest
from skillforge.providers.scripted import Scripted
from skillforge.redact import Redactor

MODEL = "openai:gpt/6 mini"
KEY = "sk-ant-api03-" + "Ab3dEf6hIj" * 4
PASSWORD = "correcthorse77"
REDACTOR = Redactor({"SHOP_PASSWORD": PASSWORD})


def recorder(folder: Path, **more: Any) -> Recorder:
    return Recorder(folder, clean=REDACTOR.value, clean_text=REDACTOR.text, **more)


def replayed(folder: Path, request: Request, model: str = MODEL) -> Completion:
    return anyio.run(replay_of(folder, model, clean=REDACTOR.value).complete, request)


def said(*parts: Any, **more: Any) -> Completion:
    content = tuple(Text(text=part) if isinstance(part, str) else part for part in parts)
    return Completion(message=Message(role="assistant", content=content), stop="stop", model="m", **more)


def rows(folder: Path, model: str = MODEL) -> list[dict[str, Any]]:
    return [json.loads(line) for line in recording_file(folder, model).read_text().splitlines()]


def test_what_a_model_answered_is_replayed_by_a_fresh_object(tmp_path, asking):
    full = said(
        Reasoning(kind="k", data={"text": "hm"}),
        "two",
        ToolCall(id="1", name="look", arguments={"n": 1}),
        usage=Usage(input_tokens=9, written_tokens=4, reasoning_tokens=2),
        cost=Cost(usd=0.5, basis="list"),
        latency_s=0.25,
        logprobs=(TokenLogprob(token="two", logprob=-0.5),),
        calls=3,
    )
    model = Scripted([{"a": 1}, full, "three"], name=MODEL)
    requests = [asking("a", role="run"), asking("b", role="run"), asking("b", role="run", max_output_tokens=9)]
    live = [anyio.run(model.complete, request) for request in requests]
    record = recorder(tmp_path / "rec", provenance={"recorded_with": "skillforge 9"})
    assert all(record.add(MODEL, request, answer) for request, answer in zip(requests, live, strict=True))
    provider = replay_of(tmp_path / "rec", MODEL)
    assert [anyio.run(provider.complete, request) for request in reversed(requests)] == live[::-1]
    assert provider.provenance == {"recorded_with": "skillforge 9", "model": MODEL}
    assert provider.name == MODEL


def test_a_request_is_recorded_once(tmp_path, asking):
    record = recorder(tmp_path)
    assert record.add(MODEL, asking("a"), said("first"))
    assert not record.add(MODEL, asking("a"), said("again"))
    again = recorder(tmp_path)  # another process, later
    assert not again.add(MODEL, asking("a"), said("again"))
    assert again.add(MODEL, asking("a", temperature=1.0), said("warm"))
    assert [row["response"]["text"] for row in rows(tmp_path)[1:]] == ["first", "warm"]


def test_each_model_has_its_file(tmp_path, asking):
    record = recorder(tmp_path)
    names = [MODEL, "replay:../up", "..", "local:ä", "x:\udc80"]
    for name in names:
        assert record.add(name, asking("a"), said(f"by {name!a}"))
    assert {path.parent for path in tmp_path.rglob("*.jsonl")} == {tmp_path}
    assert recording_file(tmp_path, MODEL).name == "openai%3Agpt%2F6%20mini.jsonl"
    for name in names:
        assert replayed(tmp_path, asking("a"), name).text == f"by {name!a}"


def test_a_model_without_a_recording_is_not_found_and_the_hint_names_those_there_are(tmp_path, asking):
    with pytest.raises(NotFound) as caught:
        replay_of(tmp_path / "none", MODEL)
    assert "--record" in caught.value.hint
    recorder(tmp_path).add(MODEL, asking(), said("x"))
    with pytest.raises(NotFound, match="local:other") as caught:
        replay_of(tmp_path, "local:other")
    assert MODEL in caught.value.hint


def test_only_its_owner_may_read_a_recording(tmp_path, asking):
    folder = tmp_path / "deep" / "rec"
    recorder(folder).add(MODEL, asking(), said("x"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(recording_file(folder, MODEL).stat().st_mode) == 0o600


def test_no_byte_of_a_recording_holds_a_secret(tmp_path, asking):
    requests = [
        asking(f"use {KEY}", role="run", input={"text": f"use {KEY}", PASSWORD: 1, "password": "hunter2hunter2"}),
        asking(f"what is {PASSWORD}", role="run", task=f"log in with {PASSWORD}", input={"n": 1}),
        asking("plain", role="run", input={"n": 2}),
        asking("split", role="run", input={"n": 3}),
        asking("tokens", role="run", input={"n": 4}),
    ]
    answers = [
        said(f'{{"key": "{KEY}", "card": 5555555555554444}}'),
        said("see", ToolCall(id="1", name="look", arguments={"q": f"{KEY} {PASSWORD}", "n": 7})),
        said(Reasoning(kind="k", data={"thought": [PASSWORD]}), '{"k": "\\u0063orrecthorse77"}'),
        said(KEY[:20], KEY[20:], usage=Usage(input_tokens=4111111111111111)),
        said("ok", logprobs=tuple(TokenLogprob(token=part, logprob=-1) for part in (KEY[:9], KEY[9:]))),
    ]
    record = recorder(tmp_path, provenance={"note": f"with {KEY}", "n": 5})
    for request, answer in zip(requests, answers, strict=True):
        assert record.add(MODEL, request, answer)
    content = recording_file(tmp_path, MODEL).read_bytes()
    pieces = (
        KEY[13:],
        KEY[9:],
        KEY[20:],
        PASSWORD,
        "hunter2",
        "u0063orrect",
        "5555555555554444",
        prompt_digest(requests[0]),
    )
    assert [piece for piece in pieces if piece.encode() in content] == []
    assert digest(requests[1].key.task).encode() not in content
    found = [replayed(tmp_path, request) for request in requests]
    assert json.loads(found[0].text).keys() == {"key", "card"}
    assert found[1].message.tool_calls[0].arguments["n"] == 7
    assert found[3].usage.input_tokens == 4111111111111111
    assert found[4].logprobs is None
    with pytest.raises(UnknownRequest) as caught:
        anyio.run(replay_of(tmp_path, MODEL).complete, requests[1])  # without cleaning it is another question
    assert caught.value.hint


def test_a_repair_of_a_cleaned_answer_is_found_again(tmp_path, asking):
    """Live, the model saw its own answer with the secret; replayed, it sees what the recording made of it."""
    answer = f'{{"card": 4111111111111111, "half": "\ud800", "key": "{KEY}"}}'

    def repair(text: str) -> Request:
        request = asking("sort", role="run-repair", input={"n": 1})
        return request.model_copy(update={"messages": (*request.messages, Message.of("assistant", text))})

    record = recorder(tmp_path)
    record.add(MODEL, asking("sort", role="run", input={"n": 1}), said(answer))
    record.add(MODEL, repair(answer), said("repaired"))
    first = replayed(tmp_path, asking("sort", role="run", input={"n": 1})).text
    assert first != answer
    assert replayed(tmp_path, repair(first)).text == "repaired"


@pytest.mark.parametrize(
    "text", ["plain", '{"a": 1}', f"key {KEY}", f'{{"a": "{KEY}"}}', '{"password": "Xy7!pq99"}', "[1"]
)
def test_cleaning_twice_gives_what_cleaning_once_gave(text):
    cleaner = Cleaner(value=REDACTOR.value, text=REDACTOR.text)
    once = cleaner.answer(text)
    assert cleaner.answer(once) == once
    assert (once == text) == (KEY not in text and "password" not in text)


def test_what_no_recording_can_hold_is_left_out_and_counted(tmp_path, asking):
    record = recorder(tmp_path)
    infinite = ToolCall(id="1", name="n", arguments={"x": float("inf")})
    deep: dict[str, Any] = {}
    for _ in range(3_000):
        deep = {"a": deep}
    assert not record.add(MODEL, asking(input={"n": 2**60}), said("x"))
    assert not record.add(MODEL, asking(input={"n": "\ud800"}), said("x"))
    assert not record.add(MODEL, asking("a"), said(infinite))
    assert not record.add(MODEL, asking("b"), said(ToolCall(id="1", name="n", arguments=deep)))
    assert not record.add(MODEL, asking("c"), said("x" * 2_000_000))
    assert record.left_out == 5
    assert record.add(MODEL, asking("d"), said("half \ud800"))
    assert replayed(tmp_path, asking("d")).text == "half \ufffd"


def test_a_torn_last_line_is_cut_and_everything_before_it_stays(tmp_path, asking):
    recorder(tmp_path).add(MODEL, asking("a"), said("first"))
    path = recording_file(tmp_path, MODEL)
    whole = path.read_bytes()
    for torn in (b'{"request": {"role": "so', b'{"re', whole.splitlines()[-1][:-1] + b"\xc3"):
        path.write_bytes(whole + torn)
        record = recorder(tmp_path)
        assert record.add(MODEL, asking("b"), said("second"))
        assert not record.add(MODEL, asking("a"), said("first"))
        assert path.read_bytes().startswith(whole)
        assert [row["response"]["text"] for row in rows(tmp_path)[1:]] == ["first", "second"]


def test_a_last_line_that_lacks_only_its_end_stays(tmp_path, asking):
    recorder(tmp_path).add(MODEL, asking("a"), said("first"))
    path = recording_file(tmp_path, MODEL)
    path.write_bytes(path.read_bytes()[:-1])
    recorder(tmp_path).add(MODEL, asking("b"), said("second"))
    assert [row["response"]["text"] for row in rows(tmp_path)[1:]] == ["first", "second"]


def test_a_file_that_is_no_recording_is_left_alone(tmp_path, asking):
    path = recording_file(tmp_path, MODEL)
    for content, kind in ((b"my diary", UsageError), (b"[1]\n", SkillFileError)):
        path.write_bytes(content)
        with pytest.raises(kind, match=r"openai%3A"):
            recorder(tmp_path).add(MODEL, asking(), said("x"))
        assert path.read_bytes() == content


def test_a_recording_that_cannot_be_written_is_named(tmp_path, asking):
    (tmp_path / "file").write_text("")
    recording_file(tmp_path, MODEL).mkdir()
    os.mkfifo(recording_file(tmp_path, "pipe"))
    for folder, model in ((tmp_path / "file", MODEL), (tmp_path, MODEL), (tmp_path, "pipe"), (tmp_path, "long" * 99)):
        with pytest.raises(UsageError, match=r"\.jsonl") as caught:
            recorder(folder).add(model, asking(), said("x"))
        assert caught.value.hint


def test_a_full_disk_leaves_whole_lines(tmp_path, asking):
    resource = pytest.importorskip("resource")
    record = recorder(tmp_path)
    record.add(MODEL, asking("a"), said("first"))
    path = recording_file(tmp_path, MODEL)
    whole = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 100, hard))
    try:
        with pytest.raises(UsageError, match=path.name):
            record.add(MODEL, asking("b"), said("second" * 100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == whole
    assert record.add(MODEL, asking("b"), said("second" * 100))
    assert len(rows(tmp_path)) == 3


WRITER = """
import sys
from pathlib import Path
from skillforge.messages import Completion, Message, Request, RequestKey
from skillforge.providers.recorder import Recorder

who, count, size = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
record = Recorder(Path(sys.argv[1]), clean=lambda value: value, clean_text=lambda text: text)
answer = Completion(message=Message.of("assistant", "x" * size), stop="stop", model="m")
for number in range(count):
    key = RequestKey(role="run", task="t", input={"who": who, "number": number})
    record.add("m", Request(messages=(Message.of("user", "?"),), key=key), answer)
    print(number, flush=True)
"""


def start(folder: Path, who: str, count: int, size: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), who, str(count), str(size)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def test_a_killed_process_leaves_a_readable_recording(tmp_path, asking):
    with start(tmp_path, "a", 100_000, 300_000) as writer:
        assert writer.stdout is not None
        seen = [writer.stdout.readline() for _ in range(10)]
        writer.send_signal(signal.SIGKILL)
    assert seen[-1] == "9\n"
    request = asking("?", role="run", task="t", input={"who": "a", "number": 9})
    request = request.model_copy(update={"messages": (Message.of("user", "?"),)})
    assert len(replayed(tmp_path, request, "m").text) == 300_000
    assert recorder(tmp_path).add("m", asking(), said("after"))
    assert replayed(tmp_path, asking(), "m").text == "after"


def test_two_processes_recording_at_once_tear_no_line(tmp_path):
    writers = [start(tmp_path, who, 150, 30_000) for who in "ab"]
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    first, *others = rows(tmp_path, "m")
    assert list(first) == ["provenance"]
    asked = {(row["request"]["input"]["who"], row["request"]["input"]["number"]) for row in others}
    assert (len(others), len(asked)) == (300, 300)


def test_a_recording_knows_whether_its_model_called_tools(tmp_path, asking):
    record = recorder(tmp_path)
    record.add("local:a", asking(), said("x"), native_tools=False)
    record.add("local:b", asking(), said("x"))
    assert [replay_of(tmp_path, name).native_tools for name in ("local:a", "local:b")] == [False, True]
