"""What is deployed, from files alone: the lock says which version, a snapshot beside the skill keeps its content.

No database is opened: a fresh clone or a read-only container resolves an alias with nothing but the repository.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from skillforge.config import SKILLS_FOLDER
from skillforge.errors import NotPromoted, Problem, SkillFileError, SkillforgeError
from skillforge.jsonl import strict_json
from skillforge.lockfile import Lock, Move, lock_path, read_lock
from skillforge.ref import PRODUCTION
from skillforge.skill import Skill
from skillforge.skillfile import SKILL_FILE, read_skill
from skillforge.store.registry import SkillVersion
from skillforge.suggest import did_you_mean

DEPLOYED_FOLDER = "deployed"
DEPLOYED_SCHEMA = "skillforge/deployed/v1"
MAX_BYTES = 16 * 1_048_576
DEPLOYED_STATUS = "deployed"


@dataclass(frozen=True, slots=True)
class Deployed:
    """Where an alias points, with the content: ``move`` names the models, ``version`` holds the skill, ``forms`` what
    those models run in its place that have a variant.
    """

    version: SkillVersion
    move: Move
    forms: Mapping[str, Skill]


def snapshot_path(root: Path, name: str, version: int) -> Path:
    """``skills/NAME/deployed/VERSION.json``: the content of a version that was promoted once."""
    return root / SKILLS_FOLDER / name / DEPLOYED_FOLDER / f"{version}.json"


def form_path(root: Path, name: str, version: int, digest: str) -> Path:
    """``skills/NAME/deployed/VERSION-DIGEST.json``: the form of it that a model with a variant runs."""
    short = digest.removeprefix("sha256:")[:16]
    return root / SKILLS_FOLDER / name / DEPLOYED_FOLDER / f"{version}-{short}.json"


def snapshot_bytes(content: Skill, digest: str, number: int) -> bytes:
    """The snapshot's bytes: the whole skill, its examples too, so that the file needs no other."""
    # `examples.file` is where they were read from: here they stand themselves
    skill = content.model_dump(mode="json", by_alias=True, exclude={"examples": {"file"}})
    body = {"schema": DEPLOYED_SCHEMA, "version": number, "digest": digest, "skill": skill}
    return (json.dumps(body, ensure_ascii=False, indent=2) + "\n").encode()


def read_snapshot(root: Path, name: str, version: int, digest: str) -> Skill:
    """The content of a version that was promoted once, checked against ``digest``.

    Raises ``SkillFileError`` naming the file where it is missing, damaged, or holds something else.
    """
    return _read(root, snapshot_path(root, name, version), name, version, digest)


def read_form(root: Path, name: str, version: int, digest: str) -> Skill:
    """The form of a promoted version that a model with a variant runs. Raises as ``read_snapshot``."""
    return _read(root, form_path(root, name, version, digest), name, version, digest)


def _read(root: Path, path: Path, name: str, version: int, digest: str) -> Skill:
    hint = f"restore it: git checkout -- {_shown(root, path)}; skillforge verify says what else is wrong"

    def wrong(message: str) -> SkillFileError:
        return SkillFileError(_shown(root, path), [Problem(message)], hint=hint)

    body = _snapshot_body(path, wrong)
    try:
        skill = Skill.model_validate(body["skill"])
        found = skill.digest()
    except (KeyError, ValidationError, ValueError) as exc:
        count = exc.error_count() if isinstance(exc, ValidationError) else 1
        raise wrong(f"its content is no skill ({count} problems)") from None
    if (skill.name, found) != (name, digest) or (body.get("version"), body.get("digest")) != (version, digest):
        raise wrong(f"its content is {skill.name} {found}, the lock says {name}@{version} {digest}")
    return skill


class DeployedSkills:
    """The deployed skills of the repository at ``root``. Asked at every call of a program: the lock file is read again
    only when it changed, and a content only once, for a digest means one content for ever.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._contents: dict[str, Skill] = {}
        self._read: tuple[object, Lock] = (None, Lock())

    def get(self, name: str, alias: str = PRODUCTION) -> Deployed:
        """What answers under an alias.

        Raises ``NotPromoted`` with what there is, ``SkillFileError`` for a lock or a snapshot that is damaged.
        """
        entry = self.lock.skill(name)
        move = entry.alias(alias)
        if move is None or move.version is None:
            raise _not_promoted(self._root, name, alias, self.lock)
        skill = self._contents.get(move.digest)
        if skill is None:
            skill = self._contents[move.digest] = _content(self._root, name, move.version, move.digest)
        forms = {student: self._form(name, move.version, digest) for student, digest in move.variants.items()}
        version = SkillVersion(
            name=name,
            version=move.version,
            digest=move.digest,
            skill=skill,
            status=DEPLOYED_STATUS,
            task=skill.task_sentence,
            source_path=_shown(self._root, self._root / SKILLS_FOLDER / name / SKILL_FILE),
            provenance={"author": "deployed", "move": move.id},
            created_at=move.at,
        )
        return Deployed(version, move, forms)

    def _form(self, name: str, version: int, digest: str) -> Skill:
        form = self._contents.get(digest)
        if form is None:
            form = self._contents[digest] = read_form(self._root, name, version, digest)
        return form

    @property
    def lock(self) -> Lock:
        """The lock file as it is now. It is replaced as a whole, so that its status tells every change."""
        stamp: object
        try:
            status = lock_path(self._root).stat()
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
        except OSError:
            stamp = None
        if stamp is None or stamp != self._read[0]:
            self._read = (stamp, read_lock(self._root))
        return self._read[1]


def _content(root: Path, name: str, version: int, digest: str) -> Skill:
    """The snapshot, or the skill's file where that is the deployed content. Somebody may be in the middle of editing
    the file: what is wrong with it is no error here.
    """
    try:
        return read_snapshot(root, name, version, digest)
    except SkillFileError:
        try:
            skill = read_skill(root / SKILLS_FOLDER / name / SKILL_FILE).skill
        except SkillforgeError:
            skill = None
        if skill is None or skill.digest() != digest:
            raise
        return skill


def _snapshot_body(path: Path, wrong: Callable[[str], SkillFileError]) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise wrong(f"the deployed version cannot be read ({exc.strerror})") from exc
    if len(data) > MAX_BYTES:
        raise wrong(f"longer than {MAX_BYTES:,} bytes")
    try:
        body = strict_json(data)
    except ValueError as exc:
        raise wrong(f"not JSON: {exc}") from exc
    if not isinstance(body, dict) or body.get("schema") != DEPLOYED_SCHEMA:
        raise wrong(f'its schema must be "{DEPLOYED_SCHEMA}"')
    return body


def _not_promoted(root: Path, name: str, alias: str, lock: Lock) -> NotPromoted:
    entry = lock.skill(name)
    there = ", ".join(f"@{other} is @{move.version}" for other, move in entry.aliases.items())
    if not there and not entry.versions and not (root / SKILLS_FOLDER / name).is_dir():
        folders = {path.parent.name for path in (root / SKILLS_FOLDER).glob(f"*/{SKILL_FILE}")}
        there = did_you_mean(name, {*lock.skills, *folders}, what="skills")
    hint = (
        f'forge.skill("{name}@latest", student="PROVIDER:MODEL") takes the newest version;'
        f" deploy one with: skillforge promote {name} --student PROVIDER:MODEL"
        + ("" if alias == PRODUCTION else f" --as {alias}")
    )
    return NotPromoted(f"{name}: nothing is promoted as {alias}" + (f" ({there})" if there else ""), hint=hint)


def _shown(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
