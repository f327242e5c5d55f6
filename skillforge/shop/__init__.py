"""A small web shop in one SQLite file: what the shipped workflow skills work on, for real.

``skillforge.shop:tools`` are its tools, ``skillforge.shop:sandbox`` gives an eval a new shop for every execution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skillforge.shop.fresh import sandbox as sandbox
    from skillforge.shop.functions import tools as tools

_PLACES = {"tools": "skillforge.shop.functions", "sandbox": "skillforge.shop.fresh"}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)
