from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from skillforge.case import Case
from skillforge.evals.answer import Answer
from skillforge.evals.scorers.base import Item

MakeItem = Callable[..., Item]


@pytest.fixture(scope="session")
def item() -> MakeItem:
    """``item(output, expected, …)``: an answer to a case; other words are fields of the case or of the answer."""

    def make(output: Any, expected: Any = None, **more: Any) -> Item:
        case = {key: value for key, value in more.items() if key in Case.model_fields}
        rest = {key: value for key, value in more.items() if key not in case}
        answer = Answer(
            key=rest.pop("key", "k"),
            status=rest.pop("status", "ok"),
            run_status="ok",
            output=output,
            reason="",
            checks=rest.pop("answered", ()),
            repaired=False,
            usd=rest.pop("usd", 0.001),
            list_usd=None,
            cost_estimated=False,
            input_tokens=None,
            output_tokens=None,
            latency_s=rest.pop("latency_s", 0.5),
            model="m",
        )
        assert not rest
        return Item(Case(**{"id": "c", "input": {}, "expected": expected, **case}), expected, answer)

    return make
