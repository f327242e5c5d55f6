"""A model server on loopback that speaks the chat completions, responses and messages APIs, and fails on demand.

    with LLMServer(answer=lambda body: '{"queue": "bug"}', faults=every(10, refuse(429, retry_after=0.01))) as server:
        OpenAI(base_url=f"{server.url}/v1", api_key="k"); Anthropic(base_url=server.url, api_key="k")
        assert len(server.calls) == 1

As its own process: ``python -m tests.fakes.llm_server --port 0 --latency 0.05`` prints the URL.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from tests.fakes.faults import Fault, Faults, every, refuse, seeded, sequence
from tests.fakes.line import Gone, Line
from tests.fakes.spoil import spoil
from tests.fakes.wire_answers import Answer, Tokens, api_of, dump, last_text, render, request_text
from tests.fakes.wire_errors import error_body, models_body

__all__ = [
    "Answer",
    "Call",
    "Fault",
    "LLMServer",
    "Tokens",
    "every",
    "last_text",
    "refuse",
    "request_text",
    "seeded",
    "sequence",
]


@dataclass(frozen=True)
class Call:
    """One request. Times are of ``time.monotonic``; while it is in flight ``ended`` is ``None`` and ``outcome`` "".

    ``body`` is the parsed JSON ({} without one). ``outcome``: "served" (a fault counts as served) or "gone": the
    client left before its answer.
    """

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    started: float
    fault: str = ""
    ended: float | None = None
    outcome: str = ""


class LLMServer:
    """Runs in a thread of its own between ``with`` and its end. All attributes can be read from any thread.

    ``answer`` and ``faults`` are called in that thread and must not block; what they raise is raised again at the end.
    ``rate`` (requests a second, a bucket of ``burst``) and ``max_concurrent`` refuse with 429, with a ``retry-after``
    in (decimal) seconds unless ``retry_after=False``. ``key``: other keys are refused with 401, and the refusal quotes
    them, as careless servers do.
    """

    def __init__(
        self,
        answer: Callable[[dict[str, Any]], str | Answer] | None = None,
        faults: Faults | None = None,
        *,
        latency_s: float = 0.0,
        rate: float | None = None,
        burst: float | None = None,
        max_concurrent: int | None = None,
        retry_after: bool = True,
        key: str | None = None,
        models: Sequence[str] = ("fake-large", "fake-small"),
        port: int = 0,
        journal: str | os.PathLike[str] | None = None,
    ) -> None:
        self._answer = answer or echo
        self._faults = faults or (lambda number, body: None)
        self._latency_s, self._key, self._models, self._port = latency_s, key, tuple(models), port
        self._max_concurrent, self._retry_after = max_concurrent, retry_after
        self._rate, self._burst = rate, burst if burst is not None else max(1.0, rate or 1.0)
        self._journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if journal else None
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="llm-server", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self.url = ""
        self.errors: list[Exception] = []
        self.reset()

    def reset(self) -> None:
        """Forget all calls; numbers start at 1 again and the bucket is full."""
        with self._lock:
            self._calls: list[Call] = []
            self._era = getattr(self, "_era", 0) + 1
            self._tokens, self._filled = self._burst, time.monotonic()
            self._flying = self.peak = self.connections = 0

    @property
    def calls(self) -> list[Call]:
        """Every request so far in order of arrival, those in flight too."""
        self._catch_up()
        with self._lock:
            return list(self._calls)

    def settle(self, timeout_s: float = 5.0) -> list[Call]:
        """The calls, once none is in flight: a client that left is noticed a moment later. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while any(call.ended is None for call in self.calls):
            if time.monotonic() > deadline:
                raise TimeoutError("calls are still in flight")
            time.sleep(0.001)
        return self.calls

    def _catch_up(self) -> None:
        """Let the thread finish its step: a client may have its answer a moment before the journal has its end."""
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            done = threading.Event()
            with contextlib.suppress(RuntimeError):  # the loop has just ended
                self._loop.call_soon_threadsafe(done.set)
                done.wait(1)

    def __enter__(self) -> LLMServer:
        self._thread.start()
        self._ready.wait()
        if not self.url:
            raise self.errors[0]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may have ended already
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._journal is not None:
            os.close(self._journal)
        if kind is None and self.errors:
            raise self.errors[0]

    # the thread

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            self.errors.append(error)
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", self._port, backlog=1024)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.sleep(0)  # lets the connections close

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._lock:
            self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
            with contextlib.suppress(ConnectionError):
                writer.close()
                await writer.wait_closed()
        except (ConnectionError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError, Gone):
            pass  # the client left, or the server ends
        except Exception as error:  # an answer that cannot be said, or no HTTP
            self.errors.append(error)
        finally:
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request on a connection; whether another may follow."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (row.partition(":") for row in head[1:-2])}
        raw = await reader.readexactly(int(headers.get("content-length", "0")))
        path = path.partition("?")[0]
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            body = {"unparsed": raw.decode("latin-1")}
        call, era = self._arrived(method, path, headers, body)
        outcome = "gone"
        try:
            kept = await self._reply(Line(reader, writer), call, era)
            outcome = "served"
            return kept
        finally:
            self._ended(call.number, era, outcome)

    def _arrived(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[Call, int]:
        with self._lock:
            call = Call(len(self._calls) + 1, method, path, headers, body, time.monotonic())
            self._calls.append(call)
            self._flying += 1
            self.peak = max(self.peak, self._flying)
            if self._journal is not None:  # one write: it is in the file even when this process is killed
                row = {"number": call.number, "method": method, "path": path, "at": time.time(), "body": body}
                os.write(self._journal, dump(row) + b"\n")
            return call, self._era

    def _note(self, number: int, era: int, **changes: Any) -> None:
        with self._lock:
            if era == self._era:
                self._calls[number - 1] = replace(self._calls[number - 1], **changes)

    def _ended(self, number: int, era: int, outcome: str) -> None:
        self._note(number, era, outcome=outcome, ended=time.monotonic())
        with self._lock:
            self._flying -= era == self._era

    async def _reply(self, line: Line, call: Call, era: int) -> bool:
        anthropic = "anthropic-version" in call.headers or call.path.endswith("/messages")
        refusal = self._limited() or self._unknown(call)
        try:
            fault = refusal or self._faults(call.number, call.body)
            api = api_of(call.path) if call.method == "POST" else None
            if fault is None and api is None:
                return await self._other(line, call, anthropic)
            answer = self._answer(call.body) if api and (fault is None or fault.kind != "status") else Answer()
        except Exception as error:
            self.errors.append(error)
            fault, answer = Fault("status", message=f"the test's own function failed: {error!r}"), Answer()
        answer = Answer(answer) if isinstance(answer, str) else answer
        if fault is not None:
            self._note(call.number, era, fault=fault.label)
        latency_s = self._latency_s if answer.latency_s is None else answer.latency_s
        if refusal is None and latency_s > 0:
            await line.silence(latency_s)
        if fault is not None:
            return await spoil(line, fault, answer, api or "chat", call.body, call.number, anthropic)
        chunks = render(api or "chat", answer, call.body, call.number)
        return await line.send(200, chunks, bool(call.body.get("stream")), number=call.number)

    async def _other(self, line: Line, call: Call, anthropic: bool) -> bool:
        """What is no question to a model: the list of models, and what is not there."""
        if call.method == "GET" and call.path.endswith("/models"):
            return await line.send(200, [dump(models_body(anthropic, self._models))], number=call.number)
        missing = error_body(anthropic, 404, f"no such thing: {call.method} {call.path}", call.number)
        return await line.send(404, [dump(missing)], number=call.number)

    def _unknown(self, call: Call) -> Fault | None:
        if self._key is not None:
            given = call.headers.get("authorization", "").removeprefix("Bearer ") or call.headers.get("x-api-key", "")
            if given != self._key:
                return refuse(401, message=f"Incorrect API key provided: {given}.")
        if not isinstance(call.body, dict) or "unparsed" in call.body:
            return refuse(400, message="the body is no JSON object")
        return None

    def _limited(self) -> Fault | None:
        """A 429 where the server has enough to do."""
        with self._lock:
            now = time.monotonic()
            if self._max_concurrent is not None and self._flying > self._max_concurrent:
                return refuse(429, 0.05 if self._retry_after else None, message="too many requests at once")
            if self._rate is None:
                return None
            self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
            self._filled = now
            if self._tokens >= 1:
                self._tokens -= 1
                return None
            wait = (1 - self._tokens) / self._rate
        return refuse(429, f"{wait:.3f}" if self._retry_after else None, message="too many requests")


def echo(body: dict[str, Any]) -> str:
    """The answer where a test says none: the last message as a small JSON object."""
    return json.dumps({"echo": last_text(body)}, ensure_ascii=False)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A model server that fails on demand. Prints its URL.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--answer", help="the text of every answer; default: an echo")
    parser.add_argument("--key", help="the only key that is let in")
    parser.add_argument("--rate", type=float, help="requests a second, 429 above")
    parser.add_argument("--burst", type=float)
    parser.add_argument("--max-concurrent", type=int, help="429 above")
    parser.add_argument("--no-retry-after", action="store_true")
    parser.add_argument("--journal", help="a JSONL file: a line when a call arrives")
    parser.add_argument("--fault", action="append", default=[], help="KIND or a status code; repeat: all are drawn")
    parser.add_argument("--chance", type=float, default=0.1, help="of each fault, drawn by --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, help="the (one) fault comes every N calls instead")
    args = parser.parse_args(argv)
    listed = [Fault("status", status=int(f)) if f.isdigit() else Fault(f) for f in args.fault]
    faults = every(args.every, listed[0]) if args.every else seeded(args.seed, dict.fromkeys(listed, args.chance))
    server = LLMServer(
        (lambda body: args.answer) if args.answer is not None else None,
        faults,
        latency_s=args.latency,
        rate=args.rate,
        burst=args.burst,
        max_concurrent=args.max_concurrent,
        retry_after=not args.no_retry_after,
        key=args.key,
        port=args.port,
        journal=args.journal,
    )
    with server, contextlib.suppress(KeyboardInterrupt):
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
