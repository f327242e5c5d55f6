"""Where coding agents keep their sessions, and which one is the latest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from trajectory_samples import claude_line, claude_session, codex_session, jsonl, pi_session

from skillforge.errors import NotFound
from skillforge.formats.trajectories.sessions import local_sessions, project_session, works_in


def home_with_sessions(home: Path) -> list[Path]:
    claude = jsonl(home / ".claude" / "projects" / "-home-me-app" / "s1.jsonl", claude_session())
    codex = jsonl(home / ".codex" / "sessions" / "2026" / "02" / "02" / "rollout-1.jsonl", codex_session())
    pi = jsonl(home / ".pi" / "agent" / "sessions" / "--home-me--" / "x.jsonl", pi_session())
    agent = claude_line("user", 1, "x", None, isSidechain=True)
    jsonl(claude.parent / "s1" / "subagents" / "agent-1.jsonl", [agent])
    jsonl(home / ".codex" / "history.jsonl", [{"text": "no session"}])
    for number, path in enumerate((claude, codex, pi)):
        os.utime(path, (1_000 + number, 1_000 + number))
    return [pi, codex, claude]


def test_sessions_of_three_agents_are_found_newest_first(tmp_path: Path) -> None:
    expected = home_with_sessions(tmp_path)
    found = local_sessions({}, tmp_path)
    assert [session.path for session in found] == expected
    assert [session.format for session in found] == ["pi", "codex", "claude-code"]


def test_an_agent_that_keeps_them_elsewhere_is_followed(tmp_path: Path) -> None:
    home_with_sessions(tmp_path)
    moved = jsonl(tmp_path / "moved" / "projects" / "p" / "s.jsonl", claude_session())
    found = local_sessions({"CLAUDE_CONFIG_DIR": str(tmp_path / "moved")}, tmp_path)
    assert [session.path for session in found if session.format == "claude-code"] == [moved]


def test_the_latest_session_is_the_one_that_works_here(tmp_path: Path) -> None:
    home_with_sessions(tmp_path)
    here = tmp_path / "app"
    here.mkdir()
    mine = jsonl(
        tmp_path / ".claude" / "projects" / "app" / "s2.jsonl", [claude_line("user", 1, "x", None, cwd=str(here))]
    )
    os.utime(mine, (10, 10))  # older than all others
    assert works_in(mine) == here
    assert project_session([here], {}, tmp_path).path == mine


def test_a_machine_without_sessions_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as missing:
        project_session([tmp_path], {}, tmp_path)
    assert "~/.claude/projects" in missing.value.hint
