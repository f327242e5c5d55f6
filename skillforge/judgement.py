"""A judgement: what one judge said to one question, addressed by what it was asked."""

from __future__ import annotations

from typing import Literal

from skillforge.messages import Cost, Usage, Value

JudgementKind = Literal["rubric", "pairwise"]
JudgementStatus = Literal["ok", "unreadable", "error"]


class Judgement(Value):
    """One question to a judge and what came back.

    ``key`` is the content address of the question: the judge's fingerprint and all it was shown. ``question`` is what
    is graded by what (``question_digest``). ``order`` says whose answer stood where: ``AB`` the student's first, ``BA``
    the teacher's first, empty for a rubric. ``grade`` is a point of the rubric's scale (``1`` … ``5``) or the better
    place (``A``, ``B``, ``TIE``); empty unless ``ok``. ``unreadable``: no grade could be read, also after asking for it
    once more. ``error``: no reply came; such a question is asked again the next time.

    ``replies`` are the judge's words, one for every time it answered; the rest sums up all calls: US dollars
    (``list_usd`` at the list price without a cache, ``None`` unknown), tokens, seconds.
    """

    key: str
    judge: str
    question: str
    kind: JudgementKind
    order: str = ""
    status: JudgementStatus
    grade: str = ""
    replies: tuple[str, ...] = ()
    error: str = ""
    usage: Usage = Usage()
    cost: Cost = Cost()
    list_usd: float | None = None
    latency_s: float | None = None
    calls: int = 1
    skill: str = ""
    created_at: str = ""
