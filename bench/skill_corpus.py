"""Real Agent Skills in and out: agreement with the reference validator, and what import -> export -> import keeps.

SKILLFORGE_DATA=DIR python bench/skill_corpus.py

DIR/skl_corpus/skills.jsonl holds one ``SKILL.md`` a row with the reference validator's verdict (``ref_valid``; PyPI
skills-ref 0.1.1). Promises: every departure from its verdict has a named reason; nothing crashes; what can be exported
comes back with the same digest, licence, metadata and body.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from _shared import finish, print_table

from skillforge import Forge
from skillforge.errors import SkillforgeError
from skillforge.formats.agent_skill import problems, read_agent_skill
from skillforge.skillfile import read_skill

REASONS = {  # where our verdict may differ from the reference's: a word of our message, and why
    "metadata": "nested metadata: the reference turns it into text and passes it",
    "allowed-tools": "allowed-tools as a list: the specification asks for text, the reference does not look",
    "compatibility": "empty compatibility: the specification asks for 1 to 500 characters",
    "license": "license that is no text: the reference does not look",
}
FLOW = "a list in brackets: YAML, but not the reference's"


def rows(data: Path) -> list[dict[str, Any]]:
    with (data / "skl_corpus" / "skills.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def reason(row: dict[str, Any], folder: Path) -> str:
    """Why our verdict differs from the reference's; empty where there is no named reason."""
    if not row["ref_valid"]:
        return FLOW if "Invalid YAML" in row["ref_errors"][0] else ""
    found = {problem.field for problem in problems(folder)}
    return "; ".join(REASONS[field] for field in sorted(found)) if found <= set(REASONS) else ""


class Measured:
    """What happened to the corpus, counted."""

    def __init__(self) -> None:
        self.agreement: Counter[str] = Counter()
        self.fates: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.broken: list[str] = []
        self.seconds: Counter[str] = Counter()

    def judge(self, row: dict[str, Any], folder: Path) -> None:
        started = time.perf_counter()
        ours = not problems(folder)
        self.seconds["judge"] += time.perf_counter() - started
        if ours == row["ref_valid"]:
            self.agreement["agree: valid" if ours else "agree: not valid"] += 1
            return
        why = reason(row, folder)
        self.agreement[f"ours {'valid' if ours else 'not valid'}: {why}"] += 1
        if not why:
            self.broken.append(f"{row['path']}: ours {ours}, reference {row['ref_valid']} {row['ref_errors'][:1]}")

    def round_trip(self, folder: Path, place: Path) -> None:
        """Import, export, import into another repository; each in a fresh one, since names repeat in the corpus."""
        started = time.perf_counter()
        first = self._step("import", lambda: imported(place / "a", folder))
        self.seconds["import"] += time.perf_counter() - started
        if first is None:
            return
        exported = self._step("export", lambda: export(place / "a", first.parent.name, place / "out"))
        if exported is None:
            return
        second = imported(place / "b", exported)
        again = export(place / "b", second.parent.name, place / "out2")
        here, there = read_skill(first).skill, read_skill(second).skill
        body = read_agent_skill(folder).file.body
        same = here.digest() == there.digest() and (here.license, here.metadata) == (there.license, there.metadata)
        kept = read_agent_skill(exported).file.body == body == here.instructions
        twice = all((again / file.name).read_bytes() == file.read_bytes() for file in exported.iterdir())
        if same and kept and twice:
            self.fates["import -> export -> import identical"] += 1
        else:
            self.broken.append(f"{folder}: digest {same}, body {kept}, second export {twice}")

    def _step(self, what: str, step: Any) -> Path | None:
        try:
            path: Path = step()
        except SkillforgeError as exc:
            self.fates[f"{what} refused"] += 1
            self.refusals[f"{what}: {kind_of(str(exc))}"] += 1
            return None
        self.fates[f"{what}ed"] += 1
        return path


def imported(root: Path, folder: Path) -> Path:
    (root / ".skillforge").mkdir(parents=True)
    with Forge(root) as forge:
        return forge.repository.import_agent_skill(folder)


def export(root: Path, name: str, target: Path) -> Path:
    with Forge(root) as forge:
        return forge.repository.export_agent_skill(name, target)


def kind_of(message: str) -> str:
    known = ("looks like a secret", "hidden character", "arguments here", "shell command", "such a block")
    known += ("value of their own", "holds < or >", "is longer than", "neither", "not YAML", "is required")
    return next((word for word in known if word in message), message[:80])


def main() -> None:
    if not (data := os.environ.get("SKILLFORGE_DATA")):
        sys.exit("set SKILLFORGE_DATA to the folder that holds skl_corpus")
    measured = Measured()
    corpus = rows(Path(data))
    for number, row in enumerate(corpus):
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made) / "in" / row["dir_name"]
            folder.mkdir(parents=True)
            (folder / "SKILL.md").write_bytes(row["text"].encode())
            try:
                measured.judge(row, folder)
                measured.round_trip(folder, Path(made))
            except Exception as exc:  # the promise: nothing crashes
                measured.broken.append(f"row {number} {row['path']}: {type(exc).__name__}: {exc}")
    for title, counts in (
        ("verdict beside the reference's", measured.agreement),
        ("what became of it", measured.fates),
        ("refused because", measured.refusals),
    ):
        print_table([[title, f"of {len(corpus)}"], *([key, value] for key, value in counts.most_common())])
        print()
    each = {what: 1000 * seconds / len(corpus) for what, seconds in measured.seconds.items()}
    print(", ".join(f"{what}: {value:.1f} ms each" for what, value in each.items()), "(import makes a registry)")
    finish(measured.broken)


if __name__ == "__main__":
    main()
