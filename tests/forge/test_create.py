from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skillforge.canonical import digest
from skillforge.case import Case
from skillforge.errors import ProviderError, SecretFound, SkillFileError, StoreError, TeacherError, UsageError
from skillforge.messages import Request
from skillforge.providers.scripted import Scripted
from skillforge.skillfile import read_skill
from skillforge.store.registry import Registry

TASK = "Route one ticket to billing or bug."
TEACHER = "scripted:teacher"

BODY: dict[str, Any] = {
    "name": "ticket-triage",
    "description": "Routes one ticket.",
    "input": {"ticket": {"type": "string"}},
    "output": {"queue": {"enum": ["billing", "bug"]}},
    "instructions": "Choose.",
    "prompt": "{{ ticket }}",
    "examples": {"ids": "all", "select": "nearest", "k": 3},
    "checks": [{"type": "not-contains", "value": "http://"}],
}


def solved(request: Request) -> dict[str, str]:
    return {"queue": "billing" if "charged" in request.key.input["ticket"] else "bug"}


def teacher(*drafts: Any, solve: Any = solved, run: Any = solved) -> Scripted:
    left = list(drafts or [BODY])

    def answer(request: Request) -> Any:
        if request.key.role.startswith("author"):
            return left.pop(0)
        return (solve if request.key.role == "solve" else run)(request)

    return Scripted(default=answer, name=TEACHER)


def roles(provider: Scripted) -> list[str]:
    return [request.key.role for request in provider.seen]


CASES = [{"input": {"ticket": text}} for text in ("charged twice", "it crashes", "charged again", "no sound")]


def create(forge: Any, cases: Any = CASES, **more: Any) -> Any:
    return forge.create(TASK, cases=cases, teacher=TEACHER, **more)


def test_from_a_task_and_inputs_to_a_stored_draft(repo, forge_at):
    strong = teacher()
    seen: list[tuple[str, int, int]] = []
    forge = forge_at(repo, providers={TEACHER: strong})
    made = create(forge, suite="evals/ticket-triage.yaml", on_progress=lambda *step: seen.append(step))
    assert (made.name, made.version, made.new) == ("ticket-triage", 1, True)
    assert (made.solved, made.unsolved, made.reused) == (4, 0, 0)
    assert (made.proved, made.proved_ok, made.agreed) == (4, 4, 4)
    assert (made.examples, made.checks, made.repaired, made.teacher) == (4, 1, False, TEACHER)
    assert (made.cost.usd, made.path) == (0.0, str(repo / "skills" / "ticket-triage" / "skill.yaml"))
    assert roles(strong) == ["solve"] * 4 + ["author"] + ["run"] * 4
    assert seen == [("solve", n, 4) for n in (1, 2, 3, 4)] + [("author", 0, 1), ("prove", 0, 4)]
    found = read_skill(Path(made.path)).skill
    assert (found.task, found.suite) == (TASK, "evals/ticket-triage.yaml")
    assert {item.input["ticket"]: item.output["queue"] for item in found.examples.items} == {
        "charged twice": "billing",
        "it crashes": "bug",
        "charged again": "billing",
        "no sound": "bug",
    }
    version = forge.show("ticket-triage@1")
    assert (version.digest, version.status, version.task) == (found.digest(), "draft", TASK)
    assert version.source_path == "skills/ticket-triage/skill.yaml"
    assert version.provenance["teacher"] == TEACHER
    assert version.provenance["inputs"] == 4
    assert forge.run("ticket-triage@latest", {"ticket": "charged"}, student=TEACHER).output == {"queue": "billing"}


def test_the_same_again_solves_nothing_and_changes_nothing(repo, forge_at):
    create(forge_at(repo, providers={TEACHER: teacher()}))
    again = teacher()
    made = create(forge_at(repo, providers={TEACHER: again}))
    assert (made.new, made.version, made.reused, made.solved) == (False, 1, 4, 4)
    assert roles(again) == ["author"] + ["run"] * 4


def test_a_bad_draft_is_repaired_once(repo, forge_at):
    strong = teacher({**BODY, "prompt": "{{ tickt }}"}, BODY)
    made = create(forge_at(repo, providers={TEACHER: strong}))
    assert made.repaired
    assert roles(strong)[4:6] == ["author", "author-repair"]
    assert "tickt" in strong.seen[5].messages[-1].text


def test_a_draft_that_stays_wrong_fails_keeps_all_and_the_next_try_solves_nothing(repo, forge_at):
    bad = {**BODY, "prompt": "{{ tickt }}"}
    with pytest.raises(TeacherError, match="stayed wrong after one repair") as caught:
        create(forge_at(repo, providers={TEACHER: teacher(bad, bad)}))
    assert "tickt" in str(caught.value)
    kept = json.loads(Path(caught.value.trace_path).read_text("utf-8"))
    assert kept["answers"] == [json.dumps(bad)] * 2
    assert kept["task"] == TASK
    assert kept["problems"]
    assert not (repo / "skills").exists()
    strong = teacher()
    made = create(forge_at(repo, providers={TEACHER: strong}))
    assert (made.reused, made.version) == (4, 1)
    assert "solve" not in roles(strong)


def test_a_draft_that_does_not_stand_on_its_own_inputs_is_refused(repo, forge_at):
    strong = teacher(BODY, BODY, run=lambda request: "I will not")
    with pytest.raises(TeacherError, match="on its own input"):
        create(forge_at(repo, providers={TEACHER: strong}))
    assert not (repo / "skills").exists()
    repair = next(request for request in strong.seen if request.key.role == "author-repair")
    assert "on its own input" in repair.messages[-1].text, "what went wrong goes back to the author once"


def test_a_skill_file_that_stands_in_the_way_is_kept_as_a_version(repo, forge_at):
    said: list[str] = []
    first = create(forge_at(repo, providers={TEACHER: teacher()}))
    file = Path(first.path)
    file.write_text(file.read_text("utf-8").replace("{{ ticket }}", "By hand: {{ ticket }}"), "utf-8")
    forge = forge_at(repo, providers={TEACHER: teacher()}, say=said.append)
    again = create(forge)
    assert again.version == 1, "the same draft again is the same version"
    assert "By hand" in forge.show(f"{again.name}@2").skill.prompt
    assert any("is kept as" in line for line in said)


def test_a_broken_file_that_stands_in_the_way_is_put_beside(repo, forge_at):
    first = create(forge_at(repo, providers={TEACHER: teacher()}))
    Path(first.path).write_text("not: [a skill", "utf-8")
    create(forge_at(repo, providers={TEACHER: teacher()}))
    assert Path(first.path + ".old").read_text("utf-8") == "not: [a skill"


def test_each_broken_file_is_kept_under_a_name_of_its_own(repo, forge_at):
    first = create(forge_at(repo, providers={TEACHER: teacher()}))
    for text in ("not: [one", "not: [two", "not: [three"):
        Path(first.path).write_text(text, "utf-8")
        create(forge_at(repo, providers={TEACHER: teacher()}))
    kept = [Path(f"{first.path}.old{number}").read_text("utf-8") for number in ("", "2", "3")]
    assert kept == ["not: [one", "not: [two", "not: [three"]


@pytest.mark.parametrize("error", [StoreError("locked"), SecretFound("it holds one")])
def test_a_valid_file_that_cannot_be_stored_now_stays_where_it_is(repo, forge_at, monkeypatch, error):
    path = Path(create(forge_at(repo, providers={TEACHER: teacher()})).path)
    by_hand = path.read_text("utf-8").replace("{{ ticket }}", "By hand: {{ ticket }}")
    path.write_text(by_hand, "utf-8")

    def busy(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(Registry, "save", busy)
    with pytest.raises(type(error)):
        create(forge_at(repo, providers={TEACHER: teacher()}))
    assert {file.name: file.read_text("utf-8") for file in path.parent.iterdir()} == {"skill.yaml": by_hand}


@pytest.mark.parametrize("standing", [True, False])
def test_a_draft_with_a_secret_of_the_environment_writes_and_overwrites_no_file(repo, forge_at, monkeypatch, standing):
    file = repo / "skills" / "ticket-triage" / "skill.yaml"
    if standing:
        file.parent.mkdir(parents=True)
        file.write_text("not: [a skill", "utf-8")
    monkeypatch.setenv("DOOR_PASSWORD", "tulips in may")
    strong = teacher({**BODY, "instructions": "Choose tulips in may."})
    with pytest.raises(SecretFound, match="instructions"):
        create(forge_at(repo, providers={TEACHER: strong}))
    left = [path.read_text("utf-8") for path in (repo / "skills").rglob("*") if path.is_file()]
    assert left == (["not: [a skill"] if standing else [])


def test_the_caller_gets_the_skill_and_the_report_stays_small(repo, forge_at):
    made = create(forge_at(repo, providers={TEACHER: teacher()}))
    assert made.skill == read_skill(Path(made.path)).skill
    assert "skill" not in made.model_dump()
    assert "instructions" not in repr(made)


def test_where_nothing_is_to_be_kept_create_asks_for_all_again(repo, forge_at, monkeypatch):
    monkeypatch.setenv("SKILLFORGE_STORE_IO", "none")
    bad = {**BODY, "prompt": "{{ tickt }}"}
    with pytest.raises(TeacherError) as caught:
        create(forge_at(repo, providers={TEACHER: teacher(bad, bad)}))
    assert "asks for all of it" in caught.value.hint
    strong = teacher()
    assert create(forge_at(repo, providers={TEACHER: strong})).reused == 0
    assert roles(strong).count("solve") == 4


def test_a_teacher_that_goes_away_is_an_infrastructure_error_and_what_it_did_is_kept(repo, forge_at):
    def half(request: Request) -> Any:
        if "charged" in request.key.input["ticket"]:
            raise ProviderError("busy")
        return solved(request)

    with pytest.raises(ProviderError, match="solved 2 of 4 inputs; case-1: busy"):
        create(forge_at(repo, providers={TEACHER: teacher(solve=half)}))
    strong = teacher()
    assert create(forge_at(repo, providers={TEACHER: strong})).reused == 2
    assert roles(strong).count("solve") == 2


def test_a_teacher_that_fails_while_proving_is_an_infrastructure_error(repo, forge_at):
    def gone(request: Request) -> Any:
        raise ProviderError("busy")

    with pytest.raises(ProviderError, match="could not be run on its own inputs: busy"):
        create(forge_at(repo, providers={TEACHER: teacher(run=gone)}))


@pytest.mark.parametrize("good_draft", [True, False])
def test_a_secret_in_an_input_reaches_no_file(repo, forge_at, canary, stored_bytes, good_draft):
    cases = [{"input": {"ticket": f"charged, my key is {canary}"}}, {"input": {"ticket": "crash"}}]
    bad = {**BODY, "prompt": f"{{{{ tickt }}}} {canary}"}
    strong = teacher(*([BODY] if good_draft else [bad, bad]))
    forge = forge_at(repo, providers={TEACHER: strong})
    if good_draft:
        create(forge, cases)
    else:
        with pytest.raises(TeacherError):
            create(forge, cases)
    open_files = stored_bytes(repo)
    forge.close()
    for kept in (open_files, stored_bytes(repo)):
        assert canary.encode() not in kept
        assert b"[redacted:" in kept


def test_a_second_try_authors_from_the_same_traces_as_the_first(repo, forge_at, canary):
    cases = [{"input": {"ticket": f"charged {canary}"}}]
    first, second = teacher(), teacher()
    create(forge_at(repo, providers={TEACHER: first}), cases)
    create(forge_at(repo, providers={TEACHER: second}), cases)
    asked = [next(request for request in strong.seen if request.key.role == "author") for strong in (first, second)]
    assert asked[0] == asked[1]
    assert canary not in asked[0].messages[1].text


def test_a_recorded_teacher_takes_the_same_path(repo, forge_at):
    cases = [{"id": "a", "input": {"ticket": "charged twice"}}, {"id": "b", "input": {"ticket": "crash"}}]
    outputs = {"a": {"queue": "billing"}, "b": {"queue": "bug"}}
    pairs = [{"id": case["id"], "input": case["input"], "output": outputs[case["id"]]} for case in cases]

    def line(role: str, given: Any, answer: Any) -> str:
        return json.dumps(
            {"request": {"role": role, "task": digest(TASK), "input": given}, "response": {"json": answer}}
        )

    lines = [line(role, pair["input"], pair["output"]) for pair in pairs for role in ("solve", "run")]
    lines.append(line("author", {"solved": digest(pairs)}, BODY))
    (repo / "teacher.jsonl").write_text("\n".join(lines) + "\n")
    made = forge_at(repo).create(TASK, cases=cases, teacher=f"replay:{repo / 'teacher.jsonl'}")
    assert (made.solved, made.proved_ok, made.agreed, made.cost.usd) == (2, 2, 2, None)


def test_cases_that_will_measure_a_skill_never_make_it(repo, forge_at):
    strong = teacher()
    cases = [
        Case(id="train", input={"ticket": "charged"}, split="train"),
        Case(id="test", input={"ticket": "unseen crash"}, split="test"),
    ]
    made = create(forge_at(repo, providers={TEACHER: strong}), cases)
    assert (made.solved, made.examples) == (1, 1)
    assert "unseen" not in "".join(message.text for request in strong.seen for message in request.messages)
    path = repo / "cases.jsonl"
    path.write_text("".join(case.model_dump_json() + "\n" for case in cases))
    assert create(forge_at(repo, providers={TEACHER: teacher()}), str(path)).solved == 1


@pytest.mark.parametrize(
    ("task", "cases", "more", "error", "part"),
    [
        ("  ", CASES, {}, UsageError, "the task is empty"),
        (TASK, [], {}, UsageError, "no inputs to solve"),
        (TASK, [{"ticket": "x"}], {}, SkillFileError, "a case needs"),
        (TASK, [{"id": "a", "input": {}}, {"id": "a", "input": {}}], {}, SkillFileError, "already stands"),
        (TASK, CASES, {"name": "Not A Name"}, UsageError, "not a skill name"),
    ],
)
def test_a_wrong_wish_costs_no_call(repo, forge_at, task, cases, more, error, part):
    strong = teacher()
    with pytest.raises(error, match=part):
        forge_at(repo, providers={TEACHER: strong}).create(task, cases=cases, teacher=TEACHER, **more)
    assert strong.seen == []


def test_name_and_folder_are_the_callers_choice(repo, tmp_path, forge_at):
    made = create(forge_at(repo, providers={TEACHER: teacher()}), name="mine", folder=tmp_path / "out")
    assert made.path == str(tmp_path / "out" / "mine" / "skill.yaml")
    assert read_skill(tmp_path / "out" / "mine").skill.name == "mine"
