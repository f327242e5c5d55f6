"""What is wrong with the files beside a skill: the variants of its students, its classifiers and their cards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from skillforge.errors import Problem, SkillFileError, SkillforgeError
from skillforge.forge.encoders import read_checked
from skillforge.skill import Skill
from skillforge.students.encoder.card import CARD_SUFFIX, ENCODERS_FOLDER, MODEL_SUFFIX, Card
from skillforge.variant import VARIANTS_FOLDER
from skillforge.variantfile import made_for, read_variant

Found = tuple[Path, Problem]


def variant_files(folder: Path, skill: Skill) -> Iterator[Found]:
    """Every problem of the variants in a skill's folder. One of another version is left out by runs: a warning."""
    for path in sorted((folder / VARIANTS_FOLDER).glob("*")):
        yield from variant_file(path, skill)


def variant_file(path: Path, skill: Skill) -> Iterator[Found]:
    try:
        if path.suffix != ".yaml":
            yield path, Problem("is no variant: nobody reads it", level="warning", hint="their names end in .yaml")
        elif made_for(path) in ("", skill.digest()):
            read_variant(path, skill)
        else:
            yield path, Problem("was made for another version: runs leave it out", field="of", level="warning")
    except SkillFileError as exc:
        yield from ((path, problem) for problem in exc.problems)
    except SkillforgeError as exc:
        yield path, Problem(str(exc), hint=exc.hint)


def encoder_files(folder: Path, known: Callable[[Card], object] = lambda card: None) -> Iterator[Found]:
    """Every problem of the classifiers in a skill's folder, by their digests: none is loaded. ``known`` is called with
    every card that fits its file, and raises where it is known to be another one.
    """
    cards = sorted((folder / ENCODERS_FOLDER).glob(f"*{CARD_SUFFIX}"))
    for path in cards:
        try:
            card, _ = read_checked(folder, path.stem)
            known(card)
        except SkillFileError as exc:
            yield from ((path, problem) for problem in exc.problems)
        except SkillforgeError as exc:
            yield path, Problem(str(exc), hint=exc.hint)
    for path in sorted((folder / ENCODERS_FOLDER).glob(f"*{MODEL_SUFFIX}")):
        if path.with_suffix(CARD_SUFFIX) not in cards:
            yield path, Problem("has no card beside it", hint="restore it from git, or fit it again: skillforge train")
