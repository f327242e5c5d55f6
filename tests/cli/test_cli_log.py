"""``skillforge log``: importing and looking at recorded calls."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from moods import Cli


def pair(text: str, number: int = 0) -> dict[str, Any]:
    return {
        "timestamp": 1_759_309_200 + number,
        "request": {"model": "gpt-6-luna", "messages": [{"role": "user", "content": text}]},
        "response": {
            "choices": [{"finish_reason": "stop", "message": {"content": "billing"}}],
            "usage": {"prompt_tokens": 1200, "completion_tokens": 7},
        },
    }


@pytest.fixture
def log(repo: Path) -> Path:
    path = repo / "calls.jsonl"
    path.write_text(json.dumps(pair("I was charged twice")) + "\n" + json.dumps(pair("\x1b[31mred", 1)) + "\n{cut")
    return path


def test_import_says_what_became_of_the_records(cli: Cli, log: Path):
    done = cli("log", "import", str(log), "--tag", "app=support")
    assert done.code == 0
    assert done.out == "2 calls read, 2 new, 0 known\n"
    assert "put aside, because unreadable: 1, with the reasons in " in done.err
    assert "skillforge scan" in done.err
    again = json.loads(cli("log", "import", str(log), "--json").out)
    assert (again["new"], again["known"], again["quarantined"]) == (0, 2, 1)
    assert Path(again["quarantine"]).exists()


def test_list_shows_the_newest_calls_without_terminal_escapes(cli: Cli, log: Path):
    cli("log", "import", str(log))
    told = cli("log", "list").out
    head, first, second = told.splitlines()
    assert head.split() == ["time", "model", "in", "out", "$", "says"]
    assert first.startswith("2025-10-01 09:00:01  gpt-6-luna  1,200    7  0.0")
    assert first.endswith("[31mred")
    assert second.endswith("I was charged twice")
    assert "\x1b" not in told
    (newest,) = json.loads(cli("log", "list", "--limit", "1", "--json").out)
    assert newest["messages"][0]["content"][0]["text"] == "\x1b[31mred"


def test_an_empty_log_says_how_to_fill_it(cli: Cli, repo: Path):
    told = cli("log", "list")
    assert (told.code, told.out) == (0, "")
    assert "skillforge log import" in told.err
    assert cli("log", "list", "--json").out == "[]\n"


def test_wrong_use_exits_with_2_and_says_what_is_known(cli: Cli, repo: Path):
    odd = repo / "odd.jsonl"
    odd.write_text('{"odd": 1}\n')
    told = cli("log", "import", str(odd))
    assert told.code == 2
    assert "of no known format (its records hold: odd)" in told.err
    assert "LiteLLM" in told.err
    assert cli("log", "import", "missing.jsonl").code == 2
    assert cli("log", "import", str(odd), "--tag", "novalue").code == 2
    assert cli("log", "import").code == 2
    bare = cli("log")
    assert bare.code == 2
    assert "import" in bare.err


@pytest.mark.parametrize("form", ["empty", "blank", "cut gzip", "unreadable"])
def test_an_import_that_cannot_have_done_what_was_wanted_exits_with_1(cli: Cli, repo: Path, form: str):
    whole = "".join(json.dumps(pair(f"I was charged {n} times", n)) + "\n" for n in range(50)).encode()
    content, reason = {
        "empty": (b"", "calls.log: the file is empty"),
        "blank": (b" \n\n", "calls.log: the file is empty"),
        "cut gzip": (gzip.compress(whole)[:-200], "the gzip file ends early"),
        "unreadable": (b'{"request": \n{"request": ', "calls.log, line 1: the record is cut off"),
    }[form]
    (repo / "calls.log").write_bytes(content)
    told = cli("log", "import", "calls.log")
    assert told.code == 1
    assert reason in told.err
    assert cli("log", "import", "calls.log", "--json").code == 1
