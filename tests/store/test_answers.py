from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlite_utils import Database

from skillforge.messages import Completion, Cost, Message, Text, TokenLogprob, ToolCall, Usage
from skillforge.redact import Redactor
from skillforge.store.answers import KEPT_DAYS, AnswerLog


@pytest.fixture
def answers(db: Database, redactor: Redactor) -> AnswerLog:
    return AnswerLog(db, redactor)


def completion(text: str = "hi") -> Completion:
    call = ToolCall(id="1", name="look", arguments={"b": 1, "a": [None]})
    return Completion(
        message=Message(role="assistant", content=(Text(text=text), call)),
        stop="tool_calls",
        model="m-2026",
        usage=Usage(input_tokens=7, cached_tokens=3, written_tokens=1, output_tokens=2, reasoning_tokens=0),
        cost=Cost(usd=0.25, basis="list"),
        latency_s=0.5,
        calls=3,
    )


def test_an_answer_comes_back_as_it_was(answers: AnswerLog) -> None:
    given = completion("Grüße \ud800")
    answers.add("k", "p:m", given)
    assert answers.known("k") == given
    assert answers.known("other") is None


def test_the_first_answer_stays(answers: AnswerLog) -> None:
    for text in ("first", "second"):
        answers.add("k", "p:m", completion(text))
    found = answers.known("k")
    assert found is not None
    assert found.text == "first"


def test_forgotten_answers_are_gone_and_others_stay(answers: AnswerLog) -> None:
    for number in range(1200):  # more than one statement's worth
        answers.add(f"k{number}", "p:m", completion())
    answers.forget(f"k{number}" for number in range(1199))
    assert answers.known("k0") is None
    assert answers.known("k1198") is None
    assert answers.known("k1199") is not None


def test_answers_nobody_came_back_for_are_dropped_in_time(answers: AnswerLog, db: Database) -> None:
    answers.add("old", "p:m", completion())
    answers.add("young", "p:m", completion())
    before = datetime.now(UTC) - timedelta(days=KEPT_DAYS, hours=1)
    db.execute("UPDATE answers SET created_at = ? WHERE key = 'old'", [before.isoformat(timespec="milliseconds")])
    answers.forget([])
    assert answers.known("old") is None
    assert answers.known("young") is not None


def test_secrets_are_taken_out_and_token_by_token_too(answers: AnswerLog, canary: str) -> None:
    spelled = tuple(TokenLogprob(token=letter, logprob=-0.1) for letter in canary)
    answers.add("k", "p:m", completion(f"my key is {canary}").model_copy(update={"logprobs": spelled}))
    found = answers.known("k")
    assert found is not None
    assert canary not in found.text
    assert found.logprobs is None
    assert found.text.startswith("my key is ")


def test_store_io_full_keeps_the_text_and_none_keeps_nothing(db: Database, redactor: Redactor, canary: str) -> None:
    full = AnswerLog(db, redactor, "full")
    full.add("k", "p:m", completion(canary))
    found = full.known("k")
    assert found is not None
    assert found.text == canary
    nothing = AnswerLog(db, redactor, "none")
    nothing.add("n", "p:m", completion())
    assert nothing.known("n") is None


def test_calls_that_a_stored_run_counts_are_not_counted_again(answers: AnswerLog) -> None:
    answers.add("k", "p:m", completion())
    answers.count(["k", "other"])
    found = answers.known("k")
    assert found is not None
    assert (found.calls, found.cost.usd, found.text) == (0, 0.25, "hi")
