"""Recorded calls made up for tests."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from typing import Any

from skillforge.call import Call
from skillforge.messages import Cost, Message, Tool, Usage
from skillforge.traffic.scan import Scanner, ScanReport

WORDS = re.findall(
    r"\w+",
    """invoice card refund password login slow broken charge twice address delivery late parcel update crash button page
    error account email phone order cancel subscription trial price question answer missing wrong colour size""",
)


def text(number: int, words: int = 9) -> str:
    """Data unlike that of other numbers."""
    source = random.Random(number)
    return " ".join(source.choice(WORDS) for _ in range(words)) + f" number{source.randrange(10**6)}"


def call(number: int, *turns: str, system: str = "", answer: str | None = "ok", **more: Any) -> Call:
    """``turns`` are user, assistant, user, …; half a cent a call."""
    messages = tuple(Message.of("user" if at % 2 == 0 else "assistant", turn) for at, turn in enumerate(turns))
    body: dict[str, Any] = {
        "id": f"call-{number:05d}",
        "api": "openai-chat",
        "model": "gpt-4o",
        "system": system,
        "messages": messages,
        "output": None if answer is None else Message.of("assistant", answer),
        "usage": Usage(input_tokens=100, output_tokens=10),
        "cost": Cost(usd=0.005),
        "list_usd": 0.006,
    }
    return Call.model_validate(body | more)


def many(count: int, make: Callable[[int], str], *, start: int = 0, **more: Any) -> list[Call]:
    return [call(start + at, make(start + at), **more) for at in range(count)]


def tool(name: str) -> Tool:
    return Tool(name=name, parameters={"type": "object", "properties": {}})


def scanned(calls: Iterable[Call], **options: Any) -> ScanReport:
    kept = list(calls)
    scanner = Scanner(**options)
    for each in kept:
        scanner.learn(each)
    scanner.settle()
    for each in kept:
        scanner.count(each)
    return scanner.report()
