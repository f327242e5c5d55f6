"""What was copied out of the request in every trace has to stand in it at every run."""

from __future__ import annotations

from skillforge.engine.compiling.mechanical import mechanical_plan
from tests.fakes.agent_traces import agent_trace


def test_a_value_that_stood_in_every_request_is_checked_to_stand_in_it() -> None:
    traces = [
        agent_trace(
            f"t{n}", [("close_case", {"case_id": f"C-{n}00", "level": level}, "ok")], said=f"Close C-{n}00 please"
        )
        for n, level in ((1, "minor"), (2, "major"))
    ]
    plan = mechanical_plan("", traces)
    understand = plan.steps[0]
    assert [(check.type, check.on_fail) for check in understand.checks] == [("in-input", "escalate")]
    (check,) = understand.checks
    assert check.path in ("/case_id", "/close_case_case_id")
