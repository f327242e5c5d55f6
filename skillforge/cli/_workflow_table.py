"""Workflows beside the tool loops that they replace: what each takes and how often it is right, as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from skillforge.cli._shared import aligned

if TYPE_CHECKING:
    from skillforge.evals.report import ArmReport, EvalReport

FRONTIER = ("anthropic", "claude-opus-5-5")
CHEAP = ("openai", "gpt-6-luna")

_HEAD = (
    "skill",
    "who",
    "right",
    "model calls",
    "tool calls",
    "tokens in",
    "out",
    *(f"$ {n}" for _, n in (FRONTIER, CHEAP)),
)
_FOOT = (
    "right: share of the cases whose outcome is all of the label's; calls and tokens are means per case.",
    "$ per 1,000 cases: those tokens at the list price of {frontier} and {cheap} (genai-prices {version}), no prompt",
    "cache. The recorded loop's tokens are estimates (est.); the local model itself costs no API dollars.",
)


def workflow_table(reports: Iterable[EvalReport]) -> list[str]:
    """Lines: for every eval of a workflow its teacher's loop and the workflow on each student, then what it means."""
    from genai_prices import __version__

    rows: list[tuple[str, ...]] = [_HEAD]
    for report in reports:
        named = f"{report.skill} ({report.cases})"
        for arm in (report.teacher, *report.arms):
            rows.append((named, _who(arm), *_figures(arm)))
            named = ""
    foot = (line.format(frontier=FRONTIER[1], cheap=CHEAP[1], version=__version__) for line in _FOOT)
    return [*aligned(rows, left=(0, 1)), *foot]


def list_price(model: tuple[str, str], input_tokens: float, output_tokens: float) -> float:
    """US dollars of 1,000 calls of so many tokens. Raises ``LookupError`` for a model without a price."""
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=round(input_tokens), output_tokens=round(output_tokens))
    return 1000 * float(calc_price(usage, model[1], provider_id=model[0]).total_price)


def _who(arm: ArmReport) -> str:
    return "recorded agent loop" if arm.kind == "teacher" else f"{arm.student} + {arm.kind}"


def _figures(arm: ArmReport) -> tuple[str, ...]:
    told = ("–" if arm.quality is None else f"{arm.quality:.0%}", _mean(arm.model_calls), _mean(arm.tool_calls))
    if arm.input_tokens is None or arm.output_tokens is None:
        return (*told, "–", "–", "–", "–")
    est = " est." if arm.cost_estimated else ""
    prices = (f"{list_price(model, arm.input_tokens, arm.output_tokens):.2f}{est}" for model in (FRONTIER, CHEAP))
    return (*told, f"{arm.input_tokens:,.0f}{est}", f"{arm.output_tokens:,.0f}", *prices)


def _mean(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
