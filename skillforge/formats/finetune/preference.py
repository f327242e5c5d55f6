"""Pairs for direct preference optimisation: the teacher's answer chosen, a failing student's rejected.

TRL: https://huggingface.co/docs/trl/dataset_formats (preference, conversational, explicit prompt). OpenAI:
https://developers.openai.com/api/docs/guides/direct-preference-optimization (both read 2026-11-22): texts only, one
assistant message on either side; and Azure's listing of the same file,
https://learn.microsoft.com/azure/ai-services/openai/how-to/fine-tuning-direct-preference-optimization: exactly the
fields input, preferred_output, non_preferred_output, outputs of assistants. Equal sides teach nothing and are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from skillforge.errors import Problem
from skillforge.formats.finetune import openai_chat, trl_chat
from skillforge.formats.finetune.checking import FileRules, check_jsonl, unknown_keys
from skillforge.formats.finetune.example import Checked, FineTuneFormat, Part, TrainingExample
from skillforge.formats.finetune.turns import alternation, turn_problems

_OPENAI = FileRules(least=10, max_bytes=512_000_000)
_SIDES = ("preferred_output", "non_preferred_output")
_EQUAL = "both sides are the same: nothing is preferred"


def trl_record(example: TrainingExample) -> dict[str, Any]:
    return {"prompt": example.conversation(), "chosen": _said(example.answer), "rejected": _said(example.rejected)}


def trl_lines(examples: Sequence[TrainingExample]) -> Iterator[str]:
    for example in examples:
        yield json.dumps(trl_record(example), ensure_ascii=False) + "\n"


def trl_problems(row: Mapping[str, Any]) -> list[Problem]:
    """What DPOTrainer stumbles over in one row."""
    found = []
    prompt = row.get("prompt")
    wrong = turn_problems(prompt, "prompt", roles=trl_chat.ROLES)
    found += wrong or alternation(list(prompt or ()), "prompt", ends_with="user")
    for side in ("chosen", "rejected"):
        found += turn_problems(row.get(side), side, roles=("assistant",))
    if not found and row["chosen"] == row["rejected"]:
        found.append(Problem(_EQUAL))
    return found


def openai_record(example: TrainingExample) -> dict[str, Any]:
    return {
        "input": {"messages": example.conversation(), "tools": [], "parallel_tool_calls": True},
        "preferred_output": _said(example.answer),
        "non_preferred_output": _said(example.rejected),
    }


def openai_lines(examples: Sequence[TrainingExample]) -> Iterator[str]:
    for example in examples:
        yield json.dumps(openai_record(example), ensure_ascii=False) + "\n"


def openai_problems(row: Mapping[str, Any]) -> list[Problem]:
    """What OpenAI refuses in one pair."""
    found = unknown_keys(row, ("input", *_SIDES))
    asked = row.get("input")
    if not isinstance(asked, dict) or not isinstance(asked.get("messages"), list) or not asked["messages"]:
        found.append(Problem("must hold messages, a list that is not empty", field="input"))
    else:
        found += unknown_keys(asked, ("messages", "tools", "parallel_tool_calls"), "input")
        for number, message in enumerate(asked["messages"]):
            found += openai_chat.message_problems(message, f"input.messages[{number}]")
        last = asked["messages"][-1]
        if isinstance(last, dict) and last.get("role") == "assistant":
            found.append(Problem("the prompt must not end with the assistant's message", field="input.messages"))
    for side in _SIDES:
        wrong = turn_problems(row.get(side), side, roles=("assistant",))
        found += wrong or ([Problem("must be one message", field=side)] if len(row[side]) != 1 else [])
    if not found and row[_SIDES[0]] == row[_SIDES[1]]:
        found.append(Problem(_EQUAL))
    return found


def _said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _check_trl(path: Path, part: Part) -> Checked:
    return check_jsonl(path, part, FileRules(), trl_chat.SameColumns(trl_problems))


def _check_openai(path: Path, part: Part) -> Checked:
    return check_jsonl(path, part, _OPENAI, openai_problems)


TRL = FineTuneFormat(
    name="dpo",
    suffix="jsonl",
    kind="pairs",
    about="TRL preference pairs",
    rules=(trl_chat.URL,),
    lines=trl_lines,
    fits=lambda example: trl_problems(trl_record(example)),
    check=_check_trl,
)
OPENAI = FineTuneFormat(
    name="openai-dpo",
    suffix="jsonl",
    kind="pairs",
    about="OpenAI preference pairs",
    rules=("https://developers.openai.com/api/docs/guides/direct-preference-optimization",),
    lines=openai_lines,
    fits=lambda example: openai_problems(openai_record(example)),
    check=_check_openai,
)
