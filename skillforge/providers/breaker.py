"""When a provider says the same again and again, asking on only costs time and money."""

from __future__ import annotations

import re
from collections import Counter

from skillforge.errors import (
    ContextOverflow,
    Halt,
    InputRefused,
    KeyRejected,
    ProviderError,
    ProviderStopped,
    RequestRejected,
)

SAME_ERRORS = 5
SAME_404 = 2  # no such model, or no such address: that does not change
_LONGEST = 500  # characters of a message that are compared


class Breaker:
    """Stops everything at the fifth equal error with no success in between, and at the first refused key, for all
    callers of one model.

    Errors are equal when type and message are, numbers and ids aside. An input that is too long, or that a filter
    refuses, is that input's own trouble and does not count. It stops too when the server is down: the retries of many
    callers together would be hundreds of calls. Once stopped it stays stopped until ``start_again``.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._seen: Counter[str] = Counter()
        self._stopped: tuple[str, str] | None = None  # message, hint

    def succeeded(self) -> None:
        self._seen.clear()

    @property
    def stopped(self) -> bool:
        return self._stopped is not None

    def check(self) -> None:
        """Raises ``ProviderStopped`` once the same error came too often."""
        if self._stopped is not None:
            raise self._stop()

    def start_again(self) -> None:
        """For a new command, after what was wrong may have been mended. What is counted and not stopped stays."""
        if self._stopped is not None:
            self._stopped = None
            self.succeeded()

    def down(self, error: ProviderError) -> None:
        """The server is down; ``error`` is what it said last."""
        if self._stopped is None:
            self._stop_with(error, "keeps failing")

    def failed(self, error: ProviderError, *, at_once: bool = False) -> ProviderError:
        """What to raise for a call's final ``error``: that, or ``ProviderStopped``, ``at_once`` where it is final for
        all callers.
        """
        if self._stopped is None and (at_once or isinstance(error, KeyRejected)):
            self._stopped = (str(error), error.hint)  # a refused key is refused to all who wait behind this call
        if isinstance(error, Halt):
            return error
        if self._stopped is None and not isinstance(error, ContextOverflow | InputRefused):
            self._count(error)
        return error if self._stopped is None else self._stop()

    def _count(self, error: ProviderError) -> None:
        kind = f"{type(error).__name__} {without_numbers(str(error))}"
        self._seen[kind] += 1
        times = self._seen[kind]
        if times >= (SAME_404 if is_404(error) else SAME_ERRORS):
            self._stop_with(error, f"said the same {times} times")

    def _stop_with(self, error: ProviderError, what: str) -> None:
        said = str(error).removeprefix(f"{self._name}: ")
        hint = f"{error.hint or 'mend it'}; what is done is kept, the same command goes on"
        self._stopped = (f"{self._name} {what}: {said}", hint)

    def _stop(self) -> ProviderStopped:
        assert self._stopped is not None
        message, hint = self._stopped
        return ProviderStopped(message, hint=hint)  # a new one each time: tracebacks of callers must not mix


def is_404(error: ProviderError) -> bool:
    """Whether the server knows no such model or address. Wires write the status into the message."""
    return isinstance(error, RequestRejected) and re.search(r"\bHTTP 404\b", str(error)) is not None


def without_numbers(message: str) -> str:
    """The message with every number, and every word that holds a digit (an id), replaced by ``#``."""
    return re.sub(r"[\w-]*\d[\w-]*", "#", message[:_LONGEST])
