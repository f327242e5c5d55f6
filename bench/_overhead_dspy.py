"""dspy.Evaluate with its dummy model: python bench/_overhead_dspy.py CASES (run by ``harness_overhead.py``)."""

from __future__ import annotations

import json
import sys
from typing import Any

import dspy
from dspy.utils import DummyLM


def equal(example: Any, prediction: Any, trace: Any = None) -> bool:
    return bool(example.answer == prediction.answer)


def main() -> None:
    cases = int(sys.argv[1])
    dspy.configure(lm=DummyLM([{"answer": "Default output"}] * cases))
    examples = [
        dspy.Example(question=f"What is {number}+1? Answer briefly, please.", answer="Default output").with_inputs(
            "question"
        )
        for number in range(cases)
    ]
    evaluate = dspy.Evaluate(devset=examples, metric=equal, num_threads=8, display_progress=False)
    result = evaluate(dspy.Predict("question -> answer"))
    print(json.dumps({"samples": cases, "right": float(result.score) / 100}))


if __name__ == "__main__":
    main()
