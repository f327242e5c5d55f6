"""How often a verdict is wrong: false passes and fails of every rule, exactly where that can be, else by simulation.

    python bench/error_rates.py [suites] [seed]

Right-or-wrong scores: every outcome of n cases is enumerated and judged by the package's own functions, weighted by its
probability. Everything else: 10,000 simulated suites. "At the margin" is a student exactly 5 points worse at a margin
of 5, the worst that may still be called a false pass; "A/A" is a student that is no worse and no better. q is how often
the two disagree. Takes about a minute and a half on two cores.
"""

from __future__ import annotations

import math
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache

from _shared import finish, print_table

from skillforge.evals.statistics import (
    BettingTest,
    Interval,
    Verdict,
    clopper_pearson,
    decide,
    holm,
    noninferiority_p,
    paired_t_interval,
    tango_interval,
    wilson,
)

MARGIN, ALPHA = 0.05, 0.05
LEVEL = 1 - 2 * ALPHA
SIZES, SHARES = (50, 200, 500), (0.1, 0.2)
PASS_LIMIT, SEQUENTIAL_LIMIT, FAIL_LIMIT = 0.06, 0.055, 0.01
PROCESSES = 2
LONGEST = 2000  # cases of a sequential suite

Counts = tuple[int, int]


@dataclass(frozen=True)
class Rate:
    """One measured share. ``limit`` is what it may be at most; ``None``: it is only told. ``beside`` is its match."""

    what: str
    case: str
    share: float
    how: str
    limit: float | None = None
    beside: str = ""

    @property
    def broken(self) -> bool:
        return self.limit is not None and self.share > self.limit

    def row(self) -> list[object]:
        limit = "" if self.limit is None else f"<= {self.limit:.1%}"
        return [self.what, self.case, f"{self.share:.4f}", limit, self.how, self.beside]


# --- exact: right-or-wrong scores ---


@cache
def by_tango(gained: int, lost: int, n: int) -> Verdict:
    return decide(tango_interval(gained, lost, n, LEVEL), MARGIN)


@cache
def by_t(gained: int, lost: int, n: int) -> Verdict:
    values = [1.0] * gained + [-1.0] * lost + [0.0] * (n - gained - lost)
    return decide(paired_t_interval(values, LEVEL), MARGIN)


def outcomes(n: int, q: float, difference: float) -> Iterator[tuple[int, int, float]]:
    """(gained, lost, probability) of what has a chance worth counting: what is left out sums to less than 1e-9."""
    win, lose = (q + difference) / 2, (q - difference) / 2
    logs = math.log(win), math.log(lose), math.log(1 - q)
    for gained in range(n + 1):
        for lost in range(n + 1 - gained):
            same = n - gained - lost
            chance = math.lgamma(n + 1) - math.lgamma(gained + 1) - math.lgamma(lost + 1) - math.lgamma(same + 1)
            chance += gained * logs[0] + lost * logs[1] + same * logs[2]
            if chance > -34:  # 1e-15, for at most 125,000 outcomes
                yield gained, lost, math.exp(chance)


def enumerated(rule: Callable[[int, int, int], Verdict], n: int, q: float, difference: float) -> Counter[Verdict]:
    shares: Counter[Verdict] = Counter()
    for gained, lost, chance in outcomes(n, q, difference):
        shares[rule(gained, lost, n)] += chance  # type: ignore[assignment]  # a counter of shares
    return shares


def simulated(n: int, q: float, difference: float, suites: int, seed: int) -> Counter[Verdict]:
    found: Counter[Verdict] = Counter()
    source = random.Random(seed)
    for _ in range(suites):
        gaps = Counter(draws(source, n, q, difference))
        found[by_tango(gaps[1.0], gaps[-1.0], n)] += 1
    return found


def draws(source: random.Random, n: int, q: float, difference: float) -> list[float]:
    return source.choices((1.0, -1.0, 0.0), ((q + difference) / 2, (q - difference) / 2, 1 - q), k=n)


def right_or_wrong(n: int, q: float, suites: int, seed: int) -> list[Rate]:
    at_margin, same = enumerated(by_tango, n, q, -MARGIN), enumerated(by_tango, n, q, 0.0)
    drawn = simulated(n, q, 0.0, suites, seed)
    textbook = enumerated(by_t, n, q, -MARGIN)
    case = f"n={n} q={q}"
    return [
        Rate("Tango, at the margin: pass", case, at_margin["pass"], "exact", PASS_LIMIT),
        Rate("Tango, at the margin: fail", case, at_margin["fail"], "exact"),
        Rate("Tango, A/A: fail", case, same["fail"], "exact", FAIL_LIMIT),
        Rate(
            "Tango, A/A: pass",
            case,
            drawn["pass"] / suites,
            f"{suites:,} suites",
            beside=f"exact power {same['pass']:.4f}",
        ),
        Rate("paired t instead, at the margin: pass", case, textbook["pass"], "exact", beside="why Tango is used"),
    ]


# --- simulated: stopping early ---


def sequential(q: float, difference: float, suites: int, seed: int) -> list[Rate]:
    source = random.Random(seed)
    stopped: dict[Verdict, list[int]] = {"pass": [], "fail": [], "inconclusive": []}
    for _ in range(suites):
        test = BettingTest(MARGIN, ALPHA)
        for gap in draws(source, LONGEST, q, difference):
            if test.add(gap) != "inconclusive":
                break
        stopped[test.verdict].append(test.n)
    where = "at the margin" if difference == -MARGIN else "A/A" if difference == 0 else f"{-difference:.0%} worse"
    case, how = f"n<={LONGEST} q={q}", f"{suites:,} suites"
    ends = sorted(stopped["pass"] + stopped["fail"] + stopped["inconclusive"])
    beside = f"median stop {ends[len(ends) // 2]}"
    pass_limit = SEQUENTIAL_LIMIT if difference == -MARGIN else None
    fail_limit = {0.0: FAIL_LIMIT, -MARGIN: SEQUENTIAL_LIMIT}.get(difference)
    return [
        Rate(f"betting, {where}: {verdict}", case, len(stopped[verdict]) / suites, how, limit, beside)
        for verdict, limit in (("pass", pass_limit), ("fail", fail_limit))
    ]


# --- simulated: graded, clusters, several students ---

# One case's difference under a partial-credit metric, exactly 5 points worse on average: mostly ties, some rare losses.
GRADED = {-1.0: 0.035, -0.5: 0.08, -0.25: 0.1, 0.0: 0.665, 0.25: 0.06, 0.5: 0.05, 1.0: 0.01}
T_LIMIT = 0.1  # no promise: the paired t is what it is; beyond this something is wrong


def graded(n: int, suites: int, seed: int) -> list[Rate]:
    source = random.Random(seed)
    passed = 0
    for _ in range(suites):
        gaps = source.choices(list(GRADED), list(GRADED.values()), k=n)
        passed += decide(paired_t_interval(gaps, LEVEL), MARGIN) == "pass"
    return [Rate("paired t, graded, at the margin: pass", f"n={n}", passed / suites, f"{suites:,} suites", T_LIMIT)]


def rare_losses(n: int) -> list[Rate]:
    """The worst for the t interval: nearly all cases tie and 5.5% are lost outright."""
    share = enumerated(by_t, n, 0.06, -MARGIN)["pass"]
    tango = enumerated(by_tango, n, 0.06, -MARGIN)["pass"]
    beside = f"Tango {tango:.4f}"
    return [Rate("paired t, rare losses, at the margin: pass", f"n={n} q=0.06", share, "exact", T_LIMIT, beside)]


def clustered(count: int, sizes: str, suites: int, seed: int) -> list[Rate]:
    """Clusters of 5 cases, or of 1 to 9; in one of ten the student loses half of the cases it should have won."""
    source = random.Random(seed)
    robust = naive = 0
    for _ in range(suites):
        gaps: list[float] = []
        groups: list[int] = []
        for group in range(count):
            size = 5 if sizes == "5" else source.randint(1, 9)
            q, difference = (0.5, -0.5 + 0.05) if source.random() < 0.1 else (0.06, -0.005 / 0.9)
            gaps += draws(source, size, q, difference)
            groups += [group] * size
        robust += decide(paired_t_interval(gaps, LEVEL, groups), MARGIN) == "pass"
        naive += decide(paired_t_interval(gaps, LEVEL), MARGIN) == "pass"
    how, case = f"{suites:,} suites", f"{count} clusters of {sizes}"
    beside = f"without clusters {naive / suites:.4f}"
    return [Rate("cluster t, at the margin: pass", case, robust / suites, how, T_LIMIT, beside)]


@cache
def tango_p(counts: Counts, n: int) -> float:
    return noninferiority_p(lambda level: tango_interval(*counts, n, level), MARGIN)


def several(students: int, n: int, suites: int, seed: int) -> list[Rate]:
    """So many students, all exactly at the margin, against one teacher: how often does any of them pass?"""
    source = random.Random(seed)
    teacher_right, keeps = 0.8, 0.9  # a student is right on 90% of what the teacher gets right …
    gains = (teacher_right * (1 - keeps) - MARGIN) / (1 - teacher_right)  # … and on as much else as makes 5 points less
    adjusted = naive = 0
    for _ in range(suites):
        right = sum(source.random() < teacher_right for _ in range(n))
        counts = [(_binomial(source, n - right, gains), _binomial(source, right, 1 - keeps)) for _ in range(students)]
        ps = [tango_p(pair, n) for pair in counts]
        naive += min(ps) <= ALPHA
        adjusted += min(holm(ps)) <= ALPHA
    beside = f"without Holm {naive / suites:.4f}"
    how = f"{suites:,} suites"
    return [Rate("Holm, at the margin: any passes", f"{students} students n={n}", adjusted / suites, how, 0.06, beside)]


def _binomial(source: random.Random, n: int, share: float) -> int:
    return sum(source.random() < share for _ in range(n))


# --- exact: one share ---


def coverage(name: str, interval: Callable[[int, int, float], Interval], n: int, least: float) -> list[Rate]:
    """How often the interval misses the true share, at 199 shares: the worst and the mean."""
    found = [interval(k, n, 0.95) for k in range(n + 1)]
    missed = []
    for step in range(1, 200):
        p = step / 200
        chances = (math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1))
        missed.append(sum(c for c, i in zip(chances, found, strict=True) if not i.low <= p <= i.high))
    mean = sum(missed) / len(missed)
    return [Rate(f"{name} 95%: misses, at worst", f"n={n}", max(missed), "exact", least, f"on average {mean:.4f}")]


def jobs(suites: int, seed: int) -> list[tuple[Callable[..., list[Rate]], tuple[object, ...]]]:
    found: list[tuple[Callable[..., list[Rate]], tuple[object, ...]]] = []
    found += [(right_or_wrong, (n, q, suites, seed)) for q in SHARES for n in SIZES]
    found += [(sequential, (q, gap, suites, seed)) for gap in (-MARGIN, 0.0) for q in SHARES]
    found += [(sequential, (0.2, -0.15, suites, seed))]
    found += [(graded, (n, suites, seed)) for n in SIZES]
    found += [(rare_losses, (n,)) for n in (100, *SIZES)]
    found += [(clustered, (count, sizes, suites, seed)) for sizes in ("5", "1 to 9") for count in (20, 50, 100)]
    found += [(several, (5, 200, suites, seed))]
    found += [(coverage, ("Wilson", wilson, 50, 0.12)), (coverage, ("Clopper-Pearson", clopper_pearson, 50, 0.05))]
    return found


def main() -> None:
    suites = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with ProcessPoolExecutor(PROCESSES) as pool:
        pending: Sequence[Future[list[Rate]]] = [pool.submit(job, *args) for job, args in jobs(suites, seed)]
        rates = [rate for future in pending for rate in future.result()]
    print_table([["what", "case", "share", "limit", "how", "beside"], *(rate.row() for rate in rates)])
    finish([f"{rate.what}, {rate.case}: {rate.share:.4f} is above {rate.limit}" for rate in rates if rate.broken])


if __name__ == "__main__":
    main()
