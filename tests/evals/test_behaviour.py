"""How two arms differ: counts that can be counted by hand, p-values that scipy knows, nothing secret quoted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom, ttest_rel

from skillforge.evals.answer import Answer, Manner
from skillforge.evals.behaviour import PairBehaviour, _more_often, behaviour_of
from skillforge.evals.pages.rows import CaseRow, Cell
from skillforge.evals.style import FEATURES, free_text, opener
from skillforge.messages import Usage
from skillforge.run import Attempt, Run
from skillforge.sample import Sample
from skillforge.skill import Skill
from tests.conftest import TRIAGE
from tests.fakes.eval_report import LUNA, SKILL, TEACHER, made

FIRST, SECOND = "teacher", SKILL.name


def answer(output: Any, *, manner: Manner | None = None, status: Any = "ok", tokens: int = 9, **more: Any) -> Answer:
    body = {
        "key": "k", "status": "ok", "run_status": status, "output": output, "reason": "", "checks": (),
        "repaired": False, "usd": 0.0, "list_usd": 0.0, "cost_estimated": False, "input_tokens": 1,
        "output_tokens": tokens, "latency_s": 1.0, "model": "m", "manner": manner,
    }  # fmt: skip
    return Answer(**{**body, **more})


def row(number: int, first: Answer, second: Answer, scores: tuple[float, float] = (1.0, 1.0), **more: Any) -> CaseRow:
    cells = {FIRST: Cell((first,), scores[0]), SECOND: Cell((second,), scores[1])}
    metadata: Mapping[str, Any] = more.get("metadata", {})
    return CaseRow(f"c{number}", {"q": "?"}, None, more.get("cluster"), metadata, cells)


REPORT = made(Skill.model_validate(TRIAGE), 40, (TEACHER, SKILL)).report


def pair_of(rows: list[CaseRow], labels: tuple[str, ...] = ()) -> PairBehaviour:
    found = behaviour_of(rows, REPORT, labels, lambda value: value)
    assert found is not None
    return found.pairs[0]


def test_teacher_and_candidates_are_paired_and_candidates_among_themselves() -> None:
    both = made(Skill.model_validate(TRIAGE), 60, (TEACHER, SKILL, LUNA))
    found = behaviour_of(both.rows(), both.report, ("queue", "urgent"), lambda value: value)
    assert found is not None
    names = [(pair.first, pair.second) for pair in found.pairs]
    assert names == [("teacher", SKILL.name), ("teacher", LUNA.name), (SKILL.name, LUNA.name)]
    for pair in found.pairs:
        assert pair.outcomes is not None
        assert pair.outcomes.both + pair.outcomes.first + pair.outcomes.second + pair.outcomes.neither == pair.n


def test_answers_are_the_same_by_value_not_by_spelling_and_errors_do_not_count() -> None:
    rows = [
        row(1, answer({"a": 1, "b": 2}), answer({"b": 2, "a": 1})),
        row(2, answer("x"), answer("y")),
        row(3, answer("x"), answer(None, status="failed")),
    ]
    broken = Answer.not_asked("k", "stopped")
    pair = pair_of([*rows, row(4, answer("x"), broken)])
    assert (pair.n, pair.same) == (3, 1)
    assert [(case.id, case.why) for case in pair.worst] == [("c3", "no answer (failed)")]


def test_form_is_counted_and_its_p_is_exact_and_adjusted() -> None:
    plain, fenced = Manner(False, False, False, False), Manner(True, True, True, False)
    rows = [row(n, answer("x", manner=plain), answer("x", manner=fenced if n < 6 else plain)) for n in range(20)]
    traits = {trait.name: trait for trait in pair_of(rows).traits}
    assert set(traits) == {"wrong at first", "no JSON at first", "in a code fence"}
    assert (traits["in a code fence"].first, traits["in a code fence"].second) == (0, 6)
    assert traits["in a code fence"].p == pytest.approx(3 * 2 * 0.5**6)  # Holm over three of them


def test_lengths_are_a_ratio_with_an_interval_of_its_logarithm() -> None:
    sizes = [(20, 40), (30, 66), (25, 45), (40, 90)]
    rows = [row(n, answer("a" * a), answer("b" * b), cluster=None) for n, (a, b) in enumerate(sizes)]
    (found, _) = pair_of(rows).lengths
    logs = [math.log(b / a) for a, b in sizes]
    interval = ttest_rel([math.log(b) for _, b in sizes], [math.log(a) for a, _ in sizes]).confidence_interval(0.95)
    assert found.ratio == pytest.approx(math.exp(sum(logs) / 4))
    assert (found.bounds.low, found.bounds.high) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))


def test_a_group_that_differs_more_than_the_others_stands_first() -> None:
    rows = [
        row(n, answer("x"), answer("y" if n % 4 == 0 else "x"), metadata={"lang": "de" if n % 4 == 0 else "en"})
        for n in range(40)
    ]
    groups = pair_of(rows).groups
    assert [(group.what, group.differ, group.n) for group in groups] == [("lang = de", 10, 10)]
    assert groups[0].p == pytest.approx(2 * hypergeom.sf(9, 40, 10, 10))  # Holm over both languages


@given(st.integers(1, 60), st.data())
def test_more_often_is_the_hypergeometric_tail(total: int, data: st.DataObject) -> None:
    whole, n = data.draw(st.integers(0, total)), data.draw(st.integers(0, total))
    differ = data.draw(st.integers(max(0, n + whole - total), min(n, whole)))
    assert _more_often(differ, n, whole, total) == pytest.approx(hypergeom.sf(differ - 1, total, whole, n), abs=1e-9)


def test_style_is_counted_where_both_wrote_a_text_and_openers_are_named() -> None:
    teacher = "Your parcel is late. We refund the fee."
    student = "Sure! I think your parcel is late.\n- refund\n- apology \U0001f600"
    rows = [row(n, answer({"reply": teacher, "q": "bug"}), answer({"reply": student, "q": "bug"})) for n in range(12)]
    pair = pair_of(rows, ("q",))
    traits = {trait.name: (trait.first, trait.second) for trait in pair.traits}
    assert traits["with a list"] == traits["with emojis"] == traits["begins with a greeting"] == (0, 12)
    assert [(item.arm, item.text, item.count) for item in pair.openers] == [
        (FIRST, "your parcel is", 12), (SECOND, "sure i think", 12),
    ]  # fmt: skip


def test_what_is_not_kept_is_not_quoted() -> None:
    rows = [row(n, answer("the secret word"), answer("the secret word")) for n in range(3)]
    found = behaviour_of(rows, REPORT, (), lambda value: None)
    assert found is not None
    assert found.pairs[0].openers == ()


@given(st.text() | st.dictionaries(st.text(), st.text() | st.integers() | st.none(), max_size=4) | st.none())
def test_any_output_has_a_style(output: Any) -> None:
    text = free_text(output, frozenset())
    assert all(isinstance(has(text), bool) for has in FEATURES.values())
    assert len(opener(text)) <= 60


def run_of(*attempts: Attempt, **more: Any) -> Run:
    body = {"skill": "s", "digest": "d", "student": "m", "status": "ok", "input": {}, "output": {"a": 1}}
    return Run(**{**body, "attempts": attempts, "usage": Usage(), **more})


@pytest.mark.parametrize(
    ("attempt", "manner"),
    [
        (Attempt(kind="student", text='{"a": 1}'), Manner(False, False, False, False)),
        (Attempt(kind="student", text='```json\n{"a": 1}\n```'), Manner(True, False, False, False)),
        (Attempt(kind="student", text="I\u2019m sorry, but no"), Manner(False, False, False, True)),
        (Attempt(kind="student", text="As an AI model"), Manner(False, False, False, True)),
        (Attempt(kind="student", stop="refusal"), Manner(False, False, False, True)),
        (
            Attempt(kind="student", text="a: 1", problems=("the answer is not a JSON object",)),
            Manner(False, True, True, False),
        ),
        (Attempt(kind="student", text="", stop="stop"), None),
    ],
)
def test_the_manner_of_an_answer_is_that_of_its_first_attempt(attempt: Attempt, manner: Manner | None) -> None:
    later = Attempt(kind="repair", text='{"a": 1}')
    sample = Sample(key="k", arm="a", case_id="c", status="ok", run=run_of(attempt, later))
    assert Answer.of(sample).manner == manner
    assert Answer.of(sample.model_copy(update={"run": run_of()})).manner is None
