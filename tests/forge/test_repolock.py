from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from skillforge.errors import UsageError
from skillforge.forge import repolock
from skillforge.forge.repolock import repository_lock

HOLD = """
import sys, time
from pathlib import Path
from skillforge.forge.repolock import repository_lock
with repository_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(root: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_waits_no_longer_than_the_limit_and_says_so(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repolock, "WAIT_S", 0.1)
    with holder(repo) as process:
        with pytest.raises(UsageError, match="another process has been writing") as caught, repository_lock(repo):
            pass
        assert "end it" in caught.value.hint
        process.kill()
    with repository_lock(repo):  # a process that dies lets go
        pass


def test_it_is_reentrant_in_one_thread_and_waits_for_another(repo: Path) -> None:
    order: list[str] = []

    def other() -> None:
        with repository_lock(repo):
            order.append("other")

    with repository_lock(repo):
        thread = threading.Thread(target=other)
        thread.start()
        with repository_lock(repo / "." / ""):
            time.sleep(0.05)
            order.append("inner")
        order.append("outer")
    thread.join()
    assert order == ["inner", "outer", "other"]


def test_it_is_let_go_when_the_work_fails(repo: Path) -> None:
    with pytest.raises(ZeroDivisionError), repository_lock(repo):
        raise ZeroDivisionError
    with holder(repo) as process:
        process.kill()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(repo: Path) -> None:
    (repo / ".skillforge").chmod(0o500)
    with pytest.raises(UsageError, match=r"repository\.lock cannot be locked"), repository_lock(repo):
        pass


def test_a_repository_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"repository\.lock cannot be locked"), repository_lock(tmp_path / "none"):
        pass
