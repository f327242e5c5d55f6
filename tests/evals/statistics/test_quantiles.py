"""Quantiles against scipy, percentiles against numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from skillforge.errors import UsageError
from skillforge.evals.statistics import beta_quantile, normal_quantile, percentile, t_quantile
from skillforge.evals.statistics.special import beta_cdf


@pytest.mark.parametrize("df", [1, 1.5, 2, 2.7, 3, 5, 10.25, 30, 99.5, 199.9, 200, 201, 500, 12345.6, 1e5, 1e6])
def test_t_quantile_agrees_with_scipy(df: float) -> None:
    for p in (1e-9, 1e-4, 0.005, 0.05, 0.3, 0.49999, 0.5, 0.51, 0.75, 0.9, 0.95, 0.975, 0.999, 1 - 1e-8):
        assert t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-8, abs=1e-10)


@settings(max_examples=60)
@given(st.floats(1e-6, 1 - 1e-6), st.floats(1, 1e6))
def test_t_quantile_inverts_the_cdf_is_symmetric_and_heavier_than_the_normal(p: float, df: float) -> None:
    t = t_quantile(p, df)
    assert stats.t.cdf(t, df) == pytest.approx(p, rel=1e-9, abs=1e-12)
    assert t_quantile(1 - p, df) == pytest.approx(-t, rel=1e-8, abs=1e-9)
    assert abs(t) >= abs(normal_quantile(p)) - 1e-9


def test_t_quantile_ends_in_the_normal_without_a_step() -> None:
    assert t_quantile(0.975, math.inf) == normal_quantile(0.975)
    assert t_quantile(0.975, 1.0001e7) == pytest.approx(t_quantile(0.975, 0.9999e7), rel=1e-10)


@settings(max_examples=150)
@given(st.floats(0, 1), st.floats(0.5, 1e5), st.floats(0.5, 1e5))
def test_the_beta_cdf_agrees_with_scipy(x: float, a: float, b: float) -> None:
    assert beta_cdf(x, a, b) == pytest.approx(special.betainc(a, b, x), rel=1e-7, abs=1e-12)


@settings(max_examples=60)
@given(st.floats(1e-6, 1 - 1e-6), st.floats(1, 1e4), st.floats(1, 1e4))
def test_the_beta_quantile_agrees_with_scipy(p: float, a: float, b: float) -> None:
    assert beta_quantile(p, a, b) == pytest.approx(stats.beta.ppf(p, a, b), rel=1e-7, abs=1e-12)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(0, 100))
def test_percentile_is_numpys(values: list[float], q: float) -> None:
    assert percentile(values, q) == pytest.approx(np.percentile(values, q), rel=1e-9, abs=1e-6)


def test_percentile_of_nothing_is_unknown() -> None:
    assert percentile([], 95) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: percentile([1.0], 101),
        lambda: percentile([math.inf], 50),
        lambda: normal_quantile(1),
        lambda: t_quantile(0, 5),
        lambda: t_quantile(0.9, 0.5),
        lambda: t_quantile(0.9, math.nan),
        lambda: beta_quantile(1, 2, 2),
        lambda: beta_cdf(1.1, 2, 2),
        lambda: beta_cdf(0.5, 0, 2),
    ],
)
def test_what_makes_no_sense_is_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError):
        call()
