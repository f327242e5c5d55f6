"""A new model appears: every deployed skill is measured on it, within one budget, and only proof moves anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skillforge import Forge, Scripted
from skillforge.errors import NotFound, UsageError
from skillforge.forge.requalify import RequalifyPlan
from skillforge.lockfile import read_lock
from skillforge.messages import Completion, Cost, Message, Request, Usage
from skillforge.students.requalified import markdown
from tests.fakes.llm_server import LLMServer
from tests.fakes.wire_answers import Answer, Tokens

OLD, NEW, BAD, TEACHER = "scripted:old", "scripted:new", "scripted:bad", "scripted:t"
SUITE = """\
schema: skillforge/suite/v1
name: ticket-triage
decision: {metric: /queue, margin: 0.2}
cases:
"""

Opened = Callable[..., Forge]


def answering(right: bool, usd: float) -> Callable[[Request], Completion]:
    def answer(request: Request) -> Completion:
        crash = "crash" in json.dumps(request.key.input)
        said = {"queue": "bug" if crash is right else "billing", "quote": "x"}
        return Completion(
            message=Message.of("assistant", json.dumps(said)),
            stop="stop",
            model="m",
            usage=Usage(input_tokens=10, output_tokens=5),
            cost=Cost(usd=usd, basis="test"),
        )

    return answer


@pytest.fixture
def opened(repo: Path, skill_in: Any) -> Iterator[Opened]:
    skill_in(repo)
    rows = [
        f"  - {{id: c{n}, split: test, input: {{ticket: {word} {n}}}, expected: {{queue: {queue}, quote: x}}}}\n"
        for n in range(40)
        for word, queue in [("crash", "bug") if n % 2 else ("charged", "billing")]
    ]
    (repo / "evals").mkdir(exist_ok=True)
    (repo / "evals" / "ticket-triage.yaml").write_text(SUITE + "".join(rows))
    made: list[Forge] = []

    def open_one(**options: Any) -> Forge:
        models = {OLD: (True, 0.002), NEW: (True, 0.001), BAD: (False, 0.0001), TEACHER: (True, 0.02)}
        providers = {name: Scripted(default=answering(*how), name=name) for name, how in models.items()}
        made.append(Forge(repo, providers=providers, **options))
        return made[-1]

    yield open_one
    for forge in made:
        forge.close()


@pytest.fixture
def deployed(opened: Opened) -> Forge:
    forge = opened()
    forge.eval("ticket-triage", students=[OLD], teacher=TEACHER)
    forge.deployments.promote("ticket-triage", student=OLD)
    return forge


def test_a_model_that_matches_and_costs_less_may_move_and_nothing_is_moved_unasked(deployed: Forge, repo: Path) -> None:
    found = deployed.students.requalify(RequalifyPlan(NEW, teacher=TEACHER))
    (outcome,) = found.outcomes
    assert (outcome.advice, outcome.moved) == ("move", False)
    assert outcome.now is not None
    assert outcome.now.student == OLD
    assert outcome.saves_per_1000 == pytest.approx(1.0)
    assert read_lock(repo).skill("ticket-triage").aliases["production"].student == OLD


def test_moving_promotes_what_may_move_and_nothing_else(deployed: Forge, repo: Path) -> None:
    kept = deployed.students.requalify(RequalifyPlan(BAD, teacher=TEACHER, move=True))
    assert [(item.advice, item.moved) for item in kept.outcomes] == [("worse", False)]
    assert len(kept.outcomes[0].lost) == 40
    moved = deployed.students.requalify(RequalifyPlan(NEW, teacher=TEACHER, move=True))
    assert [(item.advice, item.moved) for item in moved.outcomes] == [("move", True)]
    assert read_lock(repo).skill("ticket-triage").aliases["production"].student == NEW
    text = markdown(moved)
    assert "MAY MOVE (moved)" in text
    assert "1 may move" in text


def test_what_was_measured_is_not_asked_again(deployed: Forge) -> None:
    first = deployed.students.requalify(RequalifyPlan(NEW, teacher=TEACHER))
    again = deployed.students.requalify(RequalifyPlan(NEW, teacher=TEACHER))
    assert again.spent_usd == 0.0
    assert [item.advice for item in again.outcomes] == [item.advice for item in first.outcomes]


def test_without_a_deployment_there_is_nothing_to_requalify_but_all_may_be_asked_for(opened: Opened) -> None:
    forge = opened()
    forge.show("ticket-triage")
    with pytest.raises(NotFound, match="no skill is promoted"):
        forge.students.requalify(RequalifyPlan(NEW, teacher=TEACHER))
    found = forge.students.requalify(RequalifyPlan(NEW, teacher=TEACHER, everything=True))
    assert [(item.skill, item.advice, item.now) for item in found.outcomes] == [("ticket-triage", "move", None)]


def test_a_part_of_the_cases_moves_nothing(deployed: Forge) -> None:
    with pytest.raises(UsageError, match="optional stopping"):
        deployed.students.requalify(RequalifyPlan(NEW, teacher=TEACHER, limit=10, move=True))


def test_an_unknown_skill_is_named(deployed: Forge) -> None:
    with pytest.raises(UsageError, match="no skill nobody"):
        deployed.students.requalify(RequalifyPlan(NEW, skills=("nobody",)))


def test_the_board_holds_everybody_ever_measured_and_recommends_by_the_bound(deployed: Forge) -> None:
    for student in (NEW, BAD):
        deployed.eval("ticket-triage", students=[student], teacher=TEACHER)
    board = deployed.students.leaderboard("ticket-triage")
    assert {item.student for item in board.entries} >= {OLD, NEW, BAD}
    assert not any(item.front for item in board.entries if item.student in (OLD, BAD))  # dearer than as good, or worse
    assert {item.kind for item in deployed.students.leaderboard("ticket-triage", floors=True).entries} >= {"bare"}
    found = deployed.students.recommend("ticket-triage", min_parity=0.9)
    assert found.choice is not None
    assert found.choice.student == NEW
    nobody = deployed.students.recommend("ticket-triage", min_parity=0.9, local_only=True)
    assert nobody.choice is None
    assert "skillforge train" in nobody.missing[0].command  # what no model does at all is good enough here


def test_an_unmeasured_skill_has_no_board_and_the_recommendation_says_what_to_measure(opened: Opened) -> None:
    forge = opened()
    with pytest.raises(NotFound, match="no student was measured"):
        forge.students.leaderboard("ticket-triage")
    found = forge.students.recommend("ticket-triage")
    assert found.choice is None
    assert "skillforge eval ticket-triage" in found.missing[0].command


def test_a_name_or_figure_that_nobody_can_mean_is_refused_before_anything_is_measured(deployed: Forge) -> None:
    for plan in (
        RequalifyPlan("nothing:here", teacher=TEACHER),
        RequalifyPlan(f"{NEW} > {NEW}", teacher=TEACHER),
        RequalifyPlan(NEW, teacher=TEACHER, budget_usd=-1.0),
        RequalifyPlan(NEW, teacher=TEACHER, budget_usd=float("nan")),
        RequalifyPlan(NEW, teacher=TEACHER, limit=0),
    ):
        with pytest.raises(UsageError):
            deployed.students.requalify(plan)
    with pytest.raises(NotFound, match="no classifier"):
        deployed.students.requalify(RequalifyPlan("encoder:nobody", teacher=TEACHER))


def test_what_stood_behind_may_move_to_the_front(opened: Opened, repo: Path) -> None:
    forge = opened()
    forge.eval("ticket-triage", students=[OLD], teacher=TEACHER)
    forge.deployments.promote("ticket-triage", student=OLD, fallback=NEW)
    found = forge.students.requalify(RequalifyPlan(NEW, teacher=TEACHER, move=True))
    assert [item.moved for item in found.outcomes] == [True]
    move = read_lock(repo).skill("ticket-triage").aliases["production"]
    assert (move.student, move.fallback) == (NEW, "")


def test_a_spent_budget_is_told_as_what_was_really_spent_and_the_same_call_goes_on(opened: Opened, repo: Path) -> None:
    said = Answer(json.dumps({"queue": "bug", "quote": "x"}), usage=Tokens(10, 500))
    with LLMServer(lambda body: said) as server:
        (repo / "skillforge.toml").write_text(
            f'[endpoints.fake]\nkind = "openai-chat"\nbase_url = "{server.url}/v1"\n'
            "price = {input = 10, output = 1000}\n"
        )
        forge = opened()
        forge.show("ticket-triage")
        first = forge.students.requalify(
            RequalifyPlan("fake:small", teacher=TEACHER, everything=True, budget_usd=5.0, skills=("ticket-triage",))
        )
        paid = len(server.calls) * (10 * 10 + 500 * 1000) / 1e6
        assert [item.advice for item in first.outcomes] == ["unmeasured"]
        assert first.spent_usd == pytest.approx(paid)
        assert 0 < paid <= 5.0
        plan = RequalifyPlan("fake:small", teacher=TEACHER, everything=True, budget_usd=100.0)
        assert [item.advice for item in forge.students.requalify(plan).outcomes] == ["worse"]
        assert len(server.calls) == 40
