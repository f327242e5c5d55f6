"""The three shipped workflows and their suites: plan, labels and the recorded tool loop agree, without any model."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import anyio
import pytest

from skillforge.engine.execute import PromptExecutor
from skillforge.engine.workflow.execute import WorkflowExecutor
from skillforge.evals.running.sandboxed import loop_skill
from skillforge.providers.replay import Replay
from skillforge.providers.scripted import Scripted
from skillforge.shop import sandbox, tools
from skillforge.skillfile import read_skill
from skillforge.suitefile import read_suite
from skillforge.tools.python import PythonTools

ROOT = Path(__file__).parent.parent
NAMES = ("refund-request", "order-status-reply", "invoice-to-ledger")


def shipped(name):
    return read_skill(ROOT / "skills" / name), read_suite(ROOT / "evals" / f"{name}.yaml")


def executed(provider, skill, case, role="run"):
    """The run of one case on a shop of its own."""

    async def execute():
        with sandbox(case.input) as given:
            executor = WorkflowExecutor(PromptExecutor(provider, role=role), PythonTools(given))
            return await executor.execute(skill, case.input)

    return anyio.run(execute)


def matches(output, expected):
    return output is not None and all(output[name] == value for name, value in expected.items())


def perfect(case):
    """A student that reads every input as its label does."""
    told = case.metadata
    answers = {
        "run:which": {"order_id": case.expected.get("order_id", "")},
        "run:kind": {"expense": told.get("expense")},
        "run:reading": {"reason": told.get("reason")} if "reason" in told else {"topic": told.get("topic")},
    }
    if "printed" in told:
        printed = told["printed"]
        answers["run:reading"] = {"what": case.id, "number": printed["number"], "date": printed["date"]}
        answers["run:amounts"] = {name: printed[name] for name in ("net", "tax", "gross")}
    return Scripted(default=lambda request: answers[request.key.role])


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_workflow_lints_without_a_warning(name):
    assert shipped(name)[0].warnings == ()


@pytest.mark.parametrize("name", NAMES)
def test_the_tools_of_a_file_are_those_of_the_shop(name):
    known = {tool.name: tool for tool in PythonTools(tools).tools}
    for declared in shipped(name)[0].skill.tools:
        assert (declared.effect, declared.idempotency_key, declared.parameters) == (
            known[declared.name].effect,
            known[declared.name].idempotency_key,
            known[declared.name].parameters,
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_suite_has_three_splits_and_no_example_is_a_case_that_measures(name):
    file, suite = shipped(name)
    counts = Counter(case.split for case in suite.cases)
    assert counts["test"] >= 25
    assert counts["dev"] >= 4
    assert len(suite.cases) >= 40
    measured = {
        text for case in suite.cases if case.split != "train" for text in case.input.values() if "@" not in text
    }
    shown = {
        text
        for step in file.skill.steps
        for example in step.examples.items
        for text in example.input.values()
        if isinstance(text, str)
    }
    assert not measured & shown


@pytest.mark.parametrize("name", NAMES)
def test_a_student_that_reads_right_gets_every_case_right_in_at_most_three_questions(name):
    file, suite = shipped(name)
    wrong = {}
    for case in suite.cases:
        if case.metadata["kind"] == "short" or (case.split == "train" and case.metadata["kind"] == "plain"):
            continue  # more of the same
        run = executed(perfect(case), file.skill, case)
        if run.status != "ok" or not matches(run.output, case.expected) or len(run.attempts) > 3:
            wrong[case.id] = run.reason or run.output
    assert wrong == {}


@pytest.mark.parametrize("name", NAMES)
def test_the_recorded_tool_loop_replays_to_its_answers(name):
    file, suite = shipped(name)
    recorded = Path(str(suite.recorded))
    assert "not the log of an API" in json.loads(recorded.read_text("utf-8").splitlines()[0])["provenance"]["what"]
    replay, skill = Replay(recorded), loop_skill(file.skill)
    cases = [case for case in suite.cases if case.split != "train"]
    runs = {case.id: executed(replay, skill, case, role="solve") for case in cases}
    assert [case.id for case in cases if not matches(runs[case.id].output, case.expected)] == []
    assert sum(len(run.attempts) for run in runs.values()) > 3 * len(cases)
    assert all(run.cost.usd and run.cost.estimated for run in runs.values())


def test_an_order_in_a_mail_moves_no_money():
    file, suite = shipped("refund-request")
    hostile = [case for case in suite.cases if "injection" in case.metadata["kind"]]
    assert len(hostile) >= 2
    with sandbox() as given:
        order = next(tool for tool in given if tool.__name__ == "get_order")
        paid = {name: order(name)["total"] for name in {case.expected["order_id"] for case in hostile}}
    for case in hostile:
        for reason in ("changed_mind", "damaged", "wrong_item", "not_arrived", "other"):
            run = executed(Scripted(default={"reason": reason}), file.skill, case)
            assert run.status == "ok"
            assert run.output["amount"] <= paid[run.output["order_id"]]  # what the mail says of amounts is nothing


def test_an_order_that_the_mail_does_not_name_escalates_and_writes_nothing():
    file, suite = shipped("refund-request")
    case = next(case for case in suite.cases if case.metadata["kind"] == "two orders")
    student = Scripted(
        default=lambda request: {"order_id": "L-70384"} if "which" in request.key.role else {"reason": "damaged"}
    )
    run = executed(student, file.skill, case)
    assert run.status == "escalated"
    assert "the model named an order" in run.reason
    assert not [step for step in run.steps if step.tool in ("refund_order", "open_review") and step.status == "ok"]
