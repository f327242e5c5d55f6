"""The least that keeps anything: asyncio, and a SQLite row with a commit of its own for every sample.

python bench/_overhead_floor.py CASES (run by ``harness_overhead.py``)
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

WORKERS = 100
TABLE = "CREATE TABLE samples (key TEXT PRIMARY KEY, case_id TEXT, output TEXT, score REAL, latency_s REAL, usage TEXT)"


async def instant(prompt: str) -> tuple[str, dict[str, int]]:
    await asyncio.sleep(0)
    return "Default output", {"input": 10, "output": 3}


async def measure(db: sqlite3.Connection, cases: int) -> int:
    numbers, right = iter(range(cases)), 0

    async def worker() -> None:
        nonlocal right
        for number in numbers:
            prompt = f"Answer briefly.\nWhat is {number}+1? Answer briefly, please."
            key = hashlib.sha256(json.dumps(["instant", prompt]).encode()).hexdigest()
            started = time.perf_counter()
            output, usage = await instant(prompt)
            score = float(output == "Default output")
            right += score == 1.0
            row = (key, f"c{number}", output, score, time.perf_counter() - started, json.dumps(usage))
            db.execute("INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?)", row)  # a transaction of its own: autocommit

    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(worker())
    return right


def main() -> None:
    cases = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        db = sqlite3.connect(Path(folder) / "floor.db", isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(TABLE)
        right = asyncio.run(measure(db, cases))
        stored = db.execute("SELECT count(*) FROM samples").fetchone()[0]
        db.close()
    print(json.dumps({"samples": cases, "stored": stored, "right": right / cases}))


if __name__ == "__main__":
    main()
