"""Sessions of a coding agent (Claude Code's format), made by hand: requests, the tool calls made for them, answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Did:
    """One tool call and what it returned; ``result`` of ``None``: the session ends before it."""

    tool: str
    arguments: Mapping[str, Any]
    result: str | None = "ok"
    failed: bool = False


@dataclass(frozen=True)
class Request:
    """What the user asked, what was done for it, and the answer ("" where the agent is still at work)."""

    said: str
    did: Sequence[Did] = ()
    answer: str = "Done."


def write_session(home: Path, folder: Path, requests: Sequence[Request], name: str = "s1") -> Path:
    """The session below ``home/.claude``, as of an agent that works in ``folder``."""
    path = home / ".claude" / "projects" / str(folder).replace("/", "-") / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = session_lines(folder, requests, name)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


def session_lines(folder: Path, requests: Sequence[Request], name: str = "s1") -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []

    def say(kind: str, content: Any, **more: Any) -> None:
        number = len(lines) + 1
        told = {"uuid": f"{name}-{number}", "parentUuid": f"{name}-{number - 1}" if lines else None}
        about = {"sessionId": name, "cwd": str(folder), "version": "2.1.0", "isSidechain": False}
        at = {"timestamp": f"2026-03-01T10:{number // 60:02d}:{number % 60:02d}.000Z"}
        lines.append({"type": kind, **told, **about, **at, "message": {"role": kind, "content": content, **more}})

    def answer(content: list[dict[str, Any]]) -> None:
        used = {"input_tokens": 1000, "output_tokens": 50, "cache_read_input_tokens": 0}
        say("assistant", content, id=f"msg_{name}_{len(lines)}", model="claude-x", usage=used)

    for request in requests:
        say("user", request.said)
        for did in request.did:
            call = f"{name}-call-{len(lines)}"
            answer([{"type": "tool_use", "id": call, "name": did.tool, "input": dict(did.arguments)}])
            if did.result is not None:
                part = {"type": "tool_result", "tool_use_id": call, "content": did.result, "is_error": did.failed}
                say("user", [part])
        if request.answer:
            answer([{"type": "text", "text": request.answer}])
    return lines


def bump(version: str = "1.4.0", *, seen: str = "") -> Request:
    """A task that recurs: look around, edit the version, test, commit. ``seen`` stands in what commands print."""
    return Request(
        f"Release {version}: bump the version and tag it",
        [
            Did("Bash", {"command": "ls && git status"}, f"setup.cfg {seen}"),
            Did("Read", {"file_path": "setup.cfg"}, "[metadata]\nversion = 1.3.0"),
            Did("Edit", {"file_path": "setup.cfg", "old_string": "version = 1.3.0", "new_string": "version = 1.4.0"}),
            Did("Bash", {"command": "make test"}, f"12 passed {seen}"),
            Did("Bash", {"command": "git commit -am 'Release' && git tag v1.4.0"}, "[main 3f9c] Release"),
        ],
        f"Version {version} is tagged.",
    )
