"""The desk for orders: tools that read and change what customers bought."""

from __future__ import annotations

import re
import sqlite3
from datetime import date
from typing import Any, Literal

from skillforge.shop.database import Database, Row, cents, euros, policy, today
from skillforge.shop.rules import refund_rule
from skillforge.tools.mark import tool

Reason = Literal["changed_mind", "damaged", "wrong_item", "not_arrived", "other"]
Document = Literal["invoice_copy", "parcel_trace"]

_NAMED = re.compile(r"(?<![\w-])(L ?-? ?)?(7\d{4})(?!\d)", re.IGNORECASE)


class ShopError(ValueError):
    """The shop says no. Its text is what a model, or a person, reads."""


class Orders:
    """The tools for orders of one shop."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @tool
    def find_order(self, sender: str, message: str) -> dict[str, Any]:
        """Which orders of the sender a mail means: those it names, or their only one of the last 120 days.

        status: one (order_id), several (order_ids), none (ask for the number), foreign (somebody else's, not told).
        """
        with self._database.reading() as connection:
            found = _meant(connection, sender, message)
            status = "several" if len(found) > 1 else "one" if found else "none"
            if not found and _named(connection, message):
                status = "foreign"
        return {
            "status": status,
            "order_id": found[0] if status == "one" else None,
            "order_ids": found,
            "decision": {"none": "ask", "foreign": "review"}.get(status),
            "rule": {"none": "no_order", "foreign": "not_the_customer"}.get(status),
        }

    @tool
    def list_orders(self, sender: str) -> list[dict[str, Any]]:
        """The orders of the customer with this e-mail address, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT orders.id FROM orders JOIN customers ON customers.id = customer_id WHERE email = ? "
                "ORDER BY ordered_on DESC",
                (sender,),
            ).fetchall()
            return [_order(connection, row["id"]) for row in rows]

    @tool
    def get_order(self, order_id: str) -> dict[str, Any]:
        """One order: its customer, articles, totals in euros, what was refunded, how long ago it came."""
        with self._database.reading() as connection:
            return _order(connection, order_id)

    @tool
    def get_shipment(self, order_id: str) -> dict[str, Any]:
        """Where the parcel of an order is. state: processing, in_transit, late, lost, delivered or cancelled."""
        with self._database.reading() as connection:
            return _shipment(connection, _order(connection, order_id))

    @tool
    def shop_policy(self) -> list[dict[str, Any]]:
        """The shop's rules for refunds and invoices, with their figures."""
        with self._database.reading() as connection:
            return [{"rule": row["name"], "text": row["text"]} for row in connection.execute("SELECT * FROM policies")]

    @tool
    def quote_refund(self, order_id: str, reason: Reason) -> dict[str, Any]:
        """What the policy gives for an order and a reason: decision (refund, decline, review), amount in euros, and
        the rule that said so. Changes nothing.
        """
        with self._database.reading() as connection:
            order = _order(connection, order_id)
            shipment = _shipment(connection, order)
            figures = {row["name"]: row["value"] for row in connection.execute("SELECT * FROM policies")}
        decision, amount, rule = refund_rule(order, shipment, reason, figures)
        return {"order_id": order["order_id"], "decision": decision, "amount": amount, "rule": rule}

    @tool(effect="write", idempotency_key="idempotency_key")
    def refund_order(self, order_id: str, amount: float, reason: Reason, idempotency_key: str = "") -> dict[str, Any]:
        """Pay money back for an order, in euros. Once for an order, never more than was paid, never above the limit."""
        with self._database.writing() as connection:
            if earlier := _earlier(connection, "refunds", idempotency_key):
                return _refunded(earlier)
            order = _order(connection, order_id)
            if order["refunded"]:
                raise ShopError(f"{order_id} was refunded already: {order['refunded']:.2f} euros")
            if order["status"] == "cancelled":
                raise ShopError(f"{order_id} was cancelled and never charged")
            if not 0 < cents(amount) <= cents(order["total"]):
                raise ShopError(f"a refund of {order_id} is between 0.01 and {order['total']:.2f} euros")
            if cents(amount) > (limit := policy(connection, "review_above_cents")):
                raise ShopError(f"above {euros(limit):.2f} euros a person decides: open_review")
            connection.execute(
                "INSERT INTO refunds (order_id, amount_cents, reason, idempotency_key) VALUES (?, ?, ?, ?)",
                (order["order_id"], cents(amount), reason, idempotency_key or None),
            )
            row = connection.execute("SELECT * FROM refunds WHERE order_id = ?", (order["order_id"],)).fetchone()
        return _refunded(row)

    @tool(effect="write", idempotency_key="idempotency_key")
    def cancel_order(self, order_id: str, idempotency_key: str = "") -> dict[str, Any]:
        """Cancel an order that was not shipped yet."""
        with self._database.writing() as connection:
            if (
                idempotency_key
                and connection.execute("SELECT 1 FROM orders WHERE cancel_key = ?", (idempotency_key,)).fetchone()
            ):
                return {"order_id": order_id, "status": "cancelled"}
            order = _order(connection, order_id)
            if order["status"] != "processing":
                raise ShopError(f"{order_id} is {order['status']}: only what was not shipped can be cancelled")
            connection.execute(
                "UPDATE orders SET status = 'cancelled', cancel_key = ? WHERE id = ?",
                (idempotency_key or None, order["order_id"]),
            )
        return {"order_id": order["order_id"], "status": "cancelled"}

    @tool(effect="write", idempotency_key="idempotency_key")
    def send_document(self, kind: Document, order_id: str, idempotency_key: str = "") -> dict[str, Any]:
        """Send what was asked for: a copy of the invoice to the customer, or a parcel_trace to the carrier."""
        with self._database.writing() as connection:
            if earlier := _earlier(connection, "outbox", idempotency_key):
                return {"sent": earlier["kind"], "order_id": earlier["order_id"]}
            order = _order(connection, order_id)
            connection.execute(
                "INSERT INTO outbox (kind, order_id, idempotency_key) VALUES (?, ?, ?)",
                (kind, order["order_id"], idempotency_key or None),
            )
        return {"sent": kind, "order_id": order["order_id"]}

    @tool(effect="write", idempotency_key="idempotency_key")
    def open_review(self, subject: str, why: str, idempotency_key: str = "") -> dict[str, Any]:
        """Hand something over to a person: what it is about (an order, an invoice, a sender) and why."""
        with self._database.writing() as connection:
            if not (earlier := _earlier(connection, "reviews", idempotency_key)):
                connection.execute(
                    "INSERT INTO reviews (subject, why, idempotency_key) VALUES (?, ?, ?)",
                    (subject, why, idempotency_key or None),
                )
                number = connection.execute("SELECT last_insert_rowid() AS id").fetchone()["id"]
            else:
                number = earlier["id"]
        return {"review_id": number}

    def tools(self) -> list[Any]:
        """What of this may be called by a model or a workflow."""
        return [
            self.find_order,
            self.list_orders,
            self.get_order,
            self.get_shipment,
            self.shop_policy,
            self.quote_refund,
            self.refund_order,
            self.cancel_order,
            self.send_document,
            self.open_review,
        ]


def _meant(connection: sqlite3.Connection, sender: str, message: str) -> list[str]:
    own = {
        row["id"]: row
        for row in connection.execute(
            "SELECT orders.* FROM orders JOIN customers ON customers.id = customer_id WHERE email = ?", (sender,)
        )
    }
    named = _named(connection, message)
    if named or any(marked for marked, _ in _NAMED.findall(message)):
        return [order_id for order_id in named if order_id in own]
    days, now = policy(connection, "recent_days"), today(connection)
    recent = [
        order_id
        for order_id, row in own.items()
        if row["status"] != "cancelled" and (now - date.fromisoformat(row["ordered_on"])).days <= days
    ]
    return recent if len(recent) == 1 else []


def _named(connection: sqlite3.Connection, message: str) -> list[str]:
    """The orders there are that a text names, in its order: with or without their L."""
    named = dict.fromkeys(f"L-{digits}" for _, digits in _NAMED.findall(message))
    return [
        order_id
        for order_id in named
        if connection.execute("SELECT 1 FROM orders WHERE id = ?", (order_id,)).fetchone()
    ]


def _order(connection: sqlite3.Connection, order_id: str) -> Row:
    row = connection.execute(
        "SELECT orders.*, customers.name, email, language, delivered_on, amount_cents FROM orders "
        "JOIN customers ON customers.id = customer_id LEFT JOIN shipments ON shipments.order_id = orders.id "
        "LEFT JOIN refunds ON refunds.order_id = orders.id WHERE orders.id = ?",
        (order_id.strip().upper(),),
    ).fetchone()
    if row is None:
        raise ShopError(f"there is no order {order_id!r}; they look like L-70311")
    lines = connection.execute(
        "SELECT sku, name, quantity, price_cents, final_sale FROM lines JOIN products USING (sku) WHERE order_id = ?",
        (row["id"],),
    ).fetchall()
    goods = sum(line["quantity"] * line["price_cents"] for line in lines)
    kept = sum(line["quantity"] * line["price_cents"] for line in lines if line["final_sale"])
    came = row["delivered_on"]
    return {
        "order_id": row["id"],
        "customer": row["name"],
        "customer_email": row["email"],
        "language": row["language"],
        "ordered_on": row["ordered_on"],
        "status": row["status"],
        "articles": [
            {"name": line["name"], "quantity": line["quantity"], "final_sale": bool(line["final_sale"])}
            for line in lines
        ],
        "total": euros(goods + row["shipping_cents"]),
        "returnable": euros(goods - kept),
        "refunded": euros(row["amount_cents"] or 0),
        "days_since_delivery": (today(connection) - date.fromisoformat(came)).days if came else None,
    }


def _shipment(connection: sqlite3.Connection, order: Row) -> Row:
    row = connection.execute("SELECT * FROM shipments WHERE order_id = ?", (order["order_id"],)).fetchone()
    told = {"order_id": order["order_id"], "state": order["status"], "carrier": None, "tracking": None}
    if row is None or order["status"] == "cancelled":
        return {**told, "expected_on": None, "delivered_on": None, "days_late": 0}
    late = max(0, (today(connection) - date.fromisoformat(row["expected_on"])).days)
    late = 0 if row["status"] == "delivered" else late
    overdue = row["status"] == "in_transit" and late > policy(connection, "late_after_days")
    return {
        **told,
        "state": "late" if overdue else row["status"],
        "carrier": row["carrier"],
        "tracking": row["tracking"],
        "expected_on": row["expected_on"],
        "delivered_on": row["delivered_on"],
        "days_late": late,
    }


def _earlier(connection: sqlite3.Connection, table: str, key: str) -> Row | None:
    """What a call with the same key did before."""
    if not key:
        return None
    found: Row | None = connection.execute(f"SELECT * FROM {table} WHERE idempotency_key = ?", (key,)).fetchone()
    return found


def _refunded(row: Row) -> Row:
    return {"refund_id": row["id"], "order_id": row["order_id"], "amount": euros(row["amount_cents"])}
