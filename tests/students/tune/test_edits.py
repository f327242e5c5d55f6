"""Bounded edits: strict to read, and they touch nothing they do not name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.students.tune.edits import MOST_RULE_CHARS, Edit, applied, numbered, read_edits, rules_of

TEXT = "One.\n\nTwo.\n  Three.\n"
lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=12)


def test_rules_are_added_deleted_and_replaced_at_once_and_the_rest_stays_as_it_is() -> None:
    edits = [
        Edit(op="add", rule=0, text="Zero."),
        Edit(op="delete", rule=1),
        Edit(op="replace", rule=2, text="TWO."),
        Edit(op="add", rule=2, text="Two and a half."),
        Edit(op="add", rule=3, text="Four."),
    ]
    assert applied(TEXT, edits) == "Zero.\n\nTWO.\nTwo and a half.\n  Three.\nFour.\n"


def test_a_rule_can_be_added_to_nothing() -> None:
    assert applied(" \n", [Edit(op="add", rule=0, text="First.")]) == "First."


def test_a_text_becomes_one_rule_whatever_line_ends_it_holds() -> None:
    made = applied("One.", [Edit(op="add", rule=1, text="a\nb\u2028c\rd")])
    assert rules_of(made) == ("One.", "a b c d")


@given(st.lists(lines, max_size=8).map("\n".join))
def test_no_edits_change_nothing(text: str) -> None:
    assert applied(text, []) == (text if text.strip() else "")


@given(st.lists(lines, min_size=1, max_size=8).map("\n".join), st.data())
def test_edits_touch_only_the_rules_they_name(text: str, data: st.DataObject) -> None:
    rules = rules_of(text)
    chosen = data.draw(st.lists(st.integers(1, len(rules)), unique=True)) if rules else []
    ops = data.draw(st.lists(st.sampled_from(["delete", "replace"]), min_size=len(chosen), max_size=len(chosen)))
    edits = [
        Edit.model_validate({"op": op, "rule": rule, "text": "new" if op == "replace" else ""})
        for op, rule in zip(ops, chosen, strict=True)
    ]
    wanted = []
    for number, rule in enumerate(rules, 1):
        if number not in chosen:
            wanted.append(rule)
        elif ops[chosen.index(number)] == "replace":
            wanted.append("new")
    assert list(rules_of(applied(text, edits))) == wanted


@pytest.mark.parametrize("rule", [0, 3, -1])
def test_a_rule_that_is_not_there_cannot_be_changed(rule: int) -> None:
    with pytest.raises(ValueError, match="no rule"):
        applied("One.\nTwo.", [Edit(op="delete", rule=rule)])


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ("none", "must be a list"),
        ([{"op": "add", "rule": 0, "text": "x"}] * 4, "at most 3"),
        (["add"], "must be an object"),
        ([{"op": "add", "rule": 1, "text": "x", "run": "rm"}], "must be an object"),
        ([{"op": "move", "rule": 1}], "must be one of add, delete, replace"),
        ([{"op": ["add"], "rule": 1}], "must be one of"),
        ([{"op": "delete", "rule": 0}], "from 1 to 2"),
        ([{"op": "add", "rule": 3, "text": "x"}], r"from 0 \(before all\) to 2"),
        ([{"op": "delete", "rule": True}], "must be a number"),
        ([{"op": "delete", "rule": "1"}], "must be a number"),
        ([{"op": "replace", "rule": 1, "text": 5}], "must be a string"),
        ([{"op": "replace", "rule": 1, "text": " \n"}], "is empty"),
        ([{"op": "delete", "rule": 1, "text": "x"}], "has no text"),
        ([{"op": "add", "rule": 1, "text": "x" * (MOST_RULE_CHARS + 1)}], "at most 600"),
        ([{"op": "delete", "rule": 1}, {"op": "replace", "rule": 1, "text": "x"}], "changed twice"),
    ],
)
def test_a_wrong_edit_is_named(edits: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_edits({"edits": edits}, rules=2, most=3)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["op", "rule", "text", "edits", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values)
def test_whatever_is_read_can_be_applied(value: Any) -> None:
    try:
        edits = read_edits({"edits": value}, rules=2, most=4)
    except ValueError:
        return
    applied("One.\nTwo.", edits)


def test_rules_are_shown_with_their_numbers() -> None:
    assert numbered("a\n\nb") == [{"rule": 1, "text": "a"}, {"rule": 2, "text": "b"}]
