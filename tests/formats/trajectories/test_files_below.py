"""Which files of a folder are read as trajectories."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from skillforge.formats.trajectories.detect import files_below


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_named_pipes_and_links_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{}\n")
    os.mkfifo(tmp_path / "b.jsonl")
    (tmp_path / "c.jsonl").symlink_to(tmp_path / "a.jsonl")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "d.json").write_text("{}")
    assert [path.name for path in files_below(tmp_path)] == ["a.jsonl", "d.json"]
