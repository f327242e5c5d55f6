"""What is wrong with a draft, as something that was verified."""

from __future__ import annotations

from typing import Literal

from skillforge.messages import Value

Kind = Literal["weak-check", "leak", "ambiguous-label", "needless-step", "needless-instruction", "contradiction"]

OF_THE_DATA: frozenset[Kind] = frozenset({"ambiguous-label"})  # no other draft mends it


class Finding(Value):
    """One confirmed finding. ``place`` is where in the draft (``checks[0]``, ``steps.order``, ``instructions``),
    ``evidence`` what shows it, ``mending`` what would help. ``claimed``: the critic said it too.
    """

    kind: Kind
    place: str
    evidence: str
    mending: str
    claimed: bool = False

    @property
    def of_draft(self) -> bool:
        """Whether another draft can be without it."""
        return self.kind not in OF_THE_DATA

    def __str__(self) -> str:
        return f"{self.kind} at {self.place}: {self.evidence}; {self.mending}"
