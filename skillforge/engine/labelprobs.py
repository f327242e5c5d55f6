"""The probabilities of labels, from the tokens that spelled them and the likeliest tokens in their places.

A label field is an enum or a boolean of the output. Where its value begins, each likely token leads either to one label
(its mass is that label's), or to several (``b`` to ``bug`` and ``billing``: where it was chosen, the next token tells
them apart), or to none. Tokens that lead to none are left out and the rest is made to sum to 1, place by place. That is
right with a grammar and without: llama.cpp tells log probabilities as they were before the grammar, which then does the
same to them.

Mass that nobody can tell apart (a shared beginning that was not chosen, a label whose tokens are not among those told)
belongs to no label: the probabilities told are lower bounds and sum to at most 1. Where it may be more than
``MOST_UNKNOWN`` of the whole the field is left out: a guess is worse than nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skillforge.canonical import compact
from skillforge.engine.nomodel import label_fields
from skillforge.engine.parse import located_json
from skillforge.messages import TokenLogprob
from skillforge.skill import Skill

MOST_UNKNOWN = 0.1
_LEAST = 1e-6  # a probability below this is not told
_DIGITS = 6
_SPACE = " \t\r\n"
_AFTER = frozenset(_SPACE + ",}]")  # what may follow a value in JSON


def label_probabilities(
    skill: Skill, text: str, logprobs: Sequence[TokenLogprob] | None
) -> dict[str, dict[str, float]]:
    """``{field: {label as compact JSON: probability}}`` of an answer that is valid output of the skill.

    Probabilities lie in [0, 1] and sum to at most 1 (to rounding at the sixth digit); only labels of the contract are
    named. A field is left out where its tokens cannot be laid over its value or do not tell enough. Raises nothing,
    whatever the tokens are.
    """
    fields = label_fields(skill)
    if not fields or not logprobs or not isinstance(skill.output, Mapping):
        return {}
    path = _Path.over(text, logprobs)
    spans = _value_spans(text)
    if path is None or spans is None:
        return {}
    found = {}
    for name in fields:
        if name in spans:
            told = _of_field(_labels(skill.output[name]), text, spans[name], path)
            if told:
                found[name] = told
    return found


@dataclass(frozen=True)
class _Path:
    """The chosen tokens with the place in the text where each begins."""

    tokens: tuple[TokenLogprob, ...]
    starts: tuple[int, ...]

    @classmethod
    def over(cls, text: str, tokens: Sequence[TokenLogprob]) -> _Path | None:
        """``None`` where the tokens do not spell the text once (letters cut into bytes, thoughts that repeat it)."""
        spelled = "".join(item.token for item in tokens)
        at = 0 if spelled.startswith(text) else spelled.find(text)
        if not text or at < 0 or (at > 0 and spelled.find(text, at + 1) >= 0):
            return None
        starts, place = [], -at
        for item in tokens:
            starts.append(place)
            place += len(item.token)
        return cls(tuple(tokens), tuple(starts))

    def first_over(self, place: int) -> int | None:
        """The token that spells the character at ``place``."""
        for number, (start, item) in enumerate(zip(self.starts, self.tokens, strict=True)):
            if start <= place < start + len(item.token):
                return number
        return None


@dataclass
class _Told:
    """What is known so far: the mass of each label, and the mass that may be anybody's."""

    labels: dict[str, float] = field(default_factory=dict)
    unknown: float = 0.0

    def add(self, leads: Sequence[str], mass: float) -> None:
        if len(leads) == 1:
            self.labels[leads[0]] = self.labels.get(leads[0], 0.0) + mass
        else:
            self.unknown += mass


def _of_field(labels: Mapping[str, tuple[str, ...]], text: str, span: tuple[int, int], path: _Path) -> dict[str, float]:
    """The labels of one value. ``labels`` maps each label to the ways JSON may spell it."""
    start, end = span
    number = path.first_over(start)
    if number is None:
        return {}
    told, mass, spelled = _Told(), 1.0, ""
    while number < len(path.tokens):
        item, begins = path.tokens[number], path.starts[number]
        before = text[begins:start] if begins < start else ""
        shares = _shares(item)
        if shares is None:
            return {}
        leads = {
            token: _leading(
                labels, spelled + (token[len(before) :] if spelled else token[len(before) :].lstrip(_SPACE))
            )
            for token in shares
            if token.startswith(before) and token[len(before) :].strip(_SPACE)
        }
        right = {token: shares[token] for token, names in leads.items() if names}
        hidden = _hidden(labels, spelled, leads, shares)
        whole = math.fsum(right.values()) + hidden
        if item.token not in right or whole <= 0:
            return {}
        told.unknown += mass * hidden / whole
        for token, share in right.items():
            if token != item.token:
                told.add(leads[token], mass * share / whole)
        mass *= right[item.token] / whole
        spelled += item.token[len(before) :]
        if len(leads[item.token]) == 1:
            told.add(leads[item.token], mass)
            return _rounded(told, compact(json.loads(text[start:end])))
        number += 1
    return {}


def _shares(item: TokenLogprob) -> dict[str, float] | None:
    """The probabilities of the tokens in one place, the chosen one's too; ``None`` where no alternatives are told."""
    shares: dict[str, float] = {}
    for token, logprob in item.top:
        shares[token] = shares.get(token, 0.0) + _probability(logprob)
    if not shares.keys() - {item.token}:
        return None
    shares.setdefault(item.token, _probability(item.logprob))
    whole = math.fsum(shares.values())
    return {token: share / whole for token, share in shares.items()} if whole > 1 else shares


def _hidden(
    labels: Mapping[str, tuple[str, ...]], spelled: str, leads: Mapping[str, Sequence[str]], shares: Mapping[str, float]
) -> float:
    """The most that tokens which were not told may weigh, of labels that none of those told leads to: each is less
    likely than the least of those told, and all together are what is left of 1.
    """
    reached = {name for names in leads.values() for name in names}
    unseen = len(set(_leading(labels, spelled)) - reached)
    return min(max(0.0, 1 - math.fsum(shares.values())), unseen * min(shares.values())) if unseen else 0.0


def _leading(labels: Mapping[str, tuple[str, ...]], spelled: str) -> tuple[str, ...]:
    """The labels whose value may begin with ``spelled``, or that ``spelled`` goes past the end of."""
    return tuple(name for name, ways in labels.items() if any(_leads(spelled, way) for way in ways))


def _leads(spelled: str, way: str) -> bool:
    return way.startswith(spelled) or (spelled.startswith(way) and spelled[len(way)] in _AFTER)


def _rounded(told: _Told, answer: str) -> dict[str, float]:
    if told.unknown > MOST_UNKNOWN or answer not in told.labels:
        return {}
    kept = {name: min(1.0, share) for name, share in told.labels.items() if share >= _LEAST or name == answer}
    return {name: round(share, _DIGITS) for name, share in sorted(kept.items(), key=lambda item: (-item[1], item[0]))}


def _labels(schema: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    values = schema.get("enum", (True, False))
    return {compact(value): (compact(value), json.dumps(value)) for value in values}


def _probability(logprob: float) -> float:
    return math.exp(min(0.0, logprob)) if logprob == logprob else 0.0


def _value_spans(text: str) -> dict[str, tuple[int, int]] | None:
    """Where the values of the answer's object stand, by field; of a name given twice the last one counts."""
    found = located_json(text)
    if found is None:
        return None
    decoder, at, spans = json.JSONDecoder(), found.start + 1, {}
    try:
        while text[(at := _past_space(text, at))] != "}":
            name, at = decoder.raw_decode(text, at)
            start = _past_space(text, _past_space(text, at) + 1)  # past the colon
            _, end = decoder.raw_decode(text, start)
            spans[name] = (start, end)
            at = _past_space(text, end)
            at += text[at] == ","
    except (ValueError, IndexError, RecursionError, TypeError):
        return None
    return spans


def _past_space(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at


__all__ = ["MOST_UNKNOWN", "label_probabilities"]
