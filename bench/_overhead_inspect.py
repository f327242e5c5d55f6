"""inspect-ai with its mock model: python bench/_overhead_inspect.py CASES (run by ``harness_overhead.py``)."""

from __future__ import annotations

import json
import sys
import tempfile
from typing import Any

from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate


def instant(*_: Any) -> ModelOutput:
    output = ModelOutput.from_content(model="mockllm", content="Default output")
    output.usage = ModelUsage(input_tokens=10, output_tokens=3, total_tokens=13)  # else it counts with a tokenizer
    return output


def main() -> None:
    cases = int(sys.argv[1])
    dataset = MemoryDataset(
        [
            Sample(id=number, input=f"What is {number}+1? Answer briefly, please.", target="Default")
            for number in range(cases)
        ]
    )
    with tempfile.TemporaryDirectory() as folder:
        [log] = evaluate(
            Task(dataset=dataset, solver=generate(), scorer=includes()),
            model=get_model("mockllm/model", custom_outputs=instant),
            display="none",
            log_dir=folder,
            max_samples=100,
            max_connections=100,
        )
    assert log.results is not None, log.error
    print(json.dumps({"samples": cases, "right": log.results.scores[0].metrics["accuracy"].value}))


if __name__ == "__main__":
    main()
