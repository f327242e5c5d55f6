"""Which format a trajectory file is of, by what stands in its first records; and reading it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from skillforge.errors import NotFound, UsageError
from skillforge.formats.trajectories import (
    anthropic_messages,
    claude_code,
    codex,
    exchanges,
    openai_chat,
    otel,
    ours,
    pi,
    swe_agent,
    tooltalk,
)
from skillforge.formats.trajectories.lines import Item, Line, Lines, Quarantined, printable, read_lines
from skillforge.suggest import did_you_mean

_LOOKED_AT = 100  # records before a file is of no known format
_SHOWN_KEYS = 12
_TAIL = 65_536  # bytes
_TIME = re.compile(rb'"timestamp"\s*:\s*"([0-9T:.Z+-]{10,40})"')
_ENDINGS = (".json", ".jsonl", ".ndjson", ".traj", ".json.gz", ".jsonl.gz")
_SKIPPED = frozenset({".git", "node_modules", ".venv", "__pycache__"})


@dataclass(frozen=True, slots=True)
class Format:
    """One known format: its name, what it is, how a record of it is known, and its reader. ``read`` gets what earlier
    files of the same folder held, to leave out copies of it.
    """

    name: str
    title: str
    knows: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Lines, set[str]], Iterator[Item]]


def _alone(read: Callable[[Lines], Iterator[Item]], lines: Lines, seen: set[str]) -> Iterator[Item]:
    return read(lines)


# The first that knows a record has it: those with marks of their own come before those with few.
FORMATS: tuple[Format, ...] = (
    Format(ours.NAME, "skillforge's own traces", ours.knows, partial(_alone, ours.read)),
    Format(otel.NAME, "OpenTelemetry GenAI or OpenInference spans", otel.knows, partial(_alone, otel.read)),
    Format(codex.NAME, "Codex sessions", codex.knows, partial(_alone, codex.read)),
    Format(claude_code.NAME, "Claude Code sessions", claude_code.knows, claude_code.read),
    Format(pi.NAME, "pi sessions", pi.knows, pi.read),
    Format(tooltalk.NAME, "ToolTalk conversations", tooltalk.knows, partial(_alone, tooltalk.read)),
    Format(
        swe_agent.NAME, "SWE-agent and mini-swe-agent trajectories", swe_agent.knows, partial(_alone, swe_agent.read)
    ),
    Format(exchanges.NAME, "requests with their responses", exchanges.knows, partial(_alone, exchanges.read)),
    Format(
        anthropic_messages.NAME,
        "Anthropic messages",
        anthropic_messages.knows,
        partial(_alone, anthropic_messages.read),
    ),
    Format(
        openai_chat.NAME, "OpenAI chat messages, also tau-bench's", openai_chat.knows, partial(_alone, openai_chat.read)
    ),
)


def read_trajectories(path: Path, *, format: str = "") -> Iterator[Item]:
    """Every trace of a file, or of the files below a folder; and what could not be read of them.

    ``format`` names one, else each file tells its own. Of sessions that lie together a copy of what another holds is
    left out. Raises ``NotFound`` for a missing path and ``UsageError`` for a file of no known format; below a folder
    such a file is ``Quarantined``.
    """
    forced = named(format) if format else None
    if not path.exists():
        raise NotFound(f"{path}: no such file or folder", hint="check the path")
    if not path.is_dir():
        yield from _file(path, forced, set())
        return
    seen: set[str] = set()
    for file in sorted(files_below(path), key=_ended):
        try:
            yield from _file(file, forced, seen)
        except UsageError as exc:
            yield Quarantined(str(file), printable(str(exc).removeprefix(f"{file}: ")))


def named(format: str) -> Format:
    """The format of a name. Raises ``UsageError`` that lists what there is."""
    found = next((each for each in FORMATS if each.name == format), None)
    if found is None:
        names = [each.name for each in FORMATS]
        raise UsageError(f"no format {format!r}", hint=did_you_mean(format, names, what="known are"))
    return found


def detect(path: Path) -> Format | None:
    """The format of a file, ``None`` where it holds not a single whole record.

    Raises ``UsageError`` that says what was seen and what is known.
    """
    seen: dict[str, None] = {}
    for line in islice(read_lines(path), _LOOKED_AT):
        if isinstance(line, Line):
            found = next((each for each in FORMATS if each.knows(line.value)), None)
            if found is not None:
                return found
            seen.update(dict.fromkeys(line.value))
    if not seen:
        return None
    keys = ", ".join(printable(key, 40) for key in list(seen)[:_SHOWN_KEYS])
    titles = "; ".join(f"{each.title} ({each.name})" for each in FORMATS)
    raise UsageError(f"{path}: of no known format (its records hold: {keys})", hint=f"known are {titles}")


def files_below(folder: Path) -> Iterator[Path]:
    """The files below a folder that may hold traces, by their endings. No link is followed."""
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or path.name in _SKIPPED:
            continue
        if path.is_dir():
            yield from files_below(path)
        elif path.name.endswith(_ENDINGS) and path.is_file():  # a named pipe would be waited for
            yield path


def _ended(file: Path) -> tuple[str, str]:
    """When the last thing in a session's file was said: of a session and a copy of it that goes on, which was first."""
    with file.open("rb") as handle:
        handle.seek(max(0, file.stat().st_size - _TAIL))
        times = _TIME.findall(handle.read())
    return times[-1].decode() if times else "", str(file)


def _file(path: Path, forced: Format | None, seen: set[str]) -> Iterator[Item]:
    found = forced or detect(path)
    if found is None:  # what is wrong with each record is all there is to say
        yield from (line for line in read_lines(path) if isinstance(line, Quarantined))
    else:
        yield from found.read(read_lines(path), seen)
