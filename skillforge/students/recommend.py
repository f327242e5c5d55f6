"""One student out of a leaderboard, by what the caller needs; or which measurement is missing."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from skillforge.messages import Value
from skillforge.students.leaderboard import FLOORS, Entry, Leaderboard


@dataclass(frozen=True, slots=True)
class Needs:
    """What a student must be. ``min_parity``: the share of the teacher's quality that it surely reaches; ``max_cost``:
    dollars for 1,000 runs; ``max_p95_ms``: milliseconds; ``local_only``: nothing leaves the caller's machines;
    ``edge_only``: it fits on a small device.
    """

    min_parity: float = 0.95
    max_cost: float | None = None
    max_p95_ms: float | None = None
    local_only: bool = False
    edge_only: bool = False


class Refused(Value):
    """A student that was not chosen, and why."""

    student: str
    why: str


class Missing(Value):
    """A measurement that would tell more, and the command that makes it."""

    what: str
    command: str


class Recommendation(Value):
    """``choice`` is the cheapest student that surely meets all needs (of equals the better, then the faster, then the
    smaller one), ``None`` where there is none; then ``missing`` says what to measure.
    """

    choice: Entry | None
    refused: tuple[Refused, ...]
    missing: tuple[Missing, ...] = ()


def recommend(board: Leaderboard, needs: Needs, unmeasured: tuple[Missing, ...] = ()) -> Recommendation:
    """Choose by measured bounds only: a student that is good enough on average, and not surely, is not chosen.

    ``unmeasured`` are students known to exist of which nothing is known.
    """
    meeting: list[Entry] = []
    refused: list[Refused] = []
    missing: list[Missing] = []
    for entry in board.entries:
        why = refusal(entry, needs)
        if why:
            refused.append(Refused(student=entry.name, why=why))
            if (more := _measurement(board, entry, needs)) is not None:
                missing.append(more)
        else:
            meeting.append(entry)
    choice = min(meeting, key=_preference, default=None)
    return Recommendation(
        choice=choice, refused=tuple(refused), missing=() if choice is not None else (*missing, *unmeasured)
    )


def refusal(entry: Entry, needs: Needs) -> str:
    """Why a student does not surely meet the needs; empty where it does."""
    if entry.kind in FLOORS:
        return "is a yardstick that nobody can call"
    return _misplaced(entry, needs) or _dear(entry, needs) or _not_current(entry) or _not_good(entry, needs)


def _misplaced(entry: Entry, needs: Needs) -> str:
    if needs.edge_only and entry.place != "edge":
        return f"runs {_where(entry)}, not on a small device"
    if needs.local_only and entry.place not in ("local", "edge"):
        return f"runs {_where(entry)}: inputs would leave your machines"
    return ""


def _dear(entry: Entry, needs: Needs) -> str:
    if needs.max_cost is not None:
        if entry.usd_per_1000 is None:
            return "its cost is unknown"
        if entry.usd_per_1000 > needs.max_cost:
            return f"costs ${entry.usd_per_1000:,.4g} per 1,000, more than ${needs.max_cost:,.4g}"
    if needs.max_p95_ms is not None and (entry.p95_s is None or 1000 * entry.p95_s > needs.max_p95_ms):
        told = "unknown" if entry.p95_s is None else f"{1000 * entry.p95_s:,.0f} ms"
        return f"its p95 latency is {told}; at most {needs.max_p95_ms:,.0f} ms is wanted"
    return ""


def _not_current(entry: Entry) -> str:
    if not entry.comparable:
        return "was measured on other cases than the skill's suite has now"
    if entry.part:
        return "was measured on a part of the cases only"
    return f"its measurement is stale: {entry.stale[0]}" if entry.stale else ""


def _not_good(entry: Entry, needs: Needs) -> str:
    if entry.parity is None or entry.parity_low is None:
        return "was not compared with the teacher"
    if entry.parity < needs.min_parity:
        return f"reaches {_share(entry.parity)} of the teacher's quality, less than {_share(needs.min_parity)}"
    if entry.reason:
        return f"nothing is concluded of it: {entry.reason}"
    if entry.parity_low < needs.min_parity:
        sure = f"{_share(entry.parity)} of the teacher's quality, and surely only {_share(entry.parity_low)}"
        return f"reaches {sure} (you need {_share(needs.min_parity)})"
    return ""


def _measurement(board: Leaderboard, entry: Entry, needs: Needs) -> Missing | None:
    """What to measure where a student may meet the needs, and that is not sure yet."""
    if entry.kind == "no-model" and not _not_good(entry, needs):
        command = f"skillforge train {board.skill} --kind encoder"
        return Missing(what="a vote of the nearest examples is good enough: so may a classifier be", command=command)
    if _never(entry, needs):
        return None
    command = f"skillforge eval {board.skill} --students {shlex.quote(entry.student)}"
    if not entry.comparable or entry.part or entry.stale:
        return Missing(what=f"{entry.name}: {refusal(entry, needs)}", command=command)
    if entry.usd_per_1000 is None:
        what = f"{entry.name}: no price is known"
        return Missing(what=what, command="set its price in skillforge.toml, and measure it again")
    more = f"about {entry.cases_needed:,} more cases" if entry.cases_needed else "more cases"
    what = f"{entry.name}: {refusal(entry, needs)}; {more} would tell"
    if entry.kind in ("encoder", "ladder"):  # there is no form of the skill that suits them
        return Missing(what=what, command=command)
    return Missing(
        what=f"{what}, or a better form of the skill",
        command=f"skillforge tune {board.skill} --student {shlex.quote(entry.student)}",
    )


def _never(entry: Entry, needs: Needs) -> bool:
    """Whether no measurement of the student as it is would change the answer."""
    if entry.kind in FLOORS:
        return True
    if (needs.edge_only and entry.place != "edge") or (needs.local_only and entry.place not in ("local", "edge")):
        return True
    dear = needs.max_cost is not None and (entry.usd_per_1000 or 0.0) > needs.max_cost
    slow = needs.max_p95_ms is not None and entry.p95_s is not None and 1000 * entry.p95_s > needs.max_p95_ms
    worse = entry.verdict == "fail" or (entry.parity is not None and entry.parity < needs.min_parity)
    current = entry.comparable and not entry.part and not entry.stale
    return dear or slow or (worse and current)


def _preference(entry: Entry) -> tuple[float, float, float, float]:
    unknown = float("inf")
    return (
        unknown if entry.usd_per_1000 is None else entry.usd_per_1000,
        -entry.quality,
        unknown if entry.p95_s is None else entry.p95_s,
        unknown if entry.size is None else float(entry.size),
    )


_PLACES = {"api": "at a provider", "local": "on your machines", "edge": "on a small device", "program": "in a program"}


def _where(entry: Entry) -> str:
    return _PLACES.get(entry.place, "nobody knows where")


def _share(value: float) -> str:
    return f"{100 * value:.1f}%"
