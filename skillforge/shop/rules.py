"""The shop's rules as functions: what a refund is worth, and whether an invoice may be posted. They read no tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from skillforge.shop.database import cents, euros

Decision: TypeAlias = Literal["refund", "decline", "review"]
Quoted: TypeAlias = "tuple[Decision, float, str]"
Facts: TypeAlias = Mapping[str, Any]


def refund_rule(order: Facts, shipment: Facts, reason: str, figures: Mapping[str, int]) -> Quoted:
    """(decision, euros, rule) for an order and the reason a refund is wanted."""
    if order["refunded"]:
        return "decline", 0.0, "already_refunded"
    if order["status"] == "cancelled":
        return "decline", 0.0, "never_charged"
    decision, amount, rule = _BY_REASON.get(reason, _unclear)(order, shipment, figures)
    if decision == "refund" and cents(amount) > figures["review_above_cents"]:
        return "review", 0.0, "above_limit"
    return decision, amount, rule


def _changed_mind(order: Facts, shipment: Facts, figures: Mapping[str, int]) -> Quoted:
    if order["status"] == "processing":
        return "refund", order["total"], "not_shipped"
    if order["days_since_delivery"] is None:
        return "decline", 0.0, "not_delivered_yet"
    if order["days_since_delivery"] > figures["return_window_days"]:
        return "decline", 0.0, "window_over"
    if not order["returnable"]:
        return "decline", 0.0, "final_sale"
    return "refund", order["returnable"], "change_of_mind"


def _fault(order: Facts, shipment: Facts, figures: Mapping[str, int]) -> Quoted:
    if order["days_since_delivery"] is None:
        return "review", 0.0, "not_delivered_yet"
    if order["days_since_delivery"] > figures["fault_window_days"]:
        return "review", 0.0, "warranty"
    return "refund", order["total"], "fault"


def _not_arrived(order: Facts, shipment: Facts, figures: Mapping[str, int]) -> Quoted:
    if shipment["state"] in ("lost", "late"):
        return "refund", order["total"], "lost_or_late"
    if shipment["state"] == "delivered":
        return "review", 0.0, "delivered_says_carrier"
    return "decline", 0.0, "on_its_way"


def _unclear(order: Facts, shipment: Facts, figures: Mapping[str, int]) -> Quoted:
    return "review", 0.0, "reason_unclear"


_BY_REASON = {"changed_mind": _changed_mind, "damaged": _fault, "wrong_item": _fault, "not_arrived": _not_arrived}


def invoice_rule(supplier: Facts, invoice: Facts, posted: bool, limit_cents: int) -> tuple[str, str]:
    """(decision, why) for an invoice that was read: ``post``, ``duplicate``, or ``review`` by a person."""
    if not supplier["known"]:
        return "review", "unknown_supplier"
    if posted:
        return "duplicate", "posted_before"
    if not supplier["iban_matches"]:
        return "review", "other_bank_account"
    if cents(invoice["net"]) + cents(invoice["tax"]) != cents(invoice["gross"]):
        return "review", "does_not_add_up"
    if cents(invoice["gross"]) > limit_cents:
        return "review", f"above_{euros(limit_cents):.0f}"
    return "post", "in_order"


def status_rule(topic: str, found: str, states: Sequence[str]) -> str:
    """What is done about a question on orders: the action's name, from its topic, how the orders were found
    (``find_order``), and the state of their parcels.
    """
    if found in ("none", "foreign"):
        return "ask" if found == "none" else "handed_over"
    if topic == "delivery_status":
        return "trace_opened" if any(state in ("late", "lost") for state in states) else "answered"
    if topic == "invoice_copy":
        return "invoice_sent"
    if topic == "cancel" and len(states) == 1:
        return "cancelled" if states[0] == "processing" else "too_late"
    return "handed_over"
