from __future__ import annotations

import contextlib
import math
import time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from skillforge.errors import Problem, SkillFileError, UsageError
from skillforge.yamlfile import dump_yaml, load_yaml
from skillforge.yamlscalar import MAX_BYTES, MAX_INT


def load(source: bytes | str) -> Any:
    return load_yaml(source, path="skill.yaml").value


def problems(source: bytes | str) -> tuple[Problem, ...]:
    with pytest.raises(SkillFileError) as caught:
        load_yaml(source, path="skill.yaml")
    assert "skill.yaml" in str(caught.value)
    return caught.value.problems


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join(['*' + old] * 10)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("source", "words", "line", "column"),
    [
        (BOMB, "anchors are not allowed: &a", 1, 4),
        ("a: 1\nb: *x", "aliases are not allowed: *x", 2, 4),
        ("&a [*a]", "anchors are not allowed", 1, 1),
        ("a: !!python/object/apply:os.system ['id']", "tags are not allowed: tag:yaml.org,2002:python", 1, 4),
        ("a: !!binary aGk=", "tags are not allowed", 1, 4),
        ("a: ! x", "tags are not allowed: !", 1, 4),
        ("b:\n  <<: {a: 1}", "merge keys are not allowed", 2, 3),
        ("%YAML 1.1\n---\na: 1", "directives are not allowed: %YAML 1.1", 1, 1),
        ("# x\n%TAG ! tag:x:\n---\na: 1", "directives are not allowed", 2, 1),
        ("%UNKNOWN\n---\na: 1", "directives are not allowed", 1, 1),
        ("a: 1\nb: 2\na: 3", "the key 'a' stands twice, first in line 1", 3, 1),
        ("a: 1\n---\nb: 2", "a second document starts here", 2, 1),
        ("1: x", "the key '1' is not text", 1, 1),
        ("true: x", "the key 'true' is not text", 1, 1),
        ("~: x", "the key '~' is not text", 1, 1),
        ("? [a]\n: 1", "a key must be text", 1, 3),
        ("prompt: {{ ticket }}", "a key must be text", 1, 10),
        ("a: .nan", ".nan is not a JSON number", 1, 4),
        ("a: -.inf", "-.inf is not a JSON number", 1, 4),
        ("a: 1e999", "too large for a number", 1, 4),
        ("a: 9007199254740993", "an integer beyond 2**53", 1, 4),
        ("a: 0x" + "f" * 5_000, "an integer beyond 2**53", 1, 4),
        ("a: " + "9" * 5_000, "an integer beyond 2**53", 1, 4),
        ("a: 010", "010 is ambiguous", 1, 4),
        ("a: 01.5", "01.5 is ambiguous", 1, 4),
        ("", "the file is empty", 1, 1),
        ("# nothing\n", "the file is empty", 1, 1),
        ("---\n", "the file is empty", 1, 1),
        ("[" * 5_000 + "]" * 5_000, "nested deeper than 32 levels", 1, 33),
        ("- " * 5_000 + "x", "nested deeper than 32 levels", 1, 65),
        ("\ufeffa: 1", "byte order mark", 1, 1),
        (b"\xff\xfea\x00", "byte order mark", 1, 1),
        ("a: 1\nb: x\0y", "NUL is not allowed", 2, 5),
        ("a: \x07", "U+0007 is not allowed", 1, 4),
        ("a: 1\u2028b: 2", "U+2028 is not allowed", 1, 5),
        ("a: 1\x85b: 2", "U+0085 is not allowed", 1, 5),
        ("a: 1\nü: ".encode() + b"\xff", "not UTF-8: byte 0xff", 2, 4),
        ("a: \ud800", "not UTF-8: byte 0xed", 1, 4),
        ("\ta: 1", "cannot start any token", 1, 1),
        ("a: b: c", "mapping values are not allowed", 1, 5),
        ('a: "x', "unexpected end of stream", 1, 6),
        ('a: "\\ud800"', "invalid Unicode character escape", 1, 7),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_line_and_column(
    source: bytes | str, words: str, line: int, column: int
) -> None:
    first = problems(source)[0]
    assert words in first.message
    assert (first.line, first.column) == (line, column)


def test_larger_than_the_limit_is_refused_before_it_is_parsed() -> None:
    [only] = problems("[" * (MAX_BYTES + 1))
    assert "larger than 1,048,576 bytes" in only.message
    assert "larger" in problems("ü" * (MAX_BYTES // 2 + 1))[0].message


@pytest.mark.parametrize("piece", ["[", "{", "- ", "? ", '"', "'", "!", "&a ", "a: |\n", "\n", "[\n", "a:\n", "{a: ["])
def test_a_megabyte_of_nonsense_ends_soon(piece: str) -> None:
    started = time.process_time()
    with contextlib.suppress(SkillFileError):
        load("# x\n" + piece * ((MAX_BYTES - 10) // len(piece)))
    # libyaml alone takes minutes for a megabyte of "[": the depth limit stops it at the thirty-third
    assert time.process_time() - started < 5


def test_all_problems_are_told_at_once_and_named_by_field() -> None:
    found = problems("a: 010\nb:\n  - x\n  - {c: *z, c: !t 1}\n")
    assert [(problem.field, problem.line) for problem in found] == [
        ("a", 1),
        ("b[1].c", 4),
        ("b[1].c", 4),
        ("b[1].c", 4),
    ]
    assert len(problems("a: &x 1\n" * 1_000)) == 20


def test_scalars_are_those_of_the_core_schema() -> None:
    source = """
    no: no
    on: yes
    date: 2024-01-01
    time: 12:30:45
    clock: 12:30
    version: 1.2.3
    under: 1_000
    upper: TRUE
    nothing: ~
    empty:
    "null": null
    octal: 0o17
    hex: 0xfF
    plus: +1
    minus: -0.5
    short: .5
    exponent: 1e3
    quoted: "010"
    single: '1'
    """
    assert load(source) == {
        "no": "no",
        "on": "yes",
        "date": "2024-01-01",
        "time": "12:30:45",
        "clock": "12:30",
        "version": "1.2.3",
        "under": "1_000",
        "upper": True,
        "nothing": None,
        "empty": None,
        "null": None,
        "octal": 15,
        "hex": 255,
        "plus": 1,
        "minus": -0.5,
        "short": 0.5,
        "exponent": 1000.0,
        "quoted": "010",
        "single": "1",
    }
    assert load("null") is None
    assert load(f"- {MAX_INT}\n- -{MAX_INT}") == [MAX_INT, -MAX_INT]


def test_a_value_with_a_quoted_merge_key_or_a_nul_escape_is_text() -> None:
    assert load('{"<<": "\\0"}') == {"<<": "\0"}


def test_exactly_thirty_two_levels_load() -> None:
    assert load("[" * 32 + "]" * 32) is not None
    assert "deeper" in problems("[" * 33 + "]" * 33)[0].message


def test_where_tells_the_line_of_a_key_an_item_or_the_nearest_ancestor() -> None:
    document = load_yaml("# first\nname: x\nchecks:\n  - {type: a,\n     value: b}\n  - type: c\n", path="s")
    assert document.where(()) == (2, 1)
    assert document.where(("checks",)) == (3, 1)
    assert document.where(("checks", 0)) == (4, 5)
    assert document.where(("checks", 0, "value")) == (5, 6)
    assert document.where(("checks", 1, "on_fail")) == (6, 5)
    assert document.where(("checks", 7, "type")) == (3, 1)
    assert document.where(("nothing", "here")) == (2, 1)


def test_windows_line_ends_load_and_count_as_one_line() -> None:
    document = load_yaml(b"a: 1\r\nb: |\r\n  x\r\n  y\r\n", path="s")
    assert document.value == {"a": 1, "b": "x\ny\n"}
    assert document.where(("b",)) == (2, 1)


def test_the_writer_writes_for_people() -> None:
    value = {
        "name": "ticket-triage",
        "input": {"ticket": {"type": "string", "maxLength": 200}, "locale": {"enum": ["en", "de"], "default": "en"}},
        "instructions": "Route it.\n\n  - billing: money\n",
        "prompt": "  {{ ticket }}\nend",
        "checks": [{"type": "not-contains", "value": "http://"}, {"type": "x", "value": {"a": {"b": [1]}}}],
        "words": ["no", "010", "1.0", "plain words", "a: b", "2024-01-01", ""],
    }
    assert dump_yaml(value, header="made by a tool\n# kept") == (
        "# made by a tool\n"
        "# kept\n"
        "name: ticket-triage\n"
        "input:\n"
        "  ticket: {type: string, maxLength: 200}\n"
        "  locale: {enum: [en, de], default: en}\n"
        "instructions: |\n"
        "  Route it.\n"
        "\n"
        "    - billing: money\n"
        "prompt: |2-\n"
        "    {{ ticket }}\n"
        "  end\n"
        "checks:\n"
        '  - {type: not-contains, value: "http://"}\n'
        "  - type: x\n"
        "    value:\n"
        "      a: {b: [1]}\n"
        'words: ["no", "010", "1.0", plain words, "a: b", "2024-01-01", ""]\n'
    )


def test_the_writer_makes_hidden_characters_visible() -> None:
    text = dump_yaml({"a": "x\u202ey\U000e0041\n", "b": "👩‍💻 ok"})
    assert text == 'a: "x\\u202Ey\\U000E0041\\n"\nb: "👩‍💻 ok"\n'


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53, {1: 2}, {"a": {1, 2}}, "\ud800", {"\udc00": 1}, (1,)])
def test_the_writer_refuses_what_the_loader_would(value: Any) -> None:
    with pytest.raises(UsageError):
        dump_yaml(value)


def test_the_writer_keeps_the_loaders_limits() -> None:
    deep: Any = []
    for _ in range(31):
        deep = [deep]
    assert load(dump_yaml(deep)) == deep
    with pytest.raises(UsageError, match="deeper than 32"):
        dump_yaml([deep])
    with pytest.raises(UsageError, match="larger than"):
        dump_yaml("x" * MAX_BYTES)


ODD = st.text(
    alphabet=st.sampled_from(" \t\n\r:#-?|>&*!%@`'\"{}[],~=<.0129aeEnoyxü\u200d\x00\x07\x85\u2028\ufeff\ufffe😀\\"),
    max_size=24,
)
STRINGS = st.one_of(
    ODD,
    st.text(max_size=40),
    st.lists(ODD, max_size=5).map("\n".join),
    st.sampled_from(["<<", "=", "null", "True", "yes", "0x1f", "1e5", "---", "...", "- a", "%a", "a" * 1_500, "a #b"]),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-MAX_INT, MAX_INT),
    st.floats(allow_nan=False, allow_infinity=False),
    STRINGS,
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4), max_leaves=12
)


def same(left: Any, right: Any) -> bool:
    """Equal, and of equal types: 1, 1.0 and True are three values."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


@settings(max_examples=400, deadline=None)
@given(VALUES)
def test_every_json_value_is_read_back_as_it_was_written(value: Any) -> None:
    assert same(load(dump_yaml(value, header="x")), value)


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_other_readers_of_yaml_read_the_same(value: Any) -> None:
    def texts(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: texts(inner) for key, inner in item.items()}
        return [texts(inner) for inner in item] if isinstance(item, list) else item if isinstance(item, str) else 0

    assert yaml.safe_load(dump_yaml(texts(value))) == texts(value)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.text(alphabet="abc:-?[]{},&*!|>'\"%@#~<= \n\t01.", max_size=60)))
def test_any_source_loads_or_is_refused_as_a_file_error(source: bytes | str) -> None:
    with contextlib.suppress(SkillFileError):
        value = load(source)
        assert same(load(dump_yaml(value)), value)
