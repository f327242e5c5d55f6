"""``skill.yaml`` <-> ``Skill``: strict reading that says all that is wrong at once, and writing."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from skillforge.errors import NotFound, Problem, SkillFileError
from skillforge.fields import Where, validation_problems
from skillforge.jsonl import read_jsonl
from skillforge.lint import lint_skill
from skillforge.skill import Examples, Skill
from skillforge.yamlfile import dump_yaml, load_yaml

SKILL_FILE = "skill.yaml"
SCHEMA_COMMENT = "# yaml-language-server: $schema=../../.skillforge/skill.v1.json\n"
INLINE_EXAMPLES = 12  # more than this many are written to examples.jsonl


@dataclass(frozen=True)
class SkillFile:
    """A skill as read from disk: the value, where it stood, its bytes, and what lint only warns about."""

    skill: Skill
    path: Path
    source: bytes
    warnings: tuple[Problem, ...]


def skill_path(path: Path) -> Path:
    """The ``skill.yaml`` a path means: the file itself, or the one in a folder."""
    return path / SKILL_FILE if path.is_dir() else path


def read_skill(path: Path) -> SkillFile:
    """Read a skill strictly.

    Raises ``NotFound`` when there is no such file and ``SkillFileError`` with every error found.
    """
    file = skill_path(path)
    source = _read_bytes(file)
    document = load_yaml(source, path=str(file))
    body, problems = _with_examples(document.value, file)
    if problems:
        raise SkillFileError(str(file), [_placed(problem, document.where) for problem in problems])
    skill, problems = _validate(body, document.where)
    if skill is None and (rest := _readable_part(body)) is not None:
        problems += lint_skill(rest, where=document.where)
    if skill is not None:
        problems = lint_skill(skill, where=document.where)
        if file.name == SKILL_FILE and file.resolve().parent.name != skill.name:
            line, column = document.where(("name",)) or (None, None)
            problems.append(
                Problem(
                    f"is {skill.name!r}, but its folder is {file.resolve().parent.name!r}",
                    field="name",
                    line=line,
                    column=column,
                    hint="name and folder must be equal",
                )
            )
    if skill is None or any(problem.level == "error" for problem in problems):
        raise SkillFileError(str(file), problems, hint=f"see all of it: skillforge lint {path}")
    return SkillFile(skill, file, source, tuple(problems))


def parse_skill(body: Mapping[str, Any], *, path: str) -> Skill:
    """A skill from a JSON body that never was a file (a teacher's draft), held to the same rules."""
    skill, problems = _validate(dict(body), None)
    if skill is not None:
        problems = lint_skill(skill)
    if skill is None or any(problem.level == "error" for problem in problems):
        raise SkillFileError(path, problems)
    return skill


def write_skill(skill: Skill, folder: Path) -> Path:
    """Write ``folder/skill.yaml`` (and ``examples.jsonl`` when there are many). Read back, it has the same digest."""
    folder.mkdir(parents=True, exist_ok=True)
    body = skill.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"examples"})
    body = {"schema": skill.schema_id, **body}
    for check, written in zip(skill.checks, body.get("checks", ()), strict=True):
        if "value" in check.model_fields_set:  # `equals: null` is an operand, though null is the default
            written["value"] = check.value
    examples = skill.examples
    if "examples" in skill.identity():
        shown: dict[str, Any] = {"select": examples.select}
        if examples.select != "all" or examples.k != Examples().k:
            shown["k"] = examples.k
        items = [item.model_dump(mode="json") for item in examples.items]
        if len(items) > INLINE_EXAMPLES:
            _write_jsonl(folder / "examples.jsonl", items)
            body["examples"] = {"file": "examples.jsonl", **shown}
        else:
            body["examples"] = {**shown, "items": items}
    ordered = {key: body[key] for key in _FILE_ORDER if key in body}
    target = folder / SKILL_FILE
    _replace(target, dump_yaml(ordered, header=SCHEMA_COMMENT).encode())
    return target


_FILE_ORDER = (
    "schema",
    "name",
    "description",
    "license",
    "metadata",
    "task",
    "input",
    "output",
    "instructions",
    "prompt",
    "examples",
    "checks",
    "limits",
    "suite",
)


def _validate(body: Any, where: Where | None) -> tuple[Skill | None, list[Problem]]:
    if not isinstance(body, dict):
        return None, [Problem("must be a mapping of keys such as name, input and output", line=1)]
    if body.get("steps"):
        line, column = (where(("steps",)) if where else None) or (None, None)
        wrong = "workflows are not supported by this version of skillforge"
        return None, [Problem(wrong, field="steps", line=line, column=column, hint="upgrade skillforge-distiller")]
    body = {key: value for key, value in body.items() if key != "steps"}
    try:
        return Skill.model_validate(body, strict=False), []
    except ValidationError as exc:
        return None, validation_problems(exc, Skill, where)


def _readable_part(body: Any) -> Skill | None:
    """The skill without its unknown keys, so that they do not hide what else is wrong; ``None`` where more is amiss."""
    try:
        Skill.model_validate(body, strict=False)
    except ValidationError as exc:
        if not isinstance(body, dict) or any(error["type"] != "extra_forbidden" for error in exc.errors()):
            return None
        body = copy.deepcopy(body)
        for error in exc.errors():
            holder = body
            for step in error["loc"][:-1]:
                holder = holder[step]
            del holder[error["loc"][-1]]
        return _validate(body, None)[0]
    return None


def _placed(problem: Problem, where: Where) -> Problem:
    """The problem with the line of its field, ``examples.file`` being the key ``file`` of ``examples``."""
    line, column = where(tuple(problem.field.split("."))) or (None, None)
    return replace(problem, line=line, column=column) if problem.line is None else problem


def _with_examples(body: Any, file: Path) -> tuple[Any, list[Problem]]:
    """The body with the items of ``examples: {file: …}`` read in. The file stays inside the skill's folder."""
    examples = body.get("examples") if isinstance(body, dict) else None
    if not isinstance(examples, dict) or "file" not in examples:
        return body, []
    name = examples["file"]
    if "items" in examples:
        return body, [Problem("give either file or items, not both", field="examples")]
    if not isinstance(name, str) or "\0" in name:
        return body, [Problem("must be the name of a file", field="examples.file")]
    target = (file.parent / name).resolve()
    if not target.is_relative_to(file.parent.resolve()):
        return body, [Problem(f"{name!r} lies outside the skill's folder", field="examples.file")]
    if not target.is_file():
        return body, [Problem(f"{name!r} is not a file in the skill's folder", field="examples.file")]
    items: list[dict[str, Any]] = []
    for number, item in read_jsonl(target):
        unknown = set(item) - {"id", "input", "output"}
        if unknown or "input" not in item or "output" not in item:
            raise SkillFileError(
                str(target), [Problem('an example needs "input" and "output" (and may have "id")', line=number)]
            )
        items.append({"id": f"e{number}", **item})
    return {**body, "examples": {**examples, "items": items}}, []


def _read_bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as handle:
            return handle.read(1_048_577)  # one byte over the loader's limit: it says so
    except OSError as exc:
        raise NotFound(
            f"{file}: no skill file there ({exc.strerror})", hint="skillforge list shows what exists"
        ) from exc


def _write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    import json

    _replace(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())


def _replace(path: Path, data: bytes) -> None:
    """Write beside, then rename: a full disk or a kill leaves the old file whole."""
    beside = path.with_name(f".{path.name}.tmp")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
