"""``skillforge.lock``: which versions are numbered how, and which of them is deployed. Machine-written, committed.

It is the only place where deployments stand. An alias points where its last move says; the database holds no copy.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from skillforge.atomicfile import replace_file
from skillforge.config import LOCK_FILE
from skillforge.errors import Problem, SkillFileError, UsageError
from skillforge.jsonl import strict_json
from skillforge.messages import Value
from skillforge.ref import NAME_MAX, is_alias
from skillforge.skill import NAME_PATTERN

LOCK_SCHEMA = "skillforge/lock/v1"
MAX_BYTES = 16 * 1_048_576
LINE_MAX = 1_000  # characters of a reason
RESTORE = "it is machine-written: restore it from git"

Action = Literal["promote", "rollback", "remove"]

_CONFLICT = re.compile(rb"^(<{7} |={7}$|>{7} |\|{7} )", re.MULTILINE)
_PLAIN = re.compile(r"[\w.@:-]+")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


def one_line(text: str) -> str:
    """``text`` itself when it is one printable line of at most 1,000 characters, else ``ValueError``.

    What is shown to people and reviewed in git may hold no terminal escapes and no hidden characters.
    """
    if len(text) > LINE_MAX or not text.isprintable():
        raise ValueError(f"must be one printable line of up to {LINE_MAX:,} characters")
    return text


def _numbered(versions: Any) -> Any:
    """JSON's keys are texts: only a number as we write it is one, or two keys could be the same version."""
    if isinstance(versions, dict) and all(isinstance(key, str) for key in versions):
        if wrong := next((key for key in versions if not _NUMBER.fullmatch(key)), None):
            raise ValueError(f"{wrong[:20]!r} is no version number")
        return {int(key): digest for key, digest in versions.items()}
    return versions


def _alias_name(text: str) -> str:
    if not is_alias(text):
        raise ValueError("cannot name an alias")
    return text


Line = Annotated[str, AfterValidator(one_line)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Number = Annotated[int, Field(ge=1, lt=10**9, strict=True)]
Name = Annotated[str, Field(pattern=NAME_PATTERN.removesuffix("$") + r"\z", max_length=NAME_MAX)]


class Move(Value):
    """One change of an alias: what it points to from then on, and on what grounds.

    ``version`` and ``digest`` name the skill version, ``student`` the model that runs it, ``fallback`` the one that
    answers when the student cannot (may be empty). ``variants`` maps those of its models that have a variant to the
    digest of the form they run. ``verdict`` is the evidence's for exactly that version, student and
    suite (empty: never measured); ``accepted_risk`` is the reason given for promoting without a fresh ``pass``.
    ``version`` is ``None`` where the alias was removed. ``at`` is UTC, ISO 8601; ``by`` who did it.
    """

    id: Line
    alias: Annotated[str, AfterValidator(_alias_name)]
    action: Action
    version: Number | None
    digest: Digest | Literal[""] = ""
    student: Line = ""
    fallback: Line = ""
    variants: dict[Line, Digest] = Field(default_factory=dict)
    suite: Line = ""
    suite_digest: Digest | Literal[""] = ""
    verdict: Line = ""
    accepted_risk: Line = ""
    reason: Line = ""
    at: Line
    by: Line = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """Whoever resolves an alias needs all three: a version without its digest could be any content."""
        if self.version is None and (self.action != "remove" or self.digest or self.student):
            raise ValueError("a move without a version must be a removal")
        if self.version is not None and (self.action == "remove" or not self.digest or not self.student):
            raise ValueError("a move to a version needs its digest and its student")
        return self

    def same_target(self, other: Move) -> bool:
        """Whether both point to the same content, run by the same models."""
        return (self.version, self.digest, self.student, self.fallback, self.variants) == (
            other.version,
            other.digest,
            other.student,
            other.fallback,
            other.variants,
        )


class LockedSkill(Value):
    """One skill. ``head`` is the digest its file and the registry last agreed on (the base of ``sync``); ``versions``
    maps the numbers of reviewed versions to digests; ``deleted`` lists numbers of deleted ones, ``erased`` the digests
    of deployed forms that a purge erased; ``moves`` are the changes of its aliases, oldest first.
    """

    head: Digest | Literal[""] = ""
    versions: Annotated[dict[Number, Digest], BeforeValidator(_numbered)] = Field(default_factory=dict)
    deleted: tuple[Number, ...] = ()
    erased: tuple[Digest, ...] = ()
    moves: tuple[Move, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """A merge by hand can leave a move twice, or one number for two contents."""
        ids: set[str] = set()
        for move in self.moves:
            if move.id in ids:
                raise ValueError(f"the move {move.id} stands twice: keep one")
            ids.add(move.id)
            known = self.versions.get(move.version, move.digest) if move.version is not None else move.digest
            if known != move.digest:
                raise ValueError(
                    f"the move {move.id} says that @{move.version} is {move.digest}, versions says {known}"
                )
        if len(set(self.versions.values())) < len(self.versions):
            raise ValueError("one content stands under two version numbers")
        return self

    def alias(self, name: str) -> Move | None:
        """Where the alias points: its last move; ``None`` where it was never set or was removed."""
        last = next((move for move in reversed(self.moves) if move.alias == name), None)
        return last if last is not None and last.version is not None else None

    @property
    def aliases(self) -> dict[str, Move]:
        """Every alias that points somewhere, by name."""
        names = dict.fromkeys(move.alias for move in self.moves)
        found = {name: self.alias(name) for name in sorted(names)}
        return {name: move for name, move in found.items() if move is not None}

    def forms(self) -> list[tuple[int, str]]:
        """The forms that models with a variant ever ran in a deployment, as (version, digest); none that are gone."""
        moves = [(move.version, digest) for move in self.moves for digest in move.variants.values()]
        living = [(number, digest) for number, digest in moves if digest not in self.erased]
        pairs = {(number, digest) for number, digest in living if number is not None and number not in self.deleted}
        return sorted(pairs)

    def before(self, name: str) -> Move | None:
        """The move that a rollback of the alias goes back to; ``None`` where there is nothing before.

        Promotions lie on a stack, a removal lies on it as nothing. A rollback takes the top away and what points
        nowhere below it: rolling back again goes further back, never to and fro, and a removal is undone by one.
        """
        stack: list[Move] = []
        for move in (move for move in self.moves if move.alias == name):
            if move.action != "rollback":
                stack.append(move)
                continue
            below = next((n for n in range(len(stack) - 2, -1, -1) if stack[n].same_target(move)), None)
            # merged by hand the moves may not fit each other: then what it says itself counts
            stack = [*stack, move] if below is None else stack[: below + 1]
        pointing = (move for move in reversed(stack[:-1]) if move.version is not None)
        return next((move for move in pointing if not move.same_target(stack[-1])), None)

    def moved(self, move: Move) -> LockedSkill:
        """With one more move; the version it points to is numbered."""
        number = {} if move.version is None else {move.version: move.digest}
        return LockedSkill(
            head=self.head,
            versions={**self.versions, **number},
            deleted=self.deleted,
            erased=tuple(digest for digest in self.erased if digest not in move.variants.values()),
            moves=(*self.moves, move),
        )


class Lock(Value):
    """The whole file."""

    skills: dict[Name, LockedSkill] = Field(default_factory=dict)

    def skill(self, name: str) -> LockedSkill:
        """What is locked of a skill; an empty entry where nothing is."""
        return self.skills.get(name, LockedSkill())

    def with_skill(self, name: str, entry: LockedSkill) -> Lock:
        return Lock(skills={**self.skills, name: entry})


def lock_path(root: Path) -> Path:
    return root / LOCK_FILE


def read_lock(root: Path) -> Lock:
    """The lock of the repository at ``root``; an empty one where there is no file.

    Raises ``SkillFileError`` for a file that is no lock, also one with a merge conflict in it.
    """
    path = lock_path(root)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SkillFileError(str(path), [Problem(f"longer than {MAX_BYTES:,} bytes")])
        data = path.read_bytes()
    except FileNotFoundError:
        return Lock()
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}", hint="it must be a file of yours") from exc
    return parse_lock(data, str(path))


def parse_lock(data: bytes, path: str) -> Lock:
    """The lock in ``data``; ``path`` is named in errors. Raises ``SkillFileError``."""
    if conflict := _CONFLICT.search(data):
        line = data.count(b"\n", 0, conflict.start()) + 1
        hint = (
            "keep the moves of both sides, in the order they shall count; where both numbered a version, take one side"
            " (git checkout --ours skillforge.lock 'skills/*/deployed') and promote the other's again"
        )
        raise SkillFileError(path, [Problem("holds a merge conflict", line=line)], hint=hint)
    try:
        body = strict_json(data)
    except ValueError as exc:
        wrong = Problem(f"not JSON: {exc}", line=getattr(exc, "lineno", None))
        raise SkillFileError(path, [wrong], hint=RESTORE) from exc
    if not isinstance(body, dict) or body.pop("schema", None) != LOCK_SCHEMA:
        hint = "a newer skillforge may have written it: upgrade, or restore it from git"
        raise SkillFileError(path, [Problem(f'must be "{LOCK_SCHEMA}"', field="schema")], hint=hint)
    try:
        return Lock.model_validate(body)
    except ValidationError as exc:
        found = exc.errors(include_url=False, include_input=False)[:20]
        problems = [Problem(item["msg"].removeprefix("Value error, "), field=_place(item["loc"])) for item in found]
        raise SkillFileError(path, problems, hint=RESTORE) from None


def lock_bytes(lock: Lock) -> bytes:
    """The file's bytes: one key a line in a fixed order, so that git merges and people read it."""
    skills = {name: _entry(entry) for name, entry in sorted(lock.skills.items())}
    return (json.dumps({"schema": LOCK_SCHEMA, "skills": skills}, ensure_ascii=False, indent=2) + "\n").encode()


def _entry(entry: LockedSkill) -> dict[str, Any]:
    body = entry.model_dump(mode="json", exclude_defaults=True)
    if entry.versions:
        body["versions"] = {str(number): digest for number, digest in sorted(entry.versions.items())}
    return body


def _place(location: tuple[str | int, ...]) -> str:
    """Where in the file, quoted where it holds anything but plain characters: it is shown on terminals."""
    steps = (str(step)[:80] for step in location)
    return ".".join(step if _PLAIN.fullmatch(step) else ascii(step) for step in steps)


def write_lock(root: Path, lock: Lock) -> None:
    """Replace the file in one step that survives a killed process. Call it while holding the repository's lock."""
    replace_file(lock_path(root), lock_bytes(lock))
