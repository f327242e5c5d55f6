"""Regular expressions in linear time: RE2, the only engine that ever sees a pattern from a file."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from skillforge.errors import UsageError

MAX_PATTERN = 1_024
_SHOWN = 80


def compile_regex(pattern: str) -> Any:
    """A compiled RE2 pattern (``search``, ``fullmatch``): linear time on any text.

    Raises ``UsageError`` with RE2's reason. Syntax: https://github.com/google/re2/wiki/Syntax
    """
    if len(pattern) > MAX_PATTERN:
        raise UsageError(f"a regular expression longer than {MAX_PATTERN:,} characters", hint="split it")
    return _compiled(pattern)


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False  # RE2 writes to stderr by itself otherwise
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as exc:
        reason = exc.args[0].decode("utf-8", "replace") if isinstance(exc.args[0], bytes) else str(exc)
        shown = pattern if len(pattern) <= _SHOWN else pattern[: _SHOWN - 1] + "…"
        hint = "RE2 has no look-around and no back-references (github.com/google/re2/wiki/Syntax)"
        raise UsageError(f"not an RE2 pattern: {shown!r}: {reason}", hint=hint) from exc
