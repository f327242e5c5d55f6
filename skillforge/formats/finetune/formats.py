"""The targets by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from skillforge.errors import UsageError
from skillforge.formats.finetune import anthropic, bedrock, labels_csv, openai_chat, preference, trl_chat
from skillforge.formats.finetune.example import FineTuneFormat
from skillforge.suggest import did_you_mean

FORMATS: Mapping[str, FineTuneFormat] = {
    target.name: target
    for target in (
        openai_chat.FORMAT,
        anthropic.FORMAT,
        bedrock.FORMAT,
        trl_chat.FORMAT,
        preference.TRL,
        preference.OPENAI,
        labels_csv.FORMAT,
    )
}


def formats_named(names: Iterable[str]) -> list[FineTuneFormat]:
    """Targets by name, each once. Raises ``UsageError`` for an unknown one."""
    return [format_named(name) for name in dict.fromkeys(names)]


def format_named(name: str) -> FineTuneFormat:
    if name not in FORMATS:
        hint = did_you_mean(name, list(FORMATS)) or f"one of {', '.join(FORMATS)}"
        raise UsageError(f"no format {name!r}", hint=hint)
    return FORMATS[name]


def format_of(path: Path) -> FineTuneFormat:
    """The target a file was written for, by its name (``train.openai.jsonl``). Raises ``UsageError``."""
    parts = path.name.split(".")
    for part in parts[:0:-1]:  # what stands after the first dot, from behind
        if part in FORMATS:
            return FORMATS[part]
    raise UsageError(f"{path.name} does not say which format it is", hint=f"--format {'|'.join(FORMATS)}")
