"""Amazon Bedrock's conversation schema (Nova, distillation): texts are lists of ``{"text": …}``.

Rules: https://docs.aws.amazon.com/nova/latest/userguide/fine-tune-prepare-data-understanding.html (read 2026-11-22):
roles user and assistant, the first turn the user's, the last the assistant's, an optional ``system``; ``User:``,
``Bot:``, ``Assistant:``, ``System:``, ``<image>``, ``<video>`` and ``[EOS]`` anywhere in a prompt fail the job; 100
samples a task are advised; names of files are letters, digits, ``_ - / .``. ``schemaVersion`` as in
https://docs.aws.amazon.com/bedrock/latest/userguide/nova-2-sft-data-prep.html (any text is taken for Nova, this one
everywhere). Tool use is taken by no Nova 2 job, so ``toolConfig`` is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from skillforge.errors import Problem
from skillforge.formats.finetune.checking import FileRules, check_jsonl, shown, unknown_keys
from skillforge.formats.finetune.example import Checked, FineTuneFormat, Part, TrainingExample
from skillforge.formats.finetune.turns import alternation

SCHEMA = "bedrock-conversation-2024"
RULES = FileRules(advised=100)
RESERVED = ("User:", "Bot:", "Assistant:", "System:", "<image>", "<video>", "[EOS]")
_FILE_NAME = re.compile(r"[A-Za-z0-9_./-]+")
_TOP = ("schemaVersion", "system", "messages")


def record(example: TrainingExample) -> dict[str, Any]:
    system = {"system": [{"text": example.system}]} if example.system else {}
    turns = [*example.turns, ("assistant", example.answer)]
    return {
        "schemaVersion": SCHEMA,
        **system,
        "messages": [{"role": role, "content": [{"text": text}]} for role, text in turns],
    }


def lines(examples: Sequence[TrainingExample]) -> Iterator[str]:
    for example in examples:
        yield json.dumps(record(example), ensure_ascii=False) + "\n"


def row_problems(row: Mapping[str, Any]) -> list[Problem]:
    """What Bedrock refuses in one record."""
    found = unknown_keys(row, _TOP)
    if row.get("schemaVersion") != SCHEMA:
        found.append(Problem(f'must be "{SCHEMA}"', field="schemaVersion"))
    if "system" in row:
        found += _text_problems(row["system"], "system", prompt=True)
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        return [*found, Problem("must be a list of messages, not empty", field="messages")]
    for number, message in enumerate(messages):
        found += _message_problems(message, f"messages[{number}]")
    return [*found, *alternation(messages, "messages")]


def check(path: Path, part: Part) -> Checked:
    found = check_jsonl(path, part, RULES, row_problems)
    if _FILE_NAME.fullmatch(path.name):
        return found
    wrong = Problem("the file's name may hold letters, digits, and _ - / . only")
    return Checked(found.rows, (wrong, *found.problems))


def _message_problems(message: Any, place: str) -> list[Problem]:
    if not isinstance(message, dict):
        return [Problem("must be an object with role and content", field=place)]
    found = unknown_keys(message, ("role", "content"), place)
    role = message.get("role")
    if role not in ("user", "assistant"):
        found.append(Problem(f"the role {shown(role)} is neither user nor assistant", field=place))
    return [*found, *_text_problems(message.get("content"), f"{place}.content", prompt=role != "assistant")]


def _text_problems(content: Any, place: str, *, prompt: bool) -> list[Problem]:
    """Of a list of texts; what a prompt may not hold is asked of prompts only."""
    if not isinstance(content, list) or not content:
        return [Problem('must be a list such as [{"text": "…"}]', field=place)]
    found = []
    for block in content:
        text = block.get("text") if isinstance(block, dict) else None
        if not isinstance(text, str) or not text.strip() or len(block) != 1:
            found.append(Problem('every block must be {"text": "…"}, not empty', field=place))
        elif prompt and (held := next((word for word in RESERVED if word in text), "")):
            found.append(Problem(f"holds {held!r}, which is reserved: the job would fail", field=place))
    return found


FORMAT = FineTuneFormat(
    name="bedrock",
    suffix="jsonl",
    kind="answers",
    about="Amazon Bedrock conversations (Nova)",
    rules=(
        "https://docs.aws.amazon.com/nova/latest/userguide/fine-tune-prepare-data-understanding.html",
        "https://docs.aws.amazon.com/bedrock/latest/userguide/nova-2-sft-data-prep.html",
    ),
    lines=lines,
    fits=lambda example: row_problems(record(example)),
    check=check,
)
