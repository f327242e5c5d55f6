"""llama.cpp's own HTTP server over a real model: a server that nobody here wrote, in a process of its own.

    with LlamaServer() as server:
        OpenAI(base_url=f"{server.url}/v1", api_key=server.key); Anthropic(base_url=server.url, api_key=server.key)

By hand: ``LLAMA_SERVER_KEY=a-key-of-mine python -m tests.fakes.llama_server`` prints the URL.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from skillforge.providers.local import _import_runtime
from skillforge.providers.models_cache import resolve_model_file

NAME = "smollm2-135m"
KEY_VARIABLE = "LLAMA_SERVER_KEY"
_ROOT = Path(__file__).parents[2]
_END_S = 10.0


class LlamaServer:
    """Runs between ``with`` and its end; the process ends with ours too, however that ends.

    ``name`` is a model of the catalogue or a path. ``n_ctx`` is the context in tokens of all ``slots`` together (each
    answers one request at a time). ``key`` is the only one that is let in. Raises ``NotFound`` when the model is not on
    this machine, ``RuntimeError`` when the server does not start.
    """

    def __init__(self, name: str = NAME, *, n_ctx: int = 8192, slots: int = 1) -> None:
        self.path = resolve_model_file(name)
        self.key = secrets.token_urlsafe(24)
        self.url = ""
        self._options = ["--model", str(self.path), "--n-ctx", str(n_ctx), "--slots", str(slots)]
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None

    def __enter__(self) -> LlamaServer:
        self._said = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.llama_server", "--until-stdin-ends", *self._options],
            cwd=_ROOT,  # `tests` is importable from there
            env={**os.environ, KEY_VARIABLE: self.key},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().decode().strip()  # said once it answers
        if not self.url:
            self._process.wait()
            said = self.said()
            self.__exit__(None, None, None)
            raise RuntimeError(f"llama.cpp's server did not start: {said}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, said = self._process, self._said
        if process is None or said is None:
            return
        try:
            process.communicate(timeout=_END_S)  # closes its standard input, which ends it
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        said.close()
        self._process = self._said = None

    def said(self) -> str:
        """The end of what it wrote on its standard error."""
        assert self._said is not None
        text = os.pread(self._said.fileno(), 1 << 20, 0)
        return text.decode("utf-8", "replace")[-2000:]


def serve(path: Path, key: str, *, n_ctx: int, slots: int, port: int = 0) -> tuple[Any, str]:
    """The server, which ends when the object does, and its URL; the model is loaded and it answers."""
    xllamacpp = _import_runtime(NAME)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {path.stem}
    params.n_ctx, params.n_parallel = n_ctx, slots
    params.n_batch = params.n_ubatch = 128  # a request that nobody waits for any more is dropped between batches
    params.fit_params = False
    params.cache_ram_mib = 0
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.api_keys = [key]
    params.ui = False
    params.offline = True
    params.verbosity = -1
    params.cpuparams.poll = params.cpuparams_batch.poll = 0  # waiting threads sleep: the cores are shared with tests
    server = xllamacpp.Server(params)
    url = server.listening_address
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"{url}/health", timeout=60):
        return server, url


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="llama.cpp's HTTP server on loopback. Prints its URL.")
    parser.add_argument("--model", default=NAME, help="a model of the catalogue, or a .gguf file")
    parser.add_argument("--n-ctx", type=int, default=8192)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--until-stdin-ends", action="store_true")
    args = parser.parse_args(argv)
    key = os.environ.get(KEY_VARIABLE)
    if not key:
        parser.error(f"{KEY_VARIABLE} must hold the key that is let in")
    path = resolve_model_file(args.model)
    server, url = serve(path, key, n_ctx=args.n_ctx, slots=args.slots, port=args.port)
    print(url, flush=True)
    try:
        if args.until_stdin_ends:
            sys.stdin.buffer.read()
        else:
            import threading

            threading.Event().wait()
    except KeyboardInterrupt:
        pass
    del server


if __name__ == "__main__":
    main(sys.argv[1:])
