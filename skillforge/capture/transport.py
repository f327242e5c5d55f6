"""An HTTP client's twin that lets an observer see what passes.

The SDKs send everything through one method of their HTTP client, ``send``. The twin is the same client (same class,
same settings, same connection pool, cookies, hooks, proxies and authentication) whose ``send`` tells of each exchange.
Replacing the transports instead would reach into two private attributes, see redirects and authentication rounds as
calls of their own, and share one more thing to close.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any, Protocol

from skillforge.capture.exchange import CLOSED_EARLY, Exchange, error_name

LIBRARIES = ("httpx2", "httpx")  # the OpenAI SDK also takes clients of the older one


class Observer(Protocol):
    """Looks at requests. None of its methods may raise."""

    def begin(self, request: Any) -> Exchange | None:
        """The exchange to follow; ``None`` for a request of no interest."""

    def lost(self, exc: BaseException) -> None:
        """An exchange could not be followed."""


class Twin:
    """What makes a client a twin of another, its original.

    It holds the original, since the SDKs' clients close their pool when they are collected, and the pool is shared. A
    twin itself closes nothing when it is collected; closed by name, it closes the pool's connections, and those that
    are used again open new ones.
    """

    _skillforge_observer: Observer
    _skillforge_original: Any
    _skillforge_tee: type

    def __del__(self) -> None:
        pass


def twin_of(http: Any, observer: Observer) -> Any:
    """A twin of a client of one of ``LIBRARIES``. Of a twin, a twin of its original: nothing is told twice."""
    original = http._skillforge_original if isinstance(http, Twin) else http
    cls: Any = type(original)
    twin: Any = object.__new__(_twin_class(cls))
    twin.__dict__.update(vars(original))
    twin._skillforge_observer, twin._skillforge_original = observer, original
    return twin


def library_of(cls: type) -> str:
    """Which of ``LIBRARIES`` a class of clients is of; empty for none of them."""
    roots = (base.__module__.partition(".")[0] for base in cls.__mro__ if base.__name__ in ("Client", "AsyncClient"))
    return next((root for root in roots if root in LIBRARIES), "")


@lru_cache
def _twin_class(cls: type) -> type:
    """A class that is ``cls`` but for ``send``, and shows its name."""
    library = import_module(library_of(cls))
    shown = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    if issubclass(cls, library.Client):
        tee = type("SyncTee", (_SyncTee, library.SyncByteStream), {})
        return type(cls.__name__, (_SyncTwin, cls), {**shown, "_skillforge_tee": tee})
    tee = type("AsyncTee", (_AsyncTee, library.AsyncByteStream), {})
    return type(cls.__name__, (_AsyncTwin, cls), {**shown, "_skillforge_tee": tee})


class _SyncTwin(Twin):
    def send(self, request: Any, **options: Any) -> Any:
        exchange = self._skillforge_observer.begin(request)
        if exchange is None:
            return super().send(request, **options)  # type: ignore[misc]
        try:
            response = super().send(request, **options)  # type: ignore[misc]
        except BaseException as exc:
            exchange.end(error_name(exc))
            raise
        return _followed(self, response, exchange)


class _AsyncTwin(Twin):
    async def send(self, request: Any, **options: Any) -> Any:
        exchange = self._skillforge_observer.begin(request)
        if exchange is None:
            return await super().send(request, **options)  # type: ignore[misc]
        try:
            response = await super().send(request, **options)  # type: ignore[misc]
        except BaseException as exc:
            exchange.end(error_name(exc))
            raise
        return _followed(self, response, exchange)


def _followed(twin: Twin, response: Any, exchange: Exchange) -> Any:
    """The response; what of it is not read yet will tell the exchange as it is."""
    try:
        if response.is_closed:
            exchange.answered(response.status_code, "")  # the content is decoded already
            exchange.take(response.content)
            exchange.end()
        else:
            exchange.answered(response.status_code, response.headers.get("content-encoding", ""))
            response.stream = twin._skillforge_tee(response.stream, exchange)
    except Exception as exc:
        twin._skillforge_observer.lost(exc)
    return response


class _Tee:
    """The stream of a response; each chunk is told on its way to whoever reads it, none is read ahead."""

    def __init__(self, inner: Any, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)  # ``elapsed`` and what tracing puts there


class _SyncTee(_Tee):
    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._inner:
                self._exchange.take(chunk)
                yield chunk
        except GeneratorExit:
            raise  # the reader stopped; it closes the stream next
        except BaseException as exc:
            self._exchange.end(error_name(exc))
            raise
        self._exchange.end()

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._exchange.end(CLOSED_EARLY)


class _AsyncTee(_Tee):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = self._inner.__aiter__()
        try:
            async for chunk in chunks:
                self._exchange.take(chunk)
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as exc:
            self._exchange.end(error_name(exc))
            raise
        finally:
            if hasattr(chunks, "aclose"):
                await chunks.aclose()
        self._exchange.end()

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._exchange.end(CLOSED_EARLY)
