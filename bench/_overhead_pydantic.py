"""pydantic-evals, which keeps nothing: python bench/_overhead_pydantic.py CASES (run by ``harness_overhead.py``)."""

from __future__ import annotations

import asyncio
import json
import sys

from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import EqualsExpected


async def instant(question: str) -> str:
    return "Default output"


def main() -> None:
    cases = int(sys.argv[1])
    dataset = Dataset(
        name="overhead",
        cases=[
            Case(
                name=f"c{number}",
                inputs=f"What is {number}+1? Answer briefly, please.",
                expected_output="Default output",
            )
            for number in range(cases)
        ],
        evaluators=[EqualsExpected()],
    )
    report = asyncio.run(dataset.evaluate(instant, max_concurrency=100, progress=False))
    averages = report.averages()
    print(json.dumps({"samples": len(report.cases), "right": averages and averages.assertions}))


if __name__ == "__main__":
    main()
