"""Functions that a caller names: ``module:function``, from the current folder or an installed package."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skillforge.errors import UsageError
from skillforge.suggest import did_you_mean

_SHOWN = 200  # characters of what an import raised


def load_function(text: str) -> Callable[..., Any]:
    """The callable that ``module:function`` names. Raises ``UsageError``: whatever a module raises at its import."""
    found = load_object(text, what="function")
    if not callable(found):
        raise UsageError(f"{text} is no function but {type(found).__name__}", hint="name a function")
    return found  # type: ignore[no-any-return]


def load_object(text: str, *, what: str = "object") -> Any:
    """What ``module:object`` names, like ``load_function``; ``what`` it should be is said in errors."""
    module_name, _, path = text.partition(":")
    if not module_name or not path:
        raise UsageError(f"{text!r} names no {what}", hint=f"write module:{what}")
    found = _module(module_name)
    for name in path.split("."):
        if not hasattr(found, name):
            known = [key for key in getattr(found, "__dict__", {}) if not key.startswith("_")]
            raise UsageError(f"{module_name} has no {path!r}", hint=did_you_mean(name, known))
        found = getattr(found, name)
    return found


def _module(name: str) -> Any:
    try:
        with _current_folder():
            return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{name}.".startswith(f"{exc.name}."):
            raise UsageError(f"{name} cannot be imported: {exc}", hint="install what it needs") from exc
        hint = f"it is looked for in {Path.cwd()} and among the installed packages"
        raise UsageError(f"there is no module {name!r}", hint=hint) from exc
    except (Exception, SystemExit) as exc:
        error = f"{type(exc).__name__}: {' '.join(str(exc).split())[:_SHOWN]}"
        raise UsageError(f"{name} cannot be imported: {error}", hint="mend the module") from exc


@contextmanager
def _current_folder() -> Iterator[None]:
    """The current folder is importable, before all else for as long as this lasts and after all else from then on: a
    function may import its neighbours when it is called, and no file there stands in for a package of ours.
    """
    folder = str(Path.cwd())
    there = folder in sys.path
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        if not there:
            sys.path.append(folder)
