"""A model on a server: retries, waiting, money and what the server turned out to take, around one-call wires."""

from __future__ import annotations

import copy
import math
import random as chance
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import anyio

from skillforge.canonical import compact, digest
from skillforge.errors import (
    ProviderError,
    ProviderTimeout,
    RateLimited,
    RequestRejected,
    RetryableError,
    ServerFailure,
    Unreachable,
)
from skillforge.messages import Completion, Cost, Request, Usage
from skillforge.providers.backoff import pause_s
from skillforge.providers.breaker import Breaker, is_404
from skillforge.providers.budget import Budget
from skillforge.providers.limiter import RATE_LIMITED, Held, Limiter, Ticket
from skillforge.providers.wires.wire import Address, Dialect, Wire, adapted, options_for
from skillforge.tokens import bound_tokens

FIRST_TRIES = 2  # to reach a server that never answered yet: its address may be wrong, or the network is off
WIRE_VERSION = 1  # raised when the wires come to ask in another way: stored answers are then asked for again

Pricing = Callable[[Usage, str], Cost]  # the price of one call's usage at a model


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one request is insisted on. ``tries`` when the server fails or gives no answer; ``rate_limited_tries``
    are more: being told to wait is no failure. ``wait_s`` bounds each wait between tries, and each wait until the
    server takes calls again; ``timeout_s`` each try.
    """

    tries: int = 6
    rate_limited_tries: int = 12
    wait_s: float = math.inf
    timeout_s: float = math.inf


PATIENT = Patience()
HASTY = Patience(tries=2, rate_limited_tries=2, wait_s=1.0, timeout_s=120.0)  # another model is ready to answer


class Remote:
    """A provider over one wire, which is made (and its key looked up) at the first call or by ``open``.

    ``connect`` and ``limiter`` raise ``UsageError`` when the key is missing. ``most`` is how many calls at once make
    sense. ``budget`` is what all calls are booked to. A refusal that names something optional is answered by leaving
    it out, and once the server has answered without it, it is left out of all later calls.

    A call that failed and may be charged for all the same is part of the cost at its worst case, marked as estimated.
    """

    def __init__(
        self,
        address: Address,
        connect: Callable[[], Wire],
        *,
        limiter: Callable[[], Limiter],
        price: Pricing,
        most: int,
        budget: Budget | None = None,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self.name = address.name
        self.concurrency = most
        self.native_tools = address.options.tools is not False
        self.logprobs = address.kind != "anthropic"  # that API has none
        self._address = address
        self._line = _Line(address, connect, limiter)
        self._price = price
        self._budget = budget or Budget(None)
        self._random = random
        self._patience = PATIENT

    def under(self, budget: Budget) -> Remote:
        """A twin that books to ``budget`` and shares everything else: closing one closes the wire of both.

        Every command takes its own twin, so a provider that was stopped gets a new chance here.
        """
        self._line.start_again()
        twin = copy.copy(self)
        twin._budget = budget
        return twin

    def hasty(self) -> Remote:
        """A twin that shares everything and gives up soon: for callers that have another model to ask."""
        twin = copy.copy(self)
        twin._patience = HASTY
        return twin

    def open(self) -> None:
        """Make the wire now, so that a missing key or package shows before any work is done."""
        self._line.open()

    async def aclose(self) -> None:
        await self._line.aclose()

    def fingerprint(self) -> str:
        address = self._address
        options = address.options.model_dump(include={"effort", "temperature", "thinking_tokens", "structured"})
        if self.native_tools is False:
            options["tools"] = False
        identity = {"kind": address.kind, "base_url": address.base_url, "model": address.model, "options": options}
        if address.route:
            identity["route"] = address.route
        return f"remote {digest({'wires': WIRE_VERSION, **identity})}"

    def price(self, usage: Usage) -> Cost:
        return self._price(usage, self._address.model)

    def worst(self, request: Request) -> Cost:
        """The most one call can cost: every token that fits, at whichever of the input prices is dearest."""
        sent = bound_tokens(request)
        output = request.max_output_tokens + (options_for(self._address, request).thinking_tokens or 0)
        splits = ((0, 0), (sent, 0), (0, sent))  # read from and written to the provider's cache
        costs = [
            self.price(Usage(input_tokens=sent, cached_tokens=read, written_tokens=written, output_tokens=output))
            for read, written in splits
        ]
        if any(cost.usd is None for cost in costs):
            return Cost()
        return max(costs, key=lambda cost: cost.usd or 0.0).model_copy(update={"estimated": True})

    async def complete(self, request: Request) -> Completion:
        if request.timeout_s > self._patience.timeout_s:
            request = request.model_copy(update={"timeout_s": self._patience.timeout_s})
        asking = _Asking(request, self.worst(request), self._line.excess, self._patience)
        try:
            return await self._insist(asking)
        except Held as exc:  # says nothing new about the server: no failure to be counted
            raise _held_back(self.name, exc, asking) from None
        except ProviderError as exc:
            told = _located(exc, self._address.base_url) if isinstance(exc, Unreachable) else exc
            final = self._line.breaker.failed(told, at_once=self._line.never_reached(told))
            final.calls, final.maybe_billed = asking.calls, asking.lost is not None
            if final is exc:
                raise
            raise final from exc

    async def _insist(self, asking: _Asking) -> Completion:
        while True:
            try:
                return await self._try(asking)
            except RetryableError as exc:
                unreached = asking.calls >= FIRST_TRIES and self._line.never_reached(exc)
                if unreached or asking.is_over(exc) or self._line.breaker.stopped:
                    raise
                await anyio.sleep(asking.pause_s)

    async def _try(self, asking: _Asking) -> Completion:
        async with self._line.lent() as (wire, limiter):
            return await self._paid(asking, wire, limiter)

    async def _paid(self, asking: _Asking, wire: Wire, limiter: Limiter) -> Completion:
        """One try: the money is set aside before a slot is taken, so that no slot is held while waiting for it."""
        money = await self._budget.reserve(asking.worst, model=self.name)
        before = asking.calls
        try:
            async with limiter.slot(self._patience.wait_s) as ticket:
                self._line.look()
                completion = await self._call(wire, asking, ticket)
            cost = self._price(completion.usage, completion.model or self._address.model)
        except BaseException as exc:
            # Cancelled: once the request is sent, the provider may well finish it and charge.
            if exc.maybe_billed if isinstance(exc, ProviderError) else asking.calls > before:
                asking.lose()
                money.settle_worst()
            money.release()
            raise
        money.settle(cost)
        self._line.was_charged(cost, asking.listed)
        self._line.breaker.succeeded()
        total = cost if asking.lost is None else cost + asking.lost
        return completion.model_copy(update={"cost": total, "calls": asking.calls})

    async def _call(self, wire: Wire, asking: _Asking, ticket: Ticket) -> Completion:
        """Ask, and ask again at once, in the same slot, without what the server refuses by name."""
        dialect = self._line.dialect_for(asking.request)
        while True:
            asking.calls += 1
            try:
                completion = await wire.call(asking.request, dialect)
            except RequestRejected as exc:
                simpler = None if is_404(exc) else adapted(dialect, str(exc).replace(self.name, ""))
                if simpler is None:
                    raise
                dialect = simpler
            except RetryableError as exc:
                asking.failed(exc, self._random)
                _report(ticket, exc, asking)
                self._line.look(exc)
                raise
            else:
                ticket.succeeded()
                self._line.learn(dialect, asking.request)
                return completion


class _Line:
    """What a model and its twins share: the wire, the limiter, what the server takes, what it keeps saying."""

    def __init__(self, address: Address, connect: Callable[[], Wire], limiter: Callable[[], Limiter]) -> None:
        self.dialect = Dialect()
        self.breaker = Breaker(address.name)
        self._connect = connect
        self._find_limiter = limiter
        self._open: tuple[Wire, Limiter] | None = None
        self._former: list[Wire] = []  # over which others may still be calling
        self._lent: Counter[Wire] = Counter()
        self._answered = False
        self.excess = 1.0  # how many times the listed worst case the server was seen to charge for one call
        self._refused_schemas: set[str] = set()  # one schema may be too much for a server that takes others

    def open(self) -> tuple[Wire, Limiter]:
        if self._open is None:
            self._open = self._connect(), self._find_limiter()
        return self._open

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[tuple[Wire, Limiter]]:
        """Wire and limiter for one try. Former wires are closed when nobody calls over them any more: a program that
        calls a server with a refused key for days must not pile them up.
        """
        wire, limiter = self.open()
        self._lent[wire] += 1
        try:
            yield wire, limiter
        finally:
            self._lent[wire] -= 1
            for idle in [former for former in self._former if not self._lent[former]]:
                self._former.remove(idle)
                del self._lent[idle]
                with anyio.CancelScope(shield=True):
                    await idle.aclose()

    def start_again(self) -> None:
        if self._open is not None:
            self._open[1].start_again()
            if self.breaker.stopped:  # maybe because of the key, which may be another by now
                self._former.append(self._open[0])
                self._open = None
        self.breaker.start_again()

    def look(self, error: RetryableError | None = None) -> None:
        """Notice that the server is down, after ``error`` or before a call. Raises ``ProviderStopped`` before one."""
        if self._open is not None and self._open[1].down:
            self.breaker.down(error or ServerFailure("the server gives no answer", hint="try again later"))
        if error is None:
            self.breaker.check()

    async def aclose(self) -> None:
        """A later call opens it again."""
        wires, self._former = self._former, []
        if self._open is not None:
            wires.append(self._open[0])
            self._open = None
        for wire in wires:
            await wire.aclose()
        self._lent.clear()

    def never_reached(self, error: ProviderError) -> bool:
        """Whether there is no connection, and never was an answer."""
        return isinstance(error, Unreachable) and not self._answered

    def was_charged(self, cost: Cost, listed: Cost) -> None:
        """Notice a server that does not keep to the output limit: from now on as much more is set aside."""
        if cost.usd is not None and listed.usd:
            self.excess = max(self.excess, cost.usd / listed.usd)

    def dialect_for(self, request: Request) -> Dialect:
        refused = bool(self._refused_schemas) and compact(request.output_schema) in self._refused_schemas
        return replace(self.dialect, schema=False) if refused else self.dialect

    def learn(self, spoken: Dialect, request: Request) -> None:
        """The server answered to ``spoken``: leave out from now on what that leaves out.

        Calls that run together may each have left out something else. A refusal alone teaches nothing: it may quote
        words from its own input.
        """
        self._answered = True
        if not spoken.schema:
            self._refused_schemas.add(compact(request.output_schema))
            spoken = replace(spoken, schema=True)
        if spoken == self.dialect:
            return
        known = self.dialect
        self.dialect = replace(
            known,
            limit_key=spoken.limit_key if spoken.limit_key != Dialect().limit_key else known.limit_key,
            top_logprobs=min(known.top_logprobs, spoken.top_logprobs),
            **{name: getattr(known, name) and getattr(spoken, name) for name in _LEFT_OUT},
        )


class _Asking:
    """One request on its way through its tries.

    ``listed`` is the most that one try costs by the price list, ``worst`` at a server that charges ``excess`` times it.
    """

    def __init__(self, request: Request, listed: Cost, excess: float, patience: Patience) -> None:
        self.request = request
        self._patience = patience
        self.listed = listed
        self.worst = listed if listed.usd is None else listed.model_copy(update={"usd": listed.usd * excess})
        self.calls = 0  # HTTP requests made
        self.lost: Cost | None = None  # of tries that failed and may be charged for; None: there was none
        self.pause_s = 0.0  # before the next try
        self._limited = 0
        self._failures = 0

    def failed(self, error: RetryableError, random: Callable[[], float]) -> None:
        if isinstance(error, RateLimited):
            self._limited += 1
            tries = self._limited
        else:
            self._failures += 1
            tries = self._failures
        self.pause_s = pause_s(tries, error.retry_after_s, random=random)

    def is_over(self, error: RetryableError) -> bool:
        if isinstance(error, RateLimited):
            over = self._limited >= self._patience.rate_limited_tries
        else:
            over = self._failures >= self._patience.tries
        return over or self.pause_s > self._patience.wait_s

    def lose(self) -> None:
        worst = self.worst.model_copy(update={"estimated": True})
        self.lost = worst if self.lost is None else self.lost + worst


def _located(error: Unreachable, base_url: str) -> Unreachable:
    return Unreachable(f"{error} ({base_url})", hint=error.hint)


def _held_back(name: str, held: Held, asking: _Asking) -> ProviderError:
    kind = RateLimited if held.reason == RATE_LIMITED else ServerFailure
    message = f"{name}: {held.reason}, no call for {held.seconds:.0f} s"
    return kind(message, retry_after_s=held.seconds, calls=asking.calls, maybe_billed=asking.lost is not None)


def _report(ticket: Ticket, error: RetryableError, asking: _Asking) -> None:
    if isinstance(error, RateLimited):
        # What the server asks for holds for all; the rest of the pause keeps callers apart, as the limiter does anyway.
        ticket.rate_limited(min(asking.pause_s, error.retry_after_s or asking.pause_s))
    elif not isinstance(error, ProviderTimeout):  # one long answer says nothing about the others
        ticket.failed(asking.pause_s, id(asking))


_LEFT_OUT = ("temperature", "logprobs", "effort")
