"""A small repository with scripted models, and the command run in this process as ``main`` runs it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from moods import AUTHORED, RIGHT, SKILL, SUITE, TEST, TRAIN, Cli, Result

from skillforge.cli.app import main


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    for name in ("SKILLFORGE_DB", "SKILLFORGE_STORE_IO", "SKILLFORGE_DEBUG"):
        monkeypatch.delenv(name, raising=False)

    def run(*args: str, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "argv", ["skillforge", *args])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        code = ended.value.code or 0
        assert isinstance(code, int)
        return Result(code, told.out, told.err)

    return run


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is no repository, with scripted models and cases; the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "teacher.yaml").write_text(f"answers:\n{AUTHORED}{RIGHT}log: teacher.log\n")
    (tmp_path / "right.yaml").write_text(f"answers:\n{RIGHT}log: right.log\n")
    (tmp_path / "wrong.yaml").write_text("default: {mood: good, why: message}\n")
    (tmp_path / "flaky.yaml").write_text(f"answers:\n{RIGHT}fail_every: 10\n")
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals" / "mood.yaml").write_text(SUITE)
    rows = []
    for number in range(TRAIN + TEST):
        mood, word = ("good", "happy") if number % 2 else ("bad", "sad")
        case: dict[str, Any] = {"id": f"m{number}", "input": {"text": f"message {number}: I am {word}"}}
        case |= {"expected": {"mood": mood, "why": word}, "split": "train" if number < TRAIN else "test"}
        rows.append(json.dumps(case) + "\n")
    (tmp_path / "evals" / "mood.jsonl").write_text("".join(rows))
    return tmp_path


@pytest.fixture
def repo(empty: Path) -> Path:
    """The same as a repository with the skill ``mood``."""
    (empty / ".skillforge").mkdir()
    home = empty / "skills" / "mood"
    home.mkdir(parents=True)
    (home / "skill.yaml").write_text(SKILL)
    return empty
