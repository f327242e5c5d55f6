from __future__ import annotations

import subprocess
import sys

import pytest

from skillforge.errors import NotFound, UsageError
from skillforge.providers.local import Local
from skillforge.providers.replay import Replay
from skillforge.providers.resolve import resolve_provider
from skillforge.providers.scripted import Scripted


def test_each_prefix_gives_its_provider_under_the_name_as_written(tmp_path):
    (tmp_path / "answers.yaml").write_text("default: x\n")
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    for model, kind in (("scripted:answers.yaml", Scripted), ("replay:r.jsonl", Replay), ("local:model.gguf", Local)):
        provider = resolve_provider(model, base_dir=tmp_path)
        assert isinstance(provider, kind)
        assert provider.name == model
        assert provider.concurrency >= 1


def test_only_the_first_colon_splits(tmp_path):
    assert resolve_provider("replay:a:b.jsonl", base_dir=tmp_path).name == "replay:a:b.jsonl"


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("locl:smollm2-135m", "did you mean 'local'"),
        ("smollm2-135m", "local:smollm2-135m"),
        ("local:", "local:smollm2-135m"),
        ("scripted", "scripted:answers.yaml"),
        ("", "replay:recorded.jsonl"),
        ("zzz:model", "scripted:answers.yaml"),
    ],
)
def test_what_is_not_a_model_is_refused_with_examples(model, hint):
    with pytest.raises(UsageError) as caught:
        resolve_provider(model)
    assert hint in caught.value.hint


def test_a_model_that_is_not_there_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SKILLFORGE_CACHE", str(tmp_path))
    with pytest.raises(NotFound) as caught:
        resolve_provider("local:smollm2-135m")
    assert caught.value.hint == "skillforge models pull smollm2-135m"
    with pytest.raises(NotFound, match=r"answers\.yaml"):
        resolve_provider("scripted:answers.yaml", base_dir=tmp_path)


def test_resolving_loads_no_runtime():
    code = (
        "import sys; from skillforge.providers.resolve import resolve_provider; resolve_provider('replay:x.jsonl')\n"
        "assert not {'xllamacpp', 'rapidfuzz', 'platformdirs'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
