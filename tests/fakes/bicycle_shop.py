"""The models of the bicycle shop in docs/tour.md: the one that its program asks today, and a cheap one with a skill."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.fakes.wire_answers import Answer, Tokens, last_text, request_text

SIGN = "bicycle shop"  # stands in every prompt of the shop, and so in its skill
RULE = "Whoever wants money back writes to invoice."  # what the program's own prompt does not say
SKILL = {
    "name": "sort-mail",
    "description": "Sort one mail to a bicycle shop: repair, order, invoice or other. Use on the shop's inbox.",
    "output": {"label": {"enum": ["invoice", "order", "other", "repair"]}},
    "instructions": "Sort one mail to a bicycle shop. A repair is about a bike that is broken, an order about things to"
    f" buy or to deliver, an invoice about money. {RULE}",
    "examples": {"ids": "all", "select": "nearest", "k": 4},
    "limits": {"input_tokens": 1000, "output_tokens": 16},
}
_LABELS = {
    "order": ("When will", "I would like", "in stock", "the van", "changed my mind"),
    "invoice": ("card machine", "needs a bill", "wait for my money", "on the receipt"),
    "other": ("hiring", "picture", "lost it"),
}
_ENDS = ("Come by and see us!", "We look forward to it.", "Tell your friends!", "There will be coffee, too.")


def shop_model(body: dict[str, Any]) -> str | Answer:
    """The answer to a request of any of the three APIs. The program's long prompt is read from the prompt cache."""
    asked, last = request_text(body), last_text(body)
    text = last.partition(": ")[2] or last
    if "Now write down how" in asked:
        return json.dumps(_skill(asked))
    if '"day"' in asked:
        found = {"bike": r"(\w+ bike|tandem)", "fault": r"^(?:Hello, |Hi! )?(.+?)[.?]", "day": r"(\w+day)"}
        return json.dumps({field: _found(pattern, text) for field, pattern in found.items()})
    if "Change no fact" in asked:
        part, _, step = text.partition(", ")
        return f"The {part}: {step}."
    if "newsletter" in asked:
        topic, _, angle = text.partition(", with ")
        return f"This week is all about {topic}, and we have {angle} for you. {_ENDS[len(text) % len(_ENDS)]}"
    today, ruled = "one word" in asked, RULE in asked
    label = _label(text, knows_returns=ruled, knows_the_shop=today or ruled)
    if not today:
        return json.dumps({"label": label})
    length = len(asked) // 4
    return Answer(label, usage=Tokens(length, 1, cached=length - len(last) // 4))


def _label(mail: str, *, knows_returns: bool, knows_the_shop: bool) -> str:
    if "sent" in mail and "back" in mail and not knows_returns:
        return "order"
    if "in front of your shop" in mail and not knows_the_shop:
        return "repair"
    return next((label for label, signs in _LABELS.items() if any(sign in mail for sign in signs)), "repair")


def _skill(asked: str) -> dict[str, Any]:
    """The skill with the contract that the request settles."""
    contract = json.loads(asked.split("contract is settled")[1].split("\n")[1])
    (field,) = contract["input"]
    return {**SKILL, "input": contract["input"], "prompt": f"{{{{ {field} }}}}"}


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""
