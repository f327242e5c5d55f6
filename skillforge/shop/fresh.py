"""A shop of its own for every execution, so that evals change nothing and no case sees what another one did."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skillforge.shop.database import Database, create
from skillforge.shop.functions import tools_of


@contextmanager
def sandbox(given: Mapping[str, Any] | None = None) -> Iterator[list[Any]]:
    """The tools of a new shop that is gone afterwards. ``given``, the case's input, makes no difference here."""
    with tempfile.TemporaryDirectory(prefix="skillforge-shop-") as folder:
        yield tools_of(Database(create(Path(folder, "shop.db"))))
