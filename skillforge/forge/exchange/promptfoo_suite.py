"""A promptfoo config as a suite of the repository: ``evals/NAME.yaml``, and its cases beside it where they are many."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillforge.atomicfile import replace_file
from skillforge.case import Case, CaseCheck
from skillforge.errors import SecretFound, UsageError
from skillforge.forge.measuring.plan import EVALS_FOLDER
from skillforge.forge.workspace import Workspace
from skillforge.formats.promptfoo import CONFIG_FILES, Imported, read_promptfoo
from skillforge.jsonl import MAX_LINE_BYTES
from skillforge.messages import Value
from skillforge.ref import check_name
from skillforge.suitefile import SCHEMA_COMMENT, SUITE_SCHEMA, read_suite
from skillforge.yamlfile import dump_yaml

METRIC = "checks"
MAX_INLINE = 50  # cases, and
MAX_INLINE_BYTES = 65_536  # characters of them that stay in the suite's own file

_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


@dataclass(frozen=True, slots=True)
class Wishes:
    """``name`` of the suite (default: the config's folder), ``out`` its file (default: ``evals/NAME.yaml``). ``judge``
    grades instead of whom the config names. ``skip_unsupported`` leaves out what cannot be taken over.
    """

    name: str | None = None
    out: Path | None = None
    judge: str | None = None
    skip_unsupported: bool = False
    force: bool = False


class SuiteImported(Value):
    """The suite that was written. ``left_out`` names the assertions that are not in it, ``unchecked`` is how many cases
    have none left, ``graded`` how many checks ask a model, ``told`` is what of the config is no part of a suite.
    """

    name: str
    path: Path
    cases_at: Path
    cases: int
    checks: int
    unchecked: int
    judge: str | None
    graded: int
    left_out: tuple[str, ...]
    told: tuple[str, ...]


def import_promptfoo(work: Workspace, config: Path, wishes: Wishes) -> SuiteImported:
    """Write the tests of a promptfoo config as a suite whose metric is ``checks``.

    Raises ``SkillFileError`` with all that is refused, ``NotFound``, ``SecretFound`` for a test that holds a secret,
    and ``UsageError`` where there is a suite of that name and ``force`` is not given.
    """
    found = read_promptfoo(config, skip_unsupported=wishes.skip_unsupported, judge=wishes.judge)
    name = _name(config, wishes)
    suite = wishes.out if wishes.out is not None else work.root / EVALS_FOLDER / f"{name}.yaml"
    if suite.suffix != ".yaml":
        raise UsageError(f"{suite}: a suite's file ends in .yaml", hint=f"for example --out evals/{name}.yaml")
    _refuse_secrets(work, found)
    body = _body(name, found)
    rows = [case.model_dump(mode="json", exclude_defaults=True) for case in found.cases]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    many = len(rows) > MAX_INLINE or sum(map(len, lines)) > MAX_INLINE_BYTES
    beside = suite.with_name(f"{suite.stem}.cases.jsonl")
    for file in (suite, beside) if many else (suite,):
        if (file.exists() or file.is_symlink()) and not wishes.force:
            raise UsageError(f"{file} is there already", hint="give another --name, or replace it with --force")
    body["cases"] = f"file://{beside.name}" if many else rows
    header = SCHEMA_COMMENT if suite.parent.resolve() == (work.root / EVALS_FOLDER).resolve() else ""
    files = {suite: dump_yaml(body, header=header)} | ({beside: "\n".join(lines) + "\n"} if many else {})
    _require_readable(files, suite)
    suite.parent.mkdir(parents=True, exist_ok=True)
    for file, text in reversed(files.items()):  # the suite last: it names the others
        replace_file(file, text.encode())
    return SuiteImported(
        name=name,
        path=suite,
        cases_at=beside if many else suite,
        cases=len(rows),
        checks=sum(len(case.checks) for case in found.cases),
        unchecked=sum(not case.checks for case in found.cases),
        judge=found.judge,
        graded=sum("llm-rubric" in check.type for case in found.cases for check in _flat(case.checks)),
        left_out=found.left_out,
        told=found.told,
    )


def _flat(checks: Iterable[CaseCheck]) -> Iterator[CaseCheck]:
    for check in checks:
        yield check
        yield from _flat(check.checks)


def _name(config: Path, wishes: Wishes) -> str:
    if wishes.name is not None:
        return check_name(wishes.name)
    if wishes.out is not None:
        return check_name(wishes.out.stem)
    real = config.resolve()
    named = real if real.is_dir() else real.parent if real.name in CONFIG_FILES else real.with_suffix("")
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in named.name.lower()).split()
    return "-".join(words)[:64].strip("-") or "promptfoo"


def _body(name: str, found: Imported) -> dict[str, Any]:
    optional: dict[str, Any] = {"judge": found.judge} if found.judge is not None else {}
    optional |= {"repeat": found.repeat} if found.repeat != 1 else {}
    return {
        "schema": SUITE_SCHEMA,
        "name": name,
        **({"description": found.description[:1024]} if found.description else {}),
        "decision": {"metric": METRIC, "margin": 0.05},
        **optional,
        "contract": {"input": _fields(found.cases), "output": "text"},
    }


def _fields(cases: Iterable[Case]) -> dict[str, dict[str, Any]]:
    """A schema for every var. One that some tests lack is empty there, as in promptfoo's templates."""
    kinds: dict[str, dict[str, None]] = {}
    counts: dict[str, int] = {}
    total = 0
    for case in cases:
        total += 1
        for name, value in case.input.items():
            counts[name] = counts.get(name, 0) + 1
            kinds.setdefault(name, {})["null" if value is None else _TYPES[type(value)]] = None
    fields: dict[str, dict[str, Any]] = {}
    for name, found in kinds.items():
        some = counts[name] < total
        types = [*found, *(["null"] if some and "string" not in found and "null" not in found else [])]
        types = [kind for kind in types if not (kind == "integer" and "number" in types)]
        fields[name] = {"type": types[0] if len(types) == 1 else types}
        if some:
            fields[name]["default"] = "" if "string" in types else None
    return fields or {"request": {"type": "string", "default": ""}}  # tests without vars ask one thing


def _refuse_secrets(work: Workspace, found: Imported) -> None:
    for number, case in enumerate(found.cases, start=1):
        if work.redactor.holds_secret(json.dumps(case.model_dump(exclude_defaults=True), ensure_ascii=False)):
            hint = "take it out of the config: a suite is committed"
            raise SecretFound(f"case {number} holds something that looks like a secret: nothing was written", hint=hint)


def _require_readable(files: dict[Path, str], suite: Path) -> None:
    """Nothing is written that could not be read back."""
    for file, text in files.items():
        if file != suite and (longest := max(len(line.encode()) for line in text.splitlines())) > MAX_LINE_BYTES:
            raise UsageError(f"a case of {longest:,} bytes", hint=f"a case is at most {MAX_LINE_BYTES:,} bytes")
    with tempfile.TemporaryDirectory(prefix="skillforge-") as beside:
        for file, text in files.items():
            (Path(beside) / file.name).write_bytes(text.encode())
        read_suite(Path(beside) / suite.name)
