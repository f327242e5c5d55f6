"""Who is asked on a ladder, what it costs in all, and what is said of it. Scripted models, a classifier by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from skillforge.engine.compiled import compiled
from skillforge.engine.execute import PromptExecutor
from skillforge.engine.frame import bare_skill
from skillforge.errors import BudgetReached, InvalidInput, KeyRejected, RequestRejected, ServerFailure
from skillforge.ladder import parse_ladder
from skillforge.messages import Completion, Cost, Request, Usage
from skillforge.providers.scripted import Scripted
from skillforge.run import Run
from skillforge.skill import Skill
from skillforge.students.ladder.executor import LadderExecutor, LadderRung

GOOD = {"queue": "billing", "quote": "charged"}
BUG = {"queue": "bug", "quote": "x"}
WRONG = {"queue": "nobody's", "quote": "x"}
ASK = {"ticket": "I was charged twice"}


@dataclass(frozen=True)
class Classifier:
    """Says one label with one probability, for nothing."""

    sure: float
    output: Any = None
    student: str = "encoder:queues"
    concurrency: int = 3
    arm_kind: str = "encoder"

    @property
    def identity(self) -> str:
        return f"classifier {self.sure} {self.output}"

    async def execute(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Run:
        output = self.output or BUG
        return Run(
            skill=skill.name,
            digest=compiled(skill).digest,
            student=self.student,
            model="classifier-1",
            status="ok",
            input=dict(given),
            output=output,
            usage=Usage(input_tokens=0, output_tokens=0),
            cost=Cost(usd=0.0),
            latency_s=0.001,
            probabilities={"queue": {'"billing"': 1 - self.sure, f'"{output["queue"]}"': self.sure}},
        )


class Priced(Scripted):
    """A scripted model whose calls cost money."""

    def __init__(self, usd: float, **options: Any) -> None:
        super().__init__(**options)
        self._usd = usd

    async def complete(self, request: Request) -> Completion:
        completion = await super().complete(request)
        return completion.model_copy(update={"cost": Cost(usd=self._usd, basis="list")})


def model(name: str, said: Any, usd: float = 0.0) -> PromptExecutor:
    def answer(request: Request) -> Any:
        if isinstance(said, Exception):
            raise said
        return said

    return PromptExecutor(Priced(usd, default=answer, name=name))


def ladder(name: str, *executors: Any, **more: Any) -> LadderExecutor:
    spec = parse_ladder(name)
    assert spec is not None
    rungs = [LadderRung(rung, executor) for rung, executor in zip(spec.rungs, executors, strict=True)]
    return LadderExecutor(spec, rungs, **more)


def ask(executor: LadderExecutor, skill: Skill, given: Any = ASK) -> Run:
    return anyio.run(executor.execute, skill, given)


def told(run: Run) -> list[tuple[str, str, str]]:
    return [(rung.student, rung.status, rung.reason) for rung in run.rungs]


def test_a_sure_answer_stays_and_nobody_above_is_asked(triage):
    above = model("m:big", GOOD)
    run = ask(ladder("encoder:queues@0.8 > m:big", Classifier(0.9), above), triage())
    assert (run.status, run.output, run.model) == ("ok", BUG, "classifier-1")
    assert run.student == "encoder:queues@0.8 > m:big"
    assert told(run) == [("encoder:queues", "ok", "")]
    assert run.rungs[0].confidence == pytest.approx(0.9)
    assert (run.cost.usd, run.usage.input_tokens, run.latency_s) == (0.0, 0, 0.001)
    assert above.provider.seen == []


def test_equal_to_the_threshold_is_sure_enough(triage):
    run = ask(ladder("encoder:queues@0.9 > m:big", Classifier(0.9), model("m:big", GOOD)), triage())
    assert len(run.rungs) == 1


def test_an_unsure_answer_goes_up_and_all_rungs_are_summed(triage):
    above = model("m:big", GOOD, usd=0.02)
    run = ask(ladder("encoder:queues@0.8 > m:big", Classifier(0.6), above), triage())
    assert run.output == GOOD
    assert told(run) == [("encoder:queues", "ok", "0.6 sure, below 0.8"), ("m:big", "ok", "")]
    assert run.model != "classifier-1"
    assert run.probabilities == {}
    assert run.cost.usd == pytest.approx(0.02)
    assert run.latency_s >= 0.001
    assert [attempt.kind for attempt in run.attempts] == ["student"]


def test_an_answer_that_fails_after_its_repair_goes_up_with_what_it_cost(triage):
    below, above = model("m:small", WRONG, usd=0.001), model("m:big", GOOD, usd=0.02)
    run = ask(ladder("m:small > m:big", below, above), triage())
    assert (run.status, run.output, len(run.attempts)) == ("ok", GOOD, 3)
    assert told(run)[0][1] == "failed"
    assert "queue" in told(run)[0][2]
    assert run.cost.usd == pytest.approx(0.022)
    assert [rung.cost.usd for rung in run.rungs] == pytest.approx([0.002, 0.02])


def test_without_probabilities_a_threshold_sends_everything_up_and_says_why(triage):
    run = ask(ladder("m:small@0.7 > m:big", model("m:small", BUG), model("m:big", GOOD)), triage())
    assert run.output == GOOD
    assert told(run)[0][2] == "it tells no probabilities, and answers below 0.7 go up"


@pytest.mark.parametrize("sure", [float("nan"), float("inf")])
def test_a_probability_that_is_no_number_is_none(triage, sure):
    run = ask(ladder("encoder:queues@0.5 > m:big", Classifier(sure), model("m:big", GOOD)), triage())
    assert run.output == GOOD
    assert run.rungs[0].confidence is None
    assert "tells no probabilities" in run.rungs[0].reason
    assert Run.model_validate_json(run.model_dump_json()).rungs == run.rungs


@pytest.mark.parametrize("error", [ServerFailure("m:small: HTTP 500"), KeyRejected("m:small: no key")])
def test_a_rung_that_gives_no_answer_lets_the_next_one_answer_and_the_run_says_so(triage, error):
    run = ask(ladder("m:small > m:big", model("m:small", error), model("m:big", GOOD)), triage())
    assert (run.status, run.output) == ("ok", GOOD)
    assert told(run)[0] == ("m:small", "error", f"no answer came: {error}")


def test_an_error_of_the_last_rung_is_the_runs_error(triage):
    executor = ladder("m:small > m:big", model("m:small", WRONG), model("m:big", RequestRejected("m:big: HTTP 404")))
    tried = anyio.run(executor.tried, triage(), ASK)
    assert tried.run.status == "error"
    assert isinstance(tried.error, RequestRejected)
    assert "m:big: HTTP 404" in tried.run.reason
    assert [rung.status for rung in tried.run.rungs] == ["failed", "error"]


@pytest.mark.parametrize("at", [0, 1])
def test_a_reached_budget_goes_nowhere(triage, at):
    spent = BudgetReached("the budget is used up")
    said = [WRONG, WRONG]
    said[at] = spent  # type: ignore[call-overload]
    third = model("m:c", GOOD)
    with pytest.raises(BudgetReached):
        ask(ladder("m:a > m:b > m:c", model("m:a", said[0]), model("m:b", said[1]), third), triage())
    assert third.provider.seen == []


def test_the_last_rungs_failure_is_the_ladders(triage):
    run = ask(ladder("m:a > m:b", model("m:a", WRONG), model("m:b", WRONG)), triage())
    assert (run.status, run.output is None or run.output == WRONG) == ("failed", True)
    assert [rung.status for rung in run.rungs] == ["failed", "failed"]


def test_a_rung_runs_its_own_form_of_the_skill(triage):
    skill = triage()
    big = model("m:big", GOOD)
    spec = parse_ladder("m:small > teacher")
    assert spec is not None
    rungs = [
        LadderRung(spec.rungs[0], model("m:small", WRONG)),
        LadderRung(spec.rungs[1], big, bare_skill(skill), "teacher"),
    ]
    run = ask(LadderExecutor(spec, rungs), skill)
    assert run.digest == compiled(skill).digest
    assert run.skill == skill.name
    (request,) = big.provider.seen
    assert skill.instructions not in str(request.messages)


def test_a_recorded_rung_gives_its_one_answer_in_every_epoch():
    spec = parse_ladder("a > b")
    assert spec is not None
    assert [LadderRung(spec.rungs[0], Classifier(1.0), most=1).epoch(n) for n in range(3)] == [0, 0, 0]
    assert [LadderRung(spec.rungs[0], Classifier(1.0)).epoch(n) for n in range(3)] == [0, 1, 2]


def test_an_input_that_does_not_fit_is_no_rungs_matter(triage):
    below = model("m:a", GOOD)
    with pytest.raises(InvalidInput):
        ask(ladder("m:a > m:b", below, model("m:b", GOOD)), triage(), {"nothing": 1})
    assert below.provider.seen == []


def test_its_identity_is_everything_that_can_change_the_answer(triage):
    small, big = model("m:a", GOOD), model("m:b", GOOD)
    first = ladder("m:a@0.5 > m:b", small, big)
    assert first.identity == ladder("m:a@0.50 > m:b", small, big).identity
    others = [
        ladder("m:a@0.6 > m:b", small, big),
        ladder("m:a > m:b", small, big),
        ladder("m:a@0.5 > m:b", Classifier(0.5), big),
        LadderExecutor(first.spec, [LadderRung(first.spec.rungs[0], small, bare_skill(triage())), first.rungs[1]]),
    ]
    assert len({first.identity, *(other.identity for other in others)}) == 5
    assert first.concurrency == min(small.concurrency, big.concurrency)
    assert first.arm_kind == "ladder"
