from __future__ import annotations

import json
import shutil
import sys

import anyio
import pytest

from skillforge.errors import InvalidInput, MissingPackage, NotFound, SkillFileError, UsageError
from skillforge.forge.encoders import open_encoder
from skillforge.forge.forge import Forge
from skillforge.forge.labelled import labelled_cases
from skillforge.skill import Skill
from skillforge.skillfile import read_skill, write_skill
from skillforge.students.encoder.card import Card, read_card
from skillforge.suitefile import read_suite
from tests.conftest import TRIAGE

WORDS = {"billing": ["invoice", "refund", "charged", "payment"], "bug": ["crash", "error", "freezes", "broken"]}
OUTPUT = {"queue": {"enum": ["billing", "bug"]}, "urgent": {"type": "boolean"}}
SUITE = {
    "schema": "skillforge/suite/v1",
    "name": "ticket-triage",
    "skill": "ticket-triage",
    "decision": {"metric": "exact", "margin": 0.1},
    "cases": "file://ticket-triage.jsonl",
}


def case(number: int, split: str = "train", **changes):
    queue = "billing" if number % 2 else "bug"
    words = WORDS[queue]
    urgent = number % 3 == 0
    ticket = f"{words[number % 4]} then {words[number // 4 % 4]} {'immediately' if urgent else 'whenever'} nr {number}"
    expected = {"queue": queue, "urgent": urgent}
    return {"id": f"{split}{number}", "input": {"ticket": ticket}, "expected": expected, "split": split, **changes}


def write_suite(root, cases, **changes):
    (root / "evals").mkdir(exist_ok=True)
    (root / "evals" / "ticket-triage.yaml").write_text(json.dumps({**SUITE, **changes}))
    (root / "evals" / "ticket-triage.jsonl").write_text("".join(json.dumps(each) + "\n" for each in cases))


def write_repository(root):
    """A repository with a skill of two label fields and 24 train and 4 test cases."""
    skill = Skill.model_validate({**TRIAGE, "output": OUTPUT, "examples": {"items": []}})
    write_skill(skill, root / "skills" / "ticket-triage")
    write_suite(root, [*map(case, range(24)), *(case(number, "test") for number in range(100, 104))])


@pytest.fixture
def ready(repo):
    write_repository(repo)
    return repo


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A repository where ``encoder:fast`` was fitted, and what ``train`` told of it."""
    root = tmp_path_factory.mktemp("once")
    (root / ".skillforge").mkdir()
    write_repository(root)
    with Forge(root) as opened:
        return root, opened.students.train("ticket-triage", name="fast")


@pytest.fixture
def fitted(once, ready, forge_at):
    """A copy of it, open; what it says is in ``said``."""
    shutil.copytree(once[0], ready, dirs_exist_ok=True)
    said: list[str] = []
    opened = forge_at(ready, say=said.append)
    opened.said = said
    return opened


@pytest.fixture
def forge(ready, forge_at):
    said: list[str] = []
    opened = forge_at(ready, say=said.append)
    opened.said = said
    return opened


def run(forge, name, inputs):
    executor = forge._portal.run(lambda: open_encoder(forge._work, name))
    return executor.predict(forge.show("ticket-triage").skill, inputs)


def test_a_trained_classifier_answers_like_a_student(fitted, once):
    done = once[1]
    assert done.student == "encoder:fast"
    assert done.path == "skills/ticket-triage/encoders/fast.skops"
    answered = run(fitted, "fast", [{"ticket": "a refund of my invoice immediately"}])[0]
    assert (answered.status, answered.student) == ("ok", "encoder:fast")
    assert answered.output == {"queue": "billing", "urgent": True}
    assert answered.cost.usd == 0
    assert answered.usage.input_tokens == answered.usage.output_tokens == 0
    assert set(answered.probabilities["queue"]) == {'"billing"', '"bug"'}
    assert set(answered.probabilities["urgent"]) == {"true", "false"}
    assert answered.confidence == min(max(told.values()) for told in answered.probabilities.values())


def test_run_takes_it_as_the_student(fitted):
    answered = fitted.run("ticket-triage@latest", {"ticket": "it freezes with an error"}, student="encoder:fast")
    assert answered.output["queue"] == "bug"
    assert answered.id


def test_the_card_tells_where_it_comes_from(fitted, once, ready):
    done = once[1]
    folder = ready / "skills" / "ticket-triage" / "encoders"
    card = read_card(folder / "fast.json")
    assert card == done.card
    assert card.size == (folder / "fast.skops").stat().st_size
    assert (card.rows, card.labels, card.left_out, card.suite) == (24, "expected", {}, "ticket-triage")
    assert card.fields["queue"].seen == {'"bug"': 12, '"billing"': 12}
    assert card.fields["queue"].accuracy.share > 0.9
    assert card.accuracy.n == 24
    assert 0 <= card.fields["queue"].error_after <= 1
    assert card.digest == fitted.show("ticket-triage").digest
    assert {"scikit-learn", "skops", "numpy", "python", "skillforge"} <= card.versions.keys()
    assert Card.model_validate_json(card.as_json()) == card


def test_dev_and_test_are_never_learned_from(forge, ready):
    twin = case(0)
    write_suite(ready, [*map(case, range(20)), {**twin, "id": "twin", "split": "test"}, case(7, "dev")])
    done = forge.students.train("ticket-triage")
    assert done.card.rows == 18
    assert done.card.left_out == {"a case of dev or test asks the same": 2}


def test_a_suite_without_train_cases_is_refused(forge, ready):
    write_suite(ready, [case(1, "test"), case(2, "dev")])
    with pytest.raises(UsageError, match="no cases in the split train"):
        forge.students.train("ticket-triage")


def test_cases_without_a_label_that_fits_are_left_out_and_counted(forge, ready):
    odd = [
        case(100, expected=None),
        case(101, expected={"queue": "sales", "urgent": True}),
        case(102, expected={"queue": "bug"}),
    ]
    write_suite(ready, [*map(case, range(20)), *odd])
    done = forge.students.train("ticket-triage")
    assert done.card.left_out == {"no label": 1, "the label does not fit the contract": 2}


def test_no_label_at_all_is_refused(forge, ready):
    write_suite(ready, [case(number, expected=None) for number in range(9)])
    with pytest.raises(UsageError, match=r"no train case .* 9 no label"):
        forge.students.train("ticket-triage")


def test_the_suites_label_that_nobody_has_seen_is_named_and_never_answered(forge, ready):
    only = [case(number) for number in range(1, 24, 2)]
    write_suite(ready, only)
    done = forge.students.train("ticket-triage")
    assert done.card.fields["queue"].never_seen == ('"bug"',)
    assert run(forge, "ticket-triage", [{"ticket": "crash"}])[0].probabilities["queue"] == {
        '"billing"': 1.0,
        '"bug"': 0.0,
    }
    assert done.outlook.verdict != "pass"


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("text", "its output is a text"),
        ({"queue": {"enum": ["a", "b"]}, "quote": {"type": "string"}}, "not so quote"),
        ({"n": {"type": "integer"}}, "not so n"),
    ],
)
def test_outputs_that_are_no_labels_are_refused(repo, forge_at, skill_in, output, why):
    skill_in(repo, output=output, examples={"items": []})
    write_suite(repo, map(case, range(4)))
    with pytest.raises(UsageError, match=why) as refused:
        forge_at(repo).students.train("ticket-triage")
    assert "skillforge tune" in refused.value.hint


def test_a_changed_file_or_card_is_not_loaded(fitted, ready):
    folder = ready / "skills" / "ticket-triage" / "encoders"
    model, card = (folder / "fast.skops"), (folder / "fast.json")
    body, told = model.read_bytes(), card.read_bytes()
    model.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    with pytest.raises(UsageError, match="it was changed"):
        run(fitted, "fast", [])
    model.write_bytes(body)
    card.write_bytes(told.replace(b'"labels": "expected"', b'"labels": "teacher"'))
    with pytest.raises(UsageError, match="not the one it was fitted with"):
        run(fitted, "fast", [])
    card.write_bytes(b'{"schema": "skillforge/encoder/v1"}')
    with pytest.raises(SkillFileError, match="sha256"):
        run(fitted, "fast", [])
    card.write_bytes(told)
    model.unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        run(fitted, "fast", [])


def test_a_card_of_another_classifier_is_refused(fitted, ready):
    folder = ready / "skills" / "ticket-triage" / "encoders"
    (folder / "slow.json").write_bytes((folder / "fast.json").read_bytes())
    with pytest.raises(UsageError, match="is the card of ticket-triage/fast"):
        run(fitted, "slow", [])


def test_a_file_that_was_pulled_is_taken_in_and_said(fitted, ready, forge_at, monkeypatch, tmp_path):
    folder = ready / "skills" / "ticket-triage" / "encoders"
    older = [(folder / f"fast{end}").read_bytes() for end in (".skops", ".json")]
    fitted.students.train("ticket-triage", name="fast")
    run(fitted, "fast", [])
    assert not any("another file" in line for line in fitted.said)
    monkeypatch.setenv("SKILLFORGE_DB", str(tmp_path / "elsewhere.db"))
    said: list[str] = []
    other = forge_at(ready, say=said.append)
    other.skills()
    run(other, "fast", [{"ticket": "crash"}])
    for end, body in zip((".skops", ".json"), older, strict=True):
        (folder / f"fast{end}").write_bytes(body)
    run(other, "fast", [{"ticket": "crash"}])
    assert sum("another file" in line for line in said) == 1


@pytest.mark.parametrize("name", ["../x", "A", "", "a b", "x" * 65, "a/b"])
def test_a_name_that_cannot_be_a_file_is_refused(forge, name):
    with pytest.raises(UsageError, match="cannot name a classifier"):
        run(forge, name, [])


def test_a_classifier_that_there_is_not_is_not_found(fitted):
    with pytest.raises(NotFound, match="no classifier fats") as missing:
        run(fitted, "fats", [])
    assert "fast" in missing.value.hint


def test_a_name_belongs_to_one_skill(fitted, ready, triage):
    write_skill(triage(name="other", output=OUTPUT, examples={"items": []}), ready / "skills" / "other")
    with pytest.raises(UsageError, match="ticket-triage has a classifier fast"):
        fitted.students.train("other", name="fast", suite=ready / "evals" / "ticket-triage.yaml")


def test_what_is_deployed_is_not_fitted_over(fitted, ready):
    move = {"id": "m1", "alias": "production", "action": "promote", "version": 1, "by": "me"}
    move |= {"at": "2026-01-01T00:00:00.000Z", "digest": fitted.show("ticket-triage").digest}
    move |= {"student": "encoder:fast@0.9 > local:smollm2-135m"}
    skills = {"ticket-triage": {"head": "", "versions": {"1": move["digest"]}, "moves": [move]}}
    (ready / "skillforge.lock").write_text(json.dumps({"schema": "skillforge/lock/v1", "skills": skills}))
    with pytest.raises(UsageError, match="answers for ticket-triage@production") as refused:
        fitted.students.train("ticket-triage", name="fast")
    assert "--as fast-2" in refused.value.hint


def test_a_later_version_with_other_labels_is_refused(fitted, ready, skill_in):
    skill_in(ready, output={**OUTPUT, "queue": {"enum": ["billing", "crash"]}}, examples={"items": []})
    with pytest.raises(UsageError, match="no label of ticket-triage's field queue"):
        run(fitted, "fast", [{"ticket": "x"}])
    skill_in(ready, output={"queue": OUTPUT["queue"]}, examples={"items": []})
    with pytest.raises(UsageError, match="answers queue, urgent, not what"):
        run(fitted, "fast", [{"ticket": "x"}])
    skill_in(ready, output=OUTPUT, instructions="Others.", examples={"items": []})
    assert run(fitted, "fast", [{"ticket": "crash"}])[0].output["queue"] == "bug"


def test_an_input_that_does_not_fit_is_refused(fitted):
    with pytest.raises(InvalidInput):
        run(fitted, "fast", [{"ticket": 3}])


@pytest.mark.parametrize(("on_fail", "status"), [("repair", "failed"), ("escalate", "escalated"), ("warn", "ok")])
def test_the_skills_checks_are_run_on_its_answers(fitted, ready, skill_in, on_fail, status):
    checks = [{"type": "equals", "path": "/queue", "value": "bug", "on_fail": on_fail}]
    skill_in(ready, output=OUTPUT, checks=checks, examples={"items": []})
    wrong, right = run(fitted, "fast", [{"ticket": "refund invoice"}, {"ticket": "crash error"}])
    assert (wrong.status, right.status) == (status, "ok")
    assert bool(wrong.reason) is (status != "ok")
    assert wrong.output["queue"] == "billing"


def test_the_async_twin_does_the_same(forge):
    done = anyio.run(lambda: forge.students.atrain("ticket-triage", name="fast"))
    assert done.student == "encoder:fast"


@pytest.mark.parametrize(
    "wishes", [{"kind": "forest"}, {"labels": "mine"}, {"labels": "expected", "teacher": "x:y"}, {"backend": "bert"}]
)
def test_wishes_for_what_there_is_not_are_refused(forge, wishes):
    with pytest.raises(UsageError):
        forge.students.train("ticket-triage", **wishes)


def test_without_the_packages_nothing_is_written(forge, ready, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingPackage) as refused:
        forge.students.train("ticket-triage")
    assert "encoder" in refused.value.hint
    assert not (ready / "skills" / "ticket-triage" / "encoders").exists()


def test_no_secret_gets_into_the_vocabulary(forge, ready, canary):
    cases = [case(number) for number in range(30)]
    for each in cases[:8]:
        each["input"]["ticket"] += f" my key is {canary}"
    write_suite(ready, cases)
    forge.students.train("ticket-triage", name="fast")
    executor = forge._portal.run(lambda: open_encoder(forge._work, "fast"))
    known = {*executor.model.features.words.vocabulary_, *executor.model.features.pieces.vocabulary_}
    assert not any(canary[:12].casefold() in term for term in known)
    assert "zq8canaryw3xt9vk2mn5br7yu1op4sd6" not in " ".join(known)


# labels of the teacher


def gather(forge, root, labels=None, teacher="", soft=None):
    skill = read_skill(root / "skills" / "ticket-triage").skill
    suite = read_suite(root / "evals" / "ticket-triage.yaml")
    return forge._portal.call(lambda: labelled_cases(forge._work, skill, suite, labels, teacher, soft))


def test_a_named_teachers_stored_answers_are_the_labels(forge, ready):
    from skillforge.run import Run

    rows = [case(number) for number in range(20)]
    write_suite(ready, rows)
    skill = read_skill(ready / "skills" / "ticket-triage").skill
    runs = {}
    for number, each in enumerate(rows[:18]):
        output = {**each["expected"], "queue": "billing"}
        told = {"queue": {'"billing"': 0.75, '"bug"': 0.25, '"sales"': 0.5}} if number == 0 else {}
        runs[each["id"]] = Run(
            skill=skill.name,
            digest=skill.digest(),
            student="lab:teacher",
            status="failed" if number == 1 else "ok",
            input=each["input"],
            output=output,
            probabilities=told,
        )
    stored(forge, skill, rows, runs)
    found = gather(forge, ready, teacher="scripted:teacher.yaml")
    assert (found.labels, found.teacher, len(found.rows)) == ("teacher", "scripted:teacher.yaml", 17)
    assert found.left_out == {
        "no answer of the teacher is kept": 2,
        "the teacher's answer does not fit the contract": 1,
    }
    assert found.rows[0].labels["queue"] == {'"billing"': 0.75, '"bug"': 0.25}
    assert found.rows[0].labels["urgent"] == {"true": 1.0}
    assert found.soft == 1
    assert found.wanted[0] == {"queue": '"bug"', "urgent": "true"}
    assert gather(forge, ready, teacher="scripted:teacher.yaml", soft={}).soft == 0


def stored(forge, skill, rows, runs):
    """What an eval of the split train with that teacher would have left."""
    from skillforge.case import Case
    from skillforge.engine.solve import SOLVE_ROLE
    from skillforge.evals.running.arms import teacher_arm
    from skillforge.forge.measuring.plan import unopened
    from skillforge.sample import Sample

    (forge.root / "teacher.yaml").write_text("default: {queue: bug, urgent: false}\n")

    def keep():
        executor = unopened(forge._work)("scripted:teacher.yaml", role=SOLVE_ROLE)
        arm = teacher_arm(skill, executor, 1)
        for each in rows:
            if each["id"] in runs:
                key = arm.sample_key(Case.model_validate(each))
                sample = Sample(key=key, arm="teacher", case_id=each["id"], status="ok", run=runs[each["id"]])
                forge._work.samples.add(sample)

    forge._portal.run(keep)


def test_expected_labels_can_be_asked_for_though_a_teacher_is_recorded(forge, ready):
    assert gather(forge, ready, labels="expected").labels == "expected"


def test_soft_labels_given_by_hand_weigh_the_rows(forge, ready):
    soft = {"train0": {"queue": {'"bug"': 3.0, '"billing"': 0.5}}, "train1": {"queue": {'"sales"': 1.0}}, "train2": {}}
    found = gather(forge, ready, soft=soft)
    assert found.rows[0].labels["queue"] == {'"billing"': 1.0}
    assert found.rows[1].labels["queue"] == {'"billing"': 1.0}


def test_a_recorded_teacher_is_replayed_and_what_it_lacks_is_counted(forge, ready, tmp_path):
    from skillforge.forge.session import Terms

    (ready / "teacher.yaml").write_text("default: {queue: bug, urgent: false}\n")
    write_suite(ready, [*map(case, range(6))])
    forge.eval(
        "ticket-triage",
        students=["scripted:teacher.yaml"],
        teacher="scripted:teacher.yaml",
        split="train",
        arms=["skill"],
        terms=Terms(record=ready / "rec"),
    )
    (recording,) = (ready / "rec").glob("*.jsonl")
    write_suite(ready, [*map(case, range(8))], recorded=f"file://../rec/{recording.name}")
    found = gather(forge, ready)
    assert (found.labels, len(found.rows)) == ("teacher", 6)
    assert all(row.label("queue") == '"bug"' for row in found.rows)
    assert found.left_out == {"no answer of the teacher is kept": 2}
    assert gather(forge, ready, labels="expected").rows[1].label("queue") == '"billing"'


def test_the_outlook_compares_with_the_teacher_by_the_suites_labels(forge, ready):
    """The teacher is wrong on a third; the classifier that learned from it is no worse."""
    write_suite(ready, [*map(case, range(24))])
    done = forge.students.train("ticket-triage")
    assert done.outlook.compared_with == "the labels"
    assert done.outlook.ceiling == 1.0
    assert done.outlook.low <= done.outlook.right / done.outlook.n - 1 <= done.outlook.high
    assert done.next_step == "skillforge eval ticket-triage --students encoder:ticket-triage"
