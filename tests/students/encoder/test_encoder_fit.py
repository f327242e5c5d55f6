from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillforge.students.encoder.calibration import calibration_error
from skillforge.students.encoder.features import INDEXED_CHARACTERS, fit_features, terms, text_of
from skillforge.students.encoder.fit import Row, cross_validate, fit_encoder, fold_of

COLOURS = {'"red"': ["cherry", "tomato", "ruby", "fire"], '"blue"': ["sky", "sea", "denim", "ice"]}


def rows(count: int, words: dict[str, list[str]] = COLOURS, seed: int = 0) -> list[Row]:
    source = random.Random(seed)
    labels = sorted(words)
    found = []
    for number in range(count):
        label = labels[number % len(labels)]
        text = f"number {number} {source.choice(words[label])} and {source.choice(words[label])} please"
        found.append(Row(text, {"colour": {label: 1.0}}))
    return found


def answer(model, text: str) -> dict[str, float]:
    return dict(model.predict([{"text": text}])[0].probabilities["colour"])


def test_it_learns_what_words_mean_and_its_probabilities_sum_to_one():
    model = fit_encoder(rows(40))
    told = answer(model, "A RUBY, and fire!")
    assert max(told, key=told.get) == '"red"'
    assert sum(told.values()) == pytest.approx(1)
    assert model.predict([{"text": "ice on the sea"}])[0].output == {"colour": "blue"}


def test_the_same_rows_give_the_same_answers():
    first, second = fit_encoder(rows(30)), fit_encoder(rows(30))
    assert answer(first, "sky") == answer(second, "sky")


def test_empty_and_huge_texts_and_other_languages_are_answered():
    model = fit_encoder(rows(20))
    inputs = [{"text": text} for text in ("", " \n", "x" * 200_000, "word " * 50_000, "天气很好", "🙂", "\ud800")]
    assert all(sum(each.probabilities["colour"].values()) == pytest.approx(1) for each in model.predict(inputs))
    assert model.labels(inputs) == [each.output for each in model.predict(inputs)]


def test_chinese_is_told_apart_without_blanks_between_words():
    words = {
        '"weather"': ["今天天气很好", "明天会下雨吗", "下雨天气"],
        '"money"': ["我要退款", "钱没有到账", "退款到账"],
    }
    model = fit_encoder(rows(24, words))
    assert model.predict([{"text": "会下雨"}])[0].output == {"colour": "weather"}
    assert model.predict([{"text": "退款"}])[0].output == {"colour": "money"}


def test_no_input_at_all_is_no_trouble():
    assert fit_encoder(rows(10)).predict([]) == []


def test_one_label_alone_is_a_constant_answer():
    model = fit_encoder([Row("a", {"colour": {'"red"': 1.0}}), Row("b", {"colour": {'"red"': 1.0}})])
    assert answer(model, "c") == {'"red"': 1.0}


def test_one_row_is_enough_to_fit_and_too_few_to_judge():
    one = [Row("a", {"colour": {'"red"': 1.0}})]
    assert answer(fit_encoder(one), "a") == {'"red"': 1.0}
    assert cross_validate(one) == []


def test_equal_texts_with_two_labels_give_their_shares():
    same = [Row("same", {"colour": {label: 1.0}}) for label in ('"red"', '"red"', '"blue"', '"red"')]
    assert answer(fit_encoder(same), "same") == {'"red"': 0.75, '"blue"': 0.25}


def test_texts_without_a_word_have_nothing_to_be_told_apart_by():
    empty = [Row("", {"colour": {'"red"': 1.0}}), Row("", {"colour": {'"blue"': 1.0}})]
    assert answer(fit_encoder(empty), "sky") == {'"blue"': 0.5, '"red"': 0.5}


def test_a_label_seen_once_can_be_answered():
    model = fit_encoder([*rows(20), Row("green grass of spring", {"colour": {'"green"': 1.0}})])
    assert model.predict([{"text": "green grass of spring"}])[0].output == {"colour": "green"}


@pytest.mark.parametrize("count", [2, 3, 4])
def test_fewer_rows_than_folds_are_fitted(count: int):
    model = fit_encoder(rows(count))
    assert set(answer(model, "sky")) == {'"red"', '"blue"'}


def test_a_rare_label_survives_beside_a_frequent_one():
    words = {'"red"': COLOURS['"red"'], '"blue"': COLOURS['"blue"']}
    mostly = [row for row in rows(200, words) if row.label("colour") == '"red"'][:95]
    few = [row for row in rows(20, words, seed=3) if row.label("colour") == '"blue"'][:5]
    assert fit_encoder([*mostly, *few]).predict([{"text": "denim sky sea"}])[0].output == {"colour": "blue"}


def test_fields_are_fitted_each_on_its_own():
    both = [
        Row(
            f"{row.text} {'now' if number % 3 else 'later'}",
            {**row.labels, "urgent": {str(bool(number % 3)).lower(): 1.0}},
        )
        for number, row in enumerate(rows(60))
    ]
    model = fit_encoder(both)
    assert model.predict([{"text": "ruby fire later"}])[0].output == {"colour": "red", "urgent": False}
    assert model.predict([{"text": "sea ice now"}])[0].output == {"colour": "blue", "urgent": True}


def test_soft_labels_weigh_the_training():
    """The same texts, once surely red and once mostly blue as the teacher's probabilities say."""
    hard = [Row(f"velvet {n}", {"colour": {'"red"': 1.0}}) for n in range(10)] + rows(20)
    soft = [Row(f"velvet {n}", {"colour": {'"red"': 0.3, '"blue"': 0.7}}) for n in range(10)] + rows(20)
    sure, unsure = answer(fit_encoder(hard), "velvet"), answer(fit_encoder(soft), "velvet")
    assert sure['"red"'] > 0.8
    assert unsure['"blue"'] > 0.5


def test_cross_validation_judges_every_row_by_a_model_that_did_not_see_its_text():
    """Random labels: memory would be right, and nothing else is."""
    source = random.Random(5)
    noise = [
        Row(f"text {number // 2} {number // 2}", {"colour": {source.choice(list(COLOURS)): 1.0}})
        for number in range(80)
    ]
    judged = cross_validate(noise)
    share = sum(told["colour"].label == row.label("colour") for told, row in zip(judged, noise, strict=True)) / 80
    assert 0.25 < share < 0.75


def test_cross_validation_tells_how_far_it_is():
    heard: list[tuple[int, int]] = []
    judged = cross_validate(rows(20), on_fold=lambda done, total: heard.append((done, total)))
    assert heard == [(n, 5) for n in range(1, 6)]
    assert all(0 <= told["colour"].raw <= 1 and told["colour"].probability <= 1 for told in judged)


def test_calibration_brings_probabilities_nearer_to_the_truth():
    noisy = []
    source = random.Random(1)
    for row in rows(160):
        flipped = '"red"' if row.label("colour") == '"blue"' else '"blue"'
        noisy.append(row if source.random() > 0.2 else Row(row.text, {"colour": {flipped: 1.0}}))
    judged = cross_validate(noisy)
    right = [told["colour"].label == row.label("colour") for told, row in zip(judged, noisy, strict=True)]
    after = calibration_error([told["colour"].probability for told in judged], right)
    before = calibration_error([told["colour"].raw for told in judged], right)
    assert after < before


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyz")), min_size=1), st.integers(2, 6))
def test_folds_keep_equal_texts_together_and_are_full(pairs, count):
    texts, labels = [text for text, _ in pairs], [label for _, label in pairs]
    folds = fold_of(texts, labels, count)
    assert all(len({fold for fold, text in zip(folds, texts, strict=True) if text == one}) == 1 for one in set(texts))
    assert set(folds) == set(range(min(count, len(set(texts)))))


@settings(max_examples=50)
@given(st.text(max_size=60))
def test_terms_are_words_and_pairs_of_any_text(text):
    words = [term for term in terms(text_of({"text": text})).split() if "+" not in term]
    assert all(word == word.strip() for word in words)
    assert len(text_of({"text": text})) <= INDEXED_CHARACTERS


def test_pairs_are_of_near_words_in_any_order():
    assert (
        set(terms("lost my card").split()) & {"card+lost"}
        == set(terms("card was lost").split()) & {"card+lost"}
        != set()
    )
    far = " ".join(["lost", *"abcdefg", "card"])
    assert "card+lost" not in terms(far).split()


def test_a_key_in_a_text_is_no_word():
    assert terms("k" * 41 + " card") == "card"


def test_features_of_no_words_are_one_empty_column():
    features, matrix = fit_features(["", ""])
    assert matrix.shape == (2, 1)
    assert features.matrix(["word"]).shape == (1, 1)


def test_calibration_error_is_the_gap_between_sure_and_right():
    assert calibration_error([], []) is None
    assert calibration_error([1.0, 1.0], [True, True]) == 0
    assert calibration_error([1.0, 1.0], [True, False]) == pytest.approx(0.5)
    assert calibration_error([0.8] * 10, [True] * 8 + [False] * 2) == pytest.approx(0, abs=1e-9)
    assert calibration_error([0.9, 0.1], [False, True]) == pytest.approx(0.9)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_calibration_error_is_a_share(pairs):
    error = calibration_error([p for p, _ in pairs], [right for _, right in pairs])
    assert error is not None
    assert 0 <= error <= 1
