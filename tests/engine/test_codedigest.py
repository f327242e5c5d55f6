from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from skillforge.engine.codedigest import code_digest

_SETS = """
from skillforge.engine.codedigest import code_digest
from skillforge.engine.execute import PromptExecutor
from skillforge.providers.scripted import Scripted

def check(output, given=None):
    return output in {"alpha", "beta", "gamma", "delta", "epsilon"}

print(code_digest(check), PromptExecutor(Scripted(default="x", name="s"), custom_checks={"known": check}).identity)
"""


def asks(known: Any) -> Any:
    def function(given: dict[str, Any]) -> Any:
        return known

    return function


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (re.compile("crash"), re.compile("charge")),
        (re.compile("x" * 300 + "a"), re.compile("x" * 300 + "b")),
        (re.compile("crash"), re.compile("crash", re.IGNORECASE)),
        (Decimal("0.5"), Decimal("0.6")),
        (Path("a.txt"), Path("b.txt")),
        (date(2026, 1, 1), date(2026, 1, 2)),
    ],
)
def test_what_a_function_closes_over_is_named_by_value(one: Any, other: Any) -> None:
    assert code_digest(asks(one)) == code_digest(asks(one))
    assert code_digest(asks(one)) != code_digest(asks(other))


def test_the_digest_is_the_same_in_every_process(tmp_path: Path) -> None:
    script = tmp_path / "sets.py"
    script.write_text(_SETS)
    said = {
        subprocess.run(
            [sys.executable, str(script)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1
