"""A GGUF model run in this process by llama.cpp (through ``xllamacpp``).

Facts this rests on (xllamacpp 2026.10): at temperature 0 the text still depends on batching and prefix caching, so the
deterministic form uses one slot and no prompt cache. An overlong request is a *returned* error. Generation stops only
where the stream's callback says so: after each token, and after each batch of the prompt. A server always opens a port:
it is bound to loopback and guarded by a random key.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import secrets
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from skillforge.errors import MissingPackage, ProviderError, ProviderTimeout
from skillforge.messages import Completion, Cost, Request, Usage
from skillforge.providers.models_cache import CATALOG, file_sha256
from skillforge.providers.wires.chat_request import local_body
from skillforge.providers.wires.chat_response import SCHEMA_HINT, completion_of

_COST = Cost(usd=0.0, basis="local compute is not priced")
_SILENT = -1
_BATCH_TOKENS = 128  # a prompt can be stopped after each batch; as fast as 512 on a CPU (370 tokens/s either way)
_POLL_S = 0.05
_WAIT_POLICY = "OMP_WAIT_POLICY"


class Local:
    """A provider over one GGUF file, loaded at the first call and freed by ``aclose`` (a later call loads it again).

    ``name`` is a catalogue name or a path. ``deterministic``: the same request at temperature 0, which is the default
    then, gives the same text on the same machine; without it the model's own sampling and the prefix cache are used.
    ``n_ctx`` is the context in tokens, prompt and answer together. Calls are answered one after the other.
    """

    concurrency = 1
    native_tools = False  # small models' own forms of calls are many and unsure; a grammar holds them to ours

    def __init__(
        self, name: str, path: Path, *, deterministic: bool = True, n_ctx: int = 8192, threads: int | None = None
    ) -> None:
        self.name = f"local:{name}"
        self._catalogue_name = name if name in CATALOG else None
        self._path = path
        self._deterministic = deterministic
        self._n_ctx = n_ctx
        self._threads = threads
        self._api_key = secrets.token_urlsafe(32)
        self._queue: RunVar[anyio.Lock] = RunVar("queue")  # calls of one event loop wait here, without a thread
        self._turn = threading.Lock()  # between event loops, and against ``aclose``
        self._server: Any = None
        self._resolved = ""

    def fingerprint(self) -> str:
        if self._catalogue_name:
            weights = CATALOG[self._catalogue_name].sha256
        else:  # hashing many gigabytes at every start is too dear; a touched file is only asked again
            about = self._path.stat()
            weights = f"{self._path.stem} {about.st_size} {about.st_mtime_ns}"
        how = "deterministic" if self._deterministic else "sampled"
        return f"local {weights} {how} n_ctx={self._n_ctx} xllamacpp={_runtime_version()}"

    def price(self, usage: Usage) -> Cost:
        return _COST

    async def complete(self, request: Request) -> Completion:
        """Raises ``MissingPackage``, ``ContextOverflow``, ``ProviderTimeout`` or ``ProviderError``.

        The time limit starts with the call's turn: waiting for other calls is not the model's slowness. Cancelling
        stops the generation before the cancellation goes on.
        """
        call = _Call(self._body(request), request)
        async with self._own_queue():
            await _in_thread(self._answer, call)
        if call.failure is not None:
            raise call.failure
        if call.late:
            raise ProviderTimeout(
                f"{self.name} gave no answer within {request.timeout_s:g} s",
                hint="allow more time, or ask for fewer output tokens",
            )
        return completion_of(call.chunks, model=self._resolved, cost=_COST, latency_s=call.seconds)

    async def aclose(self) -> None:
        """Free the model, after the call in flight if there is one."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._free)

    def _body(self, request: Request) -> dict[str, Any]:
        body = local_body(request)
        body |= {"stream": True, "stream_options": {"include_usage": True}, "return_progress": True}
        body["cache_prompt"] = not self._deterministic
        if self._deterministic:
            body.setdefault("temperature", 0)
        return body

    def _own_queue(self) -> anyio.Lock:
        try:
            return self._queue.get()
        except LookupError:
            queue = anyio.Lock()
            self._queue.set(queue)
            return queue

    def _answer(self, call: _Call) -> None:
        """Runs in a thread. Errors go into ``call``: an exception here would come out wrapped in a group."""
        while not self._turn.acquire(timeout=_POLL_S):
            if call.over():
                return
        call.begin()
        try:
            server = self._load()
            if call.request.tools:
                self._require_tools(server)
            if call.over():
                return
            started = time.monotonic()
            server.handle_chat_completions(call.body, call.take)
            call.seconds = time.monotonic() - started
        except (ProviderError, MissingPackage) as exc:
            call.failure = exc
        except Exception as exc:  # llama.cpp raises ValueError and RuntimeError for whatever a request got wrong
            hint = SCHEMA_HINT if call.request.output_schema is not None else ""
            call.failure = ProviderError(f"{self.name} cannot take this request: {exc}", hint=hint)
        finally:
            self._turn.release()

    def _load(self) -> Any:
        if self._server is not None:
            return self._server
        xllamacpp = _import_runtime(self.name)
        try:
            self._resolved = self._resolved_name()
            self._server = xllamacpp.Server(self._params(xllamacpp.CommonParams()))
        except (OSError, RuntimeError) as exc:
            again = f"remove it and run skillforge models pull {self._catalogue_name}" if self._catalogue_name else ""
            raise ProviderError(
                f"llama.cpp cannot load {self._path}: {exc}",
                hint=again or "the file may be damaged, too large for this machine, or newer than this llama.cpp",
            ) from exc
        return self._server

    def _resolved_name(self) -> str:
        if self._catalogue_name is None:
            return self._path.stem
        return f"{self._catalogue_name}@{file_sha256(self._path)[:12]}"

    def _params(self, params: Any) -> Any:
        params.model.path = str(self._path)
        params.n_ctx = self._n_ctx
        params.n_parallel = 1
        params.n_batch = params.n_ubatch = _BATCH_TOKENS
        params.fit_params = False  # a context cut down to the free memory would answer differently from day to day
        params.cache_ram_mib = 0
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        params.api_keys = [self._api_key]
        params.ui = False
        params.endpoint_slots = False
        params.offline = True
        params.verbosity = _SILENT
        for cpu in (params.cpuparams, params.cpuparams_batch):
            cpu.poll = 0  # waiting threads sleep: busy waiting takes the cores from everyone else
            if self._threads is not None:
                cpu.n_threads = self._threads
        return params

    def _require_tools(self, server: Any) -> None:
        """A chat template without tools drops them silently: refuse instead."""
        asked = urllib.request.Request(
            f"{server.listening_address}/props", headers={"Authorization": f"Bearer {self._api_key}"}
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(asked, timeout=10) as answer:
            able = json.load(answer).get("chat_template_caps", {}).get("supports_tools", False)
        if not able:
            raise ProviderError(f"{self.name} cannot call tools", hint="use a model whose chat template has tools")

    def _free(self) -> None:
        with self._turn:
            self._server = None


class _Call:
    """One call as its worker thread sees it."""

    def __init__(self, body: dict[str, Any], request: Request) -> None:
        self.body = body
        self.request = request
        self.stop = threading.Event()
        self.chunks: list[dict[str, Any]] = []
        self.failure: Exception | None = None
        self.late = False
        self.seconds = 0.0
        self._deadline = math.inf

    def begin(self) -> None:
        """The call's turn has come: its time runs from here."""
        self._deadline = time.monotonic() + self.request.timeout_s

    def over(self) -> bool:
        self.late = self.late or time.monotonic() >= self._deadline
        return self.late or self.stop.is_set()

    def take(self, chunk: dict[str, Any]) -> bool:
        """The stream's callback; true stops the generation. It must not raise: llama.cpp would swallow it."""
        self.chunks.append(chunk)
        return self.over()


def _import_runtime(name: str) -> Any:
    """Import llama.cpp with OpenMP threads that sleep while they wait, unless the user chose otherwise.

    Spinning ones starve each other as soon as another process wants a core: on two cores with one busy, 29 prompt
    tokens/s and under 1 generated, against 197 and 64 with sleeping ones. OpenMP reads the setting once, when loaded.
    """
    chosen = os.environ.get(_WAIT_POLICY)
    os.environ[_WAIT_POLICY] = chosen or "passive"
    try:
        import xllamacpp
    except ImportError as exc:
        raise MissingPackage(
            f"{name} needs the package xllamacpp", hint='pip install "skillforge-distiller[local]"'
        ) from exc
    finally:
        if chosen is None:
            del os.environ[_WAIT_POLICY]
    return xllamacpp


def _runtime_version() -> str:
    try:
        return importlib.metadata.version("xllamacpp")
    except importlib.metadata.PackageNotFoundError:
        return "none"


async def _in_thread(work: Any, call: _Call) -> None:
    """Run ``work(call)`` in a thread; when cancelled, tell it to stop and wait until it has."""
    done = anyio.Event()

    async def run() -> None:
        await anyio.to_thread.run_sync(work, call)
        done.set()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        try:
            await done.wait()
        finally:
            call.stop.set()
