"""The name of a ladder of students: ``encoder:intents@0.82 > local:smollm2-135m > teacher``."""

from __future__ import annotations

import math
import re

from pydantic import Field

from skillforge.errors import UsageError
from skillforge.messages import Value

TEACHER = "teacher"  # the rung that is the eval's teacher in an eval, and the teacher of skillforge.toml elsewhere
UP = ">"
ENCODER = "encoder:"  # before the name of a classifier
_THRESHOLD = re.compile(r"(?s)(?P<student>.+)@(?P<number>(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?)")
_HINT = 'write it like "encoder:NAME@0.8 > PROVIDER:MODEL > teacher"'


class RungSpec(Value):
    """One rung: who is asked. An answer less sure than ``threshold`` goes one rung up; ``None`` is no threshold: only
    an answer that fails its checks goes up.
    """

    student: str
    threshold: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)

    def __str__(self) -> str:
        return self.student if self.threshold is None else f"{self.student}@{threshold_text(self.threshold)}"


class LadderSpec(Value):
    """Rungs in the order in which they are asked, two or more."""

    rungs: tuple[RungSpec, ...]

    def __str__(self) -> str:
        return f" {UP} ".join(map(str, self.rungs))


def parse_ladder(name: str) -> LadderSpec | None:
    """What a student's name says, where it names a ladder (it holds a ``>``); ``None`` for any other name.

    A number from 0 to 1 after the last ``@`` of a rung is its threshold; any other ``@`` is part of the name. ``str``
    of the result gives the ladder's one spelling, which parses to the same. Raises ``UsageError`` for a rung without a
    name or asked twice, and for a last rung with a threshold: there is nobody above it.
    """
    if UP not in name:
        return None
    rungs = tuple(map(_rung, name.split(UP)))
    if not all(rung.student for rung in rungs):
        raise UsageError(f"{name!r} has a rung without a name", hint=_HINT)
    if rungs[-1].threshold is not None:
        raise UsageError(f"{name!r}: nobody stands above {rungs[-1].student}, it takes no threshold", hint=_HINT)
    students = [rung.student for rung in rungs]
    if len(set(students)) < len(students):
        raise UsageError(f"{name!r} asks one student twice", hint=_HINT)
    return LadderSpec(rungs=rungs)


def rungs_of(name: str) -> tuple[str, ...]:
    """The students that a name stands for: of a ladder its rungs, ``teacher`` as it is; of any other name itself, none
    of an empty one.
    """
    ladder = parse_ladder(name)
    return tuple(filter(None, [name])) if ladder is None else tuple(rung.student for rung in ladder.rungs)


def is_meant(named: str, student: str) -> bool:
    """Whether a student is the one somebody named. A ladder may be named without the thresholds that it was given."""
    wanted, found = parse_ladder(named), parse_ladder(student)
    if wanted is None or found is None:
        return named == student
    pairs = list(zip(wanted.rungs, found.rungs, strict=False))
    same = all(one.student == other.student and one.threshold in (None, other.threshold) for one, other in pairs)
    return same and len(wanted.rungs) == len(found.rungs)


def lone_threshold(name: str) -> float | None:
    """The threshold of a name that is no ladder, where somebody wrote one."""
    return None if UP in name else _rung(name).threshold


def threshold_text(threshold: float) -> str:
    """Shortest digits that give the same number again; whole numbers without a point."""
    return str(int(threshold)) if threshold.is_integer() else repr(threshold)


def _rung(text: str) -> RungSpec:
    found = _THRESHOLD.fullmatch(text.strip())
    if found is None or not 0 <= (number := float(found["number"])) <= 1 or not math.isfinite(number):
        return RungSpec(student=text.strip())
    student = found["student"].strip()
    if _rung(student).threshold is not None:
        raise UsageError(f"{text.strip()!r} has two thresholds", hint=_HINT)
    return RungSpec(student=student, threshold=number)
