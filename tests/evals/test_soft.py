"""Agreement beyond the label: divergences, calibration and weights against independent implementations."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy
from sklearn.calibration import calibration_curve

from skillforge.evals.answer import Answer
from skillforge.evals.pages.rows import CaseRow, Cell
from skillforge.evals.soft import calibration, calibration_bins, calibration_error, kl_divergence, soft_of
from skillforge.skill import Skill
from tests.conftest import TRIAGE
from tests.fakes.eval_report import SKILL, TEACHER, made

SHARE = st.floats(1e-3, 1.0)


def test_the_divergence_is_that_of_the_shared_labels_and_one_place_for_the_rest() -> None:
    first, second = {"a": 0.6, "b": 0.3, "x": 0.05}, {"a": 0.5, "b": 0.2, "y": 0.1}
    assert kl_divergence(first, second) == pytest.approx(entropy([0.6, 0.3, 0.1], [0.5, 0.2, 0.3]), abs=1e-9)
    assert kl_divergence(first, first) == 0
    assert kl_divergence({"a": 1.0}, {"b": 1.0}) == 0  # nothing is shared: nothing can be said
    assert math.isfinite(kl_divergence({"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 1.0}))


@given(st.lists(st.tuples(SHARE, SHARE), min_size=2, max_size=8), st.integers(1, 8))
def test_it_never_exceeds_the_divergence_over_all_labels(weights: list[tuple[float, float]], told: int) -> None:
    p = np.array([a for a, _ in weights]) / sum(a for a, _ in weights)
    q = np.array([b for _, b in weights]) / sum(b for _, b in weights)
    first = {str(at): float(share) for at, share in enumerate(p)}
    second = {str(at): float(share) for at, share in enumerate(q) if at < told}
    assert 0 <= kl_divergence(first, second) <= entropy(p, q) + 1e-4


def drawn(n: int, seed: int, skew: float = 0.0) -> list[tuple[float, bool]]:
    chance = random.Random(seed)
    sure = [0.3 + 0.7 * chance.random() for _ in range(n)]
    return [(p, chance.random() < p - skew) for p in sure]


@pytest.mark.parametrize("seed", range(4))
def test_bins_of_equal_mass_are_those_of_scikit_learn(seed: int) -> None:
    pairs = drawn(400, seed)
    right, sure = calibration_curve([good for _, good in pairs], [p for p, _ in pairs], n_bins=10, strategy="quantile")
    bins = calibration_bins(pairs)
    assert [one.confidence for one in bins] == pytest.approx(list(sure), abs=5e-3)  # its edges lie between two items
    assert [one.right for one in bins] == pytest.approx(list(right), abs=0.03)
    whole = sum(one.n * abs(one.right - one.confidence) for one in bins) / 400
    assert calibration_error(pairs) == pytest.approx(whole)


def test_a_perfect_model_shows_the_error_that_is_told_beside_it_and_one_too_sure_shows_more() -> None:
    good = calibration([[pair] for pair in drawn(600, 1)])
    sure = calibration([[pair] for pair in drawn(600, 1, skew=0.2)])
    assert good is not None
    assert sure is not None
    assert good.error < 2 * good.noise
    assert sure.bounds.low > sure.noise
    assert sure.overconfident == pytest.approx(0.2, abs=0.05)
    assert sure.bounds.low <= sure.error <= sure.bounds.high
    assert calibration([[pair] for pair in drawn(10, 1)]) is None


def answer(queue: str, shares: dict[str, float] | None) -> Answer:
    told = None if shares is None else {"queue": {f'"{name}"': share for name, share in shares.items()}}
    return Answer(
        key="k", status="ok", run_status="ok", output={"queue": queue}, reason="", checks=(), repaired=False,
        usd=0.0, list_usd=0.0, cost_estimated=False, input_tokens=1, output_tokens=1, latency_s=1.0, model="m",
        probabilities=told,
    )  # fmt: skip


def row(number: int, teacher: Answer, student: Answer, label: str = "bug") -> CaseRow:
    cells = {"teacher": Cell((teacher,), None), SKILL.name: Cell((student,), None)}
    return CaseRow(f"c{number}", {"ticket": "t"}, {"queue": label}, None, {}, cells)


@pytest.fixture(scope="module")
def report() -> Any:
    return made(Skill.model_validate(TRIAGE), 40, (TEACHER, SKILL)).report


def test_a_disagreement_of_two_that_are_sure_weighs_most(report: Any) -> None:
    sure = row(1, answer("bug", {"bug": 0.9, "other": 0.1}), answer("other", {"other": 0.8, "bug": 0.2}))
    unsure = row(2, answer("bug", {"bug": 0.5, "other": 0.5}), answer("bug", {"bug": 0.4, "other": 0.3}))
    found = soft_of([sure, unsure], report, ["queue"], asked=True)
    assert found is not None
    (pair,) = found.pairs
    assert (pair.n, pair.both, pair.disagreement) == (2, 2, 0.5)
    assert pair.weighted == pytest.approx(0.72 / (0.72 + 0.2))
    whole = [entropy([0.9, 0.1, 1e-6], [0.2, 0.8, 1e-6]), entropy([0.5, 0.5, 1e-6], [0.4, 0.3, 0.3])]
    assert pair.kl == pytest.approx(sum(whole) / 2, abs=1e-4)
    assert found.not_offered == ()


def test_of_one_that_tells_none_the_confidence_of_the_other_weighs_and_it_is_named(report: Any) -> None:
    rows = [row(n, answer("bug", None), answer("bug" if n else "other", {"bug": 0.9})) for n in range(30)]
    found = soft_of(rows, report, ["queue"], asked=True)
    assert found is not None
    assert found.not_offered == ("teacher",)
    assert [arm.name for arm in found.arms] == [SKILL.name]
    assert found.arms[0].calibration is not None
    assert found.pairs[0].kl is None


def test_where_nobody_was_asked_and_nobody_tells_there_is_nothing(report: Any) -> None:
    rows = [row(1, answer("bug", None), answer("bug", None))]
    assert soft_of(rows, report, ["queue"], asked=False) is None
    assert soft_of(rows, report, [], asked=True) is None
    silent = soft_of(rows, report, ["queue"], asked=True)
    assert silent is not None
    assert silent.not_offered == ("teacher", SKILL.name)
