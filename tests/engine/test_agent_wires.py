"""The loop over real SDKs and real HTTP: a scripted tool-calling conversation in each of the three APIs."""

from __future__ import annotations

import json

import anyio
import pytest

from skillforge.config import Settings
from skillforge.engine.agent.limits import LoopLimits
from skillforge.engine.agent.loop import run_loop
from skillforge.messages import Message, Reasoning, Request, RequestKey, Usage
from skillforge.providers.limiter import LimiterPool
from skillforge.providers.network import Network
from skillforge.providers.recorder import Recorder, replay_of
from skillforge.providers.recording import prompt_digest
from skillforge.providers.wires.wire import STREAM_ABOVE
from skillforge.redact import Redactor
from tests.fakes.llm_server import Answer, LLMServer
from tests.fakes.order_tools import OrderTools
from tests.fakes.tool_talk import ToolTalk, result_rounds

KINDS = ["anthropic", "openai-chat", "openai-responses"]
ANSWER = "A-17 is 49 euros, Z is unknown, 20 euros are paid back."
SCRIPT = [
    Answer(
        "I look at both.",
        tool_calls=[("c1", "get_order", {"order_id": "A-17"}), ("c2", "get_order", {"order_id": "Ü-18"})],
        thinking="Two orders.",
    ),
    Answer(tool_calls=[("c3", "refund_order", {"order_id": "A-17", "cents": 2000})], thinking="Pay."),
    ANSWER,
]


def asking(output_tokens):
    return Request(
        messages=(Message.of("system", "You mend orders."), Message.of("user", "Mend A-17 and Ü-18.")),
        key=RequestKey(role="solve", task="Mend orders.", input={"text": "Mend A-17 and Ü-18."}),
        max_output_tokens=output_tokens,
    )


def provider_at(url, kind, **options):
    endpoint = {"kind": kind, "base_url": url, "price": {"input": 3, "output": 15}, **options}
    settings = Settings.model_validate({"endpoints": {"own": endpoint}})
    return Network(settings, {}, Redactor(), LimiterPool()).provider("own:m")


def converse(kind, box, *, turns=SCRIPT, output_tokens=500, limits=LoopLimits(), **options):  # noqa: B008
    async def run(url):
        provider = provider_at(url, kind, **options)
        try:
            return await run_loop(provider, asking(output_tokens), box, limits)
        finally:
            await provider.aclose()

    with LLMServer(ToolTalk(turns)) as server:
        return anyio.run(run, server.url), [call.body for call in server.calls]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_conversation_with_parallel_calls_and_an_error(kind, streamed):
    box = OrderTools()
    result, bodies = converse(kind, box, output_tokens=STREAM_ABOVE + 1 if streamed else 500)
    assert [bool(body.get("stream")) for body in bodies] == [streamed] * 3
    assert (result.stop, result.text) == ("answered", ANSWER)
    assert [[call.name for call in message.tool_calls] for message in result.messages if message.tool_calls] == [
        ["get_order", "get_order"],
        ["refund_order"],
    ]
    assert [arguments["order_id"] for _, arguments in box.calls] == ["A-17", "Ü-18", "A-17"]
    (first, second), (third,) = result_rounds(bodies[2])
    assert (json.loads(first[1]), first[2]) == ({"total": 4900, "lines": [1, 2]}, False)
    assert (second[0], "no order Ü-18" in second[1], second[2]) == ("c2", True, True)
    assert (json.loads(third[1]), third[0]) == ({"refunded": 2000}, "c3")
    assert result.cost.usd == pytest.approx(sum(turn.cost.usd for turn in result.turns))
    assert result.cost.usd > 0
    assert all(turn.latency_s > 0 for turn in result.turns)
    assert "sha256" not in json.dumps(bodies[2])  # the idempotency key is nobody's but the tool's


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind", ["anthropic", "openai-responses"])
def test_reasoning_goes_back_where_the_api_gives_it(kind, streamed):
    result, bodies = converse(kind, OrderTools(), output_tokens=STREAM_ABOVE + 1 if streamed else 500)
    parts = [part for message in result.messages for part in message.content if isinstance(part, Reasoning)]
    assert [part.kind for part in parts] == [kind] * 2
    sent = bodies[2]["messages"] if kind == "anthropic" else bodies[2]["input"]
    blocks = [block for item in sent for block in (item["content"] if kind == "anthropic" else [item])]
    back = [block for block in blocks if block["type"] in ("thinking", "reasoning")]
    assert back == [part.data for part in parts]
    order = [block["type"] for block in blocks]
    assert order.index(back[0]["type"]) < order.index("tool_use" if kind == "anthropic" else "function_call")


@pytest.mark.parametrize("kind", KINDS)
def test_the_closing_question_forbids_calls_and_keeps_the_tools(kind):
    result, bodies = converse(kind, OrderTools(), turns=[SCRIPT[0], ANSWER], limits=LoopLimits(turns=1))
    assert result.stop == "answered"
    assert "tool_choice" not in bodies[0]
    assert bodies[1]["tool_choice"] in ("none", {"type": "none"})
    assert bodies[1]["tools"] == bodies[0]["tools"]


def test_each_turn_of_anthropic_marks_the_conversation_for_the_cache():
    _, bodies = converse("anthropic", OrderTools())
    for body in bodies:
        assert "cache_control" in body["system"][-1]
        marked = [block for turn in body["messages"] for block in turn["content"] if "cache_control" in block]
        assert marked == [body["messages"][-1]["content"][-1]]


@pytest.mark.parametrize("kind", KINDS)
def test_an_endpoint_without_tools_writes_its_calls_as_json(kind):
    calls = [{"next": {"tool": "get_order", "arguments": {"order_id": "A-17"}}}, {"next": {"answer": "49 euros"}}]

    def answer(body):
        return json.dumps(calls[json.dumps(body, ensure_ascii=False).count("Result of get_order")])

    async def run(url):
        provider = provider_at(url, kind, tools=False)
        try:
            return await run_loop(provider, asking(500), OrderTools())
        finally:
            await provider.aclose()

    with LLMServer(answer) as server:
        result = anyio.run(run, server.url)
    assert (result.stop, result.text) == ("answered", "49 euros")
    assert result.messages[2].tool_calls[0].arguments == {"order_id": "A-17"}
    assert not any("tools" in call.body for call in server.calls)


@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_of_a_loop_replays_to_the_byte(kind, tmp_path):
    asked = []

    class Recording:
        native_tools = True

        def __init__(self, base):
            self._base = base
            self.name, self.price = base.name, base.price

        async def complete(self, request):
            completion = await self._base.complete(request)
            asked.append(prompt_digest(request))
            recorder.add(self.name, request, completion)
            return completion

    async def run(url):
        provider = provider_at(url, kind)
        try:
            return await run_loop(Recording(provider), asking(500), OrderTools())
        finally:
            await provider.aclose()

    recorder = Recorder(tmp_path, clean=Redactor().value, clean_text=Redactor().text)
    with LLMServer(ToolTalk(SCRIPT)) as server:
        live = anyio.run(run, server.url)
    (file,) = tmp_path.iterdir()
    kept = file.read_bytes()
    assert len(kept.splitlines()) == 1 + len(asked) == 4

    class Asking:
        """The replay, told what it is asked."""

        native_tools = True

        def __init__(self, base):
            self._base, self.name, self.price = base, base.name, base.price

        async def complete(self, request):
            replayed.append(prompt_digest(request))
            return await self._base.complete(request)

    replayed: list[str] = []
    again = anyio.run(run_loop, Asking(replay_of(tmp_path, "own:m")), asking(500), OrderTools())
    assert replayed == asked
    assert again.messages == live.messages
    assert (again.text, again.usage, again.cost) == (live.text, live.usage, live.cost)
    assert isinstance(again.usage, Usage)
