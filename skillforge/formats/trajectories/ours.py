"""Our own traces, one ``Trace`` as JSON a line: what a teacher left here, or somebody exported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from skillforge.formats.parts import NotACall
from skillforge.formats.trajectories.lines import Item, Line, Lines, each
from skillforge.trace import Trace

NAME = "skillforge"


def knows(record: Mapping[str, Any]) -> bool:
    return {"case_id", "task", "input", "messages"} <= set(record)


def read(lines: Lines) -> Iterator[Item]:
    """A trace a line, as it was written; but nobody knows who wrote the file."""
    return each(lines, _trace)


def _trace(line: Line) -> Iterator[Trace]:
    try:
        trace = Trace.model_validate(line.value)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NotACall(f"{where}: {first['msg']}") from None
    yield trace.model_copy(
        update={"untrusted": True, "source": trace.source or line.place, "format": trace.format or NAME}
    )
