"""What went up the ladders of a skill, and making cases of its suite from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skillforge.atomicfile import replace_file
from skillforge.case import Suite
from skillforge.engine.frame import complete_input
from skillforge.errors import InvalidInput, NotFound, UsageError
from skillforge.evals.alike import Known
from skillforge.forge.measuring.plan import EVALS_FOLDER
from skillforge.forge.repolock import repository_lock
from skillforge.forge.skills import resolve
from skillforge.forge.workspace import Workspace
from skillforge.jsonl import MAX_LINE_BYTES
from skillforge.messages import Value
from skillforge.remotefile import locate, require_plain
from skillforge.skill import Skill
from skillforge.store.candidates import Candidate
from skillforge.store.registry import SkillVersion
from skillforge.suitefile import read_suite
from skillforge.yamlfile import load_yaml

ESCALATED = "escalated"  # the provenance of a case that was one
_OF_THE_SUBJECT = ("subject", "conversation")  # tags by which a purge finds a case again


class Taken(Value):
    """What became of candidates: ids of the cases that were ``added`` to the file ``cases`` of ``suite``, and what was
    ``left_out``, each with why. ``waiting`` are left.
    """

    suite: str
    cases: str
    added: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    waiting: int = 0


def waiting(work: Workspace, ref: str) -> list[Candidate]:
    """The candidates of a skill, oldest first. Raises ``NotFound`` for a skill that nobody knows."""
    return work.candidates.waiting(resolve(work, ref).name)


def take(work: Workspace, ref: str, count: int | None = None, suite: Path | None = None) -> Taken:
    """Add the oldest ``count`` candidates (all) to the train split of the skill's suite, labelled with what the last
    rung answered. One that says the same as a case of the suite is left out for good, above all one of dev or test; one
    without an answer goes on waiting.

    Raises ``UsageError`` for a suite whose cases are no file of JSON Lines here, or that has no splits.
    """
    if count is not None and count < 1:
        raise UsageError(f"{count} candidates are none", hint="--take N, or --take all")
    version = resolve(work, ref)
    with repository_lock(work.root):
        path = _suite_path(work, version, suite)
        place, read = _cases_file(path), read_suite(path)
        _require_splits(read, path)
        chosen = work.candidates.waiting(version.name)[:count]
        rows, done, left_out = _sorted(work, version.skill, chosen, read)
        if rows:
            _append(place, rows)
        work.candidates.taken(done)
    left = len(work.candidates.waiting(version.name))
    names = tuple(row["id"] for row in rows)
    return Taken(suite=_shown(work, path), cases=_shown(work, place), added=names, left_out=left_out, waiting=left)


def _sorted(
    work: Workspace, skill: Skill, chosen: Sequence[Candidate], suite: Suite
) -> tuple[list[dict[str, Any]], list[str], tuple[tuple[str, str], ...]]:
    """(rows to write, ids that need not wait any more, what is left out and why)."""
    known, ids = Known(), {case.id for case in suite.cases}
    for case in sorted(suite.cases, key=lambda case: case.split == "train"):  # what measures goes before what teaches
        known.add(_whole(skill, case.input), case.split or "the suite")
    tags = work.runs.by_ids(item.run_id for item in chosen)
    rows, done, left_out = [], [], []
    for item in chosen:
        if item.output is None:
            left_out.append((item.id, "no rung gave an answer that holds: it goes on waiting"))
            continue
        twin = known.twin(item.input)
        if twin:
            left_out.append((item.id, f"says the same as a case of {twin}"))
        else:
            run = tags.get(item.run_id)
            row = work.redactor.value(_row(item, {} if run is None else run.run.tags, ids))
            if len(_line(row)) > MAX_LINE_BYTES:
                left_out.append((item.id, f"longer than {MAX_LINE_BYTES:,} bytes"))
                continue
            known.add(item.input, "train")
            ids.add(row["id"])
            rows.append(row)
        done.append(item.id)
    return rows, done, tuple(left_out)


def _row(item: Candidate, tags: Mapping[str, str], ids: set[str]) -> dict[str, Any]:
    name, number = f"{ESCALATED}-{item.id[:12]}", 1
    while name in ids:
        number += 1
        name = f"{ESCALATED}-{item.id[:12]}-{number}"
    told = {"provenance": ESCALATED, "answered_by": item.answered_by, "run": item.run_id, "at": item.created_at}
    whose = {tag: tags[tag] for tag in _OF_THE_SUBJECT if tag in tags}
    return {"id": name, "input": item.input, "expected": item.output, "split": "train", "metadata": {**told, **whose}}


def _whole(skill: Skill, given: dict[str, Any]) -> dict[str, Any]:
    """A case's input with its defaults, as runs keep theirs."""
    try:
        return complete_input(skill, given)
    except InvalidInput:  # of an older contract
        return given


def _suite_path(work: Workspace, version: SkillVersion, named: Path | None) -> Path:
    path = named or work.root / (version.skill.suite or f"{EVALS_FOLDER}/{version.name}.yaml")
    if named is None and not path.resolve().is_relative_to(work.root.resolve()):
        raise UsageError(f"{version.name}: its suite lies outside {work.root}", hint="name it with --suite")
    if not path.is_file():
        raise NotFound(f"{version.name} has no suite: {path} does not exist", hint="name one with --suite FILE")
    return path


def _cases_file(suite: Path) -> Path:
    """The file of JSON Lines that holds the suite's cases."""
    body = load_yaml(suite.read_bytes(), path=str(suite)).value
    url = body.get("cases") if isinstance(body, dict) else None
    place = locate(url, suite.parent) if isinstance(url, str) else None
    if not isinstance(place, Path) or place.suffix.lower() not in (".jsonl", ".ndjson"):
        raise UsageError(
            f"{suite}: its cases are no file of JSON Lines here, nothing can be added to it",
            hint="keep them in a file beside it: cases: file://NAME.jsonl; --json prints the candidates",
        )
    return require_plain(place)


def _require_splits(suite: Suite, path: Path) -> None:
    if not any(case.split for case in suite.cases):
        raise UsageError(
            f"{path}: its cases have no splits, so that an added one could be measured",
            hint="give its cases split: train, dev or test",
        )


def _append(place: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    data = place.read_bytes()
    start = data if not data or data.endswith(b"\n") else data + b"\n"
    replace_file(place, start + b"".join(map(_line, rows)))


def _line(row: Mapping[str, Any]) -> bytes:
    return (json.dumps(row, ensure_ascii=False) + "\n").encode()


def _shown(work: Workspace, path: Path) -> str:
    return path.relative_to(work.root).as_posix() if path.is_relative_to(work.root) else str(path)
