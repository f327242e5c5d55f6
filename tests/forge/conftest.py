from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skillforge.forge.forge import Forge
from skillforge.skillfile import write_skill

# Put together here, so that no scanner takes this file for a leak.
CANARY = "sk-ant-" + "api03-" + "Zq8canaryW3xT9vK2mN5bR7yU1oP4sD6" * 2

MakeForge = Callable[..., Forge]


@pytest.fixture
def canary() -> str:
    return CANARY


@pytest.fixture
def forge_at() -> Iterator[MakeForge]:
    """Opens Forges and closes them after the test."""
    made: list[Forge] = []

    def open_one(root: Path, **options: Any) -> Forge:
        made.append(Forge(root, **options))
        return made[-1]

    yield open_one
    for forge in made:
        forge.close()


@pytest.fixture
def skill_in(triage: Any) -> Callable[..., Path]:
    """Writes the skill into a repository: ``skill_in(repo, instructions="…")``."""

    def write(root: Path, **changes: Any) -> Path:
        return write_skill(triage(**changes), root / "skills" / "ticket-triage")

    return write


@pytest.fixture
def stored_bytes() -> Callable[[Path], bytes]:
    """All bytes of a folder's files: database, its WAL, and whatever else was left there."""

    def read(folder: Path) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())

    return read
