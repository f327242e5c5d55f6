"""The real thing: SmolLM2-135M through llama.cpp, in this process."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from skillforge.engine.execute import PromptExecutor
from skillforge.errors import ContextOverflow, MissingPackage, NotFound, ProviderError, ProviderTimeout
from skillforge.messages import Media, Message, Request, Tool
from skillforge.providers.local import Local
from skillforge.providers.models_cache import resolve_model_file
from skillforge.providers.probe import probe

pytestmark = pytest.mark.model
NAME = "smollm2-135m"
LONG = "Tell a very long story about a king and his seven daughters."
SCHEMA = {
    "type": "object",
    "properties": {
        "zeta": {"type": "string", "maxLength": 40},
        "alpha": {"type": "boolean"},
        "middle": {"enum": ["billing", "bug"]},
    },
    "required": ["zeta", "alpha", "middle"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def weights() -> Path:
    if importlib.util.find_spec("xllamacpp") is None:  # importing it is Local's business: it sets the threads up
        pytest.skip("the extra [local] is not installed")
    try:
        return resolve_model_file(NAME)
    except NotFound as exc:
        pytest.skip(f"{exc}: {exc.hint}")


@pytest.fixture(scope="module")
def local(weights: Path):
    provider = Local(NAME, weights)
    yield provider
    anyio.run(provider.aclose)


def ask(provider: Local, request: Request):
    return anyio.run(provider.complete, request)


def test_the_same_request_gives_the_same_text(local, asking):
    first = ask(local, asking(LONG, max_output_tokens=40))
    ask(local, asking("Something else in between.", max_output_tokens=5))
    second = ask(local, asking(LONG, max_output_tokens=40))
    assert first.text == second.text
    assert len(first.text) > 20
    assert first.usage == second.usage


def test_usage_model_stop_and_cost_are_filled_in(local, asking):
    completion = ask(local, asking("Name a colour.", max_output_tokens=3))
    assert completion.stop == "length"
    assert completion.model == "smollm2-135m@b179c9523d0e"
    assert completion.usage.output_tokens == 3
    assert completion.usage.cached_tokens == 0
    assert not completion.usage.estimated
    assert completion.cost.usd == 0.0
    assert completion.latency_s is not None
    assert completion.logprobs is None


def test_our_system_prompt_replaces_the_models_own(local, asking):
    def tokens(*messages: Message) -> int:
        sent = ask(local, asking(max_output_tokens=1).model_copy(update={"messages": messages})).usage.input_tokens
        assert sent is not None
        return sent

    user = Message.of("user", "hi")
    assert tokens(Message.of("system", "Be"), user) < tokens(user)  # the template's default system prompt is longer


def test_a_schema_is_obeyed_in_its_key_order_and_lengths(local, asking):
    completion = ask(local, asking("I was charged twice and want my money back.", output_schema=SCHEMA))
    value = json.loads(completion.text)
    assert list(value) == ["zeta", "alpha", "middle"]
    assert len(value["zeta"]) <= 40
    assert value["middle"] in ("billing", "bug")


def test_logprobs_come_with_their_tokens(local, asking):
    completion = ask(local, asking("Name a colour.", max_output_tokens=8, logprobs=True))
    assert completion.logprobs
    assert "".join(item.token for item in completion.logprobs) == completion.text
    assert all(item.logprob <= 0 for item in completion.logprobs)
    assert all(item.token in dict(item.top) for item in completion.logprobs)


def test_under_a_grammar_the_labels_probabilities_are_found_among_what_it_would_have_said(local, triage):
    """The likeliest tokens are told as they were before the grammar; those of labels are among them."""
    run = anyio.run(PromptExecutor(local, probabilities=True).execute, triage(), {"ticket": "I was charged twice"})
    told = run.probabilities["queue"]
    assert set(told) <= {'"billing"', '"bug"'}
    assert told[json.dumps(run.output["queue"])] >= 0.5
    assert sum(told.values()) <= 1.0001


def test_a_request_beyond_the_context_is_an_overflow(local, asking):
    with pytest.raises(ContextOverflow, match="context holds 8192"):
        ask(local, asking("word " * 9000))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"output_schema": {"type": "wat"}}, "unrecognized type wat"),
        ({"tools": (Tool(name="t", parameters={"type": "object"}),)}, "cannot call tools"),
    ],
)
def test_what_the_model_cannot_do_is_refused_with_a_hint(local, asking, more, words):
    with pytest.raises(ProviderError, match=words) as caught:
        ask(local, asking(**more))
    assert caught.value.hint


def test_media_is_refused(local, asking):
    message = Message(role="user", content=(Media(type="image", media_type="image/png", data="AA"),))
    with pytest.raises(ProviderError, match="text only"):
        ask(local, asking().model_copy(update={"messages": (message,)}))


@pytest.mark.parametrize("text", [LONG, "word " * 7000], ids=["while answering", "while reading the prompt"])
def test_a_timeout_stops_the_work(local, asking, text):
    ask(local, asking(max_output_tokens=1))  # loaded
    started = time.monotonic()
    with pytest.raises(ProviderTimeout):
        ask(local, asking(text, max_output_tokens=4000, timeout_s=0.3))
    ask(local, asking("hi", max_output_tokens=1))  # answered at once only if the other work has stopped
    assert time.monotonic() - started < 20  # both would take far longer: 4,000 tokens, or 7,000 to read


def test_a_cancelled_call_stops_the_work_and_stays_cancelled(local, asking):
    ask(local, asking(max_output_tokens=1))

    async def cancelled() -> bool:
        with anyio.move_on_after(0.3) as scope:
            await local.complete(asking(LONG, max_output_tokens=4000))
        return scope.cancelled_caught

    async def cancelled_by_asyncio() -> None:
        await asyncio.wait_for(local.complete(asking(LONG, max_output_tokens=4000)), 0.3)

    started = time.monotonic()
    assert anyio.run(cancelled)
    with pytest.raises(TimeoutError):
        anyio.run(cancelled_by_asyncio)
    ask(local, asking("hi", max_output_tokens=1))
    assert time.monotonic() - started < 20


def test_calls_at_once_are_all_answered_as_if_alone(local, asking):
    alone = ask(local, asking("Name a colour.", max_output_tokens=6)).text
    texts: list[str] = []

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(one)

    async def one() -> None:
        texts.append((await local.complete(asking("Name a colour.", max_output_tokens=6))).text)

    anyio.run(main)
    assert texts == [alone] * 3


def test_waiting_for_a_turn_takes_no_time_limit_and_no_thread(local, asking):
    ask(local, asking(max_output_tokens=1))  # loaded
    answered: list[int | None] = []
    ended: list[str] = []

    async def hog() -> None:
        with pytest.raises(ProviderTimeout):
            await local.complete(asking(LONG, max_output_tokens=4000, timeout_s=2))
        ended.append("hog")

    async def queued() -> None:
        done = await local.complete(asking("hi", max_output_tokens=1, timeout_s=2))
        answered.append(done.usage.output_tokens)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(hog)
            await anyio.sleep(0.1)
            for _ in range(4):
                group.start_soon(queued)
            await anyio.sleep(0.3)
            assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 1
            assert (answered, ended) == ([], [])

    anyio.run(main)
    assert answered == [1] * 4


def test_a_call_cancelled_while_it_waits_leaves_the_others_alone(local, asking):
    ask(local, asking(max_output_tokens=1))  # loaded

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(hog)
            await anyio.sleep(0.1)
            with anyio.move_on_after(0.2) as scope:
                await local.complete(asking("hi", max_output_tokens=1))
            assert scope.cancelled_caught
            assert not ended

    ended: list[bool] = []

    async def hog() -> None:
        with pytest.raises(ProviderTimeout):
            await local.complete(asking(LONG, max_output_tokens=4000, timeout_s=2))
        ended.append(True)

    anyio.run(main)
    assert ended == [True]
    assert ask(local, asking("hi", max_output_tokens=1)).usage.output_tokens == 1


def test_a_second_model_works_beside_the_first_and_a_closed_one_loads_again(local, weights, asking):
    request = asking("Name a colour.", max_output_tokens=6)
    second = Local(NAME, weights, n_ctx=512, threads=1)
    expected = ask(local, request).text
    assert ask(second, request).text == expected
    for _ in range(2):
        anyio.run(second.aclose)
    assert ask(second, request).text == expected
    anyio.run(second.aclose)


def test_fingerprints_tell_what_changes_answers(local, weights):
    assert local.fingerprint() == Local(NAME, weights).fingerprint()
    assert local.fingerprint() != Local(NAME, weights, n_ctx=512).fingerprint()
    assert local.fingerprint() != Local(NAME, weights, deterministic=False).fingerprint()


def test_a_damaged_file_is_an_error_and_not_a_crash(tmp_path, weights, asking):
    path = tmp_path / "cut.gguf"
    with weights.open("rb") as source:
        path.write_bytes(source.read(2_000_000))
    with pytest.raises(ProviderError, match=r"cannot load .*cut\.gguf"):
        ask(Local("cut.gguf", path), asking())


def test_nothing_is_printed_even_at_exit(weights):
    code = (
        "import anyio, sys; from pathlib import Path\n"
        "from skillforge.messages import Message, Request, RequestKey\n"
        "from skillforge.providers.local import Local\n"
        "schema = {'type': 'object', 'properties': {'a': {'type': 'string', 'pattern': r'^\\d+$', 'maxLength': 4}}}\n"
        "request = Request(messages=(Message.of('user', 'hi'),), key=RequestKey(role='r', task='t', input=1),\n"
        "                  output_schema=schema, max_output_tokens=8)\n"
        "anyio.run(Local('smollm2-135m', Path(sys.argv[1])).complete, request)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(weights)], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_the_server_listens_on_loopback_and_wants_its_key(local, asking):
    import urllib.error
    import urllib.request

    ask(local, asking(max_output_tokens=1))
    address = local._server.listening_address
    assert address.startswith("http://127.0.0.1:")
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
    sent = urllib.request.Request(f"{address}/v1/chat/completions", json.dumps(body).encode())
    with pytest.raises(urllib.error.HTTPError, match="401") as caught:
        urllib.request.urlopen(sent)
    caught.value.close()


def test_without_the_package_the_hint_is_the_install_command(weights, asking, monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingPackage) as caught:
        ask(Local(NAME, weights), asking())
    assert caught.value.hint == 'pip install "skillforge-distiller[local]"'


def test_a_probe_finds_out_what_the_model_can_do(weights):
    provider = Local(NAME, weights)
    found = anyio.run(probe, provider)
    anyio.run(provider.aclose)
    assert found.json_ok
    assert found.logprobs
    assert found.reply
    assert found.load_s is not None
    assert found.tokens_per_s is not None
    assert found.notes == ()
