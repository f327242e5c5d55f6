from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.evals.scorers.numbers import near, number_of
from skillforge.evals.scorers.resolve import scorer_of_text


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (5, "5"),
        (0.1, "0.1"),
        ("1,234.50", "1234.50"),
        (" $1,234 ", "1234"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("5 %", "5"),
        ("€ 7", "7"),
        ("7€", "7"),
        ("\u22123", "-3"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e3", "1000"),
    ],
)
def test_numbers_and_texts_that_are_one(value, number):
    assert number_of(value) == Decimal(number)


@pytest.mark.parametrize(
    "value",
    [
        *(True, None, [], {}, math.nan, math.inf, "", "-", "$", "%", ".", "1,23", "1 2", "about 5", "5 apples", "NaN"),
        *("Infinity", "1_000", "0x10", "٣", "1e9999", "--5", "-$-5", "1" * 1000, 10**2000),
    ],
)
def test_what_is_no_number(value):
    assert number_of(value) is None


@pytest.mark.parametrize(
    ("spec", "expected", "output", "right"),
    [
        ("numeric", 5, "5.0", 1.0),
        ("numeric", 5, True, 0.0),
        ("numeric", 1, "one", 0.0),
        ('{"type": "numeric", "tolerance": 0.01}', 1, 1.01, 1.0),  # in binary they are further apart
        ('{"type": "numeric", "tolerance": 0.01}', 1, 1.011, 0.0),
        ('{"type": "numeric", "relative": 0.1}', -200, -220, 1.0),
        ('{"type": "numeric", "relative": 0.1}', -200, -221, 0.0),
        ('{"type": "numeric", "relative": 0.1}', 0, 0.001, 0.0),
        ('{"type": "numeric", "relative": 0.1, "tolerance": 0.01}', 0, 0.001, 1.0),
        ('{"type": "numeric", "path": "/total"}', {"total": "$1,000"}, {"total": 1000}, 1.0),
        ("numeric", 10**300, 10**300 + 1, 0.0),
    ],
)
def test_near_enough(item, spec, expected, output, right):
    scorer = scorer_of_text(spec, {})
    assert scorer.binary
    assert scorer.score(item(output, expected)).value == right


def test_a_label_that_is_no_number_is_unscored(item):
    score = scorer_of_text("numeric", {}).score(item(5, "five"))
    assert score.state == "unscored"
    assert "number" in score.reason


FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@given(FLOATS, FLOATS, st.floats(0, 1e6))
def test_the_tolerance_is_exact_and_symmetric(left, right, tolerance):
    a, b = number_of(left), number_of(right)
    gap = abs(Fraction(repr(left)) - Fraction(repr(right)))
    if gap == 0 or abs(gap - Fraction(repr(tolerance))) > Fraction(1, 10**12) * gap:  # decimals have 28 digits
        assert near(a, b, tolerance, None) is (gap <= Fraction(repr(tolerance)))
    assert near(a, b, tolerance, None) is near(b, a, tolerance, None)
    assert near(a, a, None, None)


@given(st.text(alphabet="0123456789.,-+$%eE \u2212", max_size=12))
def test_any_text_is_a_number_or_none(text):
    number = number_of(text)
    assert number is None or number.is_finite()
