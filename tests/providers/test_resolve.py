from __future__ import annotations

import subprocess
import sys

import pytest

from skillforge.config import Settings
from skillforge.errors import NotFound, UsageError
from skillforge.providers.limiter import LimiterPool
from skillforge.providers.local import Local
from skillforge.providers.network import Network
from skillforge.providers.replay import Replay
from skillforge.providers.resolve import resolve_provider
from skillforge.providers.scripted import Scripted
from skillforge.redact import Redactor

NETWORK = Network(Settings(), {}, Redactor(), LimiterPool())


def test_each_prefix_gives_its_provider_under_the_name_as_written(tmp_path):
    (tmp_path / "answers.yaml").write_text("default: x\n")
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    for model, kind in (("scripted:answers.yaml", Scripted), ("replay:r.jsonl", Replay), ("local:model.gguf", Local)):
        provider = resolve_provider(model, NETWORK, base_dir=tmp_path)
        assert isinstance(provider, kind)
        assert provider.name == model
        assert provider.concurrency >= 1


def test_only_the_first_colon_splits(tmp_path):
    assert resolve_provider("replay:a:b.jsonl", NETWORK, base_dir=tmp_path).name == "replay:a:b.jsonl"


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("locl:smollm2-135m", "did you mean 'local'"),
        ("smollm2-135m", "local:smollm2-135m"),
        ("local:", "local:smollm2-135m"),
        ("scripted", "scripted:answers.yaml"),
        ("", "replay:recorded.jsonl"),
        ("zzz:model", "there are: anthropic"),
    ],
)
def test_what_is_not_a_model_is_refused_with_examples(model, hint):
    with pytest.raises(UsageError) as caught:
        resolve_provider(model, NETWORK)
    assert hint in caught.value.hint


def test_a_model_that_is_not_there_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SKILLFORGE_CACHE", str(tmp_path))
    with pytest.raises(NotFound) as caught:
        resolve_provider("local:smollm2-135m", NETWORK)
    assert caught.value.hint == "skillforge models pull smollm2-135m"
    with pytest.raises(NotFound, match=r"answers\.yaml"):
        resolve_provider("scripted:answers.yaml", NETWORK, base_dir=tmp_path)


def test_resolving_loads_no_runtime_and_no_sdk():
    code = (
        "import sys; from skillforge.config import Settings\n"
        "from skillforge.providers.network import Network; from skillforge.providers.limiter import LimiterPool\n"
        "from skillforge.providers.resolve import resolve_provider; from skillforge.redact import Redactor\n"
        "network = Network(Settings(), {}, Redactor(), LimiterPool())\n"
        "for name in ('replay:x.jsonl', 'anthropic:claude-haiku-5-5', 'openai:gpt-6-luna'):\n"
        "    resolve_provider(name, network)\n"
        "heavy = {'xllamacpp', 'rapidfuzz', 'anthropic', 'openai', 'genai_prices', 'httpx2', 'keyring'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
