"""Measuring a judge against people, and showing it their grades: what ``judge align`` computes.

Labels are split in two fixed halves by a hash of what was labelled. Examples come from the first half alone, agreement
is measured on the second alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from skillforge.canonical import digest
from skillforge.case import ScorerSpec
from skillforge.errors import Problem, SkillFileError, UsageError
from skillforge.evals.judges.ask import Question
from skillforge.evals.judges.audit import flips
from skillforge.evals.judges.docket import outcome, pair_value
from skillforge.evals.judges.grades import score_of
from skillforge.evals.judges.question import Facts, pair_request, question_digest, rubric_request
from skillforge.evals.report import Bounds
from skillforge.evals.scorers.base import PASSES
from skillforge.evals.statistics import cohens_kappa
from skillforge.jsonl import read_jsonl
from skillforge.judgement import Judgement, JudgementKind
from skillforge.messages import Value
from skillforge.providers.base import Provider

LEVEL = 0.95
MAX_SHOWN = 8  # examples
_LEAST = 10  # labels in all; of fewer no half says anything
_PAIR_WORDS = {"1": "A", "a": "A", "2": "B", "b": "B", "0": "TIE", "tie": "TIE", "equal": "TIE", "draw": "TIE"}
_PASS_WORDS = {"pass": "pass", "true": "pass", "fail": "fail", "false": "fail"}
_SUCH = (
    '{"input": …, "output": …, "label": "pass"} (or a grade from 1 to 5), or for pairs'
    ' {"input": …, "output_a": …, "output_b": …, "label": "1"} (or "2", "tie")'
)


class Label(Value):
    """What a person said of one answer (or of two, ``outputs``): ``pass``, ``fail``, a grade ``1`` … ``5``, or for a
    pair ``A``, ``B``, ``TIE``.
    """

    input: Any = None
    outputs: tuple[Any, ...]
    expected: Any = None
    label: str

    @property
    def hash(self) -> str:
        """Decides the half, and the order of choice: of what was labelled, not of the label."""
        return digest([self.input, list(self.outputs)])

    @property
    def teaches(self) -> bool:
        """Whether examples may be taken from it; if not, agreement is measured on it."""
        return int(self.hash[-1], 16) % 2 == 0


class Labels(Value):
    """All labels of a file, of one kind. ``graded``: people gave grades; else pass and fail."""

    kind: JudgementKind
    graded: bool
    items: tuple[Label, ...]

    def halves(self) -> tuple[list[Label], list[Label]]:
        """(to learn from, to measure on). Raises ``UsageError`` where one is empty."""
        learn = [item for item in self.items if item.teaches]
        test = [item for item in self.items if not item.teaches]
        if len(self.items) < _LEAST or not learn or not test:
            raise UsageError(
                f"{len(self.items)} labels are too few to measure a judge on",
                hint=f"label at least {_LEAST}, better 100",
            )
        return learn, test


class Agreement(Value):
    """A judge beside people on ``n`` labels: the share of equal grades, Cohen's kappa with its 95% interval (``None``
    where nothing can be told). ``unreadable`` replies and ``errors`` are no grades and are left out of these.
    ``flip_rate``: how often the order of two answers changed the judge's mind.
    """

    n: int
    agreement: float | None
    kappa: float | None
    kappa_bounds: Bounds
    unreadable: int
    errors: int
    flip_rate: float | None = None


class Alignment(Value):
    """What ``judge align`` found. ``before``: without examples; ``after``: with ``examples`` of them, both on the same
    ``measured`` labels. ``kept``: the examples made it better and are worth having.
    """

    judge: str
    identity: str
    kind: JudgementKind
    rubric: str
    labels: int
    measured: int
    before: Agreement
    after: Agreement | None
    examples: int
    kept: bool
    examples_file: str = ""
    calls: int = 0
    paid: int = 0
    usd: float | None = 0.0


def read_labels(path: Path) -> Labels:
    """The labels of a JSON Lines file; keys that mean nothing here are passed over. Raises ``NotFound``,
    ``SkillFileError`` naming the line.
    """
    items: list[Label] = []
    kinds: set[JudgementKind] = set()
    for number, row in read_jsonl(path):
        kind, item = _label(str(path), number, row)
        kinds.add(kind)
        items.append(item)
    if len(kinds) > 1:
        raise SkillFileError(str(path), [Problem("single answers and pairs are mixed", hint="two files, two judges")])
    if not items:
        raise SkillFileError(str(path), [Problem("holds no labels", hint=_SUCH)])
    kind = kinds.pop()
    if kind == "pairwise":
        return Labels(kind=kind, graded=False, items=tuple(items))
    if {item.label for item in items} <= {"0", "1"}:
        named = [item.model_copy(update={"label": "pass" if item.label == "1" else "fail"}) for item in items]
        return Labels(kind=kind, graded=False, items=tuple(named))
    graded = {item.label for item in items} <= set("12345")
    if not graded and not {item.label for item in items} <= {"pass", "fail"}:
        wrong = "labels are pass and fail, or grades from 1 to 5, not both"
        raise SkillFileError(str(path), [Problem(wrong, hint=_SUCH)])
    return Labels(kind=kind, graded=graded, items=tuple(items))


def questions_of(judge: Provider, spec: ScorerSpec, labels: Iterable[Label]) -> Iterator[tuple[Label, list[Question]]]:
    """What a judge is asked about each label: one question, or two for a pair."""
    named = question_digest(spec, judge.name)
    for label in labels:
        facts = Facts("", label.input, label.expected)
        if len(label.outputs) == 1:
            yield label, [Question.of(judge, named, "rubric", rubric_request(spec, facts, label.outputs[0]))]
        else:
            first, second = label.outputs
            yield (
                label,
                [
                    Question.of(judge, named, "pairwise", pair_request(spec, facts, first, second), "AB"),
                    Question.of(judge, named, "pairwise", pair_request(spec, facts, second, first), "BA"),
                ],
            )


def agreement_of(
    labels: Labels,
    asked: Sequence[tuple[Label, Sequence[Question]]],
    said: Mapping[str, Judgement],
    threshold: float | None,
) -> Agreement:
    """The judge's words beside the people's. ``threshold``: from which score a grade is a pass (default: half)."""
    pairs: list[tuple[str, str]] = []
    unreadable = errors = 0
    both: list[Sequence[Judgement]] = []
    for label, questions in asked:
        replies = [said[question.key] for question in questions]
        unreadable += any(one.status == "unreadable" for one in replies)
        errors += any(one.status == "error" for one in replies)
        if all(one.status == "ok" for one in replies):
            pairs.append((label.label, _word(labels, replies, threshold)))
            if len(replies) == 2:
                both.append(replies)
    kappa = cohens_kappa(pairs, LEVEL)
    return Agreement(
        n=len(pairs),
        agreement=sum(one == other for one, other in pairs) / len(pairs) if pairs else None,
        kappa=kappa.value,
        kappa_bounds=Bounds(low=kappa.low, high=kappa.high, level=LEVEL),
        unreadable=unreadable,
        errors=errors,
        flip_rate=flips(both),
    )


def choose_examples(
    labels: Labels,
    asked: Sequence[tuple[Label, Sequence[Question]]],
    said: Mapping[str, Judgement],
    threshold: float | None,
) -> str:
    """At most ``MAX_SHOWN`` examples from these labels, as the lines of their file: what the judge got wrong first, as
    evenly over the labels as they come, then what it got right. "" where there is nothing to show.
    """
    wrong: list[Label] = []
    right: list[Label] = []
    for label, questions in asked:
        replies = [said[question.key] for question in questions]
        agrees = all(one.status == "ok" for one in replies) and label.label == _word(labels, replies, threshold)
        (right if agrees else wrong).append(label)
    chosen = _evenly(wrong, MAX_SHOWN // 2)
    chosen += _evenly(right, MAX_SHOWN - len(chosen))
    chosen += _evenly([item for item in wrong if item not in chosen], MAX_SHOWN - len(chosen))
    chosen.sort(key=lambda item: item.hash)  # or all mistakes would stand first
    return "".join(json.dumps(_example(item), ensure_ascii=False) + "\n" for item in chosen)


def better(before: Agreement, after: Agreement) -> bool:
    """Whether the examples are worth having: more agreement beyond chance, and no fewer readable replies."""
    if after.kappa is None or after.n < before.n:
        return False
    return before.kappa is None or after.kappa > before.kappa


def kappa_of(body: Mapping[str, Any]) -> tuple[float | None, Bounds]:
    """Kappa and its bounds from a stored ``Agreement``."""
    found = Agreement.model_validate(body)
    return found.kappa, found.kappa_bounds


def _label(path: str, number: int, row: Mapping[str, Any]) -> tuple[JudgementKind, Label]:
    pair = "output_a" in row or "output_b" in row
    names = ("output_a", "output_b") if pair else ("output",)
    missing = next((name for name in (*names, "label") if row.get(name) is None), None)
    if missing is not None or (pair and "output" in row):
        problem = f"{missing} is missing" if missing else "holds output beside output_a and output_b"
        raise SkillFileError(path, [Problem(problem, line=number, hint=_SUCH)])
    word = _plain(row["label"])
    label = _PAIR_WORDS.get(word, "") if pair else _PASS_WORDS.get(word, word if word in set("012345") else "")
    if not label:
        raise SkillFileError(path, [Problem(f"{row['label']!r} is no label", line=number, hint=_SUCH)])
    outputs = tuple(row[name] for name in names)
    try:
        digest([row.get("input"), list(outputs)])
    except ValueError as exc:
        raise SkillFileError(path, [Problem(str(exc), line=number, hint="numbers up to 2**53, valid text")]) from exc
    item = Label(input=row.get("input"), outputs=outputs, expected=row.get("expected"), label=label)
    return "pairwise" if pair else "rubric", item


def _plain(label: Any) -> str:
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    return str(label).strip().lower()


def _word(labels: Labels, replies: Sequence[Judgement], threshold: float | None) -> str:
    """What the judge said, in the words of the labels."""
    if labels.kind == "pairwise":
        value = pair_value([outcome(one) for one in replies])
        return {1.0: "A", 0.0: "B"}.get(value, "TIE")
    if labels.graded:
        return replies[0].grade
    return "pass" if score_of(replies[0].grade) >= (PASSES if threshold is None else threshold) else "fail"


def _evenly(items: Sequence[Label], most: int) -> list[Label]:
    """The first of every label in turn, in the order of their hashes."""
    piles: dict[str, list[Label]] = {}
    for item in sorted(items, key=lambda item: item.hash):
        piles.setdefault(item.label, []).append(item)
    chosen: list[Label] = []
    while len(chosen) < most and any(piles.values()):
        for name in sorted(piles):
            if piles[name] and len(chosen) < most:
                chosen.append(piles[name].pop(0))
    return chosen


def _example(item: Label) -> dict[str, Any]:
    given = {name: value for name, value in (("input", item.input), ("expected", item.expected)) if value is not None}
    if len(item.outputs) == 2:
        return {**given, "output_a": item.outputs[0], "output_b": item.outputs[1], "verdict": item.label}
    return {**given, "output": item.outputs[0], "grade": {"pass": "5", "fail": "1"}.get(item.label, item.label)}
