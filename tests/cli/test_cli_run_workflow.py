"""``skillforge run`` of a workflow: tools, step lines, a plan, going on after a kill."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from moods import Cli

SKILL = """\
schema: skillforge/v1
name: refund
description: Refund an order and say so.
input: {order_id: {type: string}, lines: {type: array, items: {type: string}, default: [a, b]}}
output: {refunded: {type: number}, said: {type: string}}
tools:
- {name: get_order, parameters: {type: object, properties: {order_id: {type: string}}, required: [order_id]}}
- name: refund_order
  effect: write
  idempotency_key: key
  parameters:
    type: object
    properties: {order_id: {type: string}, amount: {type: number}, key: {type: string}}
    required: [order_id, amount, key]
- name: notify
  effect: write
  parameters: {type: object, properties: {line: {type: string}, text: {type: string}}, required: [line, text]}
steps:
- {id: order, tool: get_order, args: {order_id: {from: order_id}}}
- id: refund
  tool: refund_order
  args: {order_id: {from: order_id}, amount: {from: steps.order.total}}
- {id: reply, prompt: "{{ steps.refund }}", output: {text: {type: string}}}
- {id: tell, each: {from: lines}, tool: notify, args: {line: {from: item}, text: {from: steps.reply.text}}}
result: {refunded: {from: steps.order.total}, said: {from: steps.reply.text}}
"""
TOOLS = '''
import json
import os
import sqlite3
import time
from contextlib import closing

from skillforge import tool


def note(name):
    with closing(sqlite3.connect("shop.db", isolation_level=None, timeout=10)) as db:
        db.execute("CREATE TABLE IF NOT EXISTS calls (tool TEXT)")
        db.execute("INSERT INTO calls VALUES (?)", (name,))
    while os.path.exists(f"hold-{name}"):
        time.sleep(0.01)


def get_order(order_id: str) -> dict:
    """Look an order up."""
    note("get_order")
    return {"total": 12.5}


@tool(effect="write", idempotency_key="key")
def refund_order(order_id: str, amount: float, key: str) -> dict:
    note("refund_order")
    return {"amount": amount}


@tool(effect="write")
def notify(line: str, text: str) -> dict:
    note("notify")
    return {"sent": True}


tools = [get_order, refund_order, notify]
'''
MODEL = "answers:\n- {when: {role: 'run:reply'}, reply: {text: It is done.}}\n"
RUN = ("run", "refund", "-i", "order_id=o1", "--student", "scripted:model.yaml")
TOOLED = (*RUN, "--tools", "cli_shop:tools")


@pytest.fixture
def shop(repo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (repo / "skills/refund").mkdir()
    (repo / "skills/refund/skill.yaml").write_text(SKILL)
    (repo / "cli_shop.py").write_text(TOOLS)
    (repo / "model.yaml").write_text(MODEL)
    monkeypatch.delitem(sys.modules, "cli_shop", raising=False)
    return repo


def calls(root: Path) -> list[str]:
    if not (root / "shop.db").exists():
        return []
    with closing(sqlite3.connect(root / "shop.db", timeout=10)) as db:
        return [name for (name,) in db.execute("SELECT tool FROM calls ORDER BY rowid")]


def test_a_workflow_prints_its_result_and_tells_its_steps(cli: Cli, shop: Path) -> None:
    done = cli(*TOOLED, "--yes")
    assert (done.code, done.json) == (0, {"refunded": 12.5, "said": "It is done."})
    assert "order · tool get_order · ok" in done.err
    assert "reply · prompt · ok" in done.err
    assert "tell[1] · tool notify · ok" in done.err
    assert calls(shop) == ["get_order", "refund_order", "notify", "notify"]


def test_json_holds_the_steps(cli: Cli, shop: Path) -> None:
    run = cli(*TOOLED, "--yes", "--json").json
    assert [step["key"] for step in run["steps"]] == ["order", "refund", "reply", "tell[0]", "tell[1]"]
    assert [step["status"] for step in run["steps"]] == ["ok"] * 5


def test_what_a_tool_prints_is_no_part_of_the_result(cli: Cli, shop: Path) -> None:
    (shop / "cli_shop.py").write_text(TOOLS.replace('    note("get_order")', '    note("get_order"); print("so loud")'))
    done = cli(*TOOLED, "--yes", "--json")
    assert done.json["status"] == "ok"
    assert "so loud" in done.err


def test_a_plan_calls_nothing(cli: Cli, shop: Path) -> None:
    done = cli(*RUN, "--plan")
    assert done.code == 0
    assert '1. order · tool get_order(order_id="o1")' in done.out
    assert "amount=<steps.order.total>" in done.out
    assert "for each of lines (2)" in done.out
    assert "It would write: refund, tell" in done.err
    assert calls(shop) == []
    planned = cli(*RUN, "--plan", "--json").json
    assert [step["id"] for step in planned] == ["order", "refund", "reply", "tell"]
    assert [step["writes"] for step in planned] == [False, True, False, True]


def test_a_plan_of_a_skill_without_steps_is_refused(cli: Cli, repo: Path) -> None:
    assert "has no steps" in cli("run", "mood", "-i", "text=hi", "--plan").err


def test_missing_tools_are_named_with_their_flags(cli: Cli, shop: Path) -> None:
    done = cli(*RUN)
    assert done.code == 2
    assert "get_order, refund_order, notify" in done.err
    assert "--tools" in done.err
    assert "--mcp" in done.err


def test_nobody_writes_unasked_and_yes_goes_on(cli: Cli, shop: Path) -> None:
    refused = cli(*TOOLED)
    assert refused.code == 2
    assert "--yes" in refused.err
    assert calls(shop) == ["get_order"]
    done = cli(*TOOLED, "--yes")
    assert done.code == 0
    assert "after step order" in done.err
    assert calls(shop) == ["get_order", "refund_order", "notify", "notify"]


def start(root: Path, *more: str) -> subprocess.Popen[bytes]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SKILLFORGE_")}
    command = [sys.executable, "-m", "skillforge", *TOOLED, "--yes", *more]
    return subprocess.Popen(command, cwd=root, env=clean, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def killed_inside(root: Path, tool: str) -> None:
    """Run in a process of its own, and kill it while that tool is called."""
    (root / f"hold-{tool}").touch()
    with start(root) as process:
        deadline = time.monotonic() + 30
        while tool not in calls(root) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    (root / f"hold-{tool}").unlink()


def test_killed_between_and_inside_steps_every_write_with_a_key_has_one_key(cli: Cli, shop: Path) -> None:
    killed_inside(shop, "refund_order")
    done = cli(*TOOLED, "--yes", "--json")
    assert done.json["status"] == "ok"
    assert "resuming run" in done.err
    assert "order · tool get_order · taken over" in done.err
    assert calls(shop) == ["get_order", "refund_order", "refund_order", "notify", "notify"]


def test_killed_inside_a_write_without_a_key_it_is_named_and_not_repeated(cli: Cli, shop: Path) -> None:
    killed_inside(shop, "notify")
    done = cli(*TOOLED, "--yes")
    assert done.code == 1
    assert "notify was started and nobody knows whether it happened" in done.err
    assert calls(shop).count("notify") == 1


def test_fresh_names_the_writes_and_needs_a_yes(cli: Cli, shop: Path) -> None:
    (shop / "model.yaml").write_text("answers: []\n")
    assert cli(*TOOLED, "--yes").code == 4
    (shop / "model.yaml").write_text(MODEL)  # to the registry that is another model
    refused = cli(*TOOLED, "--yes")
    assert refused.code == 2
    assert "is unfinished; it has written: refund" in refused.err
    refused = cli(*TOOLED, "--fresh")
    assert refused.code == 2
    assert "begun these writes: refund" in refused.err
    assert calls(shop).count("refund_order") == 1
    done = cli(*TOOLED, "--fresh", "--yes")
    assert done.code == 0
    assert "is forgotten" in done.err
    assert calls(shop).count("refund_order") == 2


def test_a_recording_of_tools_answers_in_their_place(cli: Cli, shop: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"tool": "get_order", "arguments": {"order_id": "o1"}, "content": {"total": 3}},
        {"tool": "refund_order", "arguments": {"order_id": "o1", "amount": 3}, "content": {"amount": 3}},
        {"tool": "notify", "arguments": {"line": "a", "text": "It is done."}, "content": {}},
    ]
    (shop / "calls.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = cli(*RUN, "-i", 'lines=["a"]', "--tool-recording", "calls.jsonl")
    assert (done.code, done.json["refunded"]) == (0, 3)
    missing = cli(*RUN, "-i", 'lines=["b"]', "--tool-recording", "calls.jsonl")
    assert missing.code == 4
    assert "the recording calls.jsonl holds no call notify" in missing.err


def test_tools_are_refused_for_a_skill_that_calls_none(cli: Cli, shop: Path) -> None:
    assert cli("run", "mood", "-i", "text=so happy", "--tools", "cli_shop:tools").code == 2


def test_an_eval_does_not_write_for_real(cli: Cli, shop: Path) -> None:
    (shop / "evals/refund.yaml").write_text(
        "schema: skillforge/suite/v1\nname: refund\ndecision: {metric: /refunded}\ncases: file://refund.jsonl\n"
    )
    (shop / "evals/refund.jsonl").write_text(
        '{"id": "a", "input": {"order_id": "o1"}, "expected": {"refunded": 12.5, "said": "x"}}\n'
    )
    asked = ("eval", "refund", "--students", "scripted:model.yaml", "--teacher", "scripted:model.yaml")
    done = cli(*asked, "--tools", "cli_shop:tools")
    assert done.code == 2
    assert "refund_order, notify of refund would" in done.err
    assert "--sandbox" in done.err
    assert calls(shop) == []
