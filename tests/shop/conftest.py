"""A new shop in a file of its own, and its tools by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from skillforge.shop.database import Database, create
from skillforge.shop.functions import tools_of


@pytest.fixture
def shop(tmp_path) -> Database:
    return Database(create(tmp_path / "shop.db"))


@pytest.fixture
def tools(shop) -> dict[str, Callable[..., Any]]:
    return {function.__name__: function for function in tools_of(shop)}


@pytest.fixture
def rows(shop) -> Callable[[str], list[dict[str, Any]]]:
    def read(table: str) -> list[dict[str, Any]]:
        with shop.reading() as connection:
            return connection.execute(f"SELECT * FROM {table}").fetchall()

    return read
