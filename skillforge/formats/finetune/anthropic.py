"""Claude on Amazon Bedrock: one ``{"system": "…", "messages": […]}`` a line.

Rules: https://platform.claude.com/cookbook/finetuning-finetuning-on-bedrock (read 2026-11-22): ``system`` is optional
and a text; at least two messages, the first the user's, the last the assistant's, taking turns; no other keys. No
number of rows is stated there that could be checked. The one model that was offered this way, Claude 3 Haiku, is legacy
on Bedrock (end of life 2026-09-10 by its model card): the file is for what comes after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from skillforge.errors import Problem
from skillforge.formats.finetune.checking import FileRules, check_jsonl, unknown_keys
from skillforge.formats.finetune.example import Checked, FineTuneFormat, Part, TrainingExample
from skillforge.formats.finetune.turns import alternation, turn_problems

RULES = FileRules()
ROLES = ("user", "assistant")


def record(example: TrainingExample) -> dict[str, Any]:
    system = {"system": example.system} if example.system else {}
    turns = [*example.conversation(system=False), {"role": "assistant", "content": example.answer}]
    return {**system, "messages": turns}


def lines(examples: Sequence[TrainingExample]) -> Iterator[str]:
    for example in examples:
        yield json.dumps(record(example), ensure_ascii=False) + "\n"


def row_problems(row: Mapping[str, Any]) -> list[Problem]:
    """What Bedrock refuses in one record for Claude."""
    found = unknown_keys(row, ("system", "messages"))
    if "system" in row and (not isinstance(row["system"], str) or not row["system"].strip()):
        found.append(Problem("must be a text, or left out", field="system"))
    messages = row.get("messages")
    wrong = turn_problems(messages, "messages", roles=ROLES)
    return [*found, *(wrong or alternation(list(messages or ()), "messages"))]


def check(path: Path, part: Part) -> Checked:
    return check_jsonl(path, part, RULES, row_problems)


FORMAT = FineTuneFormat(
    name="anthropic",
    suffix="jsonl",
    kind="answers",
    about="Claude on Amazon Bedrock",
    rules=("https://platform.claude.com/cookbook/finetuning-finetuning-on-bedrock",),
    lines=lines,
    fits=lambda example: row_problems(record(example)),
    check=check,
)
