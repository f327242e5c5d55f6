"""What the answers of a group look like, gathered in one pass: how many differ, their values by key, a few samples."""

from __future__ import annotations

import hashlib
import heapq
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from skillforge.call import Call
from skillforge.canonical import compact
from skillforge.engine.parse import find_json

MAX_DISTINCT = 20_000  # answers told apart; further new ones count as different all the same
MAX_VALUES = 200  # short values kept in words: beyond, they are no choice among few
SHORT = 60  # characters
SAMPLES = 48


@dataclass
class Values:
    """The values of one key of JSON answers (or of all answers that are bare text)."""

    count: int = 0
    types: Counter[str] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)  # the short ones, while they are few
    many: bool = False  # too many or too long to be a choice among few
    items: Counter[str] = field(default_factory=Counter)  # types inside lists

    def add(self, value: Any) -> None:
        self.count += 1
        self.types[json_type(value)] += 1
        if isinstance(value, str):
            self._add_text(value)
        elif isinstance(value, list):
            self.items.update({json_type(item) for item in value})

    def _add_text(self, text: str) -> None:
        if self.many:
            return
        if len(text) <= SHORT and "\n" not in text and (text in self.texts or len(self.texts) < MAX_VALUES):
            self.texts[text] += 1
        elif len(text) > SHORT and self.long_rest < 0.03 * self.count + 1:
            self.long_rest += 1  # a refusal now and then makes labels no prose
        else:
            self.many = True
            self.texts.clear()

    long_rest: int = 0


@dataclass
class Answers:
    """All answers of one group. ``bare`` holds those that are no JSON object, ``keys`` those that are."""

    count: int = 0
    empty: int = 0
    with_tools: int = 0
    objects: int = 0
    distinct: Counter[bytes] = field(default_factory=Counter)
    beyond: int = 0
    bare: Values = field(default_factory=Values)
    keys: dict[str, Values] = field(default_factory=dict)
    _samples: list[tuple[int, int, dict[str, Any], str]] = field(default_factory=list)

    def add(self, call: Call, fields: dict[str, Any] | None) -> None:
        """Count one call's answer; ``fields`` are wanted only where ``wants(call)``."""
        if fields is not None:
            # the count decides between calls of one id, which logs do hold: fields cannot be compared
            item = (-rank(call.id), self.count, fields, call.text)
            if len(self._samples) < SAMPLES:
                heapq.heappush(self._samples, item)
            else:
                heapq.heapreplace(self._samples, item)
        if call.output is None:
            return
        text, asked = call.text, call.output.tool_calls
        self.count += 1
        self.with_tools += bool(asked)
        self._count_distinct(text + "".join(f"\0{tool.name} {compact(tool.arguments)}" for tool in asked))
        if not text.strip():
            self.empty += 1
            return
        value = find_json(text) if "{" in text[:2_000] else None
        if value is None:
            self.bare.add(text.strip())
            return
        self.objects += 1
        for key, inner in value.items():
            if key in self.keys or len(self.keys) < 60:
                self.keys.setdefault(key, Values()).add(inner)

    def wants(self, call: Call) -> bool:
        """Whether this call would be among the samples: those with the smallest digests."""
        return call.output is not None and (len(self._samples) < SAMPLES or -rank(call.id) > self._samples[0][0])

    def samples(self) -> list[tuple[dict[str, Any], str]]:
        """Fields and answer text of a few calls."""
        return [(fields, text) for _, _, fields, text in sorted(self._samples, key=lambda item: item[:2])]

    @property
    def different(self) -> int:
        return len(self.distinct) + self.beyond

    @property
    def top_share(self) -> float | None:
        return self.distinct.most_common(1)[0][1] / self.count if self.distinct else None

    @property
    def variability(self) -> float | None:
        """Shannon's entropy of the answers over its greatest possible value, the logarithm of their number.

        0: always the same answer. 1: never twice the same. (The efficiency, or normalised entropy, of information
        theory: Shannon 1948, section 7.) ``None`` for fewer than two answers.
        """
        if self.count < 2:
            return None
        rest = self.beyond / self.count * math.log2(self.count)
        shares = (count / self.count for count in self.distinct.values())
        return max(0.0, min(1.0, (rest - sum(share * math.log2(share) for share in shares)) / math.log2(self.count)))

    def _count_distinct(self, text: str) -> None:
        key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        if key in self.distinct or len(self.distinct) < MAX_DISTINCT:
            self.distinct[key] += 1
        else:
            self.beyond += 1


def json_type(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
    return "null"


def rank(call_id: str) -> int:
    """A number that orders ids evenly and always the same way."""
    return int.from_bytes(hashlib.blake2b(call_id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
