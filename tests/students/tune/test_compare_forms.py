"""The rule that keeps one form of a skill, the purse, and what a call costs with a prompt cache."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.errors import BudgetReached, UsageError
from skillforge.messages import Cost, Message, Request, RequestKey, Usage
from skillforge.students.tune.compare import Paired, Rule, costs_less, failed_anchors, judge, paired, worth
from skillforge.students.tune.costs import cached_usd
from skillforge.students.tune.purse import Allowance, Purse
from skillforge.students.tune.values import CaseScore

RULE = Rule(level=0.9, tolerance=0.05)


def scores(values: list[float | None], **more: float) -> dict[str, CaseScore]:
    return {f"c{n}": CaseScore(case_id=f"c{n}", score=value, **more) for n, value in enumerate(values)}


def compared(old: list[float | None], new: list[float | None], level: float = 0.9) -> Paired:
    return paired(scores(old), scores(new), [f"c{n}" for n in range(len(old))], level)


def outcome(old: list[float | None], new: list[float | None], *, less: bool = False, trades: bool = False) -> str:
    return judge(RULE, 0.9, compared(old, new), less=less, trades=trades, against="a").outcome


def test_three_gains_and_no_loss_win_two_do_not() -> None:
    assert outcome([0.0] * 20, [1.0] * 3 + [0.0] * 17) == "wins"
    assert outcome([0.0] * 20, [1.0] * 2 + [0.0] * 18) == "undecided"


def test_a_small_dev_set_proves_no_saving_and_a_larger_one_does() -> None:
    assert outcome([1.0] * 40, [1.0] * 40, less=True, trades=True) == "undecided"
    assert outcome([1.0] * 60, [1.0] * 60, less=True, trades=True) == "cheaper"
    assert outcome([1.0] * 60, [1.0] * 60) == "undecided"


def test_a_seen_loss_is_traded_only_where_the_stage_is_there_to_save() -> None:
    old, new = [1.0] * 400, [1.0] * 399 + [0.0]
    assert outcome(old, new, less=True) == "undecided"
    assert outcome(old, new, less=True, trades=True) == "cheaper"


def test_what_only_one_form_answers_counts_as_wrong_for_the_other() -> None:
    found = compared([1.0, None, 0.0, None], [None, 1.0, 1.0, None])
    assert (found.n, found.unanswered, found.before, found.after) == (3, (1, 1), 1 / 3, 2 / 3)


def test_a_form_that_is_right_where_it_answers_and_silent_elsewhere_does_not_win() -> None:
    found = compared([1.0, 0.0] * 20, [1.0, None] * 20)
    assert (found.difference, found.low <= 0) == (0.0, True)
    assert compared([0.0, 1.0] * 20, [1.0, None] * 20).difference == 0.0
    assert outcome([1.0] * 60, [1.0] * 59 + [None], less=True, trades=True) == "undecided"
    assert worth(scores([1.0, None]), ["c0", "c1"]) == 0.5
    assert outcome([None], [None]) == "unfinished"


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_no_form_wins_over_itself_and_the_rule_is_symmetric(pairs: list[tuple[float, float]]) -> None:
    old, new = [a for a, _ in pairs], [b for _, b in pairs]
    assert outcome(list(old), list(old)) == "undecided"
    if outcome(list(old), list(new)) == "wins":
        assert outcome(list(new), list(old)) == "loses"


@given(st.integers(1, 8))
def test_finalists_share_the_error(finalists: int) -> None:
    assert 1 - RULE.shared(finalists) == pytest.approx(0.1 / finalists)


def test_dollars_decide_what_is_cheaper_and_tokens_where_nothing_is_paid() -> None:
    cases = ["c0"]
    dear, cheap = scores([1.0], usd=2.0, input_tokens=1), scores([1.0], usd=1.0, input_tokens=9)
    assert costs_less(dear, cheap, cases)
    long, short = scores([1.0], usd=0.0, input_tokens=900), scores([1.0], usd=0.0, input_tokens=90)
    assert costs_less(long, short, cases)
    assert not costs_less(scores([1.0]), short, cases)


def test_only_an_anchor_that_was_passed_can_be_failed() -> None:
    parent, child = scores([1.0, 0.0, 1.0]), scores([0.0, 0.0, None])
    assert failed_anchors(parent, child, ["c0", "c1", "c2"]) == ("c0", "c2")


@pytest.mark.parametrize("text", ["400calls", "400 calls", "4_00calls"])
def test_a_budget_in_calls(text: str) -> None:
    assert Allowance.parse(text) == Allowance(calls=400)


@pytest.mark.parametrize("text", ["5", "$5", "5.0", 5])
def test_a_budget_in_dollars(text: str | float) -> None:
    assert Allowance.parse(text) == Allowance(usd=5.0)


@pytest.mark.parametrize("text", ["0", "-1", "0calls", "nan", "inf", "lots", "", "calls"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(UsageError):
        Allowance.parse(text)


@given(st.integers(1, 20), st.integers(0, 30))
def test_a_purse_gives_what_it_holds_and_not_one_more(limit: int, spent: int) -> None:
    purse = Purse(limit, calls=spent)
    for _ in range(max(0, limit - spent)):
        purse.book()
    with pytest.raises(BudgetReached):
        purse.book()
    assert purse.calls == max(limit, spent)


class Priced:
    """A dollar a token; a tenth from the cache."""

    def price(self, usage: Usage) -> Cost:
        cached = usage.cached_tokens or 0
        return Cost(usd=(usage.input_tokens or 0) - 0.9 * cached + (usage.output_tokens or 0))


def request(*sizes: int, fixed: int) -> Request:
    """Messages of so many tokens."""
    messages = tuple(Message.of("user", "word" * size) for size in sizes)
    return Request(messages=messages, key=RequestKey(role="run", task="", input={}), fixed=fixed)


@pytest.mark.parametrize(("fixed", "cached"), [(2, 2000), (1, 0), (0, 0)])
def test_a_long_fixed_beginning_is_priced_as_cached_and_a_short_one_is_not(fixed: int, cached: int) -> None:
    asked, usage = request(400, 1600, 400, fixed=fixed), Usage(input_tokens=2400, output_tokens=0)
    paid = cached_usd(Priced(), asked, usage)  # type: ignore[arg-type]
    assert paid == pytest.approx(2400 - 0.9 * cached, rel=0.01)


def test_unknown_tokens_cost_nobody_knows_what() -> None:
    assert cached_usd(Priced(), request(1, fixed=0), Usage()) is None  # type: ignore[arg-type]
