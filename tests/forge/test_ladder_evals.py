"""Ladders in evals: who is asked, what is reused, how thresholds are chosen. Scripted models, a classifier by hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from skillforge.engine.compiled import compiled
from skillforge.errors import UsageError
from skillforge.ladder import parse_ladder
from skillforge.messages import Completion, Cost, Request, Usage
from skillforge.providers.scripted import Scripted
from skillforge.redact import Redactor
from skillforge.run import Run
from skillforge.skill import Skill
from skillforge.store.database import open_database
from skillforge.store.runs import RunLog

QUEUES = ("billing", "bug")
SMALL, BIG = "scripted:small", "scripted:big"
CLASSIFIER = "encoder:queues"


def queue_of(text: str) -> str:
    return QUEUES["crash" in text]


def right(request: Request) -> Any:
    return {"queue": queue_of(request.key.input["ticket"]), "quote": "x"}


def number_of(ticket: str) -> int:
    return int(ticket.split()[1])


class Priced(Scripted):
    def __init__(self, usd: float, **options: Any) -> None:
        super().__init__(**options)
        self._usd = usd

    async def complete(self, request: Request) -> Completion:
        completion = await super().complete(request)
        return completion.model_copy(update={"cost": Cost(usd=self._usd, basis="list")})


def teacher(default: Any = right, usd: float = 0.01) -> Scripted:
    return Priced(usd, default=default, name=BIG)


@dataclass(frozen=True)
class Classifier:
    """Right and sure on most tickets, wrong and unsure on every fifth."""

    student: str = CLASSIFIER
    concurrency: int = 4
    arm_kind: str = "encoder"
    identity: str = "classifier of queues"
    asked: list[str] = field(default_factory=list)

    async def execute(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Run:
        ticket = given["ticket"]
        self.asked.append(ticket)
        unsure = number_of(ticket) % 5 == 0
        answer = queue_of(ticket)
        if unsure:
            answer = QUEUES[answer == "billing"]
        sure = 0.55 if unsure else 0.9 + number_of(ticket) / 10_000
        return Run(
            skill=skill.name,
            digest=compiled(skill).digest,
            student=self.student,
            model="classifier",
            status="ok",
            input=dict(given),
            output={"queue": answer, "quote": "x"},
            usage=Usage(input_tokens=0, output_tokens=0),
            cost=Cost(usd=0.0),
            latency_s=0.001,
            probabilities={"queue": {f'"{answer}"': sure}},
        )


@pytest.fixture
def classifier(monkeypatch: pytest.MonkeyPatch) -> Classifier:
    """Stands where ``encoder:queues`` is opened: training one takes seconds."""
    found = Classifier()
    module = ModuleType("skillforge.forge.encoders")
    module.open_encoder = lambda work, name, *more: found  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "skillforge.forge.encoders", module)
    return found


@pytest.fixture
def measured(repo: Path, skill_in: Any, forge_at: Any) -> Callable[..., Any]:
    """A forge on the skill with a suite of ``dev`` and ``test`` cases."""
    skill_in(repo)

    def write(dev: int = 60, test: int = 60, labels: bool = True, **providers: Any) -> Any:
        folder = repo / "evals"
        folder.mkdir(exist_ok=True)
        cases = []
        for split, count, start in (("dev", dev, 1000), ("test", test, 0)):
            for number in range(start, start + count):
                ticket = f"{'crash' if number % 2 else 'charged'} {number}"
                case = {"id": f"c{number}", "input": {"ticket": ticket}, "split": split}
                expected = {"queue": queue_of(ticket), "quote": "x"}
                cases.append({**case, "expected": expected} if labels else case)
        (folder / "ticket-triage.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
        (folder / "ticket-triage.yaml").write_text(
            "schema: skillforge/suite/v1\nname: ticket-triage\ndecision: {metric: /queue, margin: 0.1}\n"
            "cases: file://ticket-triage.jsonl\n"
        )
        said: list[str] = []
        forge = forge_at(repo, providers={BIG: teacher(), **providers}, say=said.append)
        forge.said = said
        return forge

    return write


def measure(forge: Any, *students: str, **more: Any) -> Any:
    return forge.eval("ticket-triage", **{"students": list(students), "teacher": BIG, "arms": ("skill",), **more})


def test_a_ladder_is_one_arm_with_shares_cost_parity_and_a_verdict(measured, classifier):
    forge = measured()
    report = measure(forge, f"{CLASSIFIER}@0.8 > teacher")
    (arm,) = report.arms
    assert (arm.name, arm.kind, arm.student) == (f"{CLASSIFIER}@0.8 > teacher", "ladder", arm.name)
    assert arm.quality == 1.0
    first, last = arm.rungs
    assert (first.student, first.threshold, first.asked, first.answered, first.errors) == (CLASSIFIER, 0.8, 60, 48, 0)
    assert (last.student, last.threshold, last.asked, last.answered) == ("teacher", None, 12, 12)
    assert (first.share, last.share) == (0.8, 0.2)
    assert (first.usd_per_1000, last.usd_per_1000) == (0.0, pytest.approx(2.0))
    assert arm.usd_per_1000 == pytest.approx(2.0)
    assert report.teacher.usd_per_1000 == pytest.approx(10.0)
    assert arm.versus_teacher.saving == pytest.approx(0.8)
    assert (arm.versus_teacher.verdict, report.verdict) == ("pass", "pass")
    assert report.candidates() == [arm]
    assert report.cost_usd == pytest.approx(0.6)  # the teacher's answers once, not again for the ladder
    (evidence,) = forge.evidence(forge.show("ticket-triage"))
    assert (evidence.student, evidence.verdict) == (arm.student, "pass")


def test_the_teacher_and_the_rungs_own_arms_are_asked_once_for_all_ladders(measured, classifier):
    big, small = teacher(), Priced(0.001, default=right, name=SMALL)
    forge = measured(**{BIG: big, SMALL: small})
    names = [f"{CLASSIFIER}@0.8 > teacher", f"{CLASSIFIER}@0.8 > {SMALL} > teacher", SMALL, CLASSIFIER]
    report = measure(forge, *names)
    assert {arm.kind for arm in report.arms} == {"ladder", "skill", "encoder"}
    assert (len(big.seen), len(small.seen), len(classifier.asked)) == (60, 60, 60)
    assert report.arm(names[1]).rungs[1].answered == 12
    assert report.cost_usd == pytest.approx(0.6 + 0.06)


def test_ladders_without_arms_of_their_rungs_share_what_they_ask(measured, classifier):
    small = Priced(0.001, default=right, name=SMALL)
    forge = measured(**{SMALL: small})
    names = [f"{CLASSIFIER}@0.8 > {SMALL}", f"{CLASSIFIER}@0.8 > {SMALL} > teacher"]
    report = measure(forge, *names)
    assert len(small.seen) == 12
    assert [arm.usd_per_1000 for arm in report.arms] == pytest.approx([0.2, 0.2])
    assert report.cost_usd == pytest.approx(0.6 + 0.012)


def test_a_resumed_eval_of_a_ladder_asks_nobody(measured, classifier):
    measure(measured(), f"{CLASSIFIER}@0.8 > teacher")
    before = len(classifier.asked)
    silent = teacher(None)
    report = measure(measured(**{BIG: silent}), f"{CLASSIFIER}@0.8 > teacher")
    assert (silent.seen, len(classifier.asked)) == ([], before)
    assert report.arms[0].rungs[1].answered == 12
    # another threshold is another ladder; its rungs are the same
    stricter = measure(measured(**{BIG: silent}), f"{CLASSIFIER}@0.95 > teacher")
    assert (silent.seen, len(classifier.asked)) == ([], before)
    assert stricter.arms[0].rungs[1].answered == 60


def test_open_thresholds_are_chosen_on_dev_alone_and_stand_in_the_name(measured, classifier):
    forge = measured()
    report = measure(forge, f"{CLASSIFIER} > teacher")
    (arm,) = report.arms
    ladder = parse_ladder(arm.student)
    assert ladder is not None
    at = ladder.rungs[0].threshold
    assert at is not None
    assert 0.55 < at <= 1.0
    assert arm.rungs[1].answered in (12, 60)
    said = [line for line in forge.said if arm.student in line]
    assert any("no guarantee" in line for line in said)
    assert any("60 dev cases" in line for line in forge.said)
    assert not any("on only" in line for line in forge.said)


def test_the_threshold_owes_nothing_to_the_test_cases(measured, classifier, monkeypatch):
    """The same dev cases, other test cases: the same threshold."""
    first = measure(measured(), f"{CLASSIFIER} > teacher").arms[0].student
    second = measure(measured(test=17), f"{CLASSIFIER} > teacher").arms[0].student
    assert first == second
    asked = [ticket for ticket in classifier.asked if number_of(ticket) < 1000]
    assert len(asked) == 60  # the test cases of the first eval, once


def test_a_resumed_choice_asks_nobody_and_gives_the_same_name(measured, classifier):
    first = measure(measured(), f"{CLASSIFIER} > teacher")
    silent, before = teacher(None), len(classifier.asked)
    second = measure(measured(**{BIG: silent}), f"{CLASSIFIER} > teacher")
    assert second.arms[0].student == first.arms[0].student
    assert (silent.seen, len(classifier.asked)) == ([], before)
    rescored = measured(**{BIG: silent}).evals.rescore(
        "ticket-triage", students=[f"{CLASSIFIER} > teacher"], teacher=BIG, arms=("skill",)
    )
    assert rescored.report.arms[0].student == first.arms[0].student
    assert rescored.report.arms[0].quality == first.arms[0].quality


def test_few_dev_cases_are_said_and_none_are_refused(measured, classifier):
    forge = measured(dev=10)
    measure(forge, f"{CLASSIFIER} > teacher")
    assert any("on only 10 dev cases" in line for line in forge.said)
    with pytest.raises(UsageError, match="no dev cases") as caught:
        measure(measured(dev=0), f"{CLASSIFIER} > teacher")
    assert "@0.8" in caught.value.hint


def test_thresholds_measured_on_their_own_cases_are_said_to_flatter(measured, classifier):
    forge = measured()
    measure(forge, f"{CLASSIFIER} > teacher", split="dev")
    assert any("flatter" in line for line in forge.said)


def test_a_model_rung_without_probabilities_needs_no_dev_cases(measured):
    small = Priced(0.001, default=right, name=SMALL)
    report = measure(measured(dev=0, **{SMALL: small}), f"{SMALL} > teacher")
    (arm,) = report.arms
    assert arm.student == f"{SMALL} > teacher"
    assert [rung.answered for rung in arm.rungs] == [60, 0]


def test_a_rung_without_an_answer_is_counted_and_the_next_one_answers(measured):
    def fails(request: Request) -> Any:
        if number_of(request.key.input["ticket"]) % 10 == 0:
            raise OSError("gone")
        return right(request)

    from skillforge.errors import RequestRejected

    def rejects(request: Request) -> Any:
        try:
            return fails(request)
        except OSError as exc:
            raise RequestRejected(f"{SMALL}: HTTP 413") from exc

    forge = measured(**{SMALL: Priced(0.001, default=rejects, name=SMALL)})
    (arm,) = measure(forge, f"{SMALL} > teacher").arms
    assert (arm.quality, arm.errors) == (1.0, 0)
    assert (arm.rungs[0].errors, arm.rungs[1].answered) == (6, 6)


def test_without_labels_the_choice_is_by_agreement(measured, classifier):
    report = measure(measured(labels=False), f"{CLASSIFIER} > teacher")
    assert report.reference == "teacher"
    assert report.arms[0].rungs[1].answered >= 12


def test_a_workflow_is_run_by_models_alone(repo, forge_at, classifier):
    from skillforge.forge.opening import require_models

    skill = Skill.model_validate(
        {
            "name": "flow",
            "description": "d",
            "input": {"text": {"type": "string"}},
            "output": "text",
            "steps": [{"id": "a", "prompt": "{{ text }}"}],
        }
    )
    for name in (CLASSIFIER, f"{CLASSIFIER} > teacher", "a:b > c:d"):
        with pytest.raises(UsageError, match="workflow") as caught:
            require_models(name, skill)
        assert "PROVIDER:MODEL" in caught.value.hint
    require_models("a:b", skill)


def test_a_lone_threshold_is_refused_with_what_is_missing(measured, classifier):
    with pytest.raises(UsageError, match="nobody is named for answers below") as caught:
        measure(measured(), f"{CLASSIFIER}@0.8")
    assert "> teacher" in caught.value.hint


def test_a_ladder_with_a_pass_is_promoted_and_answers_in_production(measured, classifier, repo):
    (repo / "skillforge.toml").write_text(f'teacher = "{BIG}"\n')
    big = teacher()
    forge = measured(**{BIG: big})
    name = f"{CLASSIFIER}@0.8 > teacher"
    measure(forge, name)
    move = forge.deployments.promote("ticket-triage", student=f"{CLASSIFIER}@.80>teacher")
    assert (move.student, move.verdict, move.accepted_risk) == (name, "pass", "")
    asked = len(big.seen)
    sure = forge.run("ticket-triage", {"ticket": "charged 2001"})
    unsure = forge.run("ticket-triage", {"ticket": "crash 2005"})
    assert (sure.alias, sure.student, [rung.student for rung in sure.rungs]) == ("production", name, [CLASSIFIER])
    assert [rung.student for rung in unsure.rungs] == [CLASSIFIER, "teacher"]
    assert (unsure.output["queue"], len(big.seen) - asked) == ("bug", 1)
    forge.close()
    stored = RunLog(open_database(repo / ".skillforge" / "registry.db"), Redactor()).get(unsure.id).run
    assert (stored.rungs, stored.cost) == (unsure.rungs, unsure.cost)
    (candidate,) = forge.students.candidates("ticket-triage")
    assert (candidate.input["ticket"], candidate.output["queue"], candidate.answered_by) == (
        "crash 2005",
        "bug",
        "teacher",
    )


def test_another_teacher_than_the_measured_one_is_no_ground(measured, classifier, repo):
    (repo / "skillforge.toml").write_text('teacher = "scripted:other"\n')
    other = Scripted(default=right, name="scripted:other")
    forge = measured(**{"scripted:other": other})
    measure(forge, f"{CLASSIFIER}@0.8 > teacher")
    from skillforge.errors import PromotionRefused

    with pytest.raises(PromotionRefused) as caught:
        forge.deployments.promote("ticket-triage", student=f"{CLASSIFIER}@0.8 > teacher")
    assert any("scripted:other" in why and BIG in why for why in caught.value.reasons)


def test_without_a_teacher_in_the_settings_a_ladder_to_the_teacher_is_refused(measured, classifier):
    forge = measured()
    with pytest.raises(UsageError, match="no teacher is named") as caught:
        forge.run("ticket-triage@latest", {"ticket": "charged 1"}, student=f"{CLASSIFIER}@0.8 > teacher")
    assert "skillforge.toml" in caught.value.hint


def test_another_threshold_was_never_measured(measured, classifier, repo):
    (repo / "skillforge.toml").write_text(f'teacher = "{BIG}"\n')
    forge = measured()
    measure(forge, f"{CLASSIFIER}@0.8 > teacher")
    from skillforge.errors import PromotionRefused

    with pytest.raises(PromotionRefused) as caught:
        forge.deployments.promote("ticket-triage", student=f"{CLASSIFIER}@0.5 > teacher")
    assert any("never measured" in why for why in caught.value.reasons)


def test_the_report_tells_who_answered_everywhere(measured, classifier, capsys):
    from skillforge.cli._report import render_report
    from skillforge.evals.pages.besides import Besides
    from skillforge.evals.pages.markdown import markdown
    from skillforge.evals.pages.page import html_page

    forge = measured()
    done = forge.evals.measure("ticket-triage", students=[f"{CLASSIFIER}@0.8 > teacher"], teacher=BIG, arms=("skill",))
    report = done.report
    render_report(report)
    shown = capsys.readouterr().out
    told = markdown(report, done.rows, lambda value: value, Besides())
    page = html_page(report, done.rows, lambda value: value, Besides())
    for text in (shown, told, page):
        assert "who answered" in text.lower()
        assert "20.0%" in text
        assert "$2.00" in text
    body = json.loads(report.model_dump_json())
    assert body["arms"][0]["rungs"][1] == {
        "student": "teacher",
        "threshold": None,
        "asked": 12,
        "answered": 12,
        "share": 0.2,
        "errors": 0,
        "usd_per_1000": pytest.approx(2.0),
    }
