from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import anyio
import pytest
from fakes.virtual_time import run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillforge.endpoints import ModelOptions, Price
from skillforge.errors import (
    BudgetReached,
    ContextOverflow,
    KeyRejected,
    ProviderError,
    ProviderStopped,
    ProviderTimeout,
    RateLimited,
    RequestRejected,
    ServerFailure,
    Unreachable,
    UsageError,
)
from skillforge.messages import Completion, Cost, Message, Request, Usage
from skillforge.providers.base import Provider, tells_probabilities
from skillforge.providers.budget import Budget
from skillforge.providers.limiter import Limiter
from skillforge.providers.remote import Remote
from skillforge.providers.wires.wire import Address, Dialect, Wire
from skillforge.tokens import bound_tokens

NAME = "lab:m"
USED = Usage(input_tokens=1000, cached_tokens=0, written_tokens=0, output_tokens=100)
COST = 0.0015  # of USED at $1 and $5 per million tokens

Turn = Exception | Usage | float | Callable[[Request, Dialect], Awaitable[Completion]] | None


def answer(usage: Usage = USED, *, model: str = "m-2026") -> Completion:
    return Completion(message=Message.of("assistant", "yes"), stop="stop", model=model, usage=usage)


class Told(Wire):
    """A wire that does as told, call by call: raise, answer with a usage, or answer late. After that it answers."""

    def __init__(self, turns: Sequence[Turn] = (), *, seconds: float = 1.0) -> None:
        self.turns = list(turns)
        self.seconds = seconds
        self.calls: list[tuple[float, Dialect]] = []
        self.running = self.most_running = self.closed = 0

    async def call(self, request: Request, dialect: Dialect) -> Completion:
        self.calls.append((anyio.current_time(), dialect))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        turn = self.turns.pop(0) if self.turns else None
        try:
            await anyio.sleep(turn if isinstance(turn, float) else self.seconds)
            if isinstance(turn, Exception):
                raise turn
            if callable(turn):
                return await turn(request, dialect)
            return answer(turn) if isinstance(turn, Usage) else answer()
        finally:
            self.running -= 1

    async def aclose(self) -> None:
        self.closed += 1

    @property
    def times(self) -> list[float]:
        return [time for time, _ in self.calls]


def down(said: str, hint: str = "") -> ServerFailure:
    """A failure that the server tells of: it charges nothing for it."""
    return ServerFailure(said, hint=hint, maybe_billed=False)


def list_price(usage: Usage, model: str) -> Cost:
    """$1 per million tokens in, $0.10 cached, $1.25 written, $5 out."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return Cost()
    cached, written = usage.cached_tokens or 0, usage.written_tokens or 0
    plain = usage.input_tokens - cached - written
    return Cost(usd=(plain + cached * 0.1 + written * 1.25 + usage.output_tokens * 5) / 1e6, basis=f"list of {model}")


def remote(wire: Wire, *, limiter: Limiter | None = None, **more: Any) -> Remote:
    options = more.pop("options", ModelOptions())
    address = Address(NAME, more.pop("kind", "openai-chat"), more.pop("base_url", "http://x/v1"), "m", options)
    shared = limiter or Limiter(8)
    given = {"price": list_price, "most": 8, "random": lambda: 0.5, **more}
    return Remote(address, lambda: wire, limiter=lambda: shared, **given)


def ask(provider: Remote, request: Request) -> Completion:
    return run(provider.complete, request)


def failure(provider: Remote, request: Request) -> ProviderError:
    with pytest.raises(ProviderError) as info:
        ask(provider, request)
    return info.value


def test_an_answer_is_priced_at_the_model_that_gave_it(asking):
    provider: Provider = remote(Told())
    completion = run(provider.complete, asking())
    assert completion.cost == Cost(usd=COST, basis="list of m-2026")
    assert completion.calls == 1
    assert provider.price(USED).basis == "list of m"
    assert (provider.name, provider.concurrency) == (NAME, 8)


def test_a_failing_server_is_asked_again_after_a_growing_pause(asking):
    wire = Told([down("HTTP 503")] * 5)
    completion = ask(remote(wire), asking())
    assert wire.times == [0, 1.25, 2.75, 4.75, 7.75, 12.75]
    assert completion.calls == 6
    assert completion.cost == Cost(usd=COST, basis="list of m-2026")


def test_the_sixth_failure_is_the_last(asking):
    wire = Told([down("HTTP 503", "later")] * 9)
    error = failure(remote(wire), asking())
    assert isinstance(error, ServerFailure)
    assert (len(wire.calls), error.calls, error.maybe_billed, error.hint) == (6, 6, False, "later")


def test_a_server_that_never_answered_is_tried_twice_only_and_one_that_did_as_often_as_any(asking):
    gone = [Unreachable("lab:m: cannot connect")] * 20
    wire = Told(gone)
    provider = remote(wire)
    for _ in range(2):  # for the second caller it is final at once
        with pytest.raises(ProviderStopped, match=r"cannot connect \(http://x/v1\)"):
            run(lambda: provider.complete(asking()))
    assert len(wire.calls) == 2
    later = Told([None, *gone])
    provider = remote(later)

    async def both() -> None:
        await provider.complete(asking())
        await provider.complete(asking())

    with pytest.raises(Unreachable, match=r"cannot connect \(http://x/v1\)") as caught:
        run(both)
    assert len(later.calls) == 1 + 6
    assert caught.value.calls == 6


def test_a_rate_limit_is_given_twelve_tries_and_obeyed(asking):
    wire = Told([RateLimited("HTTP 429", retry_after_s=60)] * 11)
    completion = ask(remote(wire), asking())
    assert completion.calls == 12
    assert all(60 <= later - earlier <= 65 + 15 for earlier, later in pairwise(wire.times))
    error = failure(remote(Told([RateLimited("HTTP 429")] * 20)), asking())
    assert (type(error), error.calls) == (RateLimited, 12)


def test_what_is_final_is_asked_once(asking):
    for error in (KeyRejected("no"), ContextOverflow("long"), RequestRejected("HTTP 400: no"), ProviderError("odd")):
        assert failure(remote(wire := Told([error])), asking()) is error
        assert (len(wire.calls), error.calls) == (1, 1)


def test_a_failed_try_that_may_be_billed_is_in_the_cost(asking):
    request = asking(max_output_tokens=1000)
    cut = ServerFailure("cut", maybe_billed=True)
    provider = remote(Told([cut, down("HTTP 500"), ProviderTimeout("slow", maybe_billed=True)]))
    worst = provider.worst(request).usd
    completion = ask(provider, request)
    assert worst is not None
    assert completion.cost.usd == pytest.approx(COST + 2 * worst)
    assert completion.cost.estimated
    assert completion.calls == 4
    error = failure(remote(Told([cut, *[down("HTTP 500")] * 5])), request)
    assert error.maybe_billed


def test_the_worst_case_is_all_tokens_at_the_dearest_input_price_and_all_output_and_thinking(asking):
    request = asking("x" * 500, max_output_tokens=1000)
    worst = remote(Told(), options=ModelOptions(thinking_tokens=200)).worst(request)
    assert worst.usd == pytest.approx((bound_tokens(request) * 1.25 + 1200 * 5) / 1e6)
    assert worst.estimated
    assert remote(Told(), price=lambda usage, model: Cost()).worst(request) == Cost()


def test_what_a_server_refuses_by_name_is_left_out_from_then_on(asking):
    refusals = [
        RequestRejected(f"{NAME}: HTTP 400: unknown parameter 'temperature'"),
        RequestRejected(f"{NAME}: HTTP 400: use 'max_completion_tokens'"),
    ]
    provider = remote(wire := Told(refusals))
    assert ask(provider, asking()).calls == 3
    assert wire.times == [0, 1, 2], "asked again at once"
    assert ask(provider, asking()).calls == 1
    assert wire.calls[-1][1] == Dialect(temperature=False, limit_key="max_completion_tokens")


def test_fewer_alternatives_are_asked_for_before_none(asking):
    many = RequestRejected(f"{NAME}: HTTP 400: top_logprobs must be at most 5")
    provider = remote(wire := Told([many]))
    ask(provider, asking(logprobs=True))
    assert wire.calls[-1][1] == Dialect(top_logprobs=5)
    wire.turns.append(many)
    ask(provider, asking(logprobs=True))
    assert wire.calls[-1][1] == Dialect(top_logprobs=5, logprobs=False)


def test_only_an_api_that_has_none_says_that_it_tells_no_probabilities():
    told = [tells_probabilities(remote(Told(), kind=kind)) for kind in ("anthropic", "openai-chat", "openai-responses")]
    assert told == [False, True, True]


def test_one_refused_schema_leaves_the_others_in_the_servers_own_way(asking):
    odd, plain = ({"type": "object", "properties": {name: {"type": "string"}}} for name in ("odd", "plain"))

    async def picky(request: Request, dialect: Dialect) -> Completion:
        if dialect.schema and request.output_schema == odd:
            raise RequestRejected("lab:m: HTTP 400: response_format.schema is not supported")
        return answer()

    wire = Told([picky] * 9)
    provider = remote(wire)

    async def ask_all() -> None:
        for schema in (odd, plain, odd, plain):
            await provider.complete(asking().model_copy(update={"output_schema": schema}))

    run(ask_all)
    assert [dialect.schema for _, dialect in wire.calls] == [True, False, True, False, True]


def test_a_refusal_that_nothing_helps_against_teaches_nothing(asking):
    no = RequestRejected(f"{NAME}: HTTP 400: the input 'my temperature is 39' is not allowed")
    provider = remote(wire := Told([no, no]))
    assert failure(provider, asking()).calls == 2
    ask(provider, asking())
    assert wire.calls[-1][1] == Dialect()


def test_the_models_own_name_and_a_404_are_no_refusal_of_an_option(asking):
    thinker = Address("lab:m-thinking", "openai-chat", "http://x/v1", "m-thinking", ModelOptions())
    for said in ("lab:m-thinking: HTTP 400: bad messages", "lab:m-thinking: HTTP 404: no model 'm-thinking'"):
        wire = Told([RequestRejected(said)])
        limiter = Limiter(1)
        provider = Remote(thinker, lambda w=wire: w, limiter=lambda own=limiter: own, price=list_price, most=1)
        assert failure(provider, asking()).calls == 1


def test_calls_that_run_together_learn_together(asking):
    async def grumpy(request: Request, dialect: Dialect) -> Completion:
        wire.turns.append(grumpy)
        if dialect.schema:
            raise RequestRejected("HTTP 400: response_format is not supported")
        if dialect.effort:
            raise RequestRejected("HTTP 400: no reasoning here")
        return answer()

    wire = Told([grumpy] * 4)
    provider = remote(wire, limiter=Limiter(4))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(provider.complete, asking())

    run(main)
    assert len(wire.calls) == 20 + 2 * 4, "only the calls under way at the start are refused"


def test_the_limiter_is_told_how_calls_went(asking):
    told: list[tuple[float, str]] = []
    limiter = Limiter(8, on_wait=lambda reason, seconds: told.append((anyio.current_time(), reason)))
    wire = Told([RateLimited("429", retry_after_s=10), down("500"), ProviderTimeout("slow")])
    ask(remote(wire, limiter=limiter), asking())
    assert [reason for _, reason in told] == ["rate limited", "", "server failing", ""]
    assert limiter.limit == 2
    assert limiter.running == 0


def test_others_keep_calling_while_one_waits_for_its_next_try(asking):
    wire = Told([ProviderTimeout("slow"), *[None] * 5])
    provider = remote(wire, limiter=Limiter(1))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(provider.complete, asking())

    run(main)
    assert wire.times == [0, 1, 2, 3]


def test_never_more_calls_at_once_than_the_limiter_allows(asking):
    wire = Told()
    provider = remote(wire, limiter=Limiter(6))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(provider.complete, asking())

    run(main)
    assert wire.most_running == 6


def test_a_budget_is_reached_before_it_is_overspent(asking):
    request = asking(max_output_tokens=1000)
    provider = remote(wire := Told())
    worst = provider.worst(request).usd
    assert worst is not None
    budget = Budget(worst + 3 * COST)
    bounded = provider.under(budget)
    for _ in range(4):
        ask(bounded, request)
    error = failure(bounded, request)
    assert isinstance(error, BudgetReached)
    assert (error.calls, len(wire.calls)) == (0, 4)
    assert budget.spent_usd == pytest.approx(4 * COST)
    ask(provider, request)  # the twin without a budget goes on


def test_a_server_that_charges_for_more_than_it_was_asked_for_is_believed_from_then_on(asking):
    greedy = Usage(input_tokens=10, cached_tokens=0, written_tokens=0, output_tokens=100_000)
    wire = Told([greedy] * 9)
    budget = Budget(2.0)
    provider = remote(wire, budget=budget)

    async def until_reached() -> None:
        for _ in range(9):
            await provider.complete(asking())

    with pytest.raises(BudgetReached):
        run(until_reached)
    assert len(wire.calls) == 3  # $0.50 each: a fourth could cost a little more than is left
    assert budget.spent_usd < 2.0


def test_what_calls_under_way_together_were_charged_is_believed_once_and_not_multiplied(asking):
    greedy = Usage(input_tokens=10, cached_tokens=0, written_tokens=0, output_tokens=100_000)
    budget = Budget(20.0)
    provider = remote(Told([greedy] * 5), budget=budget)

    async def together_then_one_more() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(provider.complete, asking())
        await provider.complete(asking())

    run(together_then_one_more)
    assert budget.spent_usd == pytest.approx(5 * 0.50001)


def test_a_budget_reached_between_two_tries_tells_what_was_done(asking):
    request = asking(max_output_tokens=1000)
    cut = ServerFailure("cut", maybe_billed=True)
    error = failure(remote(Told([cut] * 9), budget=Budget(0.008)), request)
    assert isinstance(error, BudgetReached)
    assert (error.calls, error.maybe_billed) == (1, True)


def test_a_refused_call_is_not_booked_and_an_unknown_usage_is_at_its_worst(asking):
    request = asking(max_output_tokens=1000)
    budget = Budget(1)
    failure(remote(Told([RequestRejected("HTTP 400: no")]), budget=budget), request)
    assert budget.spent_usd == 0
    completion = ask(provider := remote(Told([Usage()]), budget=budget), request)
    assert completion.cost.usd is None
    assert budget.unknown
    assert budget.spent_usd == pytest.approx(provider.worst(request).usd, abs=2e-9)


def test_a_call_cancelled_after_it_was_sent_is_booked_at_its_worst_and_one_before_is_not(asking):
    request = asking(max_output_tokens=1000)
    budget = Budget(1)
    provider = remote(Told(seconds=100), limiter=Limiter(1), budget=budget)

    async def main() -> None:
        with anyio.move_on_after(5):
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(provider.complete, request)

    run(main)
    assert budget.spent_usd == pytest.approx(provider.worst(request).usd, abs=2e-9)

    async def all_is_free_again() -> None:
        left = 1 - (provider.worst(request).usd or 0) - 1e-8
        (await budget.reserve(Cost(usd=left))).release()

    run(all_is_free_again)


def test_a_budget_without_a_price_is_an_error_that_names_the_model(asking):
    provider = remote(wire := Told(), price=lambda usage, model: Cost(), budget=Budget(1))
    with pytest.raises(UsageError) as info:
        ask(provider, asking())
    assert f'[models."{NAME}"]' in info.value.hint
    assert wire.calls == []
    assert ask(remote(Told(), price=lambda usage, model: Cost()), asking()).cost.usd is None


def test_a_bug_in_a_wire_leaves_no_slot_and_no_money_behind(asking):
    budget = Budget(1)
    limiter = Limiter(1)
    provider = remote(Told([ZeroDivisionError()]), limiter=limiter, budget=budget)
    with pytest.raises(ZeroDivisionError):
        ask(provider, asking())
    assert limiter.running == 0
    assert budget.spent_usd > 0


def test_the_same_final_error_five_times_stops_all_callers(asking):
    async def boom(request: Request, dialect: Dialect) -> Completion:
        wire.turns.append(boom)
        raise RequestRejected(f"{NAME}: HTTP 400: broken at {anyio.current_time()}")

    wire = Told([boom] * 4)
    provider = remote(wire, limiter=Limiter(4))
    errors: list[ProviderError] = []

    async def main() -> None:
        async def one() -> None:
            with pytest.raises(ProviderError) as info:
                await provider.complete(asking())
            errors.append(info.value)

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(one)

    run(main)
    assert [type(error) for error in errors[:4]] == [RequestRejected] * 4
    assert {type(error) for error in errors[4:]} == {ProviderStopped}
    assert len(wire.calls) == 8
    assert str(errors[4]).startswith(f"{NAME} said the same 5 times: HTTP 400: broken at 2")
    assert errors[-1].calls == 0
    assert isinstance(failure(provider, asking()), ProviderStopped)
    wire.turns.clear()
    ask(provider.under(Budget(None)), asking())  # the next command


def test_a_success_between_equal_errors_goes_on(asking):
    no = RequestRejected(f"{NAME}: HTTP 400: broken")
    provider = remote(Told([no, no, no, no, None, no, no, no, no]))
    for _ in range(4):
        assert failure(provider, asking()) is no
    ask(provider, asking())
    for _ in range(4):
        assert failure(provider, asking()) is no


def test_an_unknown_model_is_asked_for_twice_at_most(asking):
    error = RequestRejected(f"{NAME}: HTTP 404: no such model", hint="check the model's name")
    provider = remote(Told([error] * 9))
    assert failure(provider, asking()) is error
    stopped = failure(provider, asking())
    assert isinstance(stopped, ProviderStopped)
    assert stopped.hint.startswith("check the model's name; what is done is kept")


def test_the_wire_is_made_once_and_closed_for_all_twins(asking):
    made: list[Told] = []

    def connect() -> Told:
        made.append(Told())
        return made[-1]

    limiter = Limiter(4)
    address = Address(NAME, "openai-chat", "http://x/v1", "m", ModelOptions())
    provider = Remote(address, connect, limiter=lambda: limiter, price=list_price, most=4)
    twin = provider.under(Budget(None))
    run(provider.aclose)
    assert made == [], "nothing to close"
    provider.open()
    twin.open()
    ask(twin, asking())
    assert len(made) == 1
    run(twin.aclose)
    run(provider.aclose)
    assert made[0].closed == 1
    ask(provider, asking())
    assert len(made) == 2


def test_a_missing_key_shows_at_open_and_at_the_first_call(asking):
    def connect() -> Wire:
        raise UsageError("no key")

    address = Address(NAME, "openai-chat", "http://x/v1", "m", ModelOptions())
    provider = Remote(address, connect, limiter=lambda: Limiter(1), price=list_price, most=1)
    with pytest.raises(UsageError):
        provider.open()
    with pytest.raises(UsageError):
        ask(provider, asking())


def test_the_fingerprint_names_what_changes_answers_and_nothing_else():
    def of(**more: Any) -> str:
        return remote(Told(), **more).fingerprint()

    free = ModelOptions(price=Price(input=1, output=2), concurrency=3, timeout_s=4)
    assert of() == of(most=3, budget=Budget(1), options=free)
    changed = [
        ModelOptions(effort="low"),
        ModelOptions(temperature=0),
        ModelOptions(temperature=0.5),
        ModelOptions(thinking_tokens=1),
        ModelOptions(structured="prompt"),
    ]
    others = [of(options=options) for options in changed] + [of(kind="anthropic"), of(base_url="http://y/v1")]
    assert len({of(), *others}) == 8


TURN = st.sampled_from(["ok", "unknown", "429", "500", "cut", "timeout", "400", "dear"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    turns=st.lists(TURN, max_size=60),
    callers=st.lists(st.none() | st.floats(0, 30), min_size=1, max_size=16),
    dollars=st.none() | st.floats(0, 0.1),
    most=st.integers(1, 9),
)
def test_whatever_a_server_does_nothing_freezes_or_overspends(asking, turns, callers, dollars, most):
    request = asking(max_output_tokens=1000)
    told: dict[str, Callable[[], Turn]] = {
        "ok": lambda: None,
        "unknown": Usage,
        "429": lambda: RateLimited("429", retry_after_s=5),
        "500": lambda: down("500"),
        "cut": lambda: ServerFailure("cut", maybe_billed=True),
        "timeout": lambda: ProviderTimeout("slow", maybe_billed=True),
        "400": lambda: RequestRejected("HTTP 400: no schema"),
        "dear": lambda: Usage(
            input_tokens=bound_tokens(request), written_tokens=bound_tokens(request), output_tokens=1000
        ),
    }
    wire = Told([told[turn]() for turn in turns])
    limiter = Limiter(most)
    budget = Budget(dollars)
    provider = remote(wire, limiter=limiter, budget=budget)
    answered: list[Completion] = []

    async def one(patience: float | None) -> None:
        with anyio.move_on_after(math.inf if patience is None else patience):
            with suppress(ProviderError):
                answered.append(await provider.complete(request))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for patience in callers:
                group.start_soon(one, patience)

    run(main)
    assert limiter.running == 0
    assert wire.most_running <= most
    assert dollars is None or budget.spent_usd <= dollars
    known = math.fsum(completion.cost.usd or 0 for completion in answered)
    assert budget.spent_usd >= known - 1e-12
    assert sum(completion.calls for completion in answered) <= len(wire.calls)


def test_a_server_that_is_down_stops_all_callers_after_a_few_calls(asking):
    wire = Told([down("HTTP 500: out of order")] * 500)
    provider = remote(wire, limiter=Limiter(32))
    errors: list[ProviderError] = []

    async def main() -> float:
        async def one() -> None:
            with pytest.raises(ProviderError) as info:
                await provider.complete(asking())
            errors.append(info.value)

        async with anyio.create_task_group() as group:
            for _ in range(90):
                group.start_soon(one)
        return anyio.current_time()

    assert run(main) < 60
    assert {type(error) for error in errors} == {ProviderStopped}
    assert len(wire.calls) < 20
    assert "keeps failing: HTTP 500: out of order" in str(errors[0])
    wire.turns.clear()
    ask(provider.under(Budget(None)), asking())  # the next command


def test_what_a_server_asks_one_caller_to_wait_is_not_stretched_for_all(asking):
    wire = Told([RateLimited("429", retry_after_s=1)])
    provider = remote(wire, limiter=Limiter(1), random=lambda: 0.99)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(provider.complete, asking())

    run(main)
    assert wire.times == [0, 2, pytest.approx(3)]


# hasty: another model is ready to answer


def test_a_hasty_twin_gives_up_after_two_tries_and_the_patient_one_goes_on(asking):
    wire = Told([down("HTTP 503")] * 4)
    patient = remote(wire)
    error = failure(patient.hasty(), asking())
    assert (type(error), error.calls) == (ServerFailure, 2)
    assert ask(patient, asking()).calls == 3


def test_a_hasty_twin_does_not_wait_for_the_end_of_a_rate_limit(asking):
    wire = Told([RateLimited("HTTP 429", retry_after_s=60)])
    provider = remote(wire).hasty()
    ended: list[tuple[float, ProviderError]] = []

    async def call() -> None:
        with pytest.raises(RateLimited) as caught:
            await provider.complete(asking())
        ended.append((anyio.current_time(), caught.value))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(call)
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(call)

    run(main)
    assert {time for time, _ in ended} == {1.0}
    assert len(wire.calls) == 1
    last = ended[-1][1]
    assert "rate limited, no call for " in str(last)
    assert (last.calls, last.maybe_billed) == (0, False)
    assert isinstance(last, RateLimited)
    assert last.retry_after_s == pytest.approx(61, abs=1)


def test_calls_that_wait_for_others_to_end_are_not_given_up(asking):
    provider = remote(Told(seconds=30.0), limiter=Limiter(1)).hasty()
    answered: list[Completion] = []

    async def call() -> None:
        answered.append(await provider.complete(asking()))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(call)

    run(main)
    assert len(answered) == 4


def test_what_a_hasty_twin_was_held_back_from_is_no_failure_of_the_server(asking):
    wire = Told([RateLimited("HTTP 429", retry_after_s=60)])
    patient = remote(wire)

    async def main() -> Completion:
        for _ in range(9):
            with pytest.raises(RateLimited):
                await patient.hasty().complete(asking())
        return await patient.complete(asking())

    assert run(main).calls == 1


def test_a_hasty_try_is_bounded(asking):
    asked: list[float] = []

    async def note(request: Request, dialect: Dialect) -> Completion:
        asked.append(request.timeout_s)
        return answer()

    provider = remote(Told([note, note, note]))
    ask(provider, asking())
    ask(provider.hasty(), asking())
    ask(provider.hasty(), asking(timeout_s=5))
    assert asked == [600.0, 120.0, 5.0]


def test_wires_that_a_refused_key_left_behind_are_closed_while_others_go_on(asking):
    made: list[Told] = []

    def connect() -> Wire:
        made.append(Told([60.0] if not made else [KeyRejected("HTTP 401")]))
        return made[-1]

    address = Address(NAME, "openai-chat", "http://x/v1", "m", ModelOptions())
    provider = Remote(address, connect, limiter=lambda: Limiter(8), price=list_price, most=8)

    async def long_call() -> None:
        assert (await provider.complete(asking())).text == "yes"

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(long_call)
            await anyio.sleep(0.1)
            provider._line.breaker.failed(KeyRejected("HTTP 401"))
            for _ in range(5):
                with pytest.raises(KeyRejected):
                    await provider.under(Budget(None)).complete(asking())
                assert made[0].closed == 0
        assert [wire.closed for wire in made] == [1, 1, 1, 1, 1, 0]
        with pytest.raises(KeyRejected):
            await provider.under(Budget(None)).complete(asking())
        assert sum(wire.closed for wire in made) == len(made) - 1
        await provider.aclose()
        assert {wire.closed for wire in made} == {1}

    run(main)
