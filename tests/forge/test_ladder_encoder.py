"""A fitted classifier with the teacher behind it, from training to production."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from skillforge.forge.requalify import RequalifyPlan
from skillforge.ladder import parse_ladder
from skillforge.messages import Request
from skillforge.providers.scripted import Scripted

WORDS = {
    "billing": ["invoice", "refund", "charged", "payment", "receipt", "price"],
    "bug": ["crash", "error", "freezes", "broken", "exception", "hangs"],
}
VAGUE = "hello there, a question about"
TEACHER = "scripted:teacher"


def queue(number: int) -> str:
    return ("billing", "bug")[number % 2]


def ticket(number: int) -> str:
    words = WORDS[queue(number)]
    mark = hashlib.sha256(str(number).encode()).hexdigest()[:6]
    if number % 10 in (3, 4):  # nobody can tell from the words
        return f"{VAGUE} {mark}"
    return f"{words[number % 6]} and {words[number // 2 % 6]} since yesterday {mark}"


@pytest.fixture
def forge(repo: Path, skill_in: Any, forge_at: Any) -> Any:
    skill_in(repo, output={"queue": {"enum": ["billing", "bug"]}}, examples={"items": []}, checks=[])
    (repo / "skillforge.toml").write_text(f'teacher = "{TEACHER}"\n')
    (repo / "evals").mkdir()
    rows = []
    for split, start, count in (("train", 0, 120), ("dev", 1000, 60), ("test", 2000, 60)):
        for number in range(start, start + count):
            case = {"id": f"c{number}", "input": {"ticket": ticket(number)}, "split": split}
            rows.append(json.dumps({**case, "expected": {"queue": queue(number)}}) + "\n")
    (repo / "evals" / "ticket-triage.jsonl").write_text("".join(rows))
    (repo / "evals" / "ticket-triage.yaml").write_text(
        "schema: skillforge/suite/v1\nname: ticket-triage\ndecision: {metric: /queue, margin: 0.09}\n"
        "cases: file://ticket-triage.jsonl\n"
    )

    known = {ticket(number): queue(number) for number in (*range(1000, 1060), *range(2000, 2060), 7003)}

    def answer(request: Request) -> Any:
        return {"queue": known[request.key.input["ticket"]]}

    return forge_at(repo, providers={TEACHER: Scripted(default=answer, name=TEACHER)})


def test_a_classifier_with_the_teacher_behind_it_is_measured_promoted_and_called(forge):
    forge.students.train("ticket-triage", name="queues")
    named = "encoder:queues@0.8 > teacher"
    students = ["encoder:queues", "encoder:queues > teacher", named]
    report = forge.eval("ticket-triage", students=students, teacher=TEACHER)
    alone, strict = report.arm("encoder:queues"), report.arm(named)
    (both,) = [arm for arm in report.arms if arm.kind == "ladder" and arm.name != named]
    spec = parse_ladder(both.student)
    assert spec is not None
    threshold = spec.rungs[0].threshold
    assert threshold is not None
    assert threshold > 0.5
    assert alone.quality < both.quality <= strict.quality == 1.0
    below, above = both.rungs
    assert (below.asked, below.answered + above.answered) == (60, 60)
    assert 0 < above.share < 0.7
    assert (strict.versus_teacher.verdict, alone.kind) == ("pass", "encoder")
    move = forge.deployments.promote("ticket-triage", student=named)
    assert (move.student, move.verdict) == (named, "pass")
    sure = forge.run("ticket-triage", {"ticket": ticket(7000)})
    vague = forge.run("ticket-triage", {"ticket": ticket(7003)})
    assert [rung.student for rung in sure.rungs] == ["encoder:queues"]
    assert [rung.student for rung in vague.rungs] == ["encoder:queues", "teacher"]
    (candidate,) = forge.students.candidates("ticket-triage")
    assert candidate.said[0].confidence < 0.8
    requalified = forge.students.requalify(RequalifyPlan("encoder:queues > teacher", teacher=TEACHER))
    (outcome,) = requalified.outcomes  # under the threshold that the eval put into its name
    assert outcome.new is not None
    assert (outcome.new.student, outcome.new.quality) == (both.student, both.quality)
    assert len(forge.students.take("ticket-triage").added) + len(forge.students.candidates("ticket-triage")) <= 1
