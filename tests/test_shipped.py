"""What ships in ``skills/`` and ``evals/`` is what it claims to be."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from skillforge import Forge
from skillforge.demo_data import copy_demo, demo_task
from skillforge.evals.sampling import stratified
from skillforge.providers.replay import Replay
from skillforge.skillfile import read_skill
from skillforge.suitefile import read_suite

ROOT = Path(__file__).parent.parent
SKILL = ROOT / "skills" / "ticket-triage"


@pytest.fixture(scope="module")
def suite():
    return read_suite(ROOT / "evals" / "ticket-triage.yaml")


def test_the_skill_is_what_create_makes_of_the_recorded_teacher(tmp_path):
    suite_path = copy_demo(tmp_path, "ticket-triage")
    (tmp_path / ".skillforge").mkdir(exist_ok=True)
    with Forge(tmp_path) as forge:
        created = forge.create(
            demo_task("ticket-triage"),
            cases=suite_path.with_suffix(".jsonl"),
            teacher=f"replay:{suite_path.with_name('ticket-triage.teacher.jsonl')}",
            suite="evals/ticket-triage.yaml",
        )
    assert created.digest == read_skill(SKILL).skill.digest()
    assert created.proved_ok == created.proved == 8


def test_the_shipped_skill_lints_without_a_warning():
    assert read_skill(SKILL).warnings == ()


def test_no_example_is_a_case_that_measures_and_no_message_stands_twice(suite):
    texts = [case.input["ticket"].strip().lower() for case in suite.cases]
    assert len(set(texts)) == len(texts) == 1080
    train = {case.id: case for case in suite.cases if case.split == "train"}
    for example in read_skill(SKILL).skill.examples.items:
        assert train[example.id].input == example.input


def test_the_splits_are_large_enough_and_every_queue_stands_in_each(suite):
    by_split = Counter(case.split for case in suite.cases)
    assert by_split == {"train": 680, "dev": 60, "test": 340}
    for split in by_split:
        assert len({case.expected["queue"] for case in suite.cases if case.split == split}) == 8


def test_every_quote_of_a_label_stands_in_its_message(suite):
    for case in suite.cases:
        assert case.expected["quote"] in case.input["ticket"]


def test_the_recorded_teacher_answered_every_message_and_says_where_its_answers_come_from(suite):
    recorded = Path(str(suite.recorded))
    provenance = json.loads(recorded.read_text("utf-8").splitlines()[0])["provenance"]
    assert "not the log of an API" in provenance["what"]
    lines = [json.loads(line) for line in recorded.read_text("utf-8").splitlines()[1:]]
    solved = {line["request"]["input"]["ticket"] for line in lines if line["request"]["role"] == "solve"}
    assert solved == {case.input["ticket"] for case in suite.cases}
    assert Replay(recorded).concurrency > 1


def test_the_demo_measures_a_fixed_stratified_60_of_the_test_split(suite):
    test = [case for case in suite.cases if case.split == "test"]
    chosen = stratified(test, 60, suite.decision)
    shuffled = stratified(list(reversed(test)), 60, suite.decision)
    assert {case.id for case in chosen} == {case.id for case in shuffled}
    counts = Counter(case.expected["queue"] for case in chosen)
    assert len(chosen) == 60
    assert set(counts.values()) <= {6, 7, 8, 9}


def test_the_skill_runs_from_a_copy_without_any_database(tmp_path):
    shutil.copytree(ROOT / "skills", tmp_path / "skills")
    (tmp_path / "skillforge.toml").write_text("")
    with Forge(tmp_path) as forge:
        assert forge.show("ticket-triage").version == 1


@pytest.fixture
def clone(tmp_path):
    """The repository's reviewed files as a fresh clone has them: no registry."""
    for name in ("skills", "evals"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "skillforge.lock", tmp_path)
    return tmp_path


def test_a_fresh_clone_knows_what_is_deployed_and_needs_no_registry_for_it(clone):
    with Forge(clone) as forge:
        skill = forge.skill("ticket-triage")
        assert (skill.version.version, skill.student, skill.alias) == (1, "local:smollm2-135m", "production")
        assert not (clone / ".skillforge").exists()
        assert forge.repository.sync(check=True).exit_code == 0
        assert forge.repository.verify() == []


def test_the_deployment_says_what_it_is_worth(clone):
    with Forge(clone) as forge:
        (move,) = forge.deployments.history("ticket-triage")
        (evidence,) = forge.evidence(forge.show("ticket-triage"))
    assert (move.verdict, evidence.verdict) == ("fail", "fail")
    assert "far behind its teacher" in move.accepted_risk
    assert (evidence.split, evidence.cases) == ("test", 340)
    assert evidence.suite_digest == read_suite(clone / "evals" / "ticket-triage.yaml").digest()


@pytest.mark.model
def test_a_fresh_clone_answers(clone):
    with Forge(clone) as forge:
        run = forge.skill("ticket-triage")(ticket="I was charged twice for my subscription this month.")
    assert (run.status, run.alias, run.version) == ("ok", "production", 1)
    assert run.output["queue"] == "billing"
