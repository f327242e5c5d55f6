"""``skillforge diff``."""

from __future__ import annotations

from pathlib import Path

from moods import Cli

MEASURE = ("--student", "scripted:right.yaml", "--teacher", "scripted:teacher.yaml", "--suite", "evals/mood.yaml")


def edit(repo: Path, old: str, new: str) -> None:
    file = repo / "skills" / "mood" / "skill.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_two_versions_and_what_was_measured(cli: Cli, repo: Path) -> None:
    assert cli("eval", "mood", *MEASURE).code == 0
    edit(repo, "name: mood\n", "name: mood\nlicense: MIT\n")
    edit(repo, "instructions:", "limits: {output_tokens: 64}\ninstructions:")
    done = cli("diff", "mood@1", "mood")
    assert done.code == 1
    assert "~ limits output_tokens\n  - 1024\n  + 64\n" in done.out
    assert "\x1b" not in done.out
    assert "scripted:right.yaml" in done.out
    assert "REPLACE" in done.out
    assert "mood@2: not measured" in done.err
    body = cli("diff", "mood@1", "mood", "--json").json
    assert body["changed"] is True
    assert body["a"]["evidence"][0]["verdict"] == "pass"
    assert body["a"]["evidence"][0]["difference"] == 0


def test_no_difference_is_exit_code_0(cli: Cli, repo: Path) -> None:
    done = cli("diff", "mood", "mood")
    assert done.code == 0
    assert done.out == ""
    assert "no difference" in done.err


def test_a_name_alone_is_the_deployed_version_against_the_file(cli: Cli, repo: Path) -> None:
    done = cli("diff", "mood")
    assert done.code == 2
    assert "nothing is promoted as production" in done.err
    risk = ("--accept-risk", "a test")
    assert cli("promote", "mood", "--student", "scripted:right.yaml", "--suite", "evals/mood.yaml", *risk).code == 0
    assert cli("diff", "mood").code == 0
    edit(repo, "instructions:", "limits: {output_tokens: 64}\ninstructions:")
    assert cli("diff", "mood").code == 1


def test_one_version_alone_is_a_usage_error(cli: Cli, repo: Path) -> None:
    done = cli("diff", "mood@1")
    assert done.code == 2
    assert "give both" in done.err
