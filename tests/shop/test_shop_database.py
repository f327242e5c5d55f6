"""The shop's file: always the same, never overwritten, one writer at a time."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from skillforge.errors import ToolUnavailable, UsageError
from skillforge.shop import sandbox
from skillforge.shop.database import VARIABLE, Database, create


def test_two_new_shops_hold_the_same(tmp_path):
    first, second = create(tmp_path / "a.db"), create(tmp_path / "b.db")
    assert first.read_bytes() == second.read_bytes()


def test_a_file_that_exists_is_never_overwritten(tmp_path):
    path = create(tmp_path / "shop.db")
    with pytest.raises(UsageError, match="exists already"):
        create(path)


def test_a_shop_that_is_not_there_is_unavailable_and_says_how_to_make_it(tmp_path):
    with pytest.raises(ToolUnavailable, match="there is no shop") as missing, Database(tmp_path / "no.db").reading():
        pass
    assert "skillforge.shop.create" in missing.value.hint
    assert not (tmp_path / "no.db").exists()


def test_the_variable_names_the_shop_when_it_is_called(tmp_path, monkeypatch):
    from skillforge.shop import tools

    monkeypatch.setenv(VARIABLE, str(create(tmp_path / "named.db")))
    by_name = {function.__name__: function for function in tools}
    assert by_name["get_order"]("L-70311")["customer"] == "Anna Berger"


def test_every_sandbox_is_a_shop_of_its_own(tmp_path):
    with sandbox({"any": "input"}) as first, sandbox() as second:
        ones, others = ({function.__name__: function for function in given} for given in (first, second))
        ones["cancel_order"]("L-70353")
        assert ones["get_order"]("L-70353")["status"] == "cancelled"
        assert others["get_order"]("L-70353")["status"] == "processing"


def test_ten_writers_at_once_refund_an_order_once(tools, rows):
    def refund(number: int) -> object:
        try:
            return tools["refund_order"]("L-70325", 129.0, "changed_mind", f"key {number}")
        except ValueError as exc:
            return str(exc)

    with ThreadPoolExecutor(10) as pool:
        said = list(pool.map(refund, range(10)))
    assert sum(isinstance(answer, dict) for answer in said) == 1
    assert [row["order_id"] for row in rows("refunds")].count("L-70325") == 1


def test_a_shop_is_made_from_the_command_line(tmp_path):
    command = [sys.executable, "-m", "skillforge.shop.create", "shop.db"]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (first.returncode, first.stdout.strip()) == (0, "shop.db")
    assert again.returncode == 2
    assert "exists already" in again.stderr
