"""Files that a suite names by URL: beside it, anywhere on this machine (``file://``), or in an object store.

Stores are reached through fsspec, whose packages are optional. A suite file is untrusted: it may name the three stores
below and nothing else. No ``http``, no chained protocols, no keys in the address; a store's keys and endpoint come from
the environment, as its own tools read them.
"""

from __future__ import annotations

import io
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from skillforge.errors import MissingPackage, NotFound, SkillforgeError, UsageError

FILE_SCHEME = "file://"
STORES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}  # scheme: the package that knows it
MAX_BYTES = 1 << 30  # of one file in a store
CHUNK = 1 << 20
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_UNFIT = re.compile(r"[\x00-\x20\x7f-\x9f?#*\[\]\\]|::|/\.\.?(/|$)")

Result = TypeVar("Result")


def locate(url: str, folder: Path) -> Path | RemoteFile:
    """Where a URL points: a path (``file://NAME`` is taken from ``folder``), or a file in a store.

    Raises ``UsageError`` for every other scheme and for an address that could mean more than one file.
    """
    found = _SCHEME.match(url)
    scheme = found[1].lower() if found else ""
    if scheme == "file":
        if "\0" in url:
            raise UsageError("a file's name holds no NUL", hint="name it as file://NAME.jsonl")
        return (folder / url[len(FILE_SCHEME) :]).resolve()
    if scheme in STORES:
        return RemoteFile.of(url)
    known = ", ".join(f"{name}://" for name in STORES)
    raise UsageError(f"{_short(url)!r} must start with {FILE_SCHEME}", hint=f"or name a store: {known}")


def reopened(where: str) -> Path | RemoteFile:
    """The place that ``str(locate(…))`` named: an absolute path, or a store's URL."""
    return RemoteFile.of(where) if is_remote(where) else Path(where)


def is_remote(where: str) -> bool:
    """Whether this names a file in a store."""
    found = _SCHEME.match(where)
    return found is not None and found[1].lower() in STORES


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file in an object store. Read as a stream, at most ``MAX_BYTES`` of it; written in one piece.

    Raises ``NotFound`` where it is not there, ``MissingPackage`` without the store's package, ``UsageError`` with the
    store's own words for what else goes wrong (no network, no rights).
    """

    url: str

    @classmethod
    def of(cls, url: str) -> RemoteFile:
        """Raises ``UsageError`` for an address that is more than a plain ``store://bucket/name``."""
        scheme, _, rest = url.partition("://")
        bucket, _, name = rest.partition("/")
        if _UNFIT.search(rest) or "@" in bucket or not bucket or not name or name.endswith("/"):
            raise UsageError(
                f"{_short(url)!r} is not the plain address of one file",
                hint=f"write {scheme.lower()}://BUCKET/PATH.jsonl; keys come from the environment",
            )
        return cls(f"{scheme.lower()}://{rest}")

    def __str__(self) -> str:
        return self.url

    def open(self, mode: Literal["rb"] = "rb") -> io.BufferedReader:
        """A stream of the file's bytes."""
        handle = self._asked(lambda files: files.open(self.url, mode))
        return io.BufferedReader(_Bounded(handle, self), CHUNK)

    def exists(self) -> bool:
        return bool(self._asked(lambda files: files.exists(self.url)))

    def write(self, data: bytes) -> None:
        """Put the whole file there; stores show a new object only when it is complete."""
        self._asked(lambda files: files.pipe_file(self.url, data))

    def failed(self, exc: Exception) -> SkillforgeError:
        """The error for what the store said."""
        if isinstance(exc, FileNotFoundError):
            return NotFound(f"{self.url}: no such file or bucket", hint="check the address")
        said = " ".join(str(exc).split())[:300] or type(exc).__name__
        return UsageError(
            f"{self.url}: the store cannot be used: {said}", hint="check the address, the network and its keys"
        )

    def _asked(self, ask: Callable[[Any], Result]) -> Result:
        try:
            return ask(self._store())
        except SkillforgeError:
            raise
        except Exception as exc:  # every store has exceptions of its own
            raise self.failed(exc) from exc

    def _store(self) -> Any:
        from importlib import import_module

        scheme = self.url.partition("://")[0]
        try:
            files = import_module("fsspec").get_filesystem_class(scheme)
        except ImportError as exc:
            raise MissingPackage(
                f"{self.url}: {scheme}:// needs the packages fsspec and {STORES[scheme]}",
                hint=f'pip install "skillforge-distiller[remote]" {STORES[scheme]}',
            ) from exc
        # what others wrote meanwhile must be seen: no listing is kept
        return files(use_listings_cache=False, skip_instance_cache=True)


class _Bounded(io.RawIOBase):
    """A store's stream that ends with our errors, and ends."""

    def __init__(self, handle: Any, file: RemoteFile) -> None:
        self._handle = handle
        self._file = file
        self._left = MAX_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._handle.read(len(buffer))
        except Exception as exc:
            raise self._file.failed(exc) from exc
        self._left -= len(data)
        if self._left < 0:
            raise UsageError(f"{self._file}: longer than {MAX_BYTES:,} bytes", hint="split it, or take fewer cases")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._handle.close()
        super().close()


def require_plain(path: Path) -> Path:
    """The path, unless something other than a file stands there (a pipe or a device would never end)."""
    try:
        plain = stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return path  # what opens it says why
    if not plain:
        raise NotFound(f"{path}: is not a file", hint="name a file")
    return path


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:199] + "…"
