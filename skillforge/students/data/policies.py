"""What makers of models say of training on their models' outputs: a dated table, each line with where it was read.

Not legal advice, and terms change: the dates say when the page was read, and in which version. What could not be
verified is ``unknown``, never guessed. ``conditional`` is the usual case: no model that competes with the maker's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from skillforge.messages import Value

Stance = Literal["allowed", "conditional", "disallowed", "unknown"]

READ = "2026-11-22"
NOBODY_READ = "nothing that could be verified is known of it here"


class Policy(Value):
    """``says`` is what the terms come to, in our words; ``version`` how the page dates itself; ``basis`` what was read
    (the page itself, or others who quote it); ``read`` when.
    """

    maker: str
    stance: Stance
    says: str
    url: str = ""
    version: str = ""
    basis: str = ""
    read: str = ""


ANTHROPIC = Policy(
    maker="Anthropic (Claude)",
    stance="conditional",
    says="Outputs may train models that do not compete with Anthropic's, such as classifiers, extraction, summarisation"
    " and search tools; no competing or general-purpose model without written permission.",
    url="https://support.claude.com/en/articles/12326764-can-i-use-my-outputs-to-train-an-ai-model",
    basis="the maker's own page",
    read=READ,
)
OPENAI = Policy(
    maker="OpenAI",
    stance="conditional",
    says="Services Agreement 3.3(e): except for a Permitted Exception, outputs may not be used to develop models that"
    " compete with OpenAI's products and services. What the exception covers must be read there.",
    url="https://openai.com/policies/services-agreement/",
    version="effective 2026-01-01",
    basis="the clause as several others quote it; the page's own text of it could not be read",
    read=READ,
)
GOOGLE = Policy(
    maker="Google (Gemini API)",
    stance="conditional",
    says="The services may not be used to develop models that compete with them (Gemini API, Google AI Studio).",
    url="https://ai.google.dev/gemini-api/terms",
    version="effective 2025-05-20",
    basis="copies of the page of 2024-10-31 and 2025-05-20; a newer version may differ",
    read=READ,
)
LLAMA_3_0 = Policy(
    maker="Meta (Llama 2, Llama 3)",
    stance="disallowed",
    says="Licence 1.b.v: outputs may not be used to improve any other large language model than Llama itself.",
    url="https://github.com/meta-llama/llama3/blob/main/LICENSE",
    version="2024-04-18",
    basis="the licence of Llama 3; that of Llama 2 as it is quoted",
    read=READ,
)
LLAMA = Policy(
    maker="Meta (Llama 3.1 to 3.3)",
    stance="conditional",
    says='A model trained on outputs that is distributed must have a name that begins with "Llama"; products show'
    ' "Built with Llama".',
    url="https://github.com/meta-llama/llama-models/blob/main/models/llama3_3/LICENSE",
    version="2024-12-06",
    basis="the licences of 3.1 and 3.3",
    read=READ,
)
DEEPSEEK_R1 = Policy(
    maker="DeepSeek (R1 weights)",
    stance="allowed",
    says="MIT licence; the README allows distillation for training other models. The distilled Llama and Qwen models"
    " stand under those makers' licences, the hosted API under its own terms.",
    url="https://github.com/deepseek-ai/DeepSeek-R1/blob/main/README.md",
    version="2025-01",
    basis="the README",
    read=READ,
)

# By what stands in a model's name; the first that matches counts.
_BY_NAME: tuple[tuple[str, Policy], ...] = (
    (r"deepseek-r1(?!-distill)", DEEPSEEK_R1),
    (r"llama[-_ ]?3[._]?[123]", LLAMA),
    (r"llama[-_ ]?(?:2|3)(?![\d.])", LLAMA_3_0),
    (r"^anthropic:|claude", ANTHROPIC),
    (r"^openai:|(?:^|[/:])(?:chatgpt|gpt-(?!oss|j|neo)|o[134](?:-|$))", OPENAI),
    (r"gemini", GOOGLE),
)
TABLE: tuple[Policy, ...] = (ANTHROPIC, OPENAI, GOOGLE, LLAMA, LLAMA_3_0, DEEPSEEK_R1)


def policy_of(model: str, told: Iterable[str] = ()) -> Policy:
    """The policy for a model's answers, by its name; where that says nothing, by the makers that ``told`` names (what
    a recording says of its author).
    """
    for text in (model, *told):
        for pattern, policy in _BY_NAME:
            if re.search(pattern, text, re.IGNORECASE):
                return policy
    return Policy(maker=model or "not said", stance="unknown", says=NOBODY_READ)
