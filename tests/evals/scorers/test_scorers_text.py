from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.evals.scorers.resolve import scorer_of_text
from skillforge.evals.scorers.text import MAX_CHARACTERS, normal_text, rouge_l, rouge_n, similarity, words

TYPES = ["normalized", "f1", "rouge-1", "rouge-2", "rouge-l", "similarity"]
TEXTS = st.text(max_size=30) | st.lists(st.sampled_from(["ab", "cd.", "The,", "the"]), max_size=8).map(" ".join)


def value(item, spec, expected, output):
    return scorer_of_text(spec, {}).score(item(output, expected)).value


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("Billing", "  billing\n", True),
        ("Billing.", '"billing"', True),
        ("a  b\tc", "A B C", True),
        ("ﬁne ①", "fine 1", True),  # NFKC
        ("STRASSE", "straße", True),
        ("e\u0301t\u00e9", "été", True),
        ("(a)", "**A**", True),
        ("the queue", "queue", False),  # articles count
        ("-5", "5", False),
        ("5%", "5", False),
        ("C#", "C", False),
        ("C++", "C", False),
        (".5", "5", False),
        ("?", "!", False),  # nothing else is there
        ("a b", "ab", False),
    ],
)
def test_the_normal_form_of_a_text(item, left, right, equal):
    assert (normal_text(left) == normal_text(right)) is equal
    assert value(item, "normalized", left, right) == float(equal)


@pytest.mark.parametrize(
    ("expected", "output", "right"),
    [
        ({"a": "X."}, {"a": "x"}, 1.0),
        (["A", "B"], ["a", "b"], 1.0),
        (["A", "B"], ["b", "a"], 0.0),
        (5, "5", 1.0),
        (5.0, "5", 1.0),
        (True, "True", 1.0),
        ({"a": "x"}, {"a": "x", "b": 1}, 0.0),
        ("x", ["x"], 0.0),
    ],
)
def test_values_are_normalised_inside(item, expected, output, right):
    assert value(item, "normalized", expected, output) == right


@given(TEXTS)
def test_normalising_twice_changes_nothing_for_ascii(text):
    text = text.encode("ascii", "ignore").decode()
    assert normal_text(normal_text(text)) in (normal_text(text), normal_text(normal_text(normal_text(text))))


def test_words_are_letters_and_digits_of_any_script():
    assert words("It's 3.5, snake_case!") == ["it", "s", "3", "5", "snake", "case"]
    assert words("Größe e\u0301") == ["größe", "é"]
    assert words("東京 tower") == ["東", "京", "tower"]


# computed with rouge_score 0.1.2, use_stemmer=False
REFERENCE = "The quick brown fox jumps over the lazy dog"
ANSWER = "The quick brown dog jumps on the log."


@pytest.mark.parametrize(
    ("kind", "score"),
    [("rouge-1", 0.7058823529411765), ("rouge-2", 0.26666666666666666), ("rouge-l", 0.5882352941176471)],
)
def test_rouge_is_that_of_rouge_score(item, kind, score):
    assert value(item, kind, REFERENCE, ANSWER) == pytest.approx(score, abs=1e-15)


def _longest_common(left, right):
    row = [0] * (len(right) + 1)
    for a in left:
        before = row[:]
        for index, b in enumerate(right):
            row[index + 1] = before[index] + 1 if a == b else max(before[index + 1], row[index])
    return row[-1]


@given(TEXTS, TEXTS)
def test_rouge_l_by_the_textbook(left, right):
    a, b = words(left), words(right)
    expected = 2 * _longest_common(a, b) / (len(a) + len(b)) if a or b else 1.0
    assert rouge_l(left, right) == pytest.approx(expected)


@pytest.mark.parametrize("kind", TYPES)
@given(left=TEXTS, right=TEXTS)
def test_scores_of_texts_are_bounded_symmetric_and_one_for_the_same(item, kind, left, right):
    score = value(item, kind, left, right)
    assert 0.0 <= score <= 1.0
    assert score == value(item, kind, right, left)
    assert value(item, kind, left, left) == 1.0


def test_texts_too_short_for_a_bigram_are_compared_by_their_words():
    assert rouge_n("yes", "Yes.", 2) == 1.0
    assert rouge_n("yes", "no", 2) == 0.0
    assert rouge_n("yes", "yes it is", 2) == 0.0


@pytest.mark.parametrize(
    ("spec", "expected", "output", "score"),
    [
        ("f1", ["a", "b", "c"], ["c", "a", "x", "a"], 2 * 2 / 6),
        ("f1", [], [], 1.0),
        ("f1", [], ["a"], 0.0),
        ("f1", ["a"], "a", 1.0),
        ("f1", [{"x": 1}, 2], [2.0, {"x": 1}], 1.0),
        ("f1", [1], [True], 0.0),
        ("f1", "a red red car", "the red car", 2 * 2 / 7),
        ('{"type": "f1", "ordered": true}', ["a", "b", "c"], ["c", "b", "a"], 2 * 1 / 6),
        ('{"type": "f1", "ordered": true}', ["a", "b", "c"], ["a", "x", "c"], 2 * 2 / 6),
        ('{"type": "f1", "path": "/tags"}', {"tags": ["a"]}, {"tags": ["a", "b"]}, 2 / 3),
        ('{"type": "f1", "threshold": 0.6, "path": "/tags"}', {"tags": ["a"]}, {"tags": ["a", "b"]}, 1.0),
        ('{"type": "f1", "path": "/tags"}', {"tags": ["a"]}, {"labels": ["a"]}, 0.0),
        ("similarity", "kitten", "sitting", 1 - 3 / 7),
        ("similarity", {"b": 1, "a": 2}, {"a": 2, "b": 1}, 1.0),
    ],
)
def test_scores_by_hand(item, spec, expected, output, score):
    assert value(item, spec, expected, output) == pytest.approx(score)


def test_a_threshold_makes_a_graded_scorer_right_or_wrong(item):
    plain, strict = scorer_of_text("f1", {}), scorer_of_text('{"type": "f1", "threshold": 0.9}', {})
    assert (plain.binary, strict.binary) == (False, True)
    assert strict.score(item(["a"], ["a", "b"])).value == 0.0
    assert plain.identity != strict.identity


@pytest.mark.parametrize("kind", TYPES)
def test_texts_of_any_length_are_compared_in_seconds(kind, item):
    left, right = "word other " * 60_000, "other thing " * 60_000
    started = time.monotonic()
    assert 0.0 <= value(item, kind, left, right) < 1.0
    assert time.monotonic() - started < 5


def test_what_is_not_looked_at_counts_as_different():
    same_start = "a" * MAX_CHARACTERS
    assert similarity(same_start, same_start + "b" * MAX_CHARACTERS) == 0.5
    assert similarity(same_start + "b", same_start + "c") == pytest.approx(1.0, abs=1e-4)
    assert similarity("", same_start * 3) == 0.0


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("output", ["\ud800", float("nan"), 10**400, "", [], {}, {"a": [[[]]]}])
def test_strange_outputs_score_and_never_raise(kind, output, item):
    score = scorer_of_text(kind, {}).score(item(output, "text"))
    assert not score.error
    assert 0.0 <= score.value <= 1.0


@pytest.mark.parametrize("kind", TYPES)
def test_an_output_nested_too_deep_scores_and_never_raises(kind, item):
    deep: list = []
    for _ in range(20_000):
        deep = [deep]
    score = scorer_of_text(kind, {}).score(item(deep, "text"))
    assert score.value == 0.0 or math.isclose(score.value, 0.0)
