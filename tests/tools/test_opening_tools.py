"""What a caller may give as tools, how a skill's tools are bound to it, and who is asked before a write."""

from __future__ import annotations

import sys

import anyio
import pytest

import skillforge
from skillforge.errors import UnknownToolCall, UsageError
from skillforge.messages import Tool
from skillforge.tools.binding import bind
from skillforge.tools.opening import open_tools
from skillforge.tools.python import PythonTools
from skillforge.tools.recorded import RecordedCall, RecordedTools

MODULE = """
import skillforge
from skillforge.tools.python import PythonTools

def get(order: str) -> str:
    return f"order {order}"

@skillforge.tool(effect="write")
def refund(order: str) -> str:
    return f"refunded {order}"

tools = [get, refund]
named = {"look": get}
box = PythonTools([get])
number = 5
wrong = [get, 5]
twice = [get, "shop_tools:get"]
"""


def get(order: str) -> str:
    """Get an order."""
    return f"order {order}"


@skillforge.tool(effect="write")
def refund(order: str) -> str:
    return f"refunded {order}"


@pytest.fixture
def module(tmp_path):
    (tmp_path / "shop_tools.py").write_text(MODULE)
    yield "shop_tools"
    sys.modules.pop("shop_tools", None)


def names(given):
    async def main():
        async with open_tools(given) as box:
            return [tool.name for tool in box.tools]

    return anyio.run(main)


def outcomes(given, *calls, ask=None, declared=None):
    async def main():
        async with open_tools(given, ask=ask) as box:
            if declared is not None:
                box = bind(box, declared)
            return [await box.call(name, arguments) for name, arguments in calls]

    return anyio.run(main)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, []),
        ([], []),
        (get, ["get"]),
        ([get, refund], ["get", "refund"]),
        ((function for function in (get, refund)), ["get", "refund"]),
        ({"look": get}, ["look"]),
        (PythonTools([get]), ["get"]),
        ([PythonTools([get]), refund], ["refund", "get"]),
        ("shop_tools:get", ["get"]),
        ("shop_tools:tools", ["get", "refund"]),
        ("shop_tools:named", ["look"]),
        ("shop_tools:box", ["get"]),
        ([get, "shop_tools:refund"], ["get", "refund"]),
        (["shop_tools:named", "shop_tools:tools"], ["get", "refund", "look"]),
    ],
)
def test_tools_come_in_many_forms(module, given, found):
    assert names(given) == found


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("shop_tools:number", "shop_tools:number: int is no tool"),
        ("shop_tools:wrong", "shop_tools:wrong: int is no tool"),
        ("shop_tools:twice", "two tools are named get"),
        (["shop_tools:box", get], "two of the given tools are named get"),
        ("shop_tools:gte", "has no 'gte'"),
        ("no_such_module:x", "no module 'no_such_module'"),
        ("plain", "'plain' names no object"),
        ({"a": 5}, "'a' is not the name of a function"),
        (5, "tools: int is no tool"),
        ([None], "tools: NoneType is no tool"),
    ],
)
def test_what_is_no_tool_is_refused(module, given, said):
    with pytest.raises(UsageError) as error:
        names(given)
    assert said in str(error.value)
    assert error.value.hint


def test_several_sources_answer_as_one():
    async def main():
        async with open_tools([get, {"look": get}]) as box:
            with pytest.raises(UsageError, match="no tool 'loko'"):
                await box.call("loko", {})
            return [await box.call(name, {"order": "a"}) for name in ("get", "look")]

    assert [outcome.content for outcome in anyio.run(main)] == ["order a", "order a"]


class Asked:
    def __init__(self, answer: bool = True) -> None:
        self.answer = answer
        self.calls: list[tuple[str, dict]] = []

    def __call__(self, tool, arguments):
        self.calls.append((tool.name, dict(arguments)))
        return self.answer


def test_only_the_first_write_of_each_tool_is_asked_about():
    ask = Asked()
    made = outcomes(
        [get, refund], ("get", {"order": "a"}), ("refund", {"order": "a"}), ("refund", {"order": "b"}), ask=ask
    )
    assert [outcome.content for outcome in made] == ["order a", "refunded a", "refunded b"]
    assert ask.calls == [("refund", {"order": "a"})]


def test_a_refusal_is_an_outcome_and_stands():
    ask = Asked(False)
    made = outcomes([refund], ("refund", {"order": "a"}), ("refund", {"order": "b"}), ask=ask)
    assert [(outcome.content, outcome.is_error) for outcome in made] == [("refused by the user", True)] * 2
    assert len(ask.calls) == 1


def test_calls_at_once_ask_once():
    ask = Asked()

    async def main():
        async with open_tools([refund], ask=ask) as box, anyio.create_task_group() as group:
            for order in "abc":
                group.start_soon(box.call, "refund", {"order": order})

    anyio.run(main)
    assert len(ask.calls) == 1


def test_an_error_of_who_asks_stops_the_call():
    def ask(tool, arguments):
        raise UsageError("nobody is here")

    with pytest.raises(UsageError, match="nobody is here"):
        outcomes([refund], ("refund", {"order": "a"}), ask=ask)


def test_a_recording_writes_nothing_so_nobody_is_asked():
    ask = Asked()
    tool = Tool(name="refund", effect="write")
    box = RecordedTools([RecordedCall(tool="refund", content="ok")], [tool])
    (outcome,) = outcomes(box, ("refund", {}), ask=ask, declared=[tool])
    assert outcome.content == "ok"
    assert ask.calls == []


def test_only_declared_tools_are_bound():
    async def main():
        async with open_tools([get, refund]) as box:
            bound = bind(box, [Tool(name="get")])
            with pytest.raises(UsageError, match="declares no tool 'refund'"):
                await bound.call("refund", {"order": "a"})
            return bound.tools

    (tool,) = anyio.run(main)
    assert tool == PythonTools([get]).tools[0]


def test_the_file_says_what_a_tool_is_and_either_side_that_it_writes():
    parameters = {"type": "object", "properties": {"order": {"type": "string"}, "key": {}}}
    declared = Tool(name="refund", description="Refund it.", parameters=parameters, idempotency_key="key")
    (tool,) = bind(PythonTools([refund]), [declared]).tools
    assert (tool.description, tool.parameters, tool.effect) == ("Refund it.", parameters, "write")
    assert tool.idempotency_key == "key"


def test_what_the_file_says_writes_is_asked_about():
    ask = Asked(False)
    (outcome,) = outcomes([get], ("get", {"order": "a"}), ask=ask, declared=[Tool(name="get", effect="write")])
    assert outcome.is_error
    assert ask.calls == [("get", {"order": "a"})]


def test_every_missing_tool_is_named_with_how_to_give_it():
    with pytest.raises(UsageError) as error:
        bind(PythonTools([get]), [Tool(name="get"), Tool(name="gett"), Tool(name="notify")])
    assert str(error.value) == "no tool is given for: gett, notify"
    for way in ("--tools", "--mcp", "tools=", "did you mean 'get'?"):
        assert way in error.value.hint
    with pytest.raises(UsageError, match="no tool is given for: get"):
        outcomes(None, declared=[Tool(name="get")])


def test_identities_tell_what_can_answer():
    box = PythonTools([get, refund])
    assert bind(box, [Tool(name="get")]).identity != bind(box, [Tool(name="refund")]).identity
    assert bind(box, [Tool(name="get")]).identity == bind(PythonTools([get, refund]), [Tool(name="get")]).identity


def test_a_recording_lacks_only_what_is_called():
    bound = bind(RecordedTools([RecordedCall(tool="get", content=1)]), [Tool(name="get"), Tool(name="notify")])
    assert anyio.run(bound.call, "get", {}).content == 1
    with pytest.raises(UnknownToolCall, match="none of notify at all"):
        anyio.run(bound.call, "notify", {})
