"""``leaderboard``, ``recommend`` and ``requalify``: who was measured, whom to take, what a new model means."""

from __future__ import annotations

from pathlib import Path

import pytest
from moods import Cli

RIGHT, WRONG = "scripted:right.yaml", "scripted:wrong.yaml"


@pytest.fixture
def measured(cli: Cli, repo: Path) -> Cli:
    for student in (RIGHT, WRONG):
        done = cli("eval", "mood", "--teacher", RIGHT, "--students", student, "--arms", "skill")
        assert done.code in (0, 1, 3), done.err
    return cli


def test_the_board_shows_everybody_and_writes_its_page(measured: Cli, repo: Path) -> None:
    shown = measured("leaderboard", "mood", "-o", "board.html", "-o", "board.md")
    assert shown.code == 0, shown.err
    assert "right.yaml + skill" in shown.out
    assert "wrong.yaml + skill" in shown.out
    assert "<svg" in (repo / "board.html").read_text()
    assert (repo / "board.md").read_text().startswith("**mood v1")
    body = measured("leaderboard", "mood", "--json").json
    assert [entry["student"] for entry in body["entries"]][-1] == WRONG
    assert measured("leaderboard", "mood", "-o", "board.txt").code == 2


def test_a_recommendation_names_one_or_says_why_nobody(measured: Cli) -> None:
    found = measured("recommend", "mood", "--min-parity", ".5")
    assert (found.code, found.out.splitlines()[0]) == (0, "right.yaml + skill")
    nobody = measured("recommend", "mood", "--min-parity", ".5", "--local-only")
    assert nobody.code == 3
    assert "nobody surely meets this" in nobody.out
    assert measured("recommend", "mood", "--min-parity", "97").code == 2
    assert measured("recommend", "mood", "--min-parity", ".5", "--json").json["choice"]["student"] == RIGHT


def test_requalify_tells_what_a_new_model_means_and_writes_the_text(measured: Cli, repo: Path) -> None:
    assert measured("requalify", "--student", RIGHT).code == 2  # nothing is promoted
    done = measured("requalify", "--student", RIGHT, "--teacher", RIGHT, "--all", "-o", "pr.md")
    assert done.code == 0, done.err
    assert "MAY MOVE" in done.out
    assert "## Requalified on" in (repo / "pr.md").read_text()
    worse = measured("requalify", "--student", WRONG, "--teacher", RIGHT, "--all", "--json")
    assert worse.code == 1
    assert [outcome["advice"] for outcome in worse.json["outcomes"]] == ["worse"]


def test_requalify_says_what_nobody_can_mean(measured: Cli) -> None:
    assert "no skill nothing" in measured("requalify", "--student", RIGHT, "--skill", "nothing").err
    assert measured("requalify", "--student", RIGHT, "--all", "--limit", "3", "--move").code == 2
    assert measured("requalify", "--student", RIGHT, "-o", "pr.txt").code == 2
