"""A second server that nobody here wrote: LiteLLM's proxy in front of llama.cpp's, through our providers.

    python bench/litellm_proxy.py PYTHON | --install

PYTHON is the interpreter of an environment that has ``litellm[proxy]`` (default: the variable LITELLM_PYTHON);
``--install`` makes one in a temporary folder with pip, some 500 MB. Without either it skips. The proxy serves one model
by two routes, which it translates in different ways: ``hosted_vllm/`` always asks chat completions upstream,
``openai/`` answers its messages API from upstream's responses API.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from _apis import QUESTIONS, Target, look
from _shared import environment, finish, print_table

from skillforge.endpoints import Kind
from skillforge.errors import NotFound

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.fakes.llama_server import LlamaServer

ROUTES = ("hosted_vllm", "openai")
COLUMNS: tuple[tuple[str, Kind], ...] = (
    ("hosted_vllm", "anthropic"),
    ("openai", "anthropic"),
    ("hosted_vllm", "openai-chat"),
    ("hosted_vllm", "openai-responses"),
)
START_S = 180.0


def main() -> int:
    if not named():
        print("skipped: name a Python that has litellm[proxy] (LITELLM_PYTHON), or --install one (500 MB)")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            server = LlamaServer()
        except NotFound as exc:
            print(f"skipped: {exc}: {exc.hint}")
            return 0
        python = interpreter(folder)
        with server, proxy(python, folder, server) as (url, key, seconds):
            print(f"litellm {version(python)} answered after {seconds:.1f} s")
            found = [look(Target(f"{kind} of {route}/", kind, url, key, route)) for route, kind in COLUMNS]
    head = [f"{kind}, {route}/" for route, kind in COLUMNS]
    print_table([["", *head], *[[what, *(each[what] for each in found)] for what in QUESTIONS]])
    messages = found[0]
    promises = {
        "messages answer": messages["text"].startswith("'"),
        "the schema arrives upstream": messages["JSON schema"].startswith("honoured"),
        "a wrong key is told as one": all(each["wrong key"].startswith("KeyRejected") for each in found),
        "a wrong model is told": all("Rejected" in each["unknown model"] for each in found),
    }
    finish([promise for promise, kept in promises.items() if not kept])
    return 0


def named() -> str:
    return sys.argv[1] if len(sys.argv) > 1 else os.environ.get("LITELLM_PYTHON", "")


def interpreter(folder: Path) -> str:
    """The one that was named, or that of a new environment with the proxy."""
    if (chosen := named()) != "--install":
        return chosen
    home = folder / "venv"
    print("installing litellm[proxy] into a temporary folder", flush=True)
    venv.create(home, with_pip=True)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "litellm[proxy]"], check=True)
    return str(python)


def version(python: str) -> str:
    code = "import importlib.metadata as m; print(m.version('litellm'))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def proxy(python: str, folder: Path, server: LlamaServer) -> Iterator[tuple[str, str, float]]:
    """URL, key, and seconds it took to answer."""
    key, port = f"sk-{secrets.token_hex(16)}", free_port()
    url = f"http://127.0.0.1:{port}"
    models = [
        {
            "model_name": route,
            "litellm_params": {
                "model": f"{route}/smollm2",
                "api_base": f"{server.url}/v1",
                "api_key": "os.environ/UPSTREAM_KEY",
            },
        }
        for route in ROUTES
    ]
    config = {
        "model_list": models,
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
        "litellm_settings": {"telemetry": False},
    }
    (folder / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
    code = "from litellm.proxy.proxy_cli import run_server; run_server()"
    env = environment(
        UPSTREAM_KEY=server.key, LITELLM_MASTER_KEY=key, LITELLM_LOCAL_MODEL_COST_MAP="True", PYTHONWARNINGS="ignore"
    )
    arguments = ["--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
    started = time.perf_counter()
    with (folder / "log").open("w+b") as log:
        process = subprocess.Popen([python, "-c", code, *arguments], cwd=folder, env=env, stdout=log, stderr=log)
        try:
            wait_for(f"{url}/health/liveliness", process, folder / "log")
            yield url, key, time.perf_counter() - started
        finally:
            process.terminate()
            process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with direct.open(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the proxy did not start: {log.read_text('utf-8', 'replace')[-2000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
