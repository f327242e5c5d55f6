"""What a program that does the task already settles for the skill that is to replace it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from skillforge.canonical import compact
from skillforge.messages import Value

PROMPT_CHARS = 20_000  # of the program's own prompt, from its beginning

SETTLED = """\
CONTRACT
A program asks for this already, so its contract is settled: exactly these input and output fields. You may describe a \
field better, never accept less in it.
"""


class Proposal(Value):
    """The settled contract, as in a skill, and the program's own prompt, which may hold rules worth keeping."""

    input: dict[str, dict[str, Any]]
    output: Literal["text"] | dict[str, dict[str, Any]]
    instructions: str = ""
    prompt: str = ""


def proposed(proposal: Proposal) -> tuple[str, str]:
    """How an author is told: the contract, and the program's prompt as data. Each is one line of JSON, so that nothing
    in it can end its markers.
    """
    contract = compact({"input": proposal.input, "output": proposal.output})
    own = {"system": proposal.instructions[:PROMPT_CHARS], "user": proposal.prompt[:PROMPT_CHARS]}
    shown = f"\n\nBEGIN THE PROMPT IN USE TODAY\n{compact(own)}\nEND THE PROMPT IN USE TODAY"
    return f"{SETTLED}{contract}\n\n", shown if any(own.values()) else ""


def contract_problems(body: Mapping[str, Any], proposal: Proposal) -> tuple[str, ...]:
    """Where a drafted skill leaves the settled contract: other fields, or labels left out that were given before."""
    problems: list[str] = []
    for side, settled in (("input", proposal.input), ("output", proposal.output)):
        drafted = body.get(side)
        if isinstance(settled, str) or not isinstance(drafted, Mapping):
            if drafted != settled:
                problems.append(f"{side}: must {_fields(settled)}: the contract is settled")
        elif drafted.keys() != settled.keys():
            problems.append(f"{side}: must {_fields(settled)}: the contract is settled")
        else:
            gaps = {name: _left_out(drafted[name], settled[name]) for name in settled}
            problems.extend(f"{side}.{name}: {gap}" for name, gap in gaps.items() if gap)
    return tuple(problems)


def _fields(contract: str | Mapping[str, Any]) -> str:
    return f'be "{contract}"' if isinstance(contract, str) else f"have exactly the fields {', '.join(contract)}"


def _left_out(drafted: Any, settled: Mapping[str, Any]) -> str:
    kept = drafted.get("enum") if isinstance(drafted, Mapping) else None
    missing = [value for value in settled.get("enum", []) if value not in kept] if isinstance(kept, list) else []
    return f"the enum leaves out {', '.join(map(compact, missing))}" if missing else ""
