"""``skillforge tune`` as it is typed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from moods import Cli, calls

IN_FLIGHT = 32  # a script's concurrency
# Right for every other case, whatever it is shown.
STUDENT = "answers: [{when: {contains: happy}, reply: {mood: good, why: happy}}]\ndefault: {mood: good, why: sad}\n"
SEARCH = ("tune", "mood", "--student", "scripted:student.yaml", "--no-test")


@pytest.fixture
def tunable(repo: Path) -> Path:
    """The repository with dev cases, and a student that logs its calls."""
    (repo / "student.yaml").write_text(f"{STUDENT}log: student.log\n")
    rows = []
    for split, count in (("dev", 24), ("train", 12), ("test", 20)):
        for number in range(count):
            mood, word = ("good", "happy") if number % 2 else ("bad", "sad")
            case = {"id": f"{split}{number}", "input": {"text": f"{split} {number}: I am {word}"}, "split": split}
            rows.append(json.dumps({**case, "expected": {"mood": mood, "why": word}}) + "\n")
    (repo / "evals" / "mood.jsonl").write_text("".join(rows))
    return repo


def test_it_prints_every_candidate_and_what_came_of_it(cli: Cli, tunable: Path) -> None:
    result = cli(*SEARCH, "--stages", "roots,examples")
    assert result.code == 0, result.err
    assert "the skill as it is" in result.out
    assert "nothing is proven better" in result.out
    assert "roots: 3 candidates" in result.err


def test_a_dry_run_asks_nothing(cli: Cli, tunable: Path) -> None:
    result = cli(*SEARCH, "--dry-run", "--budget", "400calls")
    assert result.code == 0, result.err
    assert "the budget stops it at 400 calls" in result.out
    assert calls(tunable / "student.log") == 0
    assert cli(*SEARCH, "--dry-run", "--json").json["stages"][0]["student"] == 24


def test_the_history_is_json_and_a_page(cli: Cli, tunable: Path) -> None:
    assert cli("tune", "mood", "--history").code == 2
    cli(*SEARCH, "--stages", "roots")
    before = calls(tunable / "student.log")
    found = cli("tune", "mood", "--history", "--json", "-o", "tuning.html").json
    assert [each["stage"] for each in found[0]["tried"]] == ["start", "roots", "roots", "roots"]
    assert "the skill as it is" in (tunable / "tuning.html").read_text()
    assert calls(tunable / "student.log") == before


def test_a_spent_budget_is_told_with_its_exit_code(cli: Cli, tunable: Path) -> None:
    result = cli(*SEARCH, "--budget", "20calls", "--json")
    assert result.code == 4
    assert result.json["status"] == "budget"
    assert calls(tunable / "student.log") <= 20


@pytest.mark.parametrize(
    "wrong",
    [
        ("--stages", "rots"),
        ("--budget", "much"),
        ("--budget", "0calls"),
        ("--optimizer", "magic"),
        ("--anchor", "nobody"),
        ("--dev", "0"),
        ("--tolerance", "nan"),
        ("--tolerance", "-1"),
        ("--tolerance", "1"),
        ("-o", "tree.pdf"),
    ],
)
def test_what_nobody_can_mean_is_refused_before_anything_is_asked(cli: Cli, tunable: Path, wrong: tuple[str]) -> None:
    result = cli(*SEARCH, *wrong)
    assert result.code == 2
    assert "->" in result.err
    assert calls(tunable / "student.log") == 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_tuning_that_is_killed_goes_on_and_asks_nothing_twice(
    cli: Cli, tunable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: signal.Signals
) -> None:
    (tunable / "student.yaml").write_text(f"{STUDENT}latency_ms: 20\nlog: student.log\n")
    search = (*SEARCH, "--stages", "roots")
    undisturbed = tmp_path.with_name(f"{tmp_path.name}-undisturbed")
    shutil.copytree(tunable, undisturbed)
    log = tunable / "student.log"
    command = [sys.executable, "-m", "skillforge", *search]
    with subprocess.Popen(command, cwd=tunable, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        deadline = time.monotonic() + 20
        while calls(log) < 30 and time.monotonic() < deadline:
            time.sleep(0.005)
        child.send_signal(how)
        _, told = child.communicate()
    if how == signal.SIGTERM:
        assert b"go on with: " in told
    killed_at = calls(log)
    resumed = cli(*search, "--json").json
    asked = calls(log)
    assert cli(*search).code == 0
    assert calls(log) == asked == resumed["calls"]
    monkeypatch.chdir(undisturbed)
    whole = cli(*search, "--json").json
    assert 30 <= killed_at < whole["calls"] <= asked <= whole["calls"] + IN_FLIGHT
    assert resumed["winner"] == whole["winner"]
    assert [each["quality"] for each in resumed["tried"]] == [each["quality"] for each in whole["tried"]]
