"""Which models are of one family: a judge prefers answers of its own kind."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Most telling first. A name may carry its maker (openrouter:anthropic/claude-…), a date, a size, a quantisation.
_FAMILIES = (
    ("smollm", r"smollm"),
    ("claude", r"claude|\b(?:opus|sonnet|haiku)\b"),
    ("gemini", r"gemini|gemma|palm"),
    ("gpt", r"gpt|chatgpt|davinci|\bo[1-9](?:-(?:mini|preview|pro))?\b"),
    ("deepseek", r"deepseek"),
    ("qwen", r"qwen|qwq"),
    ("mistral", r"mistral|mixtral|ministral|magistral|codestral|devstral"),
    ("llama", r"llama"),
    ("phi", r"\bphi-?[1-9]"),
    ("command", r"command-[ra]|cohere"),
    ("grok", r"grok"),
    ("kimi", r"kimi|moonshot"),
    ("glm", r"\bglm"),
    ("nova", r"\bnova-"),
    ("granite", r"granite"),
    ("olmo", r"olmo"),
    ("falcon", r"falcon"),
    ("minimax", r"minimax"),
)
_PROGRAMS = re.compile(r"^(?:llama[-_.]?cpp|ollama)[:/]")  # names of servers, which say nothing of the model


def family_of(model: str) -> str:
    """The family of a model by its name, "" where the name does not tell.

    ``openrouter:anthropic/claude-x`` and ``anthropic:claude-y`` are both ``claude``.
    """
    name = _PROGRAMS.sub("", model.lower())
    return next((family for family, pattern in _FAMILIES if re.search(pattern, name)), "")


def kinship(judge: str, teacher: Iterable[str], students: Iterable[str]) -> list[str]:
    """What a person should know of a judge that grades its own kind, one sentence each.

    ``teacher`` holds every name the teacher goes by: its role's and the one its provider resolved.
    """
    found = []
    for role, names in (("the teacher", teacher), ("a student", students)):
        related = [name for name in dict.fromkeys(names) if name]
        if any(_same(judge, name) for name in related):
            found.append(f"the judge {judge} is {role} itself: it grades its own answers")
            continue
        kin = next((name for name in related if family_of(name) and family_of(name) == family_of(judge)), None)
        if kin is not None:
            found.append(f"the judge {judge} is of one family with {role} {kin}: judges favour their own")
    return found


def _same(judge: str, other: str) -> bool:
    """``other`` is a name with its provider, or one as a provider resolved it."""
    asked = _bare(_model(judge))
    return asked in (_bare(_model(other)), _bare(other))


def _model(name: str) -> str:
    return name.partition(":")[2] or name


def _bare(model: str) -> str:
    """A model without its maker and without the digest of its file."""
    return model.lower().partition("@")[0].rpartition("/")[2]
