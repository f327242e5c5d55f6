from __future__ import annotations

import sys
from pathlib import Path

import pytest

from skillforge.errors import UsageError
from skillforge.functions import load_function


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_a_function_is_found_in_the_current_folder_and_may_import_its_neighbours(tmp_path: Path):
    (tmp_path / "fn_neighbour.py").write_text("VALUE = 5\n")
    (tmp_path / "fn_mine.py").write_text("def solve():\n    from fn_neighbour import VALUE\n    return VALUE\n")
    assert load_function("fn_mine:solve")() == 5
    assert sys.path.index(str(tmp_path)) == len(sys.path) - 1, "no file there stands in for an installed package"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("raise RuntimeError('boom\\nbang')", "RuntimeError: boom bang"),
        ("import sys; sys.exit('no')", "SystemExit: no"),
        ("import no_such_package_here", "cannot be imported: No module named 'no_such_package_here'"),
        ("def solve(", "SyntaxError"),
    ],
)
def test_whatever_a_module_does_at_its_import_is_the_callers_to_mend(tmp_path, text, why):
    name = f"fn_broken_{abs(hash(text))}"
    (tmp_path / f"{name}.py").write_text(text)
    with pytest.raises(UsageError, match=why):
        load_function(f"{name}:solve")


@pytest.mark.parametrize("text", ["", "json", "json:", ":dumps", "json:no", "json:__name__", "no.such:x"])
def test_what_names_no_function_is_refused(text):
    with pytest.raises(UsageError):
        load_function(text)
