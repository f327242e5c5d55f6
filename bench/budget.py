"""200 evals with random budgets: not a nano-dollar too much is spent, and what was paid for is never paid for again.

    python bench/budget.py [evals] [seed]

The server tells random usage up to all that a call may take, and keeps its own bill: for every call that reached the
model, also those whose answer was cut off or never arrived.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from _shared import finish, print_table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.fakes.bill import Outcome, one_eval

CASES = 8
PROCESSES, THREADS = 2, 8  # evals wait for pauses most of the time


@dataclass(frozen=True)
class Share:
    """The evals of one process."""

    seeds: tuple[int, ...]

    def run(self) -> list[Outcome]:
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(_one, self.seeds))


def _one(seed: int) -> Outcome:
    with tempfile.TemporaryDirectory() as name:
        return one_eval(Path(name), seed, cases=CASES)


def main() -> None:
    evals = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    seeds = list(range(first, first + evals))
    random.Random(first).shuffle(seeds)
    with ProcessPoolExecutor(PROCESSES) as pool:
        shares = [Share(tuple(seeds[start::PROCESSES])) for start in range(PROCESSES)]
        done = [outcome for share in pool.map(Share.run, shares) for outcome in share]
    rows: list[list[object]] = [["ended with", "evals", "calls", "samples kept", "billed of budget"]]
    for end in sorted({outcome.ended for outcome in done}):
        these = [outcome for outcome in done if outcome.ended == end]
        billed = sum(float(outcome.billed / outcome.budget) for outcome in these) / len(these)
        kept = sum(outcome.kept for outcome in these)
        calls = sum(outcome.calls for outcome in these)
        rows.append([end, len(these), calls, kept, f"{billed:.1%}"])
    print_table(rows)
    over = [outcome for outcome in done if outcome.billed > outcome.budget]
    faults = sum((outcome.faults for outcome in done), Counter[str]())
    fullest = max(float(o.billed / o.budget) for o in done)
    print(f"\noverspent: {len(over)} of {len(done)}; the fullest was billed {fullest:.1%}")
    budgets = [float(o.budget) for o in done]
    print(f"budgets from ${min(budgets):.6f} to ${max(budgets):.6f}")
    print("what happened: " + ", ".join(f"{what} {count}" for what, count in faults.most_common()))
    print(
        f"then without a budget: {sum(o.calls_after for o in done)} calls, {sum(o.paid_twice for o in done)} paid twice"
    )
    finish([f"seed {outcome.seed}: {line}" for outcome in done for line in outcome.broken])


if __name__ == "__main__":
    main()
