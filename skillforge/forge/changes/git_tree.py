"""The repository's skills as they were at a git revision, written into a folder to be read as any other."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from skillforge.config import LOCK_FILE, SKILLS_FOLDER
from skillforge.errors import NotFound, UsageError

_GIT_S = 60.0
_MAX_BYTES = 256 * 1_048_576


def checkout(root: Path, revision: str, into: Path) -> None:
    """Write ``skills/`` and ``skillforge.lock`` of a revision below ``into``; what it does not have is left out.

    Raises ``NotFound`` for a revision that git does not know, ``UsageError`` where there is no git repository.
    """
    if revision.startswith("-"):
        raise UsageError(f"{revision}: not a git revision", hint="name a branch or commit: origin/main")
    asked = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"]
    commit = _git(root, asked).decode("ascii", "replace").strip()
    if not commit:
        branch = revision.removeprefix("origin/")
        hint = f"fetch it: git fetch origin {branch}, or name another one, such as --base master"
        raise NotFound(f"{revision}: git knows no such revision", hint=hint)
    listed = _git(root, ["git", "ls-tree", "--name-only", "-z", commit, "--", f"{SKILLS_FOLDER}/", LOCK_FILE])
    names = [name for name in (SKILLS_FOLDER, LOCK_FILE) if any(_is(name, item) for item in listed.split(b"\0"))]
    if not names:
        return
    archive = _git(root, ["git", "archive", "--format=tar", commit, "--", *names])
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            data = tar.extractfile(member) if member.isfile() else None  # no links: they lead out of what was reviewed
            place = (into / member.name).resolve()
            if data is None or not place.is_relative_to(into.resolve()):
                continue
            # by hand: tar's own filters are not there before Python 3.11.4
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data.read())


def _is(name: str, listed: bytes) -> bool:
    return listed.decode("utf-8", "replace").partition("/")[0] == name


def _git(root: Path, command: list[str]) -> bytes:
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, timeout=_GIT_S, check=False)
    except FileNotFoundError as exc:
        raise UsageError("git is not installed", hint="install git, or compare versions: skillforge diff A B") from exc
    except subprocess.TimeoutExpired as exc:
        raise UsageError(f"git did not answer within {_GIT_S:.0f} s", hint="try again") from exc
    if done.returncode and b"not a git repository" in done.stderr:
        raise UsageError(f"{root} is not in a git repository", hint="compare versions instead: skillforge diff A B")
    if len(done.stdout) > _MAX_BYTES:
        raise UsageError(f"the skills of that revision hold more than {_MAX_BYTES:,} bytes", hint="name another one")
    return done.stdout
