from __future__ import annotations

import time
from pathlib import Path

import pytest

from skillforge import Forge
from skillforge.errors import KeyRejected, ProviderStopped
from tests.fakes import lab
from tests.fakes.faults import Fault, refuse, seeded
from tests.fakes.llm_server import LLMServer

OPTIONS = "concurrency = 32\ntimeout_s = 2\n"
CASES = 8
MIX = {
    refuse(429, 0.01): 0.02,
    refuse(429): 0.01,
    refuse(400): 0.08,
    refuse(500): 0.02,
    refuse(529): 0.02,
    Fault("cut"): 0.02,
    Fault("cut", at=0.8, clean=True): 0.02,
    Fault("malformed"): 0.02,
    Fault("drip", every_ms=20): 0.02,
    Fault("reset"): 0.02,
    Fault("no_stop"): 0.02,
}


def measure(root: Path) -> None:
    forge = Forge(root)
    try:
        forge.eval("parity", students=[lab.PLAIN, lab.STREAMED], teacher=lab.TEACHER)
    finally:
        forge.close()


@pytest.mark.parametrize("kind", lab.KINDS)
def test_whatever_fails_every_case_has_one_row_every_call_is_counted_and_only_errors_are_asked_again(tmp_path, kind):
    with LLMServer(lab.answer, seeded(3, MIX)) as server:
        lab.write_repository(tmp_path, server.url, kind, CASES, options=OPTIONS)
        measure(tmp_path)
        asked, ledger = len(server.settle()), lab.read_ledger(tmp_path)
        assert len(ledger.rows) == 5 * CASES
        assert set(ledger.rows.values()) == {1}
        assert ledger.calls == asked
        assert ledger.broken == 0
        assert ledger.errors
        measure(tmp_path)
        again, later = server.settle()[asked:], lab.read_ledger(tmp_path)
    questions = [lab.question(call.body) for call in again]
    assert {(each.arm, each.case) for each in questions} == ledger.errors
    assert later.rows == ledger.rows
    assert later.calls == asked + len(again)


@pytest.mark.parametrize(
    ("fault", "error", "most"),
    [
        (refuse(401, message="no such key"), KeyRejected, 24),
        (refuse(400, message="no such thing"), ProviderStopped, 24),
        (refuse(404, message="no such model"), ProviderStopped, 24),
    ],
    ids=["401", "400", "404"],
)
def test_an_error_that_will_not_change_stops_all_after_a_few_calls(tmp_path, fault, error, most):
    with LLMServer(lab.answer, lambda number, body: fault) as server:
        lab.write_repository(tmp_path, server.url, "openai-chat", 40, options=OPTIONS)
        started = time.monotonic()
        with pytest.raises(error, match=fault.message):
            measure(tmp_path)
        assert len(server.settle()) <= most
    assert time.monotonic() - started < 10


def test_a_student_whose_model_will_not_answer_stops_alone(tmp_path):
    fault = refuse(400, message="no such thing")
    with LLMServer(lab.answer, lambda number, body: fault if body["model"] == "plain" else None) as server:
        lab.write_repository(tmp_path, server.url, "openai-chat", 40, options=OPTIONS)
        forge = Forge(tmp_path)
        try:
            report = forge.eval("parity", students=[lab.PLAIN, lab.STREAMED], teacher=lab.TEACHER)
        finally:
            forge.close()
        refused = [call for call in server.settle() if call.body["model"] == "plain"]
    assert len(refused) <= 40
    stopped, other = report.arm(f"{lab.PLAIN} + skill"), report.arm(f"{lab.STREAMED} + skill")
    assert (stopped.n, other.n, other.errors) == (0, 40, 0)
    assert any(reason.startswith("not asked: lab:plain said the same 5 times") for reason, _ in stopped.error_reasons)
    assert stopped.versus_teacher is not None
    assert stopped.versus_teacher.verdict == "inconclusive"
