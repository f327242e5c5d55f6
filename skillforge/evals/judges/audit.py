"""How far a judge can be trusted: counted from what it said, and told in warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skillforge.evals.judges.docket import TIE, Docket, Entry, outcome, pair_value
from skillforge.evals.report import Bounds, JudgeAudit
from skillforge.judgement import Judgement

_MANY_UNREADABLE = 0.02
_MANY_FLIPS = 0.25
_ENOUGH = 20  # pairs: of fewer a share says little
_LONGER = 0.7


@dataclass(frozen=True)
class Background:
    """What is known of a judge besides what it said now: its fingerprint, how it agreed with people where that was
    measured (the digest of the question -> kappa and its bounds), and what there is to warn of.
    """

    identity: str
    kappas: Mapping[str, tuple[float | None, Bounds]]
    warnings: Sequence[str] = ()


def audits_of(
    docket: Docket, judgements: Mapping[str, Judgement], fresh: set[str], backgrounds: Mapping[str, Background]
) -> tuple[JudgeAudit, ...]:
    """One audit for every scorer and judge. ``fresh`` are the questions that were asked now."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in docket.entries.values():
        groups.setdefault((entry.scorer, entry.judge), []).append(entry)
    counted: set[str] = set()  # two scorers may ask the same: it was paid for once
    found = []
    for (scorer, judge), entries in groups.items():
        asked = [key for entry in entries for key in entry.keys if key not in counted]
        keys = [key for key in dict.fromkeys(asked) if key in judgements]
        counted.update(keys)
        found.append(_audit(scorer, judge, entries, [judgements[key] for key in keys], judgements, fresh, backgrounds))
    return tuple(found)


def flips(pairs: Sequence[Sequence[Judgement]]) -> float | None:
    """How often the two orders of a pair say something else; ``None`` without a pair."""
    if not pairs:
        return None
    return sum(outcome(one) != outcome(other) for one, other in pairs) / len(pairs)


def _audit(
    scorer: str,
    judge: str,
    entries: Sequence[Entry],
    said: Sequence[Judgement],
    judgements: Mapping[str, Judgement],
    fresh: set[str],
    backgrounds: Mapping[str, Background],
) -> JudgeAudit:
    background = backgrounds[judge]
    pairs = _pairs(entries, judgements)
    flip_rate = flips([both for _, both in pairs])
    longer = _longer_wins(pairs)
    unreadable = sum(one.status == "unreadable" for one in said)
    asked = {entry.question for entry in entries}
    aligned = background.kappas.get(next(iter(asked))) if len(asked) == 1 else None
    dollars = [one.cost.usd for one in said]
    known = [value for value in dollars if value is not None]
    told = _warnings(len(pairs), flip_rate, longer, unreadable, len(said), aligned is None)
    return JudgeAudit(
        scorer=scorer,
        model=judge,
        identity=background.identity,
        calls=sum(one.calls for one in said),
        paid=sum(one.calls for one in said if one.key in fresh),
        unreadable=unreadable,
        usd=sum(known) if len(known) == len(dollars) else None,
        flip_rate=flip_rate,
        longer_wins=longer,
        kappa=None if aligned is None else aligned[0],
        kappa_bounds=None if aligned is None else aligned[1],
        warnings=(*background.warnings, *told),
    )


def _warnings(
    pairs: int, flip_rate: float | None, longer: float | None, unreadable: int, asked: int, unaligned: bool
) -> list[str]:
    found = []
    if asked and unreadable / asked > _MANY_UNREADABLE:
        found.append(f"{unreadable} of {asked} replies hold no grade that can be read")
    if flip_rate is not None and pairs >= _ENOUGH and flip_rate > _MANY_FLIPS:
        found.append(f"in {flip_rate:.0%} of the pairs it changed its mind with the order: they count as ties")
    if longer is not None and longer >= _LONGER:
        found.append(f"of the pairs it decided, the longer answer won {longer:.0%}")
    if unaligned:
        found.append("nobody measured it against people's labels: skillforge judge align")
    return found


def _pairs(
    entries: Sequence[Entry], judgements: Mapping[str, Judgement]
) -> list[tuple[Entry, tuple[Judgement, Judgement]]]:
    """The pairs of which both orders were answered, each once: equal answers are one pair."""
    unique = {entry.keys: entry for entry in entries if len(entry.keys) == 2}
    found = []
    for (one, other), entry in unique.items():
        both = judgements.get(one), judgements.get(other)
        if both[0] is not None and both[1] is not None and both[0].status == both[1].status == "ok":
            found.append((entry, (both[0], both[1])))
    return found


def _longer_wins(pairs: Sequence[tuple[Entry, tuple[Judgement, Judgement]]]) -> float | None:
    """Of the decided pairs with answers of two lengths, the share that the longer one won; ``None`` of few."""
    wins = [
        (value == 1.0) == (entry.lengths[0] > entry.lengths[1])
        for entry, both in pairs
        if (value := pair_value([outcome(one) for one in both])) != TIE and entry.lengths[0] != entry.lengths[1]
    ]
    return sum(wins) / len(wins) if len(wins) >= _ENOUGH else None
