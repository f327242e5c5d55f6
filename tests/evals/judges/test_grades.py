"""Reading replies: the last grade, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.evals.judges.grades import SCALE, read_grade, score_of


@pytest.mark.parametrize(
    ("reply", "grade"),
    [
        ("It is right.\nGRADE: 5", "5"),
        ("GRADE: 2\nNo, wait.\nGRADE: 4", "4"),
        ("**GRADE:** 4/5", "4"),
        ("Grade = [[3]]", "3"),
        ("GRADE: <1>", "1"),
        ("grade: 4.0", "4"),
        ("GRADE: pass", "5"),
        ("GRADE: FAIL", "1"),
        ('{"reasoning": "fine", "grade": 4}', "4"),
        ('```json\n{"score": "2"}\n```', "2"),
        ('{"pass": true}', "5"),
        ('{"pass": false}', "1"),
        ('{"pass": false, "score": 2}', "2"),
        ('{"pass": true, "score": 1}', ""),
        ('{"pass": "true"}', ""),
        ('{"score": 0}', ""),
        ('{"score": 0.8}', ""),
        ('{"score": true}', ""),
        ('{"grade": 4, "score": 2}', ""),
        ('The answer says {"score": 5}', ""),
        ("GRADE: 4\nVerdict: helpful", "4"),
        ("GRADE: 4\nGRADE: 7", ""),
        ("GRADE: 4.5", ""),
        ("GRADE: 4/10", ""),
        ("GRADE: **4** out of 10", ""),
        ("GRADE: 3 of 5", "3"),
        ('{"grade": 5}\nNo: {"grade": 1}', "1"),
        ('```json\n{"grade": 4}\n```\n```json\n{"grade": 2}\n```', "2"),
        ("GRADE: -1", ""),
        ("GRADE:", ""),
        ("GRADE: excellent", ""),
        ("5", ""),
        ("", ""),
        ("NaN", ""),
    ],
)
def test_grades(reply: str, grade: str) -> None:
    assert read_grade("rubric", reply) == grade


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("A is better.\nVERDICT: A", "A"),
        ("verdict: **B**", "B"),
        ("VERDICT: Answer B", "B"),
        ("VERDICT: tie", "TIE"),
        ("VERDICT: equal", "TIE"),
        ('{"winner": "b"}', "B"),
        ("VERDICT: A\nVERDICT: C", ""),
        ("VERDICT: 1", ""),
        ("VERDICT: A or B", ""),
        ("VERDICT: **A** / **B**", ""),
        ("VERDICT: A, B is too long", "A"),
        ("VERDICT: A\nor so", "A"),
        ("A", ""),
    ],
)
def test_verdicts(reply: str, verdict: str) -> None:
    assert read_grade("pairwise", reply) == verdict


def test_the_scale_as_scores() -> None:
    assert [score_of(grade) for grade in SCALE] == [0, 0.25, 0.5, 0.75, 1]


@given(st.text(max_size=300), st.sampled_from(["rubric", "pairwise"]))
def test_any_reply_can_be_read_or_not_but_never_fails(reply: str, kind: str) -> None:
    assert read_grade(kind, reply) in ("", *SCALE, "A", "B", "TIE")  # type: ignore[arg-type]


@given(st.text(max_size=100), st.sampled_from(SCALE))
def test_the_last_grade_wins_whatever_stands_before(before: str, grade: str) -> None:
    assert read_grade("rubric", f"{before}\nGRADE: {grade}") == grade


def test_a_huge_reply_is_read_from_its_end() -> None:
    assert read_grade("rubric", "GRADE: 1\n" + "x " * 500_000 + "\nGRADE: 3") == "3"
