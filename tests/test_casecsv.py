"""Cases in CSV: typed by the contract, strict, with the line of every error."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.casecsv import read_csv
from skillforge.errors import NotFound, SkillFileError
from skillforge.jsonl import MAX_LINE_BYTES
from skillforge.suitefile import read_cases, read_suite

CONTRACT = {
    "input": {
        "ticket": {"type": "string"},
        "count": {"type": "integer"},
        "tags": {"type": "array"},
        "tone": {"type": "string", "default": "polite"},
    },
    "output": {"queue": {"type": "string", "enum": ["bug", "1"]}, "urgent": {"type": "boolean"}},
}


def file(folder: Path, text: str | bytes) -> Path:
    path = folder / "cases.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problem_of(path: Path, contract=None) -> str:
    with pytest.raises(SkillFileError) as caught:
        list(read_cases(path, contract))
    return str(caught.value)


def test_the_contract_says_what_a_cell_is(tmp_path):
    text = "id,ticket,input.count,tags,tone,expected.queue,expected.urgent,split,cluster,metadata.by\n"
    path = file(tmp_path, text + 'a,007,3,"[""x"", 1]",,1,true,test,doc 1,us\nb,,4,[],rude,,,,,\n')
    first, second = read_cases(path, CONTRACT)
    assert first.input == {"ticket": "007", "count": 3, "tags": ["x", 1]}
    assert (first.expected, first.split, first.cluster) == ({"queue": "1", "urgent": True}, "test", "doc 1")
    assert first.metadata == {"by": "us"}
    assert second.input == {"ticket": "", "count": 4, "tags": [], "tone": "rude"}
    assert (second.expected, second.split, second.cluster, second.metadata) == (None, None, None, {})


def test_without_a_contract_only_objects_and_arrays_are_json(tmp_path):
    path = file(tmp_path, 'zip,data,expected\n00123,"{""a"": 1}",true\n7,[1],{no json}\n')
    first, second = read_cases(path)
    assert (first.input, first.expected) == ({"zip": "00123", "data": {"a": 1}}, "true")
    assert (second.input, second.expected) == ({"zip": "7", "data": [1]}, "{no json}")
    assert first.id.startswith("c-")


def test_a_byte_order_mark_windows_line_ends_and_line_breaks_in_cells(tmp_path):
    path = file(tmp_path, b'\xef\xbb\xbfid,text\r\na,"one\r\ntwo, ""three"""\r\n\r\nb,x\r\n')
    first, second = read_cases(path)
    assert first.input == {"text": 'one\r\ntwo, "three"'}
    assert second.id == "b"
    twice = file(tmp_path, 'id,text\na,"one\ntwo"\na,y\n')
    assert problem_of(twice) == f"{twice}:4: id: the id 'a' already stands in line 2"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", ":1: the file is empty"),
        ("text;expected\na;b\n", ":1: the columns are separated by ';' (save it with commas)"),
        ("text\texpected\na\tb\n", "separated by tabs"),
        ("text,,x\na,b,c\n", ":1: column 2 has no name"),
        ("text,text\na,b\n", "the column 'text' stands twice"),
        ("text,input.text\na,b\n", "input.text: the input field 'text' has two columns"),
        ("text,expected,expected.q\na,b,c\n", "the label stands in expected and in expected.FIELD"),
        ("id,expected\na,b\n", "no column holds an input"),
        ("text,expected\na,b,c\n", ":2: 3 cells, and the header names 2 columns"),
        ('text,expected\na,b\n"x" y,c\n', ":3: not CSV: "),
        ('text,expected\na,b\n"x,c\n', ":3: not CSV: "),
        (b"text\n\xff\n", "not UTF-8"),
        ("text,split\na,tset\n", ":2: split: 'tset' is not allowed"),
        ("text,id\na,\x1b[31m\n", ":2:1: id: holds characters that cannot be seen"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, part):
    assert part in problem_of(file(tmp_path, text)).replace(":2:1: split", ":2: split")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("tickt,count\na,1\n", ":1: tickt: the contract has no field 'tickt' (did you mean 'ticket'?)"),
        ("ticket,count\na,1\nb,many\n", ":3: count: 'many' is not of the type integer (write it as JSON)"),
        ("ticket,expected.que\na,1\n", "expected.que: the contract has no field 'que'"),
        ("ticket,expected\na,billing\n", ":2: expected: 'billing' is not of the type object"),
    ],
)
def test_what_the_contract_does_not_know_is_named(tmp_path, text, part):
    assert part in problem_of(file(tmp_path, text), CONTRACT)


def test_a_quote_that_is_never_closed_is_not_read_to_the_end(tmp_path):
    path = file(tmp_path, 'text\n"' + "x" * 100 + "\n" * (2 * MAX_LINE_BYTES))
    assert "a quote that is not closed" in problem_of(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(NotFound):
        list(read_cases(tmp_path / "no.csv"))


def test_a_suite_names_a_csv_file(tmp_path):
    file(tmp_path, "t,expected\n3,yes\n")
    suite = tmp_path / "s.yaml"
    head = "schema: skillforge/suite/v1\nname: s\ncases: file://cases.csv\n"
    suite.write_text(head + "contract: {input: {t: {type: integer}}, output: text}\n")
    (case,) = read_suite(suite).cases
    assert (case.input, case.expected) == ({"t": 3}, "yes")


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=20)


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8))
def test_every_text_comes_back_as_it_was_written(tmp_path_factory, rows):
    rows = [row for row in rows if any(row)]
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("a", "b"), *rows])
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    path.write_bytes(out.getvalue().encode())
    assert [tuple(cells.values()) for _, cells in read_csv(path)] == rows
