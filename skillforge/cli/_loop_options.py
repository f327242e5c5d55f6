"""The flags that bound a teacher's work with tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from skillforge.errors import UsageError

if TYPE_CHECKING:
    from skillforge.engine.agent.limits import LoopLimits

MaxTurnsOption = Annotated[
    int | None, typer.Option("--max-turns", metavar="N", help="With tools: answers a loop may take per input (20).")
]
MaxTokensOption = Annotated[
    int | None, typer.Option("--max-tokens", metavar="N", help="With tools: tokens per input, sent and written.")
]
MaxUsdOption = Annotated[
    float | None, typer.Option("--max-usd", metavar="DOLLARS", help="With tools: dollars per input.")
]
TimeLimitOption = Annotated[
    float | None, typer.Option("--time-limit", metavar="SECONDS", help="With tools: seconds per input.")
]
FreshOption = Annotated[
    bool, typer.Option("--fresh", help="With tools: forget what unfinished loops have called; writes may happen again.")
]


def loop_limits(turns: int | None, tokens: int | None, usd: float | None, seconds: float | None) -> LoopLimits | None:
    """The limits of one loop; ``None`` where no flag says any. Raises ``UsageError`` for one that allows nothing."""
    given = {"turns": turns, "tokens": tokens, "usd": usd, "seconds": seconds}
    named = {name: value for name, value in given.items() if value is not None}
    if not named:
        return None
    from pydantic import ValidationError

    from skillforge.engine.agent.limits import LoopLimits

    try:
        return LoopLimits.model_validate(named)
    except ValidationError as exc:
        wrong = exc.errors()[0]
        flag = {"turns": "--max-turns", "tokens": "--max-tokens", "usd": "--max-usd", "seconds": "--time-limit"}
        message = f"{flag[str(wrong['loc'][0])]}: {wrong['msg'][0].lower()}{wrong['msg'][1:]}"
        raise UsageError(message, hint="for example --max-turns 20 --max-tokens 200000 --max-usd 0.5") from None
