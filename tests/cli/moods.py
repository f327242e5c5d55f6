"""What the command's tests share: a tiny skill, models that are scripts, and what a finished command left."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SKILL = """\
schema: skillforge/v1
name: mood
description: Tell the mood of one message. Use when sorting messages.
task: Tell the mood
input: {text: {type: string, maxLength: 2000}}
output: {mood: {enum: [good, bad]}, why: {type: string, maxLength: 80}}
instructions: Say good or bad.
prompt: "{{ text }}"
examples:
  select: nearest
  k: 1
  items:
    - {id: e1, input: {text: so happy}, output: {mood: good, why: happy}}
    - {id: e2, input: {text: so sad}, output: {mood: bad, why: sad}}
checks: [{type: in-input, path: /why, of: text}]
"""
AUTHORED = """\
  - when: {role: author}
    reply:
      name: mood
      description: Tell the mood of one message.
      input: {text: {type: string, maxLength: 2000}}
      output: {mood: {enum: [good, bad]}, why: {type: string, maxLength: 80}}
      instructions: Say good or bad.
      prompt: "{{ text }}"
      examples: {ids: all, select: nearest, k: 2}
      checks: [{type: in-input, path: /why, of: text}]
"""
RIGHT = """\
  - {when: {contains: happy}, reply: {mood: good, why: happy}}
  - {when: {contains: sad}, reply: {mood: bad, why: sad}}
"""
SUITE = "schema: skillforge/suite/v1\nname: mood\ndecision: {metric: /mood}\ncases: file://mood.jsonl\n"
TRAIN, TEST = 6, 80


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Result]


def calls(log: Path) -> int:
    """How many calls have arrived at a scripted model."""
    return log.read_bytes().count(b"\n") if log.exists() else 0
