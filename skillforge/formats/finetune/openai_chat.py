"""OpenAI's chat fine-tuning file: one ``{"messages": […]}`` a line.

Rules: at least 10 examples (https://developers.openai.com/docs/guides/distillation, the supervised fine-tuning guide,
read 2026-11-22); files up to 512 MB, ``.jsonl`` only (docstring of ``files.create`` in openai 3.54); keys and roles of
a message, an assistant's message in every example
(https://developers.openai.com/cookbook/examples/chat_finetuning_data_prep); ``weight`` 0 or 1, of assistants only.
The example's last message is what is learned, so it must be an assistant's. The platform takes no new users, and
existing ones can start jobs until 2027-01-06.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from skillforge.errors import Problem
from skillforge.formats.finetune.checking import CHARACTERS_PER_TOKEN, FileRules, check_jsonl, shown, unknown_keys
from skillforge.formats.finetune.example import Checked, FineTuneFormat, Part, TrainingExample

RULES = FileRules(least=10, advised=50, max_bytes=512_000_000)
ROLES = ("system", "user", "assistant", "tool", "function")
MAX_TOKENS = 65_536  # of one example in training (the gpt-4o and gpt-4.1 families); longer ones are cut off
_TOP = ("messages", "tools", "parallel_tool_calls", "functions")
_KEYS = ("role", "content", "name", "weight", "tool_calls", "tool_call_id", "function_call", "refusal")


def record(example: TrainingExample) -> dict[str, Any]:
    return {"messages": [*example.conversation(), {"role": "assistant", "content": example.answer}]}


def lines(examples: Sequence[TrainingExample]) -> Iterator[str]:
    for example in examples:
        yield json.dumps(record(example), ensure_ascii=False) + "\n"


def row_problems(row: Mapping[str, Any]) -> list[Problem]:
    """What OpenAI refuses in one example."""
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        return [*unknown_keys(row, _TOP), Problem("must be a list of messages, not empty", field="messages")]
    found = unknown_keys(row, _TOP)
    for number, message in enumerate(messages):
        found += message_problems(message, f"messages[{number}]")
    if found:
        return found
    if messages[-1]["role"] != "assistant":
        found.append(Problem("the last message must be the assistant's: it is what is learned", field="messages"))
    said = [message for message in messages if message["role"] == "assistant"]
    if said and all(message.get("weight") == 0 for message in said):
        found.append(Problem("every assistant message has weight 0: nothing is learned", field="messages"))
    size = sum(len(message["content"]) for message in messages if isinstance(message.get("content"), str))
    if size > MAX_TOKENS * CHARACTERS_PER_TOKEN:
        found.append(Problem(f"about {size // CHARACTERS_PER_TOKEN:,} tokens: cut off at {MAX_TOKENS:,}"))
    return found


def message_problems(message: Any, place: str) -> list[Problem]:
    """What OpenAI refuses in one message."""
    if not isinstance(message, dict):
        return [Problem("must be an object with role and content", field=place)]
    found = unknown_keys(message, _KEYS, place)
    role = message.get("role")
    if role not in ROLES:
        return [*found, Problem(f"the role {shown(role)} is none of {', '.join(ROLES)}", field=place)]
    calls = role == "assistant" and (message.get("tool_calls") or message.get("function_call"))
    if not calls and not _said(message.get("content")):
        found.append(Problem("content must be a text, not empty", field=place))
    if "weight" in message:
        if role != "assistant":
            found.append(Problem("only an assistant's message has a weight", field=place))
        elif type(message["weight"]) is not int or message["weight"] not in (0, 1):
            found.append(Problem("weight must be 0 or 1", field=place))
    return found


def check(path: Path, part: Part) -> Checked:
    return check_jsonl(path, part, RULES, row_problems)


def _said(content: Any) -> bool:
    """A text, or parts of which one is something."""
    if isinstance(content, list):
        return bool(content) and all(isinstance(item, dict) and isinstance(item.get("type"), str) for item in content)
    return isinstance(content, str) and bool(content.strip())


FORMAT = FineTuneFormat(
    name="openai",
    suffix="jsonl",
    kind="answers",
    about="OpenAI chat fine-tuning",
    rules=(
        "https://developers.openai.com/api/docs/guides/supervised-fine-tuning",
        "https://developers.openai.com/cookbook/examples/chat_finetuning_data_prep",
    ),
    lines=lines,
    fits=lambda example: row_problems(record(example)),
    check=check,
)
