"""Whatever happens to a repository, in whatever order, killed or all at once: files and registry agree afterwards."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synced import NAME, deploy, instructions

from skillforge.errors import UsageError
from skillforge.forge.forge import Forge
from skillforge.lockfile import Lock, read_lock, write_lock
from skillforge.skillfile import write_skill


class Life:
    """One repository on which anything may happen, also at a colleague's."""

    def __init__(self, root: Path, triage: Any) -> None:
        self.root, self.triage, self.number = root, triage, 0
        (root / ".skillforge").mkdir(parents=True)

    def words(self) -> str:
        self.number += 1
        return f"words {self.number}"

    def happen(self, what: str) -> None:
        getattr(self, what)()

    def edit(self) -> None:
        write_skill(self.triage(instructions=self.words()), self.root / "skills" / NAME)

    def edit_back(self) -> None:
        write_skill(self.triage(instructions="words 0"), self.root / "skills" / NAME)

    def save_elsewhere(self) -> None:
        with Forge(self.root) as forge:
            forge.save(write_skill(self.triage(instructions=self.words()), self.root / "elsewhere" / NAME))

    def draft(self) -> None:
        self.edit()
        with Forge(self.root) as forge:
            forge.show(NAME)

    def promote(self) -> None:
        with Forge(self.root) as forge, suppress(UsageError):
            deploy(forge, self.root)

    def delete(self) -> None:
        with Forge(self.root) as forge, suppress(UsageError):
            forge.repository.delete(f"{NAME}@latest")

    def lose_database(self) -> None:
        for path in (self.root / ".skillforge").glob("registry.db*"):
            path.unlink()

    def lose_file(self) -> None:
        shutil.rmtree(self.root / "skills" / NAME, ignore_errors=True)

    def pull(self) -> None:
        """A colleague reviewed another version under the next number."""
        theirs = self.triage(instructions=self.words())
        entry = read_lock(self.root).skill(NAME)
        number = max(entry.versions, default=0) + 1
        pulled = entry.model_copy(
            update={"head": theirs.digest(), "versions": {**entry.versions, number: theirs.digest()}}
        )
        write_lock(self.root, Lock(skills={NAME: pulled}))
        write_skill(theirs, self.root / "skills" / NAME)

    def sync(self) -> None:
        with Forge(self.root) as forge:
            forge.repository.sync(take="theirs")


EVENTS = [name for name in vars(Life) if name[0] != "_" and name not in ("words", "happen")]


@given(st.lists(st.sampled_from(EVENTS), max_size=8))
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_any_life_a_sync_brings_all_to_agree(tmp_path_factory, triage, events):
    life = Life(tmp_path_factory.mktemp("life") / "repo", triage)
    for event in events:
        life.happen(event)
    with Forge(life.root) as forge:
        report = forge.repository.sync(take="theirs")
        assert forge.repository.verify() == list(report.problems)
        again = forge.repository.sync(check=True)
        lost = any(item.state == "missing_file" for item in again.skills)
        assert again.exit_code == (1 if lost or report.problems else 0)
        numbers = forge._portal.run(lambda: forge._work.registry.digests(NAME))
    for number, digest in read_lock(life.root).skill(NAME).versions.items():
        assert numbers.get(number, digest) == digest


KILLED = """
    import os, signal, sys, threading
    from pathlib import Path
    from skillforge.forge.forge import Forge
    root, what, die_at, count = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), 0
    FILES = ("atomicfile.py", "catchup.py", "promote.py", "sync.py", "registry.py", "database.py")

    def line(frame, event, arg):
        global count
        count += event == "line"
        if count == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return line

    def call(frame, event, arg):
        return line if frame.f_code.co_filename.endswith(FILES) else None

    with Forge(root) as forge:
        threading.settrace(call)
        if what == "sync":
            forge.repository.sync()
        else:
            forge.deployments.promote("ticket-triage", student="scripted:a.yaml", accept_risk="a test")
    print(count)
"""


@pytest.mark.parametrize(("what", "share"), [("sync", 0.6), ("promote", 0.9)])
def test_a_killed_command_is_made_good_by_the_next_one(repo, skill_in, forge_at, tmp_path, what, share):
    def run(root: Path, die_at: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", textwrap.dedent(KILLED), str(root), what, str(die_at)]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)

    (repo / "a.yaml").write_text("default: {}\n")
    skill_in(repo)
    with forge_at(repo) as forge:
        forge.repository.sync()
    skill_in(repo, instructions="changed")
    shutil.copytree(repo, tmp_path / "whole")
    whole = run(tmp_path / "whole", -1)
    assert whole.returncode == 0, whole.stderr
    assert run(repo, int(int(whole.stdout) * share)).returncode == -signal.SIGKILL
    read_lock(repo)
    with forge_at(repo) as forge:
        if what == "sync":
            forge.repository.sync()
        else:
            forge.deployments.promote(NAME, student=f"scripted:{repo}/a.yaml", accept_risk="a test")
        assert forge.repository.verify() == []
        assert forge.repository.sync(check=True).exit_code == 0
        assert instructions(repo) == "changed"
        assert len(forge.versions(NAME)) == 2


RACE = """
    import sys, time
    from pathlib import Path
    from skillforge.forge.forge import Forge
    from skillforge.skill import Skill
    from skillforge.skillfile import read_skill, write_skill
    root, me, start = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    skill = read_skill(root / "skills" / "ticket-triage").skill
    while time.time() < start:
        time.sleep(0.001)
    with Forge(root) as forge:
        for number in range(4):
            draft = skill.model_copy(update={"instructions": f"{me} {number}"})
            saved = forge.save(write_skill(draft, root / "drafts" / me / "ticket-triage"))
            ref = f"ticket-triage@{saved.version}"
            forge.deployments.promote(ref, student="scripted:a.yaml", alias=f"a{me}", accept_risk="race")
"""


def test_processes_save_and_promote_at_once_into_a_fresh_database_and_nothing_is_lost(repo, skill_in, forge_at):
    skill_in(repo)
    (repo / "a.yaml").write_text("default: {}\n")
    start = str(time.time() + 1.5)
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(RACE), str(repo)]
    started = [
        subprocess.Popen([*command, str(number), start], cwd=repo, stderr=subprocess.PIPE) for number in range(4)
    ]
    told = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 4, told
    entry = read_lock(repo).skill(NAME)
    forge = forge_at(repo)
    assert sorted(item.version for item in forge.versions(NAME)) == list(range(1, 17))
    assert len({move.id for move in entry.moves}) == len(entry.moves) == 16
    assert forge.repository.verify() == []
