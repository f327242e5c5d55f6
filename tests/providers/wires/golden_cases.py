"""Requests whose bodies are kept in ``golden/``: what skillforge really sends to each kind of server.

``python -m pytest tests/providers`` with SKILLFORGE_UPDATE_GOLDEN=1 writes the files anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from skillforge.endpoints import ModelOptions
from skillforge.engine.frame import bare_skill, build_request, complete_input, repair_request
from skillforge.messages import Message, Reasoning, Request, RequestKey, Text, Tool, ToolCall, ToolResult
from skillforge.skill import Skill
from skillforge.skillfile import read_skill

GOLDEN = Path(__file__).parent / "golden"
# read at import: the fixture of every test takes our environment variables away
UPDATE = os.environ.get("SKILLFORGE_UPDATE_GOLDEN") == "1"

SHIPPED = Path(__file__).parents[3] / "skills" / "ticket-triage" / "skill.yaml"
TICKET = "Mein Konto wurde gehackt: jemand hat heute Nacht drei Kameras bestellt. Bitte sofort sperren!"

SUMMARY = Skill.model_validate(
    {
        "schema": "skillforge/v1",
        "name": "one-line-summary",
        "description": "Sum up one message in a line.",
        "task": "Sum up one customer message in at most twelve words.",
        "input": {"message": {"type": "string"}, "tone": {"enum": ["plain", "formal"], "default": "plain"}},
        "output": "text",
        "instructions": "Say what the customer wants, in at most twelve words.",
        "prompt": "Tone: {{ tone }}\n{{ message }}",
        "examples": {
            "items": [
                {
                    "id": "e1",
                    "input": {"message": "The hub is offline since the update."},
                    "output": "Hub offline after an update.",
                },
                {
                    "id": "e2",
                    "input": {"message": "Where is parcel 17?", "tone": "formal"},
                    "output": "The customer asks for the whereabouts of parcel 17.",
                },
            ]
        },
        "limits": {"output_tokens": 64},
    }
)

TOOLS = (
    Tool(
        name="find_order",
        description="Look an order up by its number.",
        parameters={
            "type": "object",
            "properties": {"number": {"type": "string"}},
            "required": ["number"],
            "additionalProperties": False,
        },
    ),
    Tool(
        name="refund",
        description="Pay money back.",
        parameters={
            "type": "object",
            "properties": {"number": {"type": "string"}, "cents": {"type": "integer", "minimum": 1}},
            "required": ["number"],
        },
        effect="write",
    ),
)


def request_of(skill: Skill, **given: Any) -> Request:
    return build_request(skill, complete_input(skill, given), role="run")


def triage() -> Request:
    """The shipped skill: nearest examples, so that only the system message is the same for every input."""
    return request_of(read_skill(SHIPPED).skill, ticket=TICKET)


def bare() -> Request:
    return request_of(bare_skill(read_skill(SHIPPED).skill), ticket=TICKET)


def text() -> Request:
    """A text skill with fixed examples: all but the last message is the same for every input."""
    return request_of(SUMMARY, message="I was charged twice for the doorbell.")


def repair() -> Request:
    answer = "The customer was charged two times for one doorbell and wants one of the charges back."
    return repair_request(text(), answer, ("16 words, where 12 are the most",))


def tools() -> Request:
    """Two tools, called at once: both results go back together."""
    calls = (
        Text(text="I look at both orders."),
        ToolCall(id="call_1", name="find_order", arguments={"number": "A-17"}),
        ToolCall(id="call_2", name="find_order", arguments={"number": "Ü-18"}),
    )
    results = (
        ToolResult(id="call_1", content={"number": "A-17", "cents": 4900}),
        ToolResult(id="call_2", content="no such order", is_error=True),
    )
    messages = (
        Message.of("system", "You mend orders."),
        Message.of("user", "Refund my orders A-17 and Ü-18."),
        Message(role="assistant", content=calls),
        Message(role="tool", content=results),
    )
    key = RequestKey(role="run", task="Mend orders.", input={"text": "Refund my orders A-17 and Ü-18."})
    return Request(messages=messages, key=key, tools=TOOLS, max_output_tokens=512, fixed=1)


def reasoned() -> Request:
    """What two APIs' models thought stands before their calls: each wire hands back its own."""
    asked = tools()
    thought = Reasoning(kind="anthropic", data={"type": "thinking", "thinking": "Two orders.", "signature": "c2ln"})
    sealed = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2VhbGVk"}
    parts = (thought, Reasoning(kind="openai-responses", data=sealed), *asked.messages[2].content)
    said = Message(role="assistant", content=parts)
    return asked.model_copy(update={"messages": (*asked.messages[:2], said, asked.messages[3]), "fixed": 4})


def closing() -> Request:
    """The last turn of a loop: tools are told and forbidden."""
    asked = tools()
    messages = (*asked.messages, Message.of("user", "Answer now."))
    return asked.model_copy(update={"messages": messages, "tool_choice": "none", "fixed": 5})


CASES: Mapping[str, tuple[Callable[[], Request], ModelOptions]] = {
    "triage": (triage, ModelOptions()),
    "bare": (bare, ModelOptions()),
    "text": (text, ModelOptions(temperature=0)),
    "repair": (repair, ModelOptions()),
    "tools": (tools, ModelOptions()),
    "tools-reasoned": (reasoned, ModelOptions()),
    "tools-closing": (closing, ModelOptions()),
    "thinking": (triage, ModelOptions(effort="low", thinking_tokens=2_000)),
    "schema-by-prompt": (triage, ModelOptions(structured="prompt")),
}


def expected_body(wire: str, case: str, body: dict[str, Any]) -> dict[str, Any]:
    """The kept body of ``golden/<wire>.<case>.json``; written from ``body`` first where that is asked for."""
    path = GOLDEN / f"{wire}.{case}.json"
    if UPDATE:
        path.write_text(json.dumps(body, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return kept
