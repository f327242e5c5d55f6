"""Which session is this project's: never one of another."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from trajectory_samples import codex_session, jsonl, pi_session

from skillforge.errors import NotFound
from skillforge.formats.trajectories.sessions import project_session
from tests.fakes.coding_sessions import bump, write_session


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def folder(path: Path, *, git: bool = False) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    if git:
        (path / ".git").mkdir()
    return path


def at(path: Path, second: int) -> Path:
    os.utime(path, (second, second))
    return path


def test_the_newest_of_this_project_is_taken_whatever_came_later_elsewhere(tmp_path: Path, home: Path) -> None:
    app, other = folder(tmp_path / "app", git=True), folder(tmp_path / "other", git=True)
    at(write_session(home, app, [bump()], "old"), 10)
    mine = at(write_session(home, app, [bump()], "new"), 20)
    at(write_session(home, other, [bump()], "elsewhere"), 30)
    assert project_session([app], {}, home).path == mine
    assert project_session([folder(app / "src"), app], {}, home).path == mine


def test_every_folder_of_a_git_repository_is_one_project(tmp_path: Path, home: Path) -> None:
    app = folder(tmp_path / "app", git=True)
    below = at(write_session(home, folder(app / "packages" / "one"), [bump()]), 10)
    assert project_session([app], {}, home).path == below
    nested = folder(app / "vendor" / "lib", git=True)
    at(write_session(home, nested, [bump()], "nested"), 20)
    assert project_session([app], {}, home).path == below


def test_a_session_below_a_folder_without_git_is_not_its_own(tmp_path: Path, home: Path) -> None:
    theirs = write_session(home, folder(tmp_path / "work" / "secret"), [bump()])
    with pytest.raises(NotFound, match="no session of a coding agent works in") as missing:
        project_session([tmp_path / "work"], {}, home)
    assert str(theirs) in missing.value.hint
    with pytest.raises(NotFound) as none:
        project_session([tmp_path], {}, tmp_path / "nobody")
    assert none.value.hint.startswith("name its file (looked in ~/.claude/projects")


def test_codex_and_pi_tell_their_folder_too(tmp_path: Path, home: Path) -> None:
    app = folder(tmp_path / "app")
    codex = codex_session()
    codex[0]["payload"]["cwd"] = str(app)
    codex_file = at(jsonl(home / ".codex" / "sessions" / "2026" / "rollout-1.jsonl", codex), 10)
    assert project_session([app], {}, home).path == codex_file
    pi = pi_session()
    pi[0]["cwd"] = str(app)
    pi_file = at(jsonl(home / ".pi" / "agent" / "sessions" / "x" / "y.jsonl", pi), 20)
    assert project_session([app], {}, home).path == pi_file


def test_what_names_no_folder_or_cannot_be_read_is_nobodys(tmp_path: Path, home: Path) -> None:
    app = folder(tmp_path / "app")
    at(jsonl(home / ".claude" / "projects" / "x" / "none.jsonl", [{"type": "user"}, "{broken", '{"cwd": "app"}']), 90)
    at(jsonl(home / ".claude" / "projects" / "x" / "zero.jsonl", ['{"cwd": "a\\u0000b"}']), 80)
    locked = at(write_session(home, app, [bump()], "locked"), 70)
    mine = at(write_session(home, app, [bump()], "mine"), 60)
    locked.chmod(0)
    if os.access(locked, os.R_OK):  # a superuser reads everything
        locked.unlink()
    assert project_session([app], {}, home).path == mine
