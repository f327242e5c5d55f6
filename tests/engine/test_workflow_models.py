"""Workflows on models behind real wires: a server on loopback, and the real local model."""

from __future__ import annotations

import importlib.util
from typing import Any

import anyio
import pytest

from skillforge.errors import NotFound
from skillforge.tools.python import PythonTools
from tests.fakes.workflow import GIVEN, refund, run_flow

PAID: list[tuple[str, float]] = []


def get_order(order_id: str) -> dict[str, Any]:
    """An order by its id."""
    return {"id": order_id, "total": 30.0, "lines": [{"sku": "mug"}]}


def refund_order(order_id: str, amount: float) -> dict[str, Any]:
    """Pay an order back."""
    PAID.append((order_id, amount))
    return {"amount": amount}


@pytest.mark.model
def test_the_real_local_model_runs_the_language_steps():
    if importlib.util.find_spec("xllamacpp") is None:  # importing it is Local's business: it sets the threads up
        pytest.skip("the extra [local] is not installed")
    from skillforge.providers.local import Local
    from skillforge.providers.models_cache import resolve_model_file

    try:
        weights = resolve_model_file("smollm2-135m")
    except NotFound as exc:
        pytest.skip(f"{exc}: {exc.hint}")
    provider = Local("smollm2-135m", weights)
    steps = refund().model_dump(exclude_defaults=True)["steps"]
    steps[3]["limits"] = {"output_tokens": 60}
    steps[3]["prompt"] = "Write one short sentence: they get {{ steps.refund.amount | default(0) }} dollars back."
    skill = refund(steps=steps, input={**refund().input, "request": {"type": "string", "default": "x"}})
    PAID.clear()
    try:
        run = run_flow(skill, provider, PythonTools([get_order, refund_order]), GIVEN)
    finally:
        anyio.run(provider.aclose)
    judged = next(step for step in run.steps if step.key == "judge")
    assert judged.status == "ok", run.reason
    assert isinstance(judged.output["ok"], bool)
    expected = [("o1", 30.0)] if judged.output["ok"] else []
    assert expected == PAID
    assert {attempt.step for attempt in run.attempts} == {"judge", "reply"}
    assert run.usage.output_tokens is not None
    assert run.status in ("ok", "failed")  # a small model may talk past its limit
