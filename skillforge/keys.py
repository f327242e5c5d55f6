"""Where API keys come from: the environment, the system's keyring, a file for the user's eyes only.

No function here puts a key, or a part of one, into a message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NoReturn

from skillforge import systemkeyring
from skillforge.errors import MissingPackage, UsageError
from skillforge.keyfile import VARIABLE, Entries, change_entries, is_sendable, key_file, read_entries

KEY_VARIABLES: Mapping[str, str] = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}

Store = Literal["keyring", "file"]
Source = Literal["environment", "keyring", "file"]

_SHORTEST, _LONGEST = 8, 4096


@dataclass(frozen=True, slots=True)
class Key:
    """A key and where it was found. Only ``value`` shows it; a key cannot be pickled."""

    value: str = field(repr=False)
    variable: str
    source: Source

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Key is not pickled: its value would be written down")


def find_key(variable: str, env: Mapping[str, str] = os.environ) -> Key | None:
    """The key of a variable: from the environment, else the keyring, else the key file; ``None`` where none has it.

    A variable that is set but empty is unset. Raises ``UsageError`` for a key that cannot be sent, and for a key file
    that is damaged or open to other users.
    """
    if value := env.get(variable, "").strip():
        return Key(_sendable(value, f"the environment variable {variable}"), variable, "environment")
    if value := (systemkeyring.get(variable) or "").strip():
        return Key(_sendable(value, f"{variable} in the keyring"), variable, "keyring")
    if value := read_entries(key_file(env)).values.get(variable, ""):
        return Key(value, variable, "file")
    return None


def store_key(variable: str, value: str, *, where: Store | None = None, env: Mapping[str, str] = os.environ) -> Store:
    """Store a key in the keyring or in the key file and say in which; ``None`` takes the keyring where it can be used.

    A copy in the other place goes: it could be found first. Raises ``UsageError`` for what is no key or no variable's
    name, or when it cannot be stored; ``MissingPackage`` for a keyring without its package.
    """
    _check_name(variable)
    value = _checked(value)
    path = key_file(env)
    read_entries(path)  # what is wrong with the file is told before anything is stored
    if where != "file":
        if systemkeyring.put(variable, value):
            change_entries(path, lambda old: Entries(_without(old, variable), old.in_keyring | {variable}))
            return "keyring"
        if where == "keyring":
            raise _no_keyring()
    change_entries(path, lambda old: replace(old, values={**old.values, variable: value}))
    _forget_in_keyring(variable, env)
    if systemkeyring.get(variable) is not None:
        raise UsageError(
            f"the keyring still holds an older {variable}, which would be used",
            hint=f"remove it there (service {systemkeyring.SERVICE!r}), or store the new one with --keyring",
        )
    return "file"


def remove_key(variable: str, env: Mapping[str, str] = os.environ) -> list[Store]:
    """Remove a stored key wherever it is, and say where it was (nowhere: an empty list).

    Raises ``UsageError`` for a damaged key file, and when the keyring keeps it.
    """
    _check_name(variable)
    path = key_file(env)
    removed: list[Store] = ["keyring"] if _forget_in_keyring(variable, env) else []
    if systemkeyring.get(variable) is not None:
        raise UsageError(f"the keyring does not let go of {variable}", hint="remove it with the system's own tool")
    if variable in read_entries(path).values:
        change_entries(path, lambda old: replace(old, values=_without(old, variable)))
        removed.append("file")
    return removed


def stored_keys(env: Mapping[str, str] = os.environ, *, also: Iterable[str] = ()) -> list[tuple[str, Store]]:
    """What is stored, by variable and place, never by value. A keyring cannot list what it holds: it is asked for what
    was stored here, for the known providers' variables, and for ``also``.
    """
    entries = read_entries(key_file(env))
    asked = {*entries.in_keyring, *KEY_VARIABLES.values(), *also}
    found: list[tuple[str, Store]] = [(name, "keyring") for name in asked if systemkeyring.get(name) is not None]
    return sorted([*found, *((name, "file") for name in entries.values)], key=lambda row: (row[0], row[1] == "file"))


def _forget_in_keyring(variable: str, env: Mapping[str, str]) -> bool:
    gone = systemkeyring.delete(variable)
    path = key_file(env)
    if variable in read_entries(path).in_keyring:
        change_entries(path, lambda old: replace(old, in_keyring=old.in_keyring - {variable}))
    return gone


def _without(entries: Entries, variable: str) -> dict[str, str]:
    return {name: value for name, value in entries.values.items() if name != variable}


def _check_name(variable: str) -> None:
    if not VARIABLE.fullmatch(variable) or variable == "keyring":  # not shown: it may be a key in the wrong place
        raise UsageError("that is not a variable's name", hint="letters, digits and _, such as MY_API_KEY")


def _checked(value: str) -> str:
    value = value.strip()
    if not value:
        raise UsageError("no key was given", hint="paste the key at the prompt, or pipe it in")
    if re.match(r"[A-Za-z_][A-Za-z0-9_]*=", value) or value[:1] in "\"'":
        raise UsageError(
            "that is a line of a settings file, not a key alone", hint="paste what stands after the =, unquoted"
        )
    if not is_sendable(value) or " " in value:
        raise UsageError("that is not a key: it holds spaces or other characters no key has", hint="paste it alone")
    if not _SHORTEST <= len(value) <= _LONGEST:
        raise UsageError(
            f"that is not a key: keys have {_SHORTEST} to {_LONGEST:,} characters", hint="paste the whole key"
        )
    return value


def _sendable(value: str, what: str) -> str:
    if not is_sendable(value):
        raise UsageError(f"{what} holds characters that no key has", hint="set it again, to one line of plain ASCII")
    return value


def _no_keyring() -> UsageError:
    if not systemkeyring.is_installed():
        return MissingPackage(
            "storing keys in the keyring needs the package keyring",
            hint='pip install "skillforge-distiller[keyring]", or use --file',
        )
    return UsageError("this system's keyring cannot be used", hint="store the key in a file of yours: --file")
