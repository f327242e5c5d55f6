"""Step ``finished``: answers that ended normally and are no refusal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skillforge.engine.recorded import CUTS, REFUSALS
from skillforge.hygiene import walk_strings
from skillforge.students.data.row import KEPT, Row, Verdict, dropped

_APOLOGY = re.compile(
    r"(?:i['\u2019]?m (?:very )?sorry,? but i|i (?:can(?:no|['\u2019])t|am unable to|am not able to)"
    r" (?:help|assist|comply|provide|answer)|as an ai (?:language )?model|i must decline"
    r"|es tut mir leid,? aber ich kann)",
    re.IGNORECASE,
)
_BEGINNING = 200  # characters in which a refusal says so


@dataclass(frozen=True)
class Finished:
    """A refusal is known by its stop reason, else by how its texts begin."""

    name: str = "finished"
    alone: bool = True

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"apology": _APOLOGY.pattern, "characters": _BEGINNING}

    def judge(self, rows: Sequence[Row]) -> list[Verdict]:
        return [self._verdict(row) for row in rows]

    def _verdict(self, row: Row) -> Verdict:
        if row.stop in REFUSALS:
            return dropped("the teacher refused")
        if row.stop in CUTS:
            return dropped("the answer was cut off")
        if row.output is None:
            return dropped("no answer could be read")
        if any(_APOLOGY.match(text.lstrip()[:_BEGINNING]) for _, text in walk_strings(row.output)):
            return dropped("it reads like a refusal")
        return KEPT
