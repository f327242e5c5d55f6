"""Tunings as one HTML page that loads nothing: the tree of candidates, their scores, and why each was kept or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from skillforge.students.tune.tuned import Tried, Tuned
from skillforge.version import __version__


@dataclass(frozen=True)
class Node:
    """A candidate in the tree, with those that were made from it."""

    tried: Tried
    children: tuple[Node, ...]
    winner: bool


def tuning_page(found: Sequence[Tuned]) -> str:
    """One HTML document, without scripts. Texts stand in it as text only: the template escapes all of them."""
    told = [{"tuned": tuned, "trees": tree_of(tuned)} for tuned in found]
    title = f"{found[0].skill}: tuning" if found else "tuning"
    page: str = _template().render(found=told, title=title, version=__version__)
    return page


def tree_of(tuned: Tuned) -> tuple[Node, ...]:
    """The candidates as trees: a root has no parent, or one that is not here. What a file says in a circle is cut."""
    known = {each.id for each in tuned.tried}
    below: dict[str, list[Tried]] = {}
    for each in tuned.tried:
        below.setdefault(each.parent if each.parent in known and each.parent != each.id else "", []).append(each)
    seen: set[str] = set()

    def node(each: Tried) -> Node:
        seen.add(each.id)
        children = tuple(node(child) for child in below.get(each.id, ()) if child.id not in seen)
        return Node(each, children, each.id == tuned.winner)

    return tuple(node(each) for each in below.get("", ()) if each.id not in seen)


@cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["share"] = lambda value: "" if value is None else f"{value:.3f}"
    environment.filters["percent"] = lambda value: f"{100 * (value or 0.0):.0f}%"
    environment.filters["spent"] = lambda value: "unknown" if value is None else f"${value:,.4f}"
    environment.filters["cost"] = _cost
    return environment.from_string(files("skillforge.students.tune").joinpath("page.html").read_text("utf-8"))


def _cost(each: Tried) -> str:
    if each.usd:
        return f"${each.usd:.6f}"
    return "" if each.tokens is None else f"{each.tokens:,.0f} tokens"
