"""The shop's tools: what they find, what they refuse, and that a call with the same key is the same call."""

from __future__ import annotations

import pytest

from skillforge.shop import tools as shipped
from skillforge.shop.orders import ShopError
from skillforge.tools.python import PythonTools

TOM, ANNA, RUTH = "tom.whitfield@example.com", "anna.berger@example.org", "ruth.cohen@example.com"


def test_every_writing_tool_has_an_idempotency_key():
    writing = {tool.name: tool.idempotency_key for tool in PythonTools(shipped).tools if tool.effect == "write"}
    assert set(writing) == {"refund_order", "cancel_order", "send_document", "open_review", "post_ledger_entry"}
    assert set(writing.values()) == {"idempotency_key"}


def test_every_tool_says_what_it_does():
    assert all(tool.description for tool in PythonTools(shipped).tools)


@pytest.mark.parametrize(
    ("sender", "message", "status", "orders"),
    [
        (TOM, "It is about L-70325.", "one", ["L-70325"]),
        (TOM, "order 70325 please, I live in 70199 Stuttgart", "one", ["L-70325"]),
        (TOM, "l 70325 and L-70332", "several", ["L-70325", "L-70332"]),
        (TOM, "L-70325, again L-70325", "one", ["L-70325"]),
        (TOM, "where is my parcel", "none", []),
        (RUTH, "where is my parcel", "one", ["L-70452"]),
        (RUTH, "where is L-79999", "none", []),
        (TOM, "refund L-70311", "foreign", []),
        (TOM, "mine is L-70325, hers L-70311", "one", ["L-70325"]),
        ("nobody@example.com", "hello", "none", []),
    ],
)
def test_orders_are_found_by_their_number_and_their_owner(tools, sender, message, status, orders):
    found = tools["find_order"](sender, message)
    assert (found["status"], found["order_ids"]) == (status, orders)


@pytest.mark.parametrize(
    ("order", "reason", "decision", "amount", "rule"),
    [
        ("L-70311", "changed_mind", "refund", 59.9, "change_of_mind"),
        ("L-70311", "damaged", "refund", 64.8, "fault"),
        ("L-70318", "changed_mind", "decline", 0.0, "window_over"),
        ("L-70379", "changed_mind", "refund", 59.9, "change_of_mind"),
        ("L-70371", "changed_mind", "decline", 0.0, "final_sale"),
        ("L-70384", "wrong_item", "review", 0.0, "above_limit"),
        ("L-70390", "damaged", "review", 0.0, "warranty"),
        ("L-70402", "damaged", "decline", 0.0, "already_refunded"),
        ("L-70415", "not_arrived", "decline", 0.0, "on_its_way"),
        ("L-70447", "not_arrived", "refund", 223.9, "lost_or_late"),
        ("L-70366", "not_arrived", "refund", 133.9, "lost_or_late"),
        ("L-70311", "not_arrived", "review", 0.0, "delivered_says_carrier"),
        ("L-70428", "changed_mind", "refund", 137.9, "not_shipped"),
        ("L-70458", "changed_mind", "decline", 0.0, "never_charged"),
        ("L-70311", "other", "review", 0.0, "reason_unclear"),
    ],
)
def test_the_policy_gives_what_it_says(tools, order, reason, decision, amount, rule):
    quoted = tools["quote_refund"](order, reason)
    assert (quoted["decision"], quoted["amount"], quoted["rule"]) == (decision, amount, rule)


@pytest.mark.parametrize(
    ("order", "amount", "why"),
    [
        ("L-70402", 10.0, "refunded already"),
        ("L-70325", 10_000.0, "between 0.01 and 133.90"),
        ("L-70325", 0.0, "between 0.01"),
        ("L-70384", 649.0, "a person decides"),
        ("L-70458", 10.0, "never charged"),
        ("L-79999", 10.0, "there is no order"),
    ],
)
def test_a_refund_that_the_shop_forbids_writes_nothing(tools, rows, order, amount, why):
    before = rows("refunds")
    with pytest.raises(ShopError, match=why):
        tools["refund_order"](order, amount, "damaged", "a key")
    assert rows("refunds") == before


@pytest.mark.parametrize(
    ("tool", "arguments", "table"),
    [
        ("refund_order", ("L-70325", 129.0, "changed_mind"), "refunds"),
        ("open_review", ("L-70325", "warranty"), "reviews"),
        ("send_document", ("invoice_copy", "L-70325"), "outbox"),
        ("post_ledger_entry", ("S-01", "RE-1", "2026-11-02", 100.0, 19.0, 119.0, "office"), "entries"),
    ],
)
def test_the_same_key_is_the_same_call(tools, rows, tool, arguments, table):
    first = tools[tool](*arguments, "the key")
    after = rows(table)
    assert tools[tool](*arguments, "the key") == first
    assert rows(table) == after


def test_a_cancelled_order_stays_cancelled_with_its_key_and_refuses_another(tools):
    assert tools["cancel_order"]("L-70353", "k")["status"] == "cancelled"
    assert tools["cancel_order"]("L-70353", "k")["status"] == "cancelled"
    with pytest.raises(ShopError, match="only what was not shipped"):
        tools["cancel_order"]("L-70353", "another")


def test_a_posting_balances(tools, rows):
    tools["post_ledger_entry"]("S-02", "NC-1", "2026-11-01", 1200.0, 240.0, 1440.0, "software", "k")
    entries = rows("entries")
    assert [row["account"] for row in entries] == ["4920", "1400", "1600"]
    assert sum(row["debit_cents"] for row in entries) == sum(row["credit_cents"] for row in entries) == 144_000


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("S-99", "X", "2026-11-01", 1.0, 0.0, 1.0, "office"), "no supplier"),
        (("S-01", "RE-2026-0881", "2026-10-05", 120.0, 22.8, 142.8, "office"), "posted before"),
        (("S-01", "X", "2026-11-01", 1.0, 1.0, 1.0, "office"), "are not gross"),
        (("S-01", "X", "2026-11-01", 9000.0, 0.0, 9000.0, "office"), "a person decides"),
    ],
)
def test_a_posting_that_the_shop_forbids_writes_nothing(tools, rows, arguments, why):
    with pytest.raises(ShopError, match=why):
        tools["post_ledger_entry"](*arguments, "k")
    assert rows("entries") == []


def test_another_bank_account_on_an_invoice_is_seen(tools):
    own = "Nordcloud, VAT SE 556703148501\nIBAN: SE45 5000 0000 0583 9825 7466\nThanks"
    assert tools["find_supplier"](own)["iban_matches"]
    assert not tools["find_supplier"](own.replace("SE45", "LT12"))["iban_matches"]
    assert not tools["find_supplier"]("somebody else")["known"]


def test_a_reply_is_in_the_customers_language(tools):
    assert tools["write_refund_reply"](ANNA, "refund", "fault", "L-70311", 64.8).startswith("Guten Tag Anna Berger")
    assert "64.80" in tools["write_refund_reply"](ANNA, "refund", "fault", "L-70311", 64.8)
    assert tools["write_refund_reply"]("who@example.com", "ask", "no_order").startswith("Hello, ")


def test_nothing_of_a_foreign_order_is_told(tools):
    found = tools["find_order"](TOM, "where is L-70311")
    assert "L-70311" not in str(found)
    assert tools["choose_action"]("delivery_status", found["status"], [])["action"] == "handed_over"
