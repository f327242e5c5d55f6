"""``$ref`` in a promptfoo config: ``{$ref: "#/assertionTemplates/short"}`` stands for what is written there."""

from __future__ import annotations

from typing import Any

from skillforge.checks import resolve_pointer
from skillforge.errors import NotFound, Problem, SkillFileError, UsageError

MAX_VALUES = 1_000_000  # after resolving: references of references multiply
MAX_DEPTH = 64


def resolved(value: Any, path: str) -> Any:
    """The value with its own references filled in. Raises ``SkillFileError`` for one that leads nowhere, to another
    file or into itself.
    """
    return _Resolver(value, path).fill(value, 0)


class _Resolver:
    def __init__(self, root: Any, path: str) -> None:
        self._root = root
        self._path = path
        self._left = MAX_VALUES

    def fill(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            raise self._wrong("its references lead into themselves, or multiply", "write them out")
        if isinstance(value, list):
            return [self.fill(item, depth + 1) for item in value]
        if not isinstance(value, dict):
            return value
        name = value.get("$ref")
        if len(value) == 1 and isinstance(name, str):
            return self.fill(self._found(name), depth + 1)
        return {key: self.fill(item, depth + 1) for key, item in value.items()}

    def _found(self, name: str) -> Any:
        if not name.startswith("#"):
            raise self._wrong(f"$ref {name[:80]!r} names another file", "write what it names out")
        try:
            return resolve_pointer(self._root, name[1:])
        except (NotFound, UsageError):
            raise self._wrong(
                f"$ref {name[:80]!r} leads nowhere", "name a place of this file: #/templates/name"
            ) from None

    def _wrong(self, message: str, hint: str) -> SkillFileError:
        return SkillFileError(self._path, [Problem(message, hint=hint)])
