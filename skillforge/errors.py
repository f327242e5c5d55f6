"""Every error skillforge raises on purpose.

::

    SkillforgeError                 catch this to catch everything of ours
    ├── UsageError                  the caller can mend it (exit 2)
    │   ├── SkillFileError          a skill, suite or case file is wrong: file, line, field
    │   ├── InvalidInput            an input does not fit the skill's contract
    │   ├── NotFound                no such skill, version, suite, file or model
    │   │   └── NotPromoted         nothing answers under that alias
    │   ├── PromotionRefused        there is no fresh proof for what was to be promoted
    │   ├── MissingPackage          an extra is not installed
    │   ├── SecretFound             a skill holds a secret: refused, never altered
    │   └── StoreError              the registry cannot be opened, read or written
    ├── ProviderError               a model could not answer (exit 4)
    │   ├── ContextOverflow         the request is longer than the model's context
    │   ├── UnknownRequest          a replayed recording has no such request
    │   ├── RequestRejected         the provider refuses this request as it is: asking again gives the same
    │   │   └── InputRefused        its filter refuses what this input says
    │   ├── RetryableError          asking again may help
    │   │   ├── RateLimited         too many requests
    │   │   ├── ServerFailure       5xx, a lost connection, an answer cut off or garbled on its way
    │   │   │   └── Unreachable     no connection at all: the address, the network, or the server is down
    │   │   └── ProviderTimeout     no answer in time
    │   └── Halt                    no further call makes sense: the whole command stops
    │       ├── KeyRejected         the key is wrong, has no rights or no money
    │       ├── ProviderStopped     the same error again and again
    │       ├── BudgetReached       the next call could cost more than the budget holds
    │       └── LimitReached        as many errors, or as much time, as an eval was given
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


class NotPromoted(NotFound):
    """Nothing answers under that alias: it was never promoted, or was removed."""


class PromotionRefused(UsageError):
    """There is no fresh ``pass`` for what was to be promoted. ``reasons`` holds all that is in the way at once."""

    def __init__(self, message: str, reasons: tuple[str, ...], *, hint: str = "") -> None:
        super().__init__("\n".join((f"{message}:", *(f"  - {reason}" for reason in reasons))), hint=hint)
        self.reasons = reasons


class MissingPackage(UsageError):
    """A feature needs a package that is not installed; the hint holds the install command."""


class SecretFound(UsageError):
    """A skill holds something that looks like a secret."""


class StoreError(UsageError):
    """The registry cannot be opened, read or written."""


class ProviderError(SkillforgeError):
    """A model could not answer. Counted apart in evals, never scored as a wrong answer.

    ``maybe_billed``: the provider may charge for the call all the same (it was cut off, it timed out, nothing is known
    about it); a refusal costs nothing. ``calls``: how many requests reached for the provider before this was given up.
    """

    exit_code = 4
    refusal = False  # the provider turned the request down before doing any work

    def __init__(self, message: str, *, hint: str = "", maybe_billed: bool | None = None, calls: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.maybe_billed = not self.refusal if maybe_billed is None else maybe_billed
        self.calls = calls


class ContextOverflow(ProviderError):
    """The request is longer than the model's context window."""

    refusal = True


class UnknownRequest(ProviderError):
    """A recording has no answer for this request; the message names its nearest neighbour."""

    refusal = True


class RequestRejected(ProviderError):
    """The provider refuses this request as it is (400, 404, 413, 422): asking again gives the same."""

    refusal = True


class InputRefused(RequestRejected):
    """The provider's filter refuses what this input says. The student gives no answer to it, like one that refuses."""


class RetryableError(ProviderError):
    """Asking again may help. ``retry_after_s`` is how many seconds the server asks to wait, ``None`` if it does not
    say.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        maybe_billed: bool | None = None,
        calls: int = 1,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, maybe_billed=maybe_billed, calls=calls)
        self.retry_after_s = retry_after_s


class RateLimited(RetryableError):
    """Too many requests, or too many tokens, for now (429)."""

    refusal = True


class ServerFailure(RetryableError):
    """The provider failed: 5xx, overloaded, a lost connection, an answer cut off or garbled on its way."""


class Unreachable(ServerFailure):
    """No connection to the server: a wrong address, no network, or it does not run."""

    refusal = True


class ProviderTimeout(RetryableError):
    """The model gave no answer in time."""


class Halt(ProviderError):
    """No further call makes sense: the whole command stops, and what is done is kept."""

    refusal = True


class KeyRejected(Halt):
    """The provider refuses the key: wrong, without the right, or without money (401, 402, 403)."""


class ProviderStopped(Halt):
    """A provider gave the same error again and again."""


class BudgetReached(Halt):
    """The next call could cost more than the budget has left."""


class LimitReached(Halt):
    """An eval has had as many errors, or taken as much time, as it was given."""


class ToolUnavailable(SkillforgeError):
    """A tool could not be reached at all: its server is gone, its process ended. Like a model's failure, no answer."""

    exit_code = 4


class UnknownToolCall(ToolUnavailable):
    """A recording of tools holds no such call."""


class TeacherError(SkillforgeError):
    """The teacher's draft stayed wrong after one repair. ``trace_path`` is where its traces were kept."""

    def __init__(self, message: str, *, hint: str = "", trace_path: str = "") -> None:
        super().__init__(message, hint=hint)
        self.trace_path = trace_path
