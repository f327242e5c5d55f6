from __future__ import annotations

import sqlite3
from typing import Any

import pytest

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
