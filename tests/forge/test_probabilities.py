"""``eval`` with probabilities: told, kept, in the JSON beside the report, never in evidence."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillforge.canonical import digest
from skillforge.messages import Completion, Message, Request, TokenLogprob
from skillforge.providers.scripted import Scripted

COUNT = 24
FIRST, SECOND = "scripted:first", "scripted:second"


def told(sure: float, slip: int) -> Callable[[Request], Completion]:
    """A student that is so sure of every queue, and wrong in every ``slip``-th ticket."""

    def answer(request: Request) -> Completion:
        number = int(request.key.input["ticket"].split()[1])
        right = "bug" if number % 2 else "billing"
        queue = right if number % slip else ("billing" if right == "bug" else "bug")
        other = "billing" if queue == "bug" else "bug"
        top = ((queue, math.log(sure)), (other, math.log(1 - sure)))
        tokens = ('{"queue":"', queue, '","quote":"x"}')
        logprobs = tuple(
            TokenLogprob(token=token, logprob=math.log(sure) if token == queue else 0.0, top=top) for token in tokens
        )
        return Completion(
            message=Message.of("assistant", "".join(tokens)), stop="stop", model="m",
            logprobs=logprobs if request.logprobs else None,
        )  # fmt: skip

    return answer


@pytest.fixture
def forge(repo: Path, skill_in: Any, forge_at: Any, triage: Any) -> Any:
    skill_in(repo)
    folder = repo / "evals"
    folder.mkdir(exist_ok=True)
    cases, lines = [], []
    for number in range(COUNT):
        given = {"ticket": f"{'crash' if number % 2 else 'charged'} {number}"}
        expected = {"queue": "bug" if number % 2 else "billing", "quote": "x"}
        cases.append({"id": f"c{number}", "input": given, "split": "test", "expected": expected})
        asked = {"role": "solve", "task": digest(triage().task), "input": given}
        lines.append({"request": asked, "response": {"json": expected, "latency_s": 1.0}})
    (folder / "ticket-triage.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    (folder / "teacher.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "ticket-triage.yaml").write_text(
        "schema: skillforge/suite/v1\nname: ticket-triage\ndecision: {metric: /queue, margin: 0.1}\n"
        "cases: file://ticket-triage.jsonl\nrecorded: file://teacher.jsonl\n"
    )
    providers = {FIRST: Scripted(default=told(0.9, 6), name=FIRST), SECOND: Scripted(default=told(0.6, 4), name=SECOND)}
    return forge_at(repo, providers=providers)


def measure(forge: Any, **more: Any) -> Any:
    return forge.evals.measure("ticket-triage", students=[FIRST, SECOND], arms=("skill",), teacher="recorded", **more)


def test_two_students_are_compared_by_their_probabilities_and_evidence_holds_none(forge: Any, tmp_path: Path) -> None:
    found = measure(forge, probabilities=True)
    soft = found.soft
    assert soft.not_offered == ("teacher",)
    assert [(arm.told, arm.confidence) for arm in soft.arms] == [
        (COUNT, pytest.approx(0.9)),
        (COUNT, pytest.approx(0.6)),
    ]
    pair = next(pair for pair in soft.pairs if pair.first != "teacher")
    assert (pair.n, pair.both) == (COUNT, COUNT)
    differ = [n for n in range(COUNT) if bool(n % 6) != bool(n % 4)]
    assert pair.disagreement == pytest.approx(len(differ) / COUNT)
    kl = {same: 0.9 * math.log(0.9 / q) + 0.1 * math.log(0.1 / (1 - q)) for same, q in ((True, 0.6), (False, 0.4))}
    assert pair.kl == pytest.approx((kl[True] * (COUNT - len(differ)) + kl[False] * len(differ)) / COUNT, abs=1e-4)
    assert {(p.first, p.second) for p in found.behaviour.pairs} >= {(f"{FIRST} + skill", f"{SECOND} + skill")}
    forge.evals.write(found, [tmp_path / "r.json"])
    assert {"probabilities", "behaviour"} <= set(json.loads((tmp_path / "r.json").read_text()))
    for row in forge.evidence(forge.show("ticket-triage")):
        assert not {"probabilities", "behaviour", "soft"} & set(row.report)
    stored = "".join(path.read_text() for path in Path(forge.root).glob("skills/*/evidence/*.json"))
    assert "behaviour" not in stored
    assert '"probabilities"' not in stored


def test_a_second_eval_knows_them_from_the_store_and_one_without_asks_anew(forge: Any) -> None:
    first = measure(forge, probabilities=True)
    again = measure(forge, probabilities=True)
    assert again.report.reused == again.report.samples
    assert again.soft == first.soft
    assert again.behaviour == first.behaviour
    plain = measure(forge)
    assert plain.soft is None
    assert plain.report.reused < plain.report.samples
    assert forge.evals.rescore("ticket-triage", students=[FIRST, SECOND], arms=("skill",), probabilities=True,
                               teacher="recorded").soft == first.soft  # fmt: skip


def test_under_store_io_none_nothing_is_quoted(forge: Any, repo: Path) -> None:
    (repo / "skillforge.toml").write_text('store_io = "none"\n')
    with type(forge)(repo, providers={FIRST: Scripted(default=told(0.9, 6), name=FIRST)}) as other:
        found = other.evals.measure("ticket-triage", students=[FIRST], arms=("skill",), teacher="recorded")
        assert all(not pair.groups and not pair.openers for pair in found.behaviour.pairs)
