"""A skill on messages nobody here wrote: CLINC150's 15 banking intents, 20 train messages an intent, tuned for 135M.

    SKILLFORGE_DATA=/path/to/data python bench/clinc150.py [--cases N] [--bare N]
        [--dev N] [--level SHARE] [--calls N] [--folder FOLDER]

The data set is read where it lies and never copied. ``Forge.create`` makes the skill from the train messages,
``Forge.students.tune`` finds the student's form of it on messages of val.jsonl (--dev of them, at most --calls calls),
and every arm answers the messages of the 15 intents in test.jsonl (--cases: a fixed part of them, the labels in their
proportions). Nothing is chosen on those. --bare: the student alone on so many of them, which is plain soon. The same
--folder goes on where a run was stopped; without one a temporary folder is used.

--level: dev only chooses, the test messages prove. On 60 messages a gain of five points is hardly ever proven at the
.90 of a suite; at .4 the better form is taken unless the gain is about what chance gives.

The teacher's place is taken by the data set's own labels, as a recording: nothing here says that a student is as good
as a strong model (``clinc150_teacher.json`` holds one's answers to the train messages and to 150 of test: all 300 and
147 of the 150 are the labels). Only the instructions were written by one.

Said to beat another: the lower end of the paired interval of the difference lies above 0, one-sided 95% as in every
verdict (Tango's score interval at level .90); the table's intervals are two-sided 95% (Wilson).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
from _shared import print_table

from skillforge import Case, Forge
from skillforge.cli._progress import Progress
from skillforge.engine.author import author_request
from skillforge.engine.forms import adapted
from skillforge.engine.nomodel import NoModelExecutor
from skillforge.engine.solve import solve_request
from skillforge.evals.statistics import mcnemar_p, tango_interval, wilson
from skillforge.forge.measuring.reporting import Measured
from skillforge.messages import Request
from skillforge.providers.recording import RecordedLine, RecordedRequest, RecordedResponse, write_recording
from skillforge.skill import Skill
from skillforge.students.tune.tuned import Tuned
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
PER_INTENT = 20
NAME, STUDENT = "banking-intent", "local:smollm2-135m"
STAGES = ("roots", "examples")  # the others ask for a live teacher, or cost calls that prove nothing here
ONE_SIDED = 0.90  # the level of a two-sided interval each end of which is a one-sided 95% bound
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
    parser.add_argument("--cases", type=int, default=300, help="test messages at most (there are 220)")
    parser.add_argument("--bare", type=int, default=300, help="test messages the student alone answers at most")
    parser.add_argument("--dev", type=int, default=60, help="messages of val.jsonl that decide")
    parser.add_argument("--level", type=float, default=0.4, help="how sure dev must be of a gain (a suite's own: .90)")
    parser.add_argument("--calls", type=int, default=1500, help="calls the tuning may make, its own test included")
    parser.add_argument("--folder", type=Path, default=None, help="where to keep the answers")
    given = parser.parse_args()
    data = os.environ.get("SKILLFORGE_DATA")
    if not data:
        print("skipped: SKILLFORGE_DATA is not set")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        (folder / ".skillforge").mkdir(parents=True, exist_ok=True)
        with Forge(folder, say=lambda line: print(line, file=sys.stderr)) as forge:
            suite = write_suite(folder, Path(data) / "cls_clinc150")
            if not (folder / "skills" / NAME).is_dir():
                labels = f"replay:{suite.with_suffix('.labels.jsonl')}"
                forge.create(TASK, cases=suite.with_suffix(".jsonl"), teacher=labels, suite=f"evals/{NAME}.yaml")
            tuned = tune(forge, given.dev, given.calls, given.level)
            tell(tuned)
            own = ("variant",) if tuned.file else ()
            found = measure(forge, ("no-model", "skill", *own, "examples"), given.cases)
            show(forge, tuned, found, measure(forge, ("bare",), min(given.bare, given.cases)))
    return 0


def tune(forge: Forge, dev: int, calls: int, level: float) -> Tuned:
    """The student's form, found on dev; no strong model is there to write instructions. It writes the variant."""
    with Progress("tuning", calls) as bar:
        return forge.students.tune(
            f"{NAME}@latest",
            student=STUDENT,
            teacher="recorded",
            budget=f"{calls}calls",
            dev=dev,
            level=level,
            stages=STAGES,
            on_asked=lambda reused: bar.advance("asked"),
        )


def measure(forge: Forge, arms: Sequence[str], cases: int) -> Measured:
    with Progress(", ".join(arms), len(arms) * cases) as bar:
        return forge.evals.measure(
            f"{NAME}@latest",
            students=[STUDENT],
            teacher="recorded",
            arms=arms,
            limit=cases,
            on_sample=lambda arm, case_id, answer, reused: bar.advance(arm.name),
        )


def tell(tuned: Tuned) -> None:
    """Every form that was tried, and what came of it."""
    table: list[tuple[object, ...]] = [("no", "stage", "form", "right on dev", "of", "outcome")]
    for tried in tuned.tried:
        quality = "-" if tried.quality is None else f"{tried.quality:.3f}"
        table.append((tried.number, tried.stage, tried.note, quality, tried.n, tried.decided.outcome))
    print_table(table)
    for line in tuned.words:
        print(line)
    print(f"{tuned.calls} calls\n")


def show(forge: Forge, tuned: Tuned, found: Measured, bare: Measured) -> None:
    """The arms with their intervals, then the tuned form beside what it must beat."""
    right: dict[str, dict[str, bool]] = {arm.kind: verdicts(found, arm.name) for arm in found.report.arms}
    seconds: dict[str, float | None] = {arm.kind: arm.p50_s for arm in (*found.report.arms, *bare.report.arms)}
    alone = next(verdicts(bare, arm.name) for arm in bare.report.arms if arm.kind == "bare")
    best = tuned.best
    tuned_kind = "variant" if "variant" in right else "skill"
    names = {
        "bare": (f"{STUDENT}, bare", alone),
        "examples": ("examples only", right["examples"]),
        "skill": ("skill", right["skill"]),
        "no-model": ("no model: majority of the 6 nearest", right["no-model"]),
    }
    if best is not None and (k := adapted(skill_of(forge), best.variant).examples.k) != SKILL["examples"]["k"]:
        names["other-k"] = (f"no model: majority of the {k} nearest", vote(skill_of(forge), k, found.cases))
    if tuned_kind == "variant":
        names["variant"] = ("tuned", right["variant"])
    table: list[tuple[object, ...]] = [("arm", "right", "of", "share", "95% interval", "median s")]
    for kind, (name, values) in names.items():
        ends = wilson(sum(values.values()), len(values))
        took = "-" if (median := seconds.get(kind)) is None else f"{median:.2f}"
        share = sum(values.values()) / len(values)
        interval = f"{ends.low:.3f} to {ends.high:.3f}"
        table.append((name, sum(values.values()), len(values), f"{share:.3f}", interval, took))
    print_table(table)
    print()
    if tuned_kind == "skill":
        print("tuned: nothing was proven better than the skill as it is; the skill stands for it below")
    ours = right[tuned_kind]
    beaten = {
        names[kind][0]: compared("tuned", ours, *names[kind])
        for kind in ("examples", "no-model", "other-k", "skill")
        if kind in names and kind != tuned_kind
    }
    both = [name for kind in ("examples", "no-model") for name in [names[kind][0]] if not beaten[name]]
    print(f"tuned {'beats both' if not both else 'does NOT beat ' + ' nor '.join(both)} by the paired bound")


def compared(name: str, ours: Mapping[str, bool], other: str, theirs: Mapping[str, bool]) -> bool:
    """Prints the paired comparison. Returns whether ours is surely better."""
    gained = sum(ours[case] and not theirs[case] for case in ours)
    lost = sum(theirs[case] and not ours[case] for case in ours)
    both = tango_interval(gained, lost, len(ours), 0.95)
    bound = tango_interval(gained, lost, len(ours), ONE_SIDED).low
    print(
        f"{name} against {other}: {(gained - lost) / len(ours):+.3f} (+{gained} -{lost} of {len(ours)}), 95% interval"
        f" {both.low:+.3f} to {both.high:+.3f}; surely (one-sided 95%) at least {bound:+.3f}, McNemar p"
        f" {mcnemar_p(gained, lost):.4f}: {'better' if bound > 0 else 'not proven better'}"
    )
    return bound > 0


def verdicts(found: Measured, arm: str) -> dict[str, bool]:
    """By case id whether the arm named the label. What failed is wrong."""
    answers = found.table[arm]
    return {case.id: _intent(answers[case.id][0].output) == _intent(case.expected) for case in found.cases}


def vote(skill: Skill, k: int, cases: Sequence[Case]) -> dict[str, bool]:
    """The majority of that many of the skill's examples, without a model."""
    asked = skill.model_copy(update={"examples": skill.examples.model_copy(update={"k": k})})

    async def all_of() -> dict[str, bool]:
        return {
            case.id: _intent((await NoModelExecutor().execute(asked, case.input)).output) == _intent(case.expected)
            for case in cases
        }

    return anyio.run(all_of)


def skill_of(forge: Forge) -> Skill:
    return forge.show(f"{NAME}@latest").skill


def write_suite(folder: Path, data: Path) -> Path:
    """The suite, its cases, and a recording whose answers are the labels; the author's answer is ``SKILL``."""
    train = [case for intent in INTENTS for case in _of_intent(data / "train.jsonl", "train", intent)[:PER_INTENT]]
    dev, test = (
        [case for intent in INTENTS for case in _of_intent(data / f"{name}.jsonl", split, intent)]
        for name, split in (("val", "dev"), ("test", "test"))
    )
    (folder / "evals").mkdir(exist_ok=True)
    suite = folder / "evals" / f"{NAME}.yaml"
    lines = [_line(solve_request(TASK, case.input), case.expected) for case in (*train, *dev, *test)]
    traces = [Trace(case_id=case.id, task=TASK, input=case.input, output=case.expected) for case in train]
    lines.append(_line(author_request(TASK, traces), SKILL))
    for case in train:
        asked = solve_request(TASK, case.input)
        run = asked.model_copy(update={"key": asked.key.model_copy(update={"role": "run"})})
        lines.append(_line(run, case.expected))
    write_recording(suite.with_suffix(".labels.jsonl"), lines)
    with suite.with_suffix(".jsonl").open("w", encoding="utf-8") as handle:
        for case in (*train, *dev, *test):
            handle.write(json.dumps({**case.model_dump(exclude_defaults=True), "split": case.split}) + "\n")
    suite.write_text(
        f"schema: skillforge/suite/v1\nname: {NAME}\nskill: {NAME}\ndecision: {{metric: /intent, margin: 0.05}}\n"
        f"cases: file://{NAME}.jsonl\nrecorded: file://{NAME}.labels.jsonl\n",
        "utf-8",
    )
    return suite


def _of_intent(path: Path, split: Any, intent: str) -> list[Case]:
    """In a fixed random order."""
    rows = [row for row in map(json.loads, path.read_text("utf-8").splitlines()) if row["label"] == intent]
    rows.sort(key=lambda row: hashlib.sha256(str(row["id"]).encode()).hexdigest())
    return [
        Case(id=row["id"], input={"text": row["text"]}, expected={"intent": row["label"]}, split=split) for row in rows
    ]


def _intent(output: Any) -> Any:
    return output.get("intent") if isinstance(output, dict) else None


def _line(request: Request, answer: Any) -> RecordedLine:
    """A line that answers whatever the wording is."""
    asked = RecordedRequest.of(request).model_copy(update={"prompt": None})
    return RecordedLine(request=asked, response=RecordedResponse(json=answer, model="labels"))


if __name__ == "__main__":
    sys.exit(main())
