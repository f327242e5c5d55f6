from __future__ import annotations

import pytest

from skillforge.evals.verdict.versus_today import VersusToday, repaid_after, saving_text, versus_today


def test_savings_are_of_the_cases_both_answered():
    versus = versus_today(
        ({"a": 1.0, "b": 1.0, "c": 50.0}, {"a": 4.0, "b": 6.0, "z": 99.0}),
        ({"a": 2.0, "b": 2.0, "c": 50.0}, {"a": 16.0, "b": 4.0, "z": 99.0}),
        ({"a": 1.0, "b": 0.0, "c": 0.0}, {"a": 0.0, "b": 0.0, "z": 1.0}),
    )
    assert (versus.n, versus.difference) == (2, 0.5)
    assert versus.saving_real == pytest.approx(0.8)
    assert versus.saving_list == pytest.approx(0.8)
    assert versus.saved_usd_per_1000 == pytest.approx(4000.0)


def test_an_unknown_cost_stays_unknown_and_only_what_it_touches():
    versus = versus_today(({"a": 1.0}, {"a": 2.0}), ({"a": None}, {"a": 2.0}), None)
    assert (versus.saving_list, versus.saving_real, versus.difference) == (None, 0.5, None)
    versus = versus_today(({"a": 1.0}, {"a": None}), ({"a": 1.0}, {"a": 2.0}), None)
    assert (versus.saving_list, versus.saving_real, versus.saved_usd_per_1000) == (0.5, None, None)


@pytest.mark.parametrize(
    "shared", [({}, {}), ({"a": 0.0}, {"a": 0.0}), ({"a": 1.0}, {"a": -1.0}), ({"a": 1.0}, {"b": 1.0})]
)
def test_where_nothing_was_paid_or_nothing_is_shared_there_is_no_saving(shared):
    assert versus_today(shared, shared, None).saving_real is None


@pytest.mark.parametrize(
    ("made", "saved", "calls"),
    [(1.0, 10.0, 100), (1.0, 3.0, 334), (0.0, 3.0, 0), (None, 3.0, None), (1.0, None, None), (1.0, 0.0, None)],
)
def test_repaid_is_what_making_took_over_what_a_call_saves(made, saved, calls):
    assert repaid_after(made, VersusToday(n=1, saved_usd_per_1000=saved)) == calls


def test_what_costs_more_is_never_repaid():
    assert repaid_after(1.0, VersusToday(n=1, saved_usd_per_1000=-2.0)) is None
    assert repaid_after(1.0, None) is None


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.944, "-94%"), (0.9962, "-99.62%"), (0.999999, "-99.99%"), (1.0, "-100%"), (-0.5, "+50%")],
)
def test_what_costs_something_is_not_told_as_free(share, text):
    assert saving_text(share) == text
