"""Every error skillforge raises on purpose.

::

    SkillforgeError                 catch this to catch everything of ours
    ├── UsageError                  the caller can mend it (exit 2)
    │   ├── SkillFileError          a skill, suite or case file is wrong: file, line, field
    │   ├── InvalidInput            an input does not fit the skill's contract
    │   ├── NotFound                no such skill, version, suite, file or model
    │   ├── MissingPackage          an extra is not installed
    │   ├── SecretFound             a skill holds a secret: refused, never altered
    │   └── StoreError              the registry cannot be opened, read or written
    ├── ProviderError               a model could not answer (exit 4)
    │   ├── ContextOverflow         the request is longer than the model's context
    │   ├── ProviderTimeout         no answer in time
    │   └── UnknownRequest          a replayed recording has no such request
    └── TeacherError                the teacher's draft stayed wrong after one repair (exit 1)

``hint`` says how to mend it; ``exit_code`` is what the command line returns.
"""

from __future__ import annotations

from dataclasses import dataclass


class SkillforgeError(Exception):
    """Base of the tree. ``str(error)`` is the message, ``error.hint`` the mending step (may be empty)."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        if hint:
            self.add_note(f"-> {hint}")  # a traceback shows it too


class UsageError(SkillforgeError):
    """The caller asked for something that cannot be done as asked."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file: where it stands and what is wrong. ``line`` and ``column`` count from 1."""

    message: str
    field: str = ""
    line: int | None = None
    column: int | None = None
    level: str = "error"  # "error" or "warning"
    hint: str = ""

    def describe(self, path: str) -> str:
        place = path if self.line is None else f"{path}:{self.line}"
        if self.line is not None and self.column is not None:
            place += f":{self.column}"
        field = f" {self.field}:" if self.field else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}:{field} {self.message}{hint}"


class SkillFileError(UsageError):
    """A file that should hold a skill, a suite or cases is wrong. ``problems`` holds all of it at once."""

    def __init__(self, path: str, problems: list[Problem], *, hint: str = "") -> None:
        lines = [problem.describe(path) for problem in problems if problem.level == "error"]
        super().__init__("\n".join(lines) or f"{path}: invalid", hint=hint)
        self.path = path
        self.problems = tuple(problems)


class InvalidInput(UsageError):
    """An input does not fit the skill's contract. ``field`` names the first offending field."""

    def __init__(self, message: str, *, field: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.field = field


class NotFound(UsageError):
    """No such skill, version, suite, file or model."""


class MissingPackage(UsageError):
    """A feature needs a package that is not installed; the hint holds the install command."""


class SecretFound(UsageError):
    """A skill holds something that looks like a secret."""


class StoreError(UsageError):
    """The registry cannot be opened, read or written."""


class ProviderError(SkillforgeError):
    """A model could not answer. Counted apart in evals, never scored as a wrong answer."""

    exit_code = 4


class ContextOverflow(ProviderError):
    """The request is longer than the model's context window."""


class ProviderTimeout(ProviderError):
    """The model gave no answer in time."""


class UnknownRequest(ProviderError):
    """A recording has no answer for this request; the message names its nearest neighbour."""


class TeacherError(SkillforgeError):
    """The teacher's draft stayed wrong after one repair. ``trace_path`` is where its traces were kept."""

    def __init__(self, message: str, *, hint: str = "", trace_path: str = "") -> None:
        super().__init__(message, hint=hint)
        self.trace_path = trace_path
