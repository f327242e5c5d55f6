"""Tools of real MCP servers: over stdio, over HTTP on loopback, and hostile ones."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import pytest

from skillforge.errors import MissingPackage, ToolUnavailable, UsageError
from skillforge.tools import mcp_client
from skillforge.tools.mcp_client import _shown_names, mcp_tools
from skillforge.tools.mcp_transport import Server
from skillforge.tools.opening import open_tools
from skillforge.tools.schema import TOOL_NAME
from tests.fakes.mcp_server import ODD_TOOLS, State, failing_server, odd_server, over_http, weather_server

ROOT = Path(__file__).parents[2]
TIME = f"{sys.executable} -m mcp_server_time --local-timezone UTC"


@pytest.fixture(scope="module")
def state() -> State:
    return State()


@pytest.fixture(scope="module")
def address(state: State) -> Iterator[str]:
    with over_http(weather_server(state)) as found:
        yield found


@pytest.fixture
def own_server(tmp_path: Path) -> str:
    """The command of our own server over stdio; the safe environment has no PYTHONPATH."""
    script = tmp_path / "server.py"
    run = "runpy.run_module('tests.fakes.mcp_server', None, '__main__')"
    script.write_text(f"import runpy, sys\nsys.path.insert(0, sys.argv.pop(1))\n{run}\n")
    return f"{sys.executable} {script} '{ROOT}'"


def calls(target, *made):
    """What the calls give, each ``(name, arguments)``, in one connection."""

    async def main():
        async with mcp_tools(target) as box:
            return [await box.call(name, arguments) for name, arguments in made]

    return anyio.run(main)


def listed(target):
    async def main():
        async with mcp_tools(target) as box:
            return {tool.name: tool for tool in box.tools}, box.identity

    return anyio.run(main)


def test_a_server_from_pypi_answers_over_stdio():
    async def main():
        async with open_tools(f"mcp:{TIME}") as box:
            assert {(tool.name, tool.effect) for tool in box.tools} == {
                ("get_current_time", "read"),
                ("convert_time", "read"),
            }
            assert box.tools[0].parameters["required"] == ["timezone"]
            good = await box.call("get_current_time", {"timezone": "Europe/Berlin"})
            bad = await box.call("get_current_time", {"timezone": "Nowhere"})
            return good, bad

    good, bad = anyio.run(main)
    assert good.content["timezone"] == "Europe/Berlin"
    assert good.latency_s > 0
    assert bad.is_error
    assert "Nowhere" in bad.content


def test_an_http_server_says_what_its_tools_do(address):
    tools, identity = listed(address)
    assert tools["forecast"].effect == "read"
    assert tools["forecast"].description == "How warm it gets."
    assert (tools["note"].effect, tools["note"].idempotency_key) == ("write", "")
    assert (tools["book"].effect, tools["book"].idempotency_key) == ("write", "idempotency_key")
    assert (tools["pin"].effect, tools["pin"].idempotency_key) == ("write", "idempotency_key")
    assert "idempotency_key" in tools["pin"].parameters["properties"]
    assert "weather 1.2" in identity
    assert identity == listed(address)[1]


def test_structured_content_comes_before_text(address):
    weather, wrapped, text = calls(address, ("forecast", {"city": "Ulm"}), ("note", {"text": "a"}), ("text_json", {}))
    assert weather.content == {"city": "Ulm", "degrees": 21.5}
    assert wrapped.content == {"result": "noted"}
    assert text.content == {"now": [1, 2]}


def test_a_key_reaches_only_tools_that_have_a_place_for_it(address):
    book, pin = calls(
        address, ("book", {"day": "x", "idempotency_key": "k1"}), ("pin", {"text": "b", "idempotency_key": "k2"})
    )
    assert book.content == {"result": "x k1"}
    assert pin.content == {"result": "pinned"}


def test_what_the_server_says_no_to_is_an_outcome(address):
    no, wrong, crash, huge = calls(
        address, ("forecast", {"city": "Nowhere"}), ("forecast", {}), ("crash", {}), ("huge", {})
    )
    assert no.is_error
    assert "there is no city of that name" in no.content
    assert wrong.is_error
    assert crash.is_error
    assert "secret inner detail" not in crash.content
    assert huge.is_error
    assert huge.content == "the result is 3,000,002 bytes long, more than 524,288: ask for less"


def test_calls_run_beside_each_other_and_can_be_cancelled(address, state):
    async def main():
        async with mcp_tools(address) as box:
            state.hanging.clear()
            async with anyio.create_task_group() as group:
                group.start_soon(box.call, "hang", {})
                await anyio.to_thread.run_sync(state.hanging.wait, 5)
                beside = await box.call("forecast", {"city": "Ulm"})
                group.cancel_scope.cancel()
            return beside, await box.call("forecast", {"city": "Bonn"})

    beside, after = anyio.run(main)
    assert beside.content["city"] == "Ulm"
    assert after.content["city"] == "Bonn"


def test_a_call_without_an_answer_ends(address, monkeypatch):
    monkeypatch.setattr(mcp_client, "CALL_S", 0.3)
    with pytest.raises(ToolUnavailable, match=r"gave no answer in 0\.3 s"):
        calls(address, ("hang", {}))


def test_a_server_that_dies_tells_its_last_words_and_stays_gone(own_server, capfd):
    async def main():
        async with mcp_tools(own_server) as box:
            with pytest.raises(ToolUnavailable) as first:
                await box.call("die", {})
            with pytest.raises(ToolUnavailable) as second:
                await box.call("note", {"text": "a"})
            return str(first.value), str(second.value)

    first, second = anyio.run(main)
    assert "does not answer: Connection closed; it said last:" in first
    assert first.endswith("out of [31mmemory")
    assert "does not answer" in second
    assert capfd.readouterr() == ("", "")


def test_a_process_ends_with_its_block(own_server):
    (given,) = calls(own_server, ("environment", {}))
    with pytest.raises(ProcessLookupError):
        os.kill(int(given.content["PID"]), 0)


def test_a_server_gets_none_of_our_keys(own_server, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-not-for-servers")
    monkeypatch.setenv("MY_SETTING", "1")
    (given,) = calls(own_server, ("environment", {}))
    assert "PATH" in given.content
    assert not {"ANTHROPIC_API_KEY", "MY_SETTING"} & set(given.content)


def test_what_is_no_message_is_skipped_quietly(own_server, capfd):
    (given,) = calls(f"{own_server} garbage", ("forecast", {"city": "Ulm"}))
    assert given.content["city"] == "Ulm"
    assert capfd.readouterr() == ("", "")


def test_a_server_that_hangs_at_start_is_given_up(own_server, monkeypatch):
    monkeypatch.setattr(mcp_client, "START_S", 0.5)
    monkeypatch.setattr("mcp.client.stdio.PROCESS_TERMINATION_TIMEOUT", 0.1)
    started = time.perf_counter()
    with pytest.raises(ToolUnavailable, match=r"has not listed its tools in 0\.5 s"):
        listed(f"{own_server} hang")
    assert time.perf_counter() - started < 4


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (f"{sys.executable} -c 'import sys; sys.exit(\"no licence\")'", "it said last: no licence"),
        ("no-such-program --x", "No such file or directory"),
        ("http://127.0.0.1:9/mcp", "cannot be used"),
    ],
)
def test_a_server_that_does_not_start_says_why(target, said):
    with pytest.raises(ToolUnavailable) as error:
        listed(target)
    assert said in str(error.value)
    assert error.value.hint


def test_an_http_server_that_is_no_mcp_server_is_told(address):
    with pytest.raises(ToolUnavailable, match="cannot be used"):
        listed(address.replace("/mcp", "/other"))


def test_odd_names_and_schemas_do_no_harm():
    with over_http(odd_server()) as found:
        tools, _ = listed(found)
        names = list(tools)
        assert all(TOOL_NAME.match(name) for name in names)
        assert names[:2] == ["shop_orders_get", "shop_orders_get_2"]
        assert names[3:] == ["tool", "same", "same_2", "odd"]
        assert tools["odd"].parameters == ODD_TOOLS[-1]["input_schema"]
        outcomes = calls(found, *((name, {"a": 1}) for name in names))
    assert outcomes[0].content == ["shop/orders.get", {"type": "image", "mimeType": "image/png", "characters": 8}]
    assert (outcomes[1].content, outcomes[1].is_error) == ("the tool gave no reason", True)
    assert outcomes[4].content is None
    assert outcomes[-1].is_error
    assert "Invalid structured content" in outcomes[-1].content


def test_a_list_of_tools_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr(mcp_client, "_MAX_PAGES", 8)
    with over_http(odd_server(endless=True)) as found, pytest.raises(ToolUnavailable, match="1,000 tools or 8 pages"):
        listed(found)


class Refusing(BaseHTTPRequestHandler):
    """Answers every request with one status."""

    status = 500

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.status)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def refusing(status: int) -> Iterator[str]:
    handler = type("Handler", (Refusing,), {"status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/mcp"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "said"), [(401, "HTTP 401"), (503, "HTTP 503"), (200, "content type: text/html")])
def test_a_server_that_refuses_tells_its_status(status, said):
    with refusing(status) as found, pytest.raises(ToolUnavailable) as error:
        listed(found)
    assert said in str(error.value)


def test_a_server_that_stops_is_no_answer():
    async def main():
        with over_http(weather_server(State())) as found:
            serving = mcp_tools(found)
            box = await serving.__aenter__()
            assert not (await box.call("forecast", {"city": "Ulm"})).is_error
        with pytest.raises(ToolUnavailable, match="does not answer"):
            await box.call("forecast", {"city": "Ulm"})
        await serving.__aexit__(None, None, None)

    anyio.run(main)


@pytest.mark.parametrize(("code", "is_answer"), [(-32602, True), (-31000, True), (-32603, False), (-32601, False)])
def test_only_what_a_tool_may_mean_is_an_answer(code, is_answer):
    with over_http(failing_server(code)) as found:
        if is_answer:
            (outcome,) = calls(found, ("fail", {}))
            assert (outcome.content, outcome.is_error) == ("it fails", True)
        else:
            with pytest.raises(ToolUnavailable, match="does not answer: it fails"):
                calls(found, ("fail", {}))


def test_an_unknown_tool_is_a_usage_error(address):
    with pytest.raises(UsageError, match="no tool 'forcast'"):
        calls(address, ("forcast", {}))


def test_what_the_block_raises_stays_what_it_is(address):
    async def main():
        async with mcp_tools(address):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        anyio.run(main)


def test_cancelling_the_block_ends_the_connection(address):
    async def main():
        with anyio.CancelScope() as scope:
            async with mcp_tools(address) as box:
                scope.deadline = anyio.current_time() + 0.1
                await box.call("hang", {})
        return scope.cancelled_caught

    assert anyio.run(main)


def test_a_closed_box_answers_no_more(address):
    async def main():
        async with mcp_tools(address) as box:
            await box.aclose()
            await box.aclose()
            await box.call("forecast", {"city": "Ulm"})

    with pytest.raises(ToolUnavailable, match="is closed"):
        anyio.run(main)


@pytest.mark.parametrize("target", ["", "  ", "'open", "http://", "a\0b"])
def test_what_names_no_server_is_a_usage_error(target):
    with pytest.raises(UsageError):
        listed(target)


def test_a_command_is_split_and_never_run_by_a_shell(tmp_path):
    assert Server.of("python 'a b.py' ; touch x").command == ("python", "a b.py", ";", "touch", "x")
    with pytest.raises(ToolUnavailable):
        listed(f"{sys.executable} -c pass ; touch {tmp_path}/x")
    assert not (tmp_path / "x").exists()


def test_messages_show_no_credentials():
    assert Server.of("https://me:word@host.example/mcp?key=1").shown == "https://host.example/mcp"
    assert Server.of("npx -y @some/server --token abc").shown == "npx -y @some/server …"


def test_without_the_sdk_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(MissingPackage) as error:
        listed(TIME)
    assert error.value.hint == "pip install 'skillforge-distiller[mcp]'"


def test_shown_names_never_clash():
    given = ["a.b", "a_b", "a/b", "a_b", "a_b_2", "", "ok", "x" * 70, "x" * 80]
    shown = _shown_names(given)
    assert len(set(shown)) == len(given)
    assert shown[1] == "a_b"
    assert shown[4] == "a_b_2"
    assert shown[6] == "ok"
    assert all(TOOL_NAME.match(name) for name in shown)
