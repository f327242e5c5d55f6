from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skillforge import Terms
from skillforge.canonical import digest
from skillforge.errors import BudgetReached, KeyRejected, NotFound, UsageError
from skillforge.messages import Cost, Usage
from skillforge.providers.scripted import Scripted
from tests.fakes import teacher
from tests.fakes.llm_server import Fault, LLMServer, request_text

THREE = ("no-model", "bare", "skill")

STUDENTS = ["chat:small", "resp:small"]


class Mood:
    """What the server does now; a test may change it on the way."""

    answer: Any = staticmethod(teacher.answer)
    faults: Any = staticmethod(lambda number, body: None)


@pytest.fixture
def mood() -> Mood:
    return Mood()


@pytest.fixture
def server(mood: Mood, monkeypatch: pytest.MonkeyPatch) -> Iterator[LLMServer]:
    monkeypatch.setenv("FAKE_KEY", teacher.KEY)
    running = LLMServer(
        answer=lambda body: mood.answer(body), faults=lambda number, body: mood.faults(number, body), key=teacher.KEY
    )
    with running:
        yield running


def made(forge: Any, repo: Path, **more: Any) -> Any:
    return forge.create(teacher.TASK, cases=repo / "evals" / "mood.jsonl", suite="evals/mood.yaml", **more)


def results(report: Any) -> dict[str, Any]:
    return {key: value for key, value in report.model_dump().items() if key not in ("seconds", "reused", "spent_usd")}


# live


def test_live_models_create_and_measure_with_a_price_for_every_call(repo, server, forge_at):
    teacher.repository(repo, server.url)
    forge = forge_at(repo)
    created = made(forge, repo)
    assert (created.solved, created.proved_ok, created.agreed) == (10, 8, 8)
    assert len(server.calls) == 10 + 1 + 8
    spent = sum(call.body["max_tokens"] > 0 for call in server.calls)
    assert spent == 19
    assert created.cost.usd == pytest.approx(created.spent_usd)
    report = forge.eval("mood", arms=THREE, students=STUDENTS)
    assert [arm.quality for arm in report.arms if arm.kind == "skill"] == [1.0, 1.0]
    assert report.spent_usd == pytest.approx(report.cost_usd)
    assert report.teacher.usd_per_1000 > 0
    assert len(server.calls) == 19 + 20 * 5


def test_several_students_and_later_evals_share_the_teachers_answers(repo, server, forge_at):
    teacher.repository(repo, server.url)
    forge = forge_at(repo)
    made(forge, repo)
    server.reset()
    forge.eval("mood", arms=THREE, students=STUDENTS[:1])
    forge.eval("mood", arms=THREE, students=STUDENTS)
    asked = [call for call in server.calls if call.body["model"] == "teacher"]
    assert len(asked) == 20
    assert len(server.calls) == 20 + 2 * 40


def test_what_create_paid_for_its_proving_runs_is_in_the_run_log(repo, server, forge_at):
    teacher.repository(repo, server.url)
    forge = forge_at(repo)
    made(forge, repo)
    logged = forge._call(_on_portal(lambda: forge._work.runs.recent(50)))
    assert {(item.source, item.run.version) for item in logged} == {("create", 1)}
    assert len(logged) == 8


def test_a_missing_key_is_found_before_anything_is_asked(repo, server, forge_at, monkeypatch):
    teacher.repository(repo, server.url)
    monkeypatch.delenv("FAKE_KEY")
    with pytest.raises(UsageError, match="FAKE_KEY is not set") as caught:
        made(forge_at(repo), repo)
    assert "skillforge keys set strong" in caught.value.hint
    assert server.calls == []


# interruptions


def test_the_draft_is_not_paid_for_twice_when_proving_fails(repo, server, mood, forge_at):
    teacher.repository(repo, server.url)
    forge = forge_at(repo)
    mood.faults = lambda number, body: Fault("status", status=400) if number > 11 else None
    with pytest.raises(Exception, match="400"):
        made(forge, repo)
    mood.faults = Mood.faults
    server.reset()
    created = made(forge, repo)
    assert len(server.calls) == 8  # neither the solved inputs nor the draft
    assert created.spent_usd < created.cost.usd
    server.reset()
    made(forge, repo)
    assert len(server.calls) == 9  # a finished create keeps no draft: a new one may be better


def test_a_paid_first_answer_is_kept_when_its_repair_fails(repo, server, mood, forge_at):
    cases = teacher.repository(repo, server.url)
    forge = forge_at(repo)
    made(forge, repo)
    server.reset()
    mood.answer = lambda body: "no JSON" if "That answer is wrong" not in json.dumps(body) else teacher.answer(body)
    mood.faults = lambda number, body: (
        Fault("status", status=400) if "That answer is wrong" in json.dumps(body) else None
    )
    given = cases[0]["input"]
    with pytest.raises(Exception, match="400"):
        forge.run("mood@latest", given, student="chat:small")
    mood.faults = Mood.faults
    assert forge.run("mood@latest", given, student="chat:small").repaired
    assert len(server.calls) == 3  # the answer, its failed repair, its repair


def test_equal_inputs_are_one_question_and_its_replay_gives_the_same_skill(repo, server, mood, forge_at, tmp_path):
    teacher.repository(repo, server.url)
    moods = itertools.cycle(["good", "bad"])
    mood.answer = lambda body: (
        teacher.answer(body) if "write down how" in request_text(body) else json.dumps({"mood": next(moods)})
    )
    cases = [{"id": f"m{number}", "input": {"message": f"hello {number // 2}"}} for number in range(10)]
    live = forge_at(repo)
    assert live.estimate_create(teacher.TASK, cases=cases).expenses[0].calls == 5
    created = live.create(teacher.TASK, cases=cases, terms=Terms(record=tmp_path / "rec"))
    assert (created.solved, created.proved) == (10, 8)
    assert len(server.calls) == 5 + 1 + 4  # of 8 proving runs, too, every two are one question
    other = tmp_path / "other"
    teacher.repository(other, "http://127.0.0.1:9")
    again = forge_at(other).create(teacher.TASK, cases=cases, terms=Terms(replay=tmp_path / "rec"))
    assert (again.digest, again.cost) == (created.digest, created.cost)


def test_an_interrupted_eval_that_was_resumed_leaves_no_answers_that_a_later_run_would_find(
    repo, server, mood, forge_at
):
    cases = teacher.repository(repo, server.url)
    forge = forge_at(repo)
    made(forge, repo)
    server.reset()
    mood.faults = lambda number, body: Fault("status", status=401) if number > 30 else None
    with pytest.raises(KeyRejected):
        forge.eval("mood", arms=THREE, students=STUDENTS[:1])
    mood.faults = Mood.faults
    forge.eval("mood", arms=THREE, students=STUDENTS[:1])
    server.reset()
    for case in cases[10:]:
        forge.run("mood@latest", case["input"], student=STUDENTS[0])
    assert len(server.calls) == 20


def test_a_key_that_was_set_anew_is_used_by_the_next_command(repo, server, forge_at, monkeypatch):
    cases = teacher.repository(repo, server.url)
    forge = forge_at(repo)
    made(forge, repo)
    monkeypatch.setenv("FAKE_KEY", "fk-" + "0" * 32)
    other = forge_at(repo)
    with pytest.raises(KeyRejected):
        other.run("mood@latest", cases[0]["input"], student="chat:small")
    monkeypatch.setenv("FAKE_KEY", teacher.KEY)
    assert other.doctor(["chat:small"]).findings[-1].state == "ok"
    assert other.run("mood@latest", cases[0]["input"], student="chat:small").ok


def test_two_endpoints_that_differ_in_a_header_share_no_answers(repo, server, forge_at):
    teacher.repository(repo, server.url)
    settings = repo / "skillforge.toml"
    twin = f'[endpoints.twin]\nkind = "openai-chat"\nbase_url = "{server.url}/v1"\napi_key_env = "FAKE_KEY"\n'
    settings.write_text(f'{settings.read_text()}{twin}headers = {{"x-route" = "b"}}\n{teacher.PRICE}\n')
    forge = forge_at(repo)
    made(forge, repo)
    forge.eval("mood", arms=THREE, students=["chat:small"])
    server.reset()
    forge.eval("mood", arms=THREE, students=["twin:small"])
    assert len(server.calls) == 40


# budgets


def test_a_budget_stops_before_it_is_overspent_and_more_money_goes_on(repo, server, forge_at):
    teacher.repository(repo, server.url)
    forge = forge_at(repo)
    with pytest.raises(BudgetReached) as caught:
        made(forge, repo, terms=Terms(budget_usd=0.2))
    assert "--budget" in caught.value.hint
    done = len(server.calls)
    assert 0 < done < 19
    created = made(forge, repo, terms=Terms(budget_usd=5))
    assert len(server.calls) == 19
    assert created.spent_usd < created.cost.usd


def test_a_budget_without_a_price_is_a_mistake_found_before_any_call(repo, server, forge_at):
    teacher.repository(repo, server.url, options="")
    with pytest.raises(UsageError, match="price") as caught:
        made(forge_at(repo), repo, terms=Terms(budget_usd=1))
    assert 'models."strong:teacher"' in caught.value.hint
    assert server.calls == []


def test_terms_that_contradict_each_other_are_refused(tmp_path):
    with pytest.raises(UsageError, match="exclude"):
        Terms(record=tmp_path, replay=tmp_path)
    for wrong in (0, -1, float("nan")):
        with pytest.raises(UsageError, match="budget"):
            Terms(budget_usd=wrong)


def test_a_model_of_the_callers_own_with_a_cost_cannot_be_held_to_a_budget(repo, skill_in, forge_at):
    skill_in(repo)
    forge = forge_at(repo, providers={"own:m": Paid(name="own:m", default={"queue": "billing", "quote": "x"})})
    with pytest.raises(UsageError, match="cannot be held to a budget"):
        forge.run("ticket-triage@latest", {"ticket": "x"}, student="own:m", terms=Terms(budget_usd=1))


# recordings


def test_a_replayed_create_and_eval_give_the_same_results_without_the_server(repo, server, forge_at, tmp_path):
    teacher.repository(repo, server.url)
    live = forge_at(repo)
    created = made(live, repo, terms=Terms(record=tmp_path / "rec"))
    report = live.eval("mood", arms=THREE, students=STUDENTS, terms=Terms(record=tmp_path / "rec"))
    other = tmp_path / "other"
    teacher.repository(other, "http://127.0.0.1:9")  # nobody listens there
    replayed = forge_at(other)
    terms = Terms(replay=tmp_path / "rec")
    again = made(replayed, other, terms=terms)
    assert (other / "skills/mood/skill.yaml").read_bytes() == (repo / "skills/mood/skill.yaml").read_bytes()
    assert again.cost == created.cost
    assert again.spent_usd == 0
    assert results(replayed.eval("mood", arms=THREE, students=STUDENTS, terms=terms)) == results(report)


def test_a_recording_is_whole_though_parts_of_the_run_were_paid_for_before(repo, server, forge_at, tmp_path):
    teacher.repository(repo, server.url)
    live = forge_at(repo)
    made(live, repo)
    report = live.eval("mood", arms=THREE, students=STUDENTS)
    asked = len(server.calls)
    recorded = live.eval("mood", arms=THREE, students=STUDENTS, terms=Terms(record=tmp_path / "rec"))
    assert len(server.calls) == asked
    assert results(recorded) == results(report)
    other = tmp_path / "other"
    teacher.repository(other, "http://127.0.0.1:9")
    (other / "skills").mkdir()
    (repo / "skills" / "mood").rename(other / "skills" / "mood")
    replayed = forge_at(other).eval("mood", arms=THREE, students=STUDENTS, terms=Terms(replay=tmp_path / "rec"))
    assert results(replayed) == results(report)


def test_a_replay_that_lacks_a_model_says_which_it_has(repo, server, forge_at, tmp_path):
    teacher.repository(repo, server.url)
    forge = forge_at(repo)
    made(forge, repo, terms=Terms(record=tmp_path / "rec"))
    with pytest.raises(NotFound, match="chat:small"):
        forge.eval("mood", arms=THREE, students=STUDENTS[:1], terms=Terms(replay=tmp_path / "rec"))


def test_a_replay_needs_neither_the_endpoints_nor_the_weights_of_what_was_recorded(repo, server, forge_at, tmp_path):
    cases = teacher.repository(repo, server.url)
    tiny = Scripted(default={"mood": "good"}, name="local:tiny")
    live = forge_at(repo, providers={"local:tiny": tiny})
    made(live, repo)
    students = [*STUDENTS, "local:tiny"]
    report = live.eval("mood", arms=THREE, students=students, terms=Terms(record=tmp_path / "rec"))
    (repo / "skillforge.toml").write_text("")
    replayed = forge_at(repo)
    terms = Terms(replay=tmp_path / "rec")
    assert results(
        replayed.eval("mood", arms=THREE, students=students, teacher="strong:teacher", terms=terms)
    ) == results(report)
    with pytest.raises(UsageError, match="no provider 'strong'"):
        replayed.run("mood@latest", cases[0]["input"], student="strong:other", terms=terms)


def test_a_second_command_into_one_recording_says_that_the_first_answers_stay(repo, server, forge_at, tmp_path):
    teacher.repository(repo, server.url)
    said: list[str] = []
    forge = forge_at(repo, say=said.append)
    made(forge, repo, terms=Terms(record=tmp_path / "rec"))
    assert not any("recording" in line for line in said)
    made(forge, repo, terms=Terms(record=tmp_path / "rec"))
    assert any(line.startswith("9 answers are not in the recording: it holds older ones") for line in said)


def test_a_recording_that_cannot_be_whole_says_so(repo, server, forge_at, tmp_path, monkeypatch):
    monkeypatch.setenv("SKILLFORGE_STORE_IO", "none")
    teacher.repository(repo, server.url)
    said: list[str] = []
    forge = forge_at(repo, say=said.append)
    made(forge, repo)
    forge.eval("mood", arms=THREE, students=STUDENTS[:1])
    forge.eval("mood", arms=THREE, students=STUDENTS[:1], terms=Terms(record=tmp_path / "rec"))
    assert any(line.startswith("60 samples are not in the recording") for line in said)


def test_a_replay_scores_as_the_live_eval_did_where_labels_hold_secrets_and_all_is_stored(
    repo, server, mood, forge_at, tmp_path, monkeypatch, canary
):
    monkeypatch.setenv("SKILLFORGE_STORE_IO", "full")
    teacher.repository(repo, server.url)
    skill = {"schema": "skillforge/v1", **teacher.SKILL, "task": teacher.TASK, "output": {"mood": {"type": "string"}}}
    skill["examples"] = {"items": []}
    (repo / "skills" / "mood").mkdir(parents=True)
    (repo / "skills" / "mood" / "skill.yaml").write_text(json.dumps(skill))
    cases = [{"input": {"message": f"{number}"}, "expected": {"mood": canary}} for number in range(4)]
    (repo / "evals" / "mood.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    mood.answer = lambda body: json.dumps({"mood": canary})
    forge = forge_at(repo)
    report = forge.eval("mood", arms=THREE, students=STUDENTS[:1], terms=Terms(record=tmp_path / "rec"))
    assert report.teacher.quality == 1.0
    assert results(
        forge.eval("mood", arms=THREE, students=STUDENTS[:1], terms=Terms(replay=tmp_path / "rec"))
    ) == results(report)


def test_a_recording_that_was_edited_is_read_again_by_the_next_command(repo, skill_in, forge_at):
    skill_in(repo)
    file = repo / "rec.jsonl"
    forge = forge_at(repo)
    for queue in ("billing", "bug"):
        asked = {"role": "run", "task": digest("Route one ticket to billing or bug."), "input": {"ticket": "x"}}
        said = {"json": {"queue": queue, "quote": "x"}}
        file.write_text(json.dumps({"request": asked, "response": said}) + "\n")
        assert forge.run("ticket-triage@latest", {"ticket": "x"}, student=f"replay:{file}").output["queue"] == queue


def test_free_models_are_recorded_too(repo, skill_in, forge_at, tmp_path):
    skill_in(repo)
    good = {"queue": "billing", "quote": "x"}
    forge = forge_at(repo, providers={"scripted:s": Scripted(default=good, name="scripted:s")})
    ask = {"ticket": "x"}
    run = forge.run("ticket-triage@latest", ask, student="scripted:s", terms=Terms(record=tmp_path / "rec"))
    again = forge.run("ticket-triage@latest", ask, student="scripted:s", terms=Terms(replay=tmp_path / "rec"))
    assert again.model_copy(update={"id": run.id}) == run


class Paid(Scripted):
    """A model of the caller's own that costs money."""

    def price(self, usage: Usage) -> Cost:
        return Cost(usd=1.0)


def _on_portal(function: Any) -> Any:
    async def run() -> Any:
        return function()

    return run


def test_an_eval_tells_why_calls_failed_and_keeps_one_row_of_evidence(repo, server, mood, forge_at):
    teacher.repository(repo, server.url)
    forge = forge_at(repo)
    made(forge, repo)
    odd = "message 11 is good"
    mood.faults = lambda number, body: (
        Fault("status", status=400, message="no such thing") if odd in json.dumps(body) else None
    )
    reports = [forge.eval("mood", arms=THREE, students=STUDENTS[:1]) for _ in range(3)]
    arm = reports[0].arm("chat:small + skill")
    assert arm.errors == 1
    ((reason, count),) = arm.error_reasons
    assert count == 1
    assert "HTTP 400: no such thing" in reason
    assert len(forge.evidence(forge.show("mood"))) == 1
