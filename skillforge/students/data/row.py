"""One answer of a teacher on its way to become training data, and what a step of the curation says of it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from skillforge.canonical import canonical_json, digest
from skillforge.messages import Value

Source = Literal["recorded", "solved", "measured", "example", "run", "log"]
# recorded: the suite's recording. solved: what the teacher did when a skill was made. measured: its arm in an eval.
# example: of the skill. run: a run that the teacher answered in production. log: the calls the suite was made of.
SOURCES: tuple[Source, ...] = ("recorded", "solved", "measured", "example", "run", "log")


class Row(Value):
    """One input with the teacher's answer, in the form of the skill's contract.

    ``output`` is ``None`` where no answer could be read. ``again`` are the teacher's other answers to it. ``kin`` names
    what must stay in one split with it (a cluster, a conversation), ``expected`` is the suite's label. ``stop`` is why
    the model stopped. ``masked`` counts what was taken out of it, by kind.
    """

    id: str
    input: dict[str, Any]
    output: Any = None
    again: tuple[Any, ...] = ()
    teacher: str
    source: Source
    stop: str = "stop"
    kin: str = ""
    expected: Any = None
    masked: dict[str, int] = Field(default_factory=dict)

    @property
    def digest(self) -> str:
        """What verdicts are kept by: whatever a step looks at."""
        return digest(self.model_dump(mode="python", exclude={"masked"}))

    @property
    def asked(self) -> bytes:
        """The input as it is compared: canonical JSON."""
        return canonical_json(self.input)


class Verdict(Value):
    """Whether a row stays. ``reason`` says why it goes, or what is remarkable of one that stays; it quotes nothing."""

    keep: bool = True
    reason: str = ""


KEPT = Verdict()


def dropped(reason: str) -> Verdict:
    return Verdict(keep=False, reason=reason)


def canonical(value: Any) -> bool:
    """Whether a value can be written as it is: no NaN, no half surrogates, no integer that no reader holds."""
    try:
        canonical_json(value)
    except ValueError:
        return False
    return True
