"""A model server in a process of its own: a teacher that makes one mistake, a student that repairs.

    python bench/_teacher.py JOURNAL LATENCY

Numbers are even or odd. The first draft of a skill is wrong, the repaired one is right; ``small`` answers numbers that
end in 7 wrongly at first and rightly after one repair. Every call that arrives is a line of the journal.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TASK = "Say whether the number is even or odd, as the field answer."
DRAFT = {
    "name": "parity",
    "description": "Say whether a number is even or odd.",
    "input": {"number": {"type": "string"}},
    "output": {"answer": {"enum": ["even", "odd"]}},
    "instructions": "Look at the last digit.",
    "prompt": "{{ number }}",
    "examples": {"ids": ["n0", "n1"], "select": "all"},
    "checks": [],
    "limits": {"input_tokens": 2000, "output_tokens": 60},
}
WRONG_DRAFT = {**DRAFT, "output": {"answer": {"enum": ["even"]}}}  # contradicts half of what the teacher solved


def answer(body: dict[str, Any]) -> str:
    from tests.fakes.llm_server import last_text, request_text

    last, said = last_text(body), request_text(body)
    if "You solved a task on real inputs" in said:
        return json.dumps(DRAFT if last.startswith("The skill is wrong") else WRONG_DRAFT)
    number = int(re.findall(r"(\d+)\.(?!\d)", said)[-1])
    if body.get("model") == "small" and number % 10 == 7 and not last.startswith("That answer is wrong"):
        return '{"answer": "perhaps"}'
    return json.dumps({"answer": "odd" if number % 2 else "even"})


@contextmanager
def teacher(journal: Path, latency_s: float) -> Iterator[str]:
    """The server's URL, while it runs."""
    args = [sys.executable, __file__, str(journal), str(latency_s)]
    with subprocess.Popen(args, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def settings(url: str, kind: str = "openai-chat") -> str:
    """``skillforge.toml`` with that server as the endpoint ``fake``."""
    lines = ["[endpoints.fake]", f'kind = "{kind}"', f'base_url = "{url}/v1"', 'api_key_env = "FAKE_API_KEY"']
    return "\n".join([*lines, "concurrency = 4", "price = {input = 3, output = 15}"]) + "\n"


def numbers(count: int, *, start: int = 0, labelled: bool = False) -> str:
    """Cases as JSONL: ``{"id": "n3", "input": {"number": "3."}}``."""
    rows: list[dict[str, Any]] = [
        {"id": f"n{number}", "input": {"number": f"{number}."}} for number in range(start, start + count)
    ]
    if labelled:
        for number, row in enumerate(rows, start=start):
            row["expected"] = {"answer": "odd" if number % 2 else "even"}
    return "".join(json.dumps(row) + "\n" for row in rows)


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from tests.fakes.llm_server import LLMServer

    with suppress(KeyboardInterrupt), LLMServer(answer, latency_s=float(sys.argv[2]), journal=sys.argv[1]) as server:
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
