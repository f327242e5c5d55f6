"""What was made of a subject's texts goes with them: data sets, classifiers, variants, tunings, a ladder's cases."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillforge.canonical import digest
from skillforge.config import database_path
from skillforge.forge.forge import Forge
from skillforge.messages import Request
from skillforge.providers.scripted import Scripted
from skillforge.redact import Redactor
from skillforge.skillfile import read_skill
from skillforge.skillparts import Decoding, Example, Examples
from skillforge.store.database import open_database
from skillforge.store.tuning import TuningLog
from skillforge.variant import Variant
from skillforge.variantfile import read_variant, variant_path, write_variant

MakeForge = Callable[..., Forge]

SUBJECT = "customer-4711"
WORD = "quittenbaum"
THEIRS = f'the parcel of {WORD} from "Łódź" crashed, call +49 30 1234567 please'
TASK = "Route one ticket to billing or bug."
NAME = "ticket-triage"
LOW, HIGH = "scripted:low", "scripted:high"


def answer(ticket: str) -> dict[str, str]:
    return {"queue": "bug" if "crash" in ticket else "billing", "quote": ticket.split()[0]}


def right(request: Request) -> Any:
    return answer(request.key.input["ticket"])


def unfit(request: Request) -> Any:
    return {"queue": "nobody's"}


def case(name: str, ticket: str, split: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "input": {"ticket": ticket}, "expected": answer(ticket), "split": split, **more}


def of_others() -> list[dict[str, Any]]:
    tickets = [
        f"{'crash' if n % 2 else 'charged'} {n} {'abcdefghij'[n % 10] * 7} {'uvwxyz'[n % 6] * 9}" for n in range(24)
    ]
    return [case(f"o{n}", ticket, "train" if n < 18 else "test") for n, ticket in enumerate(tickets)]


@pytest.fixture
def at_work(repo: Path, skill_in: Callable[..., Path], forge_at: MakeForge) -> Callable[..., Forge]:
    """Opens a repository whose suite has one case of the subject, with a teacher's recording of all its cases."""

    def begin(split: str = "train", theirs: str = THEIRS, **skill: Any) -> Forge:
        skill_in(repo, **skill)
        folder = repo / "evals"
        folder.mkdir()
        cases = [*of_others(), case("t1", theirs, split, metadata={"subject": SUBJECT})]
        (folder / f"{NAME}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in cases))
        lines = [
            {
                "request": {"role": "solve", "task": digest(TASK), "input": row["input"]},
                "response": {"json": row["expected"], "model": "strong"},
            }
            for row in cases
        ]
        (folder / "teacher.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (folder / f"{NAME}.yaml").write_text(
            f"schema: skillforge/suite/v1\nname: {NAME}\nskill: {NAME}\ndecision: {{metric: /queue}}\n"
            f"recorded: file://teacher.jsonl\ncases: file://{NAME}.jsonl\n"
        )
        models = {LOW: unfit, HIGH: right}
        return forge_at(repo, providers={name: Scripted(default=said, name=name) for name, said in models.items()})

    return begin


def holding(root: Path, text: str) -> list[str]:
    """The files that hold a text, in the members of archives too."""
    return sorted(
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and text.encode() in _bytes(path)
    )


def _bytes(path: Path) -> bytes:
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


def test_a_data_set_with_a_row_of_theirs_goes_whole_wherever_it_lies(at_work: Any, repo: Path) -> None:
    forge = at_work()
    forge.datasets.build(NAME)
    forge.datasets.build(NAME, folder=repo / "exports" / "masked", formats=["csv"], personal="mask")
    assert {"datasets/ticket-triage/train.openai.jsonl", "exports/masked/train.csv"} <= set(holding(repo, WORD))
    (repo / "datasets" / NAME / "notes.txt").write_text("trained on the 22nd")
    planned = forge.repository.purge(subject=SUBJECT, dry_run=True)
    done = forge.repository.purge(subject=SUBJECT)
    assert done.whole, done
    assert (planned.files, planned.lines) == (done.files, done.lines)
    assert done.files[-1] != "datasets/ticket-triage/card.json"
    assert holding(repo, WORD) == holding(repo, SUBJECT) == []
    assert [path.name for path in (repo / "datasets" / NAME).iterdir()] == ["notes.txt"]
    assert not (repo / "exports" / "masked").exists()
    built = forge.datasets.build(NAME, folder=repo / "datasets" / "again")
    assert holding(built.folder, WORD) == []


def test_a_row_is_known_by_its_case_where_its_text_is_short(at_work: Any, repo: Path) -> None:
    forge = at_work(theirs="a crash")
    forge.datasets.build(NAME)
    forge.repository.purge(subject=SUBJECT)
    assert not (repo / "datasets" / NAME).exists()


def test_a_data_set_without_them_stays_as_it_is(at_work: Any, repo: Path) -> None:
    forge = at_work(split="test")
    folder = forge.datasets.build(NAME).folder
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert forge.repository.purge(subject=SUBJECT).whole
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


LABELS = {"output": {"queue": {"enum": ["billing", "bug"]}}, "examples": {"items": []}}


@pytest.fixture
def labelled(at_work: Any, repo: Path) -> Callable[..., Forge]:
    """The same with a skill whose output is one label."""

    def begin(**options: Any) -> Forge:
        forge: Forge = at_work(**options, **LABELS)
        cases = repo / "evals" / f"{NAME}.jsonl"
        rows = [json.loads(line) for line in cases.read_text().splitlines()]
        for row in rows:
            del row["expected"]["quote"]
        cases.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return forge

    return begin


def test_a_classifier_that_learned_from_their_text_goes_with_its_card(labelled: Any, repo: Path) -> None:
    forge = labelled()
    forge.students.train(NAME, name="fast", labels="expected")
    assert "skills/ticket-triage/encoders/fast.skops" in holding(repo, WORD)
    done = forge.repository.purge(subject=SUBJECT)
    assert done.whole, done
    assert {f"skills/ticket-triage/encoders/fast{end}" for end in (".skops", ".json")} <= set(done.files)
    assert holding(repo, WORD) == []


def test_a_classifier_that_never_saw_their_text_stays(labelled: Any, repo: Path) -> None:
    forge = labelled(split="test")
    forge.students.train(NAME, name="fast", labels="expected")
    assert holding(repo / "skills", WORD) == []
    assert forge.repository.purge(subject=SUBJECT).whole
    assert forge.run(f"{NAME}@latest", {"ticket": "crash again"}, student="encoder:fast").ok


def test_a_classifier_in_production_waits_until_another_student_answers(labelled: Any, repo: Path) -> None:
    forge = labelled()
    forge.students.train(NAME, name="fast", labels="expected")
    forge.deployments.promote(NAME, student="encoder:fast", accept_risk="a test")
    done = forge.repository.purge(subject=SUBJECT)
    assert (done.deployed, done.files) == ((f"{NAME}@1, encoder:fast (production)",), ())
    assert forge.run(NAME, {"ticket": "crash again"}).ok
    assert "evals/ticket-triage.jsonl" in holding(repo, WORD)
    forge.deployments.promote(NAME, student=HIGH, accept_risk="for a while")
    assert forge.repository.purge(subject=SUBJECT).whole
    assert holding(repo, WORD) == []


def test_a_classifier_whose_suite_is_gone_is_named(labelled: Any, repo: Path) -> None:
    forge = labelled()
    forge.students.train(NAME, name="fast", labels="expected")
    (repo / "evals" / f"{NAME}.yaml").unlink()
    done = forge.repository.purge(subject=SUBJECT)
    assert done.remaining == ("encoder:fast of ticket-triage (its suite is not in evals/)",)
    assert (repo / "skills" / NAME / "encoders" / "fast.skops").is_file()
    assert forge.repository.purge(subject="nobody-at-all").whole


def tuned(forge: Forge, **overlay: Any) -> Path:
    version = forge.show(f"{NAME}@latest")
    variant = Variant(skill=NAME, student=LOW, of=version.digest, **overlay)
    return write_variant(variant, forge.root / "skills" / NAME, version.skill)


def examples(*tickets: str) -> Examples:
    return Examples(
        items=tuple(Example(id=f"e{n}", input={"ticket": text}, output=answer(text)) for n, text in enumerate(tickets))
    )


def test_their_example_goes_from_a_variant_and_the_rest_of_it_stays(at_work: Any, repo: Path) -> None:
    forge = at_work()
    forge.save(repo / "skills" / NAME)
    path = tuned(forge, examples=examples(THEIRS, "charged twice for it"), decoding=Decoding(format="json"))
    planned = forge.repository.purge(subject=SUBJECT, dry_run=True)
    done = forge.repository.purge(subject=SUBJECT)
    assert done.whole, done
    assert planned.lines == done.lines
    assert done.lines[str(path.relative_to(repo))] == 1
    left = read_variant(path, read_skill(repo / "skills" / NAME).skill)
    assert left.examples is not None
    assert [item.id for item in left.examples.items] == ["e1"]
    assert left.decoding == Decoding(format="json")
    assert holding(repo, WORD) == []


def test_a_variant_that_names_their_example_by_its_id_is_still_one(at_work: Any, repo: Path) -> None:
    shown = examples(THEIRS, "charged twice for it", "crash at the start")
    forge = at_work(examples=shown.model_dump(mode="json"))
    forge.save(repo / "skills" / NAME)
    path = tuned(forge, examples=Examples(items=shown.items[:2]))
    assert WORD not in path.read_text()  # by their ids
    assert forge.repository.purge(subject=SUBJECT).whole
    left = read_variant(path, read_skill(repo / "skills" / NAME).skill)
    assert left.examples is not None
    assert [item.id for item in left.examples.items] == ["e1"]


def test_a_variant_whose_instructions_quote_them_goes_whole(at_work: Any, repo: Path) -> None:
    forge = at_work()
    forge.save(repo / "skills" / NAME)
    path = tuned(forge, instructions=f"Such as: {THEIRS}.\nAnswer with JSON.")
    assert forge.repository.purge(subject=SUBJECT).whole
    assert not path.exists()


def test_a_deployed_form_waits_and_its_version_is_not_taken_for_theirs(at_work: Any, repo: Path) -> None:
    forge = at_work()
    forge.save(repo / "skills" / NAME)
    tuned(forge, examples=examples(THEIRS, "charged twice for it"))
    forge.deployments.promote(NAME, student=LOW, accept_risk="a test")
    assert len(holding(repo / "skills" / NAME / "deployed", WORD)) == 1
    done = forge.repository.purge(subject=SUBJECT)
    assert done.deployed == (f"{NAME}@1 (production)",)
    assert done.lines == {f"skills/{NAME}/variants/{variant_path(repo, LOW).name}": 1}
    forge.deployments.promote(NAME, student=LOW, accept_risk="without them")
    assert forge.repository.purge(subject=SUBJECT).whole
    assert holding(repo, WORD) == []
    assert forge.show(NAME).version == 1
    assert forge.skill(NAME).version.version == 1
    assert forge.repository.verify() == []


def test_what_went_up_a_ladder_is_erased_with_its_run_and_by_age(at_work: Any, repo: Path) -> None:
    forge = at_work()
    for ticket, tags in ((THEIRS, {}), ("crash x", {"subject": SUBJECT}), ("charged for a thing of others", {})):
        forge.run(f"{NAME}@latest", {"ticket": ticket}, student=f"{LOW} > {HIGH}", tags=tags)
    assert len(forge.students.candidates(NAME)) == 3
    done = forge.repository.purge(subject=SUBJECT)
    assert done.whole, done
    assert done.rows["candidate_cases"] == 2
    assert [item.input["ticket"] for item in forge.students.candidates(NAME)] == ["charged for a thing of others"]
    assert holding(repo, WORD) == []
    assert forge.repository.purge(older_than_s=0).rows["candidate_cases"] == 1
    assert holding(repo, "thing of others") == []


def test_a_tuning_forgets_the_candidates_and_answers_that_quote_them(at_work: Any, repo: Path) -> None:
    forge = at_work()
    version = forge.save(repo / "skills" / NAME)
    database = open_database(database_path(repo))
    log = TuningLog(database, Redactor())
    wanted = {"key": "k", "skill": NAME, "digest": version.digest, "student": LOW, "suite_digest": "x"}
    tuning = log.begin(**wanted).id
    for number, text in enumerate((f"For {THEIRS} say bug.", "Say bug for a crash.")):  # a teacher quotes cases
        body = {"instructions": text}
        row = {"id": f"c{number}", "number": number, "stage": "instructions", "parent": "", "body": body, "scores": []}
        log.put(tuning, row)
        log.keep_answer(tuning, f"q{number}", text)
    assert holding(repo / ".skillforge", WORD)
    done = forge.repository.purge(subject=SUBJECT)
    assert done.whole, done
    assert (done.rows["tune_candidates"], done.rows["tune_answers"]) == (1, 1)
    assert [row["id"] for row in log.candidates(tuning)] == ["c1"]
    assert log.answer(tuning, "q0") is None
    assert holding(repo, WORD) == []
    database.close()
