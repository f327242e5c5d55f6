from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.providers.wires.sse import json_events


def read(*chunks: bytes, most_event: int = 1000, most_stream: int = 10_000) -> list[Any]:
    async def source() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def run() -> list[Any]:
        return [event async for event in json_events(source(), most_event=most_event, most_stream=most_stream)]

    return anyio.run(run)


@given(
    st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=6), min_size=1), max_size=4),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_events_are_the_same_however_they_are_cut(values, end, cuts):
    text = "".join(f"event: x{end}data: {json.dumps(value, ensure_ascii=False)}{end}{end}" for value in values)
    data = b"\xef\xbb\xbf" + f": hello{end}".encode() + text.encode()
    edges = [0, 3, *sorted(3 + cut for cut in cuts), len(data)]
    assert read(*[data[start:stop] for start, stop in pairwise(edges) if start < stop]) == values


def test_nothing_after_done_is_read():
    assert read(b'data: {"a": 1}\n\ndata: [DONE]\n\ndata: nonsense\n\n') == [{"a": 1}]


def test_an_event_that_nothing_ends_is_left_out():
    assert read(b'data: {"a": 1}\n\ndata: {"a": 2}\n') == [{"a": 1}]


def test_lines_of_one_event_belong_together():
    assert read(b'data: {"a":\ndata:1}\n\n') == [{"a": 1}]


@pytest.mark.parametrize(
    "data", [b"data: {\n\n", b"data: NaN\n\n", b"data: \xff\n\n", b"data: " + b"[" * 900 * 1000 + b"\n\n"]
)
def test_an_event_that_is_no_json_is_an_error(data):
    with pytest.raises(ValueError):  # noqa: PT011 - json's and ours
        read(data, most_event=10**7, most_stream=10**7)


def test_too_much_is_an_error():
    with pytest.raises(ValueError, match="longer than"):
        read(*[b"x" * 100] * 20)
    with pytest.raises(ValueError, match="longer than"):
        read(*[b'data: "' + b"x" * 100 + b'"\n\n'] * 200)
    with pytest.raises(ValueError, match="longer than"):
        read(*[b"data: 1\n"] * 200)
