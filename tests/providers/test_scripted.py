from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from skillforge.errors import NotFound, ProviderError, ProviderTimeout, SkillFileError
from skillforge.messages import Completion, Message, Request, RequestKey
from skillforge.providers.scripted import Scripted


def ask(provider: Scripted, request: Request) -> Completion:
    return anyio.run(provider.complete, request)


def script(folder: Path, **content: Any) -> Path:
    path = folder / "script.yaml"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_sequence_answers_in_order_and_then_with_the_default(asking):
    provider = Scripted(["one", {"b": 1, "a": 2}], default="rest")
    assert [ask(provider, asking(str(n))).text for n in range(4)] == ["one", '{"b": 1, "a": 2}', "rest", "rest"]
    assert [request.key.input["text"] for request in provider.seen] == ["0", "1", "2", "3"]


def test_without_an_answer_left_it_is_an_error_that_names_the_request(asking):
    with pytest.raises(ProviderError, match=r"'author' request.*strange input"):
        ask(Scripted(), asking("strange input", role="author"))


def test_a_function_sees_the_request_and_a_completion_passes_through(asking):
    cut = Completion(message=Message.of("assistant", "cut"), stop="length", model="m")
    provider = Scripted([lambda request: {"echo": request.key.input["text"]}, cut])
    assert json.loads(ask(provider, asking("hi")).text) == {"echo": "hi"}
    assert ask(provider, asking("hi")) is cut


def test_a_mapping_answers_by_what_the_input_holds(asking):
    provider = Scripted({'say "no"': "quoted", "12": "number"})
    assert ask(provider, asking('please say "no"')).text == "quoted"
    assert ask(provider, asking("x", input={"amount": 12})).text == "number"


def test_usage_is_estimated_costs_nothing_and_is_the_same_every_time(asking):
    first, second = (ask(Scripted(default="four"), asking("x" * 40)) for _ in range(2))
    assert first == second
    assert first.usage.estimated
    assert first.usage.output_tokens == 1
    assert first.cost.usd == 0.0


def test_a_script_file_answers_with_the_first_rule_that_matches(tmp_path, asking):
    path = tmp_path / "script.yaml"
    path.write_text(
        "answers:\n"
        "  - when: {role: author, contains: refund}\n    reply: written\n"
        "  - when: {contains: refund}\n    reply: {queue: billing}\n"
        "default: {queue: other}\n",
        encoding="utf-8",
    )
    provider = Scripted.from_file(path)
    assert ask(provider, asking("a refund", role="author")).text == "written"
    assert ask(provider, asking("a refund")).text == '{"queue": "billing"}'
    assert ask(provider, asking("hello", role="author")).text == '{"queue": "other"}'
    assert provider.name == f"scripted:{path}"


def test_the_log_gets_a_whole_line_when_a_call_arrives_even_if_the_process_dies(tmp_path):
    path = script(tmp_path, default="x", latency_ms=60_000, log="calls.jsonl")
    code = (
        "import anyio, sys; from pathlib import Path\n"
        "from skillforge.messages import Message, Request, RequestKey\n"
        "from skillforge.providers.scripted import Scripted\n"
        "key = RequestKey(role='run', task='t', input={'n': 1})\n"
        "request = Request(messages=(Message.of('user', 'hi'),), key=key)\n"
        "anyio.run(Scripted.from_file(Path(sys.argv[1])).complete, request)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)])
    log = tmp_path / "calls.jsonl"
    try:
        for _ in range(400):
            if log.exists() and log.read_bytes():
                break
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    assert json.loads(log.read_text()) == {"call": 1, "role": "run", "input": {"n": 1}}


def test_every_nth_call_fails(tmp_path, asking):
    provider = Scripted.from_file(script(tmp_path, default="x", fail_every=3))
    results = []
    for number in range(6):
        try:
            results.append(ask(provider, asking(str(number))).text)
        except ProviderError:
            results.append("failed")
    assert results == ["x", "x", "failed", "x", "x", "failed"]


def test_a_slow_script_times_out_and_is_cancelled(asking):
    with pytest.raises(ProviderTimeout):
        ask(Scripted(default="x", latency_ms=5000), asking(timeout_s=0.01))

    async def cancelled() -> bool:
        with anyio.move_on_after(0.01) as scope:
            await Scripted(default="x", latency_ms=5000).complete(asking())
        return scope.cancelled_caught

    assert anyio.run(cancelled)


def test_the_fingerprint_follows_what_is_measured_answers_and_latency(tmp_path):
    def fingerprint(**content: Any) -> str:
        return Scripted.from_file(script(tmp_path, **content)).fingerprint()

    assert fingerprint(default="x") == fingerprint(default="x", fail_every=2)
    assert fingerprint(default="x") != fingerprint(default="x", latency_ms=5)
    assert fingerprint(default="x") != fingerprint(default="y")


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"answer": []}, "answer"),
        ({"answers": [{"when": {"rol": "x"}, "reply": 1}]}, r"answers\[0\]\.when\.rol"),
        ({"answers": [{"when": {}}]}, r"answers\[0\]"),
        ({"log": "../outside.jsonl"}, "log"),
        ({"log": "script.yaml"}, "log"),
        ({"fail_every": -1}, "fail_every"),
        ([1], "script.yaml"),
    ],
)
def test_a_wrong_script_is_refused_with_its_field(tmp_path, content, field):
    path = tmp_path / "script.yaml"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(SkillFileError, match=field):
        Scripted.from_file(path)
    assert [item.name for item in tmp_path.iterdir()] == ["script.yaml"]


def test_a_missing_script_is_not_found(tmp_path):
    with pytest.raises(NotFound, match=r"none\.yaml"):
        Scripted.from_file(tmp_path / "none.yaml")


def test_a_script_calls_tools_turn_by_turn(tmp_path):
    script = tmp_path / "agent.yaml"
    script.write_text(
        "answers:\n"
        "  - when: {role: solve}\n"
        "    calls: [{tool: get_order, arguments: {order_id: A-17}}, {tool: get_order, arguments: {order_id: Z}}]\n"
        "  - {when: {role: solve-turn2}, reply: I pay it back., calls: [{tool: refund_order}]}\n"
        "  - {when: {role: solve-turn3}, reply: {refunded: 4900}}\n"
    )
    provider = Scripted.from_file(script)
    request = Request(messages=(Message.of("user", "u"),), key=RequestKey(role="solve", task="t", input={}))
    first = anyio.run(provider.complete, request)
    assert (first.stop, first.text) == ("tool_calls", "")
    assert [(call.id, call.name, call.arguments) for call in first.message.tool_calls] == [
        ("call-1", "get_order", {"order_id": "A-17"}),
        ("call-2", "get_order", {"order_id": "Z"}),
    ]
    later = request.model_copy(
        update={
            "messages": (*request.messages, first.message),
            "key": request.key.model_copy(update={"role": "solve-turn2"}),
        }
    )
    second = anyio.run(provider.complete, later)
    assert (second.text, second.message.tool_calls[0].id) == ("I pay it back.", "call-3")
    last = later.model_copy(update={"key": request.key.model_copy(update={"role": "solve-turn3"})})
    assert (answered := anyio.run(provider.complete, last)).stop == "stop"
    assert answered.text == '{"refunded": 4900}'
