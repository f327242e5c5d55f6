"""``skill.yaml`` <-> ``Skill``: strict reading that says all that is wrong at once, and writing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from skillforge.atomicfile import replace_file
from skillforge.errors import NotFound, Problem, SkillFileError
from skillforge.fields import Where, pointer, validation_problems
from skillforge.jsonl import read_jsonl
from skillforge.lint import lint_skill
from skillforge.skill import Check, Examples, Skill
from skillforge.step import STEP_ID_PATTERN
from skillforge.template import RESERVED_NAMES
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
    body, apart = with_example_file(document.value, file)
    problems = [_placed(problem, document.where) for problem in apart]
    skill, misshapen = _validate(body, document.where)
    problems += misshapen
    if skill is None:
        problems += _rest_problems(body, document.where)
    else:
        problems += lint_skill(skill, where=document.where)
    name = body.get("name") if isinstance(body, dict) else None
    well_named = name and not any(problem.field == "name" for problem in misshapen)
    if well_named and file.name == SKILL_FILE and file.resolve().parent.name != name:
        wrong = f"is {name!r}, but its folder is {file.resolve().parent.name!r}"
        problems.append(_placed(Problem(wrong, field="name", hint="name and folder must be equal"), document.where))
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
    _write_operands(skill.checks, body)
    for step, written in zip(skill.steps, body.get("steps", ()), strict=True):
        _write_operands(step.checks, written)
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
    replace_file(target, dump_yaml(ordered, header=SCHEMA_COMMENT).encode())
    return target


def _write_operands(checks: tuple[Check, ...], body: dict[str, Any]) -> None:
    for check, written in zip(checks, body.get("checks", ()), strict=True):
        if "value" in check.model_fields_set:  # `equals: null` is an operand, though null is the default
            written["value"] = check.value


# The order of the model is the order of the file.
_FILE_ORDER = tuple(info.alias or name for name, info in Skill.model_fields.items())


def _validate(body: Any, where: Where | None) -> tuple[Skill | None, list[Problem]]:
    if not isinstance(body, dict):
        return None, [Problem("must be a mapping of keys such as name, input and output", line=1)]
    problems: list[Problem] = []
    for key in _lacking(body):
        line, column = (where((key,)) if where else None) or (None, None)
        problems.append(Problem("is required", field=key, line=line, column=column))
    try:
        skill = Skill.model_validate(body, strict=False)
    except ValidationError as exc:
        return None, validation_problems(exc, Skill, where) + problems
    return (None if problems else skill), problems


def _lacking(body: Mapping[str, Any]) -> list[str]:
    """What only steps make needless and is not there."""
    return [] if body.get("steps") else [key for key in ("instructions", "prompt") if key not in body]


def _rest_problems(body: Any, where: Where) -> list[Problem]:
    """What lint finds in a misshapen skill: wrong parts are stood in for, and what lint says of those is left out."""
    if not isinstance(body, dict):
        return []
    body = _copied(body, _STAND_IN_DEPTH)
    replaced: set[tuple[str | int, ...]] = {(key,) for key in _lacking(body)}
    for (key,) in sorted(replaced):
        _stand_in_key(body, str(key))
    for _ in range(3):  # a part that is no mapping at all may hide another: twice is enough, a third time is the check
        try:
            rest = Skill.model_validate(body, strict=False)
        except ValidationError as exc:
            replaced |= {_stand_in(body, error["loc"], error["type"], error["input"]) for error in exc.errors()}
        else:
            fields = {pointer(place) for place in replaced if place}
            return [found for found in lint_skill(rest, where=where) if not _is_about(found, fields)]
    return []


_STAND_INS: dict[str, Any] = {
    "name": "stand-in",
    "description": "stand-in",
    "output": "text",
    "instructions": "",
    "prompt": "",
}
_STAND_IN_DEPTH = 4  # the body, its examples, their items, one item: nothing deeper is written to
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def _stand_in(body: dict[str, Any], location: tuple[str | int, ...], kind: str, given: object) -> tuple[str | int, ...]:
    """Put something harmless where a part of ``body`` is wrong or missing. Returns the place; ``()`` for none."""
    place = _existing(body, location)
    if not place and len(location) > 1:
        return ()  # went with the examples of a contract that is not there
    if kind == "extra_forbidden":
        if place == location:
            _holder(body, place).pop(place[-1])
        return ()
    if kind == "literal_error" and location[0] == "output" and isinstance(given, dict):
        return ()  # not "text": then it is a field map, which has its own complaints
    match place or location:
        case ("input" | "output" as side, field) if place:
            body[side][field] = {}
        case ("examples", "items", int(number), *_):
            body["examples"]["items"][number] = {"id": f"stand-in {number}", "input": {}, "output": None}
            return ("examples", "items", number)
        case ("steps" | "tools", *_):
            return _stand_in_step(body, location)
        case ("checks", int(number)) | ("checks", int(number), "type"):
            body["checks"][number] = {"type": "stand-in"}
            return ("checks", number)
        case (str(key), *_) if not place or len(place) == 1:
            _stand_in_key(body, key)
            return (key,)
        case _:
            _holder(body, place).pop(place[-1])
    return place


def _stand_in_key(body: dict[str, Any], key: str) -> None:
    if key == "input":  # every name in use is a field: a missing contract makes no reference wrong
        checks = body.get("checks")
        named = [check.get("of") for check in checks if isinstance(check, dict)] if isinstance(checks, list) else []
        parts = (body.get("prompt"), body.get("steps"), body.get("result"), *named)
        used = _WORD.findall(" ".join(str(text) for text in parts))
        body["input"] = {name: {} for name in used if name not in RESERVED_NAMES and name != "item"}
    elif key in _STAND_INS:
        body[key] = _STAND_INS[key]
    else:
        body.pop(key, None)
    if key in ("input", "output"):  # no contract, nothing to hold the examples to
        body.pop("examples", None)
    if key == "output" and body.get("steps"):
        body["result"] = "stand-in"


def _stand_in_step(body: dict[str, Any], location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """A step of which only the id is known stands for any value; without ids or tools nothing is said of steps."""
    if location[0] == "steps" and len(location) > 1 and isinstance(location[1], int):
        step = body["steps"][location[1]]
        id = step.get("id") if isinstance(step, dict) else None
        if isinstance(id, str) and re.fullmatch(STEP_ID_PATTERN, id):
            body["steps"][location[1]] = {"id": id, "tool": "stand-in"}
            return location[:2]
    for key in ("steps", "tools", "result", "prompt"):
        body.pop(key, None)
    return (location[0],)


def _existing(document: Any, location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The steps of a complaint's location that are there: not the branch of a union, not a missing key."""
    place: tuple[str | int, ...] = ()
    for step in location:
        known = range(len(document)) if isinstance(document, list) else document
        if isinstance(document, dict | list) and step in known:
            document = document[step]  # type: ignore[index]
            place += (step,)
    return place


def _holder(body: Any, place: tuple[str | int, ...]) -> Any:
    for step in place[:-1]:
        body = body[step]
    return body


def _copied(value: Any, depth: int) -> Any:
    # not copy.deepcopy: the inside of an example may be nested deeper than Python's stack
    if depth and isinstance(value, dict):
        return {key: _copied(member, depth - 1) for key, member in value.items()}
    if depth and isinstance(value, list):
        return [_copied(member, depth - 1) for member in value]
    return value


def _is_about(problem: Problem, fields: set[str]) -> bool:
    """Whether a problem (or a warning, where the input or a step is made up) speaks of a stand-in or its inside."""
    if problem.level == "warning" and any(re.match(r"input$|steps|tools", field) for field in fields):
        return True
    return any(problem.field[: end.start()] in fields for end in re.finditer(r"[./\[]|$", problem.field))


def _placed(problem: Problem, where: Where) -> Problem:
    """The problem with the line of its field, ``examples.file`` being the key ``file`` of ``examples``."""
    line, column = where(tuple(problem.field.split("."))) or (None, None)
    return replace(problem, line=line, column=column) if problem.line is None else problem


def with_example_file(body: Any, file: Path) -> tuple[Any, list[Problem]]:
    """The body with the items of ``examples: {file: …}`` read in, or without ``file`` where that cannot be done.

    The file stays inside the skill's folder.
    """
    examples = body.get("examples") if isinstance(body, dict) else None
    if not isinstance(examples, dict) or "file" not in examples:
        return body, []
    name = examples["file"]
    without = {**body, "examples": {key: value for key, value in examples.items() if key != "file"}}
    if "items" in examples:
        return without, [Problem("give either file or items, not both", field="examples")]
    if not isinstance(name, str) or "\0" in name:
        return without, [Problem("must be the name of a file", field="examples.file")]
    target = (file.parent / name).resolve()
    if not target.is_relative_to(file.parent.resolve()):
        return without, [Problem(f"{name!r} lies outside the skill's folder", field="examples.file")]
    if not target.is_file():
        return without, [Problem(f"{name!r} is not a file in the skill's folder", field="examples.file")]
    try:
        return {**body, "examples": {**examples, "items": _example_items(target)}}, []
    except SkillFileError as exc:  # told with the skill's other problems, which name one file: the skill's
        told = [Problem(problem.describe(name), field="examples.file") for problem in exc.problems]
        return without, told
    except NotFound as exc:
        return without, [Problem(str(exc), field="examples.file", hint=exc.hint)]


def _example_items(target: Path) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for number, item in read_jsonl(target):
        unknown = set(item) - {"id", "input", "output"}
        if unknown or "input" not in item or "output" not in item:
            raise SkillFileError(
                str(target), [Problem('an example needs "input" and "output" (and may have "id")', line=number)]
            )
        items.append({"id": f"e{number}", **item})
    return items


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

    replace_file(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
