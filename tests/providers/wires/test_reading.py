from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.messages import Text, ToolCall
from skillforge.providers.wires import reading


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "{", "", "\ufeff1", "[" * 200_000, "1" * 5_000, b"\xff"])
def test_what_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011 - json's own, of several kinds
        reading.parsed(text)


@given(st.text(st.characters(codec=None), max_size=20))
def test_any_text_can_be_stored(text):
    assert len(reading.text(text).encode()) >= len(text)


@given(st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.lists(st.integers()))
def test_a_count_is_a_number_of_things_or_unknown(value):
    counted = reading.count(value)
    assert counted is None or (counted == value and 0 <= counted < 2**53 and not isinstance(value, bool))


def test_usage_that_contradicts_itself_is_unknown_in_part():
    usage = reading.usage_of(10, 2, None, {"cached_tokens": 11, "cache_write_tokens": 10}, {"reasoning_tokens": 3})
    assert (usage.cached_tokens, usage.written_tokens, usage.reasoning_tokens) == (None, 10, None)
    assert reading.usage_of(10, 2, 30, {}, {}).output_tokens == 20
    assert reading.usage_of(10, 2, 5, {}, {}).output_tokens == 2


def test_a_call_without_an_id_gets_one():
    assert reading.tool_call(3, "", "look", "") == ToolCall(id="call-3", name="look", arguments={})
    assert reading.tool_call(0, "c", "", "{}") == Text(text="{}")
