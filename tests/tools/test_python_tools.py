"""Python functions as tools: what they give, what they refuse, and where they run."""

from __future__ import annotations

import asyncio
import enum
import importlib
import linecache
import sqlite3
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from functools import partial
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from skillforge.canonical import canonical_json
from skillforge.errors import ToolUnavailable, UsageError
from skillforge.tools.plain import MAX_ERROR, MAX_RESULT_BYTES, from_text, one_line, to_json
from skillforge.tools.python import PythonTools


def call(box, name, **arguments):
    return anyio.run(box.call, name, arguments)


def test_a_function_answers_by_its_name():
    def add(a: int, b: int = 1) -> int:
        return a + b

    box = PythonTools([add])
    assert [tool.name for tool in box.tools] == ["add"]
    outcome = call(box, "add", a=2)
    assert (outcome.content, outcome.is_error) == (3, False)
    assert outcome.latency_s >= 0
    assert PythonTools({"plus": add}).tools[0].name == "plus"


def test_wrong_arguments_never_reach_the_function():
    called = []

    def note(text: str):
        called.append(text)

    outcome = call(PythonTools([note]), "note", text=5)
    assert outcome.is_error
    assert outcome.content == "wrong arguments: text: Input should be a valid string"
    assert called == []


def test_an_exception_is_one_line_without_a_traceback():
    def fail(how: str):
        raise ValueError(how)

    box = PythonTools([fail])
    assert call(box, "fail", how="no\n such\torder \x1b[31m").content == "ValueError: no such order [31m"
    long = call(box, "fail", how="x" * 10_000_000)
    assert long.is_error
    assert len(long.content) == MAX_ERROR
    assert call(box, "fail", how="").content == "ValueError"


def test_an_exception_that_cannot_be_told_is_told_by_its_kind():
    class OddError(Exception):
        def __str__(self):
            raise RuntimeError

    def fail():
        raise OddError

    assert call(PythonTools([fail]), "fail").content == "OddError"


async def _given_up():
    raise asyncio.CancelledError


def _interrupted():
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda: sys.exit("usage: …"), "SystemExit: usage: …"),
        (_interrupted, "KeyboardInterrupt"),
        (_given_up, "CancelledError"),
    ],
)
def test_a_tool_that_ends_itself_ends_only_its_call(function, said):
    outcome = call(PythonTools({"fail": function}), "fail")
    assert (outcome.is_error, outcome.content) == (True, said)


def test_what_may_be_gone_says_so():
    def fail():
        raise ToolUnavailable("the database is gone")

    with pytest.raises(ToolUnavailable, match="the database is gone"):
        call(PythonTools([fail]), "fail")


def test_an_unknown_name_is_a_usage_error():
    with pytest.raises(UsageError, match="no tool 'ad'") as error:
        call(PythonTools({"add": lambda: 1}), "ad")
    assert error.value.hint == "did you mean 'add'?"


def test_two_tools_of_one_name_are_refused():
    def same(): ...

    with pytest.raises(UsageError, match="two tools are named same"):
        PythonTools([same, same])


def test_a_plain_function_runs_in_a_thread_and_a_coroutine_on_the_loop():
    def plain() -> bool:
        return threading.current_thread() is threading.main_thread()

    async def coroutine() -> bool:
        return threading.current_thread() is threading.main_thread()

    class Later:
        async def __call__(self) -> str:
            return "later"

    box = PythonTools({"plain": plain, "coroutine": coroutine, "partial": partial(coroutine), "later": Later()})
    assert [call(box, name).content for name in ("plain", "coroutine", "partial", "later")] == [
        False,
        True,
        True,
        "later",
    ]


def test_calls_run_beside_each_other():
    together = threading.Barrier(3, timeout=5)

    def meet() -> int:
        return together.wait()

    async def main():
        outcomes = []

        async def one():
            outcomes.append(await box.call("meet", {}))

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(one)
        return outcomes

    box = PythonTools([meet])
    assert sorted(outcome.content for outcome in anyio.run(main)) == [0, 1, 2]


def test_a_cancelled_call_does_not_wait_for_its_thread():
    release = threading.Event()

    async def main():
        with anyio.move_on_after(0.05) as scope:
            await PythonTools({"hang": lambda: release.wait(5)}).call("hang", {})
        return scope.cancelled_caught

    started = time.perf_counter()
    try:
        assert anyio.run(main)
        assert time.perf_counter() - started < 2
    finally:
        release.set()


class Colour(enum.Enum):
    RED = "red"


class Item(BaseModel):
    price: Decimal
    at: date


@dataclass
class Place:
    city: str
    colours: tuple[Colour, ...] = ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (Item(price=Decimal("1.50"), at=date(2026, 1, 2)), {"price": "1.50", "at": "2026-01-02"}),
        (Place("Ulm", (Colour.RED,)), {"city": "Ulm", "colours": ["red"]}),
        ([{1: {2.5}}], [{"1": [2.5]}]),
        (datetime(2026, 1, 2, 3, tzinfo=timezone.utc), "2026-01-02T03:00:00Z"),  # noqa: UP017
        (uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        (Path("a/b"), "a/b"),
        (b"bytes", "bytes"),
        (float("nan"), None),
        ({"x": [float("inf")]}, {"x": [None]}),
        (2**60, str(2**60)),
        (True, True),
        ("half \ud800 pair", "half \ufffd pair"),
        ((number for number in range(3)), [0, 1, 2]),
    ],
)
def test_results_become_json(value, expected):
    outcome = call(PythonTools({"give": lambda: value}), "give")
    assert (outcome.content, outcome.is_error) == (expected, False)
    assert type(outcome.content) is type(expected)


def test_rows_of_a_database_become_objects():
    def rows() -> list[sqlite3.Row]:
        database = sqlite3.connect(":memory:")
        database.row_factory = sqlite3.Row
        found = database.execute("select 1 as id, 'x' as name").fetchall()
        database.close()
        return found

    assert call(PythonTools([rows]), "rows").content == [{"id": 1, "name": "x"}]


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


loop: list = []
loop.append(loop)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "object is not known"),
        (loop, "no JSON form"),
        (deep(70), "nested deeper than 64"),
        (deep(5_000), "no JSON form"),
        ("x" * (MAX_RESULT_BYTES + 1), "the result is 524,291 bytes long, more than 524,288"),
    ],
)
def test_what_has_no_json_form_or_no_end_is_an_error(value, said):
    outcome = call(PythonTools({"give": lambda: value}), "give")
    assert outcome.is_error
    assert said in outcome.content
    assert len(outcome.content) <= MAX_ERROR


def test_the_identity_is_that_of_the_source():
    def one():
        return 1

    def other():
        return 2

    first = PythonTools({"f": one}).identity
    assert first == PythonTools({"f": one}).identity
    assert first != PythonTools({"f": other}).identity
    assert first != PythonTools({"g": one}).identity


def test_the_identity_is_that_of_helpers_too(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for rate in (1, 2):
        (tmp_path / "priced.py").write_text(f"def rate():\n    return {rate}\n\ndef price():\n    return rate()\n")
        linecache.clearcache()
        importlib.invalidate_caches()
        sys.modules.pop("priced", None)
        found.append(PythonTools([importlib.import_module("priced").price]).identity)
    sys.modules.pop("priced", None)
    assert found[0] != found[1]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(json_values)
def test_whatever_came_back_can_be_hashed_and_stays_as_it_is(value):
    try:
        found = to_json(value)
    except ValueError:  # a key that is half a character
        assert "\\ud" in ascii(value)
        return
    canonical_json(found)
    assert to_json(found) == found


@given(st.text(st.characters()), st.integers(1, 50))
def test_one_line_is_one_short_line(text, limit):
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line.splitlines() in ([], [line])
    line.encode()


@pytest.mark.parametrize("text", ["5", "true", "null", "", "{", '{"a": NaN}', '{"a": 1, "a": 2}', "plain", '"x"'])
def test_texts_that_are_no_object_or_list_stay_texts(text):
    assert from_text(text) == text


def test_texts_of_an_object_or_a_list_are_that():
    assert from_text(' {"a": [1]}\n') == {"a": [1]}
    assert from_text("[]") == []
