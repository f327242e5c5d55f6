"""A deployed skill whose student's server fails in every way a server can, with real SDKs over loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skillforge.engine import fallback
from skillforge.errors import ProviderError
from skillforge.forge.forge import Forge
from tests.fakes.llm_server import LLMServer, refuse

GOOD = {"queue": "billing", "quote": "charged"}
ASK = {"ticket": "I was charged twice"}
FIRST, SECOND = "first:m", "second:m"
SOON_S = 10.0  # far below what all tries of a patient call take, far above what two take


class Mood:
    """What the first server does now."""

    faults: Any = staticmethod(lambda number, body: None)


@pytest.fixture
def mood() -> Mood:
    return Mood()


@pytest.fixture
def first(mood: Mood) -> Iterator[LLMServer]:
    with LLMServer(
        answer=lambda body: json.dumps(GOOD), faults=lambda number, body: mood.faults(number, body)
    ) as running:
        yield running


@pytest.fixture
def second() -> Iterator[LLMServer]:
    with LLMServer(answer=lambda body: json.dumps(GOOD)) as running:
        yield running


def settle(repo: Path, first: str, second: str) -> None:
    (repo / "skillforge.toml").write_text(
        "".join(
            f'[endpoints.{name}]\nkind = "openai-chat"\nbase_url = "{url}/v1"\nprice = {{input = 1, output = 1}}\n'
            for name, url in (("first", first), ("second", second))
        )
    )


@pytest.fixture
def forge(repo: Path, skill_in: Any, first: LLMServer, second: LLMServer, forge_at: Any) -> Forge:
    skill_in(repo)
    settle(repo, first.url, second.url)
    made: Forge = forge_at(repo)
    made.deployments.promote("ticket-triage", student=FIRST, fallback=SECOND, accept_risk="test")
    return made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("fault", "said", "calls"),
    [
        (refuse(404, message="no such model: m"), "no such model", 1),
        (refuse(401), "401", 1),
        (refuse(402), "402", 1),
        (refuse(500), "500", 2),
        (refuse(529), "529", 2),
        (refuse(429, retry_after=60), "429", 1),  # longer than anybody should wait
        (refuse(429, retry_after=0.01), "429", 2),
    ],
)
def test_whatever_the_server_says_for_ever_the_fallback_answers_soon(forge, first, second, mood, fault, said, calls):
    mood.faults = lambda number, body: fault
    started = time.monotonic()
    runs = [forge.run("ticket-triage", ASK) for _ in range(5)]
    assert time.monotonic() - started < SOON_S
    for run in runs:
        assert (run.output, run.student, run.ok, run.alias) == (GOOD, SECOND, True, "production")
        assert run.fallback.startswith(f"{FIRST} could not answer: ")
        assert said in run.fallback
    if fault.retry_after != 0.01:  # that one is over in a second
        assert len(first.calls) == calls  # not asked again for a while
        assert [len(run.attempts) for run in runs] == [2, 1, 1, 1, 1]
    assert len(second.calls) == 5
    stored = forge._portal.run(lambda: forge._work.runs.get(runs[0].id)).run
    assert (stored.student, stored.fallback, len(stored.attempts)) == (SECOND, runs[0].fallback, 2)


def test_a_server_that_is_not_there(forge, repo, second, forge_at):
    settle(repo, f"http://127.0.0.1:{free_port()}", second.url)
    run = forge_at(repo).run("ticket-triage", ASK)
    assert (run.output, run.student) == (GOOD, SECOND)
    assert "could not answer" in run.fallback
    assert run.cost.usd is not None  # what never arrived cost nothing


def test_after_the_cool_down_one_call_finds_the_student_back(forge, first, mood, monkeypatch):
    monkeypatch.setattr(fallback, "REST_S", 0.3)
    mood.faults = lambda number, body: refuse(401)
    assert forge.run("ticket-triage", ASK).student == SECOND
    mood.faults = Mood.faults
    assert forge.run("ticket-triage", ASK).student == SECOND
    time.sleep(0.35)
    run = forge.run("ticket-triage", ASK)
    assert (run.student, run.fallback) == (FIRST, "")


@pytest.mark.parametrize("fault", [refuse(500), refuse(429, retry_after=30), refuse(401), refuse(404)])
def test_of_many_calls_at_once_none_waits_long_and_all_are_answered(forge, first, second, mood, fault):
    mood.faults = lambda number, body: fault
    bound = forge.skill("ticket-triage")

    async def main() -> list[Any]:
        return await asyncio.gather(*(bound.acall(**ASK) for _ in range(60)))

    started = time.monotonic()
    runs = asyncio.run(main())
    assert time.monotonic() - started < SOON_S
    assert {run.student for run in runs} == {SECOND}
    assert all(run.ok and run.fallback for run in runs)
    assert len(first.calls) < 60


def test_when_both_fail_the_error_names_both_and_the_row_is_kept(forge, repo, mood, forge_at, first):
    settle(repo, first.url, f"http://127.0.0.1:{free_port()}")
    mood.faults = lambda number, body: refuse(401)
    broken = forge_at(repo)
    with pytest.raises(ProviderError) as caught:
        broken.run("ticket-triage", ASK)
    assert str(caught.value).startswith(f"ticket-triage@1: {FIRST} could not answer: ")
    assert f"; {SECOND} could not answer either: " in str(caught.value)
    (row,) = broken._portal.run(lambda: broken._work.runs.recent(5))
    assert (row.run.status, len(row.run.attempts)) == ("error", 2)


def test_without_a_fallback_a_deployed_student_is_insisted_on(forge, first, mood):
    forge.deployments.promote("ticket-triage", student=FIRST, accept_risk="test")
    mood.faults = lambda number, body: refuse(500) if number < 4 else None
    run = forge.run("ticket-triage", ASK)
    assert (run.student, run.attempts[0].calls) == (FIRST, 4)


def test_a_paid_answer_of_a_deployed_skill_is_kept_by_nobody(forge, first, repo):
    for _ in range(2):
        assert forge.run("ticket-triage", ASK).ok
    assert len(first.calls) == 2
    count = forge._portal.run(lambda: forge._work.database.execute("SELECT count(*) FROM answers").fetchone()[0])
    assert count == 0


def test_what_the_server_says_of_a_secret_is_redacted_in_the_run(forge, mood, canary, repo, stored_bytes):
    mood.faults = lambda number, body: refuse(401, message=f"Incorrect API key provided: {canary}")
    run = forge.run("ticket-triage", ASK)
    assert canary not in run.fallback
    forge.close()
    assert canary.encode() not in stored_bytes(repo / ".skillforge")


def test_with_no_texts_stored_the_run_says_who_could_not_answer_and_no_more(forge, mood, repo, forge_at):
    settings = repo / "skillforge.toml"
    settings.write_text('store_io = "none"\n' + settings.read_text())
    mood.faults = lambda number, body: refuse(401, message="I quote: charged twice")
    quiet = forge_at(repo)
    run = quiet.run("ticket-triage", ASK)
    stored = quiet._portal.run(lambda: quiet._work.runs.get(run.id)).run
    assert stored.fallback == f"{FIRST} could not answer"
