"""Models that their makers take off the market: who says so, and from which day on they answer no more.

Two lists are read: the one in Anthropic's SDK has days, genai-prices marks models as deprecated. Neither is complete.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime

from skillforge.providers.prices import list_says_deprecated
from skillforge.providers.wires.wire import Address

_ORDINAL = re.compile(r"(?<=\d)(st|nd|rd|th)\b")


@dataclass(frozen=True, slots=True)
class Retirement:
    """``day`` is the last day it is promised to answer, ``None`` where no day is told; ``source`` says who tells."""

    day: date | None
    source: str

    def told(self, today: date) -> str:
        """One clause for a person: ``is retired since 2026-06-15 (…)``, ``retires on …``, ``is deprecated (…)``."""
        if self.day is None:
            return f"is deprecated ({self.source})"
        verb = "is retired since" if self.day <= today else "retires on"
        return f"{verb} {self.day.isoformat()} ({self.source})"


def retirement(address: Address) -> Retirement | None:
    """What is known about the end of a model; ``None`` where nothing is. Imports the SDK (a second), once."""
    if address.kind == "anthropic":
        from anthropic.resources.messages.messages import DEPRECATED_MODELS

        told = DEPRECATED_MODELS.get(address.model)
        if told is not None:
            return Retirement(_day(told), "Anthropic's SDK")
    source = list_says_deprecated(address)
    return Retirement(None, source) if source else None


def _day(text: str) -> date | None:
    """``November 30th, 2026`` as a day; ``None`` for what is written another way."""
    try:
        return datetime.strptime(_ORDINAL.sub("", text), "%B %d, %Y").date()
    except ValueError:
        return None
