from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.case import Case, Decision
from skillforge.errors import UsageError
from skillforge.evals.sampling import choose_split, stratified, training_cases

BY_QUEUE = Decision(metric="/queue")


def labelled(*labels, split=None):
    return [
        Case(id=f"c{n}", input={"n": n}, expected=None if label is None else {"queue": label}, split=split)
        for n, label in enumerate(labels)
    ]


def queues(cases):
    return Counter(case.expected["queue"] for case in cases)


label_lists = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=60)


@given(label_lists, st.data())
def test_the_part_has_exactly_the_size_is_in_suite_order_and_always_the_same(labels, data):
    cases = labelled(*labels)
    count = data.draw(st.integers(1, len(cases) + 3))
    part = stratified(cases, count, BY_QUEUE)
    assert len(part) == min(count, len(cases))
    numbers = [case.input["n"] for case in part]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == len(numbers)
    assert stratified(cases, count, BY_QUEUE) == part


@given(label_lists, st.data())
def test_labels_keep_their_proportions_within_one_case(labels, data):
    cases = labelled(*(label or "d" for label in labels))
    count = data.draw(st.integers(1, len(cases)))
    found = queues(stratified(cases, count, BY_QUEUE))
    for label, total in queues(cases).items():
        assert abs(found[label] - count * total / len(cases)) < 1


@given(st.permutations(range(12)))
def test_who_is_taken_does_not_depend_on_the_order_of_the_suite(order):
    cases = labelled(*"aaaabbbbcccc")
    wanted = {case.id for case in stratified(cases, 6, BY_QUEUE)}
    assert {case.id for case in stratified([cases[n] for n in order], 6, BY_QUEUE)} == wanted


def test_a_fixed_part_stays_fixed():
    assert [case.id for case in stratified(labelled(*"aaaaabbbbb"), 4, BY_QUEUE)] == ["c0", "c4", "c6", "c8"]


@pytest.mark.parametrize("metric", ["exact", "fields", "/other"])
def test_without_a_label_to_go_by_the_part_is_still_exact(metric):
    assert len(stratified(labelled("a", None, "b", "c"), 2, Decision(metric=metric))) == 2


def test_the_test_split_is_the_default_where_there_are_splits():
    cases = labelled("a", split="train") + labelled("b", split="test")
    assert choose_split(cases, None) == ("test", cases[1:])
    assert choose_split(cases, "train") == ("train", cases[:1])
    assert choose_split(cases, "all") == ("all", cases)
    plain = labelled("a", "b")
    assert choose_split(plain, None) == ("all", plain)


def test_an_empty_split_is_refused_with_what_there_is():
    with pytest.raises(UsageError, match="'dev'") as caught:
        choose_split(labelled("a", split="train"), "dev")
    assert caught.value.hint == "there are: train, all"
    with pytest.raises(UsageError, match="'test'"):
        choose_split(labelled("a", split="train"), None)
    with pytest.raises(UsageError):
        choose_split([], None)


def test_a_skill_is_made_from_train_cases_only():
    mixed = labelled("a", split="train") + labelled("b", split="test") + labelled("c")
    assert training_cases(mixed) == (mixed[:1], "train")
    assert training_cases(iter(labelled("a", "b"))) == (labelled("a", "b"), None)
    assert training_cases(labelled("b", split="test")) == ([], "train")
