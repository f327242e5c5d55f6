"""From a log to a skill: the recorded answers are the teacher's first pass."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillforge.errors import NotFound, TeacherError, UsageError
from skillforge.forge.forge import Forge
from skillforge.forge.session import Terms
from skillforge.messages import Completion, Cost, Message, Request, Usage
from skillforge.providers.scripted import Scripted
from skillforge.skillfile import read_skill

ARMS = ("today", "no-model", "bare", "skill")

TEACHER, STUDENT = "scripted:teacher", "scripted:student"
SYSTEM = "You are the support desk of Acme. Route the ticket to billing, bug or account. Answer with that one word."
WORDS = {"invoice": "billing", "refund": "billing", "crash": "bug", "freeze": "bug", "login": "account"}
CALLS = 150

# $2 a million tokens, cached $0.50, output $8: a call of 2,000 tokens, 1,600 of them cached, and 10 written costs
# (400*2 + 1600*0.5 + 10*8) / 1e6 = $0.00168, at the list price (2000*2 + 10*8) / 1e6 = $0.00408.
PRICE = '[models."openai:gpt-6-luna"]\nprice = {input = 2, cached = 0.5, output = 8}\n'
REAL_PER_1000, LIST_PER_1000 = 1.68, 4.08
# A teacher's answer costs 5 cents, a student's one a hundredth of a cent.
TEACHER_USD, STUDENT_USD = 0.05, 0.0001

BODY: dict[str, Any] = {
    "name": "any-name",
    "description": "Routes one ticket.",
    "input": {"ticket": {"type": "string"}},
    "output": {"label": {"enum": ["account", "billing", "bug"]}},
    "instructions": "Choose.",
    "prompt": "{{ ticket }}",
    "examples": {"ids": "all", "select": "nearest", "k": 3},
}


def truth(text: str) -> str:
    return next(label for word, label in WORDS.items() if word in text)


class Priced(Scripted):
    """A script whose every answer costs the same."""

    def __init__(self, usd: float, **more: Any) -> None:
        super().__init__(**more)
        self.usd = usd

    def price(self, usage: Usage) -> Cost:
        return Cost(usd=self.usd, basis="test")

    def _completion(self, request: Request, reply: Any) -> Completion:
        usage = Usage(input_tokens=100, cached_tokens=0, output_tokens=5)
        text = reply if isinstance(reply, str) else json.dumps(reply)
        message = Message.of("assistant", text)
        return Completion(message=message, stop="stop", model="m", usage=usage, cost=self.price(usage), latency_s=0.1)


def teacher(*drafts: Any, run: Any = None) -> Priced:
    left = list(drafts or [BODY])

    def answer(request: Request) -> Any:
        if request.key.role.startswith("author"):
            return left.pop(0)
        assert request.key.role == "run", "what was answered already is not asked again"
        return run or {"label": truth(request.key.input["ticket"])}

    return Priced(TEACHER_USD, default=answer, name=TEACHER)


def student() -> Priced:
    return Priced(STUDENT_USD, default=lambda request: {"label": truth(request.key.input["ticket"])}, name=STUDENT)


def entry(number: int, said: str = "", finish: str = "stop") -> dict[str, Any]:
    word = list(WORDS)[number % len(WORDS)]
    ticket = f"{'abcdefghijklmnopqrstuvwxyz'[number % 26] * 9} {word} {number * 7919} since {number % 13}"
    turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"Ticket:\n{ticket}"}]
    choice = {"index": 0, "message": {"role": "assistant", "content": said or WORDS[word]}, "finish_reason": finish}
    usage = {"prompt_tokens": 2000, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 1600}}
    answer = {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1790000000 + 3600 * number}
    answer |= {"model": "gpt-6-luna", "choices": [choice], "usage": {**usage, "total_tokens": 2010}}
    return {"request": {"model": "gpt-6-luna", "messages": turns}, "response": answer, "latency_ms": 800}


@pytest.fixture
def log(repo: Path) -> Path:
    (repo / "skillforge.toml").write_text(PRICE)
    path = repo / "calls.jsonl"
    path.write_text("".join(json.dumps(entry(number)) + "\n" for number in range(CALLS)))
    return path


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test that needs a scanned repository leaves a copy for the others."""
    return tmp_path_factory.mktemp("scanned") / "repo"


@pytest.fixture
def group(repo: Path, log: Path, kept: Path, forge_at: Callable[..., Forge]) -> str:
    """The name of the one group of the log; its suite is made."""
    if not kept.exists():
        forge = forge_at(repo)
        (found,) = forge.traffic.scan([log]).groups
        forge.traffic.suite(found.name, paths=[log])
        forge.close()
        shutil.copytree(repo, kept)
    shutil.copytree(kept, repo, dirs_exist_ok=True)
    (suite,) = (repo / "evals").glob("*.yaml")
    return suite.stem


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def rewrite(repo: Path, group: str, kind: str, change: Callable[[int, dict[str, Any]], dict[str, Any] | None]) -> None:
    path = repo / "evals" / f"{group}{kind}.jsonl"
    made = [change(number, row) for number, row in enumerate(rows(path))]
    path.write_text("".join(json.dumps(row) + "\n" for row in made if row is not None))


def cases_of(repo: Path, group: str, split: str) -> list[dict[str, Any]]:
    return [case for case in rows(repo / "evals" / f"{group}.jsonl") if case["split"] == split]


def label(repo: Path, group: str, split: str, said: Callable[[dict[str, Any]], str]) -> None:
    path = repo / "evals" / f"{group}.labels.jsonl"
    told = [{"id": case["id"], "expected": {"label": said(case)}} for case in cases_of(repo, group, split)]
    with path.open("a") as handle:
        handle.write("".join(json.dumps(row) + "\n" for row in told))


def test_from_a_log_to_a_skill_that_repays_what_making_it_took(repo, group, forge_at):
    strong = teacher()
    forge = forge_at(repo, providers={TEACHER: strong, STUDENT: student()})
    made = forge.create(from_log=group, teacher=TEACHER)
    train = cases_of(repo, group, "train")
    assert (made.name, made.from_log, made.solved, made.unsolved) == (group, group, len(train), 0)
    assert (made.proved, made.proved_ok, made.agreed, made.labelled, made.left_out) == (8, 8, 8, 0, {})
    assert [request.key.role for request in strong.seen] == ["author"] + ["run"] * 8
    assert made.cost.usd == pytest.approx(9 * TEACHER_USD), "the recorded answers cost nothing again"
    skill = read_skill(Path(made.path)).skill
    assert skill.suite == f"evals/{group}.yaml"
    assert skill.task == "Route the ticket to billing, bug or account."
    assert {item.id for item in skill.examples.items} == {case["id"] for case in train}
    assert forge.show(group).provenance["from_log"] == group

    label(repo, group, "test", lambda case: truth(case["input"]["ticket"]))
    report = forge.eval(group, arms=ARMS, students=[STUDENT], teacher="recorded")
    assert (report.today, report.teacher.student, report.verdict) == ("teacher", "today (gpt-6-luna)", "pass")
    assert report.teacher.usd_per_1000 == pytest.approx(REAL_PER_1000)
    assert report.teacher.list_usd_per_1000 == pytest.approx(LIST_PER_1000)
    skill_arm = report.arms[-1]
    versus = skill_arm.versus_today
    assert versus is not None
    assert versus.saving_real == pytest.approx(1 - 0.1 / REAL_PER_1000)
    assert versus.saving_list == pytest.approx(1 - 0.1 / LIST_PER_1000)
    assert versus.difference == 0.0
    cases = len(cases_of(repo, group, "test"))
    made_usd = 9 * TEACHER_USD + 2 * cases * STUDENT_USD  # draft and eight proofs; the bare and the skill arm
    assert report.made_usd == pytest.approx(made_usd)
    assert report.repaid_after == {skill_arm.name: -int(-made_usd // ((REAL_PER_1000 - 0.1) / 1000))}


def test_a_live_teacher_stands_beside_today(repo, group, forge_at):
    forge = forge_at(repo, providers={TEACHER: teacher(), STUDENT: student()})
    forge.create(from_log=group, teacher=TEACHER, name="routing")
    strong = Priced(
        TEACHER_USD, default=lambda request: {"label": truth(request.key.input["ticket"])}, name="scripted:live"
    )
    live = forge_at(repo, providers={"scripted:live": strong, STUDENT: student()})
    report = live.eval("routing", arms=ARMS, students=[STUDENT], teacher="scripted:live")
    assert (report.today, report.arms[0].kind, report.reference) == ("today", "today", "teacher")
    assert report.arms[0].usd_per_1000 == pytest.approx(REAL_PER_1000)
    assert (report.second_pass, report.verdict) == (True, "pass"), "a live teacher answers twice: that is a bar"


def test_the_teacher_sees_the_prompt_in_use_and_no_case_that_will_measure(repo, group, forge_at):
    strong = teacher()
    forge_at(repo, providers={TEACHER: strong}).create(from_log=group, teacher=TEACHER)
    asked = strong.seen[0].messages[-1].text
    assert "You are the support desk of Acme" in asked
    assert '"label": {"enum": ["account", "billing", "bug"]}' in asked
    for split in ("dev", "test"):
        assert not [case for case in cases_of(repo, group, split) if case["input"]["ticket"] in asked]


def test_a_person_is_right_where_the_recorded_model_was_not(repo, group, forge_at):
    label(repo, group, "train", lambda case: "billing" if "crash" in case["input"]["ticket"] else truth(str(case)))
    made = forge_at(repo, providers={TEACHER: teacher()}).create(from_log=group, teacher=TEACHER)
    found = {item.input["ticket"]: item.output["label"] for item in made.skill.examples.items}
    assert made.labelled == made.solved == len(found)
    assert {said for text, said in found.items() if "crash" in text} == {"billing"}
    assert {said for text, said in found.items() if "freeze" in text} == {"bug"}


def test_answers_that_are_none_are_left_out_and_counted(repo, group, forge_at):
    train = [case["id"] for case in cases_of(repo, group, "train")]
    changes: dict[str, dict[str, Any] | None] = {
        train[0]: {"stop": "length", "text": "bi", "output": None},
        train[1]: {"stop": "refusal", "text": "I cannot", "output": None},
        train[2]: {"text": "garden", "output": None},
        train[3]: None,
    }

    def change(number: int, row: dict[str, Any]) -> dict[str, Any] | None:
        changed = changes.get(row["case"], {})
        return None if changed is None else {**row, **changed}

    rewrite(repo, group, ".today", change)
    forge = forge_at(repo, providers={TEACHER: teacher()})
    made = forge.create(from_log=group, teacher=TEACHER)
    assert made.left_out == {"cut off": 1, "refused": 1, "of another form": 1, "without an answer": 1}
    assert (made.solved, made.unsolved) == (len(train) - 4, 4)
    assert not {item.id for item in made.skill.examples.items} & set(train[:4])


def test_a_label_is_an_answer_where_the_recorded_one_is_none(repo, group, forge_at):
    first = cases_of(repo, group, "train")[0]
    rewrite(repo, group, ".today", lambda number, row: None if row["case"] == first["id"] else row)
    label(repo, group, "train", lambda case: truth(case["input"]["ticket"]))
    made = forge_at(repo, providers={TEACHER: teacher()}).create(from_log=group, teacher=TEACHER)
    assert (made.left_out, first["id"] in {item.id for item in made.skill.examples.items}) == ({}, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"input": {"text": {"type": "string"}}, "prompt": "{{ text }}"}, "input: must have exactly the fields ticket"),
        ({"output": {"queue": {"enum": ["account", "billing", "bug"]}}}, "output: must have exactly the fields label"),
        ({"output": "text"}, "output: must have exactly the fields label"),
        ({"output": {"label": {"enum": ["billing", "bug", "other"]}}}, 'output.label: the enum leaves out "account"'),
        ({"input": {"ticket": {"type": "string", "maxLength": 10}}}, "does not fit"),
    ],
)
def test_a_draft_that_leaves_the_contract_is_repaired_once(repo, group, forge_at, change, said):
    strong = teacher({**BODY, **change}, BODY)
    made = forge_at(repo, providers={TEACHER: strong}).create(from_log=group, teacher=TEACHER)
    assert made.repaired
    repair = next(request for request in strong.seen if request.key.role == "author-repair")
    assert said in repair.messages[-1].text
    bad = {**BODY, **change}
    with pytest.raises(TeacherError, match="stayed wrong"):
        forge_at(repo, providers={TEACHER: teacher(bad, bad)}).create(from_log=group, teacher=TEACHER)


def test_a_schema_that_refuses_an_unseen_case_is_told_by_count_alone(repo, group, forge_at):
    longest = "x" * 300 + " crash"
    test = cases_of(repo, group, "test")[0]["id"]

    def change(number: int, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "input": {"ticket": longest}} if row["id"] == test else row

    rewrite(repo, group, "", change)
    strong = teacher({**BODY, "input": {"ticket": {"type": "string", "maxLength": 200}}}, BODY)
    made = forge_at(repo, providers={TEACHER: strong}).create(from_log=group, teacher=TEACHER)
    assert made.repaired
    repair = next(request for request in strong.seen if request.key.role == "author-repair")
    assert "input.ticket: its schema refuses 1 of" in repair.messages[-1].text
    assert longest not in repair.messages[-1].text


def test_a_recording_of_it_replays_elsewhere(repo, group, forge_at, tmp_path):
    folder = tmp_path / "rec"
    made = forge_at(repo, providers={TEACHER: teacher()}).create(
        from_log=group, teacher=TEACHER, terms=Terms(record=folder)
    )
    (repo / ".skillforge" / "registry.db").unlink()
    (repo / "skills" / group / "skill.yaml").unlink()
    again = forge_at(repo).create(
        from_log=group, logs=[repo / "calls.jsonl"], teacher=TEACHER, terms=Terms(replay=folder)
    )
    assert (again.digest, again.spent_usd) == (made.digest, 0.0)


def test_an_estimate_holds_a_draft_and_its_proof_and_asks_nothing(repo, group, forge_at):
    strong = teacher()
    estimate = forge_at(repo, providers={TEACHER: strong}).estimate_create(from_log=group, teacher=TEACHER)
    assert [(expense.what, expense.calls) for expense in estimate.expenses] == [("write the skill", 1), ("prove it", 8)]
    assert estimate.about_usd == pytest.approx(9 * TEACHER_USD)
    assert strong.seen == []


def test_a_log_without_a_suite_says_how_to_make_one(repo, log, forge_at):
    forge = forge_at(repo, providers={TEACHER: teacher()})
    (found,) = forge.traffic.scan([log]).groups
    with pytest.raises(NotFound) as caught:
        forge.create(from_log=found.name, teacher=TEACHER)
    assert f"skillforge suite from-log {found.name}" in caught.value.hint
    with pytest.raises(NotFound, match="no such group"):
        forge.create(from_log="nobody", teacher=TEACHER)


def test_a_suite_of_another_name_is_named(repo, log, forge_at):
    forge = forge_at(repo, providers={TEACHER: teacher(BODY, BODY)})
    (found,) = forge.traffic.scan([log]).groups
    forge.traffic.suite(found.name, paths=[log], name="desk")
    assert forge.create(from_log=found.name, teacher=TEACHER, suite="desk").name == "desk"
    made = forge.create("Route it", from_log=found.id, teacher=TEACHER, suite="evals/desk.yaml", name="routing")
    assert (made.name, made.skill.task, made.skill.suite) == ("routing", "Route it", "evals/desk.yaml")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"cases": [{"input": {"text": "x"}}]}, "beside a log"),
        ({"from_log": "", "logs": ["calls.jsonl"]}, "no group"),
        ({"teacher": None}, "no teacher"),
        ({"suite": "../elsewhere.yaml"}, "outside"),
    ],
)
def test_what_contradicts_itself_costs_no_call(repo, group, forge_at, more, said):
    strong = teacher()
    with pytest.raises(UsageError, match=said):
        forge_at(repo, providers={TEACHER: strong}).create(**{"from_log": group, "teacher": TEACHER, **more})
    assert strong.seen == []


def test_a_suite_with_nothing_to_learn_from_says_why(repo, group, forge_at):
    rewrite(repo, group, ".today", lambda number, row: {**row, "stop": "refusal", "output": None})
    with pytest.raises(UsageError, match=r"no recorded answer to learn from \(\d+ refused\)"):
        forge_at(repo, providers={TEACHER: teacher()}).create(from_log=group, teacher=TEACHER)
    suite = repo / "evals" / f"{group}.yaml"
    suite.write_text("".join(line for line in suite.read_text().splitlines(True) if not line.startswith("today:")))
    with pytest.raises(UsageError, match="holds no recorded answers"):
        forge_at(repo, providers={TEACHER: teacher()}).create(from_log=group, teacher=TEACHER)


def test_no_secret_of_a_prompt_or_an_answer_reaches_the_teacher_or_a_file(repo, forge_at, canary, stored_bytes):
    (repo / "skillforge.toml").write_text(PRICE)
    path = repo / "calls.jsonl"
    lines = [entry(number) for number in range(CALLS)]
    for line in lines:
        line["request"]["messages"][0]["content"] += f" Token {canary}."
        line["request"]["messages"][1]["content"] += f" my key is {canary}"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    strong = teacher()
    forge = forge_at(repo, providers={TEACHER: strong})
    found = forge.traffic.scan([path]).groups[0]
    forge.traffic.suite(found.name, paths=[path])
    path.unlink()
    draft = found.draft
    assert draft is not None
    drafted = {**BODY, "input": {name: {"type": "string"} for name in draft.input}}
    drafted["prompt"] = " ".join(f"{{{{ {name} }}}}" for name in draft.input)

    def answer(request: Request) -> Any:
        if request.key.role == "author":
            return drafted
        return {"label": truth(json.dumps(request.key.input))}

    strong._default = answer
    forge.create(from_log=found.name, teacher=TEACHER)
    assert all(canary not in message.text for request in strong.seen for message in request.messages)
    forge.close()
    assert canary.encode() not in stored_bytes(repo)


def test_what_making_took_is_no_part_of_a_students_evidence(repo, group, forge_at):
    other = Priced(STUDENT_USD, default={"label": "bug"}, name="scripted:other")
    forge = forge_at(repo, providers={TEACHER: teacher(), STUDENT: student(), "scripted:other": other})
    forge.create(from_log=group, teacher=TEACHER)
    label(repo, group, "test", lambda case: truth(case["input"]["ticket"]))
    alone = forge.eval(group, arms=ARMS, students=[STUDENT], teacher="recorded")
    both = forge.eval(group, arms=ARMS, students=[STUDENT, "scripted:other"], teacher="recorded")
    assert alone.made_usd is not None
    assert both.made_usd is not None
    assert both.made_usd > alone.made_usd
    kept = [item.student for item in forge.evidence(forge.show(group))]
    assert sorted(kept) == ["scripted:other", STUDENT]


def test_of_a_skill_that_nobody_wrote_here_nothing_is_said_to_be_repaid(repo, group, forge_at):
    forge = forge_at(repo, providers={TEACHER: teacher(), STUDENT: student()})
    forge.create(from_log=group, teacher=TEACHER)
    forge.close()
    (repo / ".skillforge" / "registry.db").unlink()
    label(repo, group, "test", lambda case: truth(case["input"]["ticket"]))
    report = forge_at(repo, providers={STUDENT: student()}).eval(
        group, arms=ARMS, students=[STUDENT], teacher="recorded"
    )
    assert (report.made_usd, report.repaid_after) == (None, {})
