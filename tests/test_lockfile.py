from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillforge.errors import SkillFileError, UsageError
from skillforge.lockfile import (
    LOCK_SCHEMA,
    Lock,
    LockedSkill,
    Move,
    lock_bytes,
    lock_path,
    one_line,
    parse_lock,
    read_lock,
    write_lock,
)
from skillforge.ref import is_alias

ONE, TWO, THREE = ("sha256:" + digit * 64 for digit in "123")
DIGESTS = {1: ONE, 2: TWO, 3: THREE}


def move(number: int, version: int | None, alias: str = "production", **more: Any) -> Move:
    body: dict[str, Any] = {"id": f"m{number}", "alias": alias, "at": "2026-01-01T00:00:00.000Z", "version": version}
    if version is None:
        body["action"] = "remove"
    else:
        body |= {"action": "promote", "digest": DIGESTS[version], "student": "scripted:s"}
    return Move.model_validate(body | more)


def moved(*moves: Move) -> LockedSkill:
    entry = LockedSkill()
    for item in moves:
        entry = entry.moved(item)
    return entry


def rolled_back(entry: LockedSkill, number: int) -> LockedSkill:
    before = entry.before("production")
    assert before is not None
    return entry.moved(before.model_copy(update={"id": f"m{number}", "action": "rollback"}))


# reading and writing

lines = st.text(st.characters(categories=["L", "N", "P", "S"]) | st.just(" "), max_size=30)
names = st.from_regex(r"[a-z0-9]{1,9}(-[a-z0-9]{1,9}){0,3}", fullmatch=True)
digests = st.sampled_from([ONE, TWO, THREE])
aliases = st.from_regex(r"[a-z][a-z0-9_-]{0,9}", fullmatch=True).filter(is_alias)


@st.composite
def entries(draw: st.DrawFn) -> LockedSkill:
    versions = dict(zip(draw(st.permutations([1, 2, 30])), DIGESTS.values(), strict=True))
    entry = LockedSkill(
        head=draw(digests | st.just("")),
        versions={number: versions[number] for number in draw(st.sets(st.sampled_from(list(versions))))},
        deleted=tuple(draw(st.lists(st.integers(1, 99), max_size=2))),
    )
    for number in range(draw(st.integers(0, 4))):
        body: dict[str, Any] = {"id": f"m{number}", "alias": draw(aliases), "at": draw(lines), "version": None}
        body |= {"action": "remove", "reason": draw(lines), "by": draw(lines)}
        if draw(st.booleans()):
            version = draw(st.sampled_from(list(versions)))
            body |= {"action": draw(st.sampled_from(["promote", "rollback"])), "version": version}
            body |= {"digest": versions[version], "student": "s" + draw(lines), "fallback": draw(lines)}
        entry = entry.moved(Move.model_validate(body))
    return entry


locks = st.dictionaries(names, entries(), max_size=3).map(lambda skills: Lock(skills=skills))


@settings(max_examples=50)
@given(locks)
def test_what_is_written_is_read_back(lock: Lock) -> None:
    data = lock_bytes(lock)
    assert parse_lock(data, "skillforge.lock") == lock
    assert lock_bytes(parse_lock(data, "skillforge.lock")) == data


@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(str.encode)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["a", "head", "versions", "moves", "deleted", "x\x1b[2J"]), inner, max_size=4
            )
        ),
    ).map(lambda value: json.dumps({"schema": LOCK_SCHEMA, "skills": {"a": value}}).encode())
)
def test_any_bytes_are_a_lock_or_an_error_that_a_terminal_can_show(data: bytes) -> None:
    told = ""
    try:
        parse_lock(data, "skillforge.lock")
    except SkillFileError as exc:
        told = str(exc)
    assert "\x1b" not in told


def test_a_repository_without_a_lock_has_an_empty_one(tmp_path: Path) -> None:
    lock = read_lock(tmp_path)
    assert lock == Lock()
    assert lock.skill("a").alias("production") is None
    assert lock.skill("a").aliases == {}


def test_the_file_is_the_same_for_the_same_content_and_is_left_alone_then(tmp_path: Path) -> None:
    first, second = moved(move(1, 2), move(2, 1)), moved(move(1, 3))
    write_lock(tmp_path, Lock(skills={"b": second, "a": first}))
    before = lock_path(tmp_path).stat()
    write_lock(tmp_path, Lock(skills={"a": first}).with_skill("b", second))
    assert lock_path(tmp_path).stat().st_ino == before.st_ino
    text = lock_path(tmp_path).read_text("utf-8")
    assert text.index('"a"') < text.index('"b"')
    assert text.index('"1": "sha256') < text.index('"2": "sha256')
    assert os.listdir(tmp_path) == ["skillforge.lock"]


# what is no lock


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b"{}",
        b'{"schema": "skillforge/lock/v2"}',
        b'{"schema": "skillforge/lock/v1", "schema": "skillforge/lock/v1"}',
        b'{"schema": "skillforge/lock/v1", "skills": {"a": {}, "a": {}}}',
        b'{"schema": "skillforge/lock/v1", "skills": {"../a": {}}}',
        b'{"schema": "skillforge/lock/v1", "skills": {"A": {}}}',
        b'{"schema": "skillforge/lock/v1", "skills": {"a\\n": {}}}',
        b'{"schema": "skillforge/lock/v1", "skills": {"a": {"heads": ""}}}',
        b'{"schema": "skillforge/lock/v1", "skills": {"a": {"head": "x"}}}',
        b'{"schema": "skillforge/lock/v1", "other": 1}',
        b"[" * 100_000,
    ],
)
def test_a_file_that_is_no_lock_is_named_with_how_to_mend_it(tmp_path: Path, body: bytes) -> None:
    lock_path(tmp_path).write_bytes(body)
    with pytest.raises(SkillFileError, match=r"skillforge\.lock") as caught:
        read_lock(tmp_path)
    assert "restore it from git" in caught.value.hint


@pytest.mark.parametrize(
    "versions", [{"01": ONE}, {"0": ONE}, {" 1": ONE}, {"1.0": ONE}, {"1": "x"}, {"1": ONE, "2": ONE}, {"1": 3}, [ONE]]
)
def test_only_a_plain_number_is_a_version_and_a_content_has_one(versions: Any) -> None:
    body = {"schema": LOCK_SCHEMA, "skills": {"a": {"versions": versions}}}
    with pytest.raises(SkillFileError):
        parse_lock(json.dumps(body).encode(), "l")


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "1"},
        {"version": 0},
        {"version": True},
        {"version": 2},  # versions says otherwise
        {"digest": ""},
        {"digest": "sha256:12"},
        {"student": ""},
        {"student": "a\x1b[2Jb"},
        {"reason": "two\nlines"},
        {"by": "\u202ehidden"},
        {"reason": "x" * 1_001},
        {"alias": "latest"},
        {"alias": "v3"},
        {"alias": "Production"},
        {"action": "remove"},
        {"action": "delete"},
        {"version": None},
        {"extra": 1},
    ],
)
def test_a_move_that_could_mislead_is_refused(changes: dict[str, Any]) -> None:
    body = {**move(1, 1).model_dump(mode="json"), **changes}
    data = {"schema": LOCK_SCHEMA, "skills": {"a": {"versions": {"1": ONE, "2": TWO}, "moves": [body]}}}
    with pytest.raises(SkillFileError, match=r"moves|move m1"):
        parse_lock(json.dumps(data).encode(), "l")


def test_a_move_that_stands_twice_after_a_merge_is_told() -> None:
    one = move(1, 1).model_dump(mode="json")
    data = {"schema": LOCK_SCHEMA, "skills": {"a": {"moves": [one, one]}}}
    with pytest.raises(SkillFileError, match="the move m1 stands twice"):
        parse_lock(json.dumps(data).encode(), "l")


@pytest.mark.parametrize("style", ["merge", "diff3"])
def test_a_merge_conflict_is_told_with_its_line_and_the_way_out(style: str) -> None:
    lines = lock_bytes(Lock(skills={"a": moved(move(1, 1))})).decode().splitlines()
    base = ["||||||| 1234567", lines[4]] if style == "diff3" else []
    lines[4:5] = ["<<<<<<< HEAD", lines[4], *base, "=======", lines[4], ">>>>>>> theirs"]
    with pytest.raises(SkillFileError, match=r"^l:5: holds a merge conflict") as caught:
        parse_lock("\n".join(lines).encode(), "l")
    assert "moves of both sides" in caught.value.hint


def test_words_that_look_like_a_conflict_are_none() -> None:
    lock = Lock(skills={"a": moved(move(1, 1, reason="<<<<<<< and >>>>>>> and ======="))})
    assert parse_lock(lock_bytes(lock), "l") == lock


def test_a_huge_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    lock_path(tmp_path).write_bytes(b" " * (16 * 1_048_576 + 1))
    with pytest.raises(SkillFileError, match="longer than"):
        read_lock(tmp_path)
    lock_path(tmp_path).unlink()
    lock_path(tmp_path).mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        read_lock(tmp_path)


# aliases


def test_an_alias_points_where_its_last_move_says() -> None:
    entry = moved(move(1, 1), move(2, 2, "staging"), move(3, 2))
    assert {alias: to.version for alias, to in entry.aliases.items()} == {"production": 2, "staging": 2}
    gone = entry.moved(move(4, None))
    assert gone.alias("production") is None
    assert list(gone.aliases) == ["staging"]
    assert gone.versions == {1: ONE, 2: TWO}


def test_rolling_back_goes_further_back_and_never_to_and_fro() -> None:
    entry = moved(move(1, 1), move(2, 2), move(3, 3, "staging"), move(4, 3))
    found = []
    for number in range(5, 7):
        entry = rolled_back(entry, number)
        to = entry.alias("production")
        assert to is not None
        found.append(to.version)
    assert found == [2, 1]
    assert entry.before("production") is None
    assert entry.before("staging") is None


def test_a_promotion_after_a_rollback_is_what_the_next_one_takes_back() -> None:
    entry = rolled_back(moved(move(1, 1), move(2, 2)), 3).moved(move(4, 3))
    before = entry.before("production")
    assert before is not None
    assert before.version == 1


def test_a_removal_is_undone_and_passed_over() -> None:
    removed = moved(move(1, 1), move(2, 2), move(3, None))
    again = rolled_back(removed, 4)
    assert again.aliases["production"].version == 2
    before = moved(move(1, 1), move(2, None), move(3, 2)).before("production")
    assert before is not None
    assert before.version == 1


def test_the_same_version_on_another_student_is_another_target() -> None:
    entry = moved(move(1, 1), move(2, 1, student="scripted:t"))
    before = entry.before("production")
    assert before is not None
    assert before.student == "scripted:s"


def test_what_was_promoted_twice_is_one_step_back() -> None:
    entry = moved(move(1, 1), move(2, 2, accepted_risk="x"), move(3, 2))
    before = entry.before("production")
    assert before is not None
    assert before.version == 1


def test_moves_that_a_merge_put_together_still_lead_somewhere() -> None:
    entry = moved(move(1, 1), move(2, 3, action="rollback"), move(3, 2))
    before = entry.before("production")
    assert before is not None
    assert before.version == 3


@given(st.lists(st.sampled_from(["1", "2", "3", "remove", "rollback"]), max_size=12))
def test_rolling_back_ends_and_shows_each_promotion_at_most_once(steps: list[str]) -> None:
    entry = LockedSkill()
    for number, step in enumerate(steps):
        if step == "rollback":
            entry = rolled_back(entry, number) if entry.before("production") else entry
        else:
            entry = entry.moved(move(number, None if step == "remove" else int(step)))
    for number in range(len(steps), 2 * len(steps) + 1):
        if entry.before("production") is None:
            break
        entry = rolled_back(entry, number)
    assert entry.before("production") is None


@pytest.mark.parametrize("text", ["", "plain", "Grüße, 東京", "x" * 1_000])
def test_one_printable_line_is_kept(text: str) -> None:
    assert one_line(text) == text
