"""``review``: people label a suite's cases blind. What they are asked, what is kept, and where they differ."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skillforge.canonical import canonical_json
from skillforge.case import Case, Split, Suite
from skillforge.engine.parse import find_json
from skillforge.errors import NotFound, UsageError
from skillforge.evals.sampling import choose_split
from skillforge.evals.scorers.equality import same
from skillforge.evals.statistics import Interval, wilson
from skillforge.forge.measuring.plan import EVALS_FOLDER
from skillforge.forge.skills import SKILLS_FOLDER
from skillforge.forge.suites.answer_fields import TEXT, Field, answer_fields
from skillforge.forge.workspace import Workspace
from skillforge.labels import SUFFIX, Label, append_label, read_labels
from skillforge.messages import Value
from skillforge.remotefile import FILE_SCHEME, reopened
from skillforge.skill import NAME_PATTERN
from skillforge.skillfile import read_skill, skill_path
from skillforge.suitefile import read_suite
from skillforge.today import read_today

_ORDER: tuple[Split | None, ...] = ("test", "dev", "train", None)  # what a verdict needs comes first
_SOLVE = "solve"


@dataclass(frozen=True)
class Reveal:
    """Somebody else's answer, shown after the person's own. ``agrees`` says it field by field; ``answer`` is ``None``
    where what was said has not the contract's form: then ``text`` has it.
    """

    source: str
    answer: Any
    text: str
    agrees: Mapping[str, bool]

    @property
    def same(self) -> bool:
        return bool(self.agrees) and all(self.agrees.values())


class Agreement(Value):
    """On how many of ``n`` labelled cases the recorded answer was the same, with its 95% interval (Wilson)."""

    same: int
    n: int
    low: float
    high: float

    @classmethod
    def of(cls, same: int, n: int) -> Agreement:
        bounds: Interval = wilson(same, n)
        return cls(same=same, n=n, low=bounds.low, high=bounds.high)


class ReviewSummary(Value):
    """Where a review stands. Agreement is that of the blind answers; ``differ`` are the cases where they differ."""

    suite: str
    labels: str
    cases: int
    labelled: int
    skipped: int
    left: int
    source: str
    overall: Agreement | None
    fields: dict[str, Agreement]
    differ: tuple[str, ...]


class ReviewSession:
    """Goes through the cases of a suite in a fixed random order, those of ``test`` first. Needs no database.

    Every answer is on the disk when the method that takes it returns.
    """

    def __init__(
        self,
        suite: Suite,
        fields: tuple[Field, ...],
        cases: list[Case],
        told: Mapping[str, tuple[str, Any]],
        *,
        labels: Path,
        by: str,
        source: str,
    ) -> None:
        self.suite = suite
        self.fields = fields
        self.cases = cases
        self._told = told
        self._path = labels
        self._by = by
        self._source = source
        self._labels = read_labels(labels)
        self._trail: list[Case] = []

    @property
    def left(self) -> int:
        """How many cases nobody has answered or skipped."""
        return sum(case.id not in self._labels for case in self.cases)

    def next_case(self) -> Case | None:
        """The first case without a label; ``None`` where all have one."""
        return next((case for case in self.cases if case.id not in self._labels), None)

    def back(self) -> Case | None:
        """The case that was answered or skipped last in this sitting; ``None`` at its start."""
        return self._trail.pop() if self._trail else None

    def answer(self, case: Case, value: Any) -> Reveal | None:
        """Keep an answer, then show the recorded one (``None`` where there is none).

        A case that was answered before was revealed then: its first answer stays the blind one.
        """
        self._keep(case, value)
        self._trail.append(case)
        return self.reveal(case, value)

    def revise(self, case: Case, value: Any) -> None:
        """Replace an answer after the reveal."""
        self._keep(case, value)

    def skip(self, case: Case) -> None:
        """Say that nobody can tell. A label given before is withdrawn."""
        before = self._labels.get(case.id)
        first = None if before is None else before.blind  # revealed already: no later answer is blind
        self._add(Label(id=case.id, first=first, skipped=True, by=self._by, at=_now()))
        self._trail.append(case)

    def reveal(self, case: Case, value: Any) -> Reveal | None:
        """The recorded answer beside ``value``."""
        found = self._told.get(case.id)
        if found is None:
            return None
        text, answer = found
        return Reveal(
            self._source, answer, text, {field.name: _agree(field, value, answer) for field in self._of(value)}
        )

    def summary(self) -> ReviewSummary:
        """What is labelled of these cases, and how far the recorded answers agree with the blind ones."""
        labels = {case.id: self._labels[case.id] for case in self.cases if case.id in self._labels}
        blind = {name: label.blind for name, label in labels.items() if not label.skipped}
        told = [(case, self.reveal(case, blind[case.id])) for case in self.cases if case.id in blind]
        shown = [(case, reveal) for case, reveal in told if reveal is not None]
        by_field = {
            field.name: [reveal.agrees[field.name] for _, reveal in shown if field.name in reveal.agrees]
            for field in self.fields
        }
        return ReviewSummary(
            suite=self.suite.name,
            labels=str(self._path),
            cases=len(self.cases),
            labelled=len(blind),
            skipped=len(labels) - len(blind),
            left=self.left,
            source=self._source,
            overall=Agreement.of(sum(reveal.same for _, reveal in shown), len(shown)) if shown else None,
            fields={name: Agreement.of(sum(known), len(known)) for name, known in by_field.items() if known and name},
            differ=tuple(case.id for case, reveal in shown if not reveal.same),
        )

    def _of(self, value: Any) -> list[Field]:
        """The fields that were answered; none by a label that has not the contract's form."""
        told = value if isinstance(value, Mapping) else {}
        return [field for field in self.fields if field.name == TEXT or field.name in told]

    def _keep(self, case: Case, value: Any) -> None:
        before = self._labels.get(case.id)
        first = None if before is None else before.blind
        first = None if first is None or same(first, value) else first
        self._add(Label(id=case.id, expected=value, first=first, by=self._by, at=_now()))

    def _add(self, label: Label) -> None:
        append_label(self._path, label)
        self._labels[label.id] = label


def open_review(
    work: Workspace, ref: str, *, split: str | None = None, limit: int | None = None, by: str = "", seed: int = 0
) -> ReviewSession:
    """The review of a suite, by name or path. ``limit`` takes the first cases of the order that ``seed`` fixes.

    Raises ``NotFound`` (suite), ``UsageError`` where the suite has no place for labels or nothing says what its answers
    look like, ``SkillFileError``.
    """
    path = _suite_path(work, ref)
    suite = read_suite(path)
    if suite.labels is None:
        raise UsageError(
            f"{path}: names no file for labels", hint=f"add this line: labels: {FILE_SCHEME}{suite.name}{SUFFIX}"
        )
    if limit is not None and limit < 1:
        raise UsageError("--limit must be at least 1", hint="leave it out to label every case")
    _, cases = choose_split(suite.cases, split or "all")
    cases = sorted(cases, key=lambda case: (_ORDER.index(case.split), _rank(seed, case.id)))
    output = _output(work, suite)
    source, told = _recorded(suite, output)
    return ReviewSession(
        suite,
        tuple(answer_fields(output, suite.decision.metric)),
        cases[:limit],
        told,
        labels=Path(suite.labels),
        by=by,
        source=source,
    )


def _suite_path(work: Workspace, ref: str) -> Path:
    if ref.endswith((".yaml", ".yml")) or "/" in ref:
        return Path(ref)
    path = work.root / EVALS_FOLDER / f"{ref}.yaml"
    if not path.is_file():
        known = sorted(found.stem for found in (work.root / EVALS_FOLDER).glob("*.yaml"))
        hint = f"there are: {', '.join(known)}" if known else "make one: skillforge suite from-log GROUP"
        raise NotFound(f"no suite {ref!r} in {work.root / EVALS_FOLDER}", hint=hint)
    return path


def _output(work: Workspace, suite: Suite) -> Any:
    """What answers look like: the skill's output where the suite's skill exists, else the suite's own contract."""
    skills = work.root / SKILLS_FOLDER
    for name in (suite.skill, suite.name):
        if name and re.fullmatch(NAME_PATTERN, name) and skill_path(folder := skills / name).is_file():
            return read_skill(folder).skill.output
    if suite.skill and work.has_database:
        try:
            return work.registry.get(suite.skill, None).skill.output
        except NotFound:
            pass
    if suite.contract is not None:
        return suite.contract["output"]
    raise UsageError(
        f"nothing says what the answers of the suite {suite.name} look like",
        hint="name its skill (skill: NAME), or add contract: {input: {…}, output: {…}} to the suite",
    )


def _recorded(suite: Suite, output: Any) -> tuple[str, dict[str, tuple[str, Any]]]:
    """Who answered before, and by case what was said: its text and, where it has the contract's form, its value."""
    if suite.today is not None:
        said = {name: (answer.text, answer.output) for name, answer in read_today(suite.today).items()}
        source = "the recorded answers"
    elif suite.recorded is not None:
        said = {name: (text, None) for name, text in _teacher(suite).items()}
        source = "the recorded teacher"
    else:
        return "", {}
    return source, {
        name: (text, _parsed(output, text) if value is None else value) for name, (text, value) in said.items()
    }


def _teacher(suite: Suite) -> dict[str, str]:
    """What the recorded teacher said first, by case."""
    from skillforge.providers.replay import Entry, read_recording

    cases = {canonical_json(case.input): case.id for case in suite.cases}
    found: dict[str, str] = {}
    for row in read_recording(reopened(suite.recorded or "")):
        if isinstance(row, Entry) and row.key.role == _SOLVE:
            case_id = cases.get(canonical_json(row.line.request.input))
            if case_id is not None:
                found.setdefault(case_id, row.line.response.completion("").text)
    return found


def _parsed(output: Any, text: str) -> Any:
    if not isinstance(output, Mapping):
        return text.strip()
    found = find_json(text)
    return None if found is None else {name: found[name] for name in output if name in found}


def _agree(field: Field, value: Any, answer: Any) -> bool:
    if field.name == TEXT:
        return isinstance(answer, str) and isinstance(value, str) and answer.split() == value.split()
    return isinstance(answer, Mapping) and field.name in answer and same(value[field.name], answer[field.name])


def _rank(seed: int, case_id: str) -> str:
    return hashlib.sha256(f"{seed}:{case_id}".encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
