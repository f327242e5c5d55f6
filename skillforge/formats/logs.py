"""Log files of model calls, of every format that is known, as calls: streamed, whatever they hold.

A record that cannot be read becomes ``Broken``, with its place and why; it never ends the reading.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from skillforge.call import Call
from skillforge.errors import UsageError
from skillforge.formats.batches import is_answer, is_call, is_request, read_batch
from skillforge.formats.langfuse import is_observation, read_observation
from skillforge.formats.litellm import is_litellm, read_litellm
from skillforge.formats.pairs import is_pair, read_pair
from skillforge.formats.parts import NotACall
from skillforge.formats.records import MAX_RECORD, Record, read_records

KNOWN = (
    "JSON Lines of {request, response}",
    "OpenAI batch input, output and error files",
    "Anthropic batch requests and results",
    "LiteLLM's StandardLoggingPayload",
    "Langfuse observations (JSON Lines or JSON)",
)
_LOOKED_AT = 100  # records before a file is of no known format
_SHOWN_KEYS = 12
_READERS: tuple[tuple[Callable[[Mapping[str, Any]], bool], Callable[[Mapping[str, Any], str], Call | None]], ...] = (
    (is_litellm, read_litellm),
    (is_observation, read_observation),
    (is_pair, read_pair),
)


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that is no readable call: where it stands, why, and its bytes as text (not redacted)."""

    file: str
    line: int
    reason: str
    text: str


def read_logs(paths: Sequence[Path]) -> Iterator[Call | Broken | None]:
    """Every record of the files: a call, a broken record, or ``None`` for what is no model call (a span, an embedding).

    Memory holds one record, and of batches what came of the requests: their files are read first, in whatever order
    they are given. ``id`` is the record's own, else a digest of its line. Raises ``NotFound`` for a missing file and
    ``UsageError`` for one of no known format before anything is read.
    """
    answered = {path: _holds_answers(path) for path in paths}
    batch = _Batch()
    for path in sorted(answered, key=lambda path: not answered[path]):
        for record in read_records(path):
            yield from _items(path, record, batch)
    yield from batch.unasked()


def _holds_answers(path: Path) -> bool:
    """Whether a file begins with a batch's answers. Raises ``UsageError`` for one in which nothing is known."""
    seen: dict[str, None] = {}
    for record in islice(read_records(path), _LOOKED_AT):
        try:
            found = list(_objects(record))
        except ValueError:
            continue
        for told, _ in found:
            if _is_known(told):
                return is_answer(told) and not is_request(told)
            seen.update(dict.fromkeys(told))
    if seen:
        keys = ", ".join(_printable(key) for key in list(seen)[:_SHOWN_KEYS])
        raise UsageError(f"{path}: of no known format (its records hold: {keys})", hint=f"known are {'; '.join(KNOWN)}")
    return False


def _items(path: Path, record: Record, batch: _Batch) -> Iterator[Call | Broken | None]:
    if record.broken:
        yield _broken(path, record, record.broken)
        return
    try:
        for told, line_id in _objects(record):
            yield from _item(told, line_id, batch, _Place(path, record))
    except NotACall as exc:
        yield _broken(path, record, str(exc))
    except json.JSONDecodeError as exc:
        yield _broken(path, record, f"not JSON at character {exc.pos:,}: {exc.msg}")
    except ValueError as exc:  # no UTF-8, a number of thousands of digits
        yield _broken(path, record, f"not JSON: {exc}"[:200])


def _item(told: Mapping[str, Any], line_id: str, batch: _Batch, place: _Place) -> Iterator[Call | Broken | None]:
    """What one object is. Raises ``NotACall``."""
    if is_request(told):
        yield batch.join(told, place) if is_call(told) else None
    elif is_answer(told):
        yield from batch.add(told["custom_id"], place)
    else:
        read = next((read for known, read in _READERS if known(told)), None)
        if read is None:
            raise NotACall("of no known format")
        yield read(told, line_id)


def _objects(record: Record) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects of a record, each with its digest: one, or those of an API's page. Raises ``ValueError``."""
    try:
        value = json.loads(record.raw, parse_constant=lambda name: None)
    except RecursionError:
        raise NotACall("nested too deeply") from None
    if not isinstance(value, dict):
        raise NotACall("the record is no object")
    page = value.get("data")
    if isinstance(page, list) and not _is_known(value):
        for item in page:
            if isinstance(item, dict):
                yield item, _digest(json.dumps(item, sort_keys=True).encode())
        return
    yield value, _digest(record.raw)


def _is_known(told: Mapping[str, Any]) -> bool:
    return is_request(told) or is_answer(told) or any(known(told) for known, _ in _READERS)


@dataclass(frozen=True, slots=True)
class _Place:
    path: Path
    record: Record


class _Batch:
    """What came of the requests of batches, by their ``custom_id``, until the requests are read."""

    def __init__(self) -> None:
        self._answers: dict[str, _Place] = {}

    def add(self, custom_id: str, place: _Place) -> Iterator[Broken]:
        """Keep an answer. Two of one id cannot be told apart: both are broken."""
        other = self._answers.pop(custom_id, None)
        if other is None:
            self._answers[custom_id] = place
            return
        for twice in (other, place):
            reason = f"the custom_id {_printable(custom_id)} stands in two answers: import one batch at a time"
            yield _broken(twice.path, twice.record, reason)

    def join(self, request: Mapping[str, Any], place: _Place) -> Call | Broken:
        answer = self._answers.pop(request["custom_id"], None)
        if answer is None:
            reason = "no answer to this request: give the batch's output and error files too"
            return _broken(place.path, place.record, reason)
        told = next(told for told, _ in _objects(answer.record))
        return read_batch(request, told, _digest(place.record.raw + answer.record.raw))

    def unasked(self) -> Iterator[Broken]:
        for place in self._answers.values():
            yield _broken(place.path, place.record, "no request of this custom_id: give the batch's input file too")


def _broken(path: Path, record: Record, reason: str) -> Broken:
    return Broken(str(path), record.line, reason, record.raw[:MAX_RECORD].decode("utf-8", "replace"))


def _digest(raw: bytes) -> str:
    return hashlib.blake2b(raw, digest_size=16).hexdigest()


def _printable(said: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in said[:40])
