"""Pull a headless Chromium into the cache for the browser tests: ``python tests/browser/pull_chromium.py``.

From the npm registry, as the package ``@sparticuz/chromium`` (MIT; Chromium: BSD), by npm itself: pinned, checked
against its hash, unpacked with node (the package is compressed with brotli). It runs on Linux x86-64 without installing
anything. Where npm, node or the network is missing, this says so and ends with 0: the tests are skipped then.
"""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from platformdirs import user_cache_path

PACKAGE = "@sparticuz/chromium@147.0.0"
SHA512 = "4ZKeAQQa8up2mt675qSitztLdbQrlf8BKdC5naeap+5Mv1OV1OlJdPoU+EJC/p5sQUJUQmN4r+q5+EhaaOUHpQ=="
_UNPACK = (
    "const z=require('zlib'),f=require('fs');"
    "f.writeFileSync(process.argv[2],z.brotliDecompressSync(f.readFileSync(process.argv[1])))"
)
_PARTS = ("chromium", "al2023.tar", "fonts.tar", "swiftshader.tar")


def cache_folder() -> Path:
    cache = os.environ.get("SKILLFORGE_CACHE")
    root = Path(cache) if cache else user_cache_path("skillforge")
    return root / "chromium" / PACKAGE.rpartition("@")[2]


def chromium_in_cache() -> Path | None:
    """The Chromium that was pulled, or ``None``."""
    program = cache_folder() / "chromium"
    return program if program.is_file() else None


def pull() -> str:
    """Pull it; why that could not be done, or an empty text."""
    if chromium_in_cache() is not None:
        return ""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return "there is one for Linux on x86-64 only"
    if shutil.which("npm") is None or shutil.which("node") is None:
        return "npm and node are needed"
    target = cache_folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        packed = subprocess.run(
            ["npm", "pack", "--silent", PACKAGE], cwd=folder, capture_output=True, text=True, timeout=600, check=False
        )
        archive = next(folder.glob("*.tgz"), None)
        if packed.returncode != 0 or archive is None:
            return f"npm pack {PACKAGE} failed: {packed.stderr.strip()[:300]}"
        if base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode() != SHA512:
            return f"{PACKAGE} is not the file that is pinned (hash mismatch)"
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        _unpack(folder / "package" / "bin", folder / "ready")
        (folder / "ready").rename(target)
    return ""


def _unpack(packed: Path, ready: Path) -> None:
    ready.mkdir()
    for part in _PARTS:
        whole = ready / part
        subprocess.run(["node", "-e", _UNPACK, str(packed / f"{part}.br"), str(whole)], check=True)
        if part.endswith(".tar"):
            with tarfile.open(whole) as tar:
                tar.extractall(ready, filter="data")
            whole.unlink()
    (ready / "chromium").chmod(0o755)


if __name__ == "__main__":
    if problem := pull():
        print(f"no Chromium for the browser tests: {problem}", file=sys.stderr)
