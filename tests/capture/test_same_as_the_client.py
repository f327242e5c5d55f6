"""A wrapped client gives exactly what the client gives: answers, events, errors. And all of it is recorded."""

from __future__ import annotations

import pytest

from tests.capture.asking import KINDS, SCENARIOS, TOOL, perform
from tests.fakes.faults import Fault
from tests.fakes.llm_server import LLMServer, refuse, sequence

KIND = pytest.mark.parametrize("kind", KINDS, ids=str)


@KIND
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_gives_what_the_client_gives(kind, scenario, kitchen, servers):
    plain = perform(kind, scenario, kind.client(servers().url))
    watched = perform(kind, scenario, kitchen.wrap(kind.client(servers().url)))
    assert watched == plain
    (call,) = kitchen.calls
    assert (call.api, call.model, call.resolved, call.error) == (kind.api, "fake-large", "fake-large", "")
    assert call.output is not None
    unknown = kind.api == "openai-chat" and scenario in ("streamed", "helper")  # nobody asked for the usage
    assert (call.usage.input_tokens is None) == unknown
    assert unknown or call.usage.output_tokens > 0
    assert call.latency_s > 0
    assert kitchen.said == []


FAULTS = {
    "400": [refuse(400, message="no such thing as that")],
    "401": [refuse(401)],
    "429 then served": [refuse(429, retry_after=0.001), None],
    "529 throughout": [refuse(529, retry_after=0.001)] * 3,
    "reset": [Fault("reset", at=0.0)],
    "malformed": [Fault("malformed")],
    "empty": [Fault("empty")],
}


@KIND
@pytest.mark.parametrize("scenario", ["text", "streamed"])
@pytest.mark.parametrize("fault", FAULTS)
def test_its_errors_are_the_clients(kind, scenario, fault, kitchen, servers):
    plain, watched = (servers(faults=sequence(FAULTS[fault])) for _ in range(2))
    retries = len(FAULTS[fault]) - 1
    expected = perform(kind, scenario, kind.client(plain.url, max_retries=retries))
    assert perform(kind, scenario, kitchen.wrap(kind.client(watched.url, max_retries=retries))) == expected
    assert len(watched.calls) == len(plain.calls)
    assert len(kitchen.calls) == len(plain.calls)
    assert fault == "429 then served" or all(call.error for call in kitchen.calls)


@KIND
def test_a_retried_refusal_is_a_call_that_cost_nothing(kind, kitchen, servers):
    server = servers(faults=sequence([refuse(429, retry_after=0.001), None]))
    perform(kind, "text", kitchen.wrap(kind.client(server.url)))
    refused, served = kitchen.calls
    assert refused.error.startswith("HTTP 429 ")
    assert (refused.output, refused.cost.usd, refused.list_usd) == (None, 0.0, 0.0)
    assert (served.error, served.cost.usd) == ("", None)
    assert served.output is not None


@KIND
def test_a_stream_that_is_left_early_is_recorded_with_what_came(kind, kitchen, servers):
    plain = perform(kind, "left_early", kind.client(servers().url))
    assert perform(kind, "left_early", kitchen.wrap(kind.client(servers().url))) == plain
    (call,) = kitchen.calls
    assert call.error == "closed early"


@KIND
def test_a_stream_that_is_cut_is_recorded_as_such(kind, kitchen, servers):
    faults = sequence([Fault("cut", at=0.6)] * 3)
    expected = perform(kind, "streamed", kind.client(servers(faults=faults).url))
    assert perform(kind, "streamed", kitchen.wrap(kind.client(servers(faults=faults).url))) == expected
    (call,) = kitchen.calls
    assert call.error == "RemoteProtocolError"
    assert "Good day" in call.text


@KIND
def test_a_server_that_is_not_there_is_recorded_as_such(kind, kitchen):
    with LLMServer() as server:
        url = server.url
    error = perform(kind, "text", kitchen.wrap(kind.client(url, max_retries=0)))
    assert "Connection error" in error[1]
    (call,) = kitchen.calls
    assert (call.error, call.output, call.model) == ("ConnectError", None, "fake-large")


@KIND
def test_a_timeout_is_recorded_as_such(kind, kitchen, servers):
    server = servers(latency_s=5.0)
    error = perform(kind, "text", kitchen.wrap(kind.client(server.url, max_retries=0, timeout=0.05)))
    assert "timed out" in error[1].lower()
    (call,) = kitchen.calls
    assert call.error == "ReadTimeout"
    assert call.latency_s >= 0.05


@KIND
def test_tools_and_what_was_called_are_recorded(kind, kitchen, server):
    perform(kind, "called_tool", kitchen.wrap(kind.client(server.url)))
    (call,) = kitchen.calls
    (tool,) = call.tools
    assert (tool.name, tool.description, tool.parameters) == (TOOL["name"], TOOL["description"], TOOL["schema"])
    (asked,) = call.output.tool_calls
    assert (asked.name, asked.arguments) == ("get_order", {"id": 7})
    assert call.stop == "tool_calls"


@KIND
def test_the_schema_and_the_parameters_are_recorded(kind, kitchen, server):
    perform(kind, "parsed", kitchen.wrap(kind.client(server.url)))
    (call,) = kitchen.calls
    assert call.output_schema["properties"]["queue"]["enum"] == ["billing", "bug"]
    assert call.text == '{"queue": "bug"}'
    if kind.api == "anthropic":
        assert call.params["max_tokens"] == 64
