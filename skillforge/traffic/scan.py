"""The scan: two passes over recorded calls. The first finds the skeletons, the second counts what each costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from skillforge.call import Call
from skillforge.messages import Value
from skillforge.traffic.draft import draft_contract
from skillforge.traffic.groups import CallGroup, Clock, Money, Span, Tally, monthly, name_of, without_secrets
from skillforge.traffic.kinds import Kind, kind_of
from skillforge.traffic.sample import BUDGET, RECURS, PromptSample
from skillforge.traffic.skeleton import Skeleton
from skillforge.traffic.templates import find_skeletons

WORTH_CALLS = 50  # fewer recorded calls cannot show whether a student does as well
WORTH_SHARE = 0.005  # of the bill
_FIXED_KINDS = ("classification", "extraction", "rewriting")

Mask = Callable[[str], str]


class ScanReport(Value):
    """What a log holds. ``groups`` by cost, then calls. ``total`` is the whole log, ``rest`` what does not recur.

    ``by`` is what shares of the bill are counted in: ``usd`` of the calls whose cost is known, or where none is
    ``tokens`` (``calls`` where these are not told either). ``sampled`` is the share of the distinct prompts that
    skeletons were looked for in (1 for logs of a usual size).
    """

    total: Money
    rest: Money
    span: Span | None
    groups: tuple[CallGroup, ...]
    by: str = "usd"
    sampled: float = 1.0

    @property
    def calls(self) -> int:
        return self.total.calls

    @property
    def usd(self) -> float | None:
        """Of the calls whose cost is known; ``None`` where none is."""
        return None if self.total.unknown == self.total.calls else self.total.usd

    @property
    def list_usd(self) -> float | None:
        return None if self.total.unknown == self.total.calls else self.total.list_usd

    @property
    def worth(self) -> tuple[CallGroup, ...]:
        return tuple(group for group in self.groups if group.worth)

    @property
    def summary(self) -> str:
        """One sentence: what recurs, and what of it is worth a skill."""
        if not self.groups:
            return f"nothing recurs in {self.calls:,} calls"
        bill = "the known bill" if self.total.unknown else "the bill"
        of = {"usd": bill, "tokens": "the tokens", "calls": "the calls"}[self.by]
        recurring = sum(group.cost_share for group in self.groups)
        some = self.worth
        told = f"{_counted(len(self.groups), 'recurring call')} {_is(len(self.groups))} {recurring:.0%} of {of}"
        if not some:
            return f"{told}; none of them is worth a skill yet"
        share = sum(group.cost_share for group in some)
        return f"{told}; {len(some)} of them, {share:.0%} of {of}, {_is(len(some))} worth a skill"


class Scanner:
    """``learn`` every call, ``settle`` on skeletons, ``count`` every call again, ``report``; in any order.

    ``mask`` hides secrets: what it changes in a constant becomes a gap. ``known`` are the names of groups found before,
    by id: a group keeps its name, and no other gets it. ``budget`` is in characters of distinct prompt text. Memory is
    bounded by that budget in the first pass and by the number of groups in the second.
    """

    def __init__(self, *, mask: Mask = str, known: Mapping[str, str] | None = None, budget: int = BUDGET) -> None:
        self._mask = mask
        self._names = dict(known or {})
        self._sample = PromptSample(budget)
        self._sampled = 1.0
        self._clock = Clock()
        self._total, self._rest = Tally(), Tally()
        self._settle([])

    def learn(self, call: Call) -> None:
        self._sample.add(call)

    def settle(self) -> None:
        """Find the skeletons of what was learned; the prompts are forgotten."""
        skeletons = [without_secrets(skeleton, self._mask) for skeleton in find_skeletons(self._sample)]
        self._sampled = self._sample.kept
        self._sample = PromptSample(0)
        self._settle(skeletons)

    def _settle(self, skeletons: Sequence[Skeleton]) -> None:
        self._finder = _Finder(skeletons)
        self._tallies = [(skeleton, Tally()) for skeleton in skeletons]
        self._by_id = {skeleton.id: tally for skeleton, tally in self._tallies}

    def count(self, call: Call) -> None:
        self._total.add(call)
        self._clock.add(call.at)
        skeleton = self._finder.find(call)
        if skeleton is None:
            self._rest.add(call)
            return
        tally = self._by_id[skeleton.id]
        tally.add(call)
        tally.answers.add(call, skeleton.fields(call) if tally.answers.wants(call) else None)

    def report(self) -> ScanReport:
        total = self._total
        found = [(self._apart(skeleton), tally) for skeleton, tally in self._tallies if tally.calls >= RECURS]
        for _, few in (pair for pair in self._tallies if pair[1].calls < RECURS):
            self._rest.take(few)
        priced = not total.unknown or total.usd > 0
        by = "usd" if priced else "tokens" if not total.uncounted else "calls"
        span = self._clock.span()
        groups = _groups(found, total, by=by, span=span, names=self._names, mask=self._mask)
        return ScanReport(
            total=total.money(), rest=self._rest.money(), span=span, groups=groups, by=by, sampled=self._sampled
        )

    def _apart(self, skeleton: Skeleton) -> Skeleton:
        """The skeleton with all narrower ones that calls of this log fit too."""
        narrower = {other.id: other for other in skeleton.besides} | self._finder.overlaps[skeleton.id]
        besides = tuple(other.model_copy(update={"besides": ()}) for _, other in sorted(narrower.items()))
        return skeleton.model_copy(update={"besides": besides})


class _Finder:
    """Finds the skeleton of a call: the narrowest of those that fit. ``overlaps`` are the narrower ones by id."""

    def __init__(self, skeletons: Sequence[Skeleton]) -> None:
        self.overlaps: dict[str, dict[str, Skeleton]] = defaultdict(dict)
        self._closed: dict[int, list[Skeleton]] = defaultdict(list)
        self._open = [skeleton for skeleton in skeletons if skeleton.open]
        for skeleton in skeletons:
            if not skeleton.open:
                self._closed[len(skeleton.turns)].append(skeleton)

    def find(self, call: Call) -> Skeleton | None:
        closed = self._closed.get(len(call.messages) + 1, ())
        fitting = [skeleton for skeleton in (*closed, *self._open) if skeleton.fits(call)]
        for wide in fitting[1:]:
            self.overlaps[wide.id].setdefault(fitting[0].id, fitting[0])
        return fitting[0] if fitting else None


def _groups(
    found: Sequence[tuple[Skeleton, Tally]],
    total: Tally,
    *,
    by: str,
    span: Span | None,
    names: dict[str, str],
    mask: Mask,
) -> tuple[CallGroup, ...]:
    def cost(tally: Tally) -> float:
        return {"usd": tally.usd, "tokens": float(tally.tokens), "calls": float(tally.calls)}[by]

    ordered = sorted(found, key=lambda pair: (-cost(pair[1]), -pair[1].calls, pair[0].id))
    whole = cost(total)
    groups: list[CallGroup] = []
    for skeleton, tally in ordered:
        answers = tally.answers
        kind = kind_of(answers, has_tools=2 * tally.with_tools > tally.calls)
        draft = draft_contract(skeleton, answers, tally.schema)
        name = names.get(skeleton.id) or name_of(skeleton, mask(draft.task) if draft else "", set(names.values()))
        names[skeleton.id] = name
        share = cost(tally) / whole if whole else 0.0
        worth, why = _worth(skeleton, tally, kind, share, has_draft=draft is not None and draft.output != "text")
        groups.append(
            CallGroup(
                id=skeleton.id,
                name=name,
                skeleton=skeleton,
                kind=kind,
                calls=tally.calls,
                share=tally.calls / total.calls,
                usd=tally.usd,
                list_usd=tally.list_usd,
                unknown=tally.unknown,
                cost_share=share,
                monthly_usd=None if tally.unknown else monthly(tally.usd, span),
                span=span,
                tokens=tally.tokens,
                models=dict(sorted(tally.models.items(), key=lambda item: (-item[1], item[0]))),
                errors=tally.errors,
                outputs=answers.different,
                top_share=answers.top_share,
                variability=answers.variability,
                conversations=len(tally.conversations),
                worth=worth,
                why=why,
                draft=draft,
            )
        )
    return tuple(groups)


def _worth(skeleton: Skeleton, tally: Tally, kind: Kind, share: float, *, has_draft: bool) -> tuple[bool, str]:
    """Whether a skill could take these calls now: one turn, answers that can be compared, enough of them."""
    if skeleton.open:
        return False, "a conversation of many turns: a skill answers one"
    if not skeleton.field_names:
        return False, "every call asks the same: keep the answer"
    if tally.answers.with_tools:
        return False, "answered with tool calls: a skill answers with text or JSON"
    if tally.calls < WORTH_CALLS:
        return False, f"{tally.calls} calls are too few to prove a student on: {WORTH_CALLS} or more"
    if tally.answers.top_share == 1.0:
        return False, "every answer is the same: keep the answer"
    if share < WORTH_SHARE and not tally.unknown:  # what a part of them cost would say too little
        return False, f"only {share:.1%} of the bill"
    if kind == "rewriting" and not has_draft:
        return False, "free text: needs a judge"
    if kind in _FIXED_KINDS:
        return True, f"{kind}: answers can be compared one by one"
    if has_draft:
        return True, "answers in a fixed form: field by field they can be compared"
    return False, "open writing: only a judge could tell a good answer"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _is(number: int) -> str:
    return "is" if number == 1 else "are"
