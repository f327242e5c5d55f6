"""Families of models, by their names."""

from __future__ import annotations

import pytest

from skillforge.evals.judges.family import family_of, kinship


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("anthropic:claude-opus-5", "claude"),
        ("openrouter:anthropic/claude-x", "claude"),
        ("openai:gpt-6-mini", "gpt"),
        ("openai:o3-mini", "gpt"),
        ("gemini:gemma-3", "gemini"),
        ("local:smollm2-135m", "smollm"),
        ("groq:llama-4", "llama"),
        ("ollama:qwen3:8b", "qwen"),
        ("ollama:mixtral", "mistral"),
        ("together:deepseek-ai/DeepSeek-V4", "deepseek"),
        ("scripted:judge.yaml", ""),
        ("replay:evals/teacher.jsonl", ""),
        ("", ""),
    ],
)
def test_families(model: str, family: str) -> None:
    assert family_of(model) == family


def test_the_teacher_itself_is_the_stronger_warning() -> None:
    (said,) = kinship("anthropic:claude-opus", ["replay:x", "claude-opus"], ["openai:gpt-6"])
    assert "is the teacher itself" in said
    (said,) = kinship("openrouter:anthropic/claude-opus", ["anthropic:claude-sonnet"], [])
    assert "of one family with the teacher anthropic:claude-sonnet" in said
    (said,) = kinship("openai:gpt-6", ["anthropic:claude-opus"], ["azure:gpt-6-mini"])
    assert "a student" in said


def test_strangers_are_not_warned_of() -> None:
    assert kinship("scripted:a", ["scripted:b"], ["scripted:c"]) == []
    assert kinship("ollama:llama3:8b", [], ["ollama:qwen3:8b"]) == []
