"""Making a folder a skillforge repository: what ``init`` does, and ``create`` and ``demo`` where there is none yet."""

from __future__ import annotations

import json
from pathlib import Path

from skillforge.errors import UsageError

IGNORED = (".skillforge/*", "!.skillforge/*.json")
SETTINGS = """\
# teacher = "anthropic:claude-opus-5-5"   # used where no teacher is named
# student = "local:smollm2-135m"          # used where no student is named
# store_io = "redacted"                   # none | redacted | full: what is kept of inputs and outputs
#
# [endpoints.ollama]                      # a server of your own: ollama:qwen3:8b
# kind = "openai-chat"                    # openai-chat | openai-responses | anthropic
# base_url = "http://localhost:11434/v1"
# price = {input = 0, output = 0}         # dollars per million tokens; without it the cost is unknown
"""


def make_repository(folder: Path) -> None:
    """``skills/``, ``evals/``, settings, the editors' schemas, and the registry kept out of git.

    Repeatable: what exists stays as it is, only the schemas are brought up to date. Raises ``UsageError`` where
    ``folder`` is no folder.
    """
    from skillforge.config import SETTINGS_FILE, STATE_FOLDER
    from skillforge.schema import SCHEMA_FILE, SUITE_SCHEMA_FILE, skill_json_schema, suite_json_schema

    state = folder / STATE_FOLDER
    for wanted in (folder, state, folder / "skills", folder / "evals"):
        if wanted.exists() and not wanted.is_dir():
            raise UsageError(f"{wanted} is a file, not a folder", hint="name another folder, or move the file away")
        wanted.mkdir(parents=True, exist_ok=True)
    for name, made in ((SCHEMA_FILE, skill_json_schema()), (SUITE_SCHEMA_FILE, suite_json_schema())):
        schema, text = state / name, json.dumps(made, indent=2) + "\n"
        if not schema.exists() or schema.read_text("utf-8") != text:
            schema.write_text(text, "utf-8")
    settings = folder / SETTINGS_FILE
    if not settings.exists():
        settings.write_text(SETTINGS, "utf-8")
    _ignore(folder / ".gitignore")


def _ignore(file: Path) -> None:
    """Keep the registry out of git, the schema in: add only the lines that are missing, change no other byte."""
    present = file.read_bytes() if file.exists() else b""
    lines = [line.strip().decode("utf-8", "replace") for line in present.splitlines()]
    missing = [line for line in IGNORED if line not in lines]
    if missing:
        start = "" if not present or present.endswith(b"\n") else "\n"
        with file.open("ab") as handle:
            handle.write((start + "".join(f"{line}\n" for line in missing)).encode())
