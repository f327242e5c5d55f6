"""``forge.wrap``: recording the calls of clients into the registry."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, TypeVar, get_args

from skillforge.capture.context import Labels
from skillforge.capture.exchange import Exchange, Mask, Policy
from skillforge.capture.reading import Reader
from skillforge.capture.recorder import Kept, Recorder
from skillforge.capture.wrap import keys_of, wrap_client
from skillforge.config import StoreIO
from skillforge.config import store_io as store_io_of
from skillforge.errors import UsageError
from skillforge.forge.workspace import Workspace

if TYPE_CHECKING:
    from skillforge.store.calls import CallLog

Client = TypeVar("Client")
_PRELOAD_S = 10.0  # how long a fork waits for it


class Capture:
    """The recorder of one Forge, made with the first wrapped client. It holds a database connection of its own."""

    def __init__(self, work: Workspace, say: Callable[[str], None]) -> None:
        self._work = work
        self._say = say
        self._lost = 0  # calls that were not stored, as the last ``flush`` knew

    @cached_property
    def recorder(self) -> Recorder:
        thread = Thread(target=_preload, name="skillforge-preload", daemon=True)
        thread.start()
        _PRELOADING.append(thread)
        return Recorder(self._keeper, say=self._say)

    def wrap(
        self,
        client: Client,
        labels: Labels,
        *,
        store_io: StoreIO | None,
        share: float,
        mask: Mask | None,
    ) -> Client:
        """See ``Forge.wrap``."""
        if not 0 <= share <= 1:
            raise UsageError(f"share is {share}", hint="give a number from 0 (none) to 1 (all)")
        if store_io not in (None, *get_args(StoreIO)):
            raise UsageError(f"store_io is {store_io!r}", hint="set it to none, redacted or full")
        policy = Policy(store_io or store_io_of(self._work.settings), share, mask)
        wrapped = wrap_client(client, self.recorder, policy, labels)
        for key in keys_of(client):
            self._work.redactor.learn(key)
        return wrapped

    def flush(self, timeout_s: float | None) -> bool:
        """See ``Forge.flush``."""
        if "recorder" not in self.__dict__:
            return True
        done = self.recorder.flush(timeout_s)
        before, self._lost = self._lost, self.recorder.dropped.total()
        return done and self._lost == before

    def settle(self) -> None:
        """Wait until what was asked so far is stored or dropped."""
        if "recorder" in self.__dict__:
            self.recorder.flush()

    def close(self) -> None:
        if "recorder" in self.__dict__:
            self.recorder.close()

    @contextmanager
    def _keeper(self) -> Iterator[_Keeper]:
        """On the recorder's thread: a connection belongs to the thread that opens it."""
        from skillforge.forge.calls.pricing import call_pricer
        from skillforge.store.calls import CallLog

        database = self._work.open_database()
        try:
            logs = {io: CallLog(database, self._work.redactor, io) for io in get_args(StoreIO)}
            yield _Keeper(Reader(call_pricer(self._work)), logs)
        finally:
            database.close()


def _preload() -> None:
    """Import what the first recorded call needs while the program is still starting."""
    with suppress(ImportError, RuntimeError):  # the recorder meets the same, and says it
        for module in ("sqlite_utils", "genai_prices", "skillforge.forge.calls.pricing", "skillforge.store.calls"):
            import_module(module)


_PRELOADING: list[Thread] = []


def _before_fork() -> None:
    """A child that is forked in the middle of an import never sees it end."""
    while _PRELOADING:
        _PRELOADING.pop().join(_PRELOAD_S)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork)


class _Keeper:
    def __init__(self, reader: Reader, logs: Mapping[StoreIO, CallLog]) -> None:
        self._reader = reader
        self._logs = logs

    def read(self, exchange: Exchange) -> Kept | None:
        call = self._reader.read(exchange)
        return None if call is None else (exchange.policy.store_io, call)

    def store(self, kept: list[Kept]) -> None:
        for io, log in self._logs.items():
            calls = [call for named, call in kept if named == io]
            if calls:
                log.add(calls, "wrap")
