"""What is known of makers' terms, and that nothing is guessed."""

from __future__ import annotations

import pytest

from skillforge.students.data.policies import TABLE, policy_of


@pytest.mark.parametrize(
    ("model", "maker", "stance"),
    [
        ("anthropic:claude-opus-5-5", "Anthropic", "conditional"),
        ("bedrock/claude-3-haiku", "Anthropic", "conditional"),
        ("openai:gpt-6-luna", "OpenAI", "conditional"),
        ("gpt-4.1-mini-2025-04-14", "OpenAI", "conditional"),
        ("openrouter/o3-mini", "OpenAI", "conditional"),
        ("gemini-3-pro", "Google", "conditional"),
        ("meta/Llama-3.3-70B-Instruct", "Meta (Llama 3.1", "conditional"),
        ("llama-2-70b-chat", "Meta (Llama 2", "disallowed"),
        ("meta-llama-3-8b", "Meta (Llama 2", "disallowed"),
        ("deepseek-r1", "DeepSeek", "allowed"),
        ("deepseek-r1-distill-llama-8b", "deepseek-r1-distill", "unknown"),
        ("gpt-oss-120b", "gpt-oss", "unknown"),
        ("llama-4-maverick", "llama-4", "unknown"),
        ("strong-teacher", "strong-teacher", "unknown"),
        ("", "not said", "unknown"),
    ],
)
def test_a_policy_goes_by_the_name_of_the_model(model: str, maker: str, stance: str) -> None:
    found = policy_of(model)
    assert found.maker.startswith(maker)
    assert found.stance == stance


def test_what_a_recording_says_of_its_author_counts_where_the_name_says_nothing() -> None:
    assert policy_of("strong-teacher", ["written by an assistant (a Claude model)"]).maker.startswith("Anthropic")
    assert policy_of("openai:gpt-6", ["a Claude model"]).maker == "OpenAI"


def test_every_line_says_where_and_when_it_was_read() -> None:
    for policy in TABLE:
        assert policy.url.startswith("https://")
        assert policy.basis
        assert policy.says
        assert policy.read.count("-") == 2
