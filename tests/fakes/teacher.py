"""A server that plays a teacher and its students: it solves messages, writes a skill, and follows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.fakes.llm_server import last_text, request_text

TASK = "Tell the mood of a message."
KEY = "fk-" + "4f9c1e7ab26d5380" * 2
SKILL: dict[str, Any] = {
    "name": "mood",
    "description": "Tell whether a message is good or bad. Use for messages.",
    "input": {"message": {"type": "string"}},
    "output": {"mood": {"enum": ["good", "bad"]}},
    "instructions": "Say good or bad.",
    "prompt": "{{ message }}",
    "examples": {"ids": "all", "select": "first", "k": 2},
    "checks": [],
    "limits": {"input_tokens": 4000, "output_tokens": 50},
}
PRICE = "price = {input = 4, output = 20, cached = 0.2, written = 5}"


def answer(body: dict[str, Any]) -> str:
    """The skill where one is asked for, else the mood of the last message."""
    if "write down how" in request_text(body):
        return json.dumps(SKILL)
    return json.dumps({"mood": "bad" if "bad" in last_text(body) else "good"})


def repository(root: Path, url: str, *, train: int = 10, test: int = 20, options: str = PRICE) -> list[dict[str, Any]]:
    """A repository whose endpoints ``strong`` (anthropic), ``chat`` and ``resp`` all are this server. Returns the cases
    of its suite.
    """
    (root / ".skillforge").mkdir(parents=True, exist_ok=True)
    (root / "evals").mkdir(exist_ok=True)
    endpoints = [
        ("strong", "anthropic", url),
        ("chat", "openai-chat", f"{url}/v1"),
        ("resp", "openai-responses", f"{url}/v1"),
    ]
    (root / "skillforge.toml").write_text(
        'teacher = "strong:teacher"\n'
        + "".join(
            f'[endpoints.{name}]\nkind = "{kind}"\nbase_url = "{base}"\napi_key_env = "FAKE_KEY"\n{options}\n'
            for name, kind, base in endpoints
        )
    )
    cases = []
    for number in range(train + test):
        mood = "good" if number % 2 else "bad"
        split = "train" if number < train else "test"
        given = {"message": f"message {number} is {mood}"}
        cases.append({"id": f"m{number}", "input": given, "expected": {"mood": mood}, "split": split})
    (root / "evals" / "mood.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    (root / "evals" / "mood.yaml").write_text(
        "schema: skillforge/suite/v1\nname: mood\nskill: mood\n"
        "decision: {metric: /mood, margin: 0.05, alpha: 0.05}\ncases: file://mood.jsonl\n"
    )
    return cases
