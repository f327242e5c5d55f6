"""The nearest examples, those of one answer side by side and the most frequent answer next to the question."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from skillforge.canonical import canonical_json
from skillforge.engine.frame import build_request, chosen_examples
from skillforge.engine.grouped import grouped
from skillforge.skill import Example, Examples, Skill
from skillforge.skillfile import read_skill, write_skill


def examples(*answers: Any) -> list[Example]:
    return [Example(id=f"e{number}", input={"text": "x"}, output=answer) for number, answer in enumerate(answers)]


def names(found: tuple[Example, ...]) -> list[str]:
    return [example.id for example in found]


def desk(select: str = "grouped", k: int = 4) -> Skill:
    shown = [
        ("my card was stolen", "fraud"),
        ("my card was declined", "declined"),
        ("my card was declined abroad", "declined"),
        ("my card has come", "arrival"),
        ("what is the rate of interest", "rate"),
    ]
    items = [
        Example(id=f"e{number}", input={"text": text}, output={"queue": label})
        for number, (text, label) in enumerate(shown)
    ]
    return Skill(
        name="desk",
        description="Names the queue of a ticket.",
        input={"text": {"type": "string"}},
        output={"queue": {"enum": ["fraud", "declined", "arrival", "rate"]}},
        instructions="Name the queue.",
        prompt="{{ text }}",
        examples=Examples.model_validate({"items": items, "select": select, "k": k}),
    )


def test_the_most_frequent_answer_stands_last_though_another_is_more_similar() -> None:
    assert names(grouped(examples("a", "b", "a", "c", "b", "a", "d"))) == ["e3", "e6", "e1", "e4", "e0", "e2", "e5"]


def test_of_equally_frequent_answers_that_of_the_most_similar_example_is_last() -> None:
    assert names(grouped(examples("b", "a", "a", "b"))) == ["e1", "e2", "e0", "e3"]


def test_answers_that_all_differ_stay_most_similar_last() -> None:
    assert names(grouped(examples("a", "b", "c"))) == ["e0", "e1", "e2"]
    assert grouped([]) == ()


def test_a_number_and_a_truth_value_are_different_answers() -> None:
    assert names(grouped(examples({"v": 1}, {"v": True}, {"v": 1}))) == ["e1", "e0", "e2"]


def test_a_skill_shows_its_nearest_examples_so() -> None:
    asked = {"text": "my card was stolen or declined"}
    near, together = (chosen_examples(desk(select), asked) for select in ("nearest", "grouped"))
    assert sorted(names(near)) == sorted(names(together))
    assert [example.output["queue"] for example in together][-2:] == ["declined", "declined"]
    assert near[-1].output["queue"] == "fraud"


def test_an_example_is_not_shown_its_own_answer() -> None:
    asked = {"text": "my card was stolen"}
    assert "e0" in names(chosen_examples(desk(), asked))
    assert "e0" not in names(chosen_examples(desk(), asked, exclude_same=True))


def test_only_the_instructions_are_the_same_for_every_input() -> None:
    assert build_request(desk(), {"text": "my card"}, role="run").fixed == 1


def test_a_file_keeps_it(tmp_path: Path) -> None:
    assert read_skill(write_skill(desk(), tmp_path / "desk")).skill.examples.select == "grouped"


@given(st.lists(st.sampled_from(["a", "b", "c", 1, None, {"x": []}]), max_size=9))
def test_every_example_stays_and_each_answer_stands_in_one_piece(answers: list[Any]) -> None:
    given_ = examples(*answers)
    found = grouped(given_)
    assert sorted(names(found)) == sorted(names(tuple(given_)))
    said = [canonical_json(example.output) for example in found]
    pieces = [said[0], *(b for a, b in pairwise(said) if a != b)] if said else []
    assert len(pieces) == len(set(pieces))
    often = Counter(said)
    assert [often[piece] for piece in pieces] == sorted(often[piece] for piece in pieces)
