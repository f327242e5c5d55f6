"""``skillforge eval``: the report, the exit codes, and going on after an interruption."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from moods import TEST, Cli, calls

TEACHER = ("--teacher", "scripted:teacher.yaml")
IN_FLIGHT = 32


def students(*names: str) -> tuple[str, ...]:
    listed = ",".join(f"scripted:{name}.yaml" for name in names)
    return ("eval", "mood", "--students", listed, *TEACHER, "--arms", "no-model,bare,skill")


def test_the_report_is_on_stdout_and_progress_on_stderr(cli: Cli, repo: Path) -> None:
    done = cli(*students("right"))
    assert done.code == 0, done.err
    assert f"mood v1 · {TEST} unseen cases · teacher scripted:teacher.yaml: 100.0% right" in done.out
    verdicts = [line.split("  ")[0].strip() for line in done.out.splitlines()[1:4]]
    assert verdicts == ["REPLACE"] * 3
    for word in ("right.yaml + skill", "right.yaml bare", "no-model", "you allow 5", "95% interval", "p95"):
        assert word in done.out
    assert "measuring" not in done.out
    assert f"measuring {4 * TEST}/{4 * TEST}" in done.err


def test_what_comes_next_is_said_where_a_student_passed(cli: Cli, repo: Path) -> None:
    told = "next: skillforge promote mood@1 --student scripted:right.yaml\n"
    assert cli(*students("wrong", "right")).err.endswith(told)
    assert "next:" not in cli(*students("wrong")).err
    assert "next:" not in cli(*students("right"), "--json").err


def test_no_promotion_is_advised_that_would_be_refused(cli: Cli, repo: Path) -> None:
    whole = "next: measure all the cases that decide: a part of them is no proof to promote on\n"
    assert cli(*students("right"), "--filter", "m").err.endswith(whole)
    assert cli(*students("right"), "--split", "all").err.endswith(whole)
    wished = cli(*students("right"), "--scorer", "exact")
    rescore = "(decision: {metric: exact}) and rescore: then it is proof to promote on\n"
    assert wished.err.endswith(f"next: write it into the suite {rescore}")
    assert "next:" not in cli(*students("right"), "--a-a").err


def test_a_part_and_another_rule_are_told_by_list_and_show(cli: Cli, repo: Path) -> None:
    cli(*students("right"), "--filter", "m1")
    row = cli("list", "--json").json[0]
    assert (row["verdict"], row["part"], row["wished"], row["stale"]) == ("inconclusive", "--filter m1", [], [])
    assert "NOT SURE (scripted:right.yaml), a part: --filter m1 " in cli("list").out
    assert "cases of mood (a part: --filter m1), " in cli("show", "mood").out
    cli(*students("right"), "--scorer", "exact")
    row = cli("list", "--json").json[0]
    assert (row["part"], row["wished"], row["stale"], row["changed"]) == ("", ["--scorer exact"], [], [])
    assert "REPLACE (scripted:right.yaml), with --scorer exact, which the suite does not say " in cli("list").out
    why = "  no proof: it was measured with --scorer exact, which the suite does not say: write it into the suite"
    assert f"{why} (decision: {{metric: exact}}) and rescore\n" in cli("show", "mood").out
    cli(*students("right"))
    cli(*students("right"), "--limit", "3")
    assert "REPLACE (scripted:right.yaml)  " in cli("list").out
    first, *rest = [line for line in cli("show", "mood").out.splitlines() if line.startswith("evidence:")]
    assert f"on {TEST} cases of mood, " in first
    assert "(a part: --limit 3)" in rest[0]


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (students("right"), 0),
        (students("wrong"), 1),
        ((*students("right"), "--limit", "20"), 3),
        ((*students("right"), "--time-limit", "0"), 4),
        (students("flaky"), 4),
        (("eval", "nobody", "--students", "scripted:right.yaml", *TEACHER), 2),
        (students("wrong", "right"), 0),
        ((*students("wrong", "right"), "--student", "scripted:wrong.yaml"), 1),
        ((*students("wrong", "right"), "--student", "scripted:right.yaml"), 0),
    ],
    ids=[
        "pass",
        "fail",
        "inconclusive",
        "no time",
        "infrastructure",
        "usage",
        "best of two",
        "named, fail",
        "named, pass",
    ],
)
def test_exit_codes(cli: Cli, repo: Path, args: tuple[str, ...], code: int) -> None:
    assert cli(*args, "--json").code == code


def test_one_student_may_be_named_with_the_option_alone(cli: Cli, repo: Path) -> None:
    done = cli("eval", "mood", "--student", "scripted:right.yaml", *TEACHER, "--limit", "4", "--json")
    assert {arm["student"] for arm in done.json["arms"] if arm["kind"] == "skill"} == {"scripted:right.yaml"}


def test_json_is_the_whole_report(cli: Cli, repo: Path) -> None:
    report = cli(*students("right"), "--json").json
    assert [arm["kind"] for arm in report["arms"]] == ["no-model", "bare", "skill"]
    assert (report["cases"], report["split"], report["reference"]) == (TEST, "test", "labels")
    skill = report["arms"][2]
    assert skill["versus_teacher"]["verdict"] == "pass"
    assert set(skill["bounds"]) == {"low", "high", "level"}


def test_limit_and_split(cli: Cli, repo: Path) -> None:
    assert cli(*students("right"), "--limit", "7", "--json").json["cases"] == 7
    assert cli(*students("right"), "--split", "train", "--json").json["split"] == "train"
    assert "there are: test, train, all" in cli(*students("right"), "--split", "dev").err


def test_a_second_eval_reuses_every_sample(cli: Cli, repo: Path) -> None:
    assert cli(*students("right"), "--limit", "10").code == 3
    assert calls(repo / "right.log") == 20
    again = cli(*students("right"))
    assert "40 from an earlier run" in again.out
    assert calls(repo / "right.log") == 2 * TEST
    assert cli(*students("right")).code == 0
    assert calls(repo / "right.log") == 2 * TEST


def test_an_interrupted_eval_says_how_to_go_on_and_does(cli: Cli, repo: Path) -> None:
    text = (repo / "right.yaml").read_text()
    (repo / "right.yaml").write_text(text + "latency_ms: 150\n")
    args = [sys.executable, "-W", "error", "-m", "skillforge", *students("right")]
    with subprocess.Popen(
        args,
        cwd=repo,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that started the tests in the background made this signal ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        deadline = time.monotonic() + 30
        while calls(repo / "right.log") <= IN_FLIGHT and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "samples are kept\n  -> go on with: " in err
    assert "Traceback" not in err
    asked = calls(repo / "right.log")
    assert IN_FLIGHT < asked < 2 * TEST
    again = cli(*students("right"))
    assert again.code == 0
    assert "from an earlier run" in again.out
    assert calls(repo / "right.log") <= 2 * TEST + IN_FLIGHT
    finished = calls(repo / "right.log")
    assert cli(*students("right")).code == 0
    assert calls(repo / "right.log") == finished


@pytest.mark.parametrize(
    "args",
    [
        (*students("right"), "--student", "scripted:other.yaml"),
        (*students("right"), "--limit", "0"),
        (*students("right"), "--max-errors", "0"),
        (*students("right"), "--time-limit", "-1"),
        (*students("right"), "--suite", "none.yaml"),
        ("eval", "mood", "--students", "scripted:right.yaml"),
        ("eval", "mood", *TEACHER),
        students("none"),
    ],
)
def test_mistakes_cost_no_call(cli: Cli, repo: Path, args: tuple[str, ...]) -> None:
    told = cli(*args)
    assert (told.code, told.out) == (2, "")
    assert calls(repo / "right.log") == calls(repo / "teacher.log") == 0
