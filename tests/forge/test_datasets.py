"""``forge.datasets``: from what is known of a teacher's answers to files that a trainer takes."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from skillforge.canonical import digest
from skillforge.errors import NotFound, SkillFileError, UsageError
from skillforge.forge.data import files as dataset_files
from skillforge.forge.data.plan import Built
from skillforge.forge.forge import Forge
from skillforge.forge.session import Terms
from skillforge.formats.finetune.formats import FORMATS
from skillforge.messages import Request
from skillforge.providers.scripted import Scripted
from skillforge.trace import Trace

MakeForge = Callable[..., Forge]
Suite = Callable[..., Path]
TRAIN, DEV, TEST = 30, 4, 12
TASK = "Route one ticket to billing or bug."


def words(number: int) -> str:
    """A text unlike those of other numbers."""
    source = random.Random(number)
    return " ".join("".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(8))


def queue_of(text: str) -> str:
    return "bug" if "crash" in text else "billing"


def right(request: Request) -> Any:
    text = request.key.input["ticket"]
    return {"queue": queue_of(text), "quote": text.split()[0]}


def case(number: int, split: str, **changes: Any) -> dict[str, Any]:
    ticket = f"{'crash' if number % 3 == 0 else 'charged'} {words(number)}"
    answer = {"queue": queue_of(ticket), "quote": ticket.split()[0]}
    return {"id": f"c{number}", "input": {"ticket": ticket}, "expected": answer, "split": split, **changes}


def line(case: dict[str, Any], answer: Any = None, *, role: str = "solve", **response: Any) -> dict[str, Any]:
    asked = {"role": role, "task": digest(TASK), "input": case["input"]}
    said = {"json": case["expected"] if answer is None else answer} if "text" not in response else {}
    return {"request": asked, "response": {**said, "model": "strong", **response}}


def cases() -> list[dict[str, Any]]:
    splits = ["train"] * TRAIN + ["dev"] * DEV + ["test"] * TEST
    return [case(number, split) for number, split in enumerate(splits)]


@pytest.fixture
def suite_in(skill_in: Callable[..., Path]) -> Suite:
    """Writes the skill and its suite; ``lines`` is the teacher's recording (``None``: there is none)."""

    def write(root: Path, rows: list[dict[str, Any]], lines: list[Any] | None, head: str = "", **skill: Any) -> Path:
        skill_in(root, **skill)
        folder = root / "evals"
        folder.mkdir(exist_ok=True)
        (folder / "ticket-triage.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        recorded = ""
        if lines is not None:
            (folder / "teacher.jsonl").write_text("".join(json.dumps(item) + "\n" for item in lines))
            recorded = "recorded: file://teacher.jsonl\n"
        path = folder / "ticket-triage.yaml"
        path.write_text(
            "schema: skillforge/suite/v1\nname: ticket-triage\ndecision: {metric: /queue}\n"
            f"{head}{recorded}cases: file://ticket-triage.jsonl\n"
        )
        return path

    return write


def rows_of(folder: Path, name: str = "train.openai.jsonl") -> list[dict[str, Any]]:
    return [json.loads(item) for item in (folder / name).read_text("utf-8").splitlines()]


def test_a_recorded_teacher_becomes_checked_files(repo: Path, forge_at: MakeForge, suite_in: Suite) -> None:
    suite_in(repo, cases(), [line(row) for row in cases()])
    said: list[str] = []
    forge = forge_at(repo, say=said.append)
    made = forge.datasets.build("ticket-triage")
    card = made.card
    assert made.folder == repo / "datasets" / "ticket-triage"
    assert card.sources == {"example": 2, "recorded": TRAIN}
    assert (card.rows, card.train, card.validation) == (TRAIN + 2, 29, 3)
    assert [step.name for step in card.steps] == [
        "finished",
        "checked",
        "clean",
        "agreed",
        "unseen",
        "different",
        "chosen",
    ]
    assert {item.format for item in card.files} == {"openai", "anthropic", "bedrock", "trl", "csv"}
    assert set(card.left_formats) == {"dpo", "openai-dpo"}
    for item in card.files:
        assert not FORMATS[item.format].check(made.folder / item.file, item.part).errors
        assert not forge.datasets.validate(made.folder / item.file, validation=item.part == "validation").errors
    (first, *_) = rows_of(made.folder)
    assert [message["role"] for message in first["messages"]] == ["system", "user", "assistant"]
    assert first["messages"][1]["content"].startswith("Locale: en\ncrash")
    assert forge.datasets.show("ticket-triage") == card == forge.datasets.show(made.folder)
    assert any("is unknown here" in text for text in said)
    assert "May I train on this?" in (made.folder / "README.md").read_text()


def test_no_dev_or_test_case_is_in_any_file(repo: Path, forge_at: MakeForge, suite_in: Suite) -> None:
    rows = cases()
    twin = rows[-1]["input"]["ticket"] + "!!"
    rows.append({**case(900, "train"), "input": {"ticket": twin}})
    suite_in(repo, rows, [line(row) for row in rows])
    made = forge_at(repo).datasets.build("ticket-triage")
    unseen = next(step for step in made.card.steps if step.name == "unseen")
    assert unseen.dropped == {"it reads like a test case": 1}
    files = b"".join(path.read_bytes() for path in made.folder.iterdir())
    for row in rows[TRAIN : TRAIN + DEV + TEST]:
        assert row["input"]["ticket"].split(" ", 1)[1].encode() not in files


def test_the_same_inputs_give_the_same_bytes_and_nothing_is_judged_twice(
    repo: Path, tmp_path: Path, forge_at: MakeForge, suite_in: Suite, stored_bytes: Callable[[Path], bytes]
) -> None:
    suite_in(repo, cases(), [line(row) for row in cases()])
    other = tmp_path / "other"
    shutil.copytree(repo, other)
    forge = forge_at(repo)
    first = forge.datasets.build("ticket-triage")
    before = stored_bytes(first.folder)
    again = forge.datasets.build("ticket-triage")
    assert stored_bytes(again.folder) == before
    assert (first.known, again.known) == (0, 7 * (TRAIN + 2))
    elsewhere = forge_at(other).datasets.build("ticket-triage", folder=other / "datasets" / "ticket-triage")
    assert stored_bytes(elsewhere.folder) == before
    assert stored_bytes(forge.datasets.build("ticket-triage", seed=1).folder) != before


def test_bad_answers_of_a_recording_are_left_out(repo: Path, forge_at: MakeForge, suite_in: Suite) -> None:
    rows = cases()
    lines = [line(row) for row in rows[5:TRAIN]]
    lines += [
        line(rows[0], text="I cannot help", stop="refusal"),
        line(rows[1], text='{"queue": "billing", "quo', stop="length"),
        line(rows[2], {"queue": "sales", "quote": ""}),
        line(rows[3], {"queue": "billing", "quote": "never said"}),
        line(rows[4], {"queue": "bug", "quote": "charged"}),
        line(rows[5], {"queue": "billing", "quote": "charged"}, role="solve#2"),
        line(rows[6], {"queue": "billing", "quote": "crash"}, role="solve#2"),
    ]
    checks = [{"type": "in-input", "path": "/quote", "of": "ticket"}]
    suite_in(repo, rows, lines, checks=checks)
    card = forge_at(repo).datasets.build("ticket-triage", require_label=True).card
    dropped = {step.name: step.dropped for step in card.steps if step.dropped}
    assert dropped == {
        "finished": {"no answer could be read": 1, "the answer was cut off": 1, "the teacher refused": 1},
        "checked": {"check in-input at /quote failed": 1},
        "agreed": {
            "it differs from the suite's label": 1,
            "the teacher answered otherwise when it was asked again": 1,
        },
    }
    noted = {step.name: step.noted for step in card.steps if step.noted}
    assert noted == {"agreed": {"answered the same again": 1}}
    gone = rows_of(repo / "datasets" / "ticket-triage", "dropped.jsonl")
    assert {item["id"] for item in gone} == {"c0", "c1", "c2", "c3", "c4", "c6"}


def test_a_measured_teacher_and_its_failing_student_make_pairs(
    repo: Path, forge_at: MakeForge, suite_in: Suite
) -> None:
    suite_in(repo, cases(), None)
    teacher = Scripted(default=right, name="scripted:teacher")
    student = Scripted(default={"queue": "billing", "quote": "x"}, name="scripted:student")
    forge = forge_at(repo, providers={item.name: item for item in (teacher, student)})
    forge.eval("ticket-triage", students=[student.name], teacher=teacher.name, split="train")
    made = forge.datasets.build("ticket-triage", validation=0)
    assert made.card.sources["measured"] == TRAIN
    bugs = sum(row["expected"]["queue"] == "bug" for row in cases()[:TRAIN])
    assert made.card.pairs == bugs
    pairs = rows_of(made.folder, "train.dpo.jsonl")
    assert len(pairs) == bugs
    assert all('"bug"' in pair["chosen"][0]["content"] for pair in pairs)
    assert all('"billing"' in pair["rejected"][0]["content"] for pair in pairs)
    assert rows_of(made.folder, "train.openai-dpo.jsonl")[0]["preferred_output"] == pairs[0]["chosen"]
    none = forge.datasets.build("ticket-triage", students=["scripted:other"])
    assert none.card.pairs == 0


def test_a_student_is_asked_for_its_wrong_answers_once(repo: Path, forge_at: MakeForge, suite_in: Suite) -> None:
    suite_in(repo, cases(), [line(row) for row in cases()])
    asked: list[Request] = []

    def answer(request: Request) -> Any:
        asked.append(request)
        return {"queue": "billing", "quote": "x"}

    student = Scripted(default=answer, name="scripted:student")
    forge = forge_at(repo, providers={student.name: student})
    first = forge.datasets.build("ticket-triage", ask_student=student.name)
    assert len(asked) == TRAIN + 2
    bugs = sum(row["expected"]["queue"] == "bug" for row in cases()[:TRAIN]) + 1
    assert first.card.pairs == bugs
    prompts = [[message.text for message in request.messages] for request in asked]
    pair = rows_of(first.folder, "train.dpo.jsonl")[0]
    assert [message["content"] for message in pair["prompt"]] in prompts
    forge.datasets.build("ticket-triage", ask_student=student.name)
    assert len(asked) == TRAIN + 2
    assert forge.datasets.build("ticket-triage").card.pairs == bugs


def test_production_runs_of_the_teacher_count_and_test_inputs_among_them_do_not(
    repo: Path, forge_at: MakeForge, suite_in: Suite
) -> None:
    rows = cases()
    suite_in(repo, rows, [line(row) for row in rows])
    teacher = Scripted(default=right, name="scripted:teacher")
    student = Scripted(default=right, name="scripted:student")
    forge = forge_at(repo, providers={item.name: item for item in (teacher, student)})
    forge.run("ticket-triage@latest", {"ticket": f"crash {words(777)}"}, student=teacher.name)
    forge.run("ticket-triage@latest", {"ticket": f"crash {words(778)}"}, student=student.name)
    forge.run("ticket-triage@latest", rows[-1]["input"], student=teacher.name)
    card = forge.datasets.build("ticket-triage", teachers=[teacher.name]).card
    assert card.sources["run"] == 2
    assert next(step for step in card.steps if step.name == "unseen").dropped == {"it is a test case": 1}
    sources = [item["source"] for item in rows_of(repo / "datasets" / "ticket-triage", "provenance.jsonl")]
    assert sources.count("run") == 1


def test_what_the_teacher_did_when_the_skill_was_made_counts(repo: Path, forge_at: MakeForge, suite_in: Suite) -> None:
    suite_in(repo, cases(), [line(row) for row in cases()])
    forge = forge_at(repo)
    given = {"ticket": f"crash {words(50_000)}"}
    trace = Trace(case_id="x", task=TASK, input=given, output={"queue": "bug", "quote": "crash"}, model="strong")
    forge._portal.run(lambda: forge._work.traces.add("key", trace, "strong"))
    card = forge.datasets.build("ticket-triage").card
    assert card.sources["solved"] == 1
    assert card.rows == TRAIN + 3


def test_the_calls_a_suite_was_made_of_count(repo: Path, forge_at: MakeForge, suite_in: Suite) -> None:
    rows = cases()
    suite_in(repo, rows, None, head="today: file://today.jsonl\n")
    today = [{"case": row["id"], "text": json.dumps(row["expected"]), "model": "gpt-6-luna"} for row in rows]
    (repo / "evals" / "today.jsonl").write_text("".join(json.dumps(item) + "\n" for item in today))
    card = forge_at(repo).datasets.build("ticket-triage").card
    assert card.sources["log"] == TRAIN
    policies = {share.teacher: share.policy for share in card.teachers}
    assert policies["gpt-6-luna"].maker == "OpenAI"
    assert any("compete" in warning for warning in card.warnings)


def test_terms_that_disallow_training_stop_it_until_a_reason_is_given(
    repo: Path, forge_at: MakeForge, suite_in: Suite
) -> None:
    suite_in(repo, cases(), [line(row, model="llama-2-70b-chat") for row in cases()])
    forge = forge_at(repo)
    with pytest.raises(UsageError, match="may not be used to improve any other") as raised:
        forge.datasets.build("ticket-triage")
    assert "--override-policy" in raised.value.hint
    assert not (repo / "datasets").exists()
    made = forge.datasets.build("ticket-triage", override="the student is a Llama 2 too")
    assert made.card.override == "the student is a Llama 2 too"
    assert "The reason given: the student is a Llama 2 too" in (made.folder / "README.md").read_text()
    told = rows_of(made.folder, "provenance.jsonl")
    assert {item["policy"] for item in told if item["source"] == "recorded"} == {"disallowed"}


def test_a_critic_grades_what_is_left_and_is_paid_once(repo: Path, forge_at: MakeForge, suite_in: Suite) -> None:
    suite_in(repo, cases(), [line(row) for row in cases()])

    def grade(request: Request) -> Any:
        return "Fine.\nGRADE: 5" if "charged" in request.messages[-1].text else "Poor.\nGRADE: 2"

    asked: list[Request] = []

    def counted(request: Request) -> Any:
        asked.append(request)
        return grade(request)

    judge = Scripted(default=counted, name="scripted:judge")
    forge = forge_at(repo, providers={judge.name: judge})
    card = forge.datasets.build("ticket-triage", critic=judge.name, terms=Terms()).card
    graded = card.steps[-1]
    assert (graded.name, graded.came) == ("graded", TRAIN + 2)
    assert graded.dropped == {"graded 2, below 4": TRAIN // 3 + 1}
    assert card.rows == graded.kept == len(asked) - TRAIN // 3 - 1
    before = len(asked)
    again = forge.datasets.build("ticket-triage", critic=judge.name, least=2)
    assert len(asked) == before
    assert again.card.rows == TRAIN + 2


def test_secrets_and_personal_data_stay_out(
    repo: Path, forge_at: MakeForge, suite_in: Suite, canary: str, stored_bytes: Callable[[Path], bytes]
) -> None:
    rows = cases()
    rows[0]["input"]["ticket"] += f" my key is {canary}"
    rows[1]["input"]["ticket"] += " write to jane.roe@web.de"
    rows[1]["expected"]["quote"] = "jane.roe@web.de"
    checks = [{"type": "in-input", "path": "/quote", "of": "ticket"}]
    suite_in(repo, rows, [line(row) for row in rows], checks=checks)
    forge = forge_at(repo)
    made = forge.datasets.build("ticket-triage")
    data = stored_bytes(made.folder) + stored_bytes(repo / ".skillforge")
    assert canary.encode() not in data
    assert b"jane.roe" not in stored_bytes(made.folder)
    assert made.card.masked == {"mail": 2}
    clean = next(step for step in made.card.steps if step.name == "clean")
    assert clean.dropped == {"it holds a secret": 1}
    assert '"quote": "[mail]"' in rows_of(made.folder)[0]["messages"][-1]["content"]
    kept = forge.datasets.build("ticket-triage", personal="keep")
    assert b"jane.roe" in stored_bytes(kept.folder)
    gone = forge.datasets.build("ticket-triage", personal="drop")
    assert gone.card.rows == kept.card.rows - 1


def test_under_store_io_none_the_registry_gives_nothing_and_gets_no_text(
    repo: Path,
    forge_at: MakeForge,
    suite_in: Suite,
    stored_bytes: Callable[[Path], bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SKILLFORGE_STORE_IO", "none")
    rows = cases()
    suite_in(repo, rows, [line(row) for row in rows])
    teacher = Scripted(default=right, name="scripted:teacher")
    forge = forge_at(repo, providers={teacher.name: teacher})
    forge.run("ticket-triage@latest", {"ticket": "crash of the run"}, student=teacher.name)
    card = forge.datasets.build("ticket-triage", teachers=[teacher.name]).card
    assert "run" not in card.sources
    assert rows[4]["input"]["ticket"].encode() not in stored_bytes(repo / ".skillforge")


def test_prompts_may_show_examples_but_never_their_own_nor_an_unseen_case(
    repo: Path, forge_at: MakeForge, suite_in: Suite
) -> None:
    rows = cases()
    shown = [rows[0], rows[1], rows[-1]]
    items = [{"id": f"e{n}", "input": row["input"], "output": row["expected"]} for n, row in enumerate(shown)]
    suite_in(repo, rows, [line(row) for row in rows], examples={"select": "nearest", "k": 3, "items": items})
    made = forge_at(repo).datasets.build("ticket-triage", with_examples=True, validation=0)
    own, other = rows_of(made.folder)[0], rows_of(made.folder)[5]
    assert [message["role"] for message in other["messages"]].count("user") == 3
    assert [message["role"] for message in own["messages"]].count("user") == 2
    hidden = rows[-1]["input"]["ticket"]
    assert hidden not in (made.folder / "train.openai.jsonl").read_text()


@pytest.mark.parametrize("split", ["test", None])
def test_nothing_is_built_on_cases_that_are_measured_on(
    repo: Path, forge_at: MakeForge, suite_in: Suite, split: str | None
) -> None:
    rows = [case(number, "test") for number in range(5)]
    rows = [{key: value for key, value in row.items() if split or key != "split"} for row in rows]
    suite_in(repo, rows, [line(row) for row in rows])
    with pytest.raises(UsageError, match="has no train cases, and what is measured on is never trained on"):
        forge_at(repo).datasets.build("ticket-triage")


def test_wishes_that_cannot_be_met_are_usage_errors(repo: Path, forge_at: MakeForge, suite_in: Suite) -> None:
    suite_in(repo, cases(), [line(row) for row in cases()])
    forge = forge_at(repo)
    for wishes, said in (
        ({"formats": ["opena"]}, "no format"),
        ({"validation": 0.9}, "--validation"),
        ({"least": 9}, "--least"),
        ({"personal": "hide"}, "--personal"),
        ({"formats": ["dpo"]}, "no student's wrong answer"),
        ({"folder": repo / "evals"}, "something else stands there"),
    ):
        with pytest.raises(UsageError, match=said):
            forge.datasets.build("ticket-triage", **wishes)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        forge.datasets.show("nothing")
    assert not (repo / "datasets").exists() or not list((repo / "datasets").iterdir())


def test_a_build_that_fails_leaves_the_last_one_as_it_was(
    repo: Path,
    forge_at: MakeForge,
    suite_in: Suite,
    stored_bytes: Callable[[Path], bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    suite_in(repo, cases(), [line(row) for row in cases()])
    forge = forge_at(repo)
    folder = forge.datasets.build("ticket-triage").folder
    before = stored_bytes(folder)

    def full(path: Path, lines: Any) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(dataset_files, "write_lines", full)
    with pytest.raises(OSError, match="No space left"):
        forge.datasets.build("ticket-triage", seed=1)
    assert stored_bytes(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["ticket-triage"]


def test_a_card_that_is_none_is_said(repo: Path, forge_at: MakeForge) -> None:
    folder = repo / "datasets" / "x"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text('{"schema": "skillforge/dataset/v1"}')
    with pytest.raises(SkillFileError, match="is no card"):
        forge_at(repo).datasets.show("x")


def test_a_workflow_is_refused(repo: Path, forge_at: MakeForge, suite_in: Suite) -> None:
    steps = [{"id": "answer", "prompt": "{{ ticket }}", "output": {"queue": {"enum": ["billing", "bug"]}}}]
    suite_in(
        repo, cases(), None, steps=steps, prompt="", instructions="", examples={}, output={"queue": {"type": "string"}}
    )
    with pytest.raises(UsageError, match="is a workflow"):
        forge_at(repo).datasets.build("ticket-triage")


def test_the_async_twin_builds_the_same(repo: Path, forge_at: MakeForge, suite_in: Suite) -> None:
    suite_in(repo, cases(), [line(row) for row in cases()])
    forge = forge_at(repo)

    async def there() -> Built:
        return await forge.datasets.abuild("ticket-triage", formats=["trl"])

    made = anyio.run(there)
    assert [item.file for item in made.card.files] == ["train.trl.jsonl", "validation.trl.jsonl"]
