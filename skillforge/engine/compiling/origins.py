"""Where a value came from: the input, an earlier result, the user's words, or a decision nobody can look up."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from skillforge.engine.compiling.slots import Slot
from skillforge.engine.compiling.values import in_text, is_weak, leaves, picked, places, same

Kind = Literal["constant", "input", "result", "language"]
Column = Mapping[str, Any]  # trace id -> the value there
Path = tuple[str, ...]

_NUMBERED = re.compile(r"\d{3,}")


@dataclass(frozen=True)
class Ask:
    """A value that a model has to say. ``values`` are what it was, by trace id; ``literal``: it stands in the input's
    text every time; ``seen_in`` are the slots whose results hold it.
    """

    name: str
    values: Column
    literal: bool = False
    seen_in: frozenset[str] = frozenset()
    why: str = ""


@dataclass(frozen=True)
class Origin:
    """Where an argument comes from. ``expression`` is how a step writes it: literals, references, and ``Ask`` where a
    model is needed.
    """

    kind: Kind
    expression: Any
    why: str = ""


class Scene:
    """What one trace had at hand: its input, the text of it, and the results of the slots before."""

    def __init__(
        self, given: Mapping[str, Any], text: str, results: Mapping[str, Any], repeated: frozenset[str] = frozenset()
    ) -> None:
        self.given = given
        self.text = text
        self.results = results
        self.repeated = repeated  # slots whose value is a list of results

    @cached_property
    def index(self) -> dict[str, list[Path]]:
        """Every value in the input and the results -> where it stands, as the parts of a reference."""
        found: dict[str, list[Path]] = {}
        for path, value in self.places():
            found.setdefault(same(value), []).append(path)
        return found

    def places(self) -> Iterator[tuple[Path, Any]]:
        for name, value in self.given.items():
            for path, inner in places(value):
                yield (name, *path), inner
        for slot, value in self.results.items():
            for path, inner in places(value):
                yield ("steps", slot, *path), inner

    def at(self, path: Path) -> Any:
        value: Any = {**self.given, "steps": self.results}
        for part in path:
            value = value[int(part)] if isinstance(value, list) else value[part]
        return value

    @cached_property
    def lists(self) -> dict[Path, list[Any]]:
        return {path: value for path, value in self.places() if isinstance(value, list) and value}

    @cached_property
    def objects(self) -> dict[Path, Any]:
        return {path: value for path, value in self.places() if isinstance(value, dict | list) and value}


def scenes(
    given: Mapping[str, Mapping[str, Any]], texts: Mapping[str, str], before: Sequence[Slot], traces: Sequence[str]
) -> dict[str, Scene]:
    """The scene of each trace at a slot with these before it."""
    repeated = frozenset(slot.id for slot in before if slot.each)
    return {
        trace: Scene(
            given[trace],
            texts[trace],
            {slot.id: slot.result(trace) for slot in before if trace in slot.runs},
            repeated,
        )
        for trace in traces
    }


def origin(name: str, column: Column, at: Mapping[str, Scene]) -> Origin:
    """Where the values of one argument come from, one origin for all traces.

    The same value in several places is told apart by holding in every trace, then by the name of the place. A place in
    a list, or one named after data, is taken only where the values differ over the traces or it is the only element:
    else it was picked for a reason, which a model has to find again.
    """
    found = _reference(name, column, at)
    if found is not None and (found.sure or not _literal(column, at)):
        return found.origin
    if _literal(column, at):
        return Origin("language", Ask(name, column, literal=True), "stands in the request")
    if _is_constant(column) and (len(column) > 1 or is_weak(_any(column))) and not _seen_in(column, at):
        return Origin("constant", literal_value(_any(column)), f"the same in {len(column)} traces")
    inner = _composed(name, column, at)
    if inner is not None:
        return inner
    return Origin("language", Ask(name, column, seen_in=_seen_in(column, at)), "has to be decided")


@dataclass(frozen=True)
class _Found:
    origin: Origin
    sure: bool


def _reference(name: str, column: Column, at: Mapping[str, Scene]) -> _Found | None:
    common: set[Path] | None = None
    for trace, value in column.items():
        here = set(at[trace].index.get(same(value), ()))
        common = here if common is None else common & here
        if not common:
            return _pick(name, column, at)
    differ = not _is_constant(column)
    weak = any(is_weak(value) for value in column.values())
    ranked = sorted((path for path in common or () if _allowed(path, column, at, differ)), key=lambda p: _rank(name, p))
    if not ranked:
        return None
    best = ranked[0]
    named = _akin(name, best)
    if weak and not named and not (differ and len(column) > 2):
        return None
    if not named and not differ and best[0] == "steps" and not _is_id(_any(column)):
        return None
    return _Found(_reference_to(best), sure=differ or best[0] != "steps" or (named and _is_id(_any(column))))


def _reference_to(path: Path, pick: tuple[str, ...] = ()) -> Origin:
    kind: Kind = "result" if path[0] == "steps" else "input"
    expression: dict[str, Any] = {"from": ".".join(path)}
    if pick:
        expression["pick"] = list(pick)
    return Origin(kind, expression, "equal in every trace")


def _allowed(path: Path, column: Column, at: Mapping[str, Scene], differ: bool) -> bool:
    inner = path[2:] if path[0] == "steps" else path[1:]
    if any(_NUMBERED.search(part) and not part.isdigit() for part in inner):
        return False  # named after data: the next trace has another name there
    numbers = [place for place, part in enumerate(path) if part.isdigit() and place >= len(path) - len(inner)]
    if not numbers or all(_only(path[:place], column, at) for place in numbers):
        return True
    picked_out = path[0] == "steps" and any(path[1] in at[trace].repeated for trace in column)
    return differ and not picked_out and all(_is_id(leaf) for value in column.values() for leaf in leaves(value))


def _only(path: Path, column: Column, at: Mapping[str, Scene]) -> bool:
    return all(not isinstance(found := at[trace].at(path), list) or len(found) == 1 for trace in column)


def _rank(name: str, path: Path) -> tuple[bool, bool, bool, int, Path]:
    return (path[0] == "steps", not _akin(name, path), any(part.isdigit() for part in path), len(path), path)


def _akin(name: str, path: Path) -> bool:
    """Whether a place is called like the argument: ``order_id`` and ``order.id``, ``price`` and ``price``."""
    named = [part for part in path if not part.isdigit()]
    last = named[-1].lower()
    wanted = name.lower()
    if last == wanted or wanted.endswith(f"_{last}") or last.endswith(f"_{wanted}"):
        return True
    return last.rstrip("s") == wanted.rstrip("s")


def _is_id(value: Any) -> bool:
    if isinstance(value, str):
        return any(char.isdigit() for char in value) or len(value) > 20
    return not is_weak(value)


def _pick(name: str, column: Column, at: Mapping[str, Scene]) -> _Found | None:
    """Objects that are some members of other objects: ``{from: steps.order.lines, pick: [sku, count]}``."""
    keys = _member_names(column)
    if not keys:
        return None
    common: set[Path] | None = None
    for trace, value in column.items():
        wanted = same(value)
        here = {path for path, found in at[trace].objects.items() if _covers(found, value, keys, wanted)}
        common = here if common is None else common & here
        if not common:
            return None
    differ = not _is_constant(column)
    ranked = sorted((path for path in common or () if _allowed(path, column, at, differ)), key=lambda p: _rank(name, p))
    return _Found(_reference_to(ranked[0], keys), sure=True) if ranked else None


def _member_names(column: Column) -> tuple[str, ...]:
    """The members that all objects in the column have; none where something else is among them."""
    names: tuple[str, ...] | None = None
    for value in column.values():
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, dict) or not each or (names is not None and set(each) != set(names)):
                return ()
            names = names or tuple(each)
    return names or ()


def _covers(found: Any, value: Any, keys: tuple[str, ...], wanted: str) -> bool:
    if type(found) is not type(value) or (isinstance(found, list) and len(found) != len(value)):
        return False
    return same(picked(found, keys)) == wanted


def _composed(name: str, column: Column, at: Mapping[str, Scene]) -> Origin | None:
    """An object or a list made up of parts that each have their own place."""
    values = list(column.values())
    if all(isinstance(value, dict) and value for value in values) and len({tuple(sorted(v)) for v in values}) == 1:
        parts = {key: origin(key, {t: v[key] for t, v in column.items()}, at) for key in values[0]}
        return _joined({key: part.expression for key, part in parts.items()}, list(parts.values()), partial=True)
    if all(isinstance(value, list) and value for value in values) and len({len(value) for value in values}) == 1:
        listed = [origin(name, {t: v[n] for t, v in column.items()}, at) for n in range(len(values[0]))]
        return _joined([part.expression for part in listed], listed, partial=False)
    return None


def _joined(expression: Any, parts: Sequence[Origin], *, partial: bool) -> Origin | None:
    """One origin of several. Where a model must say all of it, or an element of a list, it says the whole at once."""
    kinds = {part.kind for part in parts}
    if kinds == {"language"} or ("language" in kinds and not partial):
        return None
    kind: Kind = next(kind for kind in ("language", "result", "input", "constant") if kind in kinds)
    return Origin(kind, expression, "put together")


def _literal(column: Column, at: Mapping[str, Scene]) -> bool:
    return all(in_text(value, at[trace].text) for trace, value in column.items())


def _is_constant(column: Column) -> bool:
    return len({same(value) for value in column.values()}) == 1


def _any(column: Column) -> Any:
    return next(iter(column.values()))


def _seen_in(column: Column, at: Mapping[str, Scene]) -> frozenset[str]:
    """The slots whose results hold the telling leaves of every value."""
    seen: set[str] = set()
    for trace, value in column.items():
        for leaf in leaves(value):
            if not is_weak(leaf):
                seen |= {path[1] for path in at[trace].index.get(same(leaf), ()) if path[0] == "steps"}
    return frozenset(seen)


def literal_value(value: Any) -> Any:
    """A constant as a file says it: one in which something would read as a reference is wrapped."""
    return {"value": value} if _reads_as_reference(value) else value


def _reads_as_reference(value: Any) -> bool:
    if isinstance(value, dict):
        return (
            "from" in value or set(value) in ({"value"}, {"first_of"}) or any(map(_reads_as_reference, value.values()))
        )
    return isinstance(value, list) and any(map(_reads_as_reference, value))
