"""What judges said, by the address of what they were asked: a killed eval resumes and pays no judge twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from skillforge.config import StoreIO
from skillforge.judgement import Judgement
from skillforge.messages import Cost, Usage
from skillforge.redact import Redactor
from skillforge.store.database import immediate, rows, utc_now
from skillforge.store.runs import encode_json, rows_in

if TYPE_CHECKING:
    from sqlite_utils import Database

_COLUMNS = (
    "key, judge, question, kind, position, status, grade, replies, error,"
    " input_tokens, cached_tokens, written_tokens, output_tokens, reasoning_tokens, tokens_estimated,"
    " usd, cost_estimated, cost_basis, list_usd, latency_s, calls, skill, created_at"
)
_SUMMED = ("input_tokens", "output_tokens", "usd", "list_usd", "calls")
# What was tried in vain may have cost something: the sums go on where a reply comes at last.
_UPSERT = (
    f"INSERT INTO judgements ({_COLUMNS}) VALUES ({', '.join('?' * 23)})"
    " ON CONFLICT (key) DO UPDATE SET status = excluded.status, grade = excluded.grade, replies = excluded.replies,"
    " error = excluded.error, latency_s = excluded.latency_s, created_at = excluded.created_at, "
    + ", ".join(f"{name} = judgements.{name} + excluded.{name}" for name in _SUMMED)
    + " WHERE judgements.status = 'error'"
)


class JudgementLog:
    """Judgements in one database.

    Grades are always kept, so that an eval can be scored again; what the judge said is redacted unless ``store_io`` is
    ``full``, and left out under ``none``, because it quotes what it grades. Errors are redacted always; under ``none``
    they keep what stands before the first ``: ``.
    """

    def __init__(self, db: Database, redactor: Redactor, store_io: StoreIO = "redacted") -> None:
        self._db = db
        self._redactor = redactor
        self._store_io = store_io

    def known(self, keys: Iterable[str]) -> dict[str, Judgement]:
        """What was said to the questions among ``keys``; errors are left out, so that they are asked again."""
        found = rows_in(self._db, f"SELECT {_COLUMNS} FROM judgements WHERE status <> 'error' AND key IN", keys)
        return {row["key"]: _judgement(row) for row in found}

    def add(self, judgement: Judgement) -> Judgement:
        """Keep a judgement, durable against a killed process when this returns; returns it as it is kept.

        The first reply to a question stays; a later one replaces an error and adds up with what that cost.
        """
        kept = self._as_kept(judgement)
        with immediate(self._db) as conn:
            conn.execute(_UPSERT, _row(kept))
        return kept

    def align(self, question: str, judge: str, body: Mapping[str, Any]) -> None:
        """Keep how far a judge agreed with people on one question; the newest counts."""
        row = (question, judge, encode_json(body), utc_now())
        with immediate(self._db) as conn:
            conn.execute("INSERT INTO alignments (question, judge, body, created_at) VALUES (?, ?, ?, ?)", row)

    def alignment(self, question: str, judge: str) -> dict[str, Any] | None:
        """The newest alignment of a judge (its fingerprint) on a question, ``None`` without any."""
        asked = "SELECT body FROM alignments WHERE question = ? AND judge = ? ORDER BY id DESC LIMIT 1"
        found = rows(self._db, asked, [question, judge])
        return json.loads(found[0]["body"]) if found else None

    def _as_kept(self, judgement: Judgement) -> Judgement:
        clean = self._redactor.text
        error = clean(judgement.error)
        replies = judgement.replies
        if self._store_io == "none":
            replies, error = (), error.partition(": ")[0]
        elif self._store_io == "redacted":
            replies = tuple(map(clean, replies))
        update = {"replies": replies, "error": error, "created_at": judgement.created_at or utc_now()}
        return judgement.model_copy(update=update)


def _row(kept: Judgement) -> tuple[Any, ...]:
    usage, cost = kept.usage, kept.cost
    return (
        kept.key,
        kept.judge,
        kept.question,
        kept.kind,
        kept.order,
        kept.status,
        kept.grade,
        encode_json(list(kept.replies)),
        kept.error.encode("utf-8", "backslashreplace").decode(),
        usage.input_tokens,
        usage.cached_tokens,
        usage.written_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        usage.estimated,
        cost.usd,
        cost.estimated,
        cost.basis,
        kept.list_usd,
        kept.latency_s,
        kept.calls,
        kept.skill,
        kept.created_at,
    )


def _judgement(row: Mapping[str, Any]) -> Judgement:
    named = {name: row[name] for name in ("key", "judge", "question", "kind", "status", "grade", "error")}
    return Judgement(
        **named,
        order=row["position"],
        replies=tuple(json.loads(row["replies"])),
        usage=Usage(
            input_tokens=row["input_tokens"],
            cached_tokens=row["cached_tokens"],
            written_tokens=row["written_tokens"],
            output_tokens=row["output_tokens"],
            reasoning_tokens=row["reasoning_tokens"],
            estimated=bool(row["tokens_estimated"]),
        ),
        cost=Cost(usd=row["usd"], estimated=bool(row["cost_estimated"]), basis=row["cost_basis"]),
        list_usd=row["list_usd"],
        latency_s=row["latency_s"],
        calls=row["calls"],
        skill=row["skill"],
        created_at=row["created_at"],
    )
