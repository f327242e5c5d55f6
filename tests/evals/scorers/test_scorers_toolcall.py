from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.evals.scorers.calls import calls_of, without_fence
from skillforge.evals.scorers.resolve import scorer_of_text
from skillforge.evals.scorers.toolcall import tool_call, tool_call_f1

F1A = [{"name": "f", "arguments": {"a": 1}}]


@pytest.mark.parametrize(
    "form",
    [
        F1A,
        F1A[0],
        {"name": "f", "arguments": '{"a": 1}'},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
        {"tool_calls": [{"function": {"name": "f", "arguments": '{"a": 1}'}}]},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
        {"role": "assistant", "function_call": {"name": "f", "arguments": '{"a": 1}'}},
        [{"f": {"a": 1}}],
        [{"f": '{"a": 1}'}],
        {"f": {"a": 1}},
        "f(a=1)",
        "\n[f(a=1)]\n",
        '{"tool_calls": [{"name": "f", "arguments": {"a": 1}}]}',
        '[{"f": {"a": 1}}]',
    ],
)
def test_every_form_is_the_same_call(form):
    assert tool_call(F1A, form) == 1.0
    assert tool_call(form, F1A) == 1.0
    assert tool_call(F1A, [form, form] if isinstance(form, dict) else "f(a=2)") == 0.0


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("f()", {}),
        ("f(a='x', b=[1, -2.5], c={'k': None}, d=(1, 2))", {"a": "x", "b": [1, -2.5], "c": {"k": None}, "d": [1, 2]}),
        ("f(a=true, b=False, c=null)", {"a": True, "b": False, "c": None}),
        ("f(a=fast, b=x**2, c=lambda x: x)", {"a": "fast", "b": "x ** 2", "c": "lambda x: x"}),
        ("f(1, a=2)", {"0": 1, "a": 2}),
        ("f(a=__import__('os').system('true'))", {"a": "__import__('os').system('true')"}),  # told, not done
        ("f(a='\\d')", {"a": "\\d"}),
    ],
)
def test_python_calls_are_read_and_never_evaluated(text, arguments):
    (call,) = calls_of(text) or [None]
    assert dict(call.arguments) == arguments


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "text",
            "f(a=1) and so on",
            "f(**a)",
            "f(a=1, a=2)",
            "[f(a=1)",
            "x = f()",
            "f()()",
            "lambda: f()",
            '"f()"',
        ),
        *(5, None, True, {}, [1], {"f": 1}, {"a": [1]}),
        *({"name": "f", "arguments": "no json"}, {"name": "f", "input": 5}),
    ],
)
def test_what_is_no_call(value):
    assert calls_of(value) is None
    assert tool_call(F1A, value) == 0.0


@pytest.mark.parametrize(
    ("expected", "found", "score", "f1"),
    [
        ("[f(a=1), g()]", "[g(), f(a=1)]", 1.0, 1.0),
        ("[f(a=1), g()]", "f(a=1)", 0.0, 2 / 3),
        ("[f(a=1), f(a=1)]", "[f(a=1)]", 0.0, 2 / 3),
        ("f(a=1)", "[f(a=1), f(a=1)]", 0.0, 2 / 3),
        ("f(a=1)", "f(a=1.0)", 1.0, 1.0),
        ("f(a=1)", "f(a='1')", 0.0, 0.0),
        ("f(a=1)", "f(a=1, b=2)", 0.0, 0.0),
        ("a.b(x=1)", "a_b(x=1)", 1.0, 1.0),
        ([], [], 1.0, 1.0),
        ([], "There is nothing to call.", 1.0, 1.0),
        ([], "f()", 0.0, 0.0),
    ],
)
def test_every_call_counts_once_in_any_order(expected, found, score, f1):
    assert tool_call(expected, found) == score
    assert tool_call_f1(expected, found) == pytest.approx(f1)


POSSIBLE = {"f": {"city": ["Paris", "Paris, FR"], "unit": ["", "c"], "days": [[1, 2]]}}


@pytest.mark.parametrize(
    ("found", "score"),
    [
        ("f(city='paris', days=[1, 2])", 1.0),
        ("f(city='Paris FR', unit='C', days=[1, 2])", 1.0),
        ("f(city='Rome', days=[1, 2])", 0.0),
        ("f(city='Paris', unit='f', days=[1, 2])", 0.0),
        ("f(city='Paris', days=[2, 1])", 0.0),
        ("f(city='Paris')", 0.0),
        ("f(city='Paris', days=[1, 2], more=1)", 0.0),
        ("g(city='Paris', days=[1, 2])", 0.0),
    ],
)
def test_possible_answers_accept_any_of_their_values(found, score):
    assert tool_call(POSSIBLE, found) == score
    assert tool_call([POSSIBLE], found) == score


def test_possible_answers_to_parallel_calls_are_told_apart_by_a_number():
    label = {"f_1": {"a": [1]}, "f 2": {"a": [2]}}
    assert tool_call(label, "[f(a=2), f(a=1)]") == 1.0
    assert tool_call(label, "[f(a=1), f(a=1)]") == 0.0
    assert tool_call({"f_1": {"a": [1]}}, "f(a=1)") == 0.0  # a single tool may well be called so


def test_calls_are_matched_so_that_most_find_a_place():
    label = [{"f": {"a": [1, 2]}}, {"f": {"a": [1]}}]
    assert tool_call(label, "[f(a=1), f(a=2)]") == 1.0  # the first must give way


def test_a_list_of_names_asks_for_the_tools_alone():
    assert tool_call_f1(["f", "g"], "[f(a=1), f(a=2), h()]") == 0.5
    assert tool_call_f1("f, g", "[g(), f()]") == 1.0
    assert tool_call_f1(["f"], "no call") == 0.0


@given(st.lists(st.sampled_from(["f(a=1)", "f(a=2)", "g()", "h(x='y')"]), max_size=6), st.randoms())
def test_order_never_matters_and_the_same_calls_score_one(calls, random):
    mixed = random.sample(calls, len(calls))
    left, right = f"[{', '.join(calls)}]", f"[{', '.join(mixed)}]"
    assert tool_call(left, right) == tool_call_f1(left, right) == 1.0
    assert tool_call_f1(left, "g()") == tool_call_f1("g()", left)


def test_a_label_that_is_no_call_is_unscored_and_said_to_be(item):
    assert scorer_of_text("tool-call", {}).score(item("f()", "no call")).state == "unscored"
    too_many = [{"f": {}}] * 101
    assert scorer_of_text("tool-call", {}).score(item("f()", too_many)).state == "unscored"


def test_a_fence_is_stripped_where_that_is_asked_for(item):
    answer = "```json\n[f(a=1)]\n```"
    assert scorer_of_text("tool-call", {}).score(item(answer, F1A)).value == 0.0
    assert scorer_of_text('{"type": "tool-call", "strip_fence": true}', {}).score(item(answer, F1A)).value == 1.0


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("```\nx\n```", "x"),
        ("  ```python\nx\ny\n```\n", "x\ny"),
        ("Here: ```\nx\n```", "Here: ```\nx\n```"),
        ("```x```", "```x```"),
        ("```\nx", "```\nx"),
        (5, 5),
    ],
)
def test_only_a_fence_around_the_whole_is_one(text, inner):
    assert without_fence(text) == inner


HOSTILE = [
    "f(" + "-" * 19_000 + "1)",
    "f(" + "[" * 9_000,
    "f" + "()" * 9_000,
    "f(a" + ".a" * 9_000 + ")",
    "f(" + "1+" * 9_000 + "1)",
    "f(" + "a if b else " * 1_600 + "c)",
    "[" * 100_000,
    '{"a":' * 20_000,
    "f(" + "9" * 9_000 + ")",
    "f(\ud800)",
    "f(x='\x00')",
    "```" * 30_000,
    "f(" + "a," * 9_000 + ")",
    "[" + "f()," * 40_000 + "]",
    json.dumps([{"f": {}}] * 12_000),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_no_calls_and_cost_nothing(text, item):
    started = time.monotonic()
    score = scorer_of_text('{"type": "tool-call", "strip_fence": true}', {}).score(item(text, POSSIBLE))
    assert score.value == 0.0
    assert time.monotonic() - started < 2


def test_matching_many_calls_is_bounded():
    started = time.monotonic()
    same = [{"name": "f", "arguments": {}}]
    assert tool_call_f1(same * 100, same * 100_000) < 0.2
    assert time.monotonic() - started < 2


DATA = os.environ.get("SKILLFORGE_DATA")
AS_TEXT = ["claude-3-opus-20240229", "gpt-4o-2024-08-06", "meta-llama_Meta-Llama-3-8B-Instruct"]
AS_CALLS = ["gpt-4o-2024-08-06-FC", "claude-3-5-sonnet-20240620-FC", "claude-3-haiku-20240307-FC"]
STRICTER = {"simple_13", "simple_82", "simple_103"}  # there, 1 is not 1.0 inside a list
MISNAMED = {"simple_363"}  # the label's tool has not the name the prompt gives it


def rows_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


@pytest.mark.skipif(not DATA, reason="SKILLFORGE_DATA is not set")
@pytest.mark.parametrize("model", AS_TEXT + AS_CALLS)
def test_the_leaderboards_own_verdicts_are_reproduced(model):
    folder = Path(DATA or "") / "rec_bfcl"
    gold = {row["id"]: row["gold"] for row in rows_of(folder / "prompts.jsonl")}
    rows = rows_of(folder / "outputs" / f"{model}.jsonl")
    other = {row["id"] for row in rows if tool_call(gold[row["id"]], row["output"]) != float(row["valid"])}
    unclosed = {"simple_326"} if "Llama" in model else set()  # there, a bracket that is missing is added
    unnamed = {row["id"] for row in rows if row["id"] == "multiple_function_155"}  # "true" is read as a name there
    assert other <= STRICTER | MISNAMED | unclosed | unnamed
