"""Where coding agents keep their sessions on this machine, so that an agent can name its own as ``latest``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from skillforge.errors import NotFound
from skillforge.providers.wires import reading

LATEST = "latest"
_HEAD = 65_536  # bytes in which a session says where it works


@dataclass(frozen=True, slots=True)
class Place:
    """Where one agent keeps sessions: ``variable`` moves its home, ``homes`` are the usual ones below the user's."""

    format: str
    variable: str
    homes: tuple[str, ...]
    below: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Session:
    """A session's file and when it was last written (seconds of the epoch)."""

    format: str
    path: Path
    modified: float


PLACES = (
    Place("claude-code", "CLAUDE_CONFIG_DIR", (".claude", ".config/claude"), "projects", "*.jsonl"),
    Place("codex", "CODEX_HOME", (".codex",), "sessions", "rollout-*.jsonl"),
    Place("pi", "PI_CODING_AGENT_DIR", (".pi/agent",), "sessions", "*.jsonl"),
)
_SUBAGENTS = "subagents"  # their files stand in a folder below the session's own


def local_sessions(env: Mapping[str, str] | None = None, home: Path | None = None) -> list[Session]:
    """The sessions of Claude Code, Codex and pi on this machine, last written first."""
    found: list[Session] = []
    for place in PLACES:
        for folder in _folders(place, os.environ if env is None else env, home or Path.home()):
            for path in _files(folder / place.below, place.pattern):
                with suppress(OSError):  # it was removed meanwhile
                    found.append(Session(place.format, path, path.stat().st_mtime))
    return sorted(found, key=lambda session: (-session.modified, str(session.path)))


def project_session(folders: Sequence[Path], env: Mapping[str, str] | None = None, home: Path | None = None) -> Session:
    """The session last written of the project that ``folders`` belong to; never one of another project.

    A project is the git repository around a folder, or that folder alone. Raises ``NotFound`` that names the newest
    session of the others, or where it looked.
    """
    found = local_sessions(env, home)
    ours = {_project(folder) for folder in folders}
    mine = next((each for each in found if (there := works_in(each.path)) and _project(there) in ours), None)
    if mine is not None:
        return mine
    if found:
        hint = f"name its file; the newest of another project is {found[0].path}"
    else:
        looked = ", ".join(f"~/{name}/{place.below}" for place in PLACES for name in place.homes)
        hint = f"name its file (looked in {looked})"
    raise NotFound(f"no session of a coding agent works in {folders[0].resolve()}", hint=hint)


def _project(folder: Path) -> Path:
    with suppress(OSError, RuntimeError, ValueError):  # a loop of links, a folder that no system could have
        folder = folder.resolve() if folder.is_absolute() else folder
        return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), folder)
    return folder


def works_in(path: Path) -> Path | None:
    """The folder that a session's first records name; ``None`` where they name none, or cannot be read."""
    try:
        with path.open("rb") as handle:
            head = handle.read(_HEAD)
    except OSError:
        return None
    for raw in head.splitlines()[:50]:
        with suppress(ValueError, RecursionError):
            record = reading.mapping(json.loads(raw))
            if told := reading.text(record.get("cwd") or reading.mapping(record.get("payload")).get("cwd")):
                return Path(told)
    return None


def _folders(place: Place, env: Mapping[str, str], home: Path) -> list[Path]:
    moved = env.get(place.variable, "")
    return [Path(moved).expanduser()] if moved else [home / name for name in place.homes]


def _files(folder: Path, pattern: str) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.rglob(pattern) if path.is_file() and _SUBAGENTS not in path.parts)
