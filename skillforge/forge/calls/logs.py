"""Log files into the registry, and the calls that a scan reads: from files, or those kept."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

from anyio.lowlevel import checkpoint

from skillforge.call import Call
from skillforge.config import STATE_FOLDER, StoreIO, store_io
from skillforge.forge.calls.pricing import call_pricer
from skillforge.formats.logs import Broken, read_logs
from skillforge.formats.records import GZIP_FILE, read_records
from skillforge.messages import Value
from skillforge.store.calls import CallLog

if TYPE_CHECKING:
    from skillforge.forge.workspace import Workspace

QUARANTINE = "quarantine"  # the folder below .skillforge
_TOGETHER = 500  # calls of one transaction
_SHOWN = 2_000  # characters of a broken record that are kept
_LOOKED_AT = 32_768  # characters of it that are cleaned: a secret must not be cut before it is known

OnCalls = Callable[[int], None]


class Imported(Value):
    """What became of log files' records.

    ``read`` calls were read, of which ``new`` were stored and ``known`` were stored before. ``skipped`` records are no
    model calls (spans, embeddings), ``quarantined`` ones could not be read: ``quarantine`` is the file that shows them,
    empty where there are none. ``problem`` says why the import did not do what was wanted: not a single call could be
    read, a file is empty, or a gzip file is cut or damaged. It is empty where all is well, as with a record put aside.
    """

    read: int = 0
    new: int = 0
    known: int = 0
    skipped: int = 0
    quarantined: int = 0
    quarantine: str = ""
    problem: str = ""


def call_log(work: Workspace) -> CallLog:
    """The repository's recorded calls."""
    return CallLog(work.database, work.redactor, store_io(work.settings))


async def import_logs(
    work: Workspace, paths: Sequence[Path], tags: Mapping[str, str], on_calls: OnCalls = lambda count: None
) -> Imported:
    """Store the calls of log files with ``tags`` added; what is stored already is left. ``on_calls`` gets the count.

    A batch of calls is one transaction, and cancelling is possible after each: an import that is interrupted keeps what
    it did, and does the rest when it is run again. Raises ``NotFound`` for a missing file, ``UsageError`` for one of no
    known format.
    """
    log, price = call_log(work), call_pricer(work)
    read = new = skipped = 0
    with _Quarantine(work, paths) as quarantine:

        def calls() -> Iterator[Call]:
            nonlocal skipped
            for item in read_logs(paths):
                if isinstance(item, Broken):
                    quarantine.add(item)
                elif item is None:
                    skipped += 1
                else:
                    yield price(item.model_copy(update={"tags": {**item.tags, **tags}}) if tags else item)

        found = calls()
        while together := list(islice(found, _TOGETHER)):
            new += log.add(together, "import")
            read += len(together)
            on_calls(read)
            await checkpoint()
    return Imported(
        read=read,
        new=new,
        known=read - new,
        skipped=skipped,
        quarantined=quarantine.count,
        quarantine=str(quarantine.path) if quarantine.count else "",
        problem=(quarantine.first if not read else "") or quarantine.cut or _empty(work, paths),
    )


def _empty(work: Workspace, paths: Sequence[Path]) -> str:
    """The first file that holds no record, in words; empty where each holds one."""
    found = next((path for path in paths if next(read_records(path), None) is None), None)
    return "" if found is None else work.redactor.text(f"{found}: the file is empty")


def read_calls(work: Workspace, paths: Sequence[Path] = (), on_calls: OnCalls = lambda count: None) -> Iterator[Call]:
    """The calls of log files, or without any those that are kept, oldest first; with their cost, one at a time.

    What comes from files has its secrets taken out as if it were stored. Records that cannot be read are counted and
    said at the end. Raises what ``import_logs`` raises.
    """
    count = broken = 0
    if not paths:
        price_kept(work)
    for item in _from_files(work, paths) if paths else call_log(work).stream():
        if isinstance(item, Broken):
            broken += 1
        elif item is not None:
            yield item
            count += 1
            if count % _TOGETHER == 0:
                on_calls(count)
    on_calls(count)
    if broken:
        many = "1 record" if broken == 1 else f"{broken:,} records"
        them = "it" if broken == 1 else "them"
        work.say(f"{many} could not be read: skillforge log import puts {them} aside and says why")


def price_kept(work: Workspace) -> None:
    """Give the kept calls of unknown cost the price that is known by now: the user's own, or of a newer price list."""
    call_log(work).price(call_pricer(work))


def _from_files(work: Workspace, paths: Sequence[Path]) -> Iterator[Call | Broken | None]:
    price = call_pricer(work)
    io: StoreIO = (
        "full" if store_io(work.settings) == "full" else "redacted"
    )  # a scan stores no calls: without texts it is none
    clean = CallLog(work.database, work.redactor, io).clean
    for item in read_logs(paths):
        yield clean(price(item)) if isinstance(item, Call) else item


class _Quarantine:
    """The file of records that could not be read, made with the first of them; importing again writes it anew.

    Under ``store_io = none`` it says where they stand and why, and nothing of what they hold.
    """

    def __init__(self, work: Workspace, paths: Sequence[Path]) -> None:
        names = "\0".join(os.path.abspath(path) for path in paths)
        digest = hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        first = re.sub(r"[^A-Za-z0-9._-]", "_", paths[0].name)[:80] if paths else "log"
        self.path = work.root / STATE_FOLDER / QUARANTINE / f"{first}-{digest}.jsonl"
        self.count = 0
        self.first = ""  # what is wrong with the first record
        self.cut = ""  # what is wrong with the first gzip file that is not whole
        self._redactor = work.redactor
        self._with_text = store_io(work.settings) != "none"
        self._file: IO[str] | None = None

    def __enter__(self) -> _Quarantine:
        return self

    def __exit__(self, *failure: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, broken: Broken) -> None:
        if self._file is None:
            self._file = self._opened()
        self.count += 1
        clean = self._redactor.text
        reason = broken.reason if self._with_text else broken.reason.partition(":")[0]
        line = {"file": clean(broken.file), "line": broken.line, "reason": clean(reason)}
        told = f"{line['file']}, line {broken.line}: {line['reason']}" if broken.line else f"{line['file']}: {reason}"
        self.first = self.first or told
        if broken.reason.startswith(GZIP_FILE):
            self.cut = self.cut or told
        if self._with_text:
            line["text"] = self._clean(broken.text)
        self._file.write(json.dumps(line, ensure_ascii=True) + "\n")

    def _opened(self) -> IO[str]:
        """A new file for this user only."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        return os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii")

    def _clean(self, text: str) -> str:
        """The start of a record without secrets, by its keys too where it is whole JSON."""
        with suppress(ValueError, RecursionError):
            text = json.dumps(self._redactor.value(json.loads(text)), ensure_ascii=False)
        return self._redactor.text(text[:_LOOKED_AT])[:_SHOWN]
