"""Where arguments come from: folded constants, references, projections, lists, and what only a model can say."""

from __future__ import annotations

from typing import Any

import pytest

from skillforge.engine.compiling.fold import FoldedCall, asked_in, fold
from skillforge.errors import UsageError
from skillforge.trace import Trace
from tests.fakes.agent_traces import Call, agent_trace

ORDER = {
    "id": "A-100",
    "total": 250,
    "lines": [{"sku": "S10", "count": 2, "price": 9}, {"sku": "S20", "count": 1, "price": 7}],
}
OTHER = {"id": "B-200", "total": 980, "lines": [{"sku": "S70", "count": 5, "price": 3}]}


def _of(name: str, order: dict[str, Any], *more: Call, given: dict[str, Any] | None = None) -> Trace:
    return agent_trace(
        name,
        [("get_order", {"order_id": order["id"]}, order), *more],
        given=given or {"order_id": order["id"]},
        said="x",
    )


def _call(traces: list[Trace], tool: str) -> FoldedCall:
    return next(call for call in fold(traces).calls if call.slot.tool == tool)


def _expressions(traces: list[Trace], tool: str) -> dict[str, Any]:
    return {name: found.expression for name, found in _call(traces, tool).args.items()}


def test_what_is_the_same_in_all_traces_is_folded_and_the_rest_is_looked_up() -> None:
    traces = [
        _of(
            f"t{n}",
            order,
            ("refund_order", {"order_id": order["id"], "amount": order["total"], "reason": "late"}, "ok"),
        )
        for n, order in enumerate((ORDER, OTHER))
    ]
    assert _expressions(traces, "get_order") == {"order_id": {"from": "order_id"}}
    assert _expressions(traces, "refund_order") == {
        "amount": {"from": "steps.get_order.total"},
        "order_id": {"from": "order_id"},
        "reason": "late",
    }


def test_a_text_is_never_taken_for_the_number_it_spells() -> None:
    traces = [
        _of(f"t{n}", order, ("refund_order", {"amount": str(order["total"])}, "ok"))
        for n, order in enumerate((ORDER, OTHER))
    ]
    assert list(asked_in(_expressions(traces, "refund_order")["amount"]))


def test_objects_that_are_parts_of_others_are_picked() -> None:
    traces = [
        _of(
            f"t{n}",
            order,
            ("ship", {"lines": [{"sku": line["sku"], "count": line["count"]} for line in order["lines"]]}, "ok"),
        )
        for n, order in enumerate((ORDER, OTHER))
    ]
    assert _expressions(traces, "ship") == {"lines": {"from": "steps.get_order.lines", "pick": ["sku", "count"]}}


def test_calls_for_every_element_of_a_result_run_over_it() -> None:
    traces = [
        _of(f"t{n}", order, *[("notify", {"sku": line["sku"], "how": "mail"}, "ok") for line in order["lines"]])
        for n, order in enumerate((ORDER, OTHER))
    ]
    call = _call(traces, "notify")
    assert call.each == {"from": "steps.get_order.lines"}
    assert {name: found.expression for name, found in call.args.items()} == {"how": "mail", "sku": {"from": "item.sku"}}


def test_a_value_in_the_users_words_is_extracted_even_where_all_traces_agree() -> None:
    traces = [
        agent_trace(
            f"t{n}", [("get_user", {"user_id": "mia_3668"}, {"name": "Mia"})], said=f"Hello {n}, I am mia_3668."
        )
        for n in range(2)
    ]
    (ask,) = asked_in(_expressions(traces, "get_user")["user_id"])
    assert ask.literal


def test_a_place_that_is_named_after_data_is_chosen_by_a_model() -> None:
    cards = {"payment_methods": {"card_4421": {"id": "card_4421"}, "card_1955": {"id": "card_1955"}}}
    traces = [
        agent_trace(
            f"t{n}",
            [("get_user", {"user_id": "mia_3668"}, cards), ("pay_order", {"payment_id": "card_1955"}, "ok")],
            said="I am mia_3668, use my other card",
        )
        for n in range(2)
    ]
    (ask,) = asked_in(_expressions(traces, "pay_order")["payment_id"])
    assert ask.seen_in == {"get_user"}


def test_the_first_element_is_taken_only_where_there_is_no_other() -> None:
    one = [_of("t0", {**ORDER, "lines": ORDER["lines"][:1]}, ("notify", {"sku": "S10"}, "ok"))]
    two = [_of("t0", ORDER, ("notify", {"sku": "S10"}, "ok"))]
    assert _expressions(one, "notify") == {"sku": {"from": "steps.get_order.lines.0.sku"}}
    assert list(asked_in(_expressions(two, "notify")["sku"]))


def test_a_call_of_some_traces_hangs_on_the_value_that_tells_them_apart() -> None:
    traces = [
        _of(
            f"t{n}",
            {"id": f"A-{n}00", "vip": n < 2, "owner": f"P-{n}44"},
            *([("send_gift", {"owner": f"P-{n}44"}, "ok")] if n < 2 else []),
            ("close_order", {"owner": f"P-{n}44"}, "ok"),
            given={"order_id": f"A-{n}00"},
        )
        for n in range(4)
    ]
    assert _call(traces, "send_gift").when == {"from": "steps.get_order.vip", "equals": True}


def test_a_key_that_makes_calls_the_same_is_no_argument() -> None:
    from skillforge.messages import Tool

    tool = Tool(name="refund_order", effect="write", idempotency_key="key")
    traces = [
        agent_trace(
            "t0",
            [("refund_order", {"order_id": "A-100", "key": "k-123"}, "ok")],
            given={"order_id": "A-100"},
            tools=[tool],
        )
    ]
    assert set(_expressions(traces, "refund_order")) == {"order_id"}


def test_traces_of_which_none_went_well_are_refused() -> None:
    with pytest.raises(UsageError, match="none of the 1 traces went well; the best reward is 0"):
        fold([agent_trace("t0", [("get_x", {}, 1)], said="x", reward=0.0)])
