"""A run tells the probabilities of its labels where they are asked for and the model tells enough."""

from __future__ import annotations

import json
import math
from typing import Any

import anyio

from skillforge.engine.execute import PromptExecutor
from skillforge.messages import Completion, Message, TokenLogprob
from skillforge.providers.base import tells_probabilities
from skillforge.providers.scripted import Scripted
from skillforge.run import Run
from skillforge.skill import Skill

GOOD = {"queue": "billing", "quote": "charged twice"}
TOP = {"billing": 0.7, "bug": 0.2, "The": 0.1}


def unsure(answer: dict[str, Any], top: dict[str, float] = TOP) -> Completion:
    """The answer with alternatives in the place of its queue."""
    before, after = json.dumps(answer).split(answer["queue"], 1)
    likely = tuple((token, math.log(share)) for token, share in top.items())
    place = TokenLogprob(token=answer["queue"], logprob=math.log(top[answer["queue"]]), top=likely)
    first, last = (TokenLogprob(token=text, logprob=0, top=((text, 0), ("x", -20))) for text in (before, after))
    tokens = (first, place, last)
    return Completion(
        message=Message.of("assistant", json.dumps(answer)), stop="stop", model="m", logprobs=tokens
    )  # fmt: skip


def execute(skill: Skill, student: Any, **options: Any) -> Run:
    return anyio.run(PromptExecutor(student, **options).execute, skill, {"ticket": "I was charged twice"})


def test_they_are_asked_for_only_where_wanted_and_are_another_question(triage: Any) -> None:
    student = Scripted([unsure(GOOD), GOOD])
    run = execute(triage(), student, probabilities=True)
    assert run.probabilities == {"queue": {'"billing"': round(0.7 / 0.9, 6), '"bug"': round(0.2 / 0.9, 6)}}
    assert run.confidence == round(0.7 / 0.9, 6)
    assert execute(triage(), student).probabilities == {}
    assert [request.logprobs for request in student.seen] == [True, False]
    plain, told = PromptExecutor(student), PromptExecutor(student, probabilities=True)
    assert plain.identity == student.fingerprint() != told.identity


def test_a_model_that_tells_none_is_quietly_believed_without(triage: Any) -> None:
    run = execute(triage(), Scripted([GOOD]), probabilities=True)
    assert (run.status, run.probabilities, run.confidence) == ("ok", {}, None)


def test_after_a_repair_those_of_the_repaired_answer_count(triage: Any) -> None:
    wrong = {**GOOD, "quote": "not there"}
    student = Scripted([unsure(wrong), unsure(GOOD, {"billing": 0.5, "bug": 0.5})])
    run = execute(triage(checks=[{"type": "in-input", "path": "/quote", "of": "ticket"}]), student, probabilities=True)
    assert run.repaired
    assert run.probabilities["queue"]['"billing"'] == 0.5
    assert all(request.logprobs for request in student.seen)


def test_a_skill_without_labels_is_asked_as_ever(triage: Any) -> None:
    student = Scripted(["hello"])
    execute(triage(output="text", examples={}, checks=[]), student, probabilities=True)
    assert not student.seen[0].logprobs


def test_every_provider_may_tell_unless_it_says_that_it_does_not() -> None:
    class Silent(Scripted):
        logprobs = False

    assert tells_probabilities(Scripted([]))
    assert not tells_probabilities(Silent([]))
