"""A group of recurring calls: what it is, what it costs, whether a skill could take its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from skillforge.call import Call
from skillforge.messages import Value
from skillforge.redact import find_secrets
from skillforge.traffic.answers import Answers, rank
from skillforge.traffic.draft import DraftContract
from skillforge.traffic.kinds import Kind
from skillforge.traffic.segments import shared_end, shared_start
from skillforge.traffic.skeleton import Skeleton, Turn

MIN_SPAN_H = 1.0  # a shorter log says nothing about a month
MONTH_H = 30 * 24
MAX_CONVERSATIONS = 100_000
_FILLERS = frozenset(
    re.findall(
        r"\w+",
        """
    a above an and are as at be below by following for from given if in into is it its of on or our please that the
    their then this to using was what with you your
""",
    )
)


class Money(Value):
    """Sums over calls. ``usd`` is with cache hits, ``list_usd`` at list price without; both leave out the calls whose
    cost is unknown, which ``unknown`` counts. ``tokens`` is input and output, without the ``uncounted`` calls.
    """

    calls: int = 0
    usd: float = 0.0
    list_usd: float = 0.0
    unknown: int = 0
    tokens: int = 0
    uncounted: int = 0


class Span(Value):
    """From the first to the last call with a time. ISO 8601, UTC."""

    first: str
    last: str
    hours: float


class CallGroup(Value):
    """Calls of one prompt skeleton.

    ``share`` is of all calls of the log, ``cost_share`` of its known bill (see ``ScanReport.by``).
    ``usd``, ``list_usd``, ``unknown`` and ``tokens`` are as in ``Money``. ``monthly_usd`` is over the log's ``span``
    put to 30 days; ``None`` for a span under an hour or of no known length. ``outputs`` counts different answers,
    ``top_share`` is the share of the commonest, ``variability`` 0 (always the same) to 1 (never twice the same; see
    ``Answers.variability``). ``conversations`` is how many the calls belong to. ``worth`` says whether to make a skill
    of it now, ``why`` the reason either way.
    """

    id: str
    name: str
    skeleton: Skeleton
    kind: Kind
    calls: int
    share: float
    usd: float
    list_usd: float
    unknown: int
    cost_share: float
    monthly_usd: float | None
    span: Span | None
    tokens: int
    models: dict[str, int]
    errors: int
    outputs: int
    top_share: float | None
    variability: float | None
    conversations: int
    worth: bool
    why: str
    draft: DraftContract | None = None


@dataclass
class Tally:
    """What one pass gathers about a group (or about all calls)."""

    calls: int = 0
    usd: float = 0.0
    list_usd: float = 0.0
    unknown: int = 0
    tokens: int = 0
    uncounted: int = 0
    errors: int = 0
    with_tools: int = 0
    models: dict[str, int] = field(default_factory=dict)
    schema: dict[str, Any] | None = None
    conversations: set[int] = field(default_factory=set)
    answers: Answers = field(default_factory=Answers)

    def add(self, call: Call) -> None:
        """The figures; answers are counted by ``answers``."""
        self.calls += 1
        self.errors += call.output is None
        self.with_tools += bool(call.tools)
        if call.cost.usd is None:
            self.unknown += 1
        else:
            self.usd += call.cost.usd
            self.list_usd += call.list_usd if call.list_usd is not None else call.cost.usd
        if call.usage.input_tokens is None or call.usage.output_tokens is None:
            self.uncounted += 1
        self.tokens += (call.usage.input_tokens or 0) + (call.usage.output_tokens or 0)
        if call.model in self.models or len(self.models) < 100:
            self.models[call.model] = self.models.get(call.model, 0) + 1
        self.schema = self.schema or call.output_schema
        if len(self.conversations) < MAX_CONVERSATIONS:
            self.conversations.add(rank(call.conversation or _opening(call)))

    def take(self, other: Tally) -> None:
        """Add the sums of another."""
        for name in ("calls", "usd", "list_usd", "unknown", "tokens", "uncounted", "errors"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def money(self) -> Money:
        return Money(
            calls=self.calls,
            usd=self.usd,
            list_usd=self.list_usd,
            unknown=self.unknown,
            tokens=self.tokens,
            uncounted=self.uncounted,
        )


class Clock:
    """The earliest and the latest time seen."""

    def __init__(self) -> None:
        self._first: tuple[float, str] | None = None
        self._last: tuple[float, str] | None = None

    def add(self, at: str) -> None:
        try:
            moment = datetime.fromisoformat(at) if at else None
        except ValueError:
            return
        if moment is None:
            return
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if self._first is None or seconds < self._first[0]:
            self._first = (seconds, at)
        if self._last is None or seconds > self._last[0]:
            self._last = (seconds, at)

    def span(self) -> Span | None:
        if self._first is None or self._last is None:
            return None
        return Span(first=self._first[1], last=self._last[1], hours=(self._last[0] - self._first[0]) / 3600)


def monthly(usd: float, span: Span | None) -> float | None:
    """US dollars in 30 days at the pace of ``span``."""
    return None if span is None or span.hours < MIN_SPAN_H else usd * MONTH_H / span.hours


def name_of(skeleton: Skeleton, task: str, taken: Collection[str]) -> str:
    """A skill name from the constants' words, with ``-2``, ``-3``, … where it is taken."""
    words = [word for word in _words(task) if word not in _FILLERS and not word.isdigit()] if skeleton.constant else []
    if len(words) < 2:
        constants = [word for turn in skeleton.turns for word in _words(" ".join(turn.texts))]
        words += [word for word in constants if word not in _FILLERS and word not in words and not word.isdigit()]
    base = "-".join(words[:4])[:48].strip("-") or "-".join(_words(" ".join(skeleton.tools or ()))[:4])[:48].strip("-")
    base = base or skeleton.id.replace("g-", "calls-")
    number, name = 1, base
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name


def without_secrets(skeleton: Skeleton, mask: Callable[[str], str]) -> Skeleton:
    """The skeleton with a gap wherever ``mask`` changes a constant: what it hides differs between calls that matter."""
    turns = tuple(_masked(turn, mask, f"secret_{at}") for at, turn in enumerate(skeleton.turns))
    if turns == skeleton.turns:
        return skeleton
    changed = Skeleton.of(turns, open=skeleton.open, schema_keys=skeleton.schema_keys, tools=skeleton.tools)
    return changed.model_copy(update={"besides": skeleton.besides})


def _masked(turn: Turn, mask: Callable[[str], str], name: str) -> Turn:
    texts, gaps = [turn.texts[0]], []
    pending = list(zip(turn.gaps, turn.texts[1:], strict=True))
    number = 0
    while True:
        text = texts[-1]
        shown = mask(text)
        if shown != text or find_secrets(text):
            number += 1
            head = shared_start(text, shown)
            tail = shared_end(text[len(head) :], shown[len(head) :])
            texts[-1:] = [head, tail]
            gaps.append(f"{name}_{number}")
        if not pending:
            break
        gap, after = pending.pop(0)
        gaps.append(gap)
        texts.append(after)
    return turn.model_copy(update={"texts": tuple(texts), "gaps": tuple(gaps)})


def _opening(call: Call) -> str:
    return repr((call.system, call.messages[0].text if call.messages else ""))


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())
