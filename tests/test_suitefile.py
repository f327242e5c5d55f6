from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.canonical import digest
from skillforge.case import Case
from skillforge.errors import NotFound, SkillFileError
from skillforge.labels import Label, append_label
from skillforge.suitefile import as_cases, read_cases, read_suite

HEAD = "schema: skillforge/suite/v1\nname: demo\n"


def jsonl(folder: Path, *lines: str) -> Path:
    path = folder / "cases.jsonl"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def suite(folder: Path, text: str) -> Path:
    path = folder / "demo.yaml"
    path.write_text(text, "utf-8")
    return path


def problem_of(read) -> str:
    with pytest.raises(SkillFileError) as caught:
        read()
    return str(caught.value)


def test_cases_are_read_in_order_and_named_by_content(tmp_path):
    path = jsonl(
        tmp_path,
        '{"id": "a", "input": {"t": "x"}, "expected": {"q": 1}, "split": "dev", "metadata": {"by": "us"}}',
        "",
        '{"input": {"t": "y"}}',
    )
    first, second = read_cases(path)
    assert (first.id, first.expected, first.split) == ("a", {"q": 1}, "dev")
    assert second.id == "c-" + digest({"t": "y"})[7:19]


def test_an_id_that_stands_twice_is_refused_with_both_lines(tmp_path):
    path = jsonl(tmp_path, '{"id": "a", "input": {"t": 1}}', '{"id": "a", "input": {"t": 2}}')
    assert problem_of(lambda: list(read_cases(path))) == f"{path}:2: id: the id 'a' already stands in line 1"
    same = jsonl(tmp_path, '{"input": {"t": 1}}', '{"input": {"t": 1}}')
    assert "already stands in line 1" in problem_of(lambda: list(read_cases(same)))
    inline = suite(tmp_path, HEAD + "cases:\n  - {id: a, input: {t: 1}}\n  - {id: a, input: {t: 2}}\n")
    assert problem_of(lambda: read_suite(inline)) == f"{inline}:5: id: the id 'a' already stands in line 4"


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ('{"id": "a"}', 'a case needs "input"'),
        ('{"id": "a", "input": "text"}', 'a case needs "input"'),
        ('{"input": {}, "expect": 1}', "expect: unknown key (did you mean 'expected'?)"),
        ('{"id": 5, "input": {}}', "id: must be text"),
        ('{"input": {}, "split": "prod"}', "split: 'prod' is not allowed"),
        ('{"input": {"n": 1152921504606846976}}', "2**53"),
        ('{"id": "a", "input": {"t": "\\ud800"}}', "surrogate"),
        ('{"input": {}, "expected": "\\ud800"}', "surrogate"),
        ('{"input": {"n": NaN}}', "NaN is not JSON"),
        ("[1]", "must be a JSON object"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, part):
    path = jsonl(tmp_path, '{"input": {"ok": true}}', line)
    message = problem_of(lambda: list(read_cases(path)))
    assert message.startswith(f"{path}:2:")
    assert part in message


def test_a_line_without_end_is_refused(tmp_path):
    path = jsonl(tmp_path, '{"input": {"t": "' + "x" * 1_048_577 + '"}}')
    assert "longer than 1,048,576 bytes" in problem_of(lambda: list(read_cases(path)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.lists(st.dictionaries(st.text(st.characters(codec="utf-8")), json_values, max_size=3), max_size=5, unique_by=str)
)
def test_any_json_inputs_come_back(tmp_path_factory, inputs):
    path = tmp_path_factory.mktemp("s") / "cases.jsonl"
    rows = [{"id": str(number), "input": value} for number, value in enumerate(inputs)]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8", newline="\n")
    assert [case.input for case in read_cases(path)] == inputs


def test_a_suite_takes_its_cases_and_recording_from_beside_it(tmp_path):
    jsonl(tmp_path, '{"id": "a", "input": {"t": "x"}}')
    text = "decision: {metric: /queue, margin: 0.1}\ncases: file://cases.jsonl\nrecorded: file://rec.jsonl\n"
    found = read_suite(suite(tmp_path, HEAD + text))
    assert [case.id for case in found.cases] == ["a"]
    assert found.recorded == str(tmp_path / "rec.jsonl")
    assert (found.decision.metric, found.decision.margin, found.decision.alpha) == ("/queue", 0.1, 0.05)


def test_labels_become_what_is_expected_and_change_the_digest(tmp_path):
    jsonl(tmp_path, '{"id": "a", "input": {"t": "x"}}', '{"id": "b", "input": {"t": "y"}, "expected": {"q": "own"}}')
    path = suite(tmp_path, HEAD + "cases: file://cases.jsonl\nlabels: file://demo.labels.jsonl\n")
    bare = read_suite(path)
    assert bare.labels == str(tmp_path / "demo.labels.jsonl")
    append_label(tmp_path / "demo.labels.jsonl", Label(id="a", expected={"q": "x"}))
    append_label(tmp_path / "demo.labels.jsonl", Label(id="b", skipped=True))
    append_label(tmp_path / "demo.labels.jsonl", Label(id="gone", expected={"q": "z"}))
    found = read_suite(path)
    assert [case.expected for case in found.cases] == [{"q": "x"}, {"q": "own"}]
    assert found.digest() != bare.digest()


def test_inline_cases_take_labels_too(tmp_path):
    append_label(tmp_path / "demo.labels.jsonl", Label(id="a", expected="x"))
    found = read_suite(suite(tmp_path, HEAD + "labels: file://demo.labels.jsonl\ncases:\n  - {id: a, input: {t: 1}}\n"))
    assert [case.expected for case in found.cases] == ["x"]


def test_cases_and_answers_may_lie_outside_of_the_repository(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    jsonl(outside, '{"id": "a", "input": {"t": "x"}}')
    (tmp_path / "evals").mkdir()
    text = f"cases: file://{outside}/cases.jsonl\ntoday: file://{outside}/t.jsonl\nrecorded: s3://bucket/r.jsonl\n"
    found = read_suite(suite(tmp_path / "evals", HEAD + text))
    assert [case.id for case in found.cases] == ["a"]
    assert (found.today, found.recorded) == (str(outside / "t.jsonl"), "s3://bucket/r.jsonl")


def test_a_contract_says_what_the_cases_fit_before_there_is_a_skill(tmp_path):
    text = "cases: []\ncontract:\n  input: {t: {type: string}}\n  output: {q: {enum: [a, b]}}\n"
    contract = read_suite(suite(tmp_path, HEAD + text)).contract
    assert contract == {"input": {"t": {"type": "string"}}, "output": {"q": {"enum": ["a", "b"]}}}
    assert list(contract["output"]) == ["q"]


def test_a_device_is_no_file_of_cases(tmp_path):
    with pytest.raises(NotFound, match="is not a file"):
        read_suite(suite(tmp_path, HEAD + "cases: file:///dev/zero\n"))


def test_the_digest_is_of_cases_and_rule_alone(tmp_path):
    cases = "cases:\n  - {id: a, input: {t: 1}, metadata: {by: us}}\n"
    base = read_suite(suite(tmp_path, HEAD + cases)).digest()
    assert read_suite(suite(tmp_path, HEAD + "description: x\n" + cases.replace("us", "you"))).digest() == base
    assert read_suite(suite(tmp_path, HEAD + "decision: {margin: 0.1}\n" + cases)).digest() != base
    assert read_suite(suite(tmp_path, HEAD + cases.replace("t: 1", "t: 2"))).digest() != base


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[]", "must be a mapping"),
        ("name: demo\ncases: []\n", 'schema: must be "skillforge/suite/v1"'),
        (HEAD, "cases: is required"),
        (HEAD + "cases: cases.jsonl\n", "cases: 'cases.jsonl' must start with file://"),
        (HEAD + 'cases: "file://a\\0b"\n', "holds no NUL"),
        (HEAD + "cases: []\nrecorded: rec.jsonl\n", "recorded: 'rec.jsonl' must start with file://"),
        (HEAD + "cases:\n  - {id: a, input: {}}\n  - {id: b, inpt: {}}\n", "demo.yaml:5: a case needs"),
        (HEAD + "cases: http://host/x.jsonl\n", "cases: 'http://host/x.jsonl' must start with file://"),
        (HEAD + "cases: s3://bucket\n", "cases: 's3://bucket' is not the plain address of one file"),
        (HEAD + "cases: []\ntoday: today.jsonl\n", "today: 'today.jsonl' must start with file://"),
        (HEAD + "cases: []\nlabels: file://demo.jsonl\n", "labels: must be a local file that ends in .labels.jsonl"),
        (HEAD + "cases: []\nlabels: s3://b/x.labels.jsonl\n", "labels: must be a local file"),
        (HEAD + "cases: []\ncontract: {input: {t: {}}}\n", ": contract: must hold input and output"),
        (HEAD + "cases: []\ncontract: {input: {}, output: text}\n", "contract.input: must be a mapping from field"),
        (HEAD + "cases: []\ncontract: {input: text, output: text}\n", "contract.input: must be a mapping"),
        (
            HEAD + "cases: []\ncontract: {input: {t: {}}, output: {q: 1}}\n",
            "contract.output: must be text, or a mapping",
        ),
        (
            HEAD + "cases: []\ncontract: {input: {t: {typ: string}}, output: text}\n",
            "demo.yaml:4:20: contract.input.t: unknown keyword 'typ' (did you mean 'type'?)",
        ),
        (HEAD + "cases: []\ndecision: {metrc: exact}\n", "decision.metrc: unknown key (did you mean 'metric'?)"),
        (HEAD + "cases: []\ndecision: {cluster: doc}\n", "demo.yaml:4:12: decision.cluster: 'doc' has the wrong form"),
        (HEAD + "cases: []\ndecision: {mode: sequental}\n", "decision.mode: 'sequental' is not allowed: 'fixed' or"),
        (HEAD + "cases: []\nrepeat: 0\n", "demo.yaml:4:1: repeat: "),
        (HEAD + "cases: []\nscorers: {q: {tpe: exact}}\n", "scorers.q.tpe: unknown key (did you mean 'type'?)"),
        (
            HEAD + "cases: []\nscorers: {q: {type: json, fields: {a: {type: f1, odered: true}}}}\n",
            "scorers.q.fields.a.odered: unknown key (did you mean 'ordered'?)",
        ),
        (HEAD + "cases:\n  - input: {}\n    chekcs: []\n", ":5:5: chekcs: unknown key (did you mean 'checks'?)"),
        (
            HEAD + "cases:\n  - input: {}\n    checks:\n      - {type: equals, valeu: 1}\n",
            "demo.yaml:6:24: checks[0].valeu: unknown key (did you mean 'value'?)",
        ),
        (HEAD + 'cases:\n  - {input: {}, id: "a\\e[31m"}\n', ":4:17: id: holds characters that cannot be seen"),
        (HEAD + "cases:\n  - {input: {}, id: a, threshold: 2}\n", "demo.yaml:4:24: threshold: "),
        (HEAD + "cases: []\nscorers: {q: {type: rubric, rubric: file://no.md}}\n", "scorers.q.rubric: "),
        (HEAD + "cases: []\ndecision: {margin: 0}\n", "decision.margin"),
        (HEAD.replace("demo", "De mo") + "cases: []\n", "name: 'De mo' has the wrong form"),
    ],
)
def test_a_wrong_suite_is_named_with_field(tmp_path, text, part):
    assert part in problem_of(lambda: read_suite(suite(tmp_path, text)))


def test_missing_files_are_not_found(tmp_path):
    with pytest.raises(NotFound, match="no suite there"):
        read_suite(tmp_path / "none.yaml")
    with pytest.raises(NotFound, match=r"none\.jsonl"):
        read_suite(suite(tmp_path, HEAD + "cases: file://none.jsonl\n"))


def test_cases_given_in_python_are_held_to_the_same_rules():
    made = as_cases([{"input": {"t": 1}}, Case(id="x", input={"t": 2}), {"id": "y", "input": {"t": 3}}])
    assert [case.id for case in made] == ["case-1", "x", "y"]
    assert "the cases given:2: id: the id 'a' already stands in line 1" in problem_of(
        lambda: as_cases([Case(id="a", input={}), {"id": "a", "input": {}}])
    )
    assert "the cases given:1:" in problem_of(lambda: as_cases([{"text": "no input"}]))
    assert "2**53" in problem_of(lambda: as_cases([Case(id="a", input={"n": 2**60})]))


def told(folder: Path, more: str, cases: str = '  - {id: a, input: {t: x}, metadata: {doc: "1"}}\n') -> str:
    return read_suite(suite(folder, f"{HEAD}{more}cases:\n{cases}")).digest()


def test_a_suite_of_the_first_form_keeps_its_digest(tmp_path):
    text = HEAD + "decision: {metric: /q, margin: 0.1}\ncases:\n  - {id: a, input: {t: x}, expected: {q: y}}\n"
    first = {"id": "a", "input": {"t": "x"}, "expected": {"q": "y"}, "split": None}
    rule = {"metric": "/q", "margin": 0.1, "alpha": 0.05, "power": 0.8}
    assert read_suite(suite(tmp_path, text)).digest() == digest({"decision": rule, "cases": [first]})


def test_metadata_counts_only_where_the_rule_groups_by_it(tmp_path):
    other = '  - {id: a, input: {t: x}, metadata: {doc: "2"}}\n'
    assert told(tmp_path, "") == told(tmp_path, "", other)
    rule = "decision: {cluster: metadata.doc}\n"
    assert told(tmp_path, rule) != told(tmp_path, rule, other)
    assert told(tmp_path, rule) != told(tmp_path, "")
    more = '  - {id: a, input: {t: x}, metadata: {doc: "1", by: us}}\n'
    assert told(tmp_path, rule) == told(tmp_path, rule, more)


@pytest.mark.parametrize(
    "more",
    ["repeat: 2\n", "judge: m:x\n", "decision: {mode: sequential}\n", "scorers: {q: {type: exact}}\n"],
)
def test_whatever_can_change_a_figure_changes_the_digest(tmp_path, more):
    assert told(tmp_path, more) != told(tmp_path, "")


def test_a_rubric_in_a_file_of_its_own_counts_by_its_text(tmp_path):
    def digest_of(rubric: str) -> str:
        (tmp_path / "r.md").write_text(rubric)
        return told(tmp_path, "scorers: {q: {type: rubric, rubric: file://r.md}}\n")

    first = digest_of("be kind\n")
    assert read_suite(tmp_path / "demo.yaml").scorers["q"].rubric == "be kind\n"
    assert digest_of("be brief\n") != first


def test_an_id_is_what_people_can_see(tmp_path):
    for name in ("Fall 3/ä", "日本", "c-1"):
        assert Case(id=name, input={}).id == name
    for name in ("", "a\x1b[31m", "a\nb", "a\u202eb", "x" * 600):
        with pytest.raises(ValueError, match="id"):
            Case(id=name, input={})
