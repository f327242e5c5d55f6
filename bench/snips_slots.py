"""Slots of SNIPS requests nobody here wrote: AddToPlaylist, BookRestaurant, GetWeather, on the local 135M model.

    SKILLFORGE_DATA=/path/to/data python bench/snips_slots.py [--cases N] [--calls N] [--arms A,B] [--folder FOLDER]

A skill for each intent: a request in, the words of each slot out, "" for a slot it does not fill. They are made by
``Forge.create`` from train.jsonl; 20 requests an intent of train are dev, the others examples. The student's form is
what ``forge.students.tune`` finds on dev within --calls an intent; with 0 it is the one written down here (``SPANS``),
tried on dev by hand. Then every arm answers the requests of the three intents in test.jsonl (--cases: a fixed part of
them). Nothing is chosen on those. The same --folder goes on where a run was stopped; without one a temporary folder is
used.

The teacher's place is taken by the data set's own labels, as a recording: no strong model stands behind any figure.
A request with two values of one slot is left out (6 of train, none of test).

Slot F1 is that of the field: over pairs of slot and value of all requests together (micro), a value right when it is
the label's but for case and the punctuation around it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from _shared import print_table

from skillforge import Forge
from skillforge.cli._progress import Progress
from skillforge.engine.author import author_request
from skillforge.engine.solve import solve_request
from skillforge.evals.scorers.text import normal_text
from skillforge.forge.measuring.reporting import Measured
from skillforge.messages import Request
from skillforge.providers.recording import RecordedLine, RecordedRequest, RecordedResponse, write_recording
from skillforge.skillparts import Decoding
from skillforge.trace import Trace
from skillforge.variant import Variant
from skillforge.variantfile import write_variant

SLOTS: Mapping[str, Sequence[str]] = {  # about in the order in which requests say them
    "AddToPlaylist": ("music_item", "entity_name", "artist", "playlist_owner", "playlist"),
    "BookRestaurant": [
        "sort",
        "restaurant_type",
        "restaurant_name",
        "facility",
        "cuisine",
        "served_dish",
        "party_size_number",
        "party_size_description",
        "spatial_relation",
        "poi",
        "city",
        "state",
        "country",
        "timeRange",
    ],
    "GetWeather": [
        "condition_temperature",
        "condition_description",
        "spatial_relation",
        "geographic_poi",
        "current_location",
        "city",
        "state",
        "country",
        "timeRange",
    ],
}
DEV = 20
STUDENT = "local:smollm2-135m"
ARMS = "bare,examples,skill,variant"
SPANS = Decoding(format="spans")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=None, help="test requests an intent (default: all, 52 to 55)")
    parser.add_argument("--calls", type=int, default=0, help="calls the tuning may make an intent; 0: SPANS")
    parser.add_argument("--arms", default=ARMS, help="which arms answer the test requests")
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
            show([measure(forge, folder, Path(data), intent, given) for intent in SLOTS])
    return 0


def measure(forge: Forge, folder: Path, data: Path, intent: str, given: Any) -> Measured:
    """Make the skill and the student's form where they are missing, and let every arm answer the test requests."""
    source = data / "ext_snips_slots"
    train, test = (list(rows(source / f"{split}.jsonl", intent)) for split in ("train", "test"))
    test = test[: given.cases]
    name, arms = intent.lower(), tuple(given.arms.split(","))
    suite = write_suite(folder, intent, {"train": train[DEV:], "dev": train[:DEV], "test": test})
    if not (folder / "skills" / name).is_dir():
        teacher = f"replay:{suite.with_suffix('.labels.jsonl')}"
        forge.create(task(intent), cases=suite.with_suffix(".jsonl"), teacher=teacher, suite=f"evals/{name}.yaml")
    if "variant" in arms and not (folder / "skills" / name / "variants").is_dir():
        adapt(forge, folder, name, given.calls)
    with Progress(intent, (1 + len(arms)) * len(test)) as bar:
        return forge.evals.measure(
            f"{name}@latest",
            students=[STUDENT],
            teacher="recorded",
            arms=arms,
            on_sample=lambda arm, case_id, answer, reused: bar.advance(arm.name),
        )


def adapt(forge: Forge, folder: Path, name: str, calls: int) -> None:
    """The student's form: tuned on dev (no strong model is there to write instructions), or the one written here."""
    version = forge.show(f"{name}@latest")
    if not calls:
        variant = Variant(skill=name, student=STUDENT, of=version.digest, decoding=SPANS)
        write_variant(variant, folder / "skills" / name, version.skill)
        return
    with Progress("tuning", calls) as bar:
        tuned = forge.students.tune(
            f"{name}@latest",
            student=STUDENT,
            teacher="recorded",
            budget=f"{calls}calls",
            stages=("roots", "format", "examples"),
            on_asked=lambda reused: bar.advance("dev"),
        )
    for line in tuned.words:
        print(line)


def show(found: Sequence[Measured]) -> None:
    """Of every arm the slot F1 of each intent and of all, precision, recall, requests with all slots right."""
    table: list[tuple[object, ...]] = [("arm", *SLOTS, "slot F1", "precision", "recall", "all right", "requests")]
    for arm in [arm.name for arm in found[0].report.arms]:
        counts = [counted(measured, arm) for measured in found]
        total = sum(counts, Counter())
        precision, recall = share(total["right"], total["given"]), share(total["right"], total["wanted"])
        figures = [*map(f1, counts), f1(total), precision, recall, share(total["whole"], total["cases"])]
        table.append((arm, *(f"{figure:.3f}" for figure in figures), total["cases"]))
    print_table(table)


def counted(measured: Measured, arm: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for case in measured.cases:
        wanted, given = pairs(case.expected), pairs(measured.table[arm][case.id][0].output)
        counts.update(right=len(wanted & given), given=len(given), wanted=len(wanted), whole=wanted == given, cases=1)
    return counts


def f1(counts: Counter[str]) -> float:
    return share(2 * counts["right"], counts["given"] + counts["wanted"])


def share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def pairs(output: Any) -> set[tuple[str, str]]:
    slots = output if isinstance(output, dict) else {}
    return {(name, normal_text(value)) for name, value in slots.items() if isinstance(value, str) and value}


def rows(path: Path, intent: str) -> Iterator[dict[str, Any]]:
    """Cases of one intent in a fixed random order."""
    found = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for row in sorted(found, key=lambda row: hashlib.sha256(str(row["id"]).encode()).hexdigest()):
        slots = row["gold"]["slots"]
        if row["gold"]["intent"] == intent and all(len(values) == 1 for values in slots.values()):
            label = {name: slots.get(name, [""])[0] for name in SLOTS[intent]}
            yield {"id": row["id"], "input": {"text": row["text"]}, "expected": label}


def write_suite(folder: Path, intent: str, splits: Mapping[str, Sequence[dict[str, Any]]]) -> Path:
    """The suite, its cases, and a recording whose answers are the labels; the author's answer is ``skill``."""
    (folder / "evals").mkdir(exist_ok=True)
    suite = folder / "evals" / f"{intent.lower()}.yaml"
    sentence, train = task(intent), splits["train"]
    lines = [
        answer(solve_request(sentence, row["input"]), row["expected"]) for cases in splits.values() for row in cases
    ]
    traces = [Trace(case_id=row["id"], task=sentence, input=row["input"], output=row["expected"]) for row in train]
    lines.append(answer(author_request(sentence, traces), skill(intent)))
    for row in train:
        asked = solve_request(sentence, row["input"])
        run = asked.model_copy(update={"key": asked.key.model_copy(update={"role": "run"})})
        lines.append(answer(run, row["expected"]))
    write_recording(suite.with_suffix(".labels.jsonl"), lines)
    with suite.with_suffix(".jsonl").open("w", encoding="utf-8") as handle:
        for split, cases in splits.items():
            for row in cases:
                handle.write(json.dumps({**row, "split": split}, ensure_ascii=False) + "\n")
    rules = ", ".join(f"{name}: {{type: normalized}}" for name in SLOTS[intent])
    suite.write_text(
        f"schema: skillforge/suite/v1\nname: {suite.stem}\nskill: {suite.stem}\n"
        f"scorers: {{slots: {{type: json, fields: {{{rules}}}}}}}\ndecision: {{metric: slots, margin: 0.05}}\n"
        f"cases: file://{suite.stem}.jsonl\nrecorded: file://{suite.stem}.labels.jsonl\n",
        "utf-8",
    )
    return suite


def task(intent: str) -> str:
    return (
        f"Copy the slots of one {intent} request to a voice assistant, each exactly as the request says it, an empty "
        f"string for a slot that it does not fill: {', '.join(SLOTS[intent])}."
    )


def skill(intent: str) -> dict[str, Any]:
    return {
        "name": intent.lower(),
        "description": f"Copy the slots of a {intent} request. Use when a voice assistant knows the intent already.",
        "input": {"text": {"type": "string", "maxLength": 1000}},
        "output": {name: {"type": "string", "maxLength": 120} for name in SLOTS[intent]},
        "instructions": 'Copy the slots of the request, word for word; "" for what it does not say.\n',
        "prompt": "{{ text }}\n",
        "examples": {"ids": "all", "select": "nearest", "k": 6},
        "checks": [
            {"type": "in-input", "path": f"/{name}", "of": "text", "value": "", "on_fail": "warn"}
            for name in SLOTS[intent]
        ],
        "limits": {"input_tokens": 4000, "output_tokens": 240},
    }


def answer(request: Request, said: Any) -> RecordedLine:
    """A line that answers whatever the wording is."""
    asked = RecordedRequest.of(request).model_copy(update={"prompt": None})
    return RecordedLine(request=asked, response=RecordedResponse(json=said, model="labels"))


if __name__ == "__main__":
    sys.exit(main())
