from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import anyio
import pytest

from skillforge.case import Case, Decision, Suite
from skillforge.engine.execute import PromptExecutor
from skillforge.engine.programs import own_executor
from skillforge.errors import ProviderStopped
from skillforge.evals.answer import Answer, Table
from skillforge.evals.clusters import clusters_of
from skillforge.evals.running.arms import Arm, Wanted, build_arms
from skillforge.evals.running.limits import Meter
from skillforge.evals.running.sequential import BLOCK, evaluate_sequentially
from skillforge.evals.sampling import in_random_order
from skillforge.evals.scorers.resolve import scorers_of
from skillforge.evals.verdict.summary import Measure, summarise
from skillforge.messages import Request
from skillforge.providers.scripted import Scripted
from skillforge.sample import Sample

RULE = Decision(metric="/queue", margin=0.1, mode="sequential")
RIGHT, WRONG = {"queue": "bug", "quote": "x"}, {"queue": "billing", "quote": "x"}


def cases_of(count: int, *, labels: bool = True, **more: Any) -> list[Case]:
    expected = RIGHT if labels else None
    return [Case(id=f"c{n}", input={"ticket": f"t{n}"}, expected=expected, **more) for n in range(count)]


def model(name: str, wrong: float = 0.0) -> Scripted:
    """A model that is wrong on that share of the tickets, whichever they are, and always on the same."""

    def answer(request: Request) -> Any:
        asked = f"{name} {request.key.input['ticket']}"
        return WRONG if int(hashlib.sha256(asked.encode()).hexdigest()[:8], 16) / 2**32 < wrong else RIGHT

    return Scripted(default=answer, name=name)


class Memory:
    def __init__(self) -> None:
        self.samples: dict[str, Sample] = {}
        self.added = 0

    def known(self, keys: Iterable[str]) -> dict[str, Sample]:
        return {key: self.samples[key] for key in keys if key in self.samples}

    async def add(self, sample: Sample) -> Sample:
        self.added += 1
        if sample.status == "ok":
            self.samples[sample.key] = sample
        return sample


def quiet(arm: Arm, case_id: str, answer: Answer, reused: bool) -> None:
    return None


def measure_of(cases: list[Case], rule: Decision = RULE) -> Measure:
    suite = Suite(name="s", decision=rule, cases=tuple(cases))
    return Measure(rule, scorers_of(suite).metric, clusters=clusters_of(cases, rule))


def race(
    arms: list[Arm],
    cases: list[Case],
    journal: Any = None,
    rule: Decision = RULE,
    on_sample: Callable[..., None] = quiet,
) -> Table:
    async def judging(table: Table) -> Measure:
        assert set(table) == {arm.name for arm in arms}
        return measure_of(cases, rule)

    async def run() -> Table:
        return await evaluate_sequentially(arms, cases, journal or Memory(), on_sample, 1, Meter(), judging)

    return anyio.run(run)


def verdicts(arms: list[Arm], cases: list[Case], table: Table, rule: Decision = RULE) -> dict[str, str]:
    reports = summarise(arms, cases, table, measure_of(cases, rule)).arms
    return {
        report.name: report.versus_teacher.verdict
        for report in reports
        if report.versus_teacher and report.kind in ("skill", "variant", "own")
    }


@pytest.fixture
def arms_of(triage) -> Callable[..., list[Arm]]:
    def make(*students: Scripted, teacher: Scripted | None = None, **wanted: Any) -> list[Arm]:
        by = PromptExecutor(teacher or model("teacher", 0.05), role="solve")
        wishes = Wanted(**{"kinds": ("bare", "skill"), **wanted})
        return build_arms(triage(), RULE, by, [PromptExecutor(student) for student in students], None, wishes)

    return make


def test_a_clearly_bad_student_stops_early(arms_of):
    bad, cases = model("bad", 0.6), cases_of(600)
    arms = arms_of(bad)
    table = race(arms, cases)
    asked = len(table["bad + skill"])
    assert asked % BLOCK == 0
    assert asked <= 5 * BLOCK
    assert {name: len(found) for name, found in table.items()} == dict.fromkeys(table, asked), "and all arms with it"
    assert verdicts(arms, cases, table) == {"bad + skill": "fail"}


def test_an_equal_student_goes_on_to_its_verdict(arms_of):
    cases = cases_of(600)
    arms = arms_of(model("good", 0.05))
    table = race(arms, cases)
    assert verdicts(arms, cases, table) == {"good + skill": "pass"}
    assert 5 * BLOCK < len(table["good + skill"]) < 600


def test_where_nothing_becomes_sure_every_case_is_asked(arms_of):
    cases = cases_of(60)
    arms = arms_of(model("near", 0.15))
    table = race(arms, cases)
    assert len(table["near + skill"]) == 60
    assert verdicts(arms, cases, table) == {"near + skill": "inconclusive"}


def test_a_sure_student_stops_with_its_other_arms_while_the_rest_go_on(arms_of):
    cases = cases_of(700)
    arms = arms_of(model("bad", 0.6), model("good", 0.05))
    table = race(arms, cases)
    asked = {name: len(found) for name, found in table.items()}
    assert asked["bad + skill"] == asked["bad bare"] < asked["good + skill"] == asked["good bare"] == asked["teacher"]
    assert verdicts(arms, cases, table) == {"bad + skill": "fail", "good + skill": "pass"}


def test_a_variant_keeps_its_student_and_programs_are_candidates(arms_of, triage):
    cases = cases_of(700)
    both = arms_of(
        model("s", 0.05),
        variants=[triage(name="other", instructions="Other.")],
        own=[own_executor("mine", lambda given: WRONG)],
    )
    table = race(both, cases)
    asked = {name: len(found) for name, found in table.items()}
    assert asked["mine"] < asked["s + skill"]
    assert asked["s bare"] == max(asked["s + skill"], asked["s + other"])
    assert verdicts(both, cases, table)["mine"] == "fail"


def test_the_cases_come_in_an_order_that_owes_nothing_to_the_suite_and_are_told_in_its_order(arms_of):
    cases, seen = cases_of(100), []
    bad = model("bad", 0.9)

    def watch(arm: Arm, case_id: str, answer: Answer, reused: bool) -> None:
        if arm.kind == "skill":
            seen.append(case_id)

    table = race(arms_of(bad), cases, on_sample=watch)
    assert set(seen[:BLOCK]) == set(in_random_order(case.id for case in cases)[:BLOCK])
    assert set(seen[:BLOCK]) != {case.id for case in cases[:BLOCK]}
    ids = [case.id for case in cases]
    assert list(table["bad + skill"]) == sorted(table["bad + skill"], key=ids.index)
    assert set(race(arms_of(bad), cases[::-1])["bad + skill"]) == set(table["bad + skill"])


@pytest.mark.parametrize("after", [1, 40, 100])
def test_a_killed_eval_comes_to_the_same_decision(arms_of, after):
    class Killed(Exception):
        pass

    told = []

    def kill(*sample: Any) -> None:
        told.append(sample)
        if len(told) == after:
            raise Killed

    cases, whole, parts = cases_of(300), Memory(), Memory()
    students = model("bad", 0.5), model("good", 0.05)
    expected = race(arms_of(*students), cases, whole)
    with pytest.raises(Killed):
        race(arms_of(*students), cases, parts, on_sample=kill)
    assert race(arms_of(*students), cases, parts) == expected
    assert parts.added == whole.added


def test_several_candidates_share_alpha(arms_of):
    """Alone it is sure sooner than among others: each has its part of alpha."""
    cases = cases_of(900)
    alone = len(race(arms_of(model("good", 0.05)), cases)["good + skill"])
    others = [model(f"bad{n}", 0.8) for n in range(7)]
    assert len(race(arms_of(model("good", 0.05), *others), cases)["good + skill"]) > alone


def test_without_labels_the_second_pass_is_the_bar(arms_of):
    """A teacher that agrees with itself on 80% is not beaten by a student that agrees on 80%: it is matched."""

    class Wavering(Scripted):
        async def complete(self, request: Request) -> Any:
            odd = int(hashlib.sha256(f"{request.key}".encode()).hexdigest()[:8], 16) / 2**32 < 0.1
            return await Scripted(default=WRONG if odd else RIGHT, name=self.name).complete(request)

    cases = cases_of(900, labels=False)
    arms = arms_of(model("good", 0.1), model("bad", 0.6), teacher=Wavering(name="teacher"), again=True)
    table = race(arms, cases)
    assert verdicts(arms, cases, table) == {"good + skill": "pass", "bad + skill": "fail"}
    assert len(table["bad + skill"]) < len(table["good + skill"]) == len(table["teacher again"]) < 900


def test_where_no_verdict_can_be_drawn_every_case_is_asked(arms_of):
    unlabelled = cases_of(80, labels=False)
    assert len(race(arms_of(model("bad", 0.9)), unlabelled)["bad + skill"]) == 80
    assert len(race(arms_of(model("bad", 0.9), kinds=("bare",)), cases_of(80))["bad bare"]) == 80


def test_a_cluster_is_asked_as_a_whole_and_bet_on_once(arms_of):
    cases = [
        case.model_copy(update={"cluster": f"k{number // 10}"}) if number < 400 else case
        for number, case in enumerate(cases_of(500))
    ]
    arms = arms_of(model("bad", 0.7))
    table = race(arms, cases)
    asked = Counter(case.cluster for case in cases if case.id in table["bad + skill"])
    assert {count for cluster, count in asked.items() if cluster} == {10}
    assert len(table["bad + skill"]) < 500
    assert verdicts(arms, cases, table) == {"bad + skill": "fail"}


def test_a_student_whose_model_stopped_is_out_of_the_race(arms_of):
    def stopped(request: Request) -> Any:
        raise ProviderStopped("the same again")

    cases = cases_of(300)
    arms = arms_of(Scripted(default=stopped, name="dead"), model("bad", 0.7))
    table = race(arms, cases)
    assert len(table["dead + skill"]) == BLOCK
    assert len(table["bad + skill"]) < 300
    assert verdicts(arms, cases, table) == {"dead + skill": "inconclusive", "bad + skill": "fail"}


def test_a_case_without_an_answer_is_left_out(arms_of):
    def solve(given: dict[str, Any]) -> Any:
        if given["ticket"].endswith("7"):
            raise ValueError("".join(chr(ord("a") + int(digit)) for digit in given["ticket"][1:]))
        return RIGHT

    table = race(arms_of(own=[own_executor("mine", solve)]), cases_of(300))
    assert {answer.status for (answer,) in table["mine"].values()} == {"ok", "error"}


def test_no_cases_give_nothing(arms_of):
    assert race(arms_of(model("s")), []) == {"teacher": {}, "s bare": {}, "s + skill": {}}


def test_with_a_least_quality_it_goes_on_until_that_is_sure_too(arms_of):
    cases = cases_of(900)
    arms = arms_of(model("good", 0.05))
    asked = len(race(arms, cases)["good + skill"])
    floor = RULE.model_copy(update={"min_quality": 0.9})
    table = race(arms, cases, rule=floor)
    assert asked < len(table["good + skill"]) < 900
    assert verdicts(arms, cases, table, floor) == {"good + skill": "pass"}
    hopeless = RULE.model_copy(update={"min_quality": 0.99})
    table = race(arms, cases, rule=hopeless)
    assert len(table["good + skill"]) < 900
    assert verdicts(arms, cases, table, hopeless) == {"good + skill": "fail"}
