from __future__ import annotations

from collections.abc import Iterator

import pytest

from skillforge import Terms
from skillforge.errors import NotFound, UsageError
from tests.fakes import teacher
from tests.fakes.llm_server import LLMServer

THREE = ("no-model", "bare", "skill")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LLMServer]:
    with LLMServer(answer=teacher.answer) as running:
        yield running


def test_an_estimate_asks_nothing_and_needs_no_key_and_no_registry(tmp_path, server, forge_at):
    cases = teacher.repository(tmp_path, server.url)
    estimate = forge_at(tmp_path).estimate_create(teacher.TASK, cases=cases)
    assert [(line.what, line.calls) for line in estimate.expenses] == [
        ("solve", 10),
        ("write the skill", 1),
        ("prove it", 8),
    ]
    assert 0 < estimate.about_usd < estimate.at_most_usd
    assert server.calls == []
    assert not (tmp_path / ".skillforge" / "registry.db").exists()


def test_what_create_costs_lies_below_the_most_it_was_said_to(repo, server, forge_at, monkeypatch):
    monkeypatch.setenv("FAKE_KEY", teacher.KEY)
    teacher.repository(repo, server.url)
    forge = forge_at(repo)
    estimate = forge.estimate_create(teacher.TASK, cases=repo / "evals" / "mood.jsonl")
    created = forge.create(teacher.TASK, cases=repo / "evals" / "mood.jsonl", suite="evals/mood.yaml")
    assert len(server.calls) == estimate.calls
    assert created.spent_usd < estimate.at_most_usd
    again = forge.estimate_create(teacher.TASK, cases=repo / "evals" / "mood.jsonl")
    assert (again.expenses[0].known, again.expenses[0].calls) == (10, 0)


def test_an_evals_estimate_counts_only_what_no_sample_answers(repo, server, forge_at, monkeypatch):
    monkeypatch.setenv("FAKE_KEY", teacher.KEY)
    teacher.repository(repo, server.url)
    forge = forge_at(repo)
    forge.create(teacher.TASK, cases=repo / "evals" / "mood.jsonl", suite="evals/mood.yaml")
    server.reset()
    first = forge.estimate_eval("mood", arms=THREE, students=["chat:small"])
    assert [(line.what, line.calls) for line in first.expenses] == [
        ("teacher", 20),
        ("chat:small bare", 20),
        ("chat:small + skill", 20),
    ]
    report = forge.eval("mood", arms=THREE, students=["chat:small"], terms=Terms(budget_usd=first.at_most_usd))
    assert len(server.calls) == first.calls
    assert report.spent_usd < first.at_most_usd
    assert first.about_usd == pytest.approx(report.spent_usd, rel=0.5)
    second = forge.estimate_eval("mood", arms=THREE, students=["chat:small", "chat:other"])
    assert [(line.known, line.calls) for line in second.expenses] == [(20, 0), (20, 0), (20, 0), (0, 20), (0, 20)]


def test_an_unknown_price_makes_the_sums_unknown_and_not_zero(repo, server, forge_at):
    cases = teacher.repository(repo, server.url, options="")
    estimate = forge_at(repo).estimate_create(teacher.TASK, cases=cases)
    assert (estimate.about_usd, estimate.at_most_usd) == (None, None)
    assert estimate.calls == 19


def test_unlabelled_cases_leave_the_length_of_answers_unknown(repo, server, forge_at):
    cases = [{"input": case["input"]} for case in teacher.repository(repo, server.url)]
    estimate = forge_at(repo).estimate_create(teacher.TASK, cases=cases)
    solve = estimate.expenses[0]
    assert (solve.output_tokens, solve.about_usd) == (None, None)
    assert solve.at_most_usd > 0


def test_an_estimate_finds_the_mistakes_the_command_would(repo, server, forge_at):
    teacher.repository(repo, server.url)
    with pytest.raises(UsageError, match="no inputs"):
        forge_at(repo).estimate_create(teacher.TASK, cases=[])
    with pytest.raises(NotFound):
        forge_at(repo).estimate_eval("nothing", students=["chat:small"])
