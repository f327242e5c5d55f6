"""Tiny classifiers on messages nobody here wrote: BANKING77 (77 intents of a bank) and the UCI SMS Spam Collection.

    SKILLFORGE_DATA=/path/to/data python bench/encoder.py [--only banking77|sms-spam]

The data sets are read where they lie and never copied into the project: a repository is made in a temporary folder, its
suite holds the data set's own labels. ``Forge.students.train`` fits on the split train, each message of the split test
is then asked once. Nothing was chosen by the test splits: features and settings come from cross-validation on train
(``skillforge/students/encoder/features.py`` and ``fit.py`` say what was tried).

BANKING77: the data set's own train (10,003) and test. SMS spam: the fixed split is by the sha256 of the text as the
classifier reads it: a remainder of 0 by 5 is test, so copies of a message are in one split.

Beside them, in the same process: plain scikit-learn (word TF-IDF and logistic regression, defaults), the most frequent
label, and what one million messages would cost with models at list prices, by the tokens of the skill's own request.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _shared import finish, print_table

from skillforge import Forge
from skillforge.engine.frame import build_request, complete_input
from skillforge.evals.statistics.proportions import wilson
from skillforge.forge.encoders import open_encoder
from skillforge.messages import Usage
from skillforge.skill import Skill
from skillforge.students.encoder.calibration import calibration_error
from skillforge.students.encoder.features import text_of
from skillforge.tokens import estimate_tokens

MODELS = (
    "openai:gpt-5-nano",
    "openai:gpt-4.1-nano",
    "openai:gpt-5-mini",
    "anthropic:claude-haiku-4-5",
    "anthropic:claude-sonnet-4-5",
)
MILLION = 1_000_000

Row = tuple[str, str]  # text, label


@dataclass(frozen=True)
class Set:
    """A data set: its two splits, and the accuracy it must reach on test."""

    name: str
    field: str
    task: str
    train: list[Row]
    test: list[Row]
    target: float

    @property
    def labels(self) -> list[str]:
        return sorted({label for _, label in (*self.train, *self.test)})


def banking77(data: Path) -> Set:
    folder = data / "cls_banking77"
    return Set("banking77", "intent", "Name the intent of one message to a bank.", *map(_rows, _splits(folder)), 0.92)


def sms_spam(data: Path) -> Set:
    rows = _rows(data / "cls_sms_spam" / "all.jsonl")
    test = [int(hashlib.sha256(text_of({"text": text}).encode()).hexdigest(), 16) % 5 == 0 for text, _ in rows]
    train = [row for row, is_test in zip(rows, test, strict=True) if not is_test]
    held = [row for row, is_test in zip(rows, test, strict=True) if is_test]
    return Set("sms-spam", "kind", "Say whether one SMS is spam.", train, held, 0.986)


def _splits(folder: Path) -> tuple[Path, Path]:
    return folder / "train.jsonl", folder / "test.jsonl"


def _rows(path: Path) -> list[Row]:
    return [(row["text"], row["label"]) for row in map(json.loads, path.read_text("utf-8").splitlines())]


def write_repository(root: Path, given: Set) -> None:
    """A skill and its suite, as a person would write them."""
    (root / "skills" / given.name).mkdir(parents=True)
    (root / "evals").mkdir(exist_ok=True)
    (root / "skillforge.toml").write_text("")
    skill = {
        "schema": "skillforge/v1",
        "name": given.name,
        "description": given.task,
        "input": {"text": {"type": "string"}},
        "output": {given.field: {"enum": given.labels}},
        "instructions": f"{given.task}\n",
        "prompt": "{{ text }}\n",
    }
    suite = {
        "schema": "skillforge/suite/v1",
        "name": given.name,
        "skill": given.name,
        "decision": {"metric": f"/{given.field}", "margin": 0.05},
        "cases": f"file://{given.name}.jsonl",
    }
    (root / "skills" / given.name / "skill.yaml").write_text(json.dumps(skill, indent=1))  # JSON is YAML
    (root / "evals" / f"{given.name}.yaml").write_text(json.dumps(suite, indent=1))
    with (root / "evals" / f"{given.name}.jsonl").open("w") as file:
        for split, rows in (("train", given.train), ("test", given.test)):
            for number, (text, label) in enumerate(rows):
                case = {"id": f"{split}-{number}", "input": {"text": text}, "expected": {given.field: label}}
                file.write(json.dumps({**case, "split": split}) + "\n")


@dataclass(frozen=True)
class Result:
    name: str
    right: int
    n: int
    error: float | None
    fit_s: float | None
    rows_s: float | None
    size: int | None

    @property
    def accuracy(self) -> float:
        return self.right / self.n

    def cells(self) -> list[str]:
        interval = wilson(self.right, self.n)
        return [
            self.name,
            f"{100 * self.accuracy:.2f}%",
            f"{100 * interval.low:.1f} to {100 * interval.high:.1f}",
            "-" if self.error is None else f"{self.error:.3f}",
            "-" if self.fit_s is None else f"{self.fit_s:.1f}",
            "-" if self.rows_s is None else f"{self.rows_s:,.0f}",
            "-" if self.size is None else f"{self.size / 1e6:.2f}",
        ]


def best_of(ask: Callable[[], Any], rows: int, tries: int = 3) -> float:
    """Rows a second of processor time, the best of three: other work on the machine must not count."""
    times = []
    for _ in range(tries):
        started = time.process_time()
        ask()
        times.append(time.process_time() - started)
    return rows / min(times)


def ours(given: Set, root: Path) -> tuple[Result, Skill, list[str]]:
    broken: list[str] = []
    with Forge(root, say=lambda message: None) as forge:
        started = time.process_time()
        done = forge.students.train(given.name)
        whole = time.process_time() - started
        skill = forge.show(given.name).skill
        executor = forge._portal.run(lambda: open_encoder(forge._work, given.name))
        asked = [{"text": text} for text, _ in given.test]
        runs = executor.predict(skill, asked)
        told = done.card.fields[given.field]
        print(
            f"by cross-validation on {done.card.rows:,} train rows: accuracy {told.accuracy},"
            f" calibration error {told.error_before:.3f} before, {told.error_after:.3f} after;"
            f" train with its cross-validation {whole:.0f} s of processor time, of it the fit {done.card.seconds:.0f} s"
            " of wall time"
        )
        model = executor.model
        labels_s = best_of(lambda: model.labels(asked), len(asked))
        runs_s = best_of(lambda: executor.predict(skill, asked), len(asked))
        one = best_of(lambda: [executor.predict(skill, [each]) for each in asked[:200]], 200)
    print(f"rows a second: labels alone {labels_s:,.0f}, whole runs {runs_s:,.0f}, one at a time {one:,.0f}")
    right = [run.output == {given.field: label} for run, (_, label) in zip(runs, given.test, strict=True)]
    error = calibration_error([run.confidence or 0.0 for run in runs], right)
    sure = sorted(zip((run.confidence or 0.0 for run in runs), right, strict=True), reverse=True)
    for share in (0.5, 0.8, 0.9):
        top = sure[: int(share * len(sure))]
        print(f"of the surest {share:.0%}: {sum(is_right for _, is_right in top) / len(top):.2%} right")
    result = Result(
        f"encoder:{given.name}", sum(right), len(right), error, _fit_seconds(given), labels_s, done.card.size
    )
    if result.accuracy < given.target:
        high = wilson(result.right, result.n).high
        said = f"{given.name}: {result.accuracy:.2%} is below the target of {given.target:.1%}"
        print(f"{said}; its 95% interval ends at {high:.1%}")
        broken += [said] if high < given.target else []  # surely below
    return result, skill, broken


def _fit_seconds(given: Set) -> float:
    """Processor seconds of the fit alone, calibration included."""
    from skillforge.students.encoder.fit import Row as TrainRow
    from skillforge.students.encoder.fit import fit_encoder

    rows = [TrainRow(text_of({"text": text}), {given.field: {json.dumps(label): 1.0}}) for text, label in given.train]
    started = time.process_time()
    fit_encoder(rows)
    return time.process_time() - started


def plain(given: Set) -> Result:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
    started = time.process_time()
    pipeline.fit([text for text, _ in given.train], [label for _, label in given.train])
    seconds = time.process_time() - started
    texts = [text for text, _ in given.test]
    sure = pipeline.predict_proba(texts)
    said = pipeline.classes_[sure.argmax(axis=1)]
    right = [bool(one == label) for one, (_, label) in zip(said, given.test, strict=True)]
    error = calibration_error([float(value) for value in sure.max(axis=1)], right)
    return Result(
        "plain TF-IDF + LR",
        sum(right),
        len(right),
        error,
        seconds,
        best_of(lambda: pipeline.predict(texts), len(texts)),
        None,
    )


def majority(given: Set) -> Result:
    label = Counter(label for _, label in given.train).most_common(1)[0][0]
    return Result(
        "most frequent label", sum(one == label for _, one in given.test), len(given.test), None, None, None, None
    )


def costs(given: Set, skill: Skill, root: Path, accuracy: float) -> None:
    """Dollars for a million messages: the mean request of the skill, the shortest answer, no prompt cache."""
    requests = [build_request(skill, complete_input(skill, {"text": text}), role="run") for text, _ in given.test]
    # with the schema, which names the labels: providers count it too
    schema = len(json.dumps(skill.output_schema())) / 4
    tokens_in = schema + sum(map(estimate_tokens, requests)) / len(requests)
    answers = [json.dumps({given.field: label}) for _, label in given.test]
    tokens_out = sum(len(answer) / 4 for answer in answers) / len(answers)
    usage = Usage(input_tokens=round(tokens_in), output_tokens=round(tokens_out), estimated=True)
    rows: list[Sequence[object]] = [["student", "$ per million messages", "quality"]]
    rows.append([f"encoder:{given.name}", "0.00", f"{accuracy:.2%} (measured)"])
    with Forge(root) as forge:
        for name in MODELS:
            usd = forge._work.provider(name).price(usage).usd
            if usd is not None:
                rows.append([name, f"{MILLION * usd:,.0f}", "not measured here"])
    print(
        f"a request: {tokens_in:.0f} tokens in (estimated by characters), {tokens_out:.0f} out, no thinking, no cache"
    )
    print_table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["banking77", "sms-spam"])
    asked = parser.parse_args()
    if "SKILLFORGE_DATA" not in os.environ:
        sys.exit("SKILLFORGE_DATA names no folder with the public data sets")
    data = Path(os.environ["SKILLFORGE_DATA"])
    broken: list[str] = []
    for make in (sms_spam, banking77):
        given = make(data)
        if asked.only not in (None, given.name):
            continue
        print(f"\n{given.name}: {len(given.train):,} train, {len(given.test):,} test, {len(given.labels)} labels")
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            write_repository(root, given)
            result, skill, missed = ours(given, root)
            broken += missed
            table: list[Sequence[object]] = [
                ["student", "accuracy", "95% interval", "calibration error", "fit, CPU s", "rows/CPU s", "MB"]
            ]
            table += [each.cells() for each in (result, plain(given), majority(given))]
            print_table(table)
            costs(given, skill, root, result.accuracy)
    finish(broken)


if __name__ == "__main__":
    main()
