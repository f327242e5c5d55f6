"""Fixtures for the store: real SQLite files, real processes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from skillforge.messages import Cost, Usage
from skillforge.redact import Redactor
from skillforge.run import Attempt, CheckResult, Run
from skillforge.skill import Skill
from skillforge.store.database import open_database

# Put together here, so that no scanner takes this file for a leak.
CANARY = "sk-ant-" + "api03-" + "Zq8canaryW3xT9vK2mN5bR7yU1oP4sD6" * 2

MakeSkill = Callable[..., Skill]
MakeRun = Callable[..., Run]
Opened = Callable[..., Database]


@pytest.fixture
def canary() -> str:
    return CANARY


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".skillforge" / "registry.db"


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Opens databases and closes them after the test."""
    databases: list[Database] = []

    def opener(path: Path) -> Database:
        databases.append(open_database(path))
        return databases[-1]

    yield opener
    for database in databases:
        database.close()


@pytest.fixture
def db(path: Path, opened: Opened) -> Database:
    return opened(path)


@pytest.fixture
def redactor() -> Redactor:
    return Redactor({})


@pytest.fixture
def make_skill() -> MakeSkill:
    def make(**changes: Any) -> Skill:
        body: dict[str, Any] = {
            "schema": "skillforge/v1",
            "name": "ticket-triage",
            "description": "Route one support ticket to a queue.",
            "input": {"ticket": {"type": "string"}, "locale": {"enum": ["en", "de"], "default": "en"}},
            "output": {"queue": {"enum": ["billing", "bug"]}, "amount": {"type": "number", "default": 1.0}},
            "instructions": "Choose the queue.",
            "prompt": "{{ ticket }}",
            "examples": {
                "items": [{"id": "a", "input": {"ticket": "Grüße 🐛"}, "output": {"queue": "bug", "amount": 1e-7}}]
            },
            "checks": [{"type": "not-contains", "value": "http://"}],
        }
        return Skill.model_validate(body | changes)

    return make


@pytest.fixture
def make_run() -> MakeRun:
    def make(**changes: Any) -> Run:
        body: dict[str, Any] = {
            "skill": "ticket-triage",
            "version": 3,
            "digest": "sha256:" + "ab" * 32,
            "student": "scripted:a",
            "model": "scripted-1",
            "status": "failed",
            "reason": "the queue is wrong",
            "input": {"ticket": "I was charged twice", "n": 1},
            "output": {"queue": "bug", "parts": ["a", 1.5, None, True]},
            "checks": (CheckResult(type="equals", passed=False, reason="'bug' is not 'billing'", path="/queue"),),
            "attempts": (
                Attempt(kind="student", text="{", problems=("not JSON",), stop="length", usage=Usage(input_tokens=7)),
                Attempt(kind="repair", text="{}", stop="stop", cost=Cost(usd=0.25, basis="list"), latency_s=0.5),
            ),
            "usage": Usage(input_tokens=7, cached_tokens=None, output_tokens=0, estimated=True),
            "cost": Cost(usd=None, estimated=True, basis="list 2026-11"),
            "latency_s": 1.25,
            "tags": {"tenant": "acme"},
        }
        return Run.model_validate(body | changes)

    return make


class Processes:
    """Python processes that all run one script; leftovers are killed and their pipes closed."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[str]] = []

    def start(self, script: str, *arguments: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.started.append(process)
        return process

    def finish(self) -> list[str]:
        """Wait for all; their outputs, after checking that none failed."""
        outputs = []
        for process in self.started:
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, err
            outputs.append(out)
        return outputs


@pytest.fixture
def processes() -> Iterator[Processes]:
    group = Processes()
    yield group
    for process in group.started:
        if process.poll() is None:
            process.kill()
        with process:  # closes the pipes and reaps
            pass
