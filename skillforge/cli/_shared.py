"""What every command needs: a Forge that talks to stderr, JSON on stdout, inputs from flags and files."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from skillforge.errors import InvalidInput, NotFound, UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from skillforge.forge.forge import Forge

MAX_INPUT_BYTES = 1_048_576


def note(message: str) -> None:
    """A line for the person, on stderr: stdout holds results only."""
    typer.echo(message, err=True)


def open_forge() -> Forge:
    """The repository around the current folder; what it has to say goes to stderr."""
    return open_forge_at(None)


def open_forge_at(folder: Path | None) -> Forge:
    """The repository around ``folder``."""
    from skillforge.forge.forge import Forge

    return Forge(folder, say=note)


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def as_json(value: BaseModel) -> dict[str, Any]:
    return value.model_dump(mode="json", by_alias=True)


def split_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """``["a=1", "b=x=y"]`` as a mapping. Raises ``UsageError`` for a pair without "=" or a field given twice."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"-i {pair}: must be field=value", hint='for example -i ticket="I was charged twice"')
        if name in found:
            raise UsageError(f"-i {name}: given twice")
        found[name] = value
    return found


def typed_fields(contract: Mapping[str, Mapping[str, Any]], pairs: Sequence[str]) -> dict[str, Any]:
    """Pairs read by the contract: text stays text, every other type is JSON (``-i urgent=true -i tags='["a"]'``)."""
    return {name: _typed(contract.get(name, {}), name, text) for name, text in split_pairs(pairs).items()}


def _typed(schema: Mapping[str, Any], name: str, text: str) -> Any:
    kinds = schema.get("type", "string" if not schema.get("enum") else None)
    kinds = {kinds} if isinstance(kinds, str) else set(kinds or ())
    choices = schema.get("enum", ())
    if text in choices or kinds == {"string"}:
        return text
    try:
        return json.loads(text)
    except ValueError as exc:
        if not kinds or "string" in kinds:
            return text
        wanted = " or ".join(sorted(kinds))
        raise InvalidInput(f"-i {name}: {text!r} is not {wanted}", field=name, hint="write it as JSON") from exc


def read_input(source: str) -> dict[str, Any]:
    """A JSON object from a file, or from stdin for ``-``."""
    try:
        data = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1) if source == "-" else Path(source).read_bytes()
    except OSError as exc:
        raise NotFound(f"{source}: cannot be read ({exc.strerror})", hint="check the path") from exc
    if len(data) > MAX_INPUT_BYTES:
        raise InvalidInput(f"{source}: longer than {MAX_INPUT_BYTES:,} bytes")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise InvalidInput(f"{source}: not JSON: {exc}", hint='an input is an object, {"field": "value"}') from exc
    if not isinstance(value, dict):
        raise InvalidInput(f"{source}: must be a JSON object", hint='for example {"ticket": "…"}')
    return value
