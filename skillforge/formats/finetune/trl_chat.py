"""TRL's and Unsloth's conversational format: one ``{"messages": […]}`` a line, as ``datasets`` loads it.

Rules: https://huggingface.co/docs/trl/dataset_formats (language modelling, conversational; read 2026-11-22): roles
system, user, assistant, tool, each message with role and content. ``datasets`` makes one schema of all rows, so every
row has the same columns. Most chat templates raise where user and assistant do not take turns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from skillforge.errors import Problem
from skillforge.formats.finetune.checking import FileRules, check_jsonl
from skillforge.formats.finetune.example import Checked, FineTuneFormat, Part, TrainingExample
from skillforge.formats.finetune.turns import alternation, turn_problems

RULES = FileRules()
ROLES = ("system", "user", "assistant")
URL = "https://huggingface.co/docs/trl/dataset_formats"


def record(example: TrainingExample) -> dict[str, Any]:
    return {"messages": [*example.conversation(), {"role": "assistant", "content": example.answer}]}


def lines(examples: Sequence[TrainingExample]) -> Iterator[str]:
    for example in examples:
        yield json.dumps(record(example), ensure_ascii=False) + "\n"


def row_problems(row: Mapping[str, Any]) -> list[Problem]:
    """What SFTTrainer, ``datasets`` or a chat template stumbles over in one row."""
    messages = row.get("messages")
    return turn_problems(messages, "messages", roles=ROLES) or alternation(list(messages or ()), "messages")


def check(path: Path, part: Part) -> Checked:
    return check_jsonl(path, part, RULES, SameColumns(row_problems))


class SameColumns:
    """A row check that also holds every row to the columns of the first."""

    def __init__(self, check_row: Any) -> None:
        self._check = check_row
        self._columns: list[str] | None = None

    def __call__(self, row: Mapping[str, Any]) -> list[Problem]:
        columns = sorted(row)
        first = self._columns = columns if self._columns is None else self._columns
        wrong = [] if columns == first else [Problem("has other columns than the first row: datasets takes one schema")]
        return [*wrong, *self._check(row)]


FORMAT = FineTuneFormat(
    name="trl",
    suffix="jsonl",
    kind="answers",
    about="TRL and Unsloth chat",
    rules=(URL,),
    lines=lines,
    fits=lambda example: row_problems(record(example)),
    check=check,
)
