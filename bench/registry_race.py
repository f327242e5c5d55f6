"""Eight processes on one repository: nothing lost, nothing doubled, never "database is locked".

    python bench/registry_race.py [processes] [rounds] [fresh databases]

1. Every process saves a version of its own and promotes it (``--accept-risk``), ``rounds`` times; the database does not
   exist when they start. Each also saves what all others save, so that identical content races too.
2. A clone with a lock file, deployed versions and evidence is opened by all processes at the same moment, its database
   missing, as often as asked.
3. A database of every earlier schema is opened: every trigger that must exist exists.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from _parity import NAME, SKILL, STUDENT
from _shared import finish, print_table

from skillforge.forge.forge import Forge
from skillforge.lockfile import read_lock
from skillforge.skill import Skill
from skillforge.skillfile import read_skill, write_skill
from skillforge.store import migrations
from skillforge.store.database import open_database
from skillforge.store.migrations import MIGRATIONS, TRIGGERS, missing_triggers

MODEL = """\
answers:
  - {when: {contains: "1."}, reply: {answer: odd}}
default: {answer: even}
"""


def prepare(root: Path) -> None:
    (root / ".skillforge").mkdir(parents=True)
    (root / "student.yaml").write_text(MODEL)
    write_skill(Skill.model_validate(SKILL), root / "skills" / NAME)
    (root / "evals").mkdir()
    cases = [
        {"id": f"n{n}", "input": {"number": f"{n}."}, "expected": {"answer": "odd" if n % 2 else "even"}}
        for n in range(20)
    ]
    (root / "evals" / f"{NAME}.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    (root / "evals" / f"{NAME}.yaml").write_text(
        f"schema: skillforge/suite/v1\nname: {NAME}\ndecision: {{margin: 0.2}}\ncases: file://{NAME}.jsonl\n"
    )


def save_and_promote(root: Path, me: int, rounds: int, together: Barrier, failed: Any) -> None:
    os.chdir(root)
    skill = read_skill(root / "skills" / NAME).skill
    with told(failed):
        together.wait()
        with Forge(root) as forge:
            for number in range(rounds):
                for text in (f"everybody {number}", f"{me} {number}"):
                    draft = skill.model_copy(update={"instructions": text})
                    saved = forge.save(write_skill(draft, root / "drafts" / str(me) / NAME))
                forge.deployments.promote(
                    f"{NAME}@{saved.version}", student=STUDENT, alias=f"p{me}", accept_risk="a race"
                )


def open_fresh(roots: list[Path], together: Barrier, failed: Any) -> None:
    for root in roots:
        with told(failed):
            together.wait()
            with Forge(root) as forge:
                versions = forge.versions(NAME)
                evidence = forge.evidence(forge.show(f"{NAME}@1"))
                if (len(versions), len(evidence)) != (1, 1):
                    failed.append(f"{root.name}: {len(versions)} versions, {len(evidence)} evidence")


@contextlib.contextmanager
def told(failed: Any) -> Any:
    try:
        yield
    except Exception:
        failed.append(traceback.format_exc(limit=-3))


def race(work: Any, each: Sequence[tuple[Any, ...]]) -> tuple[float, list[str]]:
    """Run ``work`` once for each arguments, in processes that start together; seconds, and what failed."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        failed, together = manager.list(), context.Barrier(len(each))
        started = [context.Process(target=work, args=(*args, together, failed)) for args in each]
        begun = time.perf_counter()
        for process in started:
            process.start()
        for process in started:
            process.join()
        seconds = time.perf_counter() - begun
        return seconds, [*failed, *(f"exit code {process.exitcode}" for process in started if process.exitcode)]


def racing(folder: Path, count: int, rounds: int) -> tuple[list[list[object]], list[str]]:
    root = folder / "race"
    prepare(root)
    seconds, failed = race(save_and_promote, [(root, me, rounds) for me in range(count)])
    entry = read_lock(root).skill(NAME)
    with Forge(root) as forge:
        versions = [item.version for item in forge.versions(NAME)]
        digests = {item.digest for item in forge.versions(NAME)}
        problems = forge.repository.verify()
    wanted_versions, wanted_moves = rounds * (count + 1), rounds * count
    rows: list[list[object]] = [
        ["saves and promotions", f"{count} x {rounds}", f"{seconds:.1f} s, {wanted_moves / seconds:.0f} a second"],
        ["versions", wanted_versions, len(versions)],
        ["moves in the lock", wanted_moves, len(entry.moves)],
    ]
    promises = {
        f"no process fails: {failed[:2]}": not failed,
        "no version is lost or doubled": versions == list(range(1, wanted_versions + 1)) == sorted(versions),
        "no content is stored twice": len(digests) == wanted_versions,
        "no promotion is lost or doubled": len({move.id for move in entry.moves}) == len(entry.moves) == wanted_moves,
        "every alias is its process's last": len(entry.aliases) == count,
        f"verify finds nothing: {problems[:2]}": not problems,
    }
    return rows, [promise for promise, kept in promises.items() if not kept]


def opening(folder: Path, count: int, times: int) -> tuple[list[list[object]], list[str]]:
    first = folder / "first"
    prepare(first)
    os.chdir(first)
    with Forge(first) as forge:
        forge.eval(NAME, students=[STUDENT], teacher=STUDENT)
        forge.deployments.promote(NAME, student=STUDENT, accept_risk="a race")
    roots = []
    for number in range(times):
        roots.append(folder / f"clone{number}")
        shutil.copytree(first, roots[-1], ignore=shutil.ignore_patterns(".skillforge"))
        (roots[-1] / ".skillforge").mkdir()
    seconds, failed = race(open_fresh, [(roots,)] * count)
    wrong = []
    for root in roots:
        with Forge(root) as forge:
            wrong += forge.repository.verify()
        with open_database(root / ".skillforge" / "registry.db") as db:
            wrong += missing_triggers(db)
            counts = [db.table(name).count for name in ("versions", "evidence")]
            wrong += [f"{root.name}: {counts}"] if counts != [1, 1] else []
    rows: list[list[object]] = [
        ["fresh databases, each opened by all at once", f"{times} x {count}", f"{seconds:.1f} s, {len(failed)} failed"],
        ["of them whole: triggers, one version, one evidence", times, times - len(wrong)],
    ]
    return rows, [f"a fresh open fails: {line}" for line in failed[:2]] + [f"not whole: {line}" for line in wrong[:2]]


def migrating(folder: Path) -> tuple[list[list[object]], list[str]]:
    rows: list[list[object]] = []
    broken = []
    for version in range(len(MIGRATIONS) + 1):
        path = folder / f"schema{version}" / "registry.db"
        migrations.MIGRATIONS, migrations.SCHEMA_VERSION = MIGRATIONS[:version], version
        open_database(path).close()
        migrations.MIGRATIONS, migrations.SCHEMA_VERSION = MIGRATIONS, len(MIGRATIONS)
        with open_database(path) as db:
            there = len(TRIGGERS) - len(missing_triggers(db))
        rows.append([f"triggers after opening schema {version}", len(TRIGGERS), there])
        broken += [f"schema {version} lacks triggers"] if there < len(TRIGGERS) else []
    return rows, broken


def main() -> None:
    count, rounds, times = [*map(int, sys.argv[1:]), *(8, 200, 200)[len(sys.argv) - 1 :]]
    rows: list[list[object]] = [["what", "wanted", "found"]]
    broken: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for step in (
            lambda: migrating(folder),
            lambda: opening(folder, count, times),
            lambda: racing(folder, count, rounds),
        ):
            more, wrong = step()
            rows += more
            broken += wrong
        os.chdir("/")
    print_table(rows)
    finish(broken)


if __name__ == "__main__":
    main()
