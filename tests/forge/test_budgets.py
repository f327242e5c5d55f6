from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.bill import one_eval


@pytest.mark.parametrize("seed", range(1, 13))
def test_the_servers_own_bill_is_never_over_the_budget_and_nothing_is_paid_twice(tmp_path: Path, seed: int):
    outcome = one_eval(tmp_path, seed, cases=2)
    assert outcome.broken == ()
