"""The system's keyring through the package ``keyring``, where both are there.

It never asks on the terminal, and none of its failures reaches the caller: a keyring that cannot be used is as good as
none. Each use is bounded in time, since a keyring's service may hang; after that it is left alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "skillforge"
READ_S = 10.0
WRITE_S = 60.0  # a desktop may ask its user in a window of its own
_RECOMMENDED = 1  # the keyring package's own mark: what is below asks for a password or keeps plain text

T = TypeVar("T")
_hung = threading.Event()


def is_installed() -> bool:
    try:
        import keyring  # noqa: F401
    except ImportError:
        return False
    return True


def get(variable: str) -> str | None:
    """The stored value, ``None`` where there is none or no keyring."""
    found: Any = _bounded(lambda backend: backend.get_password(SERVICE, variable), READ_S)
    return found if isinstance(found, str) else None


def put(variable: str, value: str) -> bool:
    """Whether the value was stored: read back, so a keyring that forgets is found out."""

    def store(backend: KeyringBackend) -> bool:
        backend.set_password(SERVICE, variable, value)
        return backend.get_password(SERVICE, variable) == value

    return _bounded(store, WRITE_S) is True


def delete(variable: str) -> bool:
    """Whether there was a value and is none any more."""

    def remove(backend: KeyringBackend) -> bool:
        if backend.get_password(SERVICE, variable) is None:
            return False
        backend.delete_password(SERVICE, variable)
        return True

    return _bounded(remove, WRITE_S) is True


def _bounded(use: Callable[[KeyringBackend], T], seconds: float) -> T | None:
    """What ``use`` of the keyring gives; ``None`` without a keyring, on any failure, and after ``seconds``."""
    if _hung.is_set():
        return None
    results: list[T] = []

    def work() -> None:
        try:
            backend = _backend()
            if backend is not None:
                results.append(use(backend))
        except Exception:
            return  # backends raise anything, and what they say may hold the value

    thread = threading.Thread(target=work, daemon=True, name="skillforge-keyring")
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        _hung.set()
        return None
    return results[0] if results else None


def _backend() -> KeyringBackend | None:
    """The best keyring that is recommended; of a chain its first such link, as the others may ask on the terminal."""
    try:
        import keyring
        from keyring.backends.chainer import ChainerBackend
    except ImportError:
        return None
    chosen = keyring.get_keyring()
    links = chosen.backends if isinstance(chosen, ChainerBackend) else [chosen]
    return next((backend for backend in links if backend.priority >= _RECOMMENDED), None)
