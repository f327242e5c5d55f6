"""A model on the fake server that works with tools: it says a script, turn by turn, in whichever API it is asked.

    talk = ToolTalk([Answer(tool_calls=[("c1", "get_order", {"order_id": "A-17"})]), Answer("It is open.")])
    with LLMServer(talk) as server: ...

Which turn it is is read from the conversation itself, so that loops may run side by side and requests be repeated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from tests.fakes.wire_answers import Answer

Turn = Answer | str | Callable[[dict[str, Any]], "Answer | str"]


class ToolTalk:
    """Says turn n after n rounds of tool results; the last turn from then on."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = list(turns)

    def __call__(self, body: dict[str, Any]) -> Answer | str:
        turn = self._turns[min(len(result_rounds(body)), len(self._turns) - 1)]
        return turn(body) if callable(turn) else turn


def result_rounds(body: Mapping[str, Any]) -> list[list[tuple[str, str, bool]]]:
    """The tool results in a request, (call id, text, is_error) each, in rounds: those that one turn called for."""
    rounds = groupby(_items(body), key=lambda item: item is not None)
    return [[item for item in found if item is not None] for is_result, found in rounds if is_result]


def _items(body: Mapping[str, Any]) -> list[tuple[str, str, bool] | None]:
    """What the request's conversation holds, in order: a result, or ``None`` for anything else."""
    found: list[tuple[str, str, bool] | None] = []
    for item in body.get("messages") or body.get("input") or []:
        if item.get("role") == "tool":
            found.append(_result(item["tool_call_id"], item["content"]))
        elif item.get("type") == "function_call_output":
            found.append(_result(item["call_id"], item["output"]))
        elif isinstance(item.get("content"), list):
            for block in item["content"]:
                told = block.get("type") == "tool_result"
                found.append((block["tool_use_id"], block["content"], bool(block.get("is_error"))) if told else None)
        else:
            found.append(None)
    return found


def _result(call_id: str, text: str) -> tuple[str, str, bool]:
    return call_id, text, text.startswith("error: ")


def said(results: list[tuple[str, str, bool]]) -> list[Any]:
    """The contents of results as JSON, where they are any."""
    return [_json(text) for _, text, _ in results]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
