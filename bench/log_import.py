"""How fast ``skillforge log import`` is, and how much memory it takes, for every format it reads.

Writes a log of each format (some 1.5 kB a record), imports it twice, and one five times as long, to see whether memory
grows. Run: ``python bench/log_import.py [RECORDS]`` (default 20,000).
Broken promises: a record lost, a second import that adds something, memory that grows with the file.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from _shared import environment, finish, print_table

WORDS = ["the", "customer", "wrote", "that", "order", "was", "never", "delivered", "asks", "for", "refund", "invoice"]
GROWTH_MB = 40  # more than this from a log to one five times as long is growth

MEASURED = """
import json, resource, sys
from skillforge.forge.forge import Forge
with Forge(sys.argv[1]) as forge:
    done = forge.traffic.import_logs(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({**done.model_dump(), "mb": used.ru_maxrss / 1024, "cpu": used.ru_utime + used.ru_stime}))
"""


def text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(WORDS, k=words))


def request(chance: random.Random, system: str) -> dict[str, Any]:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": text(chance, 100)}]
    return {"model": "gpt-6-luna", "messages": messages, "temperature": 0}


def response(number: int) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{number:020}",
        "created": 1_759_309_200 + number,
        "model": "gpt-6-luna",
        "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": '{"queue": "billing"}'}}],
        "usage": {"prompt_tokens": 300, "completion_tokens": 10, "total_tokens": 310},
    }


def pair(number: int, asked: dict[str, Any]) -> dict[str, Any]:
    return {"request": asked, "response": response(number)}


def litellm(number: int, asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{number:020}",
        "call_type": "acompletion",
        "status": "success",
        "response_cost": 0.001,
        "startTime": 1_759_309_200.0 + number,
        "endTime": 1_759_309_201.0 + number,
        "model": asked["model"],
        "custom_llm_provider": "openai",
        "messages": asked["messages"],
        "model_parameters": {"temperature": 0},
        "response": response(number),
    }


def langfuse(number: int, asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"generation-{number:020}",
        "trace_id": f"trace-{number}",
        "type": "GENERATION",
        "start_time": "2025-10-01 09:00:00.000000",
        "end_time": "2025-10-01 09:00:01.000000",
        "input": json.dumps(asked["messages"]),
        "output": '{"queue": "billing"}',
        "provided_model_name": asked["model"],
        "usage_details": {"input": 300, "output": 10, "total": 310},
    }


def batch_request(number: int, asked: dict[str, Any]) -> dict[str, Any]:
    return {"custom_id": f"r{number}", "method": "POST", "url": "/v1/chat/completions", "body": asked}


def batch_answer(number: int, asked: dict[str, Any]) -> dict[str, Any]:
    told = {"status_code": 200, "request_id": "r", "body": response(number)}
    return {"id": f"batch_req_{number:020}", "custom_id": f"r{number}", "response": told, "error": None}


Shape = Callable[[int, dict[str, Any]], dict[str, Any]]


def records(shape: Shape, count: int) -> Iterator[str]:
    chance = random.Random(7)
    system = "You route support tickets. " + text(chance, 150)
    return (json.dumps(shape(number, request(chance, system))) for number in range(count))


def write(path: Path, shape: Shape, count: int, *, array: bool = False) -> Path:
    with path.open("w") as file:
        lines = records(shape, count)
        file.write(("[" + ",\n".join(lines) + "]") if array else "")
        file.writelines(line + "\n" for line in lines)
    return path


def measure(folder: Path, *files: Path) -> tuple[dict[str, Any], float]:
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(folder), *map(str, files)],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout), time.perf_counter() - started


def main(count: int) -> None:
    broken: list[str] = []
    rows: list[list[object]] = [["format", "calls", "MB", "s", "calls/s", "CPU s", "peak MB", "again: new", "calls/s"]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = {
            "pairs": [write(folder / "pairs.jsonl", pair, count)],
            "litellm": [write(folder / "litellm.jsonl", litellm, count)],
            "litellm array": [write(folder / "litellm.json", litellm, count, array=True)],
            "langfuse": [write(folder / "langfuse.jsonl", langfuse, count)],
            "openai batch": [
                write(folder / "in.jsonl", batch_request, count),
                write(folder / "out.jsonl", batch_answer, count),
            ],
            "pairs x 5": [write(folder / "pairs5.jsonl", pair, 5 * count)],
        }
        peaks = {}
        for case, files in cases.items():
            repo = folder / f"repo {case}"
            (repo / ".skillforge").mkdir(parents=True)
            done, seconds = measure(repo, *files)
            again, seconds_again = measure(repo, *files)
            size = sum(file.stat().st_size for file in files) / 1e6
            peaks[case] = done["mb"]
            rows.append([case, f"{done['new']:,}", f"{size:.0f}", f"{seconds:.1f}", f"{done['read'] / seconds:,.0f}"])
            rows[-1] += [
                f"{done['cpu']:.1f}",
                f"{done['mb']:.0f}",
                again["new"],
                f"{again['read'] / seconds_again:,.0f}",
            ]
            wanted = 5 * count if case == "pairs x 5" else count
            if done["new"] != wanted:
                broken.append(f"{case}: {done['new']} of {wanted} calls stored")
            if again["new"]:
                broken.append(f"{case}: a second import added {again['new']} calls")
    if peaks["pairs x 5"] - peaks["pairs"] > GROWTH_MB:
        broken.append(f"memory grew from {peaks['pairs']:.0f} to {peaks['pairs x 5']:.0f} MB with five times the calls")
    print_table(rows)
    finish(broken)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
