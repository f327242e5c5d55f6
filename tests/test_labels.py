from __future__ import annotations

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.case import Case
from skillforge.errors import NotFound, SkillFileError, UsageError
from skillforge.labels import Label, append_label, read_labels, with_labels


@pytest.fixture
def path(tmp_path):
    return tmp_path / "demo.labels.jsonl"


def test_the_last_line_of_a_case_counts(path):
    append_label(path, Label(id="a", expected="x", by="ada", at="2026-01-01T00:00:00+00:00"))
    append_label(path, Label(id="b", expected={"q": 1}))
    append_label(path, Label(id="a", expected="y", first="x"))
    found = read_labels(path)
    assert (found["a"].expected, found["a"].blind, found["b"].blind) == ("y", "x", {"q": 1})
    assert json.loads(path.read_text().splitlines()[0]) == {
        "id": "a",
        "expected": "x",
        "by": "ada",
        "at": "2026-01-01T00:00:00+00:00",
    }


def test_a_skip_leaves_the_case_as_it_was(path):
    append_label(path, Label(id="a", expected="x"))
    append_label(path, Label(id="a", skipped=True))
    append_label(path, Label(id="b", expected=False))
    assert json.loads(path.read_text().splitlines()[1]) == {"id": "a", "expected": None, "skipped": True}
    cases = [Case(id="a", input={}, expected="own"), Case(id="b", input={}, expected="own"), Case(id="c", input={})]
    assert [case.expected for case in with_labels(cases, read_labels(path))] == ["own", False, None]


def test_without_a_file_there_are_no_labels(path):
    assert read_labels(path) == {}


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ('{"id": "a"}', 'either "expected" or "skipped": true'),
        ('{"id": "a", "expected": 1, "skipped": true}', 'either "expected" or "skipped": true'),
        ('{"expected": 1}', "id: is required"),
        ('{"id": "a", "expected": 1, "label": 2}', "label: unknown key"),
        ('{"id": "a", "expected": 1152921504606846976}', "safe integer"),
        ('{"id": "a", "expected": "\\ud800"}', "surrogate"),
        ("PATH=/bin", "not JSON"),
    ],
)
def test_a_wrong_line_is_named(path, line, part):
    path.write_text('{"id": "a", "expected": 1}\n' + line + "\n")
    with pytest.raises(SkillFileError, match=r"labels\.jsonl:2:") as caught:
        read_labels(path)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    "torn", ['{"id": "b", "expec', "{", '{"id": "b", "expected": "ä"}'.encode()[:-4].decode("latin1")]
)
def test_a_line_that_a_killed_process_left_torn_is_passed_over_and_cut(path, torn):
    append_label(path, Label(id="a", expected=1))
    with path.open("a", encoding="latin1") as file:
        file.write(torn)
    assert set(read_labels(path)) == {"a"}
    append_label(path, Label(id="c", expected=2))
    assert set(read_labels(path)) == {"a", "c"}
    assert path.read_bytes().count(b"\n") == 2


def test_a_whole_line_without_its_end_gets_it(path):
    path.write_text('{"id": "a", "expected": 1}')
    append_label(path, Label(id="b", expected=2))
    assert set(read_labels(path)) == {"a", "b"}


def test_what_is_no_labels_file_is_never_written_to(path):
    path.write_text("export PATH=/bin")
    with pytest.raises(UsageError, match="its last line is no label"):
        append_label(path, Label(id="a", expected=1))
    assert path.read_text() == "export PATH=/bin"


def test_a_folder_is_no_labels_file(path):
    path.mkdir()
    with pytest.raises(NotFound, match="is not a file"):
        read_labels(path)


def test_a_label_longer_than_a_line_is_refused(path):
    with pytest.raises(UsageError, match="longer than"):
        append_label(path, Label(id="a", expected="x" * 2_000_000))
    assert not path.exists()


texts = st.text(st.characters(codec="utf-8"), max_size=20)
answers = texts | st.booleans() | st.dictionaries(texts, st.none() | st.integers(-9, 9) | texts, max_size=3)


@given(st.lists(st.tuples(texts, answers), max_size=8), st.data())
def test_any_labels_come_back_whatever_was_cut_off(tmp_path_factory, rows, data):
    path = tmp_path_factory.mktemp("l") / "x.labels.jsonl"
    for name, expected in rows:
        append_label(path, Label(id=name, expected=expected))
    assert {name: label.expected for name, label in read_labels(path).items()} == dict(rows)
    if rows:
        whole = path.read_bytes()
        lines = whole.splitlines(keepends=True)
        assert len(lines) == len(rows)
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
        kept = path.read_bytes().count(b"\n")
        known = {name: label.expected for name, label in read_labels(path).items()}
        assert known in (dict(rows[:kept]), dict(rows[: kept + 1]))
        append_label(path, Label(id="new", expected=1))
        assert read_labels(path)["new"].expected == 1


def test_people_who_label_at_once_lose_nothing(path):
    def label(who):
        for number in range(60):
            append_label(path, Label(id=f"{who}-{number}", expected="x" * (number * 997 % 9_000)))

    people = [threading.Thread(target=label, args=(who,)) for who in range(6)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert len(read_labels(path)) == 360
