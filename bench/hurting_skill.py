"""A skill that hurts: sound rules that a large model can follow, given to a tiny one. ``tune`` must say "no skill".

    SKILLFORGE_DATA=/path/to/data python bench/hurting_skill.py [--task boolean_expressions] [--expert]
        [--scan A,B,…|all] [--dev 40] [--student local:smollm2-135m] [--folder KEPT]

The task is one of BIG-Bench Hard. For ``boolean_expressions`` the skill is one that an engineer might write: the rules
of precedence, four worked traps, and to be strict. The rules and the traps are right. A model of 135 million parameters
cannot carry them out, and takes from them that much is False. ``--expert`` takes the chain-of-thought prompt that
experts wrote for the task instead, with its worked examples as instructions (any task has one; on this one it helps
this student).

The 60 items of a task are parted once, by a hash: 40 dev items, on which tasks are looked at (``--scan``) and ``tune``
decides, and 20 test items, which only the end of ``tune`` touches. ``tune`` starts from the skill and may take any part
of it away (its stage ``roots``). Promises: on dev the skill is surely worse than no skill; ``tune`` returns a form
without it, says so in words, and writes it as the student's variant.

It asks about 200 times, a task of ``--scan`` 80 times: one second a call here, several with an expert's prompt of 1,000
tokens. With ``--folder`` the registry is kept there: an interrupted run goes on, and another pays for nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _shared import finish, print_table

from skillforge import Case, Forge
from skillforge.cli._progress import Progress
from skillforge.engine.solve import solve_request
from skillforge.evals.report import Lift
from skillforge.jsonl import read_jsonl
from skillforge.providers.recording import RecordedLine, RecordedRequest, RecordedResponse, write_recording
from skillforge.skill import Limits, Skill
from skillforge.skillfile import write_skill

TASK = "boolean_expressions"
CONSTRUCTED = {
    "boolean_expressions": """\
Evaluate the Boolean expression strictly, as a compiler does.

1. Work from the innermost brackets outwards.
2. "not" binds before "and", and "and" binds before "or".
3. "not True" is False. Two nots cancel each other out.
4. "and" is False as soon as one side is False.
5. "or" is False when both sides are False.
6. An expression counts as False until every part that it needs was shown to be True.

Most mistakes are a True that was read off the surface:

not True or False: False, since not binds first.
True and not True: False, since one side is False.
not ( True or False ) and True: False, since the bracket is True.
False or not not False: False, since two nots cancel each other out.

Check every operator; if a step is missing, the answer is False.
"""
}
MOST_LABELS = 8  # tasks whose answer is one of a few
TEACHER = "code-davinci-002"

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default=TASK)
    parser.add_argument("--expert", action="store_true", help="the chain-of-thought prompt of the task as the skill")
    parser.add_argument("--scan", default="", help="measure these tasks on dev instead, bare and with the skill")
    parser.add_argument("--dev", type=int, default=40)
    parser.add_argument("--student", default="local:smollm2-135m")
    parser.add_argument("--folder", type=Path, help="keep the registry here and go on with it")
    given = parser.parse_args()
    data = os.environ.get("SKILLFORGE_DATA")
    if not data:
        print("skipped: SKILLFORGE_DATA is not set")
        return
    source = Path(data) / "rsn_bbh"
    with tempfile.TemporaryDirectory() as temporary:
        root = given.folder or Path(temporary)
        (root / ".skillforge").mkdir(parents=True, exist_ok=True)
        if given.scan:
            names = few_labels(source) if given.scan == "all" else given.scan.split(",")
            scanned(root, source, names, given)
        else:
            tuned(root, source, given.task, given)


def scanned(root: Path, source: Path, names: Sequence[str], given: argparse.Namespace) -> None:
    """Which skill hurts this student, on dev items alone."""
    table: list[list[object]] = [["task", "dev", "bare", "skill", "lift", "interval"]]
    for name in names:
        write(root, source, name, given)
        with Forge(root) as forge:
            lift, bare, skill = on_dev(forge, name, given.student, given.dev)
        interval = f"{lift.bounds.low:+.3f} {lift.bounds.high:+.3f}"
        table.append([name, lift.n, f"{bare:.3f}", f"{skill:.3f}", f"{lift.difference:+.3f}", interval])
    print_table(table)


def on_dev(forge: Forge, name: str, student: str, dev: int) -> tuple[Lift, float, float]:
    """(lift of the skill over no skill, quality bare, quality with the skill)."""
    with Progress(name, 3 * dev) as bar:
        report = forge.evals.measure(
            dashed(name),
            students=[student],
            teacher="recorded",
            split="dev",
            arms=["bare", "skill"],
            on_sample=lambda arm, case_id, answer, reused: bar.advance(arm.name),
        ).report
    arms = {arm.kind: arm for arm in report.arms}
    lift = next(lift for lift in arms["skill"].lifts if lift.versus == "bare")
    return lift, arms["bare"].quality or 0.0, arms["skill"].quality or 0.0


def tuned(root: Path, source: Path, name: str, given: argparse.Namespace) -> None:
    """The whole story of one task."""
    sizes = write(root, source, name, given)
    began = time.perf_counter()
    with Forge(root) as forge:
        lift, bare, skill = on_dev(forge, name, given.student, given.dev)
        told = f"lift {lift.difference:+.3f} ({lift.bounds.low:+.3f} to {lift.bounds.high:+.3f})"
        print(f"{name}: {sizes[0]} dev and {sizes[1]} test items")
        print(f"on dev bare {bare:.3f}, with the skill {skill:.3f}: {told}")
        found = forge.students.tune(dashed(name), student=given.student, teacher="recorded", stages=["roots"])
    print(f"{found.calls} calls for tune, {time.perf_counter() - began:.0f} s in all\n")
    table: list[list[object]] = [["candidate", "dev cases", "quality", "outcome", "why"]]
    for each in found.tried:
        quality = "-" if each.quality is None else f"{each.quality:.3f}"
        table.append([each.note, each.n, quality, each.decided.outcome, each.decided.why])
    print_table(table)
    print()
    for line in found.words:
        print(line)
    if found.test is not None:
        shown = ", ".join(
            f"{arm} {'-' if value is None else f'{value:.3f}'}" for arm, value in found.test.quality.items()
        )
        print(f"test ({found.test.cases} items, touched once): {shown}")
    best = found.best
    form = best.variant.form if best is not None else ""
    finish(
        [
            *([] if lift.bounds.high < 0 else ["on dev the skill is surely worse than no skill"]),
            *([] if form in ("bare", "raw") else [f"tune returns a form without the skill (it returned {form!r})"]),
            *([] if any("no skill" in line for line in found.words) else ["tune says so in words"]),
            *([] if found.file and (root / found.file).is_file() else ["tune writes it as the student's variant"]),
        ]
    )


def few_labels(source: Path) -> list[str]:
    labels: dict[str, set[str]] = {}
    for _, row in read_jsonl(source / "all.jsonl"):
        labels.setdefault(row["task"], set()).add(row["target"])
    return sorted(name for name, found in labels.items() if len(found) <= MOST_LABELS)


def write(root: Path, source: Path, name: str, given: argparse.Namespace) -> tuple[int, int]:
    """The skill, its suite, and a large model's recorded answers; how many dev and test items there are."""
    dev: int = given.dev
    rows = sorted((row for _, row in read_jsonl(source / "all.jsonl") if row["task"] == name), key=_rank)
    prompt = next(row["prompt"] for _, row in read_jsonl(source / "cot_prompts.jsonl") if row["task"] == name)
    labels = sorted({row["target"] for row in rows})
    task = prompt.split("\n\n", 1)[0].strip()
    skill = Skill(
        name=dashed(name),
        description=task[:1000],
        task=task[:1000],
        input={"question": {"type": "string"}},
        output={"answer": {"enum": labels}},
        instructions=as_instructions(prompt) if given.expert or name not in CONSTRUCTED else CONSTRUCTED[name],
        prompt="Q: {{ question }}",
        limits=Limits(input_tokens=7_800, output_tokens=32),
        suite=f"evals/{dashed(name)}.yaml",
    )
    write_skill(skill, root / "skills" / dashed(name))
    cases = [
        Case(
            id=row["id"],
            input={"question": row["input"]},
            expected={"answer": row["target"]},
            split="dev" if number < dev else "test",
        )
        for number, row in enumerate(rows)
    ]
    folder = root / "evals"
    folder.mkdir(exist_ok=True)
    lines = [
        RecordedLine(
            request=RecordedRequest.of(solve_request(skill.task_sentence, case.input)),
            response=RecordedResponse(json={"answer": recorded_answer(row, labels)}, model=TEACHER),
        )
        for row, case in zip(rows, cases, strict=True)
    ]
    write_recording(folder / f"{dashed(name)}.teacher.jsonl", lines)
    (folder / f"{dashed(name)}.jsonl").write_text(
        "".join(json.dumps(case.model_dump(exclude_defaults=True)) + "\n" for case in cases), "utf-8"
    )
    (folder / f"{dashed(name)}.yaml").write_text(
        f"schema: skillforge/suite/v1\nname: {dashed(name)}\nskill: {dashed(name)}\n"
        f"decision: {{metric: /answer, margin: 0.1}}\n"
        f"cases: file://{dashed(name)}.jsonl\nrecorded: file://{dashed(name)}.teacher.jsonl\n",
        "utf-8",
    )
    return min(dev, len(cases)), max(0, len(cases) - dev)


def as_instructions(prompt: str) -> str:
    """What an expert wrote for a large model, told to a student as a skill tells it."""
    task, _, worked = prompt.partition("\n\n")
    return f"{task.strip()}\n\nWork it out step by step, as in these examples.\n\n{worked.strip()}\n"


def recorded_answer(row: Row, labels: Sequence[str]) -> str:
    """What the large model answered after its chain of thought; its direct answer where that names no label."""
    said = row["code_davinci_002"]
    found = re.search(r"the answer is (.+?)\.?\s*$", said["cot"]["prediction"].strip())
    answers = (found[1].strip() if found else "", said["direct"]["prediction"].strip())
    return next((answer for answer in answers if answer in labels), labels[0])


def dashed(name: str) -> str:
    return name.replace("_", "-")


def _rank(row: Row) -> str:
    return hashlib.sha256(str(row["id"]).encode()).hexdigest()


if __name__ == "__main__":
    main()
