"""gepa and the built-in reflector beside each other: same task, teacher and budget, every call counted at the model.

    python bench/optimizers.py [--budget 300] [--kills 6] [--seed 5]

A server on loopback plays both models. The student answers rightly for the labels its instructions name; the teacher
names one more label that went wrong, and misbehaves in turn: it talks around its JSON, copies a case and a secret,
writes without end. ``tune`` runs with each optimiser in a fresh repository.

Promises: the calls counted at the server are at most the budget, and as many as ``tune`` says; no request is sent
twice; another run sends none; the winner is better than the start (gepa alone gives back its start without a word); no
proposal holds what the teacher said around its answer, a copied case or a secret; the teacher sees no dev case; no
pickle is left.

Then ``skillforge tune`` is killed with ``kill -9`` in the middle, while calls are in flight, and run again to its end:
only what was in flight is asked again, and the winner is that of an undisturbed run. Without gepa its rows are left
out. It takes two to three minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from _shared import command, environment, finish, print_table

from skillforge import Forge
from skillforge.canonical import canonical_json, digest
from tests.fakes.faults import Fault
from tests.fakes.llm_server import LLMServer, last_text, request_text
from tests.fakes.reflection import LABELS, LAW, either

KEY = "fk-" + "4f9c1e7ab26d5380" * 2
SECRET = "sk-ant-api03-" + "Ab9dE3fGh1" * 9 + "AA"
CHATTER = "I hope this helps"
TRAIN, DEV = 48, 40
KINDS = ("reflect", "gepa")
SKILL = f"""\
schema: skillforge/v1
name: sorting
description: Sort messages.
input: {{text: {{type: string}}}}
output: {{label: {{enum: [{", ".join(LABELS)}]}}}}
instructions: |
  {LAW}
  Say apple for fruit.
prompt: "{{{{ text }}}}"
keep: ["{LAW}"]
"""
SUITE = """\
schema: skillforge/suite/v1
name: sorting
skill: sorting
decision: {metric: /label, margin: 0.1}
cases: file://sorting.jsonl
"""


class Models:
    """The student and the teacher behind the server. ``spoilt`` counts how the teacher misbehaved."""

    def __init__(self) -> None:
        self.spoilt: Counter[str] = Counter()

    def answer(self, body: dict[str, Any]) -> str:
        return self._reflect(body) if body["model"] == "teacher" else _student(body)

    def _reflect(self, body: dict[str, Any]) -> str:
        """By what is asked, not by how often: a call that is made again is answered as before."""
        prompt = last_text(body)
        good = either("", prompt)
        turn = int(digest(prompt)[-8:], 16) % 6
        copied = re.findall(r'"text": "(m\d[^"]*)"', prompt)
        if "it cannot be read" in prompt or turn > 2 or not copied:
            return good
        self.spoilt[("around", "copied", "endless")[turn]] += 1
        if turn == 0:
            return f"```json\n{good}\n```\n{CHATTER}! Use it with ```care```."
        return _with(json.loads(good), f"For '{copied[0]}' use {SECRET}." if turn == 1 else "Be thorough. " * 400)


def _with(answer: dict[str, Any], text: str) -> str:
    if "instructions" in answer:
        return json.dumps({**answer, "instructions": f"{answer['instructions']}\n{text}"})
    return json.dumps({**answer, "edits": [*answer["edits"], {"op": "add", "rule": 0, "text": text}]})


def _student(body: dict[str, Any]) -> str:
    label = next((label for label in LABELS if f"about {label}" in last_text(body)), LABELS[0])
    right = f"Say {label}" in request_text(body)
    return json.dumps({"label": label if right else LABELS[(LABELS.index(label) + 1) % len(LABELS)]})


def repository(root: Path, url: str) -> None:
    (root / ".skillforge").mkdir()
    (root / "skills" / "sorting").mkdir(parents=True)
    (root / "evals").mkdir()
    (root / "skills" / "sorting" / "skill.yaml").write_text(SKILL)
    (root / "evals" / "sorting.yaml").write_text(SUITE)
    (root / "evals" / "sorting.jsonl").write_text("".join(json.dumps(case) + "\n" for case in _cases()))
    price = "price = {input = 1, output = 4, cached = 0.1}"
    (root / "skillforge.toml").write_text(
        f'[endpoints.fake]\nkind = "openai-chat"\nbase_url = "{url}/v1"\napi_key_env = "FAKE_KEY"\n{price}\n'
    )


def _cases() -> list[dict[str, Any]]:
    made = []
    for number in range(TRAIN + DEV):
        label, split = LABELS[number % len(LABELS)], "train" if number < TRAIN else "dev"
        words = " ".join(f"m{number}{letter}" for letter in "abcde")
        given = {"text": f"{words} {split}{number} about {label}"}
        made.append({"id": f"n{number}", "input": given, "expected": {"label": label}, "split": split})
    return made


def wishes(kind: str, budget: int) -> dict[str, Any]:
    return {
        "student": "fake:student",
        "teacher": "fake:teacher",
        "budget": f"{budget}calls",
        "optimizer": kind,
        "stages": ["instructions"],
        "test": False,
    }


@dataclass
class Seen:
    """One run, as it was told and as it was counted at the server."""

    student: int = 0
    teacher: int = 0
    twice: int = 0
    told: int = 0
    again: int = 0
    before: float = 0.0
    after: float = 0.0
    proposals: int = 0
    spoilt: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)


def beside(kind: str, budget: int) -> Seen:
    models, seen = Models(), Seen()
    with tempfile.TemporaryDirectory() as name, LLMServer(answer=models.answer) as server:
        root = Path(name)
        repository(root, server.url)
        began = time.perf_counter()
        with Forge(root) as forge:
            tuned = forge.students.tune("sorting", **wishes(kind, budget))
            seen.seconds = time.perf_counter() - began
            calls = server.settle()
            forge.students.tune("sorting", **wishes(kind, budget))
            seen.again = len(server.settle()) - len(calls)
        bodies = Counter(canonical_json(call.body) for call in calls)
        seen.twice = len(calls) - len(bodies)
        seen.teacher = sum(call.body["model"] == "teacher" for call in calls)
        seen.student = len(calls) - seen.teacher
        seen.told, seen.proposals, seen.spoilt = tuned.calls, len(tuned.tried) - 1, models.spoilt
        seen.before = (tuned.start.quality if tuned.start else None) or 0.0
        seen.after = (tuned.best.quality if tuned.best else None) or 0.0
        prompts = "\n".join(request_text(call.body) for call in calls if call.body["model"] == "teacher")
        texts = "\n".join(each.variant.instructions or "" for each in tuned.tried)
        promises = {
            "no more calls than the budget": len(calls) <= budget,
            "the calls it tells are those the server counted": seen.told == len(calls),
            "no request is sent twice": seen.twice == 0,
            "another run sends none": seen.again == 0,
            "the winner is better than the start": seen.after > seen.before,
            "what stands around an answer is in no proposal": CHATTER not in texts,
            "no secret and no case in a proposal": SECRET not in texts and not re.search(r"m\d+a m\d+b", texts),
            "the kept sentence stands in every proposal": all(
                LAW in (each.variant.instructions or LAW) for each in tuned.tried
            ),
            "the teacher sees no dev case": "dev" not in prompts,
            "no state is left but the store": not [
                path for path in root.rglob("*") if path.suffix in (".bin", ".pkl", ".pickle")
            ],
        }
        seen.broken = [f"{kind}: {promise}" for promise, kept in promises.items() if not kept]
    return seen


def interrupted(kind: str, budget: int, after: int) -> tuple[int, int, int, int, str]:
    """Kill one tuning once ``after`` calls were answered and the next stand unanswered; run it again to its end.

    (calls answered before, in flight at the kill, calls after, answered calls that were sent again, the winner).
    """
    models = Models()
    stalled = {"after": after}

    def fault(number: int, body: Any) -> Fault | None:
        return Fault("stall") if number > stalled["after"] else None

    with tempfile.TemporaryDirectory() as name, LLMServer(answer=models.answer, faults=fault) as server:
        root = Path(name)
        repository(root, server.url)
        asked = wishes(kind, budget)
        args = ("tune", "sorting", "--student", asked["student"], "--teacher", asked["teacher"], "--no-test")
        more = ("--budget", asked["budget"], "--optimizer", kind, "--stages", "instructions", "--json")
        env = environment(FAKE_KEY=KEY)
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command(*args, *more), cwd=root, env=env, stdout=quiet, stderr=quiet) as process:
            while process.poll() is None and not _stands(server, after):
                time.sleep(0.05)
            process.kill()
        before = [canonical_json(call.body) for call in server.calls[:after]]
        flying = [canonical_json(call.body) for call in server.calls[after:]]
        stalled["after"] = 10**9
        done = subprocess.run(command(*args, *more), cwd=root, env=env, capture_output=True, text=True, timeout=120)
        later = [canonical_json(call.body) for call in server.settle()[len(before) + len(flying) :]]
        again = sum((Counter(before) & Counter(later)).values())
        if done.returncode not in (0, 4):
            return len(before), len(flying), len(later), again, f"failed: {done.stderr[-300:]}"
        return len(before), len(flying), len(later), again, json.loads(done.stdout)["winner"]


def _stands(server: LLMServer, after: int) -> bool:
    """Whether all that was answered has reached the store: nothing but stalled calls for a while."""
    calls = server.calls
    if len(calls) <= after:
        return False
    ended = [call.ended for call in calls[:after]]
    return None not in ended and time.monotonic() - max(call.started for call in calls) > 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=int, default=300, help="calls, student and teacher together")
    parser.add_argument("--kills", type=int, default=6, help="of each optimiser")
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    os.environ["FAKE_KEY"] = KEY
    kinds = [kind for kind in KINDS if kind != "gepa" or find_spec("gepa")]
    broken: list[str] = []
    head = ["optimiser", "student calls", "teacher calls", "budget", "told", "twice", "again", "candidates", "start"]
    rows: list[list[object]] = [[*head, "best", "s", "spoilt answers"]]
    needed: dict[str, int] = {}
    for kind in kinds:
        seen = beside(kind, given.budget)
        needed[kind] = seen.student + seen.teacher
        figures = (seen.student, seen.teacher, given.budget, seen.told, seen.twice, seen.again, seen.proposals)
        rows.append(
            [kind, *figures, f"{seen.before:.3f}", f"{seen.after:.3f}", f"{seen.seconds:.1f}", dict(seen.spoilt)]
        )
        broken += seen.broken
    print_table(rows)
    print()
    chance = random.Random(given.seed)
    rows = [["optimiser", "killed after", "in flight", "calls afterwards", "answered calls sent again", "winner"]]
    for kind in kinds:
        *_, undisturbed = interrupted(kind, given.budget, 10**6)
        for _ in range(given.kills):
            after = chance.randrange(1, needed[kind])
            before, flying, later, again, winner = interrupted(kind, given.budget, after)
            rows.append([kind, before, flying, later, again, "the same" if winner == undisturbed else winner])
            broken += [f"{kind}, killed after {after}: {again} answered calls were sent again"] if again else []
            broken += [f"{kind}, killed after {after}: another winner"] if winner != undisturbed else []
    print_table(rows)
    finish(broken)


if __name__ == "__main__":
    main()
