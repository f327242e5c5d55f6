from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.engine.parse import MAX_OUTPUT_CHARS, find_json, parse_output

GOOD = '{"queue": "bug", "quote": "x"}'


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"  {GOOD}\n",
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}```",
        f"Sure, here it is: {GOOD} Anything else?",
        GOOD + GOOD,
        f"The form is {{queue}}: {GOOD}",
    ],
)
def test_models_wrap_answers(triage, text):
    assert parse_output(triage(), text) == ({"queue": "bug", "quote": "x"}, ())


def test_fields_come_in_the_order_of_the_contract(triage):
    output, _ = parse_output(triage(), '{"quote": "x", "queue": "bug"}')
    assert list(output) == ["queue", "quote"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bug",
        "[1]",
        '["queue"]',
        '"bug"',
        "{",
        '{"queue": "bug"',
        '{"queue": NaN}',
        "{'queue': 1}",
        "[" * 9999,
        '{"a":' * 100_000,
        "{" + "9" * 10_000,
    ],
)
def test_what_is_no_object_is_said(triage, text):
    assert parse_output(triage(), text) == (None, ("the answer is not a JSON object",))


def test_everything_that_does_not_fit_is_listed(triage):
    output, problems = parse_output(triage(), '{"queue": "sales", "more": 1}')
    assert output is None
    assert [problem.split(":")[0] for problem in problems] == ["more", "queue", "quote"]


def test_text_is_stripped_and_never_empty(triage):
    skill = triage(output="text", examples={})
    assert parse_output(skill, " hi\n") == ("hi", ())
    assert parse_output(skill, GOOD) == (GOOD, ())
    assert parse_output(skill, " \n") == (None, ("the answer is empty",))


def test_an_endless_answer_is_refused_unread(triage):
    output, problems = parse_output(triage(), "x" * (MAX_OUTPUT_CHARS + 1))
    assert output is None
    assert "longer than" in problems[0]


@pytest.mark.parametrize(
    "text", ["```\n" * 200_000, "```json\n" + " " * 1_000_000, "{" * 1_000_000, '{"a": "' * 100_000]
)
def test_hostile_answers_are_read_in_linear_time(text):
    started = time.monotonic()
    assert find_json(text) is None
    assert time.monotonic() - started < 2


@given(
    st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text()),
    st.sampled_from(["", "\n", "ok: "]),
)
def test_any_object_is_found_however_it_is_introduced(value, before):
    assert find_json(f"{before}{json.dumps(value)}") == value
    assert find_json(f"```json\n{json.dumps(value, indent=1)}\n```") == value


@given(st.text())
def test_any_text_is_survived(text):
    assert find_json(text) is None or isinstance(find_json(text), dict)
