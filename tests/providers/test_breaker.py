from __future__ import annotations

import pytest

from skillforge.errors import (
    BudgetReached,
    ContextOverflow,
    KeyRejected,
    ProviderStopped,
    ProviderTimeout,
    RequestRejected,
    ServerFailure,
)
from skillforge.providers.breaker import Breaker, is_404


def fails(breaker: Breaker, *messages: str) -> list[bool]:
    return [isinstance(breaker.failed(ServerFailure(message)), ProviderStopped) for message in messages]


def test_the_fifth_equal_error_stops_and_says_what_it_was():
    breaker = Breaker("lab:m")
    assert fails(breaker, *["lab:m: HTTP 500: boom (request req_011CSHoE)"] * 4) == [False] * 4
    breaker.check()
    stopped = breaker.failed(ServerFailure("lab:m: HTTP 500: boom (request req_99)", hint="try again later"))
    assert isinstance(stopped, ProviderStopped)
    assert str(stopped) == "lab:m said the same 5 times: HTTP 500: boom (request req_99)"
    assert stopped.hint == "try again later; what is done is kept, the same command goes on"


def test_numbers_and_ids_do_not_make_errors_different():
    assert fails(Breaker("m"), *[f"HTTP 500 after {n} ms, id a{n}-bc" for n in range(5)])[-1]


def test_a_success_starts_the_count_again():
    breaker = Breaker("m")
    fails(breaker, *["boom"] * 4)
    breaker.succeeded()
    assert not any(fails(breaker, *["boom"] * 4))


def test_different_errors_are_counted_apart_but_a_change_between_two_stops_too():
    assert not any(fails(Breaker("m"), *"abcdefgh"))
    assert fails(Breaker("m"), *"ababababa") == [False] * 8 + [True]
    breaker = Breaker("m")
    fails(breaker, *["boom"] * 4)
    assert not isinstance(breaker.failed(ProviderTimeout("boom")), ProviderStopped)


def test_an_unknown_model_stops_at_the_second_time():
    breaker = Breaker("lab:nope")
    error = RequestRejected("lab:nope: HTTP 404: no such model")
    assert is_404(error)
    assert breaker.failed(error) is error
    assert isinstance(breaker.failed(error), ProviderStopped)
    assert not is_404(RequestRejected("lab:nope: HTTP 400: 404 is no temperature"))


def test_once_stopped_everyone_stops_with_an_error_of_their_own():
    breaker = Breaker("m")
    fails(breaker, *["boom"] * 5)
    caught = []
    for _ in range(2):
        with pytest.raises(ProviderStopped) as info:
            breaker.check()
        caught.append(info.value)
    assert caught[0] is not caught[1]
    assert fails(breaker, "something else") == [True]


def test_a_new_command_starts_again():
    breaker = Breaker("m")
    fails(breaker, *["boom"] * 5)
    breaker.start_again()
    breaker.check()
    assert fails(breaker, *["boom"] * 4) == [False] * 4
    breaker.start_again()
    assert fails(breaker, "boom") == [True], "what has not stopped anything yet goes on counting"


def test_long_inputs_and_a_spent_budget_are_not_the_providers_fault():
    breaker = Breaker("m")
    for error in [ContextOverflow("too long")] * 9 + [BudgetReached("spent")] * 9:
        assert breaker.failed(error) is error
    breaker.check()


def test_a_huge_message_is_compared_quickly():
    assert fails(Breaker("m"), *["x" * 10**6] * 5)[-1]


def test_a_refused_key_stops_those_who_wait_behind_it_at_once():
    breaker = Breaker("p:m")
    refused = KeyRejected("p:m: HTTP 401: no such key", hint="set another")
    assert breaker.failed(refused) is refused
    with pytest.raises(ProviderStopped, match="401") as caught:
        breaker.check()
    assert caught.value.hint == "set another"
    breaker.start_again()
    breaker.check()
