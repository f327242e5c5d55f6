from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.providers.backoff import pause_s


def most(tries: int, asked: float | None = None) -> float:
    return pause_s(tries, asked, random=lambda: 1.0)


def least(tries: int, asked: float | None = None) -> float:
    return pause_s(tries, asked, random=lambda: 0.0)


def test_the_longest_pause_doubles_up_to_half_a_minute():
    assert [most(tries) for tries in range(1, 10)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert most(10**9) == 30
    assert [least(tries) for tries in (1, 5, 9)] == [0, 0, 0]


def test_a_server_is_obeyed_and_calls_come_back_one_after_another():
    assert least(1, 7) == 7
    assert 7 < most(1, 7) <= 9
    assert most(9, 0) == 30, "a server that says 0 again and again is not hammered"


@pytest.mark.parametrize("asked", [120, 121, 86_400, 1e300, math.inf])
def test_no_server_stops_us_for_longer_than_the_cap(asked):
    assert least(1, asked) == 120
    assert most(1, asked) <= 122
    assert pause_s(1, asked, cap_s=5, random=lambda: 0.0) == 5


@pytest.mark.parametrize("asked", [math.nan, -1, -math.inf])
def test_nonsense_from_a_server_is_as_if_it_said_nothing(asked):
    assert most(3, asked) == most(3)


@given(st.integers(-5, 10**6), st.none() | st.floats(), st.floats(0, 1, exclude_max=True))
def test_it_is_never_less_than_asked_and_never_more_than_the_cap_and_the_spread(tries, asked, chance):
    pause = pause_s(tries, asked, random=lambda: chance)
    assert 0 <= pause <= 122
    if asked is not None and asked > 0:
        assert pause >= min(asked, 120)
