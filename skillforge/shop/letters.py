"""Tools that decide on questions about orders and write the shop's mails."""

from __future__ import annotations

from typing import Any, Literal

from skillforge.shop.database import Database, Row
from skillforge.shop.replies import refund_reply, status_reply
from skillforge.shop.rules import status_rule
from skillforge.tools.mark import tool

Topic = Literal["delivery_status", "change_address", "cancel", "invoice_copy", "other", "unknown"]
Found = Literal["one", "several", "none", "foreign"]
Action = Literal["answered", "trace_opened", "cancelled", "too_late", "invoice_sent", "handed_over", "ask"]


class Letters:
    """The tools that write to the customers of one shop. They send nothing: they give the text."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @tool
    def choose_action(self, topic: Topic, found: Found, shipments: list[dict[str, Any]]) -> dict[str, Any]:
        """What is to be done about a question on orders, by the shop's rules: action. ``shipments`` are what
        get_shipment says of each. Changes nothing.
        """
        return {"action": status_rule(topic, found, [str(shipment.get("state")) for shipment in shipments])}

    @tool
    def write_refund_reply(
        self,
        sender: str,
        decision: Literal["refund", "decline", "review", "ask"],
        rule: str,
        order_id: str = "",
        amount: float = 0.0,
    ) -> str:
        """The mail that tells a customer what became of the wish for a refund, in the customer's language."""
        return refund_reply(self._customer(sender), decision, rule, order_id, amount)

    @tool
    def write_status_reply(self, sender: str, action: Action, shipments: list[dict[str, Any]]) -> str:
        """The mail that answers a question about orders, in the customer's language. ``shipments`` are what
        get_shipment says of each.
        """
        if action == "cancelled":
            shipments = [{**shipment, "state": "cancelled"} for shipment in shipments]
        return status_reply(self._customer(sender), action, shipments)

    def tools(self) -> list[Any]:
        """What of this may be called by a model or a workflow."""
        return [self.choose_action, self.write_refund_reply, self.write_status_reply]

    def _customer(self, sender: str) -> Row:
        with self._database.reading() as connection:
            found: Row | None = connection.execute(
                "SELECT name, language FROM customers WHERE email = ?", (sender,)
            ).fetchone()
        return found or {"name": "", "language": "en"}
