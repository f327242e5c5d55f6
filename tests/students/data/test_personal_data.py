"""Personal data by its shape: what is found, what is not, and what is put in its place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.students.data.personal import find_personal, mask_text, mask_value


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("write to jane.roe+shop@mail.co.uk please", ["mail"]),
        ("write to jane@example.com or to x@shop.test", []),
        ("call +49 30 1234567 or 0151 2345678", ["phone"]),
        ("call (415) 555-0132", ["phone"]),
        ("my number is 415-555-0132.", ["phone"]),
        ("pay to DE89 3704 0044 0532 0130 00 today", ["iban"]),
        ("pay to DE89 3704 0044 0532 0130 01 today", []),  # wrong check digits
        ("from 8.8.8.8 it fails, from 192.168.0.1 it works", ["ip"]),
        ("from 192.168.0.1 and 999.1.1.1 and version 1.2.3.4.5", []),
        ("order L-70332 of 2026-11-02, 1,200.00 EUR, 24 pieces, 12:30", []),
        ("RE-2026-0902 vom 02.11.2026, 119,00 EUR", []),
        ("at 10-12 or 100-200", []),
    ],
)
def test_shapes(text: str, kinds: list[str]) -> None:
    assert find_personal(text) == kinds
    assert find_personal(mask_text(text)[0]) == []


def test_masked_values_keep_their_fields_and_are_counted() -> None:
    value = {"a@b.de": ["x@y.de", {"phone": "+49 30 1234567"}], "n": 4155550132, "quote": "x@y.de"}
    clean, counts = mask_value(value)
    assert clean == {"a@b.de": ["[mail]", {"phone": "[phone]"}], "n": 4155550132, "quote": "[mail]"}
    assert counts == {"mail": 2, "phone": 1}


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(VALUES)
def test_masking_twice_is_masking_once(value: Any) -> None:
    once = mask_value(value)[0]
    assert mask_value(once)[0] == once


def test_a_long_text_takes_time_in_proportion() -> None:
    for hostile in ("a." * 50_000 + "@", "+1" * 50_000, "DE89 " * 20_000, "1." * 50_000, "@a." * 30_000):
        mask_text(hostile)
