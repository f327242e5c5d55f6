"""``kill -9`` between any two steps of a workflow, and inside them: every tool that writes was called exactly once.

    python bench/workflow_kills.py [kills] [seed]

A workflow reads an order, asks a model, refunds (a write with an idempotency key), packs three parcels (a write with a
key, once for each), asks again, and sends a message (a write without a key). Its tools write a row to a table of their
own small SQLite database at every call; a key that is there already is counted as a repeat and changes nothing, as a
payment provider would have it. Every tool sleeps before and after its row, so that kills land inside calls too.

For every kill the same command is started, killed at a random moment, and started again until it has ended; some are
killed several times. Promise: every write took effect exactly once. The one exception is a kill inside the call of the
tool without a key: nobody can know whether it happened, so the next start escalates, names it, and does not call it
again.
"""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from _shared import command, environment, finish, print_table, skillforge

TOOLS = """
import sqlite3, time
from contextlib import closing
from skillforge.tools.mark import tool


def write(name, key):
    time.sleep(0.02)
    with closing(sqlite3.connect("shop.db", isolation_level=None, timeout=30)) as db:
        done = db.execute("INSERT OR IGNORE INTO effects (tool, key) VALUES (?, ?)", (name, key)).rowcount
        db.execute("INSERT INTO calls (tool, key, effect) VALUES (?, ?, ?)", (name, key, done))
    time.sleep(0.02)


def get_order(order_id: str) -> dict:
    time.sleep(0.02)
    return {"total": 12.5, "parcels": ["a", "b", "c"]}


@tool(effect="write", idempotency_key="key")
def refund(order_id: str, amount: float, key: str) -> dict:
    write("refund", key)
    return {"amount": amount}


@tool(effect="write", idempotency_key="key")
def pack(parcel: str, key: str) -> dict:
    write(f"pack {parcel}", key)
    return {"packed": parcel}


@tool(effect="write")
def message(order_id: str, text: str) -> dict:
    write("message", None)
    return {"sent": True}


tools = [get_order, refund, pack, message]
"""
SKILL = """\
schema: skillforge/v1
name: returns
description: Refund an order and say so.
input: {order_id: {type: string}}
output: {refunded: {type: number}, said: {type: string}}
tools:
- {name: get_order, parameters: {type: object, properties: {order_id: {type: string}}, required: [order_id]}}
- name: refund
  effect: write
  idempotency_key: key
  parameters:
    type: object
    properties: {order_id: {type: string}, amount: {type: number}, key: {type: string}}
    required: [order_id, amount, key]
- name: pack
  effect: write
  idempotency_key: key
  parameters: {type: object, properties: {parcel: {type: string}, key: {type: string}}, required: [parcel, key]}
- name: message
  effect: write
  parameters: {type: object, properties: {order_id: {type: string}, text: {type: string}}, required: [order_id, text]}
steps:
- {id: order, tool: get_order, args: {order_id: {from: order_id}}}
- {id: judge, prompt: "{{ steps.order }}", output: {ok: {type: boolean}}}
- id: refund
  when: {from: steps.judge.ok, equals: true}
  tool: refund
  args: {order_id: {from: order_id}, amount: {from: steps.order.total}}
- {id: pack, each: {from: steps.order.parcels}, tool: pack, args: {parcel: {from: item}}}
- {id: reply, prompt: "{{ steps.refund }}", output: {text: {type: string}}}
- {id: message, tool: message, args: {order_id: {from: order_id}, text: {from: steps.reply.text}}}
result: {refunded: {from: steps.refund.amount}, said: {from: steps.reply.text}}
"""
MODEL = """\
answers:
- {when: {role: "run:judge"}, reply: {ok: true}}
- {when: {role: "run:reply"}, reply: {text: It is done.}}
latency_ms: 30
"""
RUN = (
    *("run", "returns", "-i", "order_id=o1", "--student", "scripted:model.yaml", "--tools", "returns_tools:tools"),
    *("--yes", "--json"),
)
WRITES = ("refund", "pack a", "pack b", "pack c", "message")
UNKNOWN = "nobody knows whether it happened"
MOST_STARTS = 12


def prepare(root: Path) -> None:
    (root / ".skillforge").mkdir()
    (root / "skills" / "returns").mkdir(parents=True)
    (root / "skills" / "returns" / "skill.yaml").write_text(SKILL)
    (root / "returns_tools.py").write_text(TOOLS)
    (root / "model.yaml").write_text(MODEL)
    with closing(sqlite3.connect(root / "shop.db")) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE effects (tool TEXT, key TEXT, UNIQUE (tool, key))")
        db.execute("CREATE TABLE calls (tool TEXT, key TEXT, effect INTEGER)")


def rows(root: Path, table: str) -> dict[str, int]:
    with closing(sqlite3.connect(root / "shop.db", timeout=30)) as db:
        return dict(db.execute(f"SELECT tool, count(*) FROM {table} GROUP BY tool"))


def killed(root: Path, after_s: float) -> tuple[bool, str]:
    """Start the command and kill it: whether it had not printed its run yet, and the last step it had told of.

    A run that is printed is delivered, though its process may still be alive: the same command again is another run.
    """
    with (root / "told").open("wb") as told, (root / "out").open("wb") as out:
        process = subprocess.Popen(command(*RUN), cwd=root, env=environment(), stdout=out, stderr=told)
        with process:
            while process.poll() is None and b"order " not in (root / "told").read_bytes():
                time.sleep(0.001)  # the interpreter's start is no part of the experiment
            time.sleep(after_s)
            process.kill()
    running = not (root / "out").read_bytes()
    steps = [line.split()[0] for line in (root / "told").read_text().splitlines() if line.startswith("  ")]
    return running, steps[-1] if steps else "nothing"


def main() -> None:
    kills, seed = (int(given) for given in (*sys.argv[1:], *("40", "11")[len(sys.argv) - 1 :]))
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name))
        killed(Path(name), 5.0)
        span = json.loads((Path(name) / "out").read_bytes())["latency_s"]
    print(f"undisturbed, the steps take {span:.2f} s")
    table: list[list[object]] = [
        ["kill", "after s", "last step told", "ended", *WRITES, "repeats under a key", "starts"]
    ]
    broken: list[str] = []
    landed = unknown = repeats = 0
    while landed < kills:
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            prepare(root)
            moments, places, starts = [], [], 0
            for _ in range(chance.choice((1, 1, 1, 2, 3))):
                after = chance.uniform(0, span)
                running, place = killed(root, after)
                starts += 1
                if not running:  # it had ended
                    break
                landed += 1
                moments.append(f"{after:.3f}")
                places.append(place)
            if not moments:
                continue
            printed = (root / "out").read_text()
            while not printed.strip() and starts < MOST_STARTS:
                done, starts = skillforge(*RUN, cwd=root), starts + 1
                printed = done.out
            run = json.loads(printed) if printed.strip() else {"status": "none", "reason": done.err}
            effects, calls = rows(root, "effects"), rows(root, "calls")
            in_doubt = run["status"] == "escalated" and UNKNOWN in run["reason"] and "message" in run["reason"]
            unknown += in_doubt
            more = sum(calls.values()) - sum(effects.values())
            repeats += more
            counts = [effects.get(write, 0) for write in WRITES]
            ended = "escalated: message?" if in_doubt else run["status"]
            table.append([landed, " ".join(moments), " ".join(places), ended, *counts, more, starts])
            right = counts[:-1] == [1, 1, 1, 1] and (counts[-1] in (0, 1) if in_doubt else counts[-1] == 1)
            if not right or not (run["status"] == "ok" or in_doubt):
                broken.append(f"kill {landed} after {moments} s at {places}: {run['status']} {run['reason']} {counts}")
    print_table(table)
    print(f"\n{landed} kills in {len(table) - 1} runs; every write took effect exactly once.")
    print(f"{unknown} runs were killed inside the tool without a key: they escalated, and did not call it again.")
    print(f"{repeats} calls were repeated under their idempotency key, without effect.")
    finish(broken)


if __name__ == "__main__":
    main()
