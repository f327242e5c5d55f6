"""Sums over runs, recorded calls, traces and judgements: what was asked how often, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from skillforge.store.database import rows

if TYPE_CHECKING:
    from sqlite_utils import Database

By = Literal["skill", "tag", "student", "day"]

# What a recording, a vote or a file answered was not paid for; whatever the row says, it is an estimate.
_FREE = "(student LIKE 'replay:%' OR student LIKE 'today%' OR student IN ('no-model', 'recorded'))"

_NOT_SUMMED = "('conversation', 'subject')"  # tags of a run with a value each: only where they are asked for

_RUN_KEYS = {"skill": "skill", "student": "student", "day": "substr(created_at, 1, 10)"}
_CALL_KEYS = {"skill": "''", "student": "model", "day": "substr(at, 1, 10)"}


@dataclass(frozen=True, slots=True)
class Spent:
    """One sum. ``key`` is what it is summed by; ``usd`` adds up the ``runs`` whose cost is known, ``unknown`` counts
    the others, ``answered`` those of known cost that got an answer. ``skill`` and ``digest`` are empty for calls that
    no skill served.
    """

    key: str
    skill: str
    digest: str
    runs: int
    usd: float
    unknown: int
    answered: int


class Spending:
    """Read-only sums over one database. ``since`` is a UTC day or time in ISO 8601; empty takes everything."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def served(self, by: By, *, tag: str = "", since: str = "") -> list[Spent]:
        """What skills answered for programs. ``tag`` keeps only that tag's values, with ``by="tag"``."""
        source, key, condition, params = _keyed("runs", _RUN_KEYS, by, tag)
        return self._sums(
            f"SELECT {key} AS key, skill, digest, count(*) AS runs, total(usd) AS usd, sum(usd IS NULL) AS unknown,"
            f" sum(usd IS NOT NULL AND status <> 'error') AS answered"
            f" FROM {source} WHERE source = 'run' AND created_at >= ?{condition} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            [since, *params],
        )

    def recorded(self, by: By, *, tag: str = "", since: str = "") -> list[Spent]:
        """What programs asked models for without a skill, as far as it was captured or imported."""
        source, key, condition, params = _keyed("calls", _CALL_KEYS, by, tag)
        return self._sums(
            f"SELECT {key} AS key, '' AS skill, '' AS digest, count(*) AS runs, total(usd) AS usd,"
            f" sum(usd IS NULL) AS unknown, sum(usd IS NOT NULL AND error = '') AS answered"
            f" FROM {source} WHERE at >= ?{condition} GROUP BY 1 ORDER BY 1",
            [since, *params],
        )

    def tags(self) -> list[str]:
        """Names of the tags that runs and recorded calls have."""
        found = " UNION ".join(f"SELECT json_each.key AS name FROM {t}, json_each({t}.tags)" for t in ("runs", "calls"))
        return [row["name"] for row in rows(self._db, f"{found} ORDER BY 1")]

    def made(self, skill: str) -> tuple[float, int]:
        """(US dollars, runs of unknown cost) that creating and measuring a skill took so far.

        Solved inputs are found by the task sentence of the skill's versions. A ladder that was measured cost nothing of
        its own: what its rungs were asked stands beside it.
        """
        (runs,) = rows(
            self._db,
            "SELECT total(usd) AS usd, total(usd IS NULL) AS unknown FROM runs"
            f" WHERE skill = ? AND source IN ('eval', 'create') AND rungs = '[]' AND NOT {_FREE}",
            [skill],
        )
        (traces,) = rows(
            self._db,
            "SELECT total(body ->> '$.cost.usd') AS usd, total(body ->> '$.cost.usd' IS NULL) AS unknown FROM traces"
            " WHERE teacher NOT LIKE 'replay:%' AND task IN (SELECT task FROM versions WHERE skill = ?)",
            [skill],
        )
        (judges,) = rows(
            self._db,
            "SELECT total(usd) AS usd, total(usd IS NULL) AS unknown FROM judgements"
            " WHERE skill = ? AND judge NOT LIKE 'replay:%'",
            [skill],
        )
        parts = (runs, traces, judges)
        return sum(part["usd"] for part in parts), int(sum(part["unknown"] for part in parts))

    def _sums(self, sql: str, params: list[Any]) -> list[Spent]:
        return [Spent(**row) for row in rows(self._db, sql, params)]


def _keyed(table: str, keys: dict[str, str], by: By, tag: str) -> tuple[str, str, str, list[str]]:
    """(source, key expression, further condition, its parameters) of a sum over ``table``."""
    if by != "tag":
        return table, keys[by], "", []
    pair = "json_each.key || '=' || json_each.value"
    condition = " AND json_each.key = ?" if tag else f" AND json_each.key NOT IN {_NOT_SUMMED}"
    return f"{table}, json_each({table}.tags)", pair, condition, [tag] if tag else []
