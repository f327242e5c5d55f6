"""The three shipped workflows on the local 135M model beside the recorded agent loops: every test case.

    python bench/workflows.py [CASES]

CASES is how many of each skill (default: all). Prints the table of ``skillforge demo-workflow``, the share that failed
or escalated, and how often each language step read what the label says. Needs the weights (skillforge models pull
smollm2-135m) and some ten minutes on two cores.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

from _shared import print_table

from skillforge import Forge
from skillforge.cli._eval_options import wishes_of
from skillforge.cli._terms import terms_of
from skillforge.cli._workflow_table import workflow_table
from skillforge.cli.demo import STUDENT
from skillforge.cli.demo_workflow import SANDBOX
from skillforge.cli.evaluate import measured
from skillforge.demo_data import WORKFLOWS, copy_workflow_demo
from skillforge.forge.measuring.reporting import Measured


def outcomes(found: Measured) -> tuple[Counter[str], list[tuple[str, str]]]:
    """How the workflow's runs ended, and which cases it got wrong with their kind."""
    report = found.report
    (arm,) = report.arms
    ended: Counter[str] = Counter()
    wrong = []
    for case in found.cases:
        answer = found.table[arm.name][case.id][0]
        ended[answer.run_status] += 1
        output = answer.output or {}
        if any(output.get(name) != value for name, value in (case.expected or {}).items()):
            wrong.append((case.id, str(case.metadata.get("kind", ""))))
    return ended, wrong


def main(cases: int | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy_workflow_demo(Path(folder))
        Path(folder, "skillforge.toml").touch()
        found = []
        with Forge(Path(folder)) as forge:
            for name in WORKFLOWS:
                asked = {
                    "students": STUDENT,
                    "teacher": "recorded",
                    "arms": "skill",
                    "sandbox": SANDBOX,
                    "limit": cases,
                }
                path = str(Path(folder, "skills", name))
                found.append(measured(forge, path, wishes_of(asked, terms_of(None, None, None))))
    print("\n".join(workflow_table(each.report for each in found)))
    print()
    rows: list[tuple[object, ...]] = [("skill", "ok", "escalated", "failed", "error", "p50 s", "p95 s", "wrong cases")]
    for each in found:
        ended, wrong = outcomes(each)
        (arm,) = each.report.arms
        told = ", ".join(f"{case} {kind}" for case, kind in wrong)
        timed = (f"{seconds:.1f}" if seconds is not None else "–" for seconds in (arm.p50_s, arm.p95_s))
        counts = (ended[status] for status in ("ok", "escalated", "failed", "error"))
        rows.append((each.report.skill, *counts, *timed, told))
    print_table(rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else None)
