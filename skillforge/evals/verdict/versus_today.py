"""What an arm saves against the program's own prompt and model, on the cases that both answered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from skillforge.evals.answer import Answers
from skillforge.messages import Value


class VersusToday(Value):
    """An arm against ``today`` on ``n`` shared cases.

    ``saving_list`` is the share of today's cost that is gone at list prices without a cache (0.95 is -95%),
    ``saving_real`` that of what was really paid, each with its cache hits; ``saved_usd_per_1000`` the latter in dollars
    per 1,000 calls. ``difference`` is mean(arm - today) of the scores against labels, ``None`` without labels. Unknown
    costs leave ``None``.
    """

    n: int
    difference: float | None = None
    saving_list: float | None = None
    saving_real: float | None = None
    saved_usd_per_1000: float | None = None


def list_prices(answers: Answers) -> dict[str, float | None]:
    """US dollars of every answered case at the list price without a cache; ``None`` is unknown."""
    return {case_id: given[0].list_usd for case_id, given in answers.items() if given[0].status == "ok"}


def real_prices(answers: Answers) -> dict[str, float | None]:
    """US dollars of every answered case as paid, by its first answer; ``None`` is unknown."""
    return {case_id: given[0].usd for case_id, given in answers.items() if given[0].status == "ok"}


def versus_today(
    real: tuple[Mapping[str, float | None], Mapping[str, float | None]],
    listed: tuple[Mapping[str, float | None], Mapping[str, float | None]],
    scores: tuple[Mapping[str, float], Mapping[str, float]] | None,
) -> VersusToday:
    """The comparison from costs and scores by case id, each as (the arm's, today's); no ``scores`` without labels."""
    shared = [case_id for case_id in real[0] if case_id in real[1]]
    now, before = (_total(costs, shared) for costs in real)
    gaps = [] if scores is None else [scores[0][case] - scores[1][case] for case in scores[0] if case in scores[1]]
    return VersusToday(
        n=len(shared),
        difference=math.fsum(gaps) / len(gaps) if gaps else None,
        saving_list=_saving(*(_total(costs, shared) for costs in listed)),
        saving_real=_saving(now, before),
        saved_usd_per_1000=None if now is None or before is None else (before - now) / len(shared) * 1000,
    )


def repaid_after(made_usd: float | None, versus: VersusToday | None) -> int | None:
    """After how many calls what making the skill took is saved; ``None`` where that is unknown, or never."""
    saved = None if versus is None else versus.saved_usd_per_1000
    return None if made_usd is None or not saved or saved < 0 else math.ceil(made_usd / saved * 1000)


def saving_text(share: float) -> str:
    """``-94%``. What costs something is never told as if it cost nothing: ``-99.62%``, not ``-100%``."""
    text = f"{-100 * share:+.0f}%"
    return text if text != "-100%" or share >= 1 else f"{-100 * min(share, 0.9999):+.2f}%"


def _total(costs: Mapping[str, float | None], shared: Sequence[str]) -> float | None:
    """The sum, or ``None`` as soon as one is unknown, and for nothing at all."""
    known = [usd for usd in map(costs.get, shared) if usd is not None]
    return math.fsum(known) if known and len(known) == len(shared) else None


def _saving(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None or before <= 0 else 1 - now / before
