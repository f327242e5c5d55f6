"""A skill on messages nobody here wrote: CLINC150's 15 banking intents, 20 train messages an intent, 150 test messages.

    SKILLFORGE_DATA=/path/to/data python bench/clinc150.py [--cases 150]

The data set is read where it lies and never copied. ``clinc150_teacher.json`` holds a strong model's answers by message
id, made from the messages; they become a recording in a temporary folder, ``Forge.create`` makes the skill from
the train messages, ``Forge.eval`` measures it on the test messages against the data set's own labels.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from skillforge import Case, Forge
from skillforge.cli._progress import Progress
from skillforge.cli._report import render_report
from skillforge.engine.author import author_request
from skillforge.engine.solve import solve_request
from skillforge.messages import Request
from skillforge.providers.recording import RecordedLine, RecordedRequest, RecordedResponse, write_recording
from skillforge.trace import Trace

INTENTS = [
    "freeze_account",
    "routing",
    "pin_change",
    "bill_due",
    "pay_bill",
    "account_blocked",
    "interest_rate",
    "min_payment",
    "bill_balance",
    "transfer",
    "order_checks",
    "balance",
    "spending_history",
    "transactions",
    "report_fraud",
]
TASK = f"Name the intent of one banking message: exactly one of {', '.join(INTENTS)}. Answer with the field intent."
PER_INTENT, TEST = 20, 150
STUDENT = "local:smollm2-135m"
SKILL: dict[str, Any] = {
    "name": "banking-intent",
    "description": "Name the intent of one banking message. Use when routing customer chat at a bank.",
    "input": {"text": {"type": "string", "maxLength": 2000}},
    "output": {"intent": {"enum": INTENTS}},
    "instructions": "Name the intent of the banking message, as in the examples. Choose the label whose examples ask "
    "for the same thing.\n",
    "prompt": "{{ text }}\n",
    "examples": {"ids": "all", "select": "nearest", "k": 6},
    "limits": {"input_tokens": 4000, "output_tokens": 24},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=TEST)
    wanted = parser.parse_args().cases
    data = os.environ.get("SKILLFORGE_DATA")
    if not data:
        print("skipped: SKILLFORGE_DATA is not set")
        return 0
    train, test = messages(Path(data) / "cls_clinc150")
    with tempfile.TemporaryDirectory() as folder:
        suite = write_repository(Path(folder), train, test)
        with Forge(folder) as forge:
            created = forge.create(TASK, cases=train, teacher=f"replay:{suite.parent / 'teacher.jsonl'}")
            print(f"created {created.name}@{created.version}: {created.examples} examples, {created.solved} solved")
            with Progress("measuring", 4 * min(wanted, len(test))) as bar:
                report = forge.eval(
                    created.path,
                    students=[STUDENT],
                    teacher="recorded",
                    suite=suite,
                    limit=wanted,
                    on_sample=lambda arm, case_id, answer, reused: bar.advance(arm.name),
                )
    render_report(report)
    for arm in report.arms:
        print(f"{arm.name}: {arm.quality:.3f} right, median {arm.p50_s or 0:.2f} s a message")
    return 0


def messages(folder: Path) -> tuple[list[Case], list[Case]]:
    """20 train messages an intent, and 10 test messages an intent as far as there are, filled up to 150."""
    train = [row for intent in INTENTS for row in _of_intent(folder / "train.jsonl", intent)[:PER_INTENT]]
    by_intent = [_of_intent(folder / "test.jsonl", intent) for intent in INTENTS]
    test = [row for rows in by_intent for row in rows[:10]]
    rest = sorted((row for rows in by_intent for row in rows[10:]), key=_rank)
    return [_case(row, "train") for row in train], [_case(row, "test") for row in test + rest[: TEST - len(test)]]


def write_repository(folder: Path, train: list[Case], test: list[Case]) -> Path:
    """A small repository: the suite, its cases, and the recording of the teacher's answers and of its draft."""
    answers = json.loads((Path(__file__).parent / "clinc150_teacher.json").read_text("utf-8"))
    lines = [_line(solve_request(TASK, case.input), {"intent": answers[case.id]}) for case in train + test]
    traces = [Trace(case_id=c.id, task=TASK, input=c.input, output={"intent": answers[c.id]}) for c in train]
    lines.append(_line(author_request(TASK, traces), SKILL))
    for case in train:
        key = solve_request(TASK, case.input).key.model_copy(update={"role": "run"})
        request = solve_request(TASK, case.input).model_copy(update={"key": key})
        lines.append(_line(request, {"intent": answers[case.id]}))
    (folder / ".skillforge").mkdir()
    evals = folder / "evals"
    evals.mkdir()
    write_recording(evals / "teacher.jsonl", lines)
    with (evals / "cases.jsonl").open("w", encoding="utf-8") as handle:
        for case in test:
            handle.write(json.dumps(case.model_dump(exclude_defaults=True)) + "\n")
    suite = evals / "banking-intent.yaml"
    suite.write_text(
        "schema: skillforge/suite/v1\nname: banking-intent\ndecision: {metric: /intent, margin: 0.05}\n"
        "cases: file://cases.jsonl\nrecorded: file://teacher.jsonl\n",
        "utf-8",
    )
    return suite


def _of_intent(path: Path, intent: str) -> list[dict[str, Any]]:
    rows = (json.loads(line) for line in path.read_text("utf-8").splitlines())
    return sorted((row for row in rows if row["label"] == intent), key=_rank)


def _rank(row: dict[str, Any]) -> str:
    return hashlib.sha256(str(row["id"]).encode()).hexdigest()


def _case(row: dict[str, Any], split: Any) -> Case:
    return Case(id=row["id"], input={"text": row["text"]}, expected={"intent": row["label"]}, split=split)


def _line(request: Request, answer: Any) -> RecordedLine:
    return RecordedLine(
        request=RecordedRequest.of(request), response=RecordedResponse(json=answer, model="strong-teacher")
    )


if __name__ == "__main__":
    sys.exit(main())
