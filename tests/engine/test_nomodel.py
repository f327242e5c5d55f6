from __future__ import annotations

import anyio
import pytest

from skillforge.engine.nomodel import NoModelExecutor, label_fields
from skillforge.errors import InvalidInput


def labelled(*pairs):
    items = [
        {"id": f"e{n}", "input": {"ticket": t}, "output": {"queue": q, "quote": t}} for n, (t, q) in enumerate(pairs)
    ]
    return {"items": items, "k": 3}


def vote(skill, text):
    return anyio.run(NoModelExecutor().execute, skill, {"ticket": text})


def test_enums_and_booleans_are_labels(triage):
    output = {"queue": {"enum": ["a"]}, "urgent": {"type": "boolean"}, "quote": {"type": "string"}}
    assert label_fields(triage(output=output, examples={})) == ("queue", "urgent")
    assert label_fields(triage(output="text", examples={})) == ()


def test_the_majority_of_the_nearest_answers_the_labels_alone(triage):
    skill = triage(
        examples=labelled(
            ("card charged", "billing"), ("card charged again", "billing"), ("card crash", "bug"), ("zz", "bug")
        )
    )
    run = vote(skill, "my card was charged")
    assert (run.status, run.output) == ("ok", {"queue": "billing"})
    assert (run.cost.usd, run.usage.input_tokens, run.attempts) == (0.0, 0, ())
    assert run.input == {"ticket": "my card was charged", "locale": "en"}


def test_the_nearest_example_decides_a_tie(triage):
    skill = triage(examples={**labelled(("alpha beta", "bug"), ("gamma delta", "billing")), "k": 2})
    assert vote(skill, "alpha beta").output == {"queue": "bug"}
    assert vote(skill, "gamma delta").output == {"queue": "billing"}


def test_without_examples_there_is_nothing_to_vote_on(triage):
    run = vote(triage(examples={}), "x")
    assert (run.status, run.output, run.reason) == ("failed", None, "the skill has no examples")


def test_the_input_must_fit(triage):
    with pytest.raises(InvalidInput):
        anyio.run(NoModelExecutor().execute, triage(), {})
