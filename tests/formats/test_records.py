"""Records of a file, whatever holds them: each whole one is found, a broken one costs nothing but itself."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillforge.errors import NotFound, UsageError
from skillforge.formats import records
from skillforge.formats.records import read_records

ROWS: list[dict[str, Any]] = [
    {"n": 1, "text": 'brace } quote " backslash \\ bracket ]'},
    {"n": 2, "text": "new\nline", "inner": {"a": [{"b": "{["}]}},
    {"n": 3, "text": "\\"},
]
FORMS = {
    "lines": lambda rows: "".join(json.dumps(row) + "\n" for row in rows),
    "lines without a last end": lambda rows: "\n".join(json.dumps(row) for row in rows),
    "lines with CRLF and gaps": lambda rows: "\r\n\r\n".join(json.dumps(row) for row in rows),
    "array": json.dumps,
    "pretty array": lambda rows: json.dumps(rows, indent=2),
    "page": lambda rows: json.dumps({"data": rows, "meta": {"cursor": "x"}}, indent=1),
    "page on one line": lambda rows: json.dumps({"data": rows}),
    "pretty documents": lambda rows: "\n".join(json.dumps(row, indent=2) for row in rows),
}


def whole(path: Path) -> list[Any]:
    return [json.loads(record.raw) for record in read_records(path) if not record.broken]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("chunk", [1, 2, 7, 262_144])
def test_every_form_gives_the_same_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, chunk: int):
    monkeypatch.setattr(records, "_CHUNK", chunk)
    path = tmp_path / "log"
    path.write_text(FORMS[form](ROWS), newline="")
    assert whole(path) == ROWS
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert whole(path) == ROWS


@pytest.mark.parametrize("form", FORMS)
def test_gzip_is_known_by_its_content(tmp_path: Path, form: str):
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(FORMS[form](ROWS).encode()))
    assert whole(path) == ROWS


@pytest.mark.parametrize("form", FORMS)
def test_a_file_cut_at_any_byte_loses_only_the_cut_record(tmp_path: Path, form: str):
    data = FORMS[form](ROWS).encode()
    path = tmp_path / "log"
    for size in range(1, len(data), 2):
        path.write_bytes(data[:size])
        found = list(read_records(path))
        complete = []
        for record in found:
            try:
                complete.append(json.loads(record.raw))
            except ValueError:
                assert record is found[-1]
        assert complete in (ROWS[: len(complete)], [{}], [{"data": []}])


def test_a_cut_gzip_says_so_and_keeps_what_came_before(tmp_path: Path):
    rows = [{"n": n, "noise": hex(n**60)} for n in range(3000)]
    data = gzip.compress(FORMS["lines"](rows).encode())
    path = tmp_path / "log.gz"
    path.write_bytes(data[: len(data) // 2])
    found = list(read_records(path))
    assert len(found) > 1000
    assert [bool(record.broken) for record in found] == [False] * (len(found) - 1) + [True]
    assert "gzip" in found[-1].broken


def test_a_damaged_gzip_is_no_crash(tmp_path: Path):
    data = bytearray(gzip.compress(FORMS["lines"](ROWS * 500).encode()))
    data[len(data) // 2] ^= 0xFF
    path = tmp_path / "log.gz"
    path.write_bytes(bytes(data))
    assert "gzip" in list(read_records(path))[-1].broken


@pytest.mark.parametrize("form", ["lines", "array", "pretty array"])
def test_a_record_that_is_too_long_costs_nothing_but_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str):
    monkeypatch.setattr(records, "MAX_RECORD", 5_000)
    monkeypatch.setattr(records, "KEPT", 100)
    monkeypatch.setattr(records, "_CHUNK", 512)
    path = tmp_path / "log"
    path.write_text(FORMS[form]([ROWS[0], {"n": 9, "text": "x" * 20_000}, ROWS[1]]))
    found = list(read_records(path))
    assert [bool(record.broken) for record in found] == [False, True, False]
    assert "longer than 5,000 bytes" in found[1].broken
    assert len(found[1].raw) == 100
    assert json.loads(found[2].raw) == ROWS[1]


def test_lines_are_counted(tmp_path: Path):
    path = tmp_path / "log"
    path.write_text('{"a": 1}\n\n{"b": 2}\n')
    assert [record.line for record in read_records(path)] == [1, 3]
    path.write_text('[\n {"a": 1},\n {"b":\n 2},\n {"c": 3}\n]')
    assert [record.line for record in read_records(path)] == [2, 3, 5]


@pytest.mark.parametrize("data", [b"\x00\x01binary", b"time,model\n1,2\n", b'"text"', b"\xff\xfe{\x00"])
def test_what_is_not_json_is_refused(tmp_path: Path, data: bytes):
    path = tmp_path / "log"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="not JSON"):
        list(read_records(path))


def test_an_empty_file_has_no_records_and_a_missing_one_is_named(tmp_path: Path):
    path = tmp_path / "log"
    path.write_bytes(b" \n")
    assert list(read_records(path)) == []
    with pytest.raises(NotFound, match="nowhere"):
        list(read_records(tmp_path / "nowhere"))


def test_a_pipe_is_refused_because_a_log_is_read_more_than_once(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotFound, match="is not a file"):
        list(read_records(tmp_path / "pipe"))


@given(st.binary(max_size=400).map(lambda data: b"{" + data) | st.binary(max_size=400).map(lambda data: b"[" + data))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_without_a_crash(tmp_path: Path, data: bytes):
    path = tmp_path / "log"
    path.write_bytes(data)
    list(read_records(path))
