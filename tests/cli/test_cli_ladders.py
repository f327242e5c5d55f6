"""``run --student "a > b"`` says who answered; ``suite candidates`` shows and takes what went up."""

from __future__ import annotations

import json
from pathlib import Path

from moods import Cli

LADDER = "scripted:wrong.yaml > scripted:right.yaml"


def test_run_says_who_answered_and_why_on_stderr(cli: Cli, repo: Path) -> None:
    done = cli("run", "mood", "--student", LADDER, "-i", "text=so happy")
    assert (done.code, done.json) == (0, {"mood": "good", "why": "happy"})
    assert "scripted:wrong.yaml: failed: " in done.err
    assert "answered by scripted:right.yaml (2 of 2 rungs asked)" in done.err
    whole = cli("run", "mood", "--student", LADDER, "-i", "text=so happy", "--json").json
    assert [rung["student"] for rung in whole["rungs"]] == LADDER.split(" > ")
    assert whole["rungs"][0]["output"] == {"mood": "good", "why": "message"}


def test_a_first_rung_that_is_right_is_asked_alone(cli: Cli, repo: Path) -> None:
    done = cli("run", "mood", "--student", "scripted:right.yaml > scripted:wrong.yaml", "-i", "text=so sad")
    assert "answered by scripted:right.yaml (1 of 2 rungs asked)" in done.err


def test_a_ladder_that_is_none_is_a_usage_error(cli: Cli, repo: Path) -> None:
    done = cli("run", "mood", "--student", "scripted:right.yaml > ", "-i", "text=so sad")
    assert done.code == 2
    assert "without a name" in done.err


def test_an_eval_tells_who_answered_and_the_next_step_quotes_the_ladder(cli: Cli, repo: Path) -> None:
    (repo / "never.yaml").write_text("default: I cannot say\n")
    ladder = "scripted:never.yaml > scripted:right.yaml"
    asked = ("eval", "mood", "--teacher", "scripted:right.yaml", "--arms", "skill")
    done = cli(*asked, "--students", ladder)
    assert done.code == 0, done.err
    assert "REPLACE" in done.out
    assert "who answered" in done.out
    assert f"--student '{ladder}'" in done.err
    promoted = cli("promote", "mood", "--student", ladder)
    assert promoted.code == 0, promoted.err
    assert "answered by scripted:right.yaml" in cli("run", "mood", "-i", "text=so happy").err
    body = cli(*asked, "--students", ladder, "--student", ladder, "--json")
    assert body.code == 0
    (arm,) = body.json["arms"]
    assert [rung["share"] for rung in arm["rungs"]] == [0.0, 1.0]


def test_candidates_are_shown_and_taken_into_the_train_split(cli: Cli, repo: Path) -> None:
    for text in ("so very happy today", "so very sad today", "so very happy today"):
        cli("run", "mood", "--student", LADDER, "-i", f"text={text}")
    shown = cli("suite", "candidates", "mood")
    assert shown.code == 0
    assert "so very happy today" in shown.out
    assert 'scripted:wrong.yaml: {"mood": "good", "why": "message"} (failed: ' in shown.out
    assert 'scripted:right.yaml: {"mood": "bad", "why": "sad"}' in shown.out
    assert "2 candidates of mood" in shown.err
    listed = cli("suite", "candidates", "mood", "--json").json
    assert [item["input"]["text"] for item in listed] == ["so very happy today", "so very sad today"]

    taken = cli("suite", "candidates", "mood", "--take", "1")
    assert taken.code == 0
    assert "1 case added to train" in taken.out
    assert "1 candidate still waiting" in taken.out
    assert "measure again" in taken.err
    body = cli("suite", "candidates", "mood", "--take", "all", "--json").json
    assert (len(body["added"]), body["waiting"]) == (1, 0)
    rows = [json.loads(line) for line in (repo / "evals/mood.jsonl").read_text().splitlines()]
    first, second = rows[-2:]
    assert (first["input"]["text"], first["expected"], first["split"]) == (
        "so very happy today",
        {"mood": "good", "why": "happy"},
        "train",
    )
    assert second["metadata"]["provenance"] == "escalated"
    assert second["metadata"]["answered_by"] == "scripted:right.yaml"
    assert cli("suite", "candidates", "mood", "--json").json == []


def test_a_take_that_is_no_number_is_a_usage_error(cli: Cli, repo: Path) -> None:
    for wrong in ("0", "-1", "many", "1.5"):
        assert cli("suite", "candidates", "mood", f"--take={wrong}").code == 2


def test_what_a_rung_said_cannot_steer_the_terminal(cli: Cli, repo: Path) -> None:
    (repo / "loud.yaml").write_text('default: "\\e[2J gone"\n')
    done = cli("run", "mood", "--student", "scripted:loud.yaml > scripted:right.yaml", "-i", "text=so happy \x1b[2J")
    assert "\x1b" not in done.err
    assert "\x1b" not in cli("suite", "candidates", "mood").out
