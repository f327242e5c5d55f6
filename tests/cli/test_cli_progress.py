"""Progress without a terminal: few lines, and a forecast that instant work does not spoil."""

from __future__ import annotations

import pytest

from skillforge.cli import _progress
from skillforge.cli._progress import Progress, download


def test_a_line_every_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("working", 1000) as bar:
        for _ in range(1000):
            bar.advance()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[0].startswith("working 1/1000")
    assert lines[-1].startswith("working 1000/1000")


def test_instant_work_forecasts_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now)
    bar = Progress("measuring", 20)
    for _ in range(10):
        bar.advance(instant=True)
    assert "left" not in capsys.readouterr().err
    now = 130.0
    bar.advance()
    bar.advance()
    assert "measuring 12/20 (30 s, about 2.0 min left)" in capsys.readouterr().err


def test_a_download_is_told_in_tenths(capsys: pytest.CaptureFixture[str]) -> None:
    show = download("weights")
    for done in range(0, 93_000_001, 100_000):
        show(done, 93_000_000)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[-1] == "weights: 93 of 93 MB"
