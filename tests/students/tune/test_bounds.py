"""What proposed instructions must be."""

from __future__ import annotations

import pytest

from skillforge.case import Case
from skillforge.redact import Redactor
from skillforge.students.tune.bounds import LEAST_CAP, MOST_CAP, Bounds, most_chars

INPUT = "My card was swallowed by the machine on Elm Street this morning"
CASES = [Case(id="a", input={"text": INPUT}, expected={"label": "card"})]


def bounds(start: str = "Sort messages.", cases: list[Case] = CASES, keep: tuple[str, ...] = ()) -> Bounds:
    return Bounds.of(start, cases, keep, Redactor())


@pytest.mark.parametrize(("start", "most"), [(0, LEAST_CAP), (3_000, 6_000), (9_000, MOST_CAP), (50_000, 50_000)])
def test_instructions_may_grow_to_twice_their_length_and_not_without_end(start: int, most: int) -> None:
    assert most_chars("x" * start) == most


def test_what_is_longer_is_refused() -> None:
    found = bounds()
    assert found.problem("x" * LEAST_CAP) == ""
    assert "4,001 characters" in found.problem("x" * (LEAST_CAP + 1))


def test_a_sentence_to_keep_may_not_be_left_out() -> None:
    found = bounds(keep=("Never guess.",))
    assert found.problem("Sort. Never guess.") == ""
    assert "must be kept: 'Never guess.'" in found.problem("Sort. Never guess")


@pytest.mark.parametrize(
    "text",
    [
        f"When it says '{INPUT}', answer card.",
        "If my card was SWALLOWED, by the machine -- on elm street: card",
        "Rule: card was swallowed by the machine on Elm -> card",
    ],
)
def test_a_copied_case_is_refused_however_it_is_written(text: str) -> None:
    assert "words of a training case" in bounds().problem(text)


def test_a_shorter_case_may_not_be_copied_whole() -> None:
    short = [Case(id="a", input={"text": "where is my new card"}, expected={"label": "card"})]
    assert "copies 5 words" in bounds(cases=short).problem("Where is my new card? means card.")
    assert bounds(cases=short).problem("Where is my card? means card.") == ""


def test_cases_written_without_spaces_are_known_too() -> None:
    chinese = [Case(id="a", input={"text": "我的银行卡今天早上被取款机吞了"}, expected={"label": "card"})]
    assert "training case" in bounds(cases=chinese).problem("例如“银行卡今天早上被取款机吞”就是 card")


def test_the_words_of_the_task_may_be_said_again() -> None:
    framed = [
        Case(id=str(n), input={"text": f"Read the following message and say what it wants: m{n}"}) for n in range(30)
    ]
    assert bounds(cases=framed).problem("Read the following message and say what it wants: nothing else.") == ""
    own = bounds(start=f"An example: {INPUT}")
    assert own.problem(f"Better: {INPUT}") == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  \n", "is empty"),
        ("Sort\u202e messages", "cannot be seen"),
        ("Use the key sk-ant-api03-" + "Ab9dE3fGh1" * 9 + "AA", "looks like a secret"),
    ],
)
def test_what_no_instructions_are_is_refused(text: str, said: str) -> None:
    assert said in bounds().problem(text)
