"""Reading outputs that were produced elsewhere: one file with all of them, or one a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.errors import NotFound, SkillFileError, SkillforgeError, UsageError
from skillforge.formats.recorded_outputs import SECOND, FieldNames, read_outputs


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), "utf-8")
    return path


def test_one_file_holds_both_outputs_and_what_is_known_of_the_case(tmp_path):
    line = {
        "id": "a",
        "input": {"text": "hi"},
        "teacher": {"label": "x"},
        "student": "y",
        "expected": {"label": "x"},
        "cluster": 7,
        "cost": {"teacher": 0.5, "student": 0.25},
        "latency": {"teacher": 2, "student": None},
    }
    read = read_outputs([write(tmp_path / "recorded.jsonl", line)])
    (case,) = read.cases
    assert (read.teacher, read.students, read.twice) == ("teacher", ("student",), False)
    assert (case.id, case.input, case.expected, case.cluster) == ("a", {"text": "hi"}, {"label": "x"}, "7")
    teacher, student = case.outputs["teacher"], case.outputs["student"]
    assert (teacher.value, teacher.usd, teacher.latency_s) == ({"label": "x"}, 0.5, 2.0)
    assert (student.value, student.usd, student.latency_s) == ("y", 0.25, None)


def test_a_line_without_an_id_is_called_by_its_number():
    read = read_outputs([[{"teacher": 1, "student": 1}, {"id": 17, "teacher": 1, "student": 2}]])
    assert [case.id for case in read.cases] == ["1", "17"]


def test_several_students_stand_under_students_by_name():
    rows = [{"teacher": 1, "students": {"haiku": 1, "luna": None}}, {"teacher": 1, "students": {"haiku": 2}}]
    read = read_outputs([rows])
    assert read.students == ("haiku", "luna")
    assert read.cases[0].outputs["luna"].error == "no answer"
    assert "luna" not in read.cases[1].outputs  # missing, which is for the caller to judge


@pytest.mark.parametrize("name", ["answers.gpt", "/answers/gpt"])
def test_outputs_are_found_by_a_dotted_path_or_a_pointer(name):
    rows = [{"answers": {"gpt": "a", "mini": "b"}, "gold": "a"}]
    read = read_outputs([rows], FieldNames(teacher=name, students=("answers.mini",), expected="gold"))
    assert read.cases[0].outputs[name].value == "a"
    assert read.cases[0].outputs["answers.mini"].value == "b"
    assert read.cases[0].expected == "a"


def test_a_key_with_a_dot_in_it_is_that_key():
    read = read_outputs([[{"a.b": 1, "a": {"b": 2}, "student": 1}]], FieldNames(teacher="a.b"))
    assert read.cases[0].outputs["a.b"].value == 1


@pytest.mark.parametrize(
    "line",
    [
        {"teacher_cost": 2, "student_cost": 1, "teacher": 0, "student": 0},
        {"cost_teacher": 2, "cost_student": "1", "teacher": 0, "student": 0},
        {"cost": {"teacher": 2, "student": 1}, "teacher": 0, "student": 0},
        {"cost": {"teacher": 2, "mini": 1}, "teacher": 0, "students": {"mini": 0}},
    ],
)
def test_a_cost_says_whose_it_is_in_several_ways(line):
    read = read_outputs([[line]])
    assert [output.usd for output in read.cases[0].outputs.values()] == [2.0, 1.0]


def test_a_cost_of_nobody_is_left_out_and_said():
    read = read_outputs([[{"teacher": 1, "student": 1, "cost": 0.5}]])
    assert read.cases[0].outputs["student"].usd is None
    assert "cost is one number" in read.notes[0]


@pytest.mark.parametrize("value", [-1, True, "cheap", [1], 10**400, "nan", "inf"])
def test_a_cost_that_is_none_is_refused_with_its_line(tmp_path, value):
    good, bad = ({"teacher": 1, "student": 1, "cost": {"student": cost}} for cost in (1, value))
    path = write(tmp_path / "r.jsonl", good, bad)
    with pytest.raises(SkillFileError, match=r"r\.jsonl:2: cost: must be a number of US dollars"):
        read_outputs([path])


def test_an_error_goes_to_the_outputs_that_are_null():
    (case,) = read_outputs([[{"teacher": "a", "student": None, "error": "timeout"}]]).cases
    assert case.outputs["teacher"].error == ""
    assert (case.outputs["student"].error, case.outputs["student"].value) == ("timeout", None)


def test_an_error_beside_whole_outputs_is_everybodys():
    (case,) = read_outputs([[{"teacher": "a", "student": "a", "error": "rate limited"}]]).cases
    assert {output.error for output in case.outputs.values()} == {"rate limited"}
    assert case.outputs["teacher"].value is None


def test_errors_may_be_given_by_name():
    (case,) = read_outputs([[{"teacher": "a", "student": "a", "error": {"student": "cut off", "teacher": None}}]]).cases
    assert [output.error for output in case.outputs.values()] == ["", "cut off"]


def test_the_teachers_second_answer_is_an_arm_of_its_own():
    read = read_outputs([[{"teacher": "a", "teacher2": "b", "student": "a"}]])
    assert read.twice
    assert read.students == ("student",)
    assert read.cases[0].outputs[SECOND].value == "b"


def test_files_are_joined_by_id_the_teachers_first(tmp_path):
    opus = write(tmp_path / "opus.jsonl", {"id": "a", "output": 1, "expected": 1, "cost": 2}, {"id": "b", "output": 2})
    mini = write(tmp_path / "mini.jsonl", {"id": "b", "output": 3, "latency": 0.5}, {"id": "c", "output": 4})
    read = read_outputs([opus, mini])
    assert (read.teacher, read.students, read.name) == ("opus", ("mini",), "opus, mini")
    assert {case.id: set(case.outputs) for case in read.cases} == {"a": {"opus"}, "b": {"opus", "mini"}, "c": {"mini"}}
    assert read.cases[0].outputs["opus"].usd == 2.0
    assert read.cases[1].outputs["mini"].latency_s == 0.5


def test_outputs_of_a_models_own_file_may_be_called_by_its_role(tmp_path):
    one = write(tmp_path / "one.jsonl", {"id": "a", "teacher": 1, "expected": 1})
    two = write(tmp_path / "two.jsonl", {"id": "a", "student": 2})
    (case,) = read_outputs([one, two]).cases
    assert {name: output.value for name, output in case.outputs.items()} == {"one": 1, "two": 2}
    with pytest.raises(UsageError, match="no line has a field 'output'"):
        read_outputs([one, one])


def test_files_of_one_name_are_told_apart(tmp_path):
    paths = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        paths.append(write(tmp_path / folder / "out.jsonl", {"id": "a", "output": 1}))
    read = read_outputs(paths)
    assert (read.teacher, read.students) == ("out 1", ("out 2",))


def test_the_second_answers_of_a_teachers_file_are_read(tmp_path):
    teacher = write(tmp_path / "t.jsonl", {"id": "a", "output": 1, "teacher2": 2})
    student = write(tmp_path / "teacher2.jsonl", {"id": "a", "output": 3})
    (case,) = read_outputs([teacher, student]).cases
    assert {name: output.value for name, output in case.outputs.items()} == {"t": 1, SECOND: 2, "teacher2": 3}


def test_files_that_disagree_on_a_label_are_refused(tmp_path):
    one = write(tmp_path / "one.jsonl", {"id": "a", "output": 1, "expected": "x"})
    two = write(tmp_path / "two.jsonl", {"id": "b", "output": 1}, {"id": "a", "output": 1, "expected": "y"})
    with pytest.raises(
        SkillFileError, match=r"two\.jsonl:2: expected: the label of 'a' is another one in .*one.jsonl:1"
    ):
        read_outputs([one, two])


def test_an_id_that_stands_twice_is_refused_with_both_lines(tmp_path):
    path = write(tmp_path / "r.jsonl", *({"id": key, "teacher": 1, "student": 1} for key in "aba"))
    with pytest.raises(SkillFileError, match=r"r\.jsonl:3: id: the id 'a' already stands in line 1"):
        read_outputs([path])
    joined = write(tmp_path / "s.jsonl", {"id": 1, "output": 1}, {"id": "1", "output": 1})
    with pytest.raises(SkillFileError, match=r"s\.jsonl:2: id: the id '1' already stands in line 1"):
        read_outputs([joined, joined])


def test_a_line_to_be_joined_needs_an_id(tmp_path):
    path = write(tmp_path / "r.jsonl", {"output": 1})
    with pytest.raises(SkillFileError, match=r"r\.jsonl:1: id: has no id"):
        read_outputs([path, path])


@pytest.mark.parametrize(
    ("names", "option", "hint"),
    [
        (FieldNames(teacher="techer"), "--teacher", "did you mean 'teacher'"),
        (FieldNames(students=("mini",)), "--student", "the lines have teacher, student"),
        (FieldNames(expected="gold"), "--expected", "the lines have"),
        (FieldNames(cluster="doc"), "--cluster", "the lines have"),
        (FieldNames(by="lang"), "--by", "the lines have"),
    ],
)
def test_a_field_that_no_line_has_is_refused_with_those_there_are(names, option, hint):
    with pytest.raises(UsageError, match="no line has a field") as caught:
        read_outputs([[{"teacher": 1, "student": 1}]], names)
    assert option in caught.value.hint
    assert hint in caught.value.hint


def test_the_fields_there_are_stand_in_a_hint_once():
    with pytest.raises(UsageError) as caught:
        read_outputs([[{"id": "1", "opus": "x", "luna": "x"}]])
    assert caught.value.hint == "name it with --teacher FIELD: the lines have id, opus, luna"
    with pytest.raises(UsageError) as caught:
        read_outputs([[{"teachr": "x", "student": "x"}]])
    assert caught.value.hint == "did you mean 'teachr'? name it with --teacher FIELD: the lines have teachr, student"


def test_names_from_a_file_reach_no_terminal_as_they_are():
    with pytest.raises(UsageError) as caught:
        read_outputs([[{"teacher": 1, "\x1b[31mred": 1}]])
    assert "\x1b" not in caught.value.hint


def test_a_field_cannot_be_teacher_and_student():
    with pytest.raises(UsageError, match="is teacher and student"):
        read_outputs([[{"a": 1}]], FieldNames(teacher="a", students=("a",)))


def test_a_student_of_the_teachers_name_is_refused():
    with pytest.raises(SkillFileError, match="'teacher' is the name of another output"):
        read_outputs([[{"teacher": 1, "students": {"teacher": 2}}]])


def test_csv_is_read_by_its_suffix_and_an_empty_cell_is_no_answer(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text('id,expected,teacher,student,student_cost\n1,a,a,b,0.5\n2,"{""x"": 1}",,"{""x"": 1}",\n', "utf-8")
    one, two = read_outputs([path]).cases
    assert (one.outputs["student"].value, one.outputs["student"].usd) == ("b", 0.5)
    assert two.expected == {"x": 1}
    assert two.outputs["teacher"].error == "no answer"
    assert two.outputs["student"].value == {"x": 1}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("[1]", "must be a JSON object"),
        ('{"teacher": NaN, "student": 1}', "NaN is not JSON"),
        ('{"teacher": 1, "teacher": 2}', "stands twice"),
        ("{", "not JSON"),
        ('{"id": true, "teacher": 1, "student": 1}', "must be a text or a whole number"),
        ('{"teacher": "' + "x" * 1_100_000 + '"}', "longer than"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, says):
    path = write(tmp_path / "r.jsonl", {"teacher": 1, "student": 1}, line)
    with pytest.raises(SkillFileError, match=r"r\.jsonl:2:") as caught:
        read_outputs([path])
    assert says in str(caught.value)


def test_nothing_at_all_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no line"):
        read_outputs([write(tmp_path / "r.jsonl")])
    with pytest.raises(NotFound, match="cannot be read"):
        read_outputs([tmp_path / "none.jsonl"])
    with pytest.raises(UsageError, match="nothing to compare"):
        read_outputs([])


def test_an_error_message_is_cut():
    (case,) = read_outputs([[{"teacher": 1, "student": None, "error": "x" * 100_000}]]).cases
    assert len(case.outputs["student"].error) == 200


NAMES = st.sampled_from(["id", "teacher", "student", "students", "teacher2", "error", "cost", "latency", "expected"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3) | NAMES, inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(NAMES, JSON, max_size=6), max_size=4))
def test_whatever_the_lines_hold_they_are_read_or_refused(rows):
    try:
        read = read_outputs([rows])
    except SkillforgeError:
        return
    assert len({case.id for case in read.cases}) == len(rows)
    assert all(set(case.outputs) <= {read.teacher, SECOND, *read.students} for case in read.cases)


def test_a_whole_number_with_a_point_is_the_id_without():
    """A column of ids with a gap in it is one of floats to most programs."""
    rows = [{"id": 1.0, "teacher": "a", "student": "a"}, {"id": "2", "teacher": "a", "student": "a"}]
    assert [case.id for case in read_outputs([rows]).cases] == ["1", "2"]


@pytest.mark.parametrize(
    ("case_id", "says"),
    [("x" * 513, "longer than 512"), ("a\u200bb", "cannot be seen"), ("a\x1b[2J", "cannot be seen")],
)
def test_an_id_that_no_case_can_have_is_refused_with_its_line(tmp_path, case_id, says):
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"id": case_id, "teacher": "a", "student": "a"}) + "\n")
    with pytest.raises(SkillFileError, match=says) as caught:
        read_outputs([path])
    assert caught.value.problems[0].line == 1


def test_dollars_may_stand_as_such():
    row = {"teacher": "a", "student": "a", "student_cost": "$0.02", "teacher_cost": " 1.5"}
    (case,) = read_outputs([[row]]).cases
    assert (case.outputs["student"].usd, case.outputs["teacher"].usd) == (0.02, 1.5)


def test_a_json_file_may_hold_an_array(tmp_path):
    path = tmp_path / "r.json"
    path.write_text(json.dumps([{"id": n, "teacher": "a", "student": {"b": [n]}} for n in range(3)], indent=1))
    found = read_outputs([path])
    assert [case.outputs["student"].value for case in found.cases] == [{"b": [n]} for n in range(3)]
    path.write_text('[{"id": 1, "teacher": "a", "student": NaN}]')
    with pytest.raises(SkillFileError, match="NaN is not JSON"):
        read_outputs([path])
    path.write_text('[{"id": 1, "teacher": "a", "student": "a"}, {"id": 2')
    with pytest.raises(SkillFileError, match="cut off"):
        read_outputs([path])


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "1", "teacher": "a", "student": "a"}\n')
    assert [case.id for case in read_outputs([path]).cases] == ["1"]
