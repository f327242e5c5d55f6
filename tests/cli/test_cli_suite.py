from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest

from skillforge.forge.forge import Forge
from skillforge.suitefile import read_suite

SYSTEM = "You sort support tickets of a web shop. Answer with one word: billing or bug. Never explain yourself."


def words(number: int) -> str:
    source = random.Random(number)
    return " ".join("".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(8))


def line(number: int) -> str:
    ticket = f"{words(number)} says {'Ada' if number % 3 else 'Bob'}"
    asked = f"Here is the ticket to sort:\n{ticket}\nWhich queue does it belong to?"
    answer = {"role": "assistant", "content": "billing" if number % 2 else "bug"}
    request = {
        "model": "gpt-6-luna",
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked}],
    }
    response = {
        "id": f"r{number}",
        "object": "chat.completion",
        "created": 1_790_000_000 + number,
        "model": "gpt-6-luna-2026",
        "choices": [{"index": 0, "finish_reason": "stop", "message": answer}],
        "usage": {"prompt_tokens": 80, "completion_tokens": 2, "total_tokens": 82},
    }
    return json.dumps({"request": request, "response": response}) + "\n"


@pytest.fixture
def group(empty: Path) -> str:
    """The name of the one group in ``calls.jsonl``, already scanned; the current folder is a repository."""
    (empty / ".skillforge").mkdir()
    (empty / "calls.jsonl").write_text("".join(line(number) for number in range(50)))
    with Forge(empty) as forge:
        (found,) = forge.traffic.scan([empty / "calls.jsonl"]).groups
    return found.name


def test_a_group_becomes_a_suite_and_its_labels_are_asked_for(cli, group, empty):
    told = cli("suite", "from-log", group, "calls.jsonl", "--limit", "20", "--name", "triage")
    assert told.code == 0
    first, second, third, *strata = told.out.splitlines()
    assert first == f"{empty}/evals/triage.yaml: 20 cases (8 train, 2 dev, 10 test), metric /label"
    assert second == f" cases in {empty}/evals/triage.jsonl"
    assert third == " from 50 calls"
    assert [row.split() for row in strata] == [["billing", "10"], ["bug", "10"]]
    assert "a verdict needs labels by people\n  -> give them: skillforge review triage" in told.err
    labelled = cli("review", "triage", stdin=b"1\n2\n" * 20)
    assert "labelled" in labelled.out
    assert any(case.expected for case in read_suite(empty / "evals" / "triage.yaml").cases)


def test_json_says_the_same(cli, group):
    told = cli("suite", "from-log", group, "calls.jsonl", "--json").json
    assert (told["cases"], told["metric"], told["splits"]) == (50, "/label", {"train": 20, "dev": 5, "test": 25})


def test_a_mask_of_ones_own_is_applied(cli, group, empty, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (empty / "privacy_of_mine.py").write_text("def without_names(text):\n    return text.replace('Ada', '[name]')\n")
    told = cli("suite", "from-log", group, "calls.jsonl", "--name", "m", "--mask", "privacy_of_mine:without_names")
    assert told.code == 0
    assert "Ada" not in (empty / "evals" / "m.jsonl").read_text()
    assert "says [name]" in (empty / "evals" / "m.jsonl").read_text()


@pytest.mark.parametrize(
    ("mask", "part"),
    [
        ("privacy", "must be module:function"),
        ("no_such_module:x", "ModuleNotFoundError"),
        ("json:nothing", "AttributeError"),
        ("math:floor", "raised TypeError"),
        ("builtins:len", "returned int, not text"),
    ],
)
def test_a_mask_that_does_not_work_writes_nothing(cli, group, empty, monkeypatch, mask, part):
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = sorted((empty / "evals").iterdir())
    told = cli("suite", "from-log", group, "calls.jsonl", "--mask", mask)
    assert told.code == 2
    assert part in told.err
    assert sorted((empty / "evals").iterdir()) == before


def test_a_second_suite_of_that_name_is_refused(cli, group):
    assert cli("suite", "from-log", group, "calls.jsonl", "--name", "t").code == 0
    again = cli("suite", "from-log", group, "calls.jsonl", "--name", "t")
    assert again.code == 2
    assert "a suite is frozen" in again.err


def test_suite_alone_shows_its_help(cli, empty):
    told = cli("suite")
    assert told.code == 2
    assert "from-log" in told.err
