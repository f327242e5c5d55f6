from __future__ import annotations

import anyio
import pytest

from skillforge.engine.prove import deterministic_problems, prove
from skillforge.providers.scripted import Scripted
from skillforge.trace import Trace

GOOD = {"queue": "bug", "quote": "x"}


def solved(*tickets: str) -> list[Trace]:
    return [Trace(case_id=f"t{n}", task="t", input={"ticket": text}, output=GOOD) for n, text in enumerate(tickets)]


def proved(skill, traces, teacher, count):
    async def main():
        return await prove(skill, traces, teacher, count=count)

    return anyio.run(main)


@pytest.mark.parametrize(("inputs", "count", "asked"), [(10, 3, ["0", "3", "6"]), (2, 8, ["0", "1"]), (0, 8, [])])
def test_the_draft_runs_on_inputs_spread_over_the_traces(triage, inputs, count, asked):
    teacher = Scripted(default=GOOD)
    runs = proved(triage(), solved(*map(str, range(inputs))), teacher, count)
    assert [run.input["ticket"] for run in runs] == asked
    assert all(run.ok for run in runs)
    assert len(teacher.seen) == len(asked)


@pytest.mark.parametrize("select", ["all", "nearest"])
def test_an_input_never_sees_itself_among_the_examples(triage, select):
    teacher = Scripted(default=GOOD)
    skill = triage(examples={**triage().examples.model_dump(), "select": select})
    proved(skill, solved("app crashes"), teacher, 8)
    shown = [message.text for message in teacher.seen[0].messages if message.role == "user"]
    assert shown == ["Locale: en\ncharged twice", "Locale: en\napp crashes"]


def test_a_sound_draft_has_no_problems_and_costs_no_call(triage):
    assert deterministic_problems(triage(), solved("a", "b")) == ()


def test_a_solved_answer_that_a_check_rejects_is_named(triage):
    skill = triage(checks=[{"type": "in-input", "path": "/quote", "of": "ticket"}])
    (problem,) = deterministic_problems(skill, solved("no such letter"))
    assert problem.startswith("t0: the solved answer fails the check in-input at /quote: ")
