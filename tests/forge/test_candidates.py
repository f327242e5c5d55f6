"""What went up a ladder becomes cases of the train split, and never a copy of what is measured on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillforge.errors import NotFound, UsageError
from skillforge.messages import Request
from skillforge.providers.scripted import Scripted

LOW, HIGH = "scripted:low", "scripted:high"
LADDER = f"{LOW} > {HIGH}"
NAME = "ticket-triage"
LINES = [
    {"id": "t1", "input": {"ticket": "The invoice of March was charged twice to my card"}, "split": "test"},
    {"id": "d1", "input": {"ticket": "The export to a spreadsheet crashes on every Monday"}, "split": "dev"},
    {"id": "n1", "input": {"ticket": "Please send me the receipt of my last order again"}, "split": "train"},
]
EXPECTED = {"queue": "billing", "quote": "x"}


def right(request: Request) -> Any:
    return EXPECTED


def wrong(request: Request) -> Any:
    return {"queue": "nobody's", "quote": "y"}


@pytest.fixture
def ran(repo: Path, skill_in: Any, forge_at: Any) -> Callable[..., Any]:
    """A forge whose ladder answered these tickets."""
    skill_in(repo)
    (repo / "evals").mkdir()
    (repo / "evals" / f"{NAME}.yaml").write_text(
        f"schema: skillforge/suite/v1\nname: {NAME}\ndecision: {{metric: /queue}}\ncases: file://{NAME}.jsonl\n"
    )
    lines = [json.dumps({**line, "expected": EXPECTED}) for line in LINES]
    (repo / "evals" / f"{NAME}.jsonl").write_text("\n".join(lines))  # without an end of the last line

    def run(*tickets: str, low: Any = wrong, high: Any = right, **tags: str) -> Any:
        providers = {LOW: Scripted(default=low, name=LOW), HIGH: Scripted(default=high, name=HIGH)}
        forge = forge_at(repo, providers=providers)
        for ticket in tickets:
            forge.run(f"{NAME}@latest", {"ticket": ticket}, student=LADDER, tags=tags)
        return forge

    return run


def cases(repo: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (repo / "evals" / f"{NAME}.jsonl").read_text().splitlines()]


def test_an_escalated_run_is_a_candidate_with_what_every_rung_said(ran):
    (item,) = ran("A wheel fell off").students.candidates(NAME)
    assert (item.input["ticket"], item.output, item.answered_by) == ("A wheel fell off", EXPECTED, HIGH)
    (said,) = item.said
    assert (said.student, said.output, said.confidence) == (LOW, {"queue": "nobody's", "quote": "y"}, None) or (
        said.output is None
    )
    assert said.reason.startswith("failed")
    assert item.run_id


def test_a_run_that_stayed_below_leaves_none(ran):
    assert ran("A wheel fell off", low=right).students.candidates(NAME) == []


def test_the_same_input_is_one_candidate(ran):
    assert len(ran("A wheel fell off", "A wheel fell off").students.candidates(NAME)) == 1


def test_what_is_taken_is_a_train_case_once(ran, repo):
    forge = ran("A wheel fell off", "The lamp does not light up at all", subject="customer-77")
    taken = forge.students.take(NAME, 1)
    assert (len(taken.added), taken.left_out, taken.waiting) == (1, (), 1)
    case = cases(repo)[-1]
    assert (case["input"]["ticket"], case["split"], case["expected"]) == ("A wheel fell off", "train", EXPECTED)
    assert case["metadata"]["subject"] == "customer-77"
    assert forge.students.take(NAME).waiting == 0
    assert len(cases(repo)) == 5
    assert forge.students.take(NAME).added == ()
    ran("A wheel fell off")  # again: it is a case by now
    assert ran().students.candidates(NAME) == []


@pytest.mark.parametrize("split", ["test", "dev", "train"])
def test_a_twin_of_a_case_is_left_out_for_good(ran, repo, split):
    (line,) = [line for line in LINES if line["split"] == split]
    text = line["input"]["ticket"]
    forge = ran(text, f"{text}!", f"  {text.upper()}")
    taken = forge.students.take(NAME)
    assert taken.added == ()
    assert {why for _, why in taken.left_out} == {f"says the same as a case of {split}"}
    assert (taken.waiting, len(cases(repo))) == (0, 3)


def test_an_input_without_an_answer_that_holds_goes_on_waiting(ran, repo):
    forge = ran("A wheel fell off", high=wrong)
    (item,) = forge.students.candidates(NAME)
    assert item.output is None
    taken = forge.students.take(NAME)
    assert (taken.added, taken.waiting) == ((), 1)
    assert "goes on waiting" in taken.left_out[0][1]


def test_store_io_none_keeps_no_candidate(ran, repo, stored_bytes):
    (repo / "skillforge.toml").write_text('store_io = "none"\n')
    forge = ran("A wheel fell off in Zwickau")
    assert forge.students.candidates(NAME) == []
    forge.close()
    assert b"Zwickau" not in stored_bytes(repo / ".skillforge")
    assert b"nobody's" not in stored_bytes(repo / ".skillforge")


@pytest.mark.parametrize("store_io", ["redacted", "full"])
def test_secrets_reach_no_suite(ran, repo, canary, stored_bytes, store_io):
    (repo / "skillforge.toml").write_text(f'store_io = "{store_io}"\n')
    forge = ran(f"My key is {canary} and it does not work")
    assert len(forge.students.take(NAME).added) == 1
    forge.close()
    assert canary.encode() not in stored_bytes(repo / "evals")
    if store_io == "redacted":
        assert canary.encode() not in stored_bytes(repo / ".skillforge")


def test_a_subject_takes_its_candidates_along(ran, repo, stored_bytes):
    text = "My son Anselm Quittenbaum lost his ticket in Zwickau"
    ran(text, subject="customer-4711")
    forge = ran("A wheel fell off", subject="customer-1")
    purged = forge.repository.purge(subject="customer-4711")
    assert purged.whole
    assert purged.rows["candidate_cases"] == 1
    assert [item.input["ticket"] for item in forge.students.candidates(NAME)] == ["A wheel fell off"]
    forge.close()
    assert b"Quittenbaum" not in stored_bytes(repo)


def test_a_short_input_of_a_subject_goes_with_its_run(ran):
    ran("hi there", subject="customer-4711")
    forge = ran()
    forge.repository.purge(subject="customer-4711")
    assert forge.students.candidates(NAME) == []


def test_old_candidates_go_with_old_runs(ran):
    forge = ran("A wheel fell off")
    purged = forge.repository.purge(older_than_s=0)
    assert purged.rows["candidate_cases"] == 1
    assert forge.students.candidates(NAME) == []


def test_a_suite_without_splits_or_without_lines_takes_none(ran, repo):
    forge = ran("A wheel fell off")
    path = repo / "evals" / f"{NAME}.jsonl"
    path.write_text(json.dumps({"id": "a", "input": {"ticket": "x"}, "expected": EXPECTED}) + "\n")
    with pytest.raises(UsageError, match="no splits"):
        forge.students.take(NAME)
    (repo / "evals" / f"{NAME}.yaml").write_text(
        f"schema: skillforge/suite/v1\nname: {NAME}\ncases:\n  - {{id: a, input: {{ticket: x}}, split: test}}\n"
    )
    with pytest.raises(UsageError, match="no file of JSON Lines"):
        forge.students.take(NAME)
    (repo / "evals" / f"{NAME}.yaml").unlink()
    with pytest.raises(NotFound, match="no suite"):
        forge.students.take(NAME)
    assert len(forge.students.candidates(NAME)) == 1
