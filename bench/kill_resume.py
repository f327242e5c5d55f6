"""``kill -9`` at random points of an eval with a judge: nothing finished is paid for twice, nothing is added up wrong.

    python bench/kill_resume.py [cases] [kills] [seed]

One eval runs to its end undisturbed. Then, for every kill, the same eval starts in a fresh repository, is killed once a
random number of calls has arrived, and is run again to its end. The scripted models write a line to a log when a call
*arrives*, in one atomic write, so the count survives the kills.

Promise: the summary equals the undisturbed one byte for byte (times and counts of what was reused aside); calls =
those of the undisturbed eval (its repairs included) + at most those of the samples in flight at the kill, the judge's
too; another run asks nothing at all. A sample in flight that is being repaired has made two calls: the first answer of
a model that costs something is kept for it, that of a free one such as these is asked for again.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _shared import command, environment, finish, print_table, skillforge

MODELS = ("teacher", "student", "judge")
IN_FLIGHT = 32  # a scripted model's concurrency: samples, each of one call or, with its repair, two
LATENCY_MS = 20

SKILL = """\
schema: skillforge/v1
name: parity
description: Say whether a number is even or odd.
input: {number: {type: string}}
output: {answer: {enum: [even, odd]}, why: {type: string}}
instructions: Look at the last digit.
prompt: "{{ number }}"
"""
SUITE = """\
schema: skillforge/suite/v1
name: parity
judge: scripted:judge.yaml
scorers: {tone: {type: rubric, rubric: The reason is friendly., path: /why}}
decision: {metric: /answer, margin: 0.2}
cases: file://parity.jsonl
"""
# Every number that ends in 7 is answered wrongly at first and right after one repair.
MODEL = """\
answers:
  - {when: {role: run, contains: "7."}, reply: {answer: perhaps, why: I guess}}
%s
latency_ms: %d
log: %s.log
"""
# Of every number that ends in 3 the judge's first reply cannot be read.
JUDGE = """\
answers:
  - {when: {role: judge, contains: "3."}, reply: Who can say?}
  - {when: {contains: "1."}, reply: "Rather curt.\\nGRADE: 3"}
default: "Fine.\\nGRADE: 5"
latency_ms: %d
log: judge.log
"""
EVAL = (
    *("eval", "parity", "--students", "scripted:student.yaml", "--teacher", "scripted:teacher.yaml"),
    *("--arms", "bare,skill", "--json"),
)


def prepare(root: Path, cases: int) -> None:
    for name in ("teacher", "student"):
        rules = "\n".join(
            f'  - {{when: {{contains: "{digit}."}}, reply: {{answer: {"odd" if digit % 2 else "even"}, why: "{name}: '
            f'it ends in {digit}."}}}}'
            for digit in range(10)
        )
        (root / f"{name}.yaml").write_text(MODEL % (rules, LATENCY_MS, name))
    (root / "judge.yaml").write_text(JUDGE % LATENCY_MS)
    done = skillforge("init", ".", cwd=root)
    assert done.code == 0, done.err
    (root / "skills" / "parity").mkdir()
    (root / "skills" / "parity" / "skill.yaml").write_text(SKILL)
    listed = [
        {"id": f"n{number}", "input": {"number": f"{number}."}, "expected": {"answer": "odd" if number % 2 else "even"}}
        for number in range(cases)
    ]
    (root / "evals" / "parity.jsonl").write_text("".join(json.dumps(case) + "\n" for case in listed))
    (root / "evals" / "parity.yaml").write_text(SUITE)


def calls(root: Path) -> dict[str, int]:
    logs = {name: root / f"{name}.log" for name in MODELS}
    return {name: log.read_bytes().count(b"\n") if log.exists() else 0 for name, log in logs.items()}


def killed(root: Path, wanted: int) -> bool:
    """Start the eval, kill it once ``wanted`` calls have arrived; whether it was still running then."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command(*EVAL), cwd=root, env=environment(), stdout=quiet, stderr=quiet) as process:
        while process.poll() is None and sum(calls(root).values()) < wanted:
            time.sleep(0.001)
        running = process.poll() is None
        process.kill()
    return running


def summary(printed: str) -> bytes:
    """The printed report without what a clock says and what was reused, as bytes."""
    report = json.loads(printed)

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            left_out = ("seconds", "reused", "paid", "spent_usd", "p50_s", "p95_s")
            return {name: without(item) for name, item in value.items() if name not in left_out}
        return [without(item) for item in value] if isinstance(value, list) else value

    return json.dumps(without(report), sort_keys=True).encode()


def experiment(cases: int, wanted: int) -> tuple[bool, dict[str, int], bytes, int]:
    """Kill one eval and finish it: whether the kill landed, the calls of both, the summary, calls of a third run."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        prepare(root, cases)
        landed = killed(root, wanted) if wanted else False
        done = skillforge(*EVAL, cwd=root)
        made = calls(root)
        skillforge(*EVAL, cwd=root)
        again = sum(calls(root).values()) - sum(made.values())
        return landed, made, summary(done.out), again


def main() -> None:
    cases, kills, seed = (int(given) for given in (*sys.argv[1:], *("200", "20", "5")[len(sys.argv) - 1 :]))
    _, needed, expected, again = experiment(cases, 0)
    total = sum(needed.values())
    chance = random.Random(seed)
    rows: list[list[object]] = [["killed after", "landed", *MODELS, "beyond", "summary"]]
    rows.append(["(undisturbed)", "", *needed.values(), 0, f"{len(expected):,} bytes"])
    broken = [] if again == 0 else ["a finished eval asks nothing"]
    landings = 0
    for number in range(1, kills + 1):
        wanted = chance.randrange(1, total)
        landed, made, found, again = experiment(cases, wanted)
        landings += landed
        beyond = {name: made[name] - needed[name] for name in MODELS}
        rows.append([wanted, landed, *made.values(), sum(beyond.values()), "equal" if found == expected else "DIFFERS"])
        promises = {
            "the summary is the undisturbed one": found == expected,
            "nothing finished was paid for twice": all(0 <= more <= 2 * IN_FLIGHT for more in beyond.values()),
            "a finished eval asks nothing": again == 0,
        }
        broken += [f"kill {number}: {promise}" for promise, kept in promises.items() if not kept]
    print_table(rows)
    print(f"\n{cases} cases; {total} calls needed; {landings} of {kills} kills landed in the middle of an eval")
    print(f"at most {IN_FLIGHT} samples of each model are in flight at a kill, each with one call or two")
    finish(broken)


if __name__ == "__main__":
    main()
