"""One lock for each repository: whoever writes its reviewed files holds it, in whatever process."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from skillforge.config import STATE_FOLDER, database_path
from skillforge.errors import UsageError

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK_NAME = "repository.lock"
WAIT_S = 30.0
_POLL_S = (0.002, 0.01)  # what is done under the lock takes milliseconds; by chance, or some would always come too late


@contextmanager
def repository_lock(root: Path) -> Iterator[None]:
    """Hold the lock of the repository at ``root``: no other process or thread writes its lock file, its deployed
    versions or its evidence meanwhile.

    Take it once around all that belongs together; taking it again in the same thread is free. Never ``await`` while
    holding it: other work of the same thread would walk in. A process that dies lets go of it. Raises ``UsageError``
    when another holds it for more than 30 s, or where no file can be written.
    """
    from filelock import FileLock, Timeout

    path = root.resolve() / STATE_FOLDER / LOCK_NAME
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        # one object for each file: that is what makes it reentrant
        lock = FileLock(path, is_singleton=True)
        lock.acquire(timeout=WAIT_S, poll_interval=random.uniform(*_POLL_S))
    except Timeout:
        hint = "wait for that process or end it, then try again"
        raise UsageError(f"{root}: another process has been writing for more than {WAIT_S:g} s", hint=hint) from None
    except OSError as exc:
        hint = "it must be a folder that you may write"
        raise UsageError(f"{path} cannot be locked: {exc.strerror or exc}", hint=hint) from exc
    try:
        yield
    finally:
        lock.release()


def work_lock(root: Path, name: str) -> BaseFileLock | None:
    """The lock of one long piece of work, such as a run; ``None`` where somebody works on it, be it in this process.

    Raises ``OSError`` where no file can be written.
    """
    from filelock import FileLock, Timeout

    base = database_path(root)
    folder = base.with_name(f"{base.name}-runs")
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock
