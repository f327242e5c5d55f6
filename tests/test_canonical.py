from __future__ import annotations

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from skillforge.canonical import canonical_json

# with lone surrogates, numbers that JSON cannot hold, and keys that are no texts
TEXTS = st.text(st.characters()) | st.text()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(TEXTS | st.integers(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_it_writes_what_the_reference_writes_and_refuses_what_it_refuses(value):
    try:
        wanted = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        with pytest.raises(ValueError, match="not canonical JSON"):
            canonical_json(value)
    else:
        assert canonical_json(value) == wanted


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"\U0001f600": 1, "\ufb33": 2}, '{"\U0001f600":1,"\ufb33":2}'),  # by UTF-16 units, not by code points
        ({"b": [1e21, 1.0, -0.0], "a": "\x7f\x1f\u2028"}, '{"a":"\x7f\\u001f\u2028","b":[1e+21,1,0]}'),
        ([2**53 - 1, -(2**53) + 1, True, None], "[9007199254740991,-9007199254740991,true,null]"),
    ],
)
def test_order_numbers_and_escapes_are_those_of_the_standard(value, written):
    assert canonical_json(value).decode() == written


def test_integers_that_a_reader_could_round_are_refused():
    with pytest.raises(ValueError, match="not canonical JSON"):
        canonical_json({"id": 2**53})


def test_a_value_nested_without_end_is_refused():
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match="not canonical JSON"):
        canonical_json(value)
