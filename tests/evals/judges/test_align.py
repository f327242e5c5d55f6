"""Labels, halves, examples and agreement: the arithmetic of ``judge align``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skillforge.case import ScorerSpec
from skillforge.errors import SkillFileError, UsageError
from skillforge.evals.judges.align import (
    MAX_SHOWN,
    Labels,
    agreement_of,
    better,
    choose_examples,
    questions_of,
    read_labels,
)
from skillforge.evals.judges.ask import Question
from skillforge.evals.judges.examples import read_examples
from skillforge.judgement import Judgement
from skillforge.providers.scripted import Scripted

SPEC = ScorerSpec(type="rubric", rubric="Good?")


def written(path: Path, rows: list[dict[str, Any]]) -> Labels:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_labels(path)


def said(question: Question, grade: str) -> Judgement:
    status: Any = "ok" if grade else "unreadable"
    return Judgement(
        key=question.key,
        judge="j",
        question="q",
        kind=question.kind,
        order=question.order,
        status=status,
        grade=grade,
    )


def test_labels_of_every_form(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    assert [item.label for item in written(path, [{"output": "a", "label": x} for x in (True, "FAIL")]).items] == [
        "pass",
        "fail",
    ]
    assert [item.label for item in written(path, [{"output": "a", "label": x} for x in (1, 0, 1.0)]).items] == [
        "pass",
        "fail",
        "pass",
    ]
    graded = written(path, [{"output": "a", "label": x} for x in (1, "5")])
    assert graded.graded
    pairs = written(path, [{"output_a": "x", "output_b": "y", "label": x, "who": 1} for x in ("1", 2, "tie", "A")])
    assert [item.label for item in pairs.items] == ["A", "B", "TIE", "A"]


@pytest.mark.parametrize(
    "row",
    [
        {"output": "a"},
        {"label": "pass"},
        {"output": "a", "label": "good"},
        {"output_a": "a", "label": "1"},
        {"output_a": "a", "output_b": "b", "output": "c", "label": "1"},
        {"output_a": "a", "output_b": "b", "label": "pass"},
        {"output": 2**60, "label": "pass"},
    ],
)
def test_a_wrong_label_names_its_line(tmp_path: Path, row: dict[str, Any]) -> None:
    with pytest.raises(SkillFileError, match=":2"):
        written(tmp_path / "l.jsonl", [{"output": "a", "label": "pass"}, row])


def test_kinds_are_not_mixed(tmp_path: Path) -> None:
    for other in ({"output": "b", "label": "4"}, {"output_a": "a", "output_b": "b", "label": "1"}):
        with pytest.raises(SkillFileError):
            written(tmp_path / "l.jsonl", [{"output": "a", "label": "pass"}, other])
    with pytest.raises(SkillFileError, match="no labels"):
        written(tmp_path / "l.jsonl", [])


def test_the_halves_are_fixed_and_share_nothing(tmp_path: Path) -> None:
    rows = [{"output": f"a{n}", "label": "pass"} for n in range(100)]
    learn, test = written(tmp_path / "l.jsonl", rows).halves()
    again, _ = written(tmp_path / "l.jsonl", [*reversed(rows), {"output": "more", "label": "fail"}]).halves()
    assert {item.hash for item in learn} <= {item.hash for item in again}
    assert not {item.hash for item in learn} & {item.hash for item in test}
    assert 30 <= len(learn) <= 70
    # a label is no part of the half: the same answer labelled twice stays on one side
    twice, _ = written(tmp_path / "l.jsonl", [{**row, "label": "fail"} for row in rows]).halves()
    assert {item.hash for item in twice} == {item.hash for item in learn}
    with pytest.raises(UsageError, match="too few"):
        written(tmp_path / "l.jsonl", rows[:9]).halves()


def test_agreement_leaves_out_what_is_no_grade(tmp_path: Path) -> None:
    rows = [{"output": f"a{n}", "label": "pass" if n % 2 else "fail"} for n in range(40)]
    labels = written(tmp_path / "l.jsonl", rows)
    asked = list(questions_of(Scripted(name="j"), SPEC, labels.items))
    replies = {}
    for number, (label, (question,)) in enumerate(asked):
        right = "5" if label.label == "pass" else "2"
        replies[question.key] = said(question, "" if number < 4 else right)
    found = agreement_of(labels, asked, replies, None)
    assert (found.n, found.unreadable, found.agreement, found.kappa) == (36, 4, 1.0, 1.0)
    assert found.kappa_bounds.low < 1.0


def test_a_threshold_decides_what_passes(tmp_path: Path) -> None:
    labels = written(tmp_path / "l.jsonl", [{"output": f"a{n}", "label": "fail"} for n in range(10)])
    asked = list(questions_of(Scripted(name="j"), SPEC, labels.items))
    replies = {questions[0].key: said(questions[0], "3") for _, questions in asked}
    assert agreement_of(labels, asked, replies, None).agreement == 0.0
    assert agreement_of(labels, asked, replies, 0.75).agreement == 1.0


def test_examples_show_what_was_wrong_and_what_was_right_of_every_label(tmp_path: Path) -> None:
    rows = [{"input": n, "output": f"a{n}", "label": "pass" if n % 2 else "fail"} for n in range(60)]
    labels = written(tmp_path / "l.jsonl", rows)
    asked = list(questions_of(Scripted(name="j"), SPEC, labels.items))
    replies = {questions[0].key: said(questions[0], "5") for _, questions in asked}  # it passes everything
    text = choose_examples(labels, asked, replies, None)
    shown = read_examples(text, "rubric")
    assert len(shown) == MAX_SHOWN
    assert {example.grade for example in shown} == {"1", "5"}  # type: ignore[union-attr]
    assert text == choose_examples(labels, list(reversed(asked)), replies, None)


def test_examples_of_pairs(tmp_path: Path) -> None:
    rows = [{"output_a": f"a{n}", "output_b": f"b{n}", "label": "12"[n % 2]} for n in range(20)]
    labels = written(tmp_path / "l.jsonl", rows)
    asked = list(questions_of(Scripted(name="j"), ScorerSpec(type="pairwise"), labels.items))
    replies = {question.key: said(question, "A") for _, both in asked for question in both}
    found = agreement_of(labels, asked, replies, None)
    assert (found.flip_rate, found.agreement) == (1.0, 0.0)  # it follows the order: a tie, which nobody said
    shown = read_examples(choose_examples(labels, asked, replies, None), "pairwise")
    assert {example.verdict for example in shown} == {"A", "B"}  # type: ignore[union-attr]


def test_better_is_more_agreement_on_no_fewer_replies(tmp_path: Path) -> None:
    labels = written(tmp_path / "l.jsonl", [{"output": f"a{n}", "label": "12345"[n % 5]} for n in range(20)])
    asked = list(questions_of(Scripted(name="j"), SPEC, labels.items))
    right = {q.key: said(q, label.label) for label, (q,) in asked}
    wrong = {q.key: said(q, "12345"[index % 3]) for index, (_, (q,)) in enumerate(asked)}
    fewer = {**right, asked[0][1][0].key: said(asked[0][1][0], "")}
    good, bad, less = (agreement_of(labels, asked, replies, None) for replies in (right, wrong, fewer))
    assert better(bad, good)
    assert not better(good, bad)
    assert not better(good, good)
    assert not better(bad, less)
