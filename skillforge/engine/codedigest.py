"""What a caller's own function does, as far as Python tells: stored answers of other code are never taken for its own.

Named are its bytecode and constants, its defaults, what it closes over and the globals it reads: plain data, patterns,
dates, decimals and paths by value, functions, classes and objects of the same module by their code in turn. A module
that it uses is named, with its file's content where that lies below the current folder; what is called beyond (a
package, a program, a model) is not looked into.
"""

from __future__ import annotations

import functools
import re
import sys
import types
from collections.abc import Iterator
from datetime import date, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePath
from typing import Any

from skillforge.canonical import digest, digest_bytes

_PLAIN = (str, bytes, int, float, bool, complex, type(None))
_VALUES = (date, time, timedelta, Decimal, Fraction, PurePath)  # their repr says all of them
_MAX_DEPTH = 8  # of data within data


def code_digest(function: object) -> str:
    """``sha256:<64 hex>`` of what ``function`` (any callable) would do."""
    return digest(_told(function, _home(function), set()))


def _home(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__module__", type(function).__module__))


def _told(value: Any, home: str, seen: set[int], depth: int = 0) -> Any:
    """The value as JSON data; ``seen`` holds the functions and classes that were told already."""
    if isinstance(value, _PLAIN):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, _VALUES):
        return repr(value)
    if isinstance(value, re.Pattern):
        return ["pattern", _told(value.pattern, home, seen), value.flags]
    if isinstance(value, list | tuple | dict | set | frozenset):
        return _data(value, home, seen, depth) if depth < _MAX_DEPTH else type(value).__name__
    if isinstance(value, functools.partial):
        return ["partial", *(_told(part, home, seen) for part in (value.func, value.args, value.keywords))]
    if isinstance(value, types.MethodType):
        return ["method", _told(value.__func__, home, seen), _told(value.__self__, home, seen)]
    if isinstance(value, types.ModuleType):
        return _module(value.__name__)
    name = f"{_home(value)}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    if _home(value) != home:
        return [name, _module(_home(value))]
    if id(value) in seen:
        return name
    seen.add(id(value))
    if isinstance(value, types.FunctionType):
        return [name, _code(value.__code__), *(_told(part, home, seen) for part in _reads(value))]
    if isinstance(value, type):
        return [name, *(_told(part, home, seen) for part in _members(value))]
    return [_told(type(value), home, seen), _told(dict(_state(value)), home, seen, depth + 1)]


def _module(name: str) -> list[str]:
    """A module by its name, and by its content where it is the caller's own."""
    try:
        file = Path(getattr(sys.modules.get(name), "__file__", None) or "").resolve()
        mine = file.is_file() and file.is_relative_to(Path.cwd()) and "site-packages" not in file.parts
        return [name, digest_bytes(file.read_bytes()) if mine else ""]
    except OSError:
        return [name, ""]


def _state(value: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(value, "__dict__", {}).items()
    for name in getattr(type(value), "__slots__", ()):
        yield str(name), getattr(value, name, None)


def _data(value: Any, home: str, seen: set[int], depth: int) -> list[Any]:
    items = value.items() if isinstance(value, dict) else value
    told = [_told(item, home, seen, depth + 1) for item in items]
    return [type(value).__name__, *(sorted(told, key=repr) if isinstance(value, set | frozenset) else told)]


def _members(made: type) -> Iterator[Any]:
    for name, member in sorted(vars(made).items()):
        if isinstance(member, staticmethod | classmethod):
            member = member.__func__
        if isinstance(member, types.FunctionType) or (isinstance(member, _PLAIN) and not name.startswith("__")):
            yield (name, member)


def _reads(function: types.FunctionType) -> Iterator[Any]:
    yield function.__defaults__
    yield function.__kwdefaults__
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            yield None
    for name in _names(function.__code__):
        if name in function.__globals__:
            yield (name, function.__globals__[name])


def _names(code: types.CodeType) -> list[str]:
    inner = [name for item in code.co_consts if isinstance(item, types.CodeType) for name in _names(item)]
    return sorted({*code.co_names, *inner})


def _code(code: types.CodeType) -> list[Any]:
    constants = [_code(item) if isinstance(item, types.CodeType) else _constant(item) for item in code.co_consts]
    return [code.co_code.hex(), list(code.co_names), constants]


def _constant(value: Any) -> str:
    """As text, in an order that no seed of hashes changes."""
    if isinstance(value, frozenset):
        return f"{{{' '.join(sorted(map(_constant, value)))}}}"
    return f"({' '.join(map(_constant, value))})" if isinstance(value, tuple) else repr(value)
