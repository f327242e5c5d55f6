from __future__ import annotations

from pathlib import Path

import pytest

from skillforge.config import Settings, database_path, find_root, read_settings, store_io
from skillforge.errors import SkillFileError, UsageError


@pytest.mark.parametrize("mark", ["skillforge.toml", "skillforge.lock", ".skillforge"])
def test_the_root_is_the_nearest_marked_parent(tmp_path, mark):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / ".skillforge").mkdir()
    (tmp_path / "a" / mark).touch()
    assert find_root(inner) == tmp_path / "a"
    assert find_root(tmp_path) == tmp_path


def test_without_a_mark_there_is_no_root():
    assert find_root(Path("/")) is None


def test_a_link_into_a_repository_finds_its_root(tmp_path, repo):
    (repo / "skills").mkdir()
    (tmp_path / "link").symlink_to(repo / "skills")
    assert find_root(tmp_path / "link") == repo


def test_settings_come_from_the_file_and_default_without_one(tmp_path):
    assert read_settings(tmp_path) == Settings()
    (tmp_path / "skillforge.toml").write_text('student = "local:a"\nstore_io = "none"\n')
    found = read_settings(tmp_path)
    assert (found.student, found.teacher, found.store_io) == ("local:a", "", "none")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("studnt = 'x'", ["studnt: unknown key", "did you mean 'student'?"]),
        ("store_io = 'all'", ["store_io:", "'none', 'redacted' or 'full'"]),
        ("student = 5", ["student:", "string"]),
        ("student = ", ["not TOML"]),
        ("zzz = 1\nstudent = 5", ["zzz: unknown key", "student:"]),
    ],
)
def test_a_wrong_settings_file_is_named(tmp_path, text, parts):
    (tmp_path / "skillforge.toml").write_text(text)
    with pytest.raises(SkillFileError) as caught:
        read_settings(tmp_path)
    for part in [str(tmp_path / "skillforge.toml"), *parts]:
        assert part in str(caught.value)


def test_a_settings_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "skillforge.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SkillFileError, match="not TOML"):
        read_settings(tmp_path)
    (tmp_path / "skillforge.toml").unlink()
    (tmp_path / "skillforge.toml").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        read_settings(tmp_path)


def test_the_environment_wins(tmp_path, monkeypatch):
    assert database_path(tmp_path) == tmp_path / ".skillforge" / "registry.db"
    monkeypatch.setenv("SKILLFORGE_DB", str(tmp_path / "x.db"))
    assert database_path(tmp_path) == tmp_path / "x.db"
    assert store_io(Settings(store_io="none")) == "none"
    monkeypatch.setenv("SKILLFORGE_STORE_IO", "full")
    assert store_io(Settings(store_io="none")) == "full"
    monkeypatch.setenv("SKILLFORGE_STORE_IO", "some")
    with pytest.raises(UsageError, match="'some'") as caught:
        store_io(Settings())
    assert "none, redacted or full" in caught.value.hint
