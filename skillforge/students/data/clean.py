"""Step ``clean``: no secret, and no personal data that was to be kept out. Masking happens before (``personal``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skillforge.canonical import compact
from skillforge.redact import find_secrets
from skillforge.secretpatterns import MARKER
from skillforge.students.data.personal import PersonalData, find_personal
from skillforge.students.data.row import KEPT, Row, Verdict, dropped


@dataclass(frozen=True)
class Clean:
    """A row that held a secret goes as a whole: redacted, it would teach a student to write the marker."""

    personal: PersonalData = "mask"
    name: str = "clean"
    alone: bool = True

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"personal": self.personal}

    def judge(self, rows: Sequence[Row]) -> list[Verdict]:
        return [self._verdict(row) for row in rows]

    def _verdict(self, row: Row) -> Verdict:
        text = compact([row.input, row.output])
        if MARKER in text or find_secrets(text):
            return dropped("it holds a secret")
        kinds = find_personal(text)
        if kinds and self.personal == "drop":
            return dropped(f"it holds personal data ({', '.join(kinds)})")
        return Verdict(reason=f"holds personal data ({', '.join(kinds)})") if kinds else KEPT
