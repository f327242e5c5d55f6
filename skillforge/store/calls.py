"""Recorded calls of other programs: kept once each, read back in order of time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from skillforge.call import Call
from skillforge.config import StoreIO
from skillforge.redact import Redactor
from skillforge.store.database import immediate, rows, utc_now
from skillforge.store.runs import rows_in

if TYPE_CHECKING:
    from sqlite_utils import Database

Source = Literal["wrap", "import"]

_PAGE = 200  # calls of one query; each may be megabytes
_COLUMNS = (
    "id, at, api, model, conversation, subject, tags, input_tokens, output_tokens, usd, list_usd, latency_s, error,"
    " body, source, created_at"
)
_INSERT = f"INSERT INTO calls ({_COLUMNS}) VALUES ({', '.join('?' * 16)}) ON CONFLICT (id) DO NOTHING"
_UNPRICED = (
    "SELECT rowid, body FROM calls WHERE usd IS NULL AND input_tokens IS NOT NULL AND output_tokens IS NOT NULL"
    " AND rowid > ? ORDER BY rowid LIMIT ?"
)
# What a call says: prompts, answers and what stands in a request. Everything else is figures and names.
_SAID = frozenset({"system", "messages", "tools", "output_schema", "params", "output"})
_FIGURES = ("api", "usage")


class CallLog:
    """The calls of one database.

    ``store_io`` says what is kept of what was said: ``redacted`` (the default) takes secrets out, ``full`` keeps
    system text, messages, tools, schema, parameters and answer as they are, ``none`` keeps none of these, and of an
    error only what stands before its first ``:``. Ids, names, tags and errors are redacted always.
    """

    def __init__(self, db: Database, redactor: Redactor, store_io: StoreIO = "redacted") -> None:
        self._db = db
        self._redactor = redactor
        self.store_io = store_io

    def add(self, calls: Iterable[Call], source: Source) -> int:
        """Store the calls whose id is not stored yet, in one transaction; returns how many these were."""
        now = utc_now()
        told = list(calls)
        known = self._known(self._redactor.text(call.id) for call in told)
        fresh = (call for call in told if self._redactor.text(call.id) not in known)  # cleaning is what takes time
        ready = [self._row(self.clean(call), source, now) for call in fresh]
        with immediate(self._db) as conn:
            before = conn.total_changes
            conn.executemany(_INSERT, ready)
            return conn.total_changes - before

    def clean(self, call: Call) -> Call:
        """The call as it is stored: without what ``store_io`` keeps out."""
        told = call.model_dump()
        said = {} if self.store_io == "none" else {key: told[key] for key in _SAID}
        names = {key: value for key, value in told.items() if key not in _SAID}
        clean = self._redactor.value({**names, **(said if self.store_io == "redacted" else {})})
        # nobody's words: a count may look like a card's number, and a key may be called like an API
        clean |= {key: names[key] for key in _FIGURES}
        if self.store_io == "none":
            clean["error"] = clean["error"].partition(":")[0]
        return Call.model_validate({**clean, **(said if self.store_io == "full" else {})})

    def stream(self) -> Iterator[Call]:
        """Every call, oldest first (those of an unknown time come first). Only a page of them is held.

        What is added meanwhile with a later time is seen too.
        """
        at, rowid = "", 0
        while found := rows(
            self._db,
            "SELECT rowid, at, body FROM calls WHERE (at, rowid) > (?, ?) ORDER BY at, rowid LIMIT ?",
            [at, rowid, _PAGE],
        ):
            at, rowid = found[-1]["at"], found[-1]["rowid"]
            for row in found:
                yield Call.model_validate_json(row["body"])

    def price(self, priced: Callable[[Call], Call]) -> int:
        """Fill in the cost of calls whose tokens are known and whose price was not; returns how many are known now."""
        found, last = 0, 0
        while page := rows(self._db, _UNPRICED, [last, _PAGE]):
            last = page[-1]["rowid"]
            calls = [priced(Call.model_validate_json(row["body"])) for row in page]
            known = [call for call in calls if call.cost.usd is not None]
            if known:
                with immediate(self._db) as conn:
                    conn.executemany(
                        "UPDATE calls SET usd = ?, list_usd = ?, body = ? WHERE id = ? AND usd IS NULL",
                        [(call.cost.usd, call.list_usd, call.model_dump_json(), call.id) for call in known],
                    )
            found += len(known)
        return found

    def recent(self, limit: int) -> list[Call]:
        """The newest calls, newest first."""
        found = rows(self._db, "SELECT body FROM calls ORDER BY at DESC, rowid DESC LIMIT ?", [limit])
        return [Call.model_validate_json(row["body"]) for row in found]

    def count(self) -> int:
        return int(rows(self._db, "SELECT count(*) AS n FROM calls")[0]["n"])

    def _known(self, ids: Iterable[str]) -> set[str]:
        return {row["id"] for row in rows_in(self._db, "SELECT id FROM calls WHERE id IN", ids)}

    def _row(self, call: Call, source: Source, now: str) -> tuple[Any, ...]:
        return (
            call.id,
            call.at,
            call.api,
            call.model,
            call.conversation,
            call.subject,
            json.dumps(call.tags, ensure_ascii=False),
            call.usage.input_tokens,
            call.usage.output_tokens,
            call.cost.usd,
            call.list_usd,
            call.latency_s,
            call.error,
            call.model_dump_json(),
            source,
            now,
        )
