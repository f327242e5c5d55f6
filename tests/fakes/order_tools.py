"""A box of tools for tests: orders that can be looked up and paid back."""

from __future__ import annotations

from typing import Any

import anyio

from skillforge.errors import ToolUnavailable
from skillforge.messages import Tool
from skillforge.tools.base import ToolOutcome

ORDER_ID = {"order_id": {"type": "string"}}
GET = Tool(
    name="get_order",
    description="Look an order up.",
    parameters={"type": "object", "properties": ORDER_ID, "required": ["order_id"], "additionalProperties": False},
)
REFUND = Tool(
    name="refund_order",
    description="Pay an order back.",
    parameters={
        "type": "object",
        "properties": {**ORDER_ID, "cents": {"type": "integer", "minimum": 1}, "key": {"type": "string"}},
        "required": ["order_id", "cents", "key"],
        "additionalProperties": False,
    },
    effect="write",
    idempotency_key="key",
)


class OrderTools:
    """``orders`` by id. ``calls`` holds every call that arrived, ``peak`` how many were under way at once.

    ``slow_s`` is how long each takes; ``gone`` names orders whose call finds no tool at all.
    """

    identity = "orders"
    tools = (GET, REFUND)

    def __init__(
        self, orders: dict[str, Any] | None = None, *, slow_s: float = 0.0, gone: tuple[str, ...] = ()
    ) -> None:
        self.orders = {"A-17": {"total": 4900, "lines": [1, 2]}} if orders is None else orders
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.peak = self._flying = 0
        self._slow_s, self._gone = slow_s, gone

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        self.calls.append((name, dict(arguments)))
        self._flying += 1
        self.peak = max(self.peak, self._flying)
        try:
            await anyio.sleep(self._slow_s)
        finally:
            self._flying -= 1
        found = arguments.get("order_id")
        if found in self._gone:
            raise ToolUnavailable(f"the shop of {found} is gone")
        if found not in self.orders:
            return ToolOutcome(content=f"no order {found}", is_error=True)
        return ToolOutcome(content=self.orders[found] if name == "get_order" else {"refunded": arguments["cents"]})

    async def aclose(self) -> None:
        return None
