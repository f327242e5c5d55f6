"""The rules that chat formats share: who speaks, in which order, and what may be said."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from skillforge.errors import Problem
from skillforge.formats.finetune.checking import shown, unknown_keys


def turn_problems(
    messages: Any, place: str, *, roles: Collection[str], keys: Collection[str] = ("role", "content")
) -> list[Problem]:
    """What is wrong with messages one by one: no list, an unknown role or key, nothing said."""
    if not isinstance(messages, list) or not messages:
        return [Problem("must be a list of messages, not empty", field=place)]
    found: list[Problem] = []
    for number, message in enumerate(messages):
        where = f"{place}[{number}]"
        if not isinstance(message, dict):
            found.append(Problem("must be an object with role and content", field=where))
            continue
        found += unknown_keys(message, keys, where)
        if message.get("role") not in roles:
            found.append(Problem(f"the role {shown(message.get('role'))} is none of {', '.join(roles)}", field=where))
        content = message.get("content")
        if not isinstance(content, str) or not content.strip():
            found.append(Problem("content must be a text, not empty", field=where))
    return found


def alternation(messages: list[Any], place: str, *, ends_with: str = "assistant") -> list[Problem]:
    """User and assistant take turns, the user begins (after one system message, where the format has that role)."""
    roles = [message.get("role") if isinstance(message, Mapping) else None for message in messages]
    start = 1 if roles[:1] == ["system"] else 0
    found = []
    if roles[start : start + 1] != ["user"]:
        found.append(Problem("the first turn must be the user's", field=place))
    for number in range(start + 1, len(roles)):
        if roles[number] == roles[number - 1] or roles[number] == "system":
            found.append(Problem("user and assistant must take turns", field=f"{place}[{number}]"))
            break
    if roles[-1] != ends_with:
        found.append(Problem(f"the last message must be the {ends_with}'s", field=place))
    return found
