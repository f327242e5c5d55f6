"""The files of a data set: every target's own, each checked by its rules before it counts."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from skillforge.errors import UsageError
from skillforge.forge.data.writing import write_lines
from skillforge.formats.finetune.example import PARTS, FineTuneFormat, Part, TrainingExample, told
from skillforge.formats.finetune.formats import FORMATS, formats_named
from skillforge.students.data.card import ExportedFile


def write_formats(
    folder: Path,
    names: Collection[str],
    examples: Sequence[TrainingExample],
    parts: Sequence[Part],
    has_labels: bool,
) -> tuple[list[ExportedFile], dict[str, str]]:
    """Write the targets named, or all that fit; what was not written, and why. A row that a target would refuse is left
    out of its file. Raises ``UsageError`` where a target that was named cannot be written.
    """
    chosen = formats_named(names) if names else list(FORMATS.values())
    files: list[ExportedFile] = []
    left: dict[str, str] = {}
    for target in chosen:
        made, why = _write(folder, target, examples, parts, has_labels)
        if why and names:
            raise UsageError(f"{target.name}: {why}", hint="leave --format out to have all that can be written")
        if why:
            left[target.name] = why
        files += made
    return files, left


def _write(
    folder: Path, target: FineTuneFormat, examples: Sequence[TrainingExample], parts: Sequence[Part], has_labels: bool
) -> tuple[list[ExportedFile], str]:
    """The files of one target, and why there are none."""
    if target.kind == "labels" and not has_labels:
        return [], "the answers hold no label (an enum or a boolean)"
    files: list[ExportedFile] = []
    for part in PARTS:
        mine = [example for example, own in zip(examples, parts, strict=True) if own == part]
        if target.kind == "pairs":
            mine = [example for example in mine if example.rejected]
        wrong = [told(problem for problem in target.fits(item) if problem.level == "error") for item in mine]
        fitting = [example for example, why in zip(mine, wrong, strict=True) if not why]
        reasons = dict(sorted(Counter(why for why in wrong if why).items()))
        if not fitting:
            if part == "validation":
                continue
            return [], _none(target, reasons)
        path = folder / target.file_name(part)
        write_lines(path, target.lines(fitting))
        checked = target.check(path, part)
        if checked.errors:
            for written in [path, *(folder / item.file for item in files)]:
                written.unlink()
            return [], told(checked.errors)
        data = path.read_bytes()
        files.append(
            ExportedFile(
                format=target.name,
                part=part,
                file=path.name,
                rows=len(fitting),
                bytes=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                left_out=reasons,
                warnings=tuple(problem.message for problem in checked.problems),
                rules=target.rules,
            )
        )
    return files, ""


def _none(target: FineTuneFormat, reasons: dict[str, int]) -> str:
    if reasons:
        return f"the target would refuse every row: {next(iter(reasons))}"
    return (
        "no student's wrong answer to them is known (--ask-student MODEL asks one)"
        if target.kind == "pairs"
        else "no row is to train on"
    )
