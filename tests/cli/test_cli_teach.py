"""``skillforge create --cases-target``, with a recorded teacher in all its roles."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from moods import Cli, calls

from skillforge.suitefile import read_suite

CREATE = ("create", "Tell the mood", "--teacher", "scripted:roles.yaml", "--cases", "seeds.jsonl", "--name", "mood")
TARGET = (*CREATE, "--cases-target", "24")
SUBJECTS = [
    *("the harvest festival in Lisbon", "my broken bicycle chain", "tomorrow's chemistry exam", "an old jazz record"),
    *("grandmother's apple cake", "the delayed night train", "a job at the shipyard", "wet socks after football"),
    *("snow on the balcony", "the neighbour's drum kit", "a letter from Oslo", "seventeen unread invoices"),
    *("the puppy's first swim", "a torn theatre ticket", "our flat in Leeds", "Sunday with no coffee"),
    *("the lost library card", "fresh paint on the door", "a flight at dawn", "maths homework again"),
    *("the river in August", "a cracked phone screen", "the choir's last concert", "an empty fridge"),
]


@pytest.fixture
def home(repo: Path) -> Path:
    """A repository with seeds and a script that plays every role; no skill yet."""
    (repo / "skills" / "mood" / "skill.yaml").unlink()
    for file in (repo / "evals").iterdir():
        file.unlink()
    seeds = [
        {"id": f"r{n}", "input": {"text": f"message {'happy' if n % 2 else 'sad'}: {SUBJECTS[-n]}"}} for n in range(6)
    ]
    (repo / "seeds.jsonl").write_text("".join(json.dumps(seed) + "\n" for seed in seeds))
    written = {
        purpose: [{"text": f"{text}, so {'happy' if place % 2 else 'sad'}"} for place, text in enumerate(part)]
        for purpose, part in (("corners", SUBJECTS[:6]), ("noise", SUBJECTS[6:14]), ("hostile", SUBJECTS[14:18]))
    }
    rules = [
        {"when": {"role": "simulate", "contains": f'"{purpose}"'}, "reply": {"inputs": inputs}}
        for purpose, inputs in written.items()
    ]
    rules.append({"when": {"role": "simulate"}, "reply": "nothing comes to mind"})
    rules.append({"when": {"role": "critic"}, "reply": {"claims": [{"kind": "leak", "quote": "x"}]}})
    draft = {
        "name": "mood",
        "description": "Tell the mood of one message.",
        "input": {"text": {"type": "string", "maxLength": 2000}},
        "output": {"mood": {"enum": ["bad", "good"]}},
        "instructions": "Say good or bad.",
        "prompt": "{{ text }}",
        "examples": {"ids": "all", "select": "nearest", "k": 2},
        "checks": [],
    }
    rules.append({"when": {"role": "author"}, "reply": draft})
    rules.append({"when": {"role": "solve#2", "contains": "jazz"}, "reply": {"mood": "bad"}})
    rules += [
        {"when": {"contains": word}, "reply": {"mood": mood}} for word, mood in (("happy", "good"), ("sad", "bad"))
    ]
    (repo / "roles.yaml").write_text(json.dumps({"answers": rules, "log": "roles.log"}))
    return repo


def test_all_roles_in_one_command(cli: Cli, home: Path) -> None:
    made = cli(*TARGET)
    assert made.code == 0, made.err
    suite = read_suite(home / "evals/mood.yaml")
    assert "mood@1" in made.out
    assert f"evals/mood.yaml: {len(suite.cases)} cases" in made.out
    assert "test cases are simulated" in made.out
    assert "label balance" in made.out
    assert "critic scripted:roles.yaml: 0 of 1 claim confirmed" in made.out
    assert "nothing new was written any more" in made.out
    assert "1 input for a person to label: evals/mood-queue.yaml" in made.out
    assert "next: skillforge review mood-queue" in made.err
    for stage in ("solving", "simulating", "labelling", "freezing", "critic attacks"):
        assert stage in made.err


def test_json_and_the_same_again_asks_no_input(cli: Cli, home: Path) -> None:
    first = cli(*TARGET, "--json")
    asked = calls(home / "roles.log")
    again = cli(*TARGET, "--json")
    assert first.code == again.code == 0, again.err
    assert first.json["diversity"] == again.json["diversity"]
    assert first.json["suite"] == "evals/mood.yaml"
    assert set(first.json["splits"]) == {"train", "dev", "test"}
    left = [json.loads(line)["role"] for line in (home / "roles.log").read_text().splitlines()[asked:]]
    assert set(left) <= {"author", "run", "simulate"}, "garbage is no answer that is kept for good"


def test_a_verdict_on_simulated_cases_says_so(cli: Cli, home: Path) -> None:
    assert cli(*TARGET).code == 0
    measured = cli("eval", "mood", "--students", "scripted:roles.yaml", "--teacher", "scripted:roles.yaml")
    assert measured.code in (0, 1, 3), measured.err
    assert "cases are simulated" in measured.out


@pytest.mark.parametrize("after", [12, 62])
def test_killed_anywhere_the_same_command_comes_to_the_same_suite(cli: Cli, home: Path, after: int) -> None:
    script = json.loads((home / "roles.yaml").read_text())
    (home / "roles.yaml").write_text(json.dumps({**script, "latency_ms": 8}))
    log = home / "roles.log"
    log.write_text("")
    command = [sys.executable, "-m", "skillforge", *TARGET]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while calls(log) < after and process.poll() is None:
            time.sleep(0.002)
        process.kill()
    before = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(before) < 90, "it was killed on its way"
    assert cli(*TARGET).code == 0
    resumed = (home / "evals/mood.jsonl").read_bytes()
    asked = Counter(json.dumps([row["role"], row["input"]]) for row in map(json.loads, log.read_text().splitlines()))
    again = sum(count - 1 for name, count in asked.items() if '"solve' in name)
    assert again <= 32, "only what was under way when it died is asked again"
    for name in (".skillforge", "evals"):
        shutil.rmtree(home / name)
    (home / ".skillforge").mkdir()
    assert cli(*TARGET).code == 0
    assert (home / "evals/mood.jsonl").read_bytes() == resumed


def test_a_dry_run_asks_nothing_and_writes_nothing(cli: Cli, home: Path) -> None:
    told = cli(*TARGET, "--dry-run", "--json")
    assert told.code == 0, told.err
    assert calls(home / "roles.log") == 0
    assert [expense["what"] for expense in told.json["expenses"]] == [
        *("solve", "simulate", "label, first answer", "label, second answer"),
        *("write the skill", "prove it", "critique", "mend it (if needed)"),
    ]
    assert list((home / "evals").iterdir()) == []
    assert "simulate" in cli(*TARGET, "--dry-run").out


@pytest.mark.parametrize(
    "args",
    [
        (*CREATE, "--simulator", "scripted:roles.yaml"),
        (*CREATE, "--cases-target", "0"),
        (*TARGET, "--suite", "evals/mood.yaml"),
        (*TARGET, "-i", "text=x"),
        (*CREATE[:4], "--cases-target", "9"),
        (*TARGET, "--critic", "nobody:x"),
        ("create", "--cases-target", "9", "--cases", "seeds.jsonl"),
    ],
)
def test_a_mistake_costs_no_call_here_either(cli: Cli, home: Path, args: tuple[str, ...]) -> None:
    told = cli(*args)
    assert (told.code, told.out) == (2, ""), told.err
    assert told.err.startswith("error: ")
    assert calls(home / "roles.log") == 0
