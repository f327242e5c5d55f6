"""The file with API keys: ``keys.toml`` in the user's configuration folder, for that user's eyes only.

One line per key, ``ANTHROPIC_API_KEY = "…"``; ``keyring = […]`` lists the names that the system's keyring holds, which
cannot be asked for a list.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skillforge.canonical import compact
from skillforge.errors import UsageError

FOLDER_VARIABLE = "SKILLFORGE_CONFIG_DIR"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_FILE = "keys.toml"
_NAMES = "keyring"  # the entry with the names in the keyring
_MAX_BYTES = 1_048_576
_HEAD = "# Keys of skillforge: for you alone (mode 0600).\n"


@dataclass(frozen=True)
class Entries:
    """What the file holds. ``values`` maps variables to keys, ``in_keyring`` names those the keyring holds."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    in_keyring: frozenset[str] = frozenset()


def key_file(env: Mapping[str, str]) -> Path:
    """``keys.toml`` in ``SKILLFORGE_CONFIG_DIR`` or in the user's configuration folder."""
    if folder := env.get(FOLDER_VARIABLE):
        return Path(folder) / _FILE
    from platformdirs import user_config_path

    return user_config_path("skillforge") / _FILE


def is_sendable(value: str) -> bool:
    """Printable ASCII: anything else cannot go in an HTTP header, and a client's error about it would show the key."""
    return bool(value) and value.isascii() and value.isprintable()


def read_entries(path: Path) -> Entries:
    """The file's entries; none where there is no file.

    Raises ``UsageError`` for a file that others can read, that is a link, or not the user's, or not such a file. No
    message holds any of its values.
    """
    try:
        data = _read(path)
    except FileNotFoundError:
        return Entries()
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}", hint="it must be a file of yours") from exc
    try:
        found = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        place = re.search(r"line \d+", str(exc))  # the rest of the message may quote a key
        raise UsageError(
            f"{path} is not TOML{f' ({place[0]})' if place else ''}",
            hint="mend it, or remove the file and store the keys again: skillforge keys set NAME",
        ) from None
    return _entries(path, found)


def change_entries(path: Path, change: Callable[[Entries], Entries]) -> None:
    """Replace the file's entries by ``change`` of them: all or nothing, one writer at a time.

    A file without entries is removed. Raises ``UsageError`` as ``read_entries`` does, or when it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(path.with_suffix(".lock")):
            before = read_entries(path)
            after = change(before)
            if after == before:
                return
            if after.values or after.in_keyring:
                _write(path, after)
            else:
                path.unlink(missing_ok=True)
    except OSError as exc:
        raise UsageError(
            f"{path} cannot be written: {exc.strerror}", hint=f"set {FOLDER_VARIABLE} to a folder of yours"
        ) from exc


def _read(path: Path) -> bytes:
    # O_NONBLOCK: a pipe in its place must not hold us up before it is refused
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if path.is_symlink():
        raise UsageError(f"{path} is a link", hint=f"put the file itself there, or set {FOLDER_VARIABLE}")
    with open(os.open(path, flags), "rb") as handle:
        _check_private(path, os.fstat(handle.fileno()))  # of what was opened: the name may change hands
        data = handle.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise UsageError(f"{path} is longer than {_MAX_BYTES:,} bytes", hint="it holds keys only")
    return data


def _check_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{path} is not a regular file", hint="put a file there")
    if os.name != "posix":
        return
    if status.st_uid != os.geteuid():
        raise UsageError(f"{path} belongs to another user", hint=f"store your own, or set {FOLDER_VARIABLE}")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"{path} holds keys and is open to other users", hint=f"chmod 600 {path}")


def _entries(path: Path, found: Mapping[str, Any]) -> Entries:
    values: dict[str, str] = {}
    names = found.get(_NAMES, [])
    if not isinstance(names, list) or not all(isinstance(name, str) and VARIABLE.fullmatch(name) for name in names):
        raise UsageError(f"{path}: {_NAMES} must be a list of names", hint="write it as in keyring = ['MY_API_KEY']")
    for name, value in found.items():
        if name == _NAMES:
            continue
        if not VARIABLE.fullmatch(name):  # not shown: it may be a key in the wrong place
            raise UsageError(f"{path}: an entry is not called like a variable", hint='lines are MY_API_KEY = "…"')
        if not isinstance(value, str) or not is_sendable(value.strip()):
            raise UsageError(f"{path}: {name} is not a key", hint=f"store it again: skillforge keys set {name}")
        values[name] = value.strip()
    return Entries(values, frozenset(names))


def _write(path: Path, entries: Entries) -> None:
    # JSON's texts of printable ASCII are TOML's too
    lines = [f"{_NAMES} = {compact(sorted(entries.in_keyring))}\n"] if entries.in_keyring else []
    lines += [f"{name} = {compact(value)}\n" for name, value in sorted(entries.values.items())]
    handle, name = tempfile.mkstemp(prefix=".keys-", dir=path.parent)  # made with mode 0600, so never open to others
    try:
        with open(handle, "w", encoding="ascii", newline="\n") as file:
            file.write("".join([_HEAD, *lines]))
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file lock where the system has one. Without it, of two writers at once the later one wins."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
