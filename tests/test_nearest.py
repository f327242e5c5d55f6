"""Nearest examples: order, ties, own text first, bounds, and that the ranking is worth having."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillforge.nearest import INDEXED_CHARACTERS, NearestExamples, canonical_text
from skillforge.skill import Example

TICKETS = (
    "I was charged twice for my subscription",
    "The app crashes when I open the settings page",
    "How do I change the email address of my account?",
    "Please refund the second charge on my card",
    "The export button shows an error 500",
)


def examples_of(*texts: str) -> list[Example]:
    return [Example(id=f"e{n}", input={"ticket": text}, output=n) for n, text in enumerate(texts)]


def ids(found: tuple[Example, ...]) -> list[str]:
    return [example.id for example in found]


def test_the_most_similar_example_comes_last() -> None:
    found = NearestExamples(examples_of(*TICKETS)).nearest({"ticket": "my card was charged twice, refund please"}, 2)
    assert set(ids(found)) == {"e0", "e3"}
    assert ids(NearestExamples(examples_of(*TICKETS)).nearest({"ticket": "app crashes on settings"}, 3))[-1] == "e1"


def test_fewer_examples_than_asked_for_gives_all_of_them() -> None:
    assert len(NearestExamples(examples_of(*TICKETS)).nearest({"ticket": "error"}, 50)) == len(TICKETS)
    assert NearestExamples([]).nearest({"ticket": "error"}, 5) == ()
    assert NearestExamples(examples_of(*TICKETS)).nearest({"ticket": "error"}, 0) == ()


def test_equally_similar_examples_rank_by_their_order() -> None:
    same = examples_of("refund me", "refund me", "refund me", "something else")
    assert ids(NearestExamples(same).nearest({"ticket": "refund"}, 2)) == ["e1", "e0"]
    nothing_shared = examples_of("aaaa", "bbbb", "cccc")
    assert ids(NearestExamples(nothing_shared).nearest({"ticket": "zzzz"}, 2)) == ["e1", "e0"]


def test_exclude_same_leaves_out_every_example_with_that_text() -> None:
    finder = NearestExamples(examples_of("Refund me", "refund  ME", "refund us"))
    assert ids(finder.nearest({"ticket": "refund me"}, 3, exclude_same=True)) == ["e2"]


def test_canonical_text_is_sorted_normalised_and_reads_values_as_json() -> None:
    text = canonical_text({"b": "Straße  ﬁn", "a": {"x": [1, True]}, "c": 3})
    assert text == '{"x": [1, true]} strasse fin 3'


def test_two_character_words_of_chinese_are_found() -> None:
    finder = NearestExamples(examples_of("我要退款", "密码忘了", "订单在哪里"))
    assert ids(finder.nearest({"ticket": "可以退款吗"}, 1)) == ["e0"]


def test_a_long_message_that_is_near_to_everything_does_not_push_out_the_one_that_fits() -> None:
    asked = "hello, i want to change my email address please, thank you very much"
    everything = (
        "hello, first of all thank you very much. i want to say the lamp is nice, the parcel was quick, i want to keep "
        "the app, my account works, i want to change nothing. but please, thank you very much, where is my invoice"
    )
    others = (
        "hello, i want to pay my bill, thank you",
        "thank you very much for the lamp",
        "please, where is my parcel",
    )
    found = NearestExamples(examples_of(everything, "email change", *others)).nearest({"ticket": asked}, 1)
    assert ids(found) == ["e1"]


def test_only_the_head_of_a_long_input_is_indexed() -> None:
    head = "lorem ipsum " * (INDEXED_CHARACTERS // 12)
    finder = NearestExamples(examples_of(head + "x" * 10**6, "refund"))
    assert ids(finder.nearest({"ticket": head}, 1)) == ["e0"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.dictionaries(st.sampled_from("ab"), st.text(max_size=12) | st.integers(), max_size=2), max_size=12),
    st.integers(1, 6),
)
def test_an_examples_own_input_puts_that_text_last(inputs: list[dict[str, Any]], k: int) -> None:
    examples = [Example(id=str(n), input=value, output=None) for n, value in enumerate(inputs)]
    finder = NearestExamples(examples)
    for example in examples:
        found = finder.nearest(example.input, k)
        assert len(found) == min(k, len(examples))
        assert canonical_text(found[-1].input) == canonical_text(example.input)
        assert found == NearestExamples(examples).nearest(example.input, k)
        assert example not in finder.nearest(example.input, k, exclude_same=True)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=60), st.text(max_size=60), st.integers(0, 5))
def test_the_nearest_k_are_the_tail_of_the_nearest_k_plus_one(a: str, b: str, k: int) -> None:
    finder = NearestExamples(examples_of(*TICKETS, a))
    longer = finder.nearest({"ticket": b}, k + 1)
    assert finder.nearest({"ticket": b}, k) == (longer[-k:] if k else ())
