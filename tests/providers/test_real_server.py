"""The three APIs of a server that nobody here wrote: llama.cpp's own, over SmolLM2-135M, through the real SDKs.

What it does with a request is its own affair (it drops a schema on two of its APIs, and tools on all); what is held to
here is that skillforge says truthfully what came of it.
"""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import pytest

from skillforge import Forge
from skillforge.config import read_settings
from skillforge.demo_data import copy_demo, demo_task
from skillforge.errors import ContextOverflow, KeyRejected, NotFound, ProviderError, ProviderStopped, Unreachable
from skillforge.messages import Completion, Message, Request, RequestKey, Tool
from skillforge.providers.limiter import LimiterPool
from skillforge.providers.network import Network
from skillforge.providers.remote import Remote
from skillforge.providers.resolve import resolve_provider
from skillforge.providers.wires.wire import STREAM_ABOVE
from skillforge.redact import Redactor
from tests.fakes.llama_server import LlamaServer

pytestmark = pytest.mark.model
KINDS = {"chat": "openai-chat", "responses": "openai-responses", "messages": "anthropic"}
KEY_VARIABLE = "LAB_KEY"
SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["red", "green", "blue"]}, "warm": {"type": "boolean"}},
    "required": ["colour", "warm"],
    "additionalProperties": False,
}
LONG = "Tell a very long story about a king and his seven daughters."

Open = Callable[..., Remote]


@pytest.fixture(scope="module")
def server() -> Iterator[LlamaServer]:
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("the extra [local] is not installed")
    try:
        with LlamaServer() as running:
            yield running
    except NotFound as exc:
        pytest.skip(f"{exc}: {exc.hint}")


@pytest.fixture(params=KINDS)
def api(request: pytest.FixtureRequest) -> str:
    """The name of an endpoint, one for each API."""
    return str(request.param)


def write_endpoints(folder: Path, url: str, options: str = "") -> None:
    """Endpoints of all kinds at one server, as a user writes them; ``options`` are lines for each."""
    text = "".join(
        f'[endpoints.{name}]\nkind = "{kind}"\nbase_url = "{url}"\napi_key_env = "{KEY_VARIABLE}"\n{options}\n'
        for name, kind in KINDS.items()
    )
    (folder / "skillforge.toml").write_text(text)


@pytest.fixture
def open_model(server: LlamaServer, tmp_path: Path) -> Open:
    """Resolves ``API:smollm2`` as the command does."""

    def resolve(api: str, *, key: str = "", url: str = "", options: str = "") -> Remote:
        write_endpoints(tmp_path, url or server.url, options)
        env = {KEY_VARIABLE: key or server.key}
        network = Network(read_settings(tmp_path), env, Redactor(env), LimiterPool())
        found = resolve_provider(f"{api}:smollm2", network)
        assert isinstance(found, Remote)
        return found

    return resolve


def asking(*turns: str, **more: Any) -> Request:
    """``turns`` alternate between user and assistant, as examples do."""
    said = [Message.of("assistant" if number % 2 else "user", text) for number, text in enumerate(turns)]
    key = RequestKey(role="run", task="t", input={})
    return Request(messages=(Message.of("system", "You are terse."), *said), key=key, **{"timeout_s": 60, **more})


def brief(**more: Any) -> Request:
    """A request whose answer the model ends by itself."""
    return asking("Say: red", "red", "Say: green", "green", "Say: blue", **{"max_output_tokens": 64, **more})


def ask(provider: Remote, *requests: Request) -> list[Completion]:
    async def main() -> list[Completion]:
        try:
            return [await provider.complete(request) for request in requests]
        finally:
            await provider.aclose()

    return anyio.run(main)


def failure(provider: Remote, request: Request) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        ask(provider, request)
    return caught.value


# what every API gives


def test_text_usage_model_and_end_of_an_answer(open_model, server, api):
    first, again = ask(open_model(api), brief(), brief())
    assert "blue" in first.text.lower()
    assert first.stop == "stop"
    assert first.model == server.path.stem
    assert (first.usage.output_tokens or 0) > 0
    assert (first.usage.input_tokens or 0) > 30
    assert first.cost.usd is None  # nobody named a price
    assert first.calls == 1
    assert (first.latency_s or 0) > 0
    assert again.usage.input_tokens == first.usage.input_tokens
    assert (again.usage.cached_tokens or 0) > (again.usage.input_tokens or 0) / 2


def test_an_answer_at_its_limit_was_cut_off(open_model, api):
    [completion] = ask(open_model(api), asking(LONG, max_output_tokens=6))
    assert completion.usage.output_tokens == 6
    assert completion.stop == "length"


def test_a_long_answer_is_streamed_with_its_usage(open_model, api):
    whole, streamed = ask(open_model(api), brief(), brief(max_output_tokens=STREAM_ABOVE + 1))
    assert "blue" in streamed.text.lower()
    assert streamed.stop == "stop"
    assert streamed.usage.input_tokens == whole.usage.input_tokens
    assert (streamed.usage.output_tokens or 0) > 0
    assert streamed.model == whole.model


def test_prices_of_the_settings_make_the_cost(open_model, api):
    provider = open_model(api, options="price = {input = 1.0, output = 2.0}")
    [completion] = ask(provider, brief())
    usage = completion.usage
    dollars = ((usage.input_tokens or 0) + 2 * (usage.output_tokens or 0)) / 1e6
    assert completion.cost.usd == pytest.approx(dollars)
    assert dollars > 0


# errors


def test_a_request_beyond_the_context_is_an_overflow(open_model, api):
    error = failure(open_model(api), asking("word " * 9000))
    assert isinstance(error, ContextOverflow)
    assert "8192" in str(error)
    assert "shorten" in error.hint


def test_a_wrong_key_is_told_as_one_and_never_shown(open_model, api):
    key = "a-key-that-nobody-gave-out"
    error = failure(open_model(api, key=key), brief())
    assert isinstance(error, KeyRejected)
    assert "keys set" in error.hint
    assert key not in f"{error}{error.hint}"
    assert not error.maybe_billed


def test_a_server_that_does_not_run_is_told_with_what_to_look_at(open_model, api):
    provider = open_model(api, url="http://127.0.0.1:9")
    provider._random = lambda: 0.0  # do not wait between the tries
    error = failure(provider, brief())
    assert isinstance(error, ProviderStopped)
    assert isinstance(error.__cause__, Unreachable)
    assert "cannot connect" in str(error)
    assert "base_url" in error.hint
    assert not error.maybe_billed


def test_an_address_without_such_an_api_is_told(open_model, server, api):
    error = failure(open_model(api, url=f"{server.url}/elsewhere"), brief())
    assert "HTTP 404" in str(error)
    assert "address" in error.hint


@pytest.mark.parametrize("limit", [4000, STREAM_ABOVE + 1], ids=["whole", "streamed"])
def test_a_cancelled_call_frees_the_only_slot(open_model, api, limit):
    provider = open_model(api)

    async def main() -> float:
        try:
            await provider.complete(brief(max_output_tokens=1))
            with anyio.move_on_after(0.15) as scope:  # before a model that samples may have had enough
                await provider.complete(asking(LONG, max_output_tokens=limit))
            assert scope.cancelled_caught
            started = time.monotonic()
            await provider.complete(brief(max_output_tokens=1))
            return time.monotonic() - started
        finally:
            await provider.aclose()

    assert anyio.run(main) < 10  # the 4,000 tokens would take a minute


# where its APIs differ


def test_chat_completions_obey_a_schema(open_model):
    [completion] = ask(open_model("chat"), asking("Is red a warm colour?", output_schema=SCHEMA, max_output_tokens=96))
    assert jsonschema.Draft202012Validator(SCHEMA).is_valid(json.loads(completion.text))
    assert completion.calls == 1


@pytest.mark.parametrize("api", ["responses", "messages"])
def test_the_other_apis_take_a_schema_and_ignore_it(open_model, api):
    """If this fails, the server has learned it: then say so in the documentation."""
    [completion] = ask(open_model(api), asking(LONG, output_schema=SCHEMA, max_output_tokens=24))
    assert completion.calls == 1
    assert not completion.text.lstrip().startswith("{")


def test_a_schema_it_cannot_enforce_is_said_in_the_prompt(open_model):
    odd = {"type": "object", "properties": {"a": {"$ref": "https://example.invalid/a.json"}}, "required": ["a"]}
    [completion] = ask(open_model("chat"), brief(output_schema=odd))
    assert completion.calls == 2
    assert completion.text


def test_chat_completions_give_logprobs(open_model):
    whole, streamed = ask(
        open_model("chat"),
        brief(logprobs=True),
        brief(logprobs=True, max_output_tokens=STREAM_ABOVE + 1),
    )
    for completion in (whole, streamed):
        assert completion.logprobs
        assert "".join(item.token for item in completion.logprobs).startswith(completion.text)
        assert all(item.logprob <= 0 for item in completion.logprobs)


def test_responses_refuse_logprobs_once_and_are_not_asked_again(open_model):
    first, again = ask(open_model("responses"), brief(logprobs=True), brief(logprobs=True))
    assert (first.calls, again.calls) == (2, 1)
    assert first.logprobs is again.logprobs is None
    assert "blue" in again.text.lower()


def test_messages_have_no_logprobs(open_model):
    [completion] = ask(open_model("messages"), brief(logprobs=True))
    assert (completion.logprobs, completion.calls) == (None, 1)


def test_tools_that_the_model_does_not_know_come_back_as_plain_text(open_model, api):
    """The model's chat template has no tools, so the server drops them without a word."""
    tool = Tool(name="look_up", description="Looks a colour up.", parameters=SCHEMA)
    [completion] = ask(open_model(api), brief(tools=(tool,)))
    assert completion.text
    assert not completion.message.tool_calls
    assert completion.stop == "stop"


# skills on it

SKILL = {
    "schema": "skillforge/v1",
    "name": "colour-sense",
    "description": "Say whether a colour is warm.",
    "task": "Say whether a colour is warm.",
    "input": {"text": {"type": "string"}},
    "output": SCHEMA["properties"],
    "instructions": "Answer the question in a long and friendly sentence.",
    "prompt": "{{ text }}",
    "limits": {"output_tokens": 40},
}


@pytest.fixture
def forge(server: LlamaServer, repo: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """A repository whose endpoints are the server."""
    write_endpoints(repo, server.url)
    monkeypatch.setenv(KEY_VARIABLE, server.key)
    with Forge(repo) as opened:
        yield opened


def test_a_skill_is_held_to_its_schema_whatever_the_server_does(forge, repo, api):
    home = repo / "skills" / "colour-sense"
    home.mkdir(parents=True)
    (home / "skill.yaml").write_text(json.dumps(SKILL))
    run = forge.run("colour-sense@latest", {"text": "Is red a warm colour?"}, student=f"{api}:smollm2")
    assert run.status in ("ok", "failed")
    first, *more = run.attempts
    assert len(more) == (1 if first.problems else 0)  # a wrong answer is repaired once
    if run.ok:
        assert jsonschema.Draft202012Validator(SCHEMA).is_valid(run.output)
    else:
        assert run.attempts[-1].problems
        assert run.reason
    if api == "chat":
        assert run.ok
        assert not more


def test_a_skill_made_from_the_recorded_teacher_is_measured_on_it(forge, repo):
    suite = copy_demo(repo, "ticket-triage")
    created = forge.create(
        demo_task("ticket-triage"),
        cases=suite.with_suffix(".jsonl"),
        teacher=f"replay:{suite.with_name('ticket-triage.teacher.jsonl')}",
        suite="evals/ticket-triage.yaml",
    )
    report = forge.eval(created.name, students=["chat:smollm2"], teacher="recorded", limit=3)
    assert report.cases == 3
    assert [arm.errors for arm in report.arms] == [0, 0, 0, 0]
    measured = report.arm("chat:smollm2 + skill")
    assert measured.n == 3
    assert (measured.output_tokens or 0) > 0
    assert (measured.input_tokens or 0) > 100
    assert measured.usd_per_1000 is None  # a server without a price: unknown, never zero
