"""The list price of a student behind a real SDK, whatever of its prompt the server had cached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skillforge.forge.forge import Forge
from skillforge.forge.session import Terms
from tests.fakes.llm_server import Answer, LLMServer, Tokens


@pytest.mark.parametrize("kind", ["anthropic", "openai-chat", "openai-responses"])
def test_list_and_real_price_of_a_live_student_are_kept_with_its_answers(
    kind: str, repo: Path, skill_in: Any, forge_at: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1,000 tokens sent, 800 of them cached, 50 written, at $2, $0.50 and $8 a million: $0.0012, at list $0.0024."""
    monkeypatch.setenv("FAKE_KEY", "k")
    said = json.dumps({"queue": "bug", "quote": "x"})
    with LLMServer(lambda body: Answer(said, usage=Tokens(1000, 50, cached=800)), key="k") as server:
        base = server.url if kind == "anthropic" else f"{server.url}/v1"
        endpoint = f'[endpoints.fake]\nkind = "{kind}"\nbase_url = "{base}"\napi_key_env = "FAKE_KEY"\n'
        price = 'models."fake:small" = {price = {input = 2, cached = 0.5, output = 8}}\n'
        (repo / "skillforge.toml").write_text(price + endpoint)
        skill_in(repo)
        forge: Forge = forge_at(repo)
        run = forge.run(
            "ticket-triage@latest", {"ticket": "crash"}, student="fake:small", terms=Terms(record=tmp_path / "rec")
        )
    assert run.usage.cached_tokens == 800
    assert (run.cost.usd, run.list_usd) == (pytest.approx(0.0012), pytest.approx(0.0024))
    replayed = forge_at(repo).run(
        "ticket-triage@latest", {"ticket": "crash"}, student="fake:small", terms=Terms(replay=tmp_path / "rec")
    )
    assert (replayed.cost.usd, replayed.list_usd) == (pytest.approx(0.0012), None)
