"""``skillforge judge align``: measured on one half, helped by the other, kept between two calls."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from moods import Cli, calls

from skillforge.errors import UsageError
from skillforge.forge.forge import Forge
from skillforge.messages import Request
from skillforge.providers.scripted import Scripted

JUDGE = "scripted:judge"
IN_FLIGHT = 32


def labels(path: Path, count: int = 60) -> Path:
    rows = []
    for number in range(count):
        word, label = ("good", "pass") if number % 3 else ("bad", "fail")
        rows.append({"input": {"n": number}, "output": f"answer {number} is {word}", "label": label})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def learns(request: Request) -> str:
    """Passes everything until it was shown that some fail."""
    taught = any("GRADE: 1" in message.text for message in request.messages if message.role == "assistant")
    return "GRADE: 1" if taught and "bad" in request.key.input["answer"] else "GRADE: 5"


def forge_with(root: Path, default: Any) -> Forge:
    return Forge(root, providers={JUDGE: Scripted(default=default, name=JUDGE)})


def test_examples_that_help_are_written_and_kept(repo: Path) -> None:
    path = labels(repo / "labels.jsonl")
    with forge_with(repo, learns) as forge:
        found = forge.judges.align(path, JUDGE, rubric="Good?", examples_out=repo / "evals" / "good.jsonl")
        assert found.kept
        assert (found.before.kappa, found.after and found.after.kappa) == (0.0, 1.0)
        assert found.examples == 8
        assert found.labels == 60
        assert found.measured == found.before.n
        paid = found.paid
        again = forge.judges.align(path, JUDGE, rubric="Good?")
    assert (again.paid, again.calls) == (0, paid)
    assert len((repo / "evals" / "good.jsonl").read_text().splitlines()) == 8


def test_examples_that_do_not_help_are_not_written(repo: Path) -> None:
    with forge_with(repo, "GRADE: 5") as forge:
        found = forge.judges.align(labels(repo / "l.jsonl"), JUDGE, examples_out=repo / "x.jsonl")
    assert not found.kept
    assert not (repo / "x.jsonl").exists()


def test_wishes_that_contradict_each_other_are_refused(repo: Path) -> None:
    path = labels(repo / "l.jsonl")
    with forge_with(repo, "GRADE: 5") as forge:
        for wishes in (
            {},
            {"judge": JUDGE, "rubric": "x", "suite": "evals/mood.yaml", "scorer": "y"},
            {"judge": JUDGE, "scorer": "y"},
            {"judge": JUDGE, "suite": "evals/mood.yaml", "scorer": "nobody"},
            {"judge": JUDGE, "examples_out": "no/such/folder.jsonl"},
        ):
            with pytest.raises(UsageError):
                forge.judges.align(path, **wishes)


def test_the_command_prints_both_measurements(cli: Cli, repo: Path) -> None:
    (repo / "judge.yaml").write_text('default: "fine\\nGRADE: 5"\n')
    labels(repo / "labels.jsonl")
    done = cli("judge", "align", "labels.jsonl", "--judge", "scripted:judge.yaml")
    assert done.code == 0, done.err
    assert "without examples" in done.out
    assert "with 8 examples" in done.out
    assert "did not help" in done.err
    told = json.loads(cli("judge", "align", "labels.jsonl", "--judge", "scripted:judge.yaml", "--json").out)
    assert (told["paid"], told["kept"], told["before"]["kappa"]) == (0, False, 0.0)


def test_pairs_tell_how_often_the_order_decided(cli: Cli, repo: Path) -> None:
    (repo / "judge.yaml").write_text('default: "VERDICT: A"\n')
    rows = [{"input": n, "output_a": f"a{n}", "output_b": f"b{n}", "label": "12"[n % 2]} for n in range(30)]
    (repo / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = cli("judge", "align", "pairs.jsonl", "--judge", "scripted:judge.yaml")
    assert done.code == 0, done.err
    assert "changed by order" in done.out
    assert "100.0%" in done.out


def test_a_judge_that_grades_nothing_is_said_so(cli: Cli, repo: Path) -> None:
    (repo / "judge.yaml").write_text('default: "lovely"\n')
    labels(repo / "labels.jsonl", 20)
    done = cli("judge", "align", "labels.jsonl", "--judge", "scripted:judge.yaml")
    assert "cannot judge here" in done.err


def test_wrong_labels_are_a_usage_error(cli: Cli, repo: Path) -> None:
    (repo / "labels.jsonl").write_text('{"output": "x"}\n')
    done = cli("judge", "align", "labels.jsonl", "--judge", "scripted:judge.yaml")
    assert done.code == 2
    assert "labels.jsonl:1" in done.err


JUDGED = """\
schema: skillforge/suite/v1
name: mood
judge: scripted:judge.yaml
scorers:
  apt: {type: rubric, rubric: "Is the reason apt?"}
  better: {type: pairwise}
decision: {metric: apt}
cases: file://mood.jsonl
"""


@pytest.mark.parametrize("after", [3, 60, 90])
def test_a_killed_eval_pays_its_judge_for_nothing_twice(cli: Cli, repo: Path, after: int) -> None:
    """One student, a teacher: 60 cases each, every answer graded, every pair that differs asked twice."""
    (repo / "evals" / "mood.yaml").write_text(JUDGED)
    (repo / "judge.yaml").write_text('default: "fine\\nGRADE: 4"\nlatency_ms: 30\nlog: judge.log\n')
    (repo / "other.yaml").write_text("default: {mood: good, why: message}\n")
    args = ("eval", "mood", "--students", "scripted:other.yaml", "--teacher", "scripted:teacher.yaml")
    asked = (*args, "--arms", "skill", "--scorer", "apt", "--json")
    command = [sys.executable, "-m", "skillforge", *asked]
    nothing = subprocess.DEVNULL
    log = repo / "judge.log"
    with subprocess.Popen(command, cwd=repo, stdout=nothing, stderr=nothing) as process:
        deadline = time.monotonic() + 30
        while calls(log) < after and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        process.kill()
    first = calls(log)
    resumed = cli(*asked).json
    whole = cli(*asked).json
    judge = next(audit for audit in whole["judges"] if audit["scorer"] == "apt")
    assert judge["paid"] == 0
    judgements = sum(audit["calls"] for audit in whole["judges"])
    assert judgements <= calls(log) <= judgements + IN_FLIGHT
    assert first <= calls(log)
    for report in (resumed, whole):
        for audit in report["judges"]:
            audit["paid"] = 0
        for name in ("samples", "reused", "seconds", "spent_usd"):
            report.pop(name)
    assert resumed == whole
