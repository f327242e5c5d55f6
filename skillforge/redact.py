"""Secrets out of texts and JSON values before they are stored; and which kinds a text holds, for lint.

Three layers: the exact values of known secrets (the environment's, and those learned later), the patterns of
``skillforge.secretpatterns``, and a mask of the caller's own (for personal data). A secret becomes
``[redacted:<kind>]``.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from skillforge.secretpatterns import CUT, MARKER, SECRET_PATTERNS, SecretPattern, is_credential

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL", re.IGNORECASE)
_MIN_LENGTH = 8
_PATH = re.compile(
    r"(?:~|\.{1,2}|[a-z]:)[/\\]|/(?:app|bin|data|dev|etc|home|library|media|mnt|opt|private|proc|root|run|srv|tmp|users|usr"
    r"|var|volumes|workspace)(?:/|$)",
    re.IGNORECASE,
)
_COMMON = re.compile(
    r"anonymous|changeme|credentials?|database|default|development|disabled|inherited|localhost|optional|password|passwort"
    r"|production|readonly|redacted|required|username|undefined"
    r"|assistant|document|reasoning|tool_call|tool_result",  # what messages are made of
    re.IGNORECASE,
)
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|[bfnrt])")
_MARKERS = {f"{MARKER}{kind}]" for kind in ("env", *(pattern.kind for pattern in SECRET_PATTERNS))}
_HINTS = tuple(dict.fromkeys(hint for pattern in SECRET_PATTERNS for hint in pattern.hints))
_UNHINTED = tuple(pattern for pattern in SECRET_PATTERNS if not pattern.hints)
_MOST_KNOWN = 4_096  # texts whose clean form is remembered
_KNOWN_LENGTH = 4_096  # characters of such a text
_ROUNDS = 4  # taking one secret out can uncover the start of the next; two rounds have always been enough


class Redactor:
    """Takes secrets out. Redacting twice gives what redacting once gave (as far as ``mask`` does so too).

    ``env``: the values of its variables named like \\*KEY\\*, \\*TOKEN\\*, \\*SECRET\\* or \\*PASSWORD\\* are taken out
    wherever they stand, also escaped in JSON or in a URL; paths, common words and what is shorter than 8 characters are
    no secrets. Of a value that a shortened message holds only in part, 8 characters or more of its start are taken out
    before "…" and at the end of the text. ``mask`` is applied last.
    """

    def __init__(self, env: Mapping[str, str] | None = None, mask: Callable[[str], str] | None = None) -> None:
        forms = {form for value in _env_secrets(env or {}) for form in forms_of(value)}
        self._exact = _longest_first(forms)
        self._mask = mask
        self._learning = threading.Lock()
        self._known: dict[str, str] = {}  # what texts became: keys, roles and prompts come again and again

    def learn(self, value: str) -> None:
        """Take ``value`` out from now on, wherever the environment's secrets are taken out; any thread may call this.

        For what is known to be a secret, such as a stored key: it may be a common word or look like a path. What is
        shorter than 8 characters is not learned: it would be found in ordinary words.
        """
        value = value.strip()
        if len(value) < _MIN_LENGTH or _in_a_marker(value):
            return
        with self._learning:
            self._exact = _longest_first({*self._exact, *forms_of(value)})  # one new tuple: readers see all or nothing
            self._known = {}  # a new one: who reads at this moment adds to the old

    def text(self, text: str) -> str:
        """The text without secrets."""
        known = self._known
        clean = known.get(text)
        if clean is None:
            clean = self._without_secrets(text)
            if len(text) <= _KNOWN_LENGTH:
                if len(known) >= _MOST_KNOWN:
                    known.clear()
                known[text] = clean
        return clean

    def _without_secrets(self, text: str) -> str:
        for _ in range(_ROUNDS):
            clean = self._once(text)
            if clean == text:
                break
            text = clean
        return text if self._mask is None else self._mask(text)

    def holds_secret(self, text: str) -> bool:
        """Whether a whole secret stands in the text: one of the environment, or one of the patterns.

        Neither a mere start of one nor what ``mask`` takes out: a skill's own words may well be these.
        """
        return any(form in text for form in self._exact) or bool(find_secrets(text))

    def value(self, value: Any) -> Any:
        """A copy of a JSON value without secrets: in strings, in keys, and a number that is one. Any depth.

        A text under a key that names a credential, also one in a list there, goes as a whole (see ``is_credential``).
        Of keys that become equal the later ones get a number behind them, so no value is lost.
        """
        if isinstance(value, str):
            return self.text(value)
        root: list[Any] = [None]
        stack: list[tuple[Any, Any, Any, str]] = [(root, 0, value, "")]
        while stack:
            parent, place, item, name = stack.pop()
            if isinstance(item, Mapping):
                copy: Any = {}
                for key, child in zip(self._keys(item), item.values(), strict=True):
                    copy[key] = None  # keeps the order of the keys; the stack fills it in
                    stack.append((copy, key, child, key if isinstance(key, str) else ""))
            elif isinstance(item, list | tuple):
                copy = [None] * len(item)
                stack.extend((copy, number, child, name) for number, child in enumerate(item))
            elif isinstance(item, str) and name and is_credential(name, item):
                copy = f"{MARKER}credential]"
            else:
                copy = self._leaf(item)
            parent[place] = copy
        return root[0]

    def _leaf(self, item: Any) -> Any:
        if isinstance(item, str):
            return self.text(item)
        if isinstance(item, int) and 10**7 <= abs(item) < 10**64:  # eight digits: the shortest that can be a secret
            digits = str(item)
            clean = self.text(digits)
            return item if clean == digits else clean
        return item

    def _keys(self, keys: Iterable[Any]) -> list[Any]:
        taken: dict[Any, int] = {}
        for key in keys:
            clean = new = self.text(key) if isinstance(key, str) else key
            while new in taken:
                taken[clean] += 1
                new = f"{clean}#{taken[clean]}"
            taken[new] = 1
        return list(taken)

    def _once(self, text: str) -> str:
        for form in self._exact:
            text = _without_start(text.replace(form, f"{MARKER}env]"), form)
        for pattern in _candidates(text):
            text = _without(text, pattern)
        return text


def find_secrets(text: str) -> list[str]:
    """The kinds of secret a text holds by the patterns alone, each once."""
    found = (pattern.kind for pattern in _candidates(text) if _spans(text, pattern))
    return list(dict.fromkeys(found))


def _candidates(text: str) -> Iterator[SecretPattern]:
    small = text.lower()
    if not any(map(small.__contains__, _HINTS)):
        return iter(_UNHINTED)
    return (pattern for pattern in SECRET_PATTERNS if not pattern.hints or any(hint in small for hint in pattern.hints))


def _spans(text: str, pattern: SecretPattern) -> list[tuple[int, int]]:
    """Where secrets of one kind stand. In JSON carried as a text the letter of an escape, as in ``\\nsk-…``, would
    run into what follows it: there, escapes are looked at as the blanks that they mean.
    """
    found = list(pattern.spans(text))
    if not found and "\\" in text and (plain := _ESCAPE.sub(_blank, text)) != text:
        found = list(pattern.spans(plain))
    return found


def _blank(escape: re.Match[str]) -> str:
    return " " * len(escape.group())


def _without(text: str, pattern: SecretPattern) -> str:
    pieces, position = [], 0
    for start, end in _spans(text, pattern):
        pieces += [text[position:start], f"{MARKER}{pattern.kind}]"]
        position = end
    return "".join([*pieces, text[position:]]) if pieces else text


def _without_start(text: str, form: str) -> str:
    """The text without a start of ``form`` that stands before "…" or ends the text. Linear: few looks at each place."""
    head = form[:_MIN_LENGTH]
    if any(head in marker for marker in _MARKERS):  # what is put in would be found again
        return text
    pieces, position, start = [], 0, text.find(head)
    while start >= 0:
        end = text.find(CUT, start + _MIN_LENGTH, start + len(form))
        if end < 0 and len(text) - start < len(form):
            end = len(text)
        found = text[start:end] if end >= 0 else ""
        if found and form.startswith(found) and not _COMMON.fullmatch(found.strip("-_. ")):
            pieces += [text[position:start], f"{MARKER}env]"]
            position = end
        start = text.find(head, max(start + 1, position))
    return "".join([*pieces, text[position:]])


def _env_secrets(env: Mapping[str, str]) -> Iterator[str]:
    for name, raw in env.items():
        value = raw.strip()
        count = value.isdigit() and "TOKENS" in name.upper()  # MAX_TOKENS is a number of tokens
        if len(value) < _MIN_LENGTH or count or not _SECRET_NAME.search(name):
            continue
        if not (_COMMON.fullmatch(value) or _PATH.match(value) or _in_a_marker(value)):
            yield value


def _in_a_marker(value: str) -> bool:
    """What is put in for a secret holds ``value``: taking it out would never end."""
    return any(value in marker for marker in _MARKERS)


def _longest_first(forms: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def forms_of(value: str) -> Iterator[str]:
    """A value as it stands in a text, in JSON (once and twice encoded, with or without ``\\uXXXX``) and in a URL."""
    yield value
    yield quote(value, safe="", errors="replace")
    for ascii_only in (True, False):
        once = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield from (once, once.replace("/", "\\/"), json.dumps(once, ensure_ascii=ascii_only)[1:-1])
