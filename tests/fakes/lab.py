"""A repository whose models are a fake server: a small skill, its suite, and what each call to the server asked."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.wire_answers import Answer, request_text

KINDS = ("openai-chat", "openai-responses", "anthropic")
TEACHER, PLAIN, STREAMED = "lab:teacher", "lab:plain", "lab:streamed"
STREAMING = 8_192  # tokens of thinking: with the skill's own limit it is above what is asked for in one piece

SKILL = """\
schema: skillforge/v1
name: parity
description: Say whether a number is even or odd.
input: {number: {type: string}}
output: {answer: {enum: [even, odd]}}
instructions: Look at the last digit.
prompt: "{{ number }}"
limits: {output_tokens: %d}
"""
SUITE = "schema: skillforge/suite/v1\nname: parity\ndecision: {margin: 0.2}\ncases: file://parity.jsonl\n"

REPAIR = "That answer is wrong"


@dataclass(frozen=True)
class Question:
    """What one call asks: which arm, which case, and whether it is the second question about it."""

    arm: str
    case: str
    repair: bool = False


def write_repository(
    root: Path, url: str, kind: str, cases: int, *, options: str = "", output_tokens: int = 200
) -> None:
    """``options``: more TOML lines for the endpoint. Of the two students, one is asked in streams."""
    base_url = url if kind == "anthropic" else f"{url}/v1"
    (root / "skills" / "parity").mkdir(parents=True, exist_ok=True)
    (root / "evals").mkdir(exist_ok=True)
    (root / "skillforge.toml").write_text(
        f'[endpoints.lab]\nkind = "{kind}"\nbase_url = "{base_url}"\n{options}\n'
        f'[models."{STREAMED}"]\nthinking_tokens = {STREAMING}\n'
    )
    (root / "skills" / "parity" / "skill.yaml").write_text(SKILL % output_tokens)
    (root / "evals" / "parity.yaml").write_text(SUITE)
    listed = [
        {"id": f"n{number}", "input": {"number": f"n{number}."}, "expected": {"answer": right(number)}}
        for number in range(cases)
    ]
    (root / "evals" / "parity.jsonl").write_text("".join(json.dumps(case) + "\n" for case in listed))


def right(number: int) -> str:
    return "odd" if number % 2 else "even"


def question(body: Mapping[str, Any]) -> Question:
    text = request_text(body)
    case = re.search(r"\bn(\d+)\.", text)
    model = f"lab:{body['model']}"
    arm = "teacher" if model == TEACHER else f"{model} {'+ skill' if 'Look at the last digit' in text else 'bare'}"
    return Question(arm, f"n{case[1]}" if case else "", REPAIR in text)


def answer(body: Mapping[str, Any]) -> Answer:
    """Right, but every number that ends in 7 only at the second question."""
    asked = question(body)
    number = int(asked.case[1:])
    said = "perhaps" if number % 10 == 7 and not asked.repair else right(number)
    return Answer(json.dumps({"answer": said}))


@dataclass(frozen=True)
class Ledger:
    """What a registry says: samples and their statuses by (arm, case), and sums over all attempts."""

    rows: Counter[tuple[str, str]]
    status: Mapping[tuple[str, str], str]
    calls: int
    usd: float | None  # unknown where one attempt's is
    broken: int  # samples that are kept as finished and have no answer

    @property
    def errors(self) -> set[tuple[str, str]]:
        return {sample for sample, status in self.status.items() if status == "error"}


def read_ledger(root: Path) -> Ledger:
    with closing(sqlite3.connect(root / ".skillforge" / "registry.db")) as db:
        samples = db.execute("SELECT arm, case_id, status FROM samples").fetchall()
        calls, usd, unknown = db.execute("SELECT total(calls), total(usd), sum(usd IS NULL) FROM attempts").fetchone()
        broken = db.execute(
            "SELECT count(*) FROM samples JOIN runs ON runs.id = run_id WHERE samples.status = 'ok' AND"
            " (runs.status = 'error' OR NOT EXISTS"
            " (SELECT 1 FROM attempts WHERE attempts.run_id = runs.id AND text <> '' AND error = ''))"
        ).fetchone()[0]
    return Ledger(
        rows=Counter((arm, case) for arm, case, _ in samples),
        status={(arm, case): status for arm, case, status in samples},
        calls=int(calls),
        usd=None if unknown else usd,
        broken=broken,
    )
