"""``skillforge dataset build``: a teacher's answers become files that a trainer takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from anyio.lowlevel import checkpoint

from skillforge.case import Case, Suite
from skillforge.engine.frame import output_text, student_request
from skillforge.engine.nomodel import label_fields
from skillforge.errors import UsageError
from skillforge.evals.diversity import diversity
from skillforge.forge.data.asking import ask_student
from skillforge.forge.data.files import write_formats
from skillforge.forge.data.grading import critic_step
from skillforge.forge.data.plan import Built, DatasetPlan
from skillforge.forge.data.sources import Found, completed, find_rows, wrong_answer
from skillforge.forge.data.writing import (
    DROPPED_FILE,
    NOISE_FILE,
    PROVENANCE_FILE,
    NewFolder,
    json_lines,
    require_free,
    write_json,
    write_lines,
)
from skillforge.forge.measuring.plan import find_suite
from skillforge.forge.session import Session
from skillforge.forge.skills import resolve
from skillforge.forge.workspace import Workspace
from skillforge.formats.finetune.example import Part, TrainingExample
from skillforge.formats.finetune.labels_csv import label_text
from skillforge.messages import Message
from skillforge.skill import Examples, Skill
from skillforge.store.curations import CurationLog
from skillforge.store.registry import SkillVersion
from skillforge.students.data.agreement import Agreement
from skillforge.students.data.card import CARD_FILE, README_FILE, DatasetCard, TeacherShare, Tokens, markdown
from skillforge.students.data.checked import Checks
from skillforge.students.data.chosen import Chosen
from skillforge.students.data.clean import Clean
from skillforge.students.data.duplicates import Different
from skillforge.students.data.finished import Finished
from skillforge.students.data.noise import suspects
from skillforge.students.data.personal import mask_text, mask_value
from skillforge.students.data.pipeline import Curated, Step, curate
from skillforge.students.data.policies import policy_of
from skillforge.students.data.row import Row
from skillforge.students.data.split import parts_of
from skillforge.students.data.style import styles
from skillforge.students.data.unseen import Unseen
from skillforge.tokens import CHARACTERS_PER_TOKEN
from skillforge.version import __version__

DATASETS_FOLDER = "datasets"
_FEW = 50  # training rows under which little is learned (OpenAI's guide advises 50 to 100)
_MAKERS = ("author", "teacher", "model", "models")  # what a recording may say of who answered


async def build_dataset(work: Workspace, ref: str, plan: DatasetPlan) -> Built:
    """Find, curate, split, render, write. Raises ``UsageError`` where there is nothing to build on, or terms disallow
    it; ``NotFound`` (skill, suite); ``Halt`` of the critic.
    """
    version = resolve(work, ref)
    if version.skill.is_workflow:
        raise UsageError(
            f"{version.name} is a workflow: several prompts, whose answers are not kept apart",
            hint="build on a skill with one prompt",
        )
    place = plan.folder or work.root / DATASETS_FOLDER / version.name
    require_free(place)
    suite = find_suite(work, version, plan.suite)
    train, unseen = _splits(version, suite)
    found = await find_rows(work, version.skill, suite, train, plan.teachers, plan.students)
    if not found.rows:
        raise UsageError(
            f"{version.name}: no answer of a teacher is known to its {len(train)} train cases",
            hint=f"measure a teacher on them: skillforge eval {version.name} --split train --teacher MODEL",
        )
    await checkpoint()
    made = _Made(work, version.skill, suite, plan, found, Unseen(_as_rows(version.skill, plan, unseen)))
    curated = await made.curated()
    if not curated.rows:
        raise UsageError(f"{version.name}: no row is left after the curation", hint=_most(curated))
    teachers = _teachers(curated.rows, found)
    warnings = _allowed(teachers, plan.override)
    await checkpoint()
    parts, families = parts_of(curated.rows, share=plan.validation, seed=plan.seed)
    await made.ask_student(curated.rows, version.version)
    examples = made.examples(curated.rows)
    await checkpoint()
    if (few := parts.count("train")) < _FEW:
        warnings.append(f"{few} rows to train on: a model learns little from so few")
    for warning in warnings:
        work.say(f"warning: {warning}")
    with NewFolder(place) as folder:
        files, left = write_formats(folder, plan.formats, examples, parts, bool(label_fields(version.skill)))
        card = DatasetCard(
            name=place.name,
            masked=dict(sorted(made.masked.items())),
            families=families,
            tokens=_tokens(examples, parts),
            pairs=sum(bool(example.rejected) for example in examples),
            teachers=teachers,
            warnings=tuple(warnings),
            files=tuple(files),
            left_formats=left,
            train=parts.count("train"),
            validation=parts.count("validation"),
            **_origin(work, version, suite, plan, found),
            **_content(version.skill, curated),
        )
        _write_beside(folder, card, curated, parts, examples)
    return Built(folder=place, card=card, known=curated.known)


def _origin(work: Workspace, version: SkillVersion, suite: Suite, plan: DatasetPlan, found: Found) -> dict[str, Any]:
    """Where the rows come from, for the card."""
    return {
        "skill": version.name,
        "skill_digest": version.digest,
        "skill_license": version.skill.license,
        "suite": suite.name,
        "suite_digest": suite.digest(),
        "built_with": f"skillforge {__version__}",
        "settings": plan.settings(),
        "sources": dict(sorted(found.counts.items())),
        "merged": found.merged,
        "override": work.redactor.text(plan.override),
        "provenance": tuple(work.redactor.value(told) for told in found.provenance),
    }


def _content(skill: Skill, curated: Curated) -> dict[str, Any]:
    """What the rows are like, for the card."""
    doubted, neighbours = suspects(skill, curated.rows)
    return {
        "steps": tuple(curated.steps),
        "rows": len(curated.rows),
        "labels": _labels(skill, curated.rows),
        "diversity": tuple(diversity([row.input for row in curated.rows]).lines()),
        "styles": tuple(styles(skill, [row.output for row in curated.rows])),
        "suspects": tuple(doubted),
        "neighbours": neighbours,
    }


@dataclass
class _Made:
    """A build under way."""

    work: Workspace
    skill: Skill
    suite: Suite
    plan: DatasetPlan
    found: Found
    unseen: Unseen

    def __post_init__(self) -> None:
        self.masked: Counter[str] = Counter()
        self._rejected: dict[str, str] = {}

    async def curated(self) -> Curated:
        rows = [self._clean(row) for row in self.found.rows]
        journal = CurationLog(self.work.database)
        done = curate(rows, self._steps(), journal)
        session = Session(self.work, self.plan.terms)
        critic = await critic_step(
            self.work, session, self.skill, self.suite, done.rows, self.plan.critic, self.plan.least
        )
        session.finish()
        if critic is not None:
            last = curate(done.rows, [critic], journal)
            done = Curated(
                last.rows, [*done.steps, *last.steps], [*done.dropped, *last.dropped], done.known + last.known
            )
        for row in done.rows:
            self.masked.update(row.masked)
        return done

    async def ask_student(self, rows: Sequence[Row], version: int) -> None:
        """Have a student answer the rows, where one was named: in the prompts that it will be trained on."""
        if not self.plan.ask_student:
            return
        session = Session(self.work, self.plan.terms)
        model = self.plan.ask_student
        said = await ask_student(self.work, session, self.form, model, rows, version=version)
        session.finish()
        for row in rows:
            if row.id in said and (wrong := wrong_answer(self.skill, row, [said[row.id]])):
                self._rejected[row.id] = self.work.redactor.text(wrong)

    def examples(self, rows: Sequence[Row]) -> list[TrainingExample]:
        """Rows in the words of the skill's own frame."""
        return [_example(self.form, row, self._rejected.get(row.id, "")) for row in rows]

    @cached_property
    def form(self) -> Skill:
        """The skill as the prompts show it. Examples that read like an unseen case are not shown."""
        shown = [item for item in self.skill.examples.items if not self.unseen.shows(item.input)]
        kept = self.skill.examples.model_copy(update={"items": tuple(shown), "file": None})
        return self.skill.model_copy(update={"examples": kept if self.plan.with_examples else Examples()})

    def _steps(self) -> list[Step]:
        return [
            Finished(),
            Checks(self.skill, self.work.custom_checks),
            Clean(self.plan.personal),
            Agreement(self.skill, self.plan.require_label),
            self.unseen,
            Different(self.skill),
            Chosen(frozenset(self.plan.without)),
        ]

    def _clean(self, row: Row) -> Row:
        """Without secrets, whatever ``store_io`` says: the files leave the house. Personal data as was asked."""
        redactor = self.work.redactor
        wrong = redactor.text(wrong_answer(self.skill, row, self.found.wrong.get(row.asked, ())))
        row = row.model_copy(
            update={
                "input": redactor.value(row.input),
                "output": redactor.value(row.output),
                "again": tuple(redactor.value(list(row.again))),
            }
        )
        if self.plan.personal == "mask":
            row, wrong = _masked(row), mask_text(wrong)[0]
        if wrong:
            self._rejected[row.id] = wrong
        return row


def _splits(version: SkillVersion, suite: Suite) -> tuple[list[Case], tuple[Case, ...]]:
    """(cases to train on, cases nobody may train on). Raises ``UsageError`` where no case is for training."""
    train = [case for case in suite.cases if case.split == "train"]
    if not train:
        raise UsageError(
            f"{version.name}: the suite {suite.name} has no train cases, and what is measured on is never trained on",
            hint='give cases a split: "split": "train" (and others "test")',
        )
    return train, tuple(case for case in suite.cases if case.split != "train")


def _as_rows(skill: Skill, plan: DatasetPlan, cases: Sequence[Case]) -> tuple[Case, ...]:
    """Cases as the rows are, with defaults and without what is masked: a row must still be known for the case it is."""
    made = []
    for case in cases:
        given = completed(skill, case.input)
        given = mask_value(given)[0] if plan.personal == "mask" else given
        made.append(case.model_copy(update={"input": given}))
    return tuple(made)


def _masked(row: Row) -> Row:
    asked, first = mask_value(row.input)
    output, second = mask_value(row.output)
    again, expected = mask_value(list(row.again))[0], mask_value(row.expected)[0]
    counts = first + second
    made = {"input": asked, "output": output, "again": tuple(again), "expected": expected, "masked": dict(counts)}
    return row.model_copy(update=made) if counts else row


def _teachers(rows: Sequence[Row], found: Found) -> tuple[TeacherShare, ...]:
    told = [str(item[key]) for item in found.provenance for key in _MAKERS if key in item]
    counts = Counter((row.teacher, row.source == "recorded") for row in rows)
    shares: dict[str, TeacherShare] = {}
    for (teacher, recorded), count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        policy = policy_of(teacher, told if recorded else ())
        share = shares.get(teacher, TeacherShare(teacher=teacher, rows=0, policy=policy))
        shares[teacher] = share.model_copy(update={"rows": share.rows + count})
    return tuple(shares.values())


def _allowed(teachers: Sequence[TeacherShare], override: str) -> list[str]:
    """What a person should know of the terms. Raises ``UsageError`` where they disallow it and no reason was given."""
    warnings = []
    for share in teachers:
        policy = share.policy
        if policy.stance == "disallowed" and not override.strip():
            raise UsageError(
                f"{share.rows} rows are answers of {share.teacher}: {policy.says} ({policy.url}, read {policy.read})",
                hint='leave its answers out, or say why it may be done: --override-policy "REASON"',
            )
        if policy.stance == "unknown":
            warnings.append(
                f"{share.teacher}: what its maker says of training on its answers is unknown here; read its terms"
            )
        elif policy.stance == "conditional":
            warnings.append(f"{share.teacher} ({policy.maker}): {policy.says} {policy.url}")
        elif policy.stance == "disallowed":
            warnings.append(f"{share.teacher} ({policy.maker}): {policy.says} Overridden, see the reason given")
    return warnings


def _example(form: Skill, row: Row, rejected: str) -> TrainingExample:
    request = student_request(form, row.input, row.input, role="run", exclude_same=True)
    system = "\n".join(message.text for message in request.messages if message.role == "system")
    turns = tuple(_turn(message) for message in request.messages if message.role != "system")
    answer = output_text(form, row.output).strip()
    return TrainingExample(
        id=row.id,
        system=system,
        turns=turns,
        answer=answer,
        rejected="" if rejected == answer else rejected,
        text=_plain(row.input),
        labels={name: row.output[name] for name in label_fields(form)},
    )


def _turn(message: Message) -> tuple[str, str]:
    return message.role, message.text


def _plain(given: dict[str, Any]) -> str:
    """The input as one text, for a classifier: the only field alone, several with their names."""
    texts = {name: value if isinstance(value, str) else label_text(value) for name, value in given.items()}
    return (
        next(iter(texts.values())) if len(texts) == 1 else "\n".join(f"{name}: {text}" for name, text in texts.items())
    )


def _labels(skill: Skill, rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    counted = {name: Counter(label_text(row.output[name]) for row in rows) for name in label_fields(skill)}
    return {
        name: dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))) for name, counts in counted.items()
    }


def _tokens(examples: Sequence[TrainingExample], parts: Sequence[Part]) -> Tokens:
    sizes = [_size(example) for example in examples]
    return Tokens(
        train=sum(size for size, part in zip(sizes, parts, strict=True) if part == "train"),
        validation=sum(size for size, part in zip(sizes, parts, strict=True) if part == "validation"),
        answers=sum(len(example.answer) // CHARACTERS_PER_TOKEN + 1 for example in examples),
        longest=max(sizes),
    )


def _size(example: TrainingExample) -> int:
    shown = len(example.system) + sum(len(text) for _, text in example.turns)
    return (shown + len(example.answer)) // CHARACTERS_PER_TOKEN + 1


def _most(curated: Curated) -> str:
    """Where most rows went."""
    reasons = Counter(f"{item.reason} (step {item.step})" for item in curated.dropped)
    return "; ".join(f"{count}: {reason}" for reason, count in reasons.most_common(3))


def _write_beside(
    folder: Path, card: DatasetCard, curated: Curated, parts: Sequence[Part], examples: Sequence[TrainingExample]
) -> None:
    """The card, and where every row comes from or went: no texts, only ids and digests."""
    stances = {share.teacher: share.policy for share in card.teachers}
    told = (
        {
            "id": row.id,
            "part": part,
            "teacher": row.teacher,
            "policy": stances[row.teacher].stance,
            "policy_url": stances[row.teacher].url,
            "source": row.source,
            "row": row.digest,
            "tokens": _size(example),
            **({"masked": row.masked} if row.masked else {}),
        }
        for row, part, example in zip(curated.rows, parts, examples, strict=True)
    )
    write_lines(folder / PROVENANCE_FILE, json_lines(told))
    gone = (
        {"id": item.row.id, "source": item.row.source, "step": item.step, "reason": item.reason}
        for item in curated.dropped
    )
    write_lines(folder / DROPPED_FILE, json_lines(gone))
    write_lines(folder / NOISE_FILE, json_lines(item.model_dump() for item in card.suspects))
    write_json(folder / CARD_FILE, card.model_dump(mode="json", by_alias=True))
    write_lines(folder / README_FILE, [markdown(card)])
