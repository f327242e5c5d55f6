"""``forge.wrap``: what of a program's calls ends in the registry, and what the program notices of it: nothing."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import anthropic
import openai
import pytest

import skillforge
from skillforge.errors import UsageError
from skillforge.redact import Redactor
from skillforge.store.calls import CallLog
from skillforge.store.database import open_database
from tests.fakes.llm_server import Answer, LLMServer, Tokens, refuse, sequence

PRIVATE = "Grandmother's cobbler needs peaches"


@pytest.fixture
def server():
    with LLMServer(lambda body: Answer(f"You said: {PRIVATE}", usage=Tokens(100, 20))) as running:
        yield running


@pytest.fixture
def said():
    return []


@pytest.fixture
def forge(forge_at, repo, said):
    return forge_at(repo, say=said.append)


def ask(client, text=PRIVATE, **more):
    return client.messages.create(model="claude-x", max_tokens=64, messages=[{"role": "user", "content": text}], **more)


def claude(server, **options):
    return anthropic.Anthropic(base_url=server.url, **{"api_key": "k", "max_retries": 0, **options})


def calls_in(root):
    db = open_database(root / ".skillforge" / "registry.db")
    try:
        return list(CallLog(db, Redactor()).stream())
    finally:
        db.close()


def test_calls_are_stored_with_their_tags_usage_and_price(forge, repo, server):
    (repo / "skillforge.toml").write_text(
        f'[endpoints.mine]\nkind = "anthropic"\nbase_url = "{server.url}"\nprice = {{input = 2.0, output = 10.0}}\n'
    )
    with skillforge.Forge(repo) as priced, priced.wrap(claude(server), tags={"app": "kitchen"}) as client:
        with skillforge.tagged(conversation="c-1", subject="u-1", step="triage"):
            ask(client)
        assert priced.flush(5)
        (call,) = calls_in(repo)
    assert call.messages[0].text == PRIVATE
    assert call.text == f"You said: {PRIVATE}"
    assert (call.conversation, call.subject, call.tags) == ("c-1", "u-1", {"app": "kitchen", "step": "triage"})
    assert (call.model, call.server, call.params) == ("claude-x", server.url, {"max_tokens": 64})
    assert (call.usage.input_tokens, call.usage.output_tokens) == (100, 20)
    assert call.cost.usd == pytest.approx((100 * 2 + 20 * 10) / 1e6)
    assert call.list_usd == pytest.approx(call.cost.usd)
    assert 0 < call.latency_s < 5


@pytest.mark.parametrize("streamed", [False, True])
def test_store_io_none_leaves_no_text_anywhere(streamed, forge, repo, server, said, stored_bytes):
    with forge.wrap(claude(server), store_io="none") as client:
        told = ask(client, system="Be as terse as a haiku", stream=streamed)
        assert list(told) if streamed else told
    openai_client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="k")
    with forge.wrap(openai_client, store_io="none") as client:
        client.responses.create(model="gpt-x", input=PRIVATE, instructions="Be as terse as a haiku")
    assert forge.flush(5)
    stored = stored_bytes(repo)
    for secret in (b"cobbler", b"peaches", b"haiku"):
        assert secret not in stored
    forge.close()
    assert [(call.messages, call.output, call.usage.output_tokens) for call in calls_in(repo)] == [((), None, 20)] * 2
    assert said == []


def test_the_repositorys_setting_holds_where_none_is_given(forge_at, repo, server, stored_bytes):
    (repo / "skillforge.toml").write_text('store_io = "none"\n')
    forge = forge_at(repo)
    with forge.wrap(claude(server)) as client:
        ask(client)
    with forge.wrap(claude(server), store_io="full") as client:
        ask(client, "this one is kept")
    assert forge.flush(5)
    stored = stored_bytes(repo)
    assert b"this one is kept" in stored
    assert stored.count(b"cobbler") == 1  # the answer to the one that is kept


def test_no_key_reaches_the_disk(forge, repo, canary, stored_bytes):
    plain = "not-a-pattern-but-the-key-of-this-client"
    answer = Answer(f"the key is {canary}, or {plain}")
    with LLMServer(lambda body: answer, faults=sequence([refuse(401, message=f"wrong key: {plain}")])) as server:
        with forge.wrap(claude(server, api_key=plain, default_headers={"x-secret": canary})) as client:
            with pytest.raises(anthropic.AuthenticationError):
                ask(client)
            for stream in (False, True):
                told = ask(client, f"my key is {canary}, or {plain}", stream=stream, metadata={"user_id": plain})
                assert list(told) if stream else told
        with forge.wrap(openai.OpenAI(base_url=f"{server.url}/v1", api_key=plain)) as client:
            client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": canary}], extra_query={"api-key": canary}
            )
    assert forge.flush(5)
    stored = stored_bytes(repo)
    assert canary.encode() not in stored
    assert plain.encode() not in stored
    assert len(calls_in(repo)) == 4


def test_a_mask_sees_each_call_before_it_is_stored(forge, repo, server, stored_bytes):
    def mask(call):
        return None if call.subject == "u-2" else call.model_copy(update={"messages": (), "output": None})

    with forge.wrap(claude(server), mask=mask) as client:
        ask(client, metadata={"user_id": "u-1"})
        ask(client, metadata={"user_id": "u-2"})
    assert forge.flush(5)
    assert b"cobbler" not in stored_bytes(repo)
    assert [call.subject for call in calls_in(repo)] == ["u-1"]


def test_a_share_of_nothing_stores_nothing(forge, repo, server):
    with forge.wrap(claude(server), share=0) as client:
        ask(client)
    assert forge.flush(5)
    assert calls_in(repo) == []


@pytest.mark.parametrize(
    ("options", "message"), [({"share": 1.5}, "share is 1.5"), ({"store_io": "some"}, "store_io is 'some'")]
)
def test_wrong_options_are_said_at_once(options, message, forge, server):
    with claude(server) as client, pytest.raises(UsageError, match=message):
        forge.wrap(client, **options)


# a recorder that cannot work


def broken(client, said, forge):
    assert ask(client).content[0].text == f"You said: {PRIVATE}"
    assert not forge.flush(5)
    (message,) = said
    assert message.startswith("some calls are not recorded: ")
    assert ask(client).content
    assert not forge.flush(5)
    assert forge.flush(5)  # since then nothing was lost
    assert said == [message]
    assert "cobbler" not in message
    return message


def test_outside_a_repository_the_call_is_made_and_the_reason_said_once(forge_at, tmp_path, server, said):
    forge = forge_at(tmp_path, say=said.append)
    with forge.wrap(claude(server)) as client:
        assert "is not in a skillforge repository" in broken(client, said, forge)


def test_a_database_that_is_none_is_said_once(forge, repo, server, said):
    (repo / ".skillforge" / "registry.db").write_text("not a database, at all " * 100)
    with forge.wrap(claude(server)) as client:
        assert "is not a SQLite database" in broken(client, said, forge)


def test_a_database_that_cannot_be_made_is_said_once(forge, server, said, monkeypatch):
    monkeypatch.setenv("SKILLFORGE_DB", "/dev/null/registry.db")
    with forge.wrap(claude(server)) as client:
        assert "cannot be created" in broken(client, said, forge)


def test_a_full_database_is_said_once_and_later_calls_are_stored(forge, repo, server, said):
    open_database(repo / ".skillforge" / "registry.db").close()
    with forge.wrap(claude(server)) as client:
        ask(client)
        assert forge.flush(5)
        with sqlite3.connect(repo / ".skillforge" / "registry.db") as db:
            db.execute("CREATE TRIGGER full BEFORE INSERT ON calls BEGIN SELECT RAISE(ABORT, 'no room'); END")
        db.close()
        assert "refuses the write" in broken(client, said, forge)
        with sqlite3.connect(repo / ".skillforge" / "registry.db") as db:
            db.execute("DROP TRIGGER full")
        db.close()
        ask(client)
        assert forge.flush(5)
    assert len(calls_in(repo)) == 2


def test_a_locked_database_delays_no_call(forge, repo, server, said):
    path = repo / ".skillforge" / "registry.db"
    open_database(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with forge.wrap(claude(server)) as client:
            started = time.perf_counter()
            for _ in range(10):
                ask(client)
            assert time.perf_counter() - started < 5  # SQLite would wait for 10
            assert not forge.flush(0.1)
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert forge.flush(5)
    assert len(calls_in(repo)) == 10
    assert said == []


def test_an_unreadable_answer_is_still_a_call(forge, repo, said):
    page = refuse(200, body="<html>a proxy says hello</html>")
    with LLMServer(faults=sequence([page])) as server, forge.wrap(claude(server)) as client:
        ask(client)
    assert forge.flush(5)
    (call,) = calls_in(repo)
    assert (call.output, call.error) == (None, "the answer was cut off")
    assert said == []


# the end


def test_after_close_a_wrapped_client_works_and_records_on(forge, repo, server):
    with forge.wrap(claude(server)) as client:
        ask(client)
        forge.close()
        assert len(calls_in(repo)) == 1
        ask(client)
        forge.close()
        assert len(calls_in(repo)) == 2


def test_a_forge_that_nobody_holds_still_records_and_stores_at_the_programs_end(repo, server):
    script = f"""
import anthropic, skillforge
client = skillforge.Forge({str(repo)!r}).wrap(anthropic.Anthropic(base_url={server.url!r}, api_key="k"))
for number in range(3):
    client.messages.create(model="m", max_tokens=9, messages=[{{"role": "user", "content": "hello"}}])
"""
    root = Path(skillforge.__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(calls_in(repo)) == 3


def test_what_is_stored_is_what_was_sent(forge, repo, server):
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    with forge.wrap(openai.OpenAI(base_url=f"{server.url}/v1", api_key="k")) as client:
        client.chat.completions.create(
            model="gpt-x", messages=[{"role": "user", "content": "hi"}], response_format=wanted, temperature=0.2, seed=7
        )
    assert forge.flush(5)
    (call,) = calls_in(repo)
    assert call.output_schema == schema
    assert json.dumps(call.params, sort_keys=True) == '{"seed": 7, "temperature": 0.2}'


def test_without_a_listener_a_call_that_is_not_recorded_is_a_warning_in_the_log(tmp_path, forge_at, server, caplog):
    forge = forge_at(tmp_path)  # no repository: there is nowhere to record to
    with forge.wrap(claude(server)) as client:
        ask(client)
    forge.flush(10)
    assert [record.name for record in caplog.records if "not recorded" in record.getMessage()] == ["skillforge"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_client_wrapped_before_a_fork_records_in_parent_and_child(repo, server):
    """What ``gunicorn --preload`` does, in the very moment in which wrapping still imports what recording needs."""
    program = f"""
import os
from anthropic import Anthropic
from skillforge import Forge

def ask(client, text):
    turn = {{"role": "user", "content": text}}
    client.messages.create(model="claude-x", max_tokens=9, messages=[turn])

forge = Forge(".", say=print)
client = forge.wrap(Anthropic(base_url={server.url!r}, api_key="k", max_retries=0))
if not (child := os.fork()):
    ask(client, "child")
    os._exit(0 if forge.flush(20) else 1)
assert os.waitpid(child, 0)[1] == 0
ask(client, "parent")
assert forge.flush(20)
"""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", program], cwd=repo, check=True, timeout=60, env=environment)
    assert sorted(call.messages[0].text for call in calls_in(repo)) == ["child", "parent"]
