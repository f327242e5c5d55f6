"""A promptfoo config becomes cases with the same meaning, or is refused by name."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.case import Case
from skillforge.errors import NotFound, SkillFileError
from skillforge.formats.promptfoo import Imported, is_config, read_promptfoo
from skillforge.formats.promptfoo_assertions import Refused, assertion_of_cell, comma_separated

SUPPORT = """\
# yaml-language-server: $schema=https://promptfoo.dev/config-schema.json
description: Customer support
prompts:
  - "Answer {{question}} in a {{tone}} tone"
providers: [openai:gpt-x-mini]
assertionTemplates:
  short: {type: word-count, value: {max: 40}}
evaluateOptions: {repeat: 2, maxConcurrency: 4}
defaultTest:
  vars: {tone: polite}
  metadata: {team: support}
  options: {provider: openai:chat:gpt-x}
  assert:
    - {type: not-icontains, value: as an AI language model}
    - {type: latency, threshold: 3000, weight: 0}
    - $ref: "#/assertionTemplates/short"
tests:
  - description: refund of {{tone}} people
    vars:
      question: [I was charged twice, "Refund me, {{tone}} one"]
    metadata: {topic: money}
    threshold: 0.7
    assert:
      - {type: contains-any, value: 'refund, "sorry, again"', metric: helpful}
      - {type: llm-rubric, value: "Is {{tone}}", weight: 2, threshold: 0.8}
      - type: assert-set
        threshold: 0.5
        metric: form
        assert:
          - {type: is-json}
          - {type: not-regex, value: "^\\\\s"}
  - vars: {question: file://q.txt, n: 4}
    options: {disableDefaultAsserts: true}
    assert:
      - {type: equals, value: {a: 1}}
      - {type: equals, value: 42}
      - {type: cost, threshold: 0.01}
      - {type: rouge-n, value: "hello {{ question }}"}
      - {type: icontains-all, value: [One, 2]}
      - {type: levenshtein, value: abc}
"""


def config(folder: Path, text: str, **files: str) -> Path:
    for name, body in files.items():
        (folder / name.replace("__", ".")).write_text(body, "utf-8")
    path = folder / "promptfooconfig.yaml"
    path.write_text(text, "utf-8")
    return path


def one(folder: Path, assertion: str, **options: Any) -> Imported:
    return read_promptfoo(config(folder, f"tests:\n  - vars: {{x: hi}}\n    assert:\n      - {assertion}\n"), **options)


def checks(case: Case) -> list[dict[str, Any]]:
    return [check.model_dump(exclude_defaults=True, mode="json") for check in case.checks]


def refusal(read) -> str:
    with pytest.raises(SkillFileError) as caught:
        read()
    return "\n".join(problem.describe("F") for problem in caught.value.problems)


def test_a_real_config_is_read_whole(tmp_path):
    found = read_promptfoo(config(tmp_path, SUPPORT, q__txt="How do I reset it?\n"))
    first, second, third = found.cases
    assert first.input == {"tone": "polite", "question": "I was charged twice"}
    assert second.input == {"tone": "polite", "question": "Refund me, polite one"}
    assert checks(first) == [
        {"type": "not-icontains", "value": "as an AI language model"},
        {"type": "latency", "threshold": 3.0, "weight": 0.0},
        {"type": "word-count", "value": {"max": 40}},
        {"type": "contains-any", "value": ["refund", "sorry, again"], "metric": "helpful"},
        {"type": "llm-rubric", "value": "Is polite", "weight": 2.0, "threshold": 0.8},
        {
            "type": "all-of",
            "threshold": 0.5,
            "metric": "form",
            "checks": [{"type": "is-json"}, {"type": "not-regex", "value": "^\\s"}],
        },
    ]
    assert first.metadata == {"team": "support", "topic": "money", "description": "refund of polite people"}
    assert (first.threshold, third.threshold) == (0.7, None)
    assert third.input == {"tone": "polite", "question": "How do I reset it?", "n": 4}
    assert checks(third) == [
        {"type": "is-json", "value": {"const": {"a": 1}}},
        {"type": "equals", "value": "42"},
        {"type": "cost", "threshold": 0.01},
        {"type": "rouge-n", "value": "hello How do I reset it?", "threshold": 0.75},
        {"type": "icontains-all", "value": ["One", "2"]},
        {"type": "levenshtein", "value": "abc"},
    ]
    assert (found.description, found.judge, found.repeat) == ("Customer support", "openai:gpt-x", 2)
    assert [text.split(" ")[0] for text in found.told] == ["prompts", "providers"]
    assert len({case.id for case in found.cases}) == 3


def test_tests_come_from_files_of_every_kind(tmp_path):
    (tmp_path / "many").mkdir()
    (tmp_path / "many/a.jsonl").write_text('{"vars": {"x": "1"}, "assert": [{"type": "equals", "value": "a"}]}\n')
    (tmp_path / "many/b.jsonl").write_text('{"vars": {"x": "2"}}\n')
    text = "tests: [file://t.csv, file://t.json, file://t.yaml, 'file://many/*.jsonl']\n"
    files = {
        "t__csv": "\ufeffx,__expected,__expected2,__metric,__threshold,__metadata:k[],__description,"
        "__config:__expected2:threshold\n"
        '"a, b","icontains-any: X,""y, z""",levenshtein(3):abc,m,0.5,"p,q\\,r",d,4\n'
        "hi,exactly: this,,,,,,1\n",
        "t__json": json.dumps([{"vars": {"x": "3"}}, {"x": "4", "__expected": "contains: y"}]),
        "t__yaml": "- vars: {x: '5'}\n  assert: [{type: starts-with, value: Hi}]\n",
    }
    found = read_promptfoo(config(tmp_path, text, **files)).cases
    assert [case.input["x"] for case in found] == ["a, b", "hi", "3", "4", "5", "1", "2"]
    assert checks(found[0]) == [
        {"type": "icontains-any", "value": ["X", "y, z"], "metric": "m"},
        {"type": "levenshtein", "value": "abc", "threshold": 4.0, "metric": "m"},
    ]
    assert (found[0].threshold, found[0].metadata) == (0.5, {"k": ["p", "q,r"], "description": "d"})
    assert checks(found[1]) == [{"type": "equals", "value": "exactly: this"}]
    assert checks(found[3]) == [{"type": "contains", "value": "y"}]


def test_scenarios_are_every_combination_of_data_and_test(tmp_path):
    text = """\
scenarios:
  - config: [{vars: {a: "1"}}, {vars: {a: "2"}, metadata: {m: 1}}]
    tests: [{vars: {b: x}}, {vars: {b: y}, metadata: {n: 2}}]
"""
    found = read_promptfoo(config(tmp_path, text)).cases
    assert [case.input for case in found] == [{"a": a, "b": b} for a in "12" for b in "xy"]
    assert found[-1].metadata == {"m": 1, "n": 2}


def test_lists_of_texts_make_cases_and_other_lists_are_values(tmp_path):
    text = "tests:\n  - vars: {a: [x, y], b: [1, 2], c: [p, q]}\n"
    inputs = [case.input for case in read_promptfoo(config(tmp_path, text)).cases]
    assert inputs == [{"a": a, "b": [1, 2], "c": c} for a in "xy" for c in "pq"]
    whole = "tests:\n  - {vars: {a: [x, y]}, options: {disableVarExpansion: true}}\n"
    assert read_promptfoo(config(tmp_path, whole)).cases[0].input == {"a": ["x", "y"]}


@pytest.mark.parametrize(
    ("assertion", "part"),
    [
        ("{type: javascript, value: 1}", "F:4: tests[0].assert[0]: javascript runs code, and an import runs none"),
        ("{type: not-python, value: file://x.py}", "not-python runs code"),
        ("{type: webhook, value: 'https://x'}", "webhook runs code"),
        ("{type: contains, value: file://x.py}", "contains: file://x.py is code, and nothing is run"),
        ("{type: equals, value: 'file://make.js:fn'}", "is code"),
        ("{type: contains, value: a, transform: output.x}", "contains: its transform runs code"),
        ("{type: similar, value: a}", "similar is not supported (write it as a scorer of your own: skillforge eval"),
        ("{type: contain, value: a}", "unknown assertion type 'contain' (did you mean 'contains'?)"),
        ("{type: contains, value: ''}", "contains: its value must be text, and not empty"),
        ("{type: contains, value: '{{y}}'}", "its template cannot be filled in"),
        ("{type: contains, value: '{{ x | dump }}'}", "its template cannot be filled in"),
        ("{type: contains, value: a, weight: -1}", "contains: weight: "),
        ("{type: contains, value: a, treshold: 1}", "unknown key 'treshold' (did you mean 'threshold'?)"),
        ("{type: regex, value: '(?=x)'}", "regex: "),
        ("{type: is-json, value: {type: strin}}", "is-json: "),
        ("{type: latency}", "latency needs a threshold"),
        ("{type: contains, value: file://../up.txt}", "'up.txt' lies outside the config's folder"),
        ("{type: contains, value: file:///etc/hostname}", "lies outside the config's folder"),
        ("{type: contains, value: file://none.txt}", "none.txt: no such file"),
        ("{type: llm-rubric, value: good, provider: 'exec:./grade.sh'}", "its grader is no model's name"),
        ("{type: llm-rubric, value: good, provider: 'file://grader.py'}", "its grader is no model's name"),
        ("{type: assert-set, assert: []}", "assert-set needs a list of assertions"),
        ("{type: contains-all, value: '\"a\" b'}", "a comma is missing after a quote"),
        ("just text", "an assertion is a mapping with a type"),
    ],
)
def test_what_cannot_be_taken_over_is_refused_by_name(tmp_path, assertion, part):
    assert part in refusal(lambda: one(tmp_path, assertion))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("tests: file://make.py\n", "is code, and nothing is run"),
        ("tests: file://make.py:tests\n", "is code, and nothing is run"),
        ("tests: https://docs.google.com/x\n", "is not a file (save it beside the config"),
        ("tests: huggingface://datasets/x\n", "is not a file"),
        ("tests:\n  - {path: file://make.py, config: {n: 1}}\n", "a test generator is code"),
        ("tests:\n  - {vars: {x: file://x.js}}\n", "'x.js' is code, and nothing is run"),
        ("tests:\n  - {vars: {x: a}, options: {transform: output}}\n", "F:2: tests[0]: options.transform runs code"),
        ("tests:\n  - {vars: {x: a}, options: {storeOutputAs: y}}\n", "makes tests depend on each other"),
        ("tests:\n  - {vars: {x: a}, assertScoringFunction: file://s.js}\n", "assertScoringFunction runs code"),
        ("tests:\n  - {vars: {x: a}, asserts: []}\n", "unknown key 'asserts'"),
        ("tests:\n  - {vars: {x: a}, threshold: 3}\n", "threshold: "),
        ("prompts: [a]\n", "no promptfoo config: it has no tests"),
        ("tests: []\n", "there is no test in it"),
        ("defaultTest: {options: {transform: x}}\ntests: [{vars: {x: a}}]\n", "options.transform runs code"),
        ("tests:\n  - $ref: other.yaml#/x\n", "names another file"),
        ("a: {$ref: '#/a'}\ntests: [{vars: {x: {$ref: '#/a'}}}]\n", "lead into themselves, or multiply"),
        ("tests:\n  - {vars: {a: [x, x], b: [x, x], c: 9007199254740993}}\n", "2**53"),
    ],
)
def test_a_config_that_is_code_or_makes_no_sense_is_refused(tmp_path, text, part):
    assert part in refusal(lambda: read_promptfoo(config(tmp_path, text)))


def test_references_that_multiply_are_stopped(tmp_path):
    lines = ["a0: [x, x, x, x, x, x, x, x, x, x]"]
    for n in range(1, 9):
        one_more = f"{{$ref: '#/a{n - 1}'}}"
        lines.append(f"a{n}: [{', '.join([one_more] * 10)}]")
    text = "\n".join([*lines, "tests: [{vars: {x: {$ref: '#/a8'}}}]\n"])
    assert "multiply" in refusal(lambda: read_promptfoo(config(tmp_path, text)))


def test_vars_that_multiply_are_stopped(tmp_path):
    listed = "[" + ", ".join(f"v{n}" for n in range(100)) + "]"
    text = f"tests:\n  - vars: {{a: {listed}, b: {listed}, c: {listed}}}\n"
    assert "more than 100,000 cases" in refusal(lambda: read_promptfoo(config(tmp_path, text)))


def test_anchors_are_refused_with_what_writes_them_out(tmp_path):
    text = "tests:\n  - &t {vars: {x: a}}\n  - *t\n"
    with pytest.raises(SkillFileError) as caught:
        read_promptfoo(config(tmp_path, text))
    assert "anchors are not allowed" in str(caught.value)
    assert "yq 'explode(.)'" in caught.value.hint


def test_what_is_skipped_is_listed_and_the_rest_stays(tmp_path):
    text = """\
defaultTest: {assert: [{type: similar, value: a}]}
tests:
  - vars: {x: a}
    assert:
      - {type: javascript, value: "true"}
      - {type: contains, value: a}
      - {type: assert-set, assert: [{type: python, value: x}, {type: is-json}]}
  - vars: {x: b}
    assert: [{type: perplexity, threshold: 1}]
"""
    found = read_promptfoo(config(tmp_path, text), skip_unsupported=True)
    assert [len(case.checks) for case in found.cases] == [2, 0]
    assert [line.split(": ")[0] for line in found.left_out] == [
        "tests[0] defaultTest.assert[0]",
        "tests[0] assert[0]",
        "tests[0] assert[2].assert[0]",
        "tests[1] defaultTest.assert[0]",
        "tests[1] assert[0]",
    ]
    broken = "tests:\n  - {vars: {x: a}, assert: [{type: contains, value: file://no.txt}]}\n"
    assert "no such file" in refusal(lambda: read_promptfoo(config(tmp_path, broken), skip_unsupported=True))


def test_several_graders_need_one_to_be_named(tmp_path):
    text = """\
tests:
  - vars: {x: a}
    assert:
      - {type: llm-rubric, value: good, provider: "anthropic:messages:claude-x"}
      - {type: llm-rubric, value: kind, provider: {id: "openai:responses:gpt-x"}}
"""
    path = config(tmp_path, text)
    assert "several graders are named: anthropic:claude-x, openai:gpt-x (name one for all" in refusal(
        lambda: read_promptfoo(path)
    )
    assert read_promptfoo(path, judge="m:x").judge == "m:x"


def test_what_lies_outside_of_the_folder_is_not_read_through_a_link(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "link.txt").symlink_to(tmp_path / "secret.txt")
    text = "tests:\n  - vars: {x: file://link.txt}\n  - vars: {x: 'file://*.txt'}\n"
    told = refusal(lambda: read_promptfoo(config(inner, text)))
    assert told.count("lies outside the config's folder") == 2


def test_the_same_vars_have_the_same_id_wherever_they_stand(tmp_path):
    texts = ["{vars: {x: a}}", "{vars: {x: b}}"]
    first = read_promptfoo(config(tmp_path, f"tests: [{', '.join(texts)}]\n")).cases
    second = read_promptfoo(config(tmp_path, f"tests: [{', '.join([*reversed(texts), texts[0]])}]\n")).cases
    assert [case.id for case in second] == [first[1].id, first[0].id, f"{first[0].id}-2"]


def test_code_and_missing_configs_are_named(tmp_path):
    (tmp_path / "promptfooconfig.js").write_text("module.exports = {}")
    assert "is code, and an import runs none" in refusal(lambda: read_promptfoo(tmp_path / "promptfooconfig.js"))
    with pytest.raises(NotFound):
        read_promptfoo(tmp_path / "none.yaml")
    assert not is_config(tmp_path)


@pytest.mark.parametrize(
    ("cell", "assertion"),
    [
        ("hello", {"type": "equals", "value": "hello"}),
        ("Note: this", {"type": "equals", "value": "Note: this"}),
        ("contains:  x ", {"type": "contains", "value": "x"}),
        ("not-contains:x:y", {"type": "not-contains", "value": "x:y"}),
        ("is-json", {"type": "is-json", "value": None}),
        ("similar(0.8):hello", {"type": "similar", "value": "hello", "threshold": 0.8}),
        ("latency(200)", {"type": "latency", "value": None, "threshold": 200.0}),
        ("rouge-n:abc", {"type": "rouge-n", "value": "abc", "threshold": 0.75}),
        ("grade: is it kind", {"type": "llm-rubric", "value": " is it kind"}),
        ("llm-rubric:kind: very", {"type": "llm-rubric", "value": "kind: very"}),
        ("trajectory:step-count(3): 2", {"type": "trajectory:step-count", "value": "2"}),
        ("not-similar:dot:x", {"type": "not-similar:dot", "value": "x"}),
        ("select-best: the kindest", {"type": "equals", "value": "select-best: the kindest"}),
        ("contain: x", {"type": "equals", "value": "contain: x"}),
        ("fn:output.length", {"type": "javascript", "value": "output.length"}),
        ("python: 1", {"type": "python", "value": "1"}),
        ("file://x.py:f", {"type": "python", "value": "file://x.py:f"}),
        ("file://x.js", {"type": "javascript", "value": "file://x.js"}),
        ('contains-any:a,"b, ""c"""', {"type": "contains-any", "value": ["a", 'b, "c"']}),
    ],
)
def test_a_cell_is_read_as_promptfoo_reads_it(cell, assertion):
    assert assertion_of_cell(cell) == assertion


@given(st.text())
def test_every_cell_is_an_assertion_or_refused(cell):
    try:
        found = assertion_of_cell(cell)
    except Refused:
        return
    assert isinstance(found["type"], str)


PART = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=8)


@given(st.lists(PART, max_size=6))
def test_a_quoted_list_comes_back_part_by_part(parts):
    written = ", ".join('"' + part.replace('"', '""') + '"' for part in parts)
    assert comma_separated(written) == parts


@given(st.text(alphabet='ab, "\n', max_size=30))
def test_every_list_ends(text):
    with suppress(Refused):
        assert all(isinstance(part, str) for part in comma_separated(text))


def test_a_threshold_of_zero_is_none_all_must_pass(tmp_path):
    """promptfoo asks ``if (threshold)``: zero is no threshold there, and not one that everything reaches."""
    text = """\
tests:
  - vars: {x: hi}
    threshold: 0
    assert:
      - {type: contains, value: a}
      - {type: assert-set, threshold: 0, assert: [{type: contains, value: b}]}
"""
    (case,) = read_promptfoo(config(tmp_path, text)).cases
    assert case.threshold is None
    assert case.checks[1].threshold is None


def test_lists_of_vars_times_assertions_are_bounded(tmp_path):
    values = "[" + ", ".join(f"a{n}" for n in range(200)) + "]"
    asserts = "".join(f"    - {{type: contains, value: v{n}}}\n" for n in range(20))
    text = f"defaultTest:\n  assert:\n{asserts}tests:\n  - vars: {{x: {values}, y: {values}}}\n"
    assert "more than 300,000 assertions" in refusal(lambda: read_promptfoo(config(tmp_path, text)))


def test_a_grader_of_texts_may_be_named_as_such(tmp_path):
    assertion = "{type: llm-rubric, value: polite, provider: {text: {id: 'openai:chat:gpt-x'}}}"
    assert one(tmp_path, assertion).judge == "openai:gpt-x"
