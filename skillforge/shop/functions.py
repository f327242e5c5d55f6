"""All tools of the shop. ``tools`` work on the file that ``SKILLFORGE_SHOP`` names (default ``./shop.db``)."""

from __future__ import annotations

from typing import Any

from skillforge.shop.books import Books
from skillforge.shop.database import Database
from skillforge.shop.letters import Letters
from skillforge.shop.orders import Orders


def tools_of(database: Database) -> list[Any]:
    """The tools of one shop."""
    return [*Orders(database).tools(), *Letters(database).tools(), *Books(database).tools()]


tools = tools_of(Database())
