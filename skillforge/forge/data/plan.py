"""What a caller may ask of a data set."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from skillforge.errors import UsageError
from skillforge.forge.session import NO_TERMS, Terms
from skillforge.formats.finetune.formats import formats_named
from skillforge.messages import Value
from skillforge.students.data.card import DatasetCard
from skillforge.students.data.critic import LEAST
from skillforge.students.data.personal import PersonalData
from skillforge.students.data.split import SHARE


class DatasetWishes(TypedDict, total=False):
    """How a data set is built; what is left out has its default.

    ``suite``: a suite's path (default: the skill's own). ``formats``: names of targets (default: all that fit).
    ``folder``: where it goes (default ``datasets/NAME``). ``with_examples``: prompts show the skill's examples.
    ``personal``: ``mask`` (default), ``drop`` or ``keep`` mail addresses, phone numbers, IBANs, IP addresses.
    ``critic``: a model that grades every answer; those below ``least`` (of 5) go. ``teachers``: models whose runs
    count. ``students``: whose wrong answers make pairs; ``ask_student`` is asked every row for them.
    ``require_label``: answers must agree with the suite's labels. ``without``: ids to leave out. ``validation``: share
    of the rows. ``seed``: another split. ``override``: the reason for building although a maker's terms disallow it.
    ``terms`` may hold a budget for the models that are asked.
    """

    suite: str | Path | None
    formats: Collection[str]
    folder: str | Path | None
    with_examples: bool
    personal: PersonalData
    critic: str
    least: float
    teachers: Collection[str]
    students: Collection[str]
    ask_student: str
    require_label: bool
    without: Collection[str]
    validation: float
    seed: int
    override: str
    terms: Terms


@dataclass(frozen=True)
class DatasetPlan:
    """The wishes with their defaults. ``formats`` is empty for all that fit."""

    suite: Path | None = None
    formats: tuple[str, ...] = ()
    folder: Path | None = None
    with_examples: bool = False
    personal: PersonalData = "mask"
    critic: str = ""
    least: float = LEAST
    teachers: tuple[str, ...] = ()
    students: tuple[str, ...] = ()
    ask_student: str = ""
    require_label: bool = False
    without: tuple[str, ...] = ()
    validation: float = SHARE
    seed: int = 0
    override: str = ""
    terms: Terms = NO_TERMS

    def settings(self) -> dict[str, Any]:
        """What the rows depend on, for the card."""
        names = ("with_examples", "personal", "critic", "teachers", "students", "ask_student", "require_label")
        told = {name: getattr(self, name) for name in names}
        listed = {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}
        return {
            **listed,
            "validation": self.validation,
            "seed": self.seed,
            "least": self.least,
            "without": sorted(self.without),
        }


class Built(Value):
    """A data set that was written. ``known`` verdicts were kept from an earlier build."""

    folder: Path
    card: DatasetCard
    known: int = 0


def plan_of(wishes: DatasetWishes) -> DatasetPlan:
    """Raises ``UsageError`` for an unknown format or a number out of range."""
    made: dict[str, Any] = {key: value for key, value in wishes.items() if value is not None}
    for key in ("suite", "folder"):
        if key in made:
            made[key] = Path(made[key])
    for key in ("formats", "teachers", "students", "without"):
        if key in made:
            made[key] = tuple(dict.fromkeys(made[key]))
    plan = DatasetPlan(**made)
    formats_named(plan.formats)
    if not 0 <= plan.validation <= 0.5:
        raise UsageError("--validation must be from 0 to 0.5", hint="0.1 is a tenth of the rows")
    if not 1 <= plan.least <= 5:
        raise UsageError("--least must be from 1 to 5: points of the critic's scale", hint="4 is the default")
    if plan.personal not in ("mask", "drop", "keep"):
        raise UsageError(f"--personal {plan.personal}: must be mask, drop or keep", hint="mask is the default")
    return plan
