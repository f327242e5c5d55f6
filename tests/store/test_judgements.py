"""Judgements in SQLite: kept as they come, asked once, erased with the rest."""

from __future__ import annotations

from typing import Any

import pytest
from sqlite_utils import Database

from skillforge.judgement import Judgement
from skillforge.messages import Cost, Usage
from skillforge.redact import Redactor
from skillforge.store.erasure import Erasure
from skillforge.store.judgements import JudgementLog

SECRET = "sk-ant-" + "api03-" + "Zq8canaryW3xT9vK2mN5bR7yU1oP4sD6" * 2


def judgement(**changes: Any) -> Judgement:
    base: dict[str, Any] = {
        "key": "k",
        "judge": "scripted:j",
        "question": "q",
        "kind": "rubric",
        "status": "ok",
        "grade": "4",
        "replies": ("fine\nGRADE: 4",),
        "usage": Usage(input_tokens=10, output_tokens=2),
        "cost": Cost(usd=0.25, basis="list"),
        "list_usd": 0.25,
    }
    return Judgement(**{**base, **changes})


@pytest.fixture
def log(db: Database) -> JudgementLog:
    return JudgementLog(db, Redactor({}))


def test_what_was_said_is_found_again(log: JudgementLog) -> None:
    kept = log.add(judgement(skill="mood", order=""))
    assert log.known(["k", "other"]) == {"k": kept}
    assert kept.created_at


def test_the_first_reply_stays(log: JudgementLog) -> None:
    log.add(judgement())
    log.add(judgement(grade="1"))
    assert log.known(["k"])["k"].grade == "4"


def test_an_unreadable_reply_is_kept_and_not_asked_again(log: JudgementLog) -> None:
    log.add(judgement(status="unreadable", grade=""))
    assert log.known(["k"])["k"].status == "unreadable"


def test_an_error_is_asked_again_and_its_cost_adds_up(log: JudgementLog) -> None:
    log.add(judgement(status="error", grade="", error="HTTP 500", replies=(), calls=3))
    assert log.known(["k"]) == {}
    log.add(judgement())
    found = log.known(["k"])["k"]
    assert (found.status, found.cost.usd, found.calls, found.usage.input_tokens) == ("ok", 0.5, 4, 20)


def test_secrets_are_taken_out_and_under_none_no_words_are_kept(db: Database) -> None:
    said = judgement(replies=(f"it says {SECRET}\nGRADE: 4",), error=f"HTTP 500: {SECRET}")
    redacted = JudgementLog(db, Redactor({})).add(said)
    assert SECRET not in repr(redacted)
    assert "GRADE: 4" in redacted.replies[0]
    nothing = JudgementLog(db, Redactor({}), "none").add(said.model_copy(update={"key": "n"}))
    assert (nothing.replies, nothing.error, nothing.grade) == ((), "HTTP 500", "4")
    full = JudgementLog(db, Redactor({}), "full").add(said.model_copy(update={"key": "f"}))
    assert SECRET in full.replies[0]
    assert SECRET not in full.error


def test_half_surrogates_do_not_stop_it(log: JudgementLog) -> None:
    log.add(judgement(replies=("a\ud800b",), error="x\ud800"))
    assert log.known(["k"])["k"].replies == ("a\ud800b",)


def test_the_newest_alignment_counts(log: JudgementLog) -> None:
    assert log.alignment("q", "j") is None
    log.align("q", "j", {"kappa": 0.1})
    log.align("q", "j", {"kappa": 0.2})
    assert log.alignment("q", "j") == {"kappa": 0.2}
    assert log.alignment("q", "other") is None


def test_what_a_judge_quoted_is_erased_with_the_rest(db: Database, log: JudgementLog) -> None:
    log.add(judgement(replies=("Ada Lovelace is right\nGRADE: 4",)))
    log.add(judgement(key="other"))
    erasure = Erasure(db)
    found = erasure.holding(lambda data: b"Ada Lovelace" in data)
    assert found == {"judgements": ["k"]}
    erasure.erase(found)
    assert set(log.known(["k", "other"])) == {"other"}
    assert erasure.older_than("9999-01-01T00:00:00Z")["judgements"] == ["other"]
