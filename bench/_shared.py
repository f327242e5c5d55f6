"""What the scripts here share: the command in a process of its own, and plain tables."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Done:
    """One finished command; ``seconds`` is wall-clock time, the interpreter's start included."""

    code: int
    out: str
    err: str
    seconds: float


def environment(**extra: str) -> dict[str, str]:
    """This environment without what would change the command's behaviour."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SKILLFORGE_", "PYTHON"))}
    return {**clean, "PYTHONWARNINGS": "error", **extra}


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "skillforge", *args]


def skillforge(
    *args: str, cwd: Path, stdin: bytes = b"", env: Mapping[str, str] | None = None, timeout_s: float = 60
) -> Done:
    """Run the command to its end; after ``timeout_s`` it is killed, which is a broken promise too."""
    started = time.perf_counter()
    done = subprocess.run(
        command(*args), cwd=cwd, input=stdin, env=env or environment(), capture_output=True, timeout=timeout_s
    )
    return Done(done.returncode, _text(done.stdout), _text(done.stderr), time.perf_counter() - started)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def print_table(rows: Sequence[Sequence[object]]) -> None:
    """The first row is the head."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for number, row in enumerate(texts):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def finish(broken: Sequence[str]) -> None:
    """Say which promises broke and exit accordingly."""
    for line in broken:
        print(f"BROKEN: {line}")
    raise SystemExit(1 if broken else 0)
