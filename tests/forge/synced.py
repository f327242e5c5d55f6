"""What the tests of sync, verify and delete share: one skill's file, what sync says of it, and a deployment of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skillforge.atomicfile import replace_file
from skillforge.forge.deploy.deployed import snapshot_bytes, snapshot_path
from skillforge.forge.forge import Forge
from skillforge.lockfile import Move, read_lock, write_lock
from skillforge.skillfile import read_skill

NAME = "ticket-triage"


def instructions(root: Path) -> str:
    return read_skill(root / "skills" / NAME).skill.instructions


def states(forge: Forge, **options: Any) -> list[tuple[str, int | None]]:
    return [(item.state, item.version) for item in forge.repository.sync(**options).skills]


def deploy(forge: Forge, root: Path) -> None:
    """A promotion as the lock file keeps it."""
    version = forge.show(f"{NAME}@latest")
    entry = read_lock(root).skill(NAME)
    move = Move(
        id=f"m{len(entry.moves)}",
        alias="production",
        action="promote",
        version=version.version,
        digest=version.digest,
        student="scripted:a",
        at="2026-01-31T09:30:00.123Z",
    )
    replace_file(
        snapshot_path(root, NAME, version.version), snapshot_bytes(version.skill, version.digest, version.version)
    )
    write_lock(root, read_lock(root).with_skill(NAME, entry.moved(move)))
