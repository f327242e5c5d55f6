"""Choosing one student of a leaderboard: by bounds, never by luck; else what is missing is named."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.evals.verdict.comparison import Bounds
from skillforge.students.boardchart import picture
from skillforge.students.boardpage import html_board, markdown_board
from skillforge.students.boardwords import size
from skillforge.students.leaderboard import Entry, Leaderboard, with_front
from skillforge.students.recommend import Missing, Needs, recommend

GOOD: dict[str, Any] = {"parity": 0.99, "parity_low": 0.97, "verdict": "pass", "place": "local"}


def entry(student: str = "local:small", **changes: Any) -> Entry:
    body: dict[str, Any] = {
        "student": student,
        "kind": "skill",
        "version": 1,
        "digest": "sha256:" + "0" * 64,
        "suite": "triage",
        "split": "test",
        "n": 400,
        "quality": 0.9,
        "bounds": Bounds(low=0.87, high=0.93, level=0.95),
        "parity": 0.95,
        "parity_low": 0.92,
        "difference": -0.04,
        "verdict": "inconclusive",
        "usd_per_1000": 0.0,
        "cost_estimated": False,
        "p50_s": 0.4,
        "p95_s": 0.9,
        "measured_at": "2026-11-22T00:00:00.000Z",
    }
    return Entry(**{**body, **changes})


def board(*entries: Entry) -> Leaderboard:
    return with_front(
        Leaderboard(
            skill="triage",
            version=1,
            suite="triage",
            split="test",
            teacher="opus",
            teacher_quality=0.94,
            teacher_usd_per_1000=7.2,
            entries=entries,
        )
    )


def test_the_cheapest_that_is_surely_good_enough_is_chosen_though_another_is_better() -> None:
    cheap = entry("openai:luna", **{**GOOD, "place": "api"}, usd_per_1000=0.3, quality=0.92)
    dear = entry("anthropic:haiku", **{**GOOD, "place": "api"}, usd_per_1000=0.5, quality=0.94)
    found = recommend(board(dear, cheap), Needs(0.97))
    assert found.choice == next(item for item in board(dear, cheap).entries if item.student == "openai:luna")
    assert not found.missing


def test_good_on_average_is_not_surely_good() -> None:
    found = recommend(board(entry(parity=0.985, parity_low=0.955, cases_needed=300)), Needs(0.97))
    assert found.choice is None
    assert "surely only 95.5%" in found.refused[0].why
    assert "about 300 more cases" in found.missing[0].what


@pytest.mark.parametrize(
    ("changes", "needs", "why"),
    [
        ({"place": "api"}, Needs(0.9, local_only=True), "would leave your machines"),
        ({"place": "local"}, Needs(0.9, edge_only=True), "not on a small device"),
        ({"usd_per_1000": 3.0}, Needs(0.9, max_cost=1), "more than $1"),
        ({"usd_per_1000": None}, Needs(0.9, max_cost=1), "cost is unknown"),
        ({"p95_s": 2.0}, Needs(0.9, max_p95_ms=1000), "2,000 ms"),
        ({"p95_s": None}, Needs(0.9, max_p95_ms=1000), "latency is unknown"),
        ({"comparable": False}, Needs(0.9), "other cases"),
        ({"part": True}, Needs(0.9), "a part of the cases"),
        ({"stale": ("the suite changed",)}, Needs(0.9), "the suite changed"),
        ({"parity": None, "parity_low": None}, Needs(0.9), "not compared"),
        ({"parity": 0.8, "parity_low": 0.7}, Needs(0.9), "less than 90.0%"),
        ({"reason": "2.5% errors"}, Needs(0.9), "2.5% errors"),
    ],
)
def test_every_need_that_is_not_met_is_told(changes: dict[str, Any], needs: Needs, why: str) -> None:
    found = recommend(board(entry(**{**GOOD, **changes})), needs)
    assert found.choice is None
    assert why in found.refused[0].why


def test_who_was_never_measured_is_named_with_the_command_only_where_nobody_is_chosen() -> None:
    never = (Missing(what="encoder:triage was never measured", command="skillforge eval triage"),)
    assert recommend(board(entry()), Needs(0.97), never).missing[-1] == never[0]
    assert recommend(board(entry(**GOOD)), Needs(0.9), never).missing == ()


def test_no_measurement_is_asked_of_whom_none_would_help() -> None:
    worse = entry(parity=0.6, parity_low=0.55, verdict="fail")
    floor = entry("no-model", kind="no-model", place="edge")
    assert recommend(board(worse, floor), Needs(0.97)).missing == ()


MONEY = st.one_of(st.none(), st.floats(0, 100))


@given(st.lists(st.tuples(st.floats(0, 1), MONEY, st.booleans()), max_size=12))
def test_the_front_holds_exactly_those_that_nobody_beats(drawn: list[tuple[float, float | None, bool]]) -> None:
    entries = [
        entry(f"m:{n}", quality=quality, usd_per_1000=usd, comparable=same)
        for n, (quality, usd, same) in enumerate(drawn)
    ]
    for item in board(*entries).entries:
        known = [other for other in entries if other.comparable and other.usd_per_1000 is not None]
        beaten = any(
            other.quality >= item.quality
            and other.usd_per_1000 <= (item.usd_per_1000 or 0)  # type: ignore[operator]
            and (other.quality, other.usd_per_1000) != (item.quality, item.usd_per_1000)
            for other in known
        )
        assert item.front == (item.comparable and item.usd_per_1000 is not None and not beaten)
    assert (picture(board(*entries)) is None) == (not any(e.comparable and e.usd_per_1000 is not None for e in entries))


def test_a_page_escapes_names_and_loads_nothing() -> None:
    hostile = board(entry('x:<img src=x onerror="alert(1)">', **GOOD), entry("y:a|b`c", **GOOD))
    page = html_board(hostile)
    assert "<img" not in page
    assert "default-src 'none'" in page
    assert "<script" not in page
    text = markdown_board(hostile)
    assert re.search(r"(?<!\\)<", text) is None
    assert len({line.count(" | ") for line in text.splitlines() if line.startswith("| ")}) == 1


def test_sizes_are_told_as_people_read_them() -> None:
    assert [size(count) for count in (None, 0, 812, 98_362_432, 4_100_000_000)] == [
        "–",
        "0",
        "812 B",
        "98.4 MB",
        "4.1 GB",
    ]


@pytest.mark.parametrize(("student", "kind"), [("encoder:x", "encoder"), ("encoder:x@0.5 > teacher", "ladder")])
def test_nobody_is_sent_to_tune_what_reads_no_skill(student: str, kind: Any) -> None:
    found = recommend(board(entry(student, kind=kind, **{**GOOD, "parity_low": 0.9})), Needs(0.95))
    (missing,) = found.missing
    assert missing.command.startswith("skillforge eval ")
    assert shlex.split(missing.command)[-1] == student
