"""References and conditions of a workflow in words: nothing is left out, and Markdown stays Markdown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from skillforge.formats.wording import as_json, code, condition_words, value_words, waits_for


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"from": "order_id"}, "the input's `order_id`"),
        ({"from": "steps.order"}, "the result of `order`"),
        ({"from": "steps.order.lines.0.sku"}, "`lines.0.sku` of the result of `order`"),
        ({"from": "item.sku"}, "`sku` of the element"),
        ({"from": "item"}, "the element"),
        ({"from": "note", "default": ""}, 'the input\'s `note` (where there is none: `""`)'),
        ({"from": "steps.a.rows", "pick": ["x", "y"]}, "`rows` of the result of `a`, of it only `x`, `y`"),
        ({"first_of": [{"from": "a"}, 3]}, "the first that is there of: the input's `a`; `3`"),
        ({"value": {"from": "x"}}, '`{"from": "x"}`'),
        ({"to": {"from": "a"}, "cc": []}, "an object: `to`: the input's `a`; `cc`: `[]`"),
        ([{"from": "a"}, None], "a list: the input's `a`; `null`"),
        ("1", '`"1"`'),
        (True, "`true`"),
    ],
)
def test_values_in_words(value: Any, words: str) -> None:
    assert value_words(value) == words


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"from": "steps.a.ok", "equals": True}, "`ok` of the result of `a` is `true`"),
        ({"from": "n", "gte": {"from": "m"}}, "the input's `n` is at least the input's `m`"),
        ({"from": "n", "not_in": [1, 2]}, "the input's `n` is none of `[1, 2]`"),
        ({"from": "steps.a", "exists": False}, "the result of `a` is missing or null"),
        ({"not": {"from": "n", "lt": 3}}, "it is not true that the input's `n` is less than `3`"),
        (
            {"all": [{"from": "a", "in": ["x"]}, {"any": [{"from": "b", "gt": 1}, {"from": "c", "lte": 2}]}]},
            "(the input's `a` is one of `[\"x\"]` and (the input's `b` is greater than `1` or "
            "the input's `c` is at most `2`))",
        ),
    ],
)
def test_conditions_in_words(condition: dict[str, Any], words: str) -> None:
    assert condition_words(condition) == words


def test_a_condition_that_only_waits_is_none() -> None:
    both = [{"from": "steps.a", "exists": there} for there in (True, False)]
    assert waits_for({"any": both}) == "steps.a"
    assert condition_words({"any": both}) == ""
    assert waits_for({"any": [both[0], {"from": "steps.b", "exists": False}]}) == ""
    assert waits_for({"any": [both[0], both[0]]}) == ""


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\x85"), min_size=1))
def test_a_code_span_holds_any_text(text: str) -> None:
    (inline,) = [token for token in MarkdownIt().parse(f"- x: {code(as_json(text))}\n") if token.type == "inline"]
    spans = [child for child in inline.children or [] if child.type == "code_inline"]
    assert [span.content for span in spans] == [as_json(text)]
