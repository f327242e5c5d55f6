"""The run log: every run and its attempts, with secrets taken out before anything reaches the disk."""

from __future__ import annotations

import json
import secrets
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from skillforge.config import StoreIO
from skillforge.errors import NotFound
from skillforge.messages import Cost, Usage
from skillforge.redact import Redactor
from skillforge.run import Attempt, CheckResult, Run, Rung, StepRun
from skillforge.store.database import immediate, rows, utc_now

if TYPE_CHECKING:
    import sqlite3

    from sqlite_utils import Database

Source = Literal["run", "eval", "create"]

CHUNK = 500  # bound parameters in one IN list, well under SQLite's oldest limit of 999

_RUN_COLUMNS = (
    "id, skill, version, digest, student, model, status, reason, input, output, checks,"
    " input_tokens, cached_tokens, written_tokens, output_tokens, reasoning_tokens, tokens_estimated,"
    " usd, cost_estimated, cost_basis, latency_s, tags, source, created_at, alias, fallback, steps,"
    " probabilities, rungs"
)
_ATTEMPT_COLUMNS = (
    "run_id, n, kind, text, problems, stop, model,"
    " input_tokens, cached_tokens, written_tokens, output_tokens, reasoning_tokens, tokens_estimated,"
    " usd, cost_estimated, cost_basis, latency_s, error, calls, list_usd, step"
)
_INSERT_RUN = f"INSERT INTO runs ({_RUN_COLUMNS}) VALUES ({', '.join('?' * 29)})"
_INSERT_ATTEMPT = f"INSERT INTO attempts ({_ATTEMPT_COLUMNS}) VALUES ({', '.join('?' * 21)})"


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """A stored run, where it came from, and when it was stored (UTC, ISO 8601)."""

    run: Run
    source: str
    created_at: str


@dataclass(frozen=True, slots=True)
class RunRows:
    """A run made ready for writing: redacted, in column order. Made outside the transaction, so locks stay short.

    ``output_changed`` says that redaction changed the output; ``created_at`` is UTC, ISO 8601.
    """

    id: str
    run: tuple[Any, ...]
    attempts: tuple[tuple[Any, ...], ...]
    output_changed: bool
    created_at: str


class RunLog:
    """Runs and attempts in one database.

    ``store_io`` says what is kept of what went in and came out: ``redacted`` (the default) takes secrets out of all of
    it, ``full`` keeps inputs, outputs, texts, problems and check reasons as they are, ``none`` keeps none of these and
    no reason but that of an error or a fallback, and of these only what stands before the first ``:`` (not the one in
    a model's name), because the rest may quote the input. Errors, reasons and tags are redacted always. The steps of a
    workflow are kept alike: under ``none`` neither arguments nor values.
    """

    def __init__(self, db: Database, redactor: Redactor, store_io: StoreIO = "redacted") -> None:
        self._db = db
        self._redactor = redactor
        self.store_io = store_io

    def add(self, run: Run, *, source: Source) -> str:
        """Store a run; returns its id, made here where ``run.id`` is empty. ``StoreError`` where the id is taken."""
        ready = self.prepare(run, source=source)
        with immediate(self._db) as conn:
            self.write(conn, [ready])
        return ready.id

    def replace(self, run: Run, *, source: Source) -> str:
        """Store a run that went on where it had ended in an error: its earlier row makes room."""
        ready = self.prepare(run, source=source)
        with immediate(self._db) as conn:
            conn.execute("DELETE FROM runs WHERE id = ?", (ready.id,))
            self.write(conn, [ready])
        return ready.id

    def prepare(self, run: Run, *, source: Source, keep_output: bool = False, version: int | None = None) -> RunRows:
        """Redact and encode. ``keep_output`` keeps the (redacted) output even under ``store_io`` ``none``. ``version``
        is the run's where it does not say itself.
        """
        run_id = run.id or new_run_id()
        keep = self.store_io != "none"
        created_at = utc_now()
        output = self._clean(run.output)
        encoded = encode_json(output)
        row = (
            run_id,
            run.skill,
            version if run.version is None else run.version,
            run.digest,
            run.student,
            run.model,
            run.status,
            self._error(run.reason) if keep or run.status == "error" else "",
            encode_json(self._clean(run.input)) if keep else None,
            encoded if (keep or keep_output) and run.output is not None else None,
            encode_json([self._check(check) for check in run.checks]) if run.checks else "[]",
            *_figures(run.usage, run.cost, run.latency_s),
            encode_json(self._redactor.value(run.tags)) if run.tags else "{}",
            source,
            created_at,
            run.alias,
            self._why(run.fallback),
            encode_json([self._step(step) for step in run.steps]) if run.steps else "[]",
            encode_json(self._clean(run.probabilities)) if (keep or keep_output) and run.probabilities else "{}",
            encode_json([self._rung(rung) for rung in run.rungs]) if run.rungs else "[]",
        )
        attempts = tuple([_utf8(self._attempt(run_id, n, attempt)) for n, attempt in enumerate(run.attempts)])
        changed = output is not run.output and encoded != encode_json(run.output)
        return RunRows(run_id, _utf8(row), attempts, output_changed=changed, created_at=created_at)

    def write(self, conn: sqlite3.Connection, ready: Sequence[RunRows]) -> None:
        """Insert prepared rows; call it inside ``immediate``."""
        conn.executemany(_INSERT_RUN, [each.run for each in ready])
        conn.executemany(_INSERT_ATTEMPT, [attempt for each in ready for attempt in each.attempts])

    def get(self, run_id: str) -> LoggedRun:
        """One run by its id; ``NotFound``."""
        found = rows(self._db, f"SELECT {_RUN_COLUMNS} FROM runs WHERE id = ?", [run_id])
        if not found:
            raise NotFound(f"no run with the id {run_id!r}", hint="list the newest runs to see their ids")
        return _logged(found, self._attempts([run_id]))[0]

    def recent(self, limit: int, skill: str | None = None) -> list[LoggedRun]:
        """The newest runs, newest first, of one skill or of all."""
        where, params = ("WHERE skill = ?", [skill]) if skill is not None else ("", [])
        found = rows(self._db, f"SELECT {_RUN_COLUMNS} FROM runs {where} ORDER BY rowid DESC LIMIT ?", [*params, limit])
        return _logged(found, self._attempts(row["id"] for row in found))

    def by_ids(self, run_ids: Iterable[str]) -> dict[str, LoggedRun]:
        """Those of the runs that are stored, by id."""
        wanted = list(run_ids)
        found = rows_in(self._db, f"SELECT {_RUN_COLUMNS} FROM runs WHERE id IN", wanted)
        return {logged.run.id: logged for logged in _logged(found, self._attempts(wanted))}

    def _attempts(self, run_ids: Iterable[str]) -> dict[str, list[Attempt]]:
        attempts: dict[str, list[Attempt]] = defaultdict(list)
        found = rows_in(self._db, f"SELECT {_ATTEMPT_COLUMNS} FROM attempts WHERE run_id IN", run_ids)
        for row in sorted(found, key=lambda row: row["n"]):
            attempts[row["run_id"]].append(
                Attempt(
                    kind=row["kind"],
                    text=row["text"] or "",
                    problems=tuple(json.loads(row["problems"])),
                    stop=row["stop"],
                    model=row["model"],
                    usage=_usage(row),
                    cost=_cost(row),
                    list_usd=row["list_usd"],
                    latency_s=row["latency_s"],
                    error=row["error"],
                    calls=row["calls"],
                    step=row["step"],
                )
            )
        return attempts

    def _attempt(self, run_id: str, n: int, attempt: Attempt) -> tuple[Any, ...]:
        keep = self.store_io != "none"
        return (
            run_id,
            n,
            attempt.kind,
            self._clean(attempt.text) if keep else None,
            encode_json(self._clean(list(attempt.problems))) if keep and attempt.problems else "[]",
            attempt.stop,
            attempt.model,
            *_figures(attempt.usage, attempt.cost, attempt.latency_s),
            self._error(attempt.error),
            attempt.calls,
            attempt.list_usd,
            attempt.step,
        )

    def _check(self, check: CheckResult) -> dict[str, Any]:
        # A reason quotes the output.
        reason = "" if self.store_io == "none" else self._clean(check.reason)
        return {**dict(check), "reason": reason}

    def _step(self, step: StepRun) -> dict[str, Any]:
        kept = step.model_dump(mode="json")
        kept["checks"] = [self._check(check) for check in step.checks]
        if self.store_io != "none":
            return {**kept, **{name: self._clean(kept[name]) for name in ("arguments", "output", "called", "reason")}}
        # what was done and what it took, nothing of what went in and came out
        kept["called"] = [{**call, "arguments": {}} for call in kept["called"]]
        kept["reason"] = self._error(step.reason) if step.status == "error" else ""
        return {**kept, "arguments": {}, "output": None}

    def _rung(self, rung: Rung) -> dict[str, Any]:
        # why an input went up may quote what was answered
        kept = {**rung.model_dump(mode="json"), "reason": self._error(rung.reason)}
        return {**kept, "output": None if self.store_io == "none" else self._clean(rung.output)}

    def _error(self, text: str) -> str:
        # Redacted before it is cut: a cut could leave a piece of a secret that no pattern knows any more.
        clean = self._redactor.text(text)
        return clean.partition(":")[0] if self.store_io == "none" else clean

    def _why(self, fallback: str) -> str:
        # Who could not answer stays; what its server said of it may quote the input.
        clean = self._redactor.text(fallback)
        return clean.partition(": ")[0] if self.store_io == "none" else clean

    def _clean(self, value: Any) -> Any:
        return value if self.store_io == "full" else self._redactor.value(value)


def new_run_id() -> str:
    """A UUID of version 7 (RFC 9562, section 6.2, method 3: sub-millisecond clock in ``rand_a``): ids sort by time."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    number = (
        milliseconds << 80
        | 0x7 << 76
        | fraction << 64
        | 0b10 << 62
        | int.from_bytes(secrets.token_bytes(8), "big") >> 2
    )
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))  # json.dumps would make one for every value


def encode_json(value: Any) -> str:
    """JSON text for a column, in the given key order. Half surrogates, which UTF-8 cannot hold, are escaped."""
    text = _JSON.encode(value)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text


def _utf8(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The row with half surrogates in its texts escaped: an answer or a reason may hold some, SQLite cannot."""
    if "".join([cell for cell in row if isinstance(cell, str)]).isascii():
        return row
    return tuple(cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell for cell in row)


def rows_in(db: Database, sql_up_to_in: str, keys: Iterable[str]) -> list[dict[str, Any]]:
    """All rows of ``… IN (keys)``, asked for in chunks."""
    wanted = list(dict.fromkeys(keys))
    found: list[dict[str, Any]] = []
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        found += rows(db, f"{sql_up_to_in} ({', '.join('?' * len(chunk))})", chunk)
    return found


def _figures(usage: Usage, cost: Cost, latency_s: float | None) -> tuple[Any, ...]:
    sent = (usage.input_tokens, usage.cached_tokens, usage.written_tokens)
    tokens = (*sent, usage.output_tokens, usage.reasoning_tokens, usage.estimated)
    return (*tokens, cost.usd, cost.estimated, cost.basis, latency_s)


def _usage(row: Mapping[str, Any]) -> Usage:
    return Usage(
        input_tokens=row["input_tokens"],
        cached_tokens=row["cached_tokens"],
        written_tokens=row["written_tokens"],
        output_tokens=row["output_tokens"],
        reasoning_tokens=row["reasoning_tokens"],
        estimated=bool(row["tokens_estimated"]),
    )


def _cost(row: Mapping[str, Any]) -> Cost:
    return Cost(usd=row["usd"], estimated=bool(row["cost_estimated"]), basis=row["cost_basis"])


def _logged(found: list[dict[str, Any]], attempts: Mapping[str, list[Attempt]]) -> list[LoggedRun]:
    return [LoggedRun(_run(row, attempts.get(row["id"], [])), row["source"], row["created_at"]) for row in found]


def _run(row: Mapping[str, Any], attempts: list[Attempt]) -> Run:
    return Run(
        id=row["id"],
        skill=row["skill"],
        version=row["version"],
        digest=row["digest"],
        student=row["student"],
        model=row["model"],
        status=row["status"],
        reason=row["reason"],
        input=json.loads(row["input"]) if row["input"] else {},
        output=json.loads(row["output"]) if row["output"] else None,
        checks=tuple(CheckResult(**check) for check in json.loads(row["checks"])),
        attempts=tuple(attempts),
        usage=_usage(row),
        cost=_cost(row),
        latency_s=row["latency_s"],
        tags=json.loads(row["tags"]),
        alias=row["alias"],
        fallback=row["fallback"],
        steps=tuple(StepRun.model_validate(step) for step in json.loads(row["steps"])),
        probabilities=json.loads(row["probabilities"]),
        rungs=tuple(Rung.model_validate(rung) for rung in json.loads(row["rungs"])),
    )
