from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skillforge.errors import UsageError
from skillforge.ladder import LadderSpec, RungSpec, lone_threshold, parse_ladder, threshold_text


@pytest.mark.parametrize(
    ("name", "rungs"),
    [
        ("encoder:x@0.8 > teacher", [("encoder:x", 0.8), ("teacher", None)]),
        ("a:b>c:d@.5>teacher", [("a:b", None), ("c:d", 0.5), ("teacher", None)]),
        ("  a:b @ 1  >  teacher ", [("a:b @ 1", None), ("teacher", None)]),
        ("a:b @1 > teacher", [("a:b", 1.0), ("teacher", None)]),
        ("vertex:claude@20260101 > teacher", [("vertex:claude@20260101", None), ("teacher", None)]),
        ("vertex:claude@20260101@0.9 > teacher", [("vertex:claude@20260101", 0.9), ("teacher", None)]),
        ("a:b@1e-05 > teacher", [("a:b", 1e-05), ("teacher", None)]),
        ("a:b@nan > teacher", [("a:b@nan", None), ("teacher", None)]),
        ("a:b@1.5 > teacher", [("a:b@1.5", None), ("teacher", None)]),
        ("a:b@1e999 > teacher", [("a:b@1e999", None), ("teacher", None)]),
        ("replay:file://x@y.jsonl > teacher", [("replay:file://x@y.jsonl", None), ("teacher", None)]),
    ],
)
def test_a_rung_is_a_student_and_perhaps_a_threshold(name, rungs):
    found = parse_ladder(name)
    assert found is not None
    assert [(rung.student, rung.threshold) for rung in found.rungs] == rungs
    assert parse_ladder(str(found)) == found


@pytest.mark.parametrize("name", ["local:smollm2-135m", "encoder:x@0.8", "", "teacher", "a@b"])
def test_a_name_without_a_step_up_is_no_ladder(name):
    assert parse_ladder(name) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a >", "without a name"),
        ("> a", "without a name"),
        ("a > > b", "without a name"),
        ("a > @0.5 > b", "without a name|has"),
        ("a > b@0.5", "takes no threshold"),
        ("a@0.5 > a", "twice"),
        ("a@0.5@0.6 > b", "two thresholds"),
    ],
)
def test_a_ladder_that_leads_nowhere_is_refused_with_a_way_to_write_it(name, said):
    if said.endswith("|has"):
        assert parse_ladder(name) is not None  # "@0.5" alone is a name like any other, nobody's
        return
    with pytest.raises(UsageError, match=said) as caught:
        parse_ladder(name)
    assert "teacher" in caught.value.hint


def test_a_lone_threshold_is_told():
    assert lone_threshold("encoder:x@0.8") == 0.8
    assert lone_threshold("encoder:x") is None
    assert lone_threshold("encoder:x@0.8 > teacher") is None


NAMES = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters=">", exclude_categories=["C", "Z"]),
    min_size=1,
    max_size=12,
).filter(lambda name: lone_threshold(name) is None and name.strip() == name)
THRESHOLDS = st.none() | st.floats(0, 1, allow_nan=False)


@given(st.lists(st.tuples(NAMES, THRESHOLDS), min_size=2, max_size=5, unique_by=lambda rung: rung[0]))
@example([("a", 0.1 + 0.2), ("b", 5e-324), ("c", -0.0), ("d", None)])
def test_every_ladder_is_written_so_that_it_is_read_back(rungs):
    (last, _), *_ = reversed(rungs)
    spec = LadderSpec(rungs=(*(RungSpec(student=s, threshold=t) for s, t in rungs[:-1]), RungSpec(student=last)))
    assert parse_ladder(str(spec)) == spec


@given(st.text(max_size=60))
def test_whatever_is_typed_is_a_ladder_none_or_a_clear_refusal(name):
    found = None
    with suppress(UsageError):
        found = parse_ladder(name)
    if found is not None:
        assert parse_ladder(str(found)) == found


@given(st.floats(0, 1))
def test_a_threshold_keeps_all_its_digits(threshold):
    assert float(threshold_text(threshold)) == threshold
