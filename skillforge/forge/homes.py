"""Where a student runs and how large it is: told from its name and the settings, nothing is opened."""

from __future__ import annotations

import json
from pathlib import Path

from skillforge.config import SKILLS_FOLDER
from skillforge.endpoints import PUBLIC_PREFIXES
from skillforge.engine.programs import COMMAND
from skillforge.evals.running.arms import ArmKind
from skillforge.forge.measuring.plan import RECORDED
from skillforge.forge.workspace import Workspace
from skillforge.ladder import TEACHER, parse_ladder
from skillforge.providers.models_cache import CATALOG
from skillforge.providers.network import is_local
from skillforge.students.leaderboard import Home, Place

EDGE_BYTES = 1_000_000_000  # what a phone or a small board holds in its memory beside everything else
_FARTHEST: tuple[Place, ...] = ("edge", "local", "program", "unknown", "api")


def home_of(work: Workspace, student: str, kind: ArmKind = "skill") -> Home:
    """``edge`` for what runs in this process and is at most a gigabyte, ``local`` for other files and for servers on
    this machine, ``api`` for servers elsewhere. A ladder is as far away as its farthest rung, and as large as all of
    them together; its rung ``teacher`` is the repository's teacher.
    """
    if kind == "no-model":
        return Home(place="edge", size=0)
    if kind == "own":
        return Home(place="program")
    ladder = parse_ladder(student)
    if ladder is not None:
        teacher = work.settings.teacher or RECORDED
        rungs = [home_of(work, teacher if rung.student == TEACHER else rung.student) for rung in ladder.rungs]
        sizes = [rung.size for rung in rungs if rung.place != "api"]
        place = max((rung.place for rung in rungs), key=_FARTHEST.index)
        return Home(place=place, size=None if None in sizes else sum(size or 0 for size in sizes))
    prefix, _, rest = student.partition(":")
    if prefix == "local":
        return _by_size(_model_bytes(work, rest))
    if prefix == "encoder":
        return _by_size(_encoder_bytes(work, rest))
    if student.startswith(COMMAND):
        return Home(place="program")
    if prefix in work.settings.endpoints:
        return Home(place="local" if is_local(work.settings.endpoints[prefix].base_url) else "api")
    # a recording is of a model that answers elsewhere
    return Home(place="api" if prefix in PUBLIC_PREFIXES or prefix in ("replay", RECORDED) else "unknown")


def _by_size(size: int | None) -> Home:
    return Home(place="edge" if size is not None and size <= EDGE_BYTES else "local", size=size)


def _model_bytes(work: Workspace, name: str) -> int | None:
    if name in CATALOG:
        return CATALOG[name].bytes
    for folder in (Path.cwd(), work.root):
        try:
            return (folder / Path(name).expanduser()).stat().st_size
        except (OSError, ValueError, RuntimeError):
            continue
    return None


def _encoder_bytes(work: Workspace, name: str) -> int | None:
    """By its card: the file itself may not be here."""
    for card in sorted((work.root / SKILLS_FOLDER).glob("*/encoders/*.json")):
        if card.stem == name:
            try:
                size = json.loads(card.read_bytes()).get("size")
            except (OSError, ValueError, AttributeError):
                return None
            return size if isinstance(size, int) else None
    return None
