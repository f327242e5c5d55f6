"""A file that was cut off, or hit by anything else: what is whole of it is read, and nothing ever crashes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trajectory_samples import FILES, jsonl

from skillforge.errors import UsageError
from skillforge.formats.trajectories.detect import FORMATS, read_trajectories
from skillforge.formats.trajectories.lines import Quarantined
from skillforge.trace import Trace

ROW_BY_ROW = frozenset({"openai-chat", "swe-agent", "anthropic-messages", "tooltalk", "exchange", "skillforge"})


def read(path: Path, **options: Any) -> tuple[list[Trace], list[Quarantined]]:
    found = list(read_trajectories(path, **options))
    traces = [item for item in found if isinstance(item, Trace)]
    return traces, [item for item in found if isinstance(item, Quarantined)]


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_anywhere_loses_at_most_the_record_it_was_cut_in(name: str, tmp_path: Path) -> None:
    whole = jsonl(tmp_path / "whole.jsonl", FILES[name]()).read_bytes()
    all_of_it, none = read(tmp_path / "whole.jsonl")
    assert none == []
    cut = tmp_path / "cut.jsonl"
    lines = whole.split(b"\n")
    for at in range(0, len(whole) + 1, max(1, len(whole) // 150)):
        cut.write_bytes(whole[:at])
        traces, aside = read(cut)
        ended = whole[:at].count(b"\n")
        partial = whole[:at].rpartition(b"\n")[2]
        broken = bool(partial) and partial != lines[ended]
        assert len([item for item in aside if "no model call" not in item.reason]) == (broken or at == 0)
        if name in ROW_BY_ROW:
            rows = ended + (bool(partial) and not broken)
            assert [trace.messages for trace in traces] == [trace.messages for trace in all_of_it[:rows]]


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hostile_values_anywhere_never_crash(name: str, data: st.DataObject, tmp_path: Path) -> None:
    junk = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("\ud800"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    )
    rows = FILES[name]()
    for _ in range(data.draw(st.integers(1, 4))):
        places = list(_places(rows))
        holder, key = data.draw(st.sampled_from(places))
        holder[key] = data.draw(junk)
    path = tmp_path / "file.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    try:
        traces, aside = read(path)
    except UsageError:  # nothing of the format is left to be known by
        return
    for trace in traces:
        trace.model_dump_json()
    assert all(item.reason and (item.reason + item.excerpt).isprintable() for item in aside)


@pytest.mark.parametrize("known", [known.name for known in FORMATS])
@given(rows=st.lists(st.sampled_from([row for make in FILES.values() for row in make()]), max_size=6))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_records_of_every_other_format_never_crash_a_reader(known: str, rows: list[Any], tmp_path: Path) -> None:
    read(jsonl(tmp_path / "file.jsonl", rows), format=known)


def _places(value: Any) -> Any:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        yield value, key
        yield from _places(inner)
