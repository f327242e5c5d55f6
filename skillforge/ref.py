"""References to skills: what a person types to name one, and how its version part is read."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from skillforge.errors import UsageError
from skillforge.skill import NAME_PATTERN
from skillforge.skillfile import SKILL_FILE

NAME_MAX = 64
LATEST = "latest"
PRODUCTION = "production"  # the alias that code means by a bare name
SELECTOR_HINT = (
    "write NAME, NAME@3, NAME@latest, NAME@production or NAME@sha256:ab12cd34 (8 to 64 lowercase hex digits)"
)

_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{8,64}")
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_RESERVED = re.compile(r"latest|v?[0-9]+|sha256")  # what already means a version, or looks as if it did
_YAML = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class SkillRef:
    """A skill by ``name`` or by ``path`` (exactly one is set), and which of its versions.

    ``selector`` is ``None`` (the caller's default), ``"latest"``, a version number as text, ``"sha256:<8+ hex>"``, or
    the name of an alias. A path with a selector means: the skill of that file's name, at that stored version.
    """

    name: str = ""
    path: Path | None = None
    selector: str | None = None

    @classmethod
    def parse(cls, text: str) -> SkillRef:
        """Read ``NAME[@SELECTOR]`` or ``PATH[@SELECTOR]``; ``UsageError`` where it is neither.

        A path contains a separator, ends in .yaml or .yml, or is a file or a skill's folder; one that exists as written
        is taken whole. A folder that only has the name of a skill is none: people keep their own ``notes/`` anywhere.
        """
        if not text.strip():
            raise UsageError("an empty skill reference", hint=SELECTOR_HINT)
        if "\0" in text:
            raise UsageError(f"{text!r} is not a skill reference: it holds a NUL character", hint=SELECTOR_HINT)
        if _stands(text):
            return cls(path=Path(text))
        head, at, tail = text.rpartition("@")
        if at and _looks_like_path(head) and not _looks_like_path(tail):
            return cls(path=Path(head), selector=_version_or_alias(tail))
        if _looks_like_path(text):
            return cls(path=Path(text))
        return cls._named(text)

    @classmethod
    def parse_name(cls, text: str) -> SkillRef | None:
        """``text`` read as ``NAME[@SELECTOR]`` whatever files there are; ``None`` where it cannot be read so."""
        try:
            return cls._named(text)
        except UsageError:
            return None

    @classmethod
    def _named(cls, text: str) -> SkillRef:
        name, at, selector = text.partition("@")
        return cls(name=check_name(name), selector=_version_or_alias(selector) if at else None)

    @property
    def alias(self) -> str | None:
        """The alias it names; ``None`` where it names none."""
        return self.selector if self.selector is not None and is_alias(self.selector) else None

    def __str__(self) -> str:
        base = self.name or str(self.path)
        if self.path is not None and not _looks_like_path(base):
            base = f".{os.sep}{base}"  # "0/" is the path "0", which alone would read as a name
        return base if self.selector is None else f"{base}@{self.selector}"


def check_name(name: str) -> str:
    """``name`` itself when it can name a skill, else ``UsageError``."""
    if len(name) > NAME_MAX or not re.fullmatch(NAME_PATTERN.removesuffix("$"), name):
        raise UsageError(
            f"{name[:80]!r} is not a skill name",
            hint=f"use up to {NAME_MAX} lowercase letters and digits, joined by single hyphens: ticket-triage",
        )
    return name


def check_selector(selector: str) -> str:
    """``selector`` itself when it is ``latest``, a version number or a digest (prefix), else ``UsageError``."""
    if selector == LATEST or _VERSION.fullmatch(selector) or _DIGEST.fullmatch(selector):
        return selector
    if _VERSION.fullmatch(selector.removeprefix("v")):
        number = selector.removeprefix("v")
        raise UsageError(f"@{selector} is not a version", hint=f"versions are plain numbers: write @{number}")
    raise UsageError(f"@{selector[:80]} selects no version", hint=SELECTOR_HINT)


def is_alias(text: str) -> bool:
    """Whether ``text`` can name an alias: up to 64 of ``a-z 0-9 _ -``, a letter first, nothing that means a version."""
    return bool(_ALIAS.fullmatch(text)) and not _RESERVED.fullmatch(text)


def check_alias(name: str) -> str:
    """``name`` itself when it can name an alias, else ``UsageError``."""
    if not is_alias(name):
        raise UsageError(
            f"{name[:80]!r} cannot name an alias",
            hint="use up to 64 of a-z, 0-9, _ and -, a letter first: production; latest, sha256 and v3 are taken",
        )
    return name


def _version_or_alias(selector: str) -> str:
    return selector if is_alias(selector) else check_selector(selector)


def _looks_like_path(text: str) -> bool:
    separators = [os.sep, os.altsep] if os.altsep else [os.sep]
    return any(mark in text for mark in separators) or text.lower().endswith(_YAML) or _stands(text)


def _stands(text: str) -> bool:
    """Whether a skill may be read there: anything behind a separator, else a file or a folder with a skill's file."""
    if os.sep in text or (os.altsep and os.altsep in text):
        return os.path.exists(text)
    return os.path.isfile(text) or os.path.isfile(os.path.join(text, SKILL_FILE))
