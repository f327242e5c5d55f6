"""Intervals, verdicts and sample sizes for comparing a student with its teacher on the same cases.

Scores lie in [0, 1], so paired differences (student - teacher) lie in [-1, 1] and every bound here is kept inside its
range. Standard library only: scipy costs a second to import and is the oracle in the tests.

The unseen share: the spread of ``n`` graded scores says nothing about a rare failure that has not turned up yet, and
equal scores have no spread at all. A share of cases up to ``u = z^2 / (n + z^2)`` can stay unseen in ``n`` draws
(Wilson's bound for 0 of n, akin to the rule of three). So no graded interval is narrower than "the mean, with a share u
of the cases moved to the far end of the range": Wilson's interval for scores all 0 or all 1, Tango's for ties. Of
clusters n is Kish's effective number of them, ``(sum of sizes)^2 / sum of squared sizes``.

What is used when:

================================  =====================================================================
one arm, right or wrong           ``wilson``; ``clopper_pearson`` where the level must never be missed
one arm, graded                   ``mean_interval``, with ``groups`` where cases are dependent
two arms, right or wrong          ``tango_interval``, with ``mcnemar_p`` told beside it
two arms, graded or in clusters   ``paired_t_interval``
stopping early                    ``BettingTest``, ``betting_interval``
several students                  ``holm``
two raters                        ``cohens_kappa``
================================  =====================================================================
"""

from __future__ import annotations

from skillforge.evals.statistics.agreement import Kappa, cohens_kappa
from skillforge.evals.statistics.interval import Interval, Verdict, decide
from skillforge.evals.statistics.means import (
    MeanEstimate,
    difference_estimate,
    mean_estimate,
    mean_interval,
    paired_t_interval,
)
from skillforge.evals.statistics.percentiles import percentile
from skillforge.evals.statistics.planning import (
    MAX_CASES,
    MAX_GROWTH,
    cases_needed,
    detectable_difference,
    tango_cases_needed,
    tango_detectable,
)
from skillforge.evals.statistics.proportions import clopper_pearson, mcnemar_p, tango_interval, wilson
from skillforge.evals.statistics.pvalues import SMALLEST_P, holm, inferiority_p, noninferiority_p
from skillforge.evals.statistics.sequential import (
    BettingTest,
    betting_cases_needed,
    betting_detectable,
    betting_interval,
    largest_of,
)
from skillforge.evals.statistics.special import beta_quantile, normal_quantile, t_quantile

__all__ = [
    "MAX_CASES",
    "MAX_GROWTH",
    "SMALLEST_P",
    "BettingTest",
    "Interval",
    "Kappa",
    "MeanEstimate",
    "Verdict",
    "beta_quantile",
    "betting_cases_needed",
    "betting_detectable",
    "betting_interval",
    "cases_needed",
    "clopper_pearson",
    "cohens_kappa",
    "decide",
    "detectable_difference",
    "difference_estimate",
    "holm",
    "inferiority_p",
    "largest_of",
    "mcnemar_p",
    "mean_estimate",
    "mean_interval",
    "noninferiority_p",
    "normal_quantile",
    "paired_t_interval",
    "percentile",
    "t_quantile",
    "tango_cases_needed",
    "tango_detectable",
    "tango_interval",
    "wilson",
]
