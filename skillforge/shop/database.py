"""The shop's file: its tables, how it is made, and how it is read and written.

Amounts are integer cents in the tables and euros in what the tools say. The shop has a date of its own
(``settings.today``), so that a window of 30 days means the same on every day it is tried.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from skillforge.errors import ToolUnavailable, UsageError
from skillforge.shop import seed

VARIABLE = "SKILLFORGE_SHOP"
DEFAULT_FILE = "shop.db"
_PATIENCE_S = 10.0  # how long a writer waits for another one

Row: TypeAlias = "dict[str, Any]"

SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE policies (name TEXT PRIMARY KEY, value INTEGER NOT NULL, text TEXT NOT NULL) STRICT;
CREATE TABLE customers (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE COLLATE NOCASE, language TEXT NOT NULL
) STRICT;
CREATE TABLE products (
  sku TEXT PRIMARY KEY, name TEXT NOT NULL, price_cents INTEGER NOT NULL, final_sale INTEGER NOT NULL
) STRICT;
CREATE TABLE orders (
  id TEXT PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customers (id), ordered_on TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('processing', 'shipped', 'delivered', 'cancelled')),
  shipping_cents INTEGER NOT NULL, cancel_key TEXT UNIQUE
) STRICT;
CREATE TABLE lines (
  order_id TEXT NOT NULL REFERENCES orders (id), sku TEXT NOT NULL REFERENCES products (sku),
  quantity INTEGER NOT NULL CHECK (quantity > 0), PRIMARY KEY (order_id, sku)
) STRICT;
CREATE TABLE shipments (
  order_id TEXT PRIMARY KEY REFERENCES orders (id), carrier TEXT NOT NULL, tracking TEXT NOT NULL UNIQUE,
  status TEXT NOT NULL CHECK (status IN ('in_transit', 'lost', 'delivered')),
  shipped_on TEXT NOT NULL, expected_on TEXT NOT NULL, delivered_on TEXT
) STRICT;
CREATE TABLE refunds (
  id INTEGER PRIMARY KEY, order_id TEXT NOT NULL UNIQUE REFERENCES orders (id),
  amount_cents INTEGER NOT NULL CHECK (amount_cents > 0), reason TEXT NOT NULL, idempotency_key TEXT UNIQUE
) STRICT;
CREATE TABLE reviews (
  id INTEGER PRIMARY KEY, subject TEXT NOT NULL, why TEXT NOT NULL, idempotency_key TEXT UNIQUE
) STRICT;
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY, kind TEXT NOT NULL, order_id TEXT NOT NULL REFERENCES orders (id),
  idempotency_key TEXT UNIQUE
) STRICT;
CREATE TABLE suppliers (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, vat_id TEXT NOT NULL UNIQUE, iban TEXT NOT NULL, account TEXT
) STRICT;
CREATE TABLE accounts (code TEXT PRIMARY KEY, kind TEXT NOT NULL UNIQUE, name TEXT NOT NULL) STRICT;
CREATE TABLE invoices (
  supplier_id TEXT NOT NULL REFERENCES suppliers (id), number TEXT NOT NULL, dated TEXT NOT NULL,
  net_cents INTEGER NOT NULL, tax_cents INTEGER NOT NULL, gross_cents INTEGER NOT NULL,
  idempotency_key TEXT UNIQUE, PRIMARY KEY (supplier_id, number), CHECK (net_cents + tax_cents = gross_cents)
) STRICT;
CREATE TABLE entries (
  id INTEGER PRIMARY KEY, supplier_id TEXT NOT NULL, number TEXT NOT NULL, account TEXT NOT NULL,
  debit_cents INTEGER NOT NULL, credit_cents INTEGER NOT NULL,
  FOREIGN KEY (supplier_id, number) REFERENCES invoices (supplier_id, number)
) STRICT;
"""


class Database:
    """The shop behind a path. A connection lives as long as one call, so that every thread may call.

    ``path`` of ``None`` is what ``SKILLFORGE_SHOP`` names when it is called, else ``shop.db`` in the current folder.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        return self._path or Path(os.environ.get(VARIABLE) or DEFAULT_FILE)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Raises ``ToolUnavailable`` where there is no shop."""
        with closing(self._connect()) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing; one writer at a time. Raises ``ToolUnavailable`` where there is no shop."""
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                yield connection

    def _connect(self) -> sqlite3.Connection:
        path = self.path
        if not path.is_file():
            raise ToolUnavailable(
                f"there is no shop at {path}",
                hint=f"make one: python -m skillforge.shop.create {path}, or name another with {VARIABLE}",
            )
        connection = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
        connection.row_factory = _as_dict
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


def create(path: Path) -> Path:
    """A new shop at ``path``, always the same one. Raises ``UsageError`` where a file stands already."""
    try:
        with path.open("xb") as file:
            file.write(image())
    except FileExistsError as exc:
        raise UsageError(f"{path} exists already", hint="remove it, or choose another name") from exc
    except OSError as exc:
        raise UsageError(f"cannot write {path}: {exc.strerror}", hint="choose a folder you may write to") from exc
    return path


@cache
def image() -> bytes:
    """The bytes of a new shop."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(SCHEMA)
        for table, rows in seed.rows().items():
            marks = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        return connection.serialize()


def today(connection: sqlite3.Connection) -> date:
    """The shop's own date."""
    row = connection.execute("SELECT value FROM settings WHERE name = 'today'").fetchone()
    return date.fromisoformat(row["value"])


def policy(connection: sqlite3.Connection, name: str) -> int:
    """The figure of one rule."""
    return int(connection.execute("SELECT value FROM policies WHERE name = ?", (name,)).fetchone()["value"])


def euros(cents: int) -> float:
    return round(cents / 100, 2)


def cents(amount: float) -> int:
    return round(amount * 100)


def _as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> Row:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}
