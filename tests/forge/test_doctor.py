from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from skillforge.lockfile import Lock, LockedSkill, Move, write_lock
from tests.fakes import teacher
from tests.fakes.llm_server import LLMServer


def found(diagnosis: Any, area: str, name: str = "") -> Any:
    return next(item for item in diagnosis.findings if item.area == area and item.name.startswith(name))


def test_a_new_machine_is_not_wrong_only_incomplete(tmp_path, forge_at):
    diagnosis = forge_at(tmp_path).doctor()
    assert diagnosis.ok
    assert found(diagnosis, "package", "anthropic").state == "ok"
    assert found(diagnosis, "repository").mend == "skillforge init"
    key = found(diagnosis, "key", "anthropic")
    assert (key.state, key.mend) == ("absent", "skillforge keys set anthropic")
    assert not (tmp_path / ".skillforge").exists()


def test_keys_are_named_with_their_place_and_never_shown(repo, forge_at, monkeypatch):
    teacher.repository(repo, "http://127.0.0.1:9")
    monkeypatch.setenv("FAKE_KEY", teacher.KEY)
    diagnosis = forge_at(repo).doctor()
    assert "set in the environment" in found(diagnosis, "key", "strong").detail
    assert teacher.KEY not in diagnosis.model_dump_json()
    assert found(diagnosis, "model", "teacher strong:teacher").state == "ok"


def test_an_unknown_price_comes_with_the_line_that_sets_it(repo, forge_at):
    teacher.repository(repo, "http://127.0.0.1:9", options="")
    price = found(forge_at(repo).doctor(), "model", "teacher strong:teacher")
    assert (price.state, price.detail) == ("absent", "price unknown")
    assert '[models."strong:teacher"]' in price.mend


def test_a_call_is_made_only_on_request_and_says_what_answered(repo, forge_at, monkeypatch):
    monkeypatch.setenv("FAKE_KEY", teacher.KEY)
    with LLMServer(key=teacher.KEY) as server:
        teacher.repository(repo, server.url)
        forge = forge_at(repo)
        forge.doctor()
        assert server.calls == []
        call = found(forge.doctor(["chat:small"]), "call")
        assert (call.state, call.name, len(server.calls)) == ("ok", "chat:small", 1)
        assert "answered in" in call.detail
        assert "$" in call.detail


def test_a_server_that_is_not_there_and_a_wrong_key_are_wrong(repo, forge_at, monkeypatch):
    monkeypatch.setenv("FAKE_KEY", "fk-" + "0" * 20)
    teacher.repository(repo, "http://127.0.0.1:9")
    diagnosis = forge_at(repo).doctor(["chat:small"])
    assert not diagnosis.ok
    assert found(diagnosis, "call").state == "wrong"
    with LLMServer(key=teacher.KEY) as server:
        teacher.repository(repo, server.url)
        refused = found(forge_at(repo).doctor(["chat:small", "nonsense"]), "call")
        assert "401" in refused.detail
        assert refused.mend


def test_an_altered_registry_is_wrong(repo, skill_in, forge_at):
    skill_in(repo)
    forge = forge_at(repo)
    forge.show("ticket-triage")
    assert found(forge.doctor(), "registry").state == "ok"
    with sqlite3.connect(repo / ".skillforge" / "registry.db") as other:
        other.execute("DROP TRIGGER versions_no_update")
    other.close()
    wrong = found(forge.doctor(), "registry")
    assert wrong.state == "wrong"
    assert "versions_no_update" in wrong.detail


@pytest.mark.parametrize("model", ["nonsense", "zzz:m"])
def test_a_default_model_that_is_none_is_wrong(repo, forge_at, model):
    (repo / "skillforge.toml").write_text(f'student = "{model}"\n')
    finding = found(forge_at(repo).doctor(), "model", "student")
    assert finding.state == "wrong"
    assert finding.mend


def deployed(root: Path, student: str, fallback: str = "") -> None:
    move = Move(
        id="m1",
        alias="production",
        action="promote",
        version=3,
        digest="sha256:" + "0" * 64,
        student=student,
        fallback=fallback,
        at="2026-01-01T00:00:00Z",
    )
    write_lock(root, Lock(skills={"mood": LockedSkill(moves=(move,))}))


@pytest.mark.parametrize(("ahead", "state", "told"), [(30, "warning", "retires on"), (-1, "wrong", "is retired since")])
def test_a_model_that_an_alias_uses_and_that_is_taken_off_the_market_is_named(
    repo, forge_at, monkeypatch, ahead, state, told
):
    from anthropic.resources.messages.messages import DEPRECATED_MODELS

    day = datetime.now(UTC).date() + timedelta(days=ahead)
    monkeypatch.setitem(DEPRECATED_MODELS, "claude-old-1", f"{day:%B} {day.day}th, {day.year}")
    deployed(repo, "anthropic:claude-old-1", "local:none-such")
    diagnosis = forge_at(repo).doctor()
    finding = found(diagnosis, "alias", "mood@production student")
    assert (finding.state, f"{told} {day.isoformat()}" in finding.detail) == (state, True)
    assert finding.mend == "skillforge promote mood@3 --student MODEL --as production"
    assert found(diagnosis, "alias", "mood@production fallback").state == "wrong"


def test_a_model_without_an_announced_end_is_fine(repo, forge_at):
    deployed(repo, "anthropic:claude-haiku-5-5")
    assert found(forge_at(repo).doctor(), "alias", "mood@production").state == "ok"


def test_a_broken_lock_is_wrong_not_a_crash(repo, forge_at):
    (repo / "skillforge.lock").write_text("<<<<<<< ours\n>>>>>>> theirs\n")
    finding = found(forge_at(repo).doctor(), "alias")
    assert finding.state == "wrong"
    assert "merge conflict" in finding.detail


def test_the_days_in_the_sdk_are_read_as_days():
    from anthropic.resources.messages.messages import DEPRECATED_MODELS

    from skillforge.providers.retirement import _day

    assert _day("November 30th, 2026") == date(2026, 11, 30)
    assert all(_day(text) is not None for text in DEPRECATED_MODELS.values())
