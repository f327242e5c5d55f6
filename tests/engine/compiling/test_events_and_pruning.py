"""What a trace holds: calls with their own results, what never mattered, what several of them share."""

from __future__ import annotations

import pytest

from skillforge.engine.compiling.align import align
from skillforge.engine.compiling.effects import guessed_effect, tools_of
from skillforge.engine.compiling.events import segment, task_input, tool_events
from skillforge.engine.compiling.prune import prune
from skillforge.errors import UsageError
from skillforge.messages import Message, ToolCall, ToolResult
from skillforge.trace import Trace
from tests.fakes.agent_traces import agent_trace


def _dropped(trace: Trace) -> dict[int, str]:
    return dict(prune(trace, tools_of([trace])).dropped)


def test_an_id_that_is_used_again_belongs_to_the_call_before_its_result() -> None:
    messages = [
        part
        for n in range(2)
        for part in (
            Message(role="assistant", content=(ToolCall(id="same", name="get", arguments={"n": n}),)),
            Message(role="tool", content=(ToolResult(id="same", content=f'{{"n": {n}}}'),)),
        )
    ]
    events = tool_events(Trace(case_id="t", task="", input={}, messages=tuple(messages)))
    assert [(event.arguments, event.result) for event in events] == [({"n": 0}, {"n": 0}), ({"n": 1}, {"n": 1})]


def test_a_conversation_is_all_that_its_user_said() -> None:
    trace = agent_trace("t", [("get_x", {"id": "X-1"}, {"a": "b"}), "And X-2 too."], said="Look at X-1.")
    assert task_input(trace) == {"request": "Look at X-1.\n\nAnd X-2 too."}


def test_notes_repeats_failures_and_idle_reads_are_dropped_and_writes_never() -> None:
    trace = agent_trace(
        "t",
        [
            ("think", {"thought": "hm"}, ""),
            ("get_order", {"id": "A-1"}, {"owner": "P-77"}),
            ("get_order", {"id": "A-1"}, {"owner": "P-77"}),
            ("get_weather", {"city": "Rome"}, {"sky": "cloudless"}),
            ("calculate", {"expression": "1+1"}, 2),
            ("update_order", {"owner": "P-76"}, "Error: no such owner"),
            ("update_order", {"owner": "P-77"}, "ok"),
        ],
        said="fix A-1",
    )
    dropped = _dropped(trace)
    assert sorted(dropped) == [0, 2, 3, 4, 5]
    assert dropped[2] == "the same as call 1"
    assert dropped[5] == "failed, and was called again as call 6"


def test_a_calculation_whose_result_is_written_stays() -> None:
    trace = agent_trace("t", [("calculate", {"expression": "2*350"}, 700), ("pay", {"amount": 700}, "ok")], said="pay")
    assert _dropped(trace) == {}


@pytest.mark.parametrize(
    ("name", "effect"),
    [
        ("get_order", "read"),
        ("mcp__shop__search_orders", "read"),
        ("WebFetch", "read"),
        ("web_search", "read"),
        ("cancel_reservation", "write"),
        ("Bash", "write"),
        ("transfer_to_human_agents", "write"),
        ("getaway_book", "write"),
        ("cancel_plan", "write"),
        ("delete_list", "write"),
        ("send_quote", "write"),
        ("drop_view", "write"),
        ("set_count", "write"),
        ("resolve_ticket", "write"),
        ("plan_delete", "write"),
        ("get_or_create_customer", "write"),
        ("check_out", "write"),
        ("check_order", "read"),
    ],
)
def test_an_effect_is_guessed_by_the_name_and_unknown_names_write(name: str, effect: str) -> None:
    assert guessed_effect(name) == effect


def test_what_the_failed_traces_lacked_and_did_beside_is_told() -> None:
    good = [
        agent_trace(
            f"g{n}",
            [("get_x", {"id": f"X-{n}"}, {"y": "Y-12"}), ("set_y", {"y": "Y-12"}, "ok")],
            said=f"X-{n}",
            reward=1.0,
        )
        for n in range(2)
    ]
    bad = agent_trace(
        "b", [("get_x", {"id": "X-9"}, {"y": "Y-99"}), ("drop_y", {"y": "Y-99"}, "ok")], said="X-9", reward=0.0
    )
    alignment = align([*good, bad])
    assert [slot.id for slot in alignment.slots] == ["get_x", "set_y"]
    assert alignment.failed[0].lacked == ("set_y",)
    assert alignment.failed[0].extra == ("drop_y",)
    assert "failed b: reward 0; lacked set_y; also called drop_y" in alignment.render()


def test_a_failed_trace_that_made_a_call_and_used_nothing_of_it_does_not_lack_it() -> None:
    good = agent_trace(
        "g", [("get_x", {"id": "X-1"}, {"y": "Y-12"}), ("set_y", {"y": "Y-12"}, "ok")], said="X-1", reward=1.0
    )
    bad = agent_trace("b", [("get_x", {"id": "X-1"}, {"y": "Y-12"})], said="X-1", answer="I do not know.", reward=0.0)
    assert "failed b: reward 0; lacked set_y\n" in align([good, bad]).render() + "\n"


def test_a_long_session_is_cut_to_its_last_request_with_calls() -> None:
    first = [("get_x", {"n": n}, n) for n in range(39)]
    trace = agent_trace(
        "t", [*first, "Now the other.", ("get_y", {"n": 1}, 1), ("get_y", {"n": 2}, 1), "Thanks."], said="All of x."
    )
    cut = segment(trace)
    assert [event.name for event in tool_events(cut)] == ["get_y", "get_y"]
    assert task_input(cut) == {"request": "Now the other."}
    assert len(tool_events(segment(trace, 1))) == 39


def test_a_request_of_more_than_forty_calls_is_refused_and_so_is_a_turn_that_is_not_there() -> None:
    trace = agent_trace("t", [("get_x", {"n": n}, n) for n in range(41)], said="All of x.")
    with pytest.raises(UsageError, match="took 41 tool calls"):
        segment(trace)
    with pytest.raises(UsageError, match="there is no turn 2"):
        segment(trace, 2)
