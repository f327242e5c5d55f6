"""``kill -9`` in the middle of an eval, again and again: nothing finished is ever paid for twice.

    python bench/kill_resume.py [cases] [kills]

The scripted models write a line to a log when a call *arrives*, in one atomic write, so the count survives the kills.
Promise: calls = cases x model arms + repairs + at most those in flight at each kill; another run asks nothing at all.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from _shared import command, environment, finish, print_table, skillforge

MODEL_ARMS = 3  # teacher, student bare, student + skill; the no-model arm calls nobody
IN_FLIGHT = 64  # 32 at the teacher and 32 at the student
LATENCY_MS = 40

SKILL = """\
schema: skillforge/v1
name: parity
description: Say whether a number is even or odd.
input: {number: {type: string}}
output: {answer: {enum: [even, odd]}}
instructions: Look at the last digit.
prompt: "{{ number }}"
"""
# Every number that ends in 7 is answered wrongly at first and right after one repair.
MODEL = """\
answers:
  - {when: {role: run, contains: "7."}, reply: {answer: perhaps}}
%s
latency_ms: %d
log: %s
"""


def prepare(root: Path, cases: int) -> None:
    rules = "\n".join(
        f'  - {{when: {{contains: "{digit}."}}, reply: {{answer: {"odd" if digit % 2 else "even"}}}}}'
        for digit in range(10)
    )
    (root / "student.yaml").write_text(MODEL % (rules, LATENCY_MS, "student.log"))
    (root / "teacher.yaml").write_text(MODEL % (rules, LATENCY_MS, "teacher.log"))
    done = skillforge("init", ".", cwd=root)
    assert done.code == 0, done.err
    (root / "skills" / "parity").mkdir()
    (root / "skills" / "parity" / "skill.yaml").write_text(SKILL)
    listed = [
        {"id": f"n{number}", "input": {"number": f"{number}."}, "expected": {"answer": "odd" if number % 2 else "even"}}
        for number in range(cases)
    ]
    (root / "evals" / "parity.jsonl").write_text("".join(json.dumps(case) + "\n" for case in listed))
    suite = "schema: skillforge/suite/v1\nname: parity\ndecision: {margin: 0.2}\ncases: file://parity.jsonl\n"
    (root / "evals" / "parity.yaml").write_text(suite)


EVAL = ("eval", "parity", "--students", "scripted:student.yaml", "--teacher", "scripted:teacher.yaml", "--json")


def calls(root: Path) -> int:
    logs = (root / "student.log", root / "teacher.log")
    return sum(log.read_bytes().count(b"\n") for log in logs if log.exists())


def stored(root: Path) -> tuple[int, int]:
    """Finished samples of the model arms, and repairs among their attempts."""
    with closing(sqlite3.connect(root / ".skillforge" / "registry.db")) as db:
        samples = db.execute("SELECT count(*) FROM samples WHERE status = 'ok' AND arm <> 'no-model'").fetchone()[0]
        repairs = db.execute("SELECT count(*) FROM attempts WHERE kind = 'repair'").fetchone()[0]
    return samples, repairs


def killed(root: Path, after: int) -> bool:
    """Start the eval, kill it once ``after`` more calls have arrived; whether it was still running then."""
    wanted = calls(root) + after
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command(*EVAL), cwd=root, env=environment(), stdout=quiet, stderr=quiet) as process:
        while process.poll() is None and calls(root) < wanted:
            time.sleep(0.002)
        running = process.poll() is None
        process.kill()
    return running


def main() -> None:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        prepare(root, cases)
        rows: list[list[object]] = [["step", "calls so far", "samples kept", "repairs kept"]]
        landed = 0
        for number in range(1, kills + 1):
            landed += killed(root, after=MODEL_ARMS * cases // (kills + 1))
            rows.append([f"kill -9, number {number}", calls(root), *stored(root)])
        last = skillforge(*EVAL, cwd=root)
        samples, repairs = stored(root)
        rows.append(["run to its end", calls(root), samples, repairs])
        made = calls(root)
        again = skillforge(*EVAL, cwd=root)
        rows.append(["run once more", calls(root), *stored(root)])
        again_calls = calls(root) - made
    print_table(rows)
    needed = MODEL_ARMS * cases + repairs
    bound = landed * IN_FLIGHT
    print(f"\n{cases} cases x {MODEL_ARMS} model arms + {repairs} repairs = {needed} calls needed")
    print(f"{made} calls arrived: {made - needed} beyond, at most {bound} were in flight at {landed} kills")
    report = json.loads(last.out) if last.out else {"teacher": {"quality": None}, "arms": []}
    right = [arm["quality"] for arm in (report["teacher"], *report["arms"])]
    print(f"share right by arm: {right}; exit code {last.code}, {again.code} when run once more")
    promises = {
        "every kill landed in the middle of an eval": landed == kills,
        "the eval finishes, everything right": last.code == 0 and right == [1.0] * MODEL_ARMS,
        "every sample is there once": samples == MODEL_ARMS * cases,
        "repairs were needed": repairs > 0,
        "nothing finished was paid for twice": needed <= made <= needed + bound,
        "a finished eval asks nothing": again_calls == 0 and again.code == 0,
    }
    finish([promise for promise, kept in promises.items() if not kept])


if __name__ == "__main__":
    main()
