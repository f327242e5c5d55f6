from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from moods import Cli, Result

from tests.fakes import teacher
from tests.fakes.llm_server import Fault, LLMServer, refuse


def told_by(result: Result) -> tuple[int, str, str]:
    return result.code, result.out, result.err


CREATE = ("create", teacher.TASK, "--cases", "evals/mood.jsonl", "--suite", "evals/mood.yaml")
EVAL = ("eval", "mood", "--students", "chat:small")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LLMServer]:
    monkeypatch.setenv("FAKE_KEY", teacher.KEY)
    with LLMServer(answer=teacher.answer, key=teacher.KEY) as running:
        teacher.repository(tmp_path, running.url)
        yield running


def test_a_dry_run_prints_calls_tokens_and_dollars_and_asks_nothing(cli: Cli, server: LLMServer) -> None:
    code, out, err = told_by(cli(*CREATE, "--dry-run"))
    assert code == 0
    assert "solve" in out
    assert "in all" in out
    assert "$" in out
    assert "nothing was asked" in err
    assert server.calls == []
    told = json.loads(cli(*CREATE, "--dry-run", "--json").out)
    assert (told["calls"], len(told["expenses"])) == (19, 3)
    assert told["about_usd"] < told["at_most_usd"]


def test_a_dry_run_in_no_repository_makes_none(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    (empty / "cases.jsonl").write_text('{"input": {"message": "x"}}\n')
    code, out, _ = told_by(
        cli("create", "Tell it", "--cases", "cases.jsonl", "--teacher", "anthropic:claude-opus-5-5", "--dry-run")
    )
    assert code == 0
    assert "anthropic:claude-opus-5-5" in out
    assert [path.name for path in empty.iterdir()] == ["cases.jsonl"]


def test_create_and_eval_live_then_replayed_elsewhere_say_the_same(cli: Cli, server: LLMServer, tmp_path: Path) -> None:
    assert cli(*CREATE, "--record", "rec").code == 0
    live = cli(*EVAL, "--record", "rec", "--json")
    other = tmp_path / "elsewhere.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKILLFORGE_DB", str(other))
        patch.delenv("FAKE_KEY")
        asked = len(server.calls)
        replayed = cli(*EVAL, "--replay", "rec", "--json")
    assert len(server.calls) == asked
    first, second = json.loads(live.out), json.loads(replayed.out)
    for report in (first, second):
        for effort in ("seconds", "reused", "spent_usd"):
            report.pop(effort)
    assert first == second


def test_a_budget_that_is_reached_says_how_to_go_on_with_exit_code_4(cli: Cli, server: LLMServer) -> None:
    code, _, err = told_by(cli(*CREATE, "--budget", "0.2"))
    assert code == 4
    assert "budget of $0.2" in err
    assert "--budget" in err
    assert cli(*CREATE, "--budget", "5").code == 0


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--budget", "0"), "buys nothing"),
        (("--budget", "-3"), "buys nothing"),
        (("--budget", "much"), "--budget"),
        (("--record", "a", "--replay", "b"), "exclude each other"),
        (("--replay", "nowhere"), "nowhere"),
    ],
)
def test_flags_that_make_no_sense_are_usage_errors(cli: Cli, server: LLMServer, flags, told) -> None:
    code, _, err = told_by(cli(*CREATE, *flags))
    assert code == 2
    assert told in err
    assert server.calls == []


def test_waiting_for_a_rate_limit_is_said(cli: Cli, server: LLMServer, tmp_path: Path) -> None:
    def limited(number: int, body: object) -> Fault | None:
        return refuse(429, retry_after=0.05) if number == 3 else None

    with LLMServer(answer=teacher.answer, faults=limited) as slow:
        teacher.repository(tmp_path, slow.url)
        code, _, err = told_by(cli(*CREATE))
    assert code == 0
    assert "waiting: rate limited" in err


def test_a_wrong_key_stops_with_one_message_after_one_round(cli: Cli, server: LLMServer, monkeypatch) -> None:
    monkeypatch.setenv("FAKE_KEY", "fk-" + "1" * 30)
    code, out, err = told_by(cli(*CREATE))
    assert (code, out) == (4, "")
    assert err.count("error:") == 1
    assert "401" in err
    assert "1" * 30 not in err
    assert len(server.calls) <= 4  # those that were under way together


def test_doctor_prints_what_is_there_and_the_command_that_mends_what_is_not(cli: Cli, server: LLMServer) -> None:
    code, out, _ = told_by(cli("doctor", "--call", "chat:small"))
    assert code == 0
    assert "-> skillforge keys set anthropic" in out
    assert "chat:small" in out
    assert teacher.KEY not in out
    assert json.loads(cli("doctor", "--json").out)["ok"] is True
    assert cli("doctor", "--call", "nonsense").code == 1
