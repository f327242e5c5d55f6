from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.engine.agent.limits import LoopLimits
from skillforge.engine.agent.loop import TOOLS_FRAME, run_loop
from skillforge.engine.agent.results import MAX_RESULT_CHARS
from skillforge.engine.agent.turns import CLOSING
from skillforge.errors import BudgetReached, InputRefused, ProviderError, ToolUnavailable, UsageError
from skillforge.messages import (
    Completion,
    Cost,
    Message,
    Reasoning,
    Request,
    RequestKey,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from skillforge.providers.scripted import Scripted
from tests.fakes.order_tools import OrderTools

ASKED = Request(
    messages=(Message.of("system", "You mend orders."), Message.of("user", "Order A-17, please.")),
    key=RequestKey(role="solve", task="Mend orders.", input={"text": "Order A-17, please."}),
    max_output_tokens=100,
)
USAGE = Usage(input_tokens=50, output_tokens=10)


def calling(*calls, ids=None, cost=0.0, usage=USAGE, stop="tool_calls"):
    parts = tuple(
        ToolCall(id=ids[number] if ids else f"c{number}", name=name, arguments=arguments)
        for number, (name, arguments) in enumerate(calls)
    )
    return Completion(
        message=Message(role="assistant", content=parts), stop=stop, model="m", usage=usage, cost=Cost(usd=cost)
    )


def look(*orders, **more):
    return calling(*(("get_order", {"order_id": order}) for order in orders), **more)


def loop(answers, box=None, limits=LoopLimits(), **more):  # noqa: B008
    provider = answers if isinstance(answers, Scripted) else Scripted(answers)
    return anyio.run(lambda: run_loop(provider, ASKED, box or OrderTools(), limits, **more)), provider


def results_of(result, at=-1):
    return [message for message in result.messages if message.role == "tool"][at].content


def test_the_model_calls_reads_and_answers():
    result, provider = loop([look("A-17"), "It is 49 euros."])
    assert (result.stop, result.text, result.problem) == ("answered", "It is 49 euros.", "")
    assert [message.role for message in result.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert result.messages[0].text == f"You mend orders.\n{TOOLS_FRAME}"
    assert results_of(result) == (ToolResult(id="c0", content={"total": 4900, "lines": [1, 2]}),)
    assert [turn.message for turn in result.turns] == [2, 4]
    assert provider.seen[1].messages == result.messages[:4]
    assert [request.fixed for request in provider.seen] == [2, 4]
    assert result.calls == 2
    assert result.usage.input_tokens == sum(turn.usage.input_tokens for turn in result.turns)


def test_calls_of_one_turn_run_together_and_are_answered_in_their_order():
    box = OrderTools({"A": 1, "B": 2, "C": 3}, slow_s=0.02)
    result, _ = loop([look("C", "A", "B"), "done"], box)
    assert box.peak == 3
    assert [part.content for part in results_of(result)] == [3, 1, 2]


def test_what_goes_wrong_with_a_call_is_told_to_the_model():
    box = OrderTools()
    calls = [
        ("get_ordr", {"order_id": "A-17"}),
        ("get_order", {"order_id": 17}),
        ("get_order", {}),
        ("get_order", {"order_id": "Z"}),
        ("get_order", {"order_id": "A-17"}),
    ]
    result, _ = loop([calling(*calls), "done"], box)
    told = results_of(result)
    assert [part.is_error for part in told] == [True, True, True, True, False]
    assert told[0].content == "there is no tool 'get_ordr'; did you mean 'get_order'?"
    assert told[1].content.startswith("the arguments do not fit: order_id")
    assert told[3].content == "no order Z"
    assert [arguments for _, arguments in box.calls] == [{"order_id": "Z"}, {"order_id": "A-17"}]
    assert result.called == tuple(result.messages[2].tool_calls)


def test_an_idempotency_key_is_never_shown_and_is_the_same_for_the_same_loop():
    def keys(run_id=""):
        box = OrderTools({"A": 1, "B": 2})
        calls = calling(*(("refund_order", {"order_id": order, "cents": 5}) for order in "AAB"))
        _, provider = loop([calls, calls, "done"], box, run_id=run_id)
        assert "key" not in str(provider.seen[0].tools[1].parameters)
        assert "sha256" not in str([message.content for message in provider.seen[-1].messages])
        return [arguments["key"] for _, arguments in box.calls]

    first = keys()
    assert len(set(first)) == 6
    assert keys() == first
    assert not set(keys("another run")) & set(first)


def test_a_key_of_the_models_own_is_replaced():
    box = OrderTools()
    loop([calling(("refund_order", {"order_id": "A-17", "cents": 5, "key": "mine"})), "done"], box)
    assert box.calls[0][1]["key"] != "mine"


def test_turn_n_is_another_question_that_knows_what_was_seen():
    def key(total):
        _, provider = loop([look("A"), "done"], OrderTools({"A": {"total": total}}))
        return provider.seen[1].key

    assert key(1).role == "solve-turn2"
    assert key(1).input["given"] == ASKED.key.input
    assert key(1) == key(1) != key(2)


def test_the_turns_running_out_is_followed_by_one_question_for_the_answer():
    result, provider = loop([look("A-17"), look("A-17"), "49"], limits=LoopLimits(turns=2))
    assert (result.stop, result.text, len(result.turns)) == ("answered", "49", 3)
    assert [request.tool_choice for request in provider.seen] == ["auto", "auto", "none"]
    assert provider.seen[2].messages[-1] == CLOSING
    assert provider.seen[2].tools == provider.seen[0].tools


def test_a_model_that_goes_on_calling_is_stopped_at_its_turns():
    box = OrderTools()
    result, provider = loop(Scripted(default=look("A-17")), box, LoopLimits(turns=2))
    assert (result.stop, result.text, result.problem) == ("turns", "", "no answer within 2 turns")
    assert (len(provider.seen), len(box.calls)) == (3, 2)


def test_calls_that_nobody_could_read_the_results_of_are_not_made():
    box = OrderTools()
    result, provider = loop(Scripted(default=look("A-17")), box, LoopLimits(tokens=230))
    assert result.stop == "tokens"
    assert (len(provider.seen), box.calls, result.called) == (1, [], ())
    assert result.usage.input_tokens == 50


def test_a_limit_too_small_for_the_first_turn_asks_nothing():
    result, provider = loop(["never"], limits=LoopLimits(tokens=50))
    assert (result.stop, result.turns, result.cost.usd, provider.seen) == ("tokens", (), 0.0, [])


class Priced(Scripted):
    """Ten dollars a million tokens."""

    def price(self, usage):
        if usage.input_tokens is None or usage.output_tokens is None:
            return Cost()
        return Cost(usd=(usage.input_tokens + usage.output_tokens) * 1e-5)


def test_dollars_stop_a_loop_before_they_are_spent():
    provider = Priced(default=look("A-17", cost=0.004, usage=USAGE))
    result, _ = loop(provider, limits=LoopLimits(usd=0.01))
    assert result.stop == "dollars"
    assert 1 < len(provider.seen) < 4
    assert result.cost.usd <= 0.01


def test_an_unknown_figure_lifts_no_limit():
    provider = Priced(default=look("A-17", cost=None, usage=Usage()))
    result, _ = loop(provider, limits=LoopLimits(usd=0.02, turns=500))
    assert result.stop == "dollars"
    result, _ = loop(Scripted(default=look("A-17", usage=Usage())), limits=LoopLimits(tokens=2_000, turns=500))
    assert result.stop == "tokens"


def test_dollars_cannot_be_limited_without_a_price():
    class Unpriced(Scripted):
        def price(self, usage):
            return Cost()

    with pytest.raises(UsageError, match="no price is known"):
        loop(Unpriced(["x"]), limits=LoopLimits(usd=1))


def test_time_stops_a_slow_model_and_the_try_is_kept():
    result, _ = loop(Scripted(["late"], latency_ms=5_000), limits=LoopLimits(seconds=0.05))
    assert (result.stop, result.turns) == ("time", ())
    assert [attempt.error for attempt in result.attempts] == ["stopped at the time limit"]
    assert result.cost.usd is None


def test_a_slow_read_is_given_up_in_time_and_a_slow_write_is_waited_for():
    read = OrderTools(slow_s=10)
    result, _ = loop([look("A-17"), "never"], read, LoopLimits(seconds=0.05))
    assert result.stop == "time"
    assert [part.is_error for part in results_of(result)] == [True]
    write = OrderTools(slow_s=0.2)
    calls = calling(("refund_order", {"order_id": "A-17", "cents": 5}))
    result, _ = loop([calls, "never"], write, LoopLimits(seconds=0.05))
    assert result.stop == "time"
    assert results_of(result)[0].content == {"refunded": 5}


@pytest.mark.parametrize("stop", ["refusal", "content_filter"])
def test_a_refusal_ends_the_loop(stop):
    refused = Completion(message=Message.of("assistant", "I cannot."), stop=stop, model="m")
    result, _ = loop([look("A-17"), refused])
    assert (result.stop, result.text) == ("refused", "")


def test_a_filters_refusal_ends_the_loop_too():
    def refuse(request):
        raise InputRefused("filtered")

    result, _ = loop(Scripted(default=refuse))
    assert (result.stop, result.attempts[0].error) == ("refused", "filtered")


def test_calls_of_an_answer_that_was_cut_off_are_not_made():
    box = OrderTools()
    result, _ = loop([look("A-17", stop="length")], box)
    assert (result.stop, box.calls) == ("cut", [])


@pytest.mark.parametrize("error", [BudgetReached("no more"), ProviderError("down")])
def test_a_providers_failure_is_raised_and_what_was_paid_is_told(error):
    def fail(request):
        raise error

    told = []
    with pytest.raises(type(error)):
        loop([look("A-17"), fail], on_turn=told.append)
    assert [attempt.error for attempt in told] == ["", str(error)]


def test_a_tool_that_is_gone_is_raised_as_it_is_after_the_others_have_ended():
    box = OrderTools({"A": 1}, gone=("B",), slow_s=0.01)
    with pytest.raises(ToolUnavailable, match="the shop of B"):
        loop([look("B", "A", "B"), "never"], box)
    assert len(box.calls) == 3


def test_reasoning_is_handed_back_as_it_came():
    thought = Reasoning(kind="anthropic", data={"type": "thinking", "thinking": "hm", "signature": "s"})
    call = ToolCall(id="c", name="get_order", arguments={"order_id": "A-17"})
    first = Completion(
        message=Message(role="assistant", content=(thought, Text(text="I look."), call)), stop="tool_calls", model="m"
    )
    result, provider = loop([first, "done"])
    assert provider.seen[1].messages[2] == first.message == result.messages[2]


def test_a_huge_result_is_cut_inside_and_its_paths_stay():
    rows = [{"id": number, "text": "x" * 2_000} for number in range(1_000)]
    result, _ = loop([look("A"), "done"], OrderTools({"A": {"rows": rows, "total": 7}}))
    content = results_of(result)[0].content
    assert len(str(content)) <= MAX_RESULT_CHARS
    assert (content["total"], content["rows"][0]["id"]) == (7, 0)
    assert "[cut: 980 more elements]" in content["rows"][-1]
    assert "more characters]" in content["rows"][0]["text"]


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object(), {"a": [float("inf")]}])
def test_a_result_that_is_no_json_is_an_error_the_model_reads(value):
    result, _ = loop([look("A"), "done"], OrderTools({"A": value}))
    assert results_of(result)[0].is_error
    assert "no JSON" in results_of(result)[0].content


def test_too_many_calls_at_once_are_not_all_made():
    box = OrderTools()
    result, _ = loop([look(*["A-17"] * 100), "done"], box)
    assert len(box.calls) == 32
    assert [part.is_error for part in results_of(result)].count(True) == 68


def test_without_tools_it_is_one_question():
    class Nothing(OrderTools):
        tools = ()

    result, provider = loop(["hello"], Nothing())
    assert result.text == "hello"
    assert provider.seen[0].messages == ASKED.messages


_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=30),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=30,
)


@given(st.lists(_json_values, min_size=1, max_size=4))
def test_whatever_a_tool_gives_the_loop_goes_on(values):
    box = OrderTools({str(number): value for number, value in enumerate(values)})
    result, provider = loop([look(*box.orders), "done"], box)
    assert result.stop == "answered"
    assert len(results_of(result)) == len(values)
    provider.seen[1].model_dump_json()  # what is sent can be sent
