"""Prompts that a strong model wrote with gepa, as skills for a tiny student: do they carry over?

    SKILLFORGE_DATA=/path/to/data python bench/gepa_prompts.py [--cases 40] [--datasets ag_news,emotion,rotten_tomatoes]
        [--adapter default|confidence] [--student local:smollm2-135m] [--folder KEPT] [--recorded-only]

``rec_gepa_classification`` holds the prompts that claude-sonnet-4-6 wrote for gpt-4.1-mini with gepa, and what
gpt-4.1-mini answered with the seed prompt and with each of them. Two things are measured:

1. The published gains, from the recorded answers, paired case by case: Tango's interval and McNemar's exact test. The
   data set keeps about half of the published cases, so both numbers are shown.
2. The same prompt as a skill on a tiny local student, against the data set's labels: bare (the seed prompt and the
   contract), the optimised prompt, and six nearest examples with the seed prompt. Lift over bare with its interval, and
   the verdict against gpt-4.1-mini's recorded answers with that prompt. A negative lift is told like any other.

The cases are a fixed sample with the labels in their proportions; the examples are other rows. With ``--folder`` the
registry is kept there: an interrupted run goes on, and more ``--cases`` pay only for the new ones. A call reads the
whole prompt: 1,300 tokens (rotten_tomatoes, ag_news) to 4,000 (emotion).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _shared import print_table

from skillforge import Case, Forge
from skillforge.cli._progress import Progress
from skillforge.engine.solve import solve_request
from skillforge.evals.statistics.proportions import mcnemar_p, tango_interval
from skillforge.forge.measuring.reporting import Measured
from skillforge.jsonl import read_jsonl
from skillforge.providers.recording import RecordedLine, RecordedRequest, RecordedResponse, write_recording
from skillforge.skill import Example, Examples, Limits, Skill
from skillforge.skillfile import write_skill

DATASETS = ("ag_news", "emotion", "rotten_tomatoes")
ADAPTERS = ("default", "confidence")
PUBLISHED = {  # accuracy in percent over all cases, as the data set's SOURCE.md gives it
    "ag_news": {"baseline": 83.7, "default": 85.8, "confidence": 87.9, "n": 2000},
    "emotion": {"baseline": 54.03, "default": 58.42, "confidence": 60.22, "n": 1390},
    "rotten_tomatoes": {"baseline": 91.46, "default": 93.15, "confidence": 93.15, "n": 1066},
}
SEED = "Classify the following text into one of the given categories."
PER_LABEL = 20  # rows a label that are examples and never cases
WRITER, EXECUTOR = "claude-sonnet-4-6", "gpt-4.1-mini"
LEVEL = 0.95

Row = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--datasets", default=",".join(DATASETS))
    parser.add_argument("--adapter", choices=ADAPTERS, default="default")
    parser.add_argument("--student", default="local:smollm2-135m")
    parser.add_argument("--folder", type=Path, help="keep the registry here and go on with it")
    parser.add_argument("--recorded-only", action="store_true")
    given = parser.parse_args()
    data = os.environ.get("SKILLFORGE_DATA")
    if not data:
        print("skipped: SKILLFORGE_DATA is not set")
        return 0
    source = Path(data) / "rec_gepa_classification"
    names = [name for name in DATASETS if name in given.datasets.split(",")]
    recorded(source)
    if given.recorded_only:
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        root = given.folder or Path(temporary)
        (root / ".skillforge").mkdir(parents=True, exist_ok=True)
        for name in names:
            carried_over(root, source, name, given.adapter, given.student, given.cases)
    return 0


def recorded(source: Path) -> None:
    """The published gains again, from single answers."""
    table: list[list[object]] = [
        [
            "data set",
            "prompt",
            "n",
            "seed",
            "optimised",
            "gain",
            f"{LEVEL:.0%} interval",
            "+",
            "-",
            "p",
            "published (n)",
        ]
    ]
    for name in DATASETS:
        rows = read(source / f"{name}.jsonl")
        for adapter in ADAPTERS:
            gained = sum(row[f"{adapter}_correct"] and not row["baseline_correct"] for row in rows)
            lost = sum(row["baseline_correct"] and not row[f"{adapter}_correct"] for row in rows)
            before = sum(row["baseline_correct"] for row in rows) / len(rows)
            gain, interval = (gained - lost) / len(rows), tango_interval(gained, lost, len(rows), LEVEL)
            published = PUBLISHED[name][adapter] - PUBLISHED[name]["baseline"]
            shown = (
                f"{before:.3f}",
                f"{before + gain:.3f}",
                f"{gain:+.3f}",
                f"{interval.low:+.3f} {interval.high:+.3f}",
            )
            more = (gained, lost, f"{mcnemar_p(gained, lost):.4f}", f"{published:+.1f} ({PUBLISHED[name]['n']})")
            table.append([name, adapter, len(rows), *shown, *more])
    print(f"Recorded: {EXECUTOR} with the seed prompt and with prompts that {WRITER} wrote")
    print_table(table)


def carried_over(root: Path, source: Path, name: str, adapter: str, student: str, cases: int) -> None:
    """One prompt as a skill on the student."""
    rows = read(source / f"{name}.jsonl")
    labels = sorted({row["expected"] for row in rows})
    prompt = json.loads((source / "prompts" / f"{name}_{adapter}.json").read_text("utf-8"))["best_prompt"]
    shown = [row for label in labels for row in [row for row in rows if row["expected"] == label][:PER_LABEL]]
    examples = Examples(
        items=tuple(Example(id=row["id"], input={"text": row["text"]}, output=_answer(row)) for row in shown),
        select="nearest",
        k=6,
    )
    mine = {row["id"] for row in shown}
    suite = write_suite(root, name, adapter, [row for row in rows if row["id"] not in mine], labels)
    dashed = name.replace("_", "-")
    skills = {
        "prompt": skill_of(f"{dashed}-{adapter}", labels, prompt, Examples()),
        "examples": skill_of(f"{dashed}-examples", labels, SEED, examples),
    }
    began = time.perf_counter()
    measured: dict[str, Measured] = {}
    with Forge(root) as forge:
        for kind, arms in (("prompt", ("bare", "skill")), ("examples", ("examples",))):
            folder = root / "skills" / skills[kind].name
            write_skill(skills[kind], folder)
            with Progress(f"{name}: {kind}", (1 + len(arms)) * cases) as bar:
                measured[kind] = forge.evals.measure(
                    skills[kind].name,
                    students=[student],
                    teacher="recorded",
                    suite=suite,
                    limit=cases,
                    arms=list(arms),
                    on_sample=lambda arm, case_id, answer, reused, bar=bar: bar.advance(arm.name),
                )
    told(name, len(prompt), measured, time.perf_counter() - began)


def told(name: str, size: int, measured: dict[str, Measured], seconds: float) -> None:
    print()
    first = measured["prompt"].report
    asked = sum(one.report.samples - one.report.reused for one in measured.values())
    teacher = f"{EXECUTOR} with it: {first.teacher.quality or 0:.3f}"
    print(f"{name}: prompt of {size:,} characters, {first.cases} cases; {teacher}; {asked} answers in {seconds:.0f} s")
    table: list[list[object]] = [
        ["form", "quality", "lift over bare", f"{LEVEL:.0%} interval", "says", "verdict", "median s", "tokens in"]
    ]
    bare = right(measured["prompt"], "bare")
    for kind, title, of in (
        ("bare", "bare", "prompt"),
        ("skill", "optimised prompt", "prompt"),
        ("examples", "6 nearest examples", "examples"),
    ):
        arm = next(arm for arm in measured[of].report.arms if arm.kind == kind)
        verdict = arm.versus_teacher.verdict if arm.versus_teacher else "-"
        quality = "-" if arm.quality is None else f"{arm.quality:.3f}"
        lift = ("", "", "") if kind == "bare" else lifted(bare, right(measured[of], kind))
        table.append([title, quality, *lift, verdict, f"{arm.p50_s or 0:.2f}", f"{arm.input_tokens or 0:.0f}"])
    print_table(table)
    gain, bounds, says = lifted(right(measured["examples"], "examples"), right(measured["prompt"], "skill"))
    print(f"the optimised prompt against the examples: {gain} ({bounds}), {says}")


def right(measured: Measured, kind: str) -> dict[str, bool]:
    """Which cases an arm answered rightly; those without an answer are left out."""
    arm = next(arm.name for arm in measured.report.arms if arm.kind == kind)
    cells = {row.id: (row.cells[arm].answers[0], row.expected) for row in measured.rows() if arm in row.cells}
    return {case: answer.output == label for case, (answer, label) in cells.items() if answer.status != "error"}


def lifted(before: dict[str, bool], after: dict[str, bool]) -> tuple[str, str, str]:
    """(gain, interval, what it says), paired over the cases that both have an answer to."""
    both = before.keys() & after.keys()
    gained = sum(after[case] and not before[case] for case in both)
    lost = sum(before[case] and not after[case] for case in both)
    interval = tango_interval(gained, lost, len(both), LEVEL)
    says = "helps" if interval.low > 0 else "hurts" if interval.high < 0 else "not told apart"
    return f"{(gained - lost) / len(both):+.3f}", f"{interval.low:+.3f} {interval.high:+.3f}", says


def skill_of(name: str, labels: Sequence[str], instructions: str, examples: Examples) -> Skill:
    return Skill(
        name=name,
        description=SEED,
        task=SEED,
        input={"text": {"type": "string"}},
        output={"category": {"enum": list(labels)}},
        instructions=instructions,
        prompt="{{ text }}",
        examples=examples,
        limits=Limits(input_tokens=7_800, output_tokens=32),
    )


def write_suite(root: Path, name: str, adapter: str, rows: Sequence[Row], labels: Sequence[str]) -> Path:
    """All other rows as test cases, and what the strong executor answered with the same prompt as the teacher."""
    folder = root / "evals"
    folder.mkdir(exist_ok=True)
    stem = f"{name}-{adapter}".replace("_", "-")
    cases = [
        Case(id=row["id"], input={"text": row["text"]}, expected=_answer(row), split="test")
        for row in rows
        if row[f"{adapter}_predicted"] in labels
    ]
    answered = {row["id"]: {"category": row[f"{adapter}_predicted"]} for row in rows}
    lines = [
        RecordedLine(
            request=RecordedRequest.of(solve_request(SEED, case.input)),
            response=RecordedResponse(json=answered[case.id], model=EXECUTOR),
        )
        for case in cases
    ]
    write_recording(folder / f"{stem}.teacher.jsonl", lines)
    (folder / f"{stem}.jsonl").write_text(
        "".join(json.dumps(case.model_dump(exclude_defaults=True)) + "\n" for case in cases), "utf-8"
    )
    suite = folder / f"{stem}.yaml"
    suite.write_text(
        f"schema: skillforge/suite/v1\nname: {stem}\ndecision: {{metric: /category, margin: 0.05}}\n"
        f"cases: file://{stem}.jsonl\nrecorded: file://{stem}.teacher.jsonl\n",
        "utf-8",
    )
    return suite


def _answer(row: Row) -> dict[str, str]:
    return {"category": row["expected"]}


def read(path: Path) -> list[Row]:
    """The rows in an order that says nothing."""
    return sorted(
        (row for _, row in read_jsonl(path)), key=lambda row: hashlib.sha256(str(row["id"]).encode()).hexdigest()
    )


if __name__ == "__main__":
    sys.exit(main())
