"""The models behind the pages of the documentation: of the parcel desk, of the cafe, of the bicycle shop."""

from __future__ import annotations

import json
from typing import Any

from tests.fakes import bicycle_shop
from tests.fakes.wire_answers import Answer, last_text, request_text

# What the pages' models cost, as listed in November 2026: a server on loopback has no list price.
PRICES = """
[models."anthropic:claude-opus-5-5"]
price = {input = 4, output = 20, cached = 0.2, written = 5}
[models."anthropic:claude-haiku-5-5"]
price = {input = 0.1, output = 0.5, cached = 0.01, written = 0.125}
[models."openai:gpt-6-luna"]
price = {input = 0.1, output = 0.5, cached = 0.01, written = 0.125}
"""
PARCEL_SKILL = {
    "name": "parcel-inbox",
    "description": "Sort one message about a parcel. Use on the parcel desk's inbox.",
    "input": {"message": {"type": "string", "maxLength": 500}},
    "output": {"topic": {"enum": ["late", "damaged", "address"]}},
    "instructions": "Say what the message about the parcel is about.",
    "prompt": "{{ message }}",
    "examples": {"ids": "all", "select": "nearest", "k": 4},
    "limits": {"input_tokens": 1000, "output_tokens": 32},
}
SAID = {  # the end of what is asked -> the answer; of doctor and of ``models test``
    "one word: yes": "yes",
    "one short sentence.": "Hello!",
    "a warm colour?": '{"colour": "red", "warm": true}',
    "name a colour.": "Red.",
}


def page_model(body: dict[str, Any]) -> str | Answer:
    """The answer to a request of any of the three APIs."""
    asked, last = request_text(body), last_text(body).lower().strip()
    if bicycle_shop.SIGN in asked:
        return bicycle_shop.shop_model(body)
    if "Now write down how" in asked:
        return json.dumps(PARCEL_SKILL)
    for end, reply in SAID.items():
        if last.endswith(end):
            return reply
    return json.dumps({"topic": _topic(last)} if "parcel" in asked else {"kind": _kind(last)})


def _topic(message: str) -> str:
    return "address" if "address" in message else "damaged" if "broken" in message or "damaged" in message else "late"


def _kind(message: str) -> str:
    return "order" if "please" in message else "question" if "?" in message else "complaint"
