"""``kill -9`` and Ctrl-C all over a paid ``create`` and ``eval``: what was answered is never asked for again.

    python bench/create_interrupts.py

A live teacher (a server in a process of its own) writes down every call that arrives, so the count survives the kills.
Each command is interrupted once, then run again to its end; after Ctrl-C by the very command it printed. Promises: the
skill, the stored version and the report are those of an uninterrupted run; of all calls only those in flight at the
interruption are made twice; nothing half-written stays; the recording of both tries together replays.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _shared import command, environment, finish, print_table
from _teacher import TASK, numbers, settings, teacher

LATENCY_S = 0.03
IN_FLIGHT = 4  # the endpoint's concurrency
INPUTS, SAMPLES = 20, 20
ENDS = 3  # of a signal's points: after the last call, where the command may just have ended
KEY = "a-key-of-the-fake-teacher"
CREATE = ("create", TASK, "--teacher", "fake:large", "--cases", "cases.jsonl", "--record", "recording")
EVAL = ("eval", "parity", "--teacher", "fake:large", "--students", "fake:small", "--json", "--record", "recording")
SUITE = "schema: skillforge/suite/v1\nname: parity\ndecision: {margin: 0.2}\ncases: file://parity.jsonl\n"
VERSION = "SELECT skill, version, digest, body, source, source_path, task, provenance, status FROM versions"
HEAD = ("interrupted by", "after call", "while", "exit", "calls", "twice", "same", "tidy", "replays")


@dataclass(frozen=True)
class Point:
    """When to interrupt: so many seconds after the arrival of that many calls."""

    calls: int
    delay_s: float


@dataclass
class Outcome:
    """One command interrupted once and run to its end."""

    row: list[object]
    landed: bool
    twice: int
    wrong: list[str] = field(default_factory=list)


class Place:
    """A server of one kind, folders below ``base``, and what an uninterrupted run makes there."""

    def __init__(self, base: Path, url: str, journal: Path, kind: str, stop: signal.Signals) -> None:
        self.base, self.journal, self.stop = base, journal, stop
        self.settings = settings(url, kind)
        bin_folder = str(Path(sys.executable).parent)
        path = os.pathsep.join([bin_folder, os.environ.get("PATH", "")])
        self.env = environment(FAKE_API_KEY=KEY, PATH=path, SKILLFORGE_CONFIG_DIR=str(base))
        self.whole: dict[str, Any] = {}  # what the uninterrupted run made
        self.asked: Counter[str] = Counter()  # and asked

    def arrived(self, since: int = 0) -> list[dict[str, Any]]:
        lines = self.journal.read_bytes().splitlines()[since:]
        return [json.loads(line)["body"] for line in lines]

    def count(self) -> int:
        return self.journal.read_bytes().count(b"\n")

    def run(self, args: Sequence[str], root: Path) -> tuple[int, str, str]:
        done = subprocess.run(args, cwd=root, env=self.env, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def interrupt(self, args: Sequence[str], root: Path, point: Point) -> tuple[int, str, bool]:
        """Start the command and interrupt it at that point: exit code, stderr, whether it was still running."""
        wanted = self.count() + point.calls
        database = root / ".skillforge" / "registry.db"
        started = time.time()
        with subprocess.Popen(args, cwd=root, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
            while child.poll() is None and not (self.count() >= wanted and _touched(database, started)):
                time.sleep(0.001)
            time.sleep(point.delay_s)
            running = child.poll() is None
            child.send_signal(self.stop)
            err = child.communicate(timeout=60)[1].decode()
        return child.returncode, err, running


def _touched(database: Path, since: float) -> bool:
    wal = database.with_name(database.name + "-wal")
    return any(file.exists() and file.stat().st_mtime >= since - 1 for file in (database, wal))


def points(calls: int, count: int) -> list[Point]:
    """Spread over the whole command: before the first call, within calls, between them, and after the last."""
    ends = [Point(calls, LATENCY_S + 0.002 * 3**number) for number in range(ENDS)]
    inner = count - len(ends) - 1
    delays = (0.0, LATENCY_S / 2, LATENCY_S + 0.003)
    spread = [Point(1 + number * (calls - 1) // max(1, inner - 1), delays[number % 3]) for number in range(inner)]
    return [Point(0, 0.0), *spread, *ends]


# what a run leaves behind


def made(root: Path, out: str = "") -> dict[str, Any]:
    """The skill, the stored versions, and of a report what does not depend on the clock."""
    found: dict[str, Any] = {"skill": (root / "skills" / "parity" / "skill.yaml").read_bytes()}
    with closing(sqlite3.connect(root / ".skillforge" / "registry.db")) as db:
        found["versions"] = db.execute(VERSION).fetchall()
    if out:
        report = json.loads(out)
        arms = [report["teacher"], *report["arms"]]
        found["cost"] = round(report["cost_usd"], 9)
        found["arms"] = [{name: arm[name] for name in ("quality", "errors", "repaired", "n")} for arm in arms]
    return found


def is_stored(root: Path) -> bool:
    """Whether a create had stored its skill and put away the answers it was made from."""
    if not (root / "skills" / "parity" / "skill.yaml").is_file():
        return False  # the registry may not even have its tables
    with closing(sqlite3.connect(root / ".skillforge" / "registry.db")) as db:
        versions = db.execute("SELECT count(*) FROM versions").fetchone()[0]
        return bool(versions) and not db.execute("SELECT count(*) FROM answers").fetchone()[0]


def untidy(root: Path) -> list[str]:
    """Half-written files, and what the registry finds wrong with itself."""
    from skillforge.redact import Redactor
    from skillforge.store.database import open_database
    from skillforge.store.registry import Registry

    left = [file.name for file in root.rglob("*") if file.name.endswith((".tmp", ".old", "~")) or ".tmp" in file.name]
    database = open_database(root / ".skillforge" / "registry.db")
    try:
        whole = next(iter(database.query("PRAGMA integrity_check")))["integrity_check"]
        return left + list(Registry(database, Redactor()).verify()) + ([] if whole == "ok" else [whole])
    finally:
        database.close()


def bodies(calls: Sequence[dict[str, Any]]) -> Counter[str]:
    return Counter(json.dumps(call, sort_keys=True) for call in calls)


def stage(calls: Sequence[dict[str, Any]]) -> str:
    """What the newest of these calls was for."""
    if not calls:
        return "starting"
    said = json.dumps(calls[-1])
    if "You solved a task on real inputs" in said:
        return "repairing the draft" if "The skill is wrong" in said else "drafting"
    if "That answer is wrong" in said:
        return "a repair"
    return "solving" if "whose keys are the fields" in said else "running the skill"


def asked_again_though_repaired(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> int:
    """First answers asked for again although their repair was under way: they were paid for, and kept."""
    repaired = [call["messages"][:-2] for call in before if "That answer is wrong" in json.dumps(call["messages"][-1])]
    return sum(call["messages"] in repaired for call in after)


# one interruption


def interrupted(place: Place, args: tuple[str, ...], root: Path, point: Point, *, replays: bool) -> Outcome:
    start = place.count()
    code, err, landed = place.interrupt(command(*args), root, point)
    before = place.arrived(start)
    said = next((line for line in err.splitlines() if line.startswith("interrupted ")), "")
    again: Sequence[str] = command(*args)
    wrong: list[str] = []
    late = code in (0, 1, 3) or (args[0] == "create" and is_stored(root))
    if late:  # all was done and stored: the same command once more would be another create, with another draft
        landed = False
    elif place.stop == signal.SIGINT:
        again, wrong = printed_command(code, err, said)
    out = ""
    if not late or args[0] == "eval":
        last_code, out, last_err = place.run(again or command(*args), root)
        if last_code not in (0, 1, 3) or (args[0] == "create" and last_code):
            return Outcome([], landed, 0, [*wrong, f"the second run ends with {last_code}: {last_err}"])
    calls = place.arrived(start)
    twice = sum((bodies(calls) - place.asked).values())
    same = made(root, out if args[0] == "eval" else "") == place.whole and set(bodies(calls)) == set(place.asked)
    left = untidy(root)
    paid_again = asked_again_though_repaired(before, calls[len(before) :])
    problems = {
        f"{twice} calls were made twice": twice > IN_FLIGHT,
        f"{paid_again} kept answers were asked for again": paid_again > 0,
        "the result is another": not same,
        f"left behind: {left}": bool(left),
    }
    replayed = replay(place, root) if replays else ""
    wrong += [text for text, holds in problems.items() if holds] + ([replayed] if replayed not in ("", "yes") else [])
    name = "kill -9" if place.stop == signal.SIGKILL else "Ctrl-C"
    row = [name if landed else f"({name}, too late)", point.calls, stage(before), code, len(calls), twice]
    return Outcome([*row, same, not left, replayed or "-"], landed, twice, wrong)


def printed_command(code: int, err: str, said: str) -> tuple[list[str], list[str]]:
    """The command that Ctrl-C printed, and what is wrong with how it ended."""
    hint = next((line for line in err.splitlines() if "go on with: " in line), "")
    wrong = []
    if code != 130:
        wrong.append(f"exit code {code} instead of 130: {err[-2000:]}")
    if not said.startswith(("interrupted while ", "interrupted before ")) or not hint:
        wrong.append(f"it does not say what was under way: {err[-300:]!r}")
    if "Traceback" in err:
        wrong.append("a traceback")
    return shlex.split(hint.partition("go on with: ")[2]), wrong


def replay(place: Place, root: Path) -> str:
    """The same skill from the recording alone, in a repository of its own and without a call."""
    fresh = new_root(place, f"{root.name}-replayed")
    start = place.count()
    args = [*CREATE[:-2], "--replay", str(root / "recording")]
    code, _, err = place.run(command(*args), fresh)
    if code:
        return f"the recording does not replay: {err[-300:]}"
    if place.count() > start:
        return "the replay asked the teacher"
    skill = Path("skills") / "parity" / "skill.yaml"
    return "yes" if (fresh / skill).read_bytes() == (root / skill).read_bytes() else "the replay makes another skill"


def new_root(place: Place, name: str) -> Path:
    root = place.base / name
    root.mkdir()
    (root / "skillforge.toml").write_text(place.settings)
    (root / "cases.jsonl").write_text(numbers(INPUTS))
    return root


def of_create(place: Place, count: int) -> list[Outcome]:
    root = new_root(place, "whole")
    code, _, err = place.run(command(*CREATE), root)
    assert code == 0, err
    place.whole, place.asked = made(root), bodies(place.arrived())
    found = []
    for number, point in enumerate(points(place.asked.total(), count)):
        found.append(interrupted(place, CREATE, new_root(place, f"create-{number}"), point, replays=number % 3 == 0))
    return found


def of_eval(place: Place, count: int) -> list[Outcome]:
    template = place.base / "whole"
    (template / "evals").mkdir()
    (template / "evals" / "parity.yaml").write_text(SUITE)
    (template / "evals" / "parity.jsonl").write_text(numbers(SAMPLES, start=100, labelled=True))
    shutil.rmtree(template / "recording")
    roots = [shutil.copytree(template, place.base / f"eval-{number}") for number in range(count + 1)]
    start = place.count()
    code, out, err = place.run(command(*EVAL), roots[count])
    assert code in (0, 1, 3), err
    place.whole, place.asked = made(roots[count], out), bodies(place.arrived(start))
    chosen = points(place.asked.total(), count)
    return [interrupted(place, EVAL, root, point, replays=False) for root, point in zip(roots, chosen, strict=False)]


def one_signal(base: Path, stop: signal.Signals, kind: str, count: int, evals: int) -> tuple[Place, list[Outcome]]:
    base.mkdir()
    journal = base / "journal.jsonl"
    with teacher(journal, LATENCY_S) as url:
        place = Place(base, url, journal, kind, stop)
        return place, [*of_create(place, count), *(of_eval(place, evals) if evals else [])]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    evals = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored, and children inherit it
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as pool:
        base = Path(name).resolve()
        killed = pool.submit(one_signal, base / "killed", signal.SIGKILL, "openai-chat", count, evals)
        stopped = pool.submit(one_signal, base / "stopped", signal.SIGINT, "anthropic", count, evals)
        results = [killed.result(), stopped.result()]
    broken: list[str] = []
    for title, part in (("create", slice(0, count)), ("eval", slice(count, None))):
        outcomes = [outcome for _, found in results for outcome in found[part]]
        if not outcomes:
            continue
        print_table([[f"{title}, {HEAD[0]}", *HEAD[1:]], *(outcome.row for outcome in outcomes if outcome.row)])
        landed = sum(outcome.landed for outcome in outcomes)
        twice = [outcome.twice for outcome in outcomes]
        print(
            f"\n{landed} of {len(outcomes)} interruptions landed; {sum(twice)} calls made twice in all, {max(twice)} at"
        )
        print(f"most by one interruption ({IN_FLIGHT} can be in flight)\n")
        broken += [
            f"{title}: {' '.join(map(str, outcome.row[:3]))}: {w}" for outcome in outcomes for w in outcome.wrong
        ]
        if landed < len(outcomes) - 2 * ENDS:
            broken.append(f"{title}: only {landed} of {len(outcomes)} interruptions landed before its end")
    print(f"{time.monotonic() - started:.0f} s")
    finish(broken)


if __name__ == "__main__":
    main()
