"""``kill -9`` at random points of promote and sync: the next command brings files and database to agree.

    python bench/sync_kills.py [kills]

A child process runs the command and kills itself at a random line of ours that it executes while it works on files,
lock and database: so every point between two writes is as likely as any other. How many lines there are is counted by
a child that runs to its end. After each kill the same command is given once more; then ``verify`` finds nothing and
``sync --check`` has nothing to do. The lock file is whole and no promotion is lost or doubled at any moment.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from _parity import NAME, SKILL, STUDENT
from _shared import environment, finish, print_table

from skillforge.forge.forge import Forge
from skillforge.lockfile import read_lock
from skillforge.skill import Skill
from skillforge.skillfile import read_skill, write_skill

# What works on files, lock and database; what only reads a skill or computes is no point worth dying at.
WATCHED = ("atomicfile.py", "catchup.py", "evidence_files.py", "promote.py", "repolock.py", "sync.py", "skills.py")
STORE = f"{os.sep}store{os.sep}"


def child(root: Path, what: str, die_at: int) -> None:
    """Run one command; die at the line of that number. Prints how many lines there were."""
    count = 0

    def line(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        if event == "line":
            count += 1
            if count == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return line

    def call(frame: FrameType, event: str, arg: Any) -> Any:
        file = frame.f_code.co_filename
        return line if "skillforge" in file and (file.endswith(WATCHED) or STORE in file) else None

    os.chdir(root)
    with Forge(root) as forge:
        threading.settrace(call)  # the portal's thread, which starts with the first call
        run(forge, what)
    print(count)


def run(forge: Forge, what: str) -> None:
    if what == "promote":
        forge.deployments.promote(NAME, student=STUDENT, accept_risk="a bench")
    else:
        forge.repository.sync()


def change(root: Path, what: str, number: int) -> None:
    """What the command finds: an edited file, or a version that only the registry has."""
    skill = Skill.model_validate(SKILL).model_copy(update={"instructions": f"{what} {number}"})
    if what == "sync, from the registry":
        with Forge(root) as forge:
            forge.save(write_skill(skill, root / "elsewhere" / NAME))
    else:
        write_skill(skill, root / "skills" / NAME)


def start(root: Path, what: str, die_at: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, __file__, "child", str(root), what, str(die_at)]
    return subprocess.run(command, cwd=root, env=environment(), capture_output=True, text=True, timeout=120)


def settled(root: Path, what: str, number: int, moves: int) -> list[str]:
    """What is wrong after the next command."""
    wrong = []
    with Forge(root) as forge:
        run(forge, what)
    with Forge(root) as forge:
        wrong += forge.repository.verify()
        report = forge.repository.sync(check=True)
        wrong += [f"{item.name}: {item.state}" for item in report.skills if item.state != "in_sync"]
        wrong += [*report.files, *report.problems]
        wrong += [f"exit code {report.exit_code}"] if report.exit_code else []
        stored = {item.digest: item.version for item in forge.versions(NAME)}
    entry = read_lock(root).skill(NAME)
    skill = read_skill(root / "skills" / NAME).skill
    if skill.instructions != f"{what} {number}":
        wrong.append(f"the file says {skill.instructions!r}")
    if entry.versions.get(stored[skill.digest()]) != skill.digest():
        wrong.append("lock and registry do not agree on the file's version")
    if len(entry.moves) != moves + (what == "promote"):
        wrong.append(f"{len(entry.moves)} moves instead of {moves + (what == 'promote')}")
    if len(set(stored.values())) != number + 1:
        wrong.append(f"{len(stored)} versions instead of {number + 1}")
    return wrong


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    kinds = ("promote", "sync", "sync, from the registry")
    rows: list[list[object]] = [["command", "lines watched", "kills that landed", "whole without another command"]]
    broken: list[str] = []
    random.seed(7)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        (root / ".skillforge").mkdir()
        (root / "student.yaml").write_text("default: {answer: even}\n")
        write_skill(Skill.model_validate(SKILL), root / "skills" / NAME)
        os.chdir(root)
        run_first(root)
        landed: Counter[str] = Counter()
        whole: Counter[str] = Counter()
        lines: dict[str, int] = {}
        number = 0
        while sum(landed.values()) < kills and number < 3 * kills:
            what = kinds[number % len(kinds)]
            number += 1
            change(root, what, number)
            lines[what] = counted(root, what)
            moves = len(read_lock(root).skill(NAME).moves)
            done = start(root, what, random.randint(1, lines[what]))
            killed = done.returncode == -signal.SIGKILL  # a line less than counted, and it ran to its end
            landed[what] += killed
            read_lock(root)  # raises where it is torn
            with Forge(root) as forge:
                whole[what] += killed and not forge.repository.verify()
            broken += [f"{what} {number}: {line}" for line in settled(root, what, number, moves)]
        os.chdir("/")
    rows += [[what, lines.get(what, 0), landed[what], whole[what]] for what in kinds]
    print_table(rows)
    print(f"\n{sum(landed.values())} kills, {len(broken)} things wrong after the next command")
    finish(broken[:10] + (["not every kill landed"] if sum(landed.values()) < kills else []))


def run_first(root: Path) -> None:
    with Forge(root) as forge:
        run(forge, "sync")


def counted(root: Path, what: str) -> int:
    """The lines that the command runs to its end, in a copy."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name).resolve() / "copy"
        shutil.copytree(root, copy)
        done = start(copy, what, 0)
        if done.returncode:
            raise SystemExit(done.stderr)
        return int(done.stdout)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        main()
