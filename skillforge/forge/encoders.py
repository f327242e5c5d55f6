"""The classifiers of a repository: ``skills/<skill>/encoders/<name>.skops`` with the card beside it."""

from __future__ import annotations

import re
from pathlib import Path

from skillforge.config import SKILLS_FOLDER
from skillforge.errors import NotFound, UsageError
from skillforge.forge.workspace import Workspace
from skillforge.ladder import ENCODER, rungs_of
from skillforge.skill import NAME_PATTERN
from skillforge.store.encoders import EncoderLog
from skillforge.students.encoder.backends import open_backend
from skillforge.students.encoder.card import ENCODERS_FOLDER, Card, card_path, model_path, read_card, read_model_bytes
from skillforge.students.encoder.executor import EncoderExecutor
from skillforge.students.encoder.model import MAX_BYTES, load_model
from skillforge.suggest import did_you_mean

_LONGEST = 64  # characters of a name


def open_encoder(work: Workspace, name: str) -> EncoderExecutor:
    """The classifier of that name, ready to answer.

    Its file is read as hostile: it must be the one that its card names by sha256, and the registry the card of that
    sha256. A file that the registry has not seen, as after a pull, is taken in, and that is said. Raises ``NotFound``,
    ``UsageError`` where anything is not as it was fitted, ``MissingPackage``.
    """
    card, data = read_checked(folder_of(work, name), name)
    model = load_model(data, f"{name}.skops", open_backend(card.backend))
    if model.fields.keys() != card.fields.keys():
        raise UsageError(f"{name}.skops answers other fields than its card says", hint="fit it again: skillforge train")
    _require_known(work, card)
    return EncoderExecutor(name, model, card.sha256, work.custom_checks)


def read_checked(folder: Path, name: str) -> tuple[Card, bytes]:
    """The card of a skill's classifier and the bytes of its file, where each is the other's; nothing is loaded.

    Raises ``UsageError``.
    """
    card = read_card(card_path(folder, name))
    if (card.name, card.skill) != (name, folder.name):
        raise UsageError(
            f"{card_path(folder, name)} is the card of {card.skill}/{card.name}",
            hint="restore it from git, or fit it again: skillforge train",
        )
    return card, read_model_bytes(model_path(folder, name), card, MAX_BYTES)


def folder_of(work: Workspace, name: str) -> Path:
    """The folder of the skill whose classifier has that name. Raises ``NotFound``, ``UsageError`` where two have."""
    require_name(name)
    skills = work.root / SKILLS_FOLDER
    found = [path.parent.parent for path in sorted(skills.glob(f"*/{ENCODERS_FOLDER}/{name}.json"))]
    if len(found) > 1:
        raise UsageError(
            f"two skills have a classifier {name}: {', '.join(folder.name for folder in found)}",
            hint="fit one of them under another name: skillforge train SKILL --as NAME",
        )
    if not found:
        there = [path.stem for path in skills.glob(f"*/{ENCODERS_FOLDER}/*.json")]
        hint = did_you_mean(name, there) or "fit one: skillforge train SKILL"
        raise NotFound(f"there is no classifier {name}", hint=hint)
    return found[0]


def require_name(name: str) -> None:
    """A name becomes a file's: small letters, digits and hyphens. Raises ``UsageError``."""
    if len(name) > _LONGEST or not re.fullmatch(NAME_PATTERN.removesuffix("$"), name):
        raise UsageError(f"{name[:_LONGEST]!r} cannot name a classifier", hint="small letters, digits and hyphens")


def deployed_as(work: Workspace, name: str) -> list[str]:
    """The aliases that the classifier answers for: ``SKILL@ALIAS``."""
    found = []
    for skill, entry in work.deployed.lock.skills.items():
        for alias, move in entry.aliases.items():
            for student in (move.student, move.fallback):
                if ENCODER + name in rungs_of(student):
                    found.append(f"{skill}@{alias}")
    return list(dict.fromkeys(found))


def _require_known(work: Workspace, card: Card) -> None:
    if not work.has_database:  # a deployed skill answers from files alone
        return
    log = EncoderLog(work.database)
    if not is_known(log, card):
        others = log.named(card.name)
        log.add(card.sha256, card.name, card.skill, card.digest, card.model_dump(mode="json", by_alias=True))
        if others:
            work.say_once(f"{ENCODER}{card.name} is another file than the one last used here: {card.sha256[:23]}…")


def is_known(log: EncoderLog, card: Card) -> bool:
    """Whether the registry has the classifier. Raises ``UsageError`` where it has it with another card."""
    known = log.get(card.sha256)
    if known is not None and known.card != card.model_dump(mode="json", by_alias=True):
        raise UsageError(
            f"the card of {ENCODER}{card.name} is not the one it was fitted with",
            hint="restore it from git, or fit it again: skillforge train",
        )
    return known is not None
