"""A leaderboard in words: its columns and what is said of a student, the same on a terminal and on a page."""

from __future__ import annotations

from skillforge.evals.wording.reading import dollars, one_line, percent, seconds, short
from skillforge.evals.wording.words import WORDS
from skillforge.students.leaderboard import Entry, Leaderboard

HEAD = ("", "student", "verdict", "quality", "95% interval", "of teacher", "surely", "$/1000", "p95", "size", "runs")


def headline(board: Leaderboard) -> str:
    """What the board is of, and what the teacher does."""
    version = "" if board.version is None else f" v{board.version}"
    teacher = f"teacher {one_line(short(board.teacher))}: {percent(board.teacher_quality)}"
    price = dollars(board.teacher_usd_per_1000, board.teacher_estimated)
    where = f"suite {one_line(board.suite)}, {one_line(board.split)}"
    return f"{one_line(board.skill)}{version} · {where} · {teacher}, {price} per 1,000"


def row(entry: Entry) -> list[str]:
    """One student as the cells of ``HEAD``. The star marks the Pareto front."""
    return [
        "*" if entry.front else "",
        name(entry),
        verdict(entry),
        percent(entry.quality),
        f"{100 * entry.bounds.low:.1f}–{100 * entry.bounds.high:.1f}",
        percent(entry.parity),
        percent(entry.parity_low),
        dollars(entry.usd_per_1000, entry.cost_estimated).removeprefix("$"),
        seconds(entry.p95_s),
        size(entry.size),
        entry.place,
    ]


def name(entry: Entry) -> str:
    """The student without its provider's prefix, with its form; ladders and classifiers by their whole name."""
    if entry.kind in ("ladder", "encoder", "own", "no-model"):
        return one_line(entry.student)
    return one_line(
        f"{short(entry.student)} + {entry.kind}" if entry.kind != "bare" else f"{short(entry.student)} bare"
    )


def verdict(entry: Entry) -> str:
    """The verdict's word, and what keeps it from counting now."""
    said = "–" if entry.verdict is None else WORDS[entry.verdict]
    aside = [] if entry.comparable else ["other cases"]
    aside += ["a part"] if entry.part else []
    aside += ["stale"] if entry.stale else []
    return f"{said} ({', '.join(aside)})" if aside else said


def size(count: int | None) -> str:
    """Bytes as people read them: ``98 MB``."""
    if count is None:
        return "–"
    for unit, bytes_ in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)):
        if count >= bytes_:
            return f"{count / bytes_:.3g} {unit}"
    return f"{count} B" if count else "0"


def notes(board: Leaderboard) -> list[str]:
    """What a reader must know to read the table."""
    told = ["* nobody is as good or better for as little or less (Pareto front, by quality and cost)"]
    told.append("of teacher: share of its quality; surely: its lower end, 95% sure, by the paired difference")
    if any(entry.kind not in ("own", "no-model") and entry.usd_per_1000 == 0 for entry in board.entries):
        told.append("$0 is what is paid to a provider; compute on your own machines is not priced")
    if any(not entry.comparable for entry in board.entries):
        told.append("other cases: measured on another suite, or before it changed; not to be compared with the rest")
    if board.unread:
        told.append(f"{board.unread} results were written by another version of skillforge and are not shown")
    return told
