"""Amounts, dates and bank accounts as people print them."""

from __future__ import annotations

import contextlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.shop.reading import amount_of, date_of, ibans_of, sums_of


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("1.234,50 EUR", 123_450),
        ("€1,234.50", 123_450),
        ("£36.00", 3_600),
        ("1 234,5", 123_450),
        ("2.310", 231_000),
        ("1,300", 130_000),
        ("99", 9_900),
        ("9,880.00", 988_000),
        ("12'000.00 CHF", 1_200_000),
        ("0.00", 0),
    ],
)
def test_amounts(text, cents):
    assert amount_of(text) == cents


@given(st.integers(0, 10**11), st.sampled_from([",", "."]))
def test_both_ways_of_writing_mean_the_same_cents(cents, group):
    text = f"{cents // 100:,}.{cents % 100:02}"
    if group == ".":
        text = text.translate(str.maketrans(",.", ".,"))
    assert amount_of(f"EUR {text}") == cents


@pytest.mark.parametrize("text", ["", "nothing", "EUR"])
def test_what_is_no_amount_is_an_error(text):
    with pytest.raises(ValueError, match="is no amount"):
        amount_of(text)


@pytest.mark.parametrize("text", ["2026-11-05", "05.11.2026", "5 November 2026", "Nov 5, 2026", "5. November 2026"])
def test_dates(text):
    assert date_of(text) == date(2026, 11, 5)


@pytest.mark.parametrize("text", ["", "soon", "2026-13-40", "November 2026", "1 2"])
def test_what_is_no_date_is_an_error(text):
    with pytest.raises(ValueError, match=r"is no date|month|day|range"):
        date_of(text)


@given(st.text(max_size=60))
def test_a_hostile_date_or_amount_is_a_value_error_or_a_value(text):
    for read in (amount_of, date_of):
        with contextlib.suppress(ValueError):
            read(text)


def test_bank_accounts_are_read_without_what_follows_them():
    text = "IBAN: DE02 1203 0000 0000 2020 51\nBIC X\niban GB29NWBK60161331926819."
    assert ibans_of(text) == {"DE02120300000000202051", "GB29NWBK60161331926819"}


def test_amounts_that_add_up_in_one_way_are_found():
    invoice = "Rechnung vom 05.11.2026: Papier 84,00, netto 84,00 EUR, 19 % USt 15,96 EUR, gesamt 99,96 EUR"
    assert sums_of(invoice) == {("84,00", "15,96", "99,96")}
    assert sums_of("Net 4,120.00 VAT 0.00 Total 4,120.00") == {("4,120.00", "0.00", "4,120.00")}
    assert sums_of("Netto 900,00 USt 171,00 Endbetrag 1.171,00") == set()
