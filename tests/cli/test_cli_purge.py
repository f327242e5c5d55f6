from __future__ import annotations

import json

import pytest
from moods import Cli


@pytest.fixture
def ran(repo, cli: Cli) -> None:
    done = cli("run", "skills/mood", "-i", "text=message 1: I am happy", "--student", "scripted:right.yaml")
    assert done.code == 0


def test_what_would_go_is_said_before_it_is_asked_and_no_is_no(ran, cli: Cli) -> None:
    for answer in (b"n\n", b""):
        done = cli("purge", "--older-than", "0h", "--json", stdin=answer)
        assert (done.code, done.out.strip()) == (2, "")
        assert "1 runs would be erased" in done.err
        assert "nothing was erased" in done.err
    assert json.loads(cli("cost", "--json").out)["lines"][0]["runs"] == 1


def test_json_is_alone_on_stdout_also_where_it_asks(ran, cli: Cli) -> None:
    done = cli("purge", "--older-than", "0h", "--json", stdin=b"y\n")
    assert done.code == 0
    assert json.loads(done.out)["rows"] == {"runs": 1}
    assert json.loads(cli("cost", "--json").out)["lines"] == []


def test_what_is_left_is_exit_code_1(ran, repo, cli: Cli) -> None:
    given = repo / "given.json"
    given.write_text(json.dumps({"text": "message 1: I am happy"}))
    (repo / "evals" / "mood.today.jsonl").write_text(
        json.dumps({"case": "m1", "subject": "guest-7", "input": {"text": "message 1: I am happy"}}) + "\n"
    )
    done = cli("purge", "--subject", "guest-7", "--yes")
    assert done.code == 1
    assert "given.json: may still hold it" in done.err


@pytest.mark.parametrize(
    "words", [(), ("--older-than", "3x"), ("--subject", " "), ("--older-than", "1d", "--subject", "a")]
)
def test_what_cannot_be_meant_is_usage(repo, cli: Cli, words: tuple[str, ...]) -> None:
    assert cli("purge", *words, "--yes").code == 2


def test_what_a_deployed_version_holds_up_is_said_with_the_commands_that_go_on(repo, cli: Cli) -> None:
    text = "message 1: I am happy"
    path = repo / "skills" / "mood" / "skill.yaml"
    example = {"id": "e0", "input": {"text": text}, "output": {"mood": "good", "why": "happy"}}
    body = path.read_text()
    path.write_text(body.replace("  items:\n", f"  items:\n    - {json.dumps(example)}\n", 1))
    promoted = ("promote", "mood", "--student", "scripted:right.yaml", "--accept-risk", "a test")
    assert cli(*promoted).code == 0
    case = {"id": "m1", "input": {"text": text}, "subject": "guest-7"}
    (repo / "evals" / "more.jsonl").write_text(json.dumps(case) + "\n")
    for _ in range(2):
        done = cli("purge", "--subject", "guest-7", "--yes")
        assert done.code == 1
        assert "mood@1 (production) is deployed and holds texts of the subject" in done.err
        assert "recorded calls, runs, cases and versions wait" in done.err
        assert "skillforge promote mood --student PROVIDER:MODEL\n" in done.err
        assert "skillforge undeploy mood\n" in done.err
        assert "nothing to erase" not in done.err
    assert cli("undeploy", "mood").code == 0
    assert cli("purge", "--subject", "guest-7", "--yes").code == 0
