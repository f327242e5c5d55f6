"""Our eval with an instant model: python bench/_overhead_ours.py CASES (run by ``harness_overhead.py``)."""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from pathlib import Path

from skillforge.forge.forge import Forge
from skillforge.messages import Completion, Cost, Message, Request, Usage

SKILL = """\
schema: skillforge/v1
name: answer
description: Answers a question. Use when measuring.
input: {question: {type: string}}
output: text
instructions: Answer briefly.
prompt: "{{ question }}"
checks: [{type: contains, value: output}]
"""
SUITE = "schema: skillforge/suite/v1\nname: answer\ncases: file://answer.jsonl\n"
ANSWER = Completion(
    message=Message.of("assistant", "Default output"),
    stop="stop",
    model="instant",
    usage=Usage(input_tokens=10, output_tokens=3),
    cost=Cost(usd=0.0),
    latency_s=0.001,
)
FREE = Cost(usd=0.0)


class Instant:
    """A model that takes no time."""

    concurrency = 100
    native_tools = True

    def __init__(self, name: str) -> None:
        self.name = name

    def fingerprint(self) -> str:
        return self.name

    def price(self, usage: Usage) -> Cost:
        return FREE

    async def complete(self, request: Request) -> Completion:
        return ANSWER

    async def aclose(self) -> None:
        pass


def main() -> None:
    cases = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("skills/answer", "evals", ".skillforge"):
            (root / name).mkdir(parents=True)
        (root / "skills/answer/skill.yaml").write_text(SKILL)
        (root / "evals/answer.yaml").write_text(SUITE)
        with (root / "evals/answer.jsonl").open("w") as handle:
            for number in range(cases):
                asked = {"question": f"What is {number}+1? Answer briefly, please."}
                handle.write(json.dumps({"id": f"c{number}", "input": asked, "expected": "Default output"}) + "\n")
        providers = {name: Instant(name) for name in ("instant:student", "instant:teacher")}
        with Forge(root, providers=providers) as forge:
            report = forge.eval("answer", students=["instant:student"], teacher="instant:teacher")
        [database] = root.glob("**/*.db")
        rows = sqlite3.connect(database).execute("SELECT count(*) FROM samples WHERE status = 'ok'").fetchone()[0]
        assert rows == report.samples
        print(json.dumps({"samples": report.samples, "stored": rows, "right": report.teacher.quality}))


if __name__ == "__main__":
    main()
