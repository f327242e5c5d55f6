"""Which error makes another model answer, and how long the first is left alone. Scripted models, a clock by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from skillforge.engine.execute import PromptExecutor
from skillforge.engine.fallback import REST_S, FallbackExecutor, Rest
from skillforge.errors import (
    BudgetReached,
    InvalidInput,
    KeyRejected,
    ProviderError,
    ProviderTimeout,
    RateLimited,
    RequestRejected,
    ServerFailure,
    UsageError,
)
from skillforge.messages import Request
from skillforge.providers.scripted import Scripted
from skillforge.run import Run

GOOD = {"queue": "billing", "quote": "charged"}
ASK = {"ticket": "I was charged twice"}
GONE = RequestRejected("m:first: HTTP 404: no such model")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Pair:
    """Two scripted models whose answers a test may change, and the executor over them."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {"m:first": GOOD, "m:second": GOOD}
        self.models = {name: Scripted(default=self._says(name), name=name) for name in self.said}
        self.opened: list[str] = []
        self.clock = Clock()
        self.executor = FallbackExecutor("m:first", "m:second", self._open, Rest(self.clock))

    def _says(self, name: str) -> Callable[[Request], Any]:
        def answer(request: Request) -> Any:
            said = self.said[name]
            if isinstance(said, Exception):
                raise said
            return said(request) if callable(said) else said

        return answer

    def _open(self, name: str) -> PromptExecutor:
        self.opened.append(name)
        return PromptExecutor(self.models[name])

    @property
    def asked(self) -> tuple[int, int]:
        return len(self.models["m:first"].seen), len(self.models["m:second"].seen)

    def run(self, skill: Any, given: Any = ASK) -> Run:
        return anyio.run(self.executor.execute, skill, given)


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_a_student_that_answers_is_not_touched(pair, triage):
    run = pair.run(triage())
    assert (run.student, run.fallback, len(run.attempts), pair.asked) == ("m:first", "", 1, (1, 0))
    assert pair.opened == ["m:first"]  # the other may lack its key: nobody needs it now


@pytest.mark.parametrize(
    "error",
    [
        ServerFailure("m:first: HTTP 500", calls=3),
        RateLimited("m:first: HTTP 429"),
        ProviderTimeout("m:first: no answer"),
        KeyRejected("m:first: HTTP 401"),
        GONE,
        RequestRejected("m:first: HTTP 400: image too large"),
        ProviderError("m:first: broken"),
    ],
)
def test_where_it_gives_no_answer_the_fallback_does_and_the_run_says_why(pair, triage, error):
    pair.said["m:first"] = error
    run = pair.run(triage())
    assert (run.status, run.output, run.student) == ("ok", GOOD, "m:second")
    assert run.fallback == f"m:first could not answer: {str(error).removeprefix('m:first: ')}"
    first, second = run.attempts
    assert (first.error, first.calls, second.error) == (str(error), error.calls, "")
    if not error.maybe_billed:  # a refused call used nothing and cost nothing
        assert run.usage == second.usage
        assert run.cost.usd == 0.0


def test_a_wrong_answer_does_not_fall_back(pair, triage):
    pair.said["m:first"] = "no JSON"
    assert pair.run(triage()).status == "failed"
    escalating = triage(checks=[{"type": "contains", "value": "zzz", "on_fail": "escalate"}])
    pair.said["m:first"] = GOOD
    assert pair.run(escalating).status == "escalated"
    assert pair.run(triage(limits={"input_tokens": 1})).status == "escalated"
    assert pair.asked[1] == 0


def test_the_paid_first_attempt_is_kept_when_its_repair_meets_an_error(pair, triage):
    turns = iter(["no JSON"])

    def answer(request: Request) -> Any:
        for said in turns:
            return said
        raise KeyRejected("m:first: HTTP 401")

    pair.said["m:first"] = answer
    run = pair.run(triage())
    assert [(attempt.kind, attempt.text, bool(attempt.error)) for attempt in run.attempts[:2]] == [
        ("student", "no JSON", False),
        ("repair", "", True),
    ]
    assert run.ok
    assert run.student == "m:second"


def test_when_neither_answers_the_run_is_an_error_that_names_both(pair, triage):
    pair.said = {"m:first": ServerFailure("m:first: HTTP 500"), "m:second": KeyRejected("m:second: HTTP 401")}
    run = pair.run(triage())
    assert (run.status, len(run.attempts)) == ("error", 2)
    assert run.reason == ("m:first could not answer: HTTP 500; m:second could not answer either: HTTP 401")


def test_what_is_wrong_with_the_call_or_its_budget_is_raised_as_ever(pair, triage):
    with pytest.raises(InvalidInput):
        pair.run(triage(), {})
    pair.said["m:first"] = BudgetReached("spent")
    with pytest.raises(BudgetReached):
        pair.run(triage())
    with pytest.raises(UsageError, match="polite"):
        pair.run(triage(checks=[{"type": "custom", "name": "polite"}]))
    assert pair.asked[1] == 0
    pair.said = {"m:first": ServerFailure("500"), "m:second": BudgetReached("spent")}
    with pytest.raises(BudgetReached):
        pair.run(triage())


def test_a_fallback_that_cannot_be_opened_does_not_hide_why_it_was_needed(pair, triage):
    del pair.models["m:second"]
    pair.said["m:first"] = ServerFailure("m:first: HTTP 500")

    def opened(name: str) -> PromptExecutor:
        if name == "m:second":
            raise UsageError("no key for m", hint="skillforge keys set m")
        return PromptExecutor(pair.models[name])

    executor = FallbackExecutor("m:first", "m:second", opened)
    with pytest.raises(ProviderError, match=r"m:first could not answer: HTTP 500; m:second .* no key for m") as caught:
        anyio.run(executor.execute, triage(), ASK)
    assert caught.value.hint == "skillforge keys set m"


# resting


@pytest.mark.parametrize("error", [ServerFailure("500"), RateLimited("429"), KeyRejected("401"), GONE])
def test_a_model_that_cannot_answer_is_left_alone_until_one_call_finds_it_back(pair, triage, error):
    pair.said["m:first"] = error
    pair.run(triage())
    for _ in range(3):
        assert pair.run(triage()).fallback.startswith("m:first could not answer")
    assert pair.asked == (1, 4)
    pair.clock.now = REST_S + 1
    pair.run(triage())  # looks, in vain
    pair.run(triage())
    assert pair.asked == (2, 6)
    pair.said["m:first"] = GOOD
    assert pair.run(triage()).student == "m:second"
    pair.clock.now *= 3
    assert pair.run(triage()).student == "m:first"
    assert pair.run(triage()).fallback == ""


@pytest.mark.parametrize(("asked", "rests"), [(None, 30.0), (3.0, 3.0), (0.01, 1.0), (600.0, 30.0)])
def test_a_rate_limit_that_says_when_it_ends_is_believed(pair, triage, asked, rests):
    pair.said["m:first"] = RateLimited("429", retry_after_s=asked)
    pair.run(triage())
    pair.said["m:first"] = GOOD
    pair.clock.now = rests - 0.1
    assert pair.run(triage()).student == "m:second"
    pair.clock.now = rests
    assert pair.run(triage()).student == "m:first"


def test_a_request_that_is_refused_as_it_is_says_nothing_of_others(pair, triage):
    pair.said["m:first"] = RequestRejected("m:first: HTTP 400: too large")
    pair.run(triage())
    pair.run(triage())
    assert pair.asked == (2, 2)


def test_of_calls_at_once_only_one_looks_whether_it_is_back(pair, triage):
    pair.said["m:first"] = ServerFailure("500")
    pair.run(triage())
    pair.said["m:first"] = GOOD
    pair.models["m:first"]._latency_s = 0.02
    pair.clock.now = REST_S + 1
    found: list[str] = []

    async def call() -> None:
        found.append((await pair.executor.execute(triage(), ASK)).student)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(call)

    anyio.run(main)
    assert sorted(found) == ["m:first"] + ["m:second"] * 9


@pytest.mark.parametrize("end", ["cancelled", "wrong input", "too long"])
def test_a_look_that_says_nothing_leaves_the_next_one_free(pair, triage, end):
    pair.said["m:first"] = ServerFailure("500")
    pair.run(triage())
    pair.said["m:first"] = GOOD
    pair.clock.now = REST_S + 1
    if end == "cancelled":
        pair.models["m:first"]._latency_s = 60

        async def cut() -> None:
            with anyio.move_on_after(0.01):
                await pair.executor.execute(triage(), ASK)

        anyio.run(cut)
        pair.models["m:first"]._latency_s = 0
    elif end == "wrong input":
        with pytest.raises(InvalidInput):
            pair.run(triage(), {})
    else:
        assert pair.run(triage(limits={"input_tokens": 1})).status == "escalated"
    assert pair.run(triage()).student == "m:first"


def test_its_identity_is_that_of_both(pair):
    assert pair.executor.identity == "m:first else m:second"
    assert (pair.executor.student, pair.executor.concurrency) == ("m:first", pair.models["m:first"].concurrency)
