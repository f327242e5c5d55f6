"""``skills/<name>/variants/<student>.yaml`` <-> ``Variant``: strict reading beside its skill, and writing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pydantic import ValidationError

from skillforge.atomicfile import replace_file
from skillforge.errors import NotFound, Problem, SkillFileError
from skillforge.evidencefile import file_name
from skillforge.fields import Where, validation_problems
from skillforge.lint import lint_skill
from skillforge.skill import Skill
from skillforge.skillfile import SKILL_FILE, with_example_file
from skillforge.skillparts import Example, Examples
from skillforge.variant import VARIANTS_FOLDER, Variant
from skillforge.yamlfile import dump_yaml, load_yaml

MAX_BYTES = 1_048_576
_ORDER = tuple(info.alias or name for name, info in Variant.model_fields.items())
_MEND = "mend the file, or make it anew: skillforge tune"


def variant_path(folder: Path, student: str) -> Path:
    """Where the variant of a student stands in a skill's folder. Names are encoded as those of evidence files are."""
    return folder / VARIANTS_FOLDER / f"{file_name(student)}.yaml"


def students_of(folder: Path) -> list[str]:
    """The students that have a variant in a skill's folder, by the names of its files."""
    return sorted(unquote(path.stem) for path in (folder / VARIANTS_FOLDER).glob("*.yaml"))


def read_variant(path: Path, skill: Skill) -> Variant:
    """The variant in a file. Its examples stand in it, in a ``file`` of the skill's folder, or are named by the ``ids``
    of the skill's.

    Raises ``NotFound`` without a file, and ``SkillFileError`` with every problem: unknown keys, examples that the skill
    does not have, keys that are no field of the output, another skill's or another student's variant.
    """
    document = load_yaml(_bytes_of(path), path=str(path))
    body, problems = with_example_file(document.value, path.parent.parent / SKILL_FILE)
    body, named = _with_examples(body, skill)
    problems += named
    variant: Variant | None = None
    try:
        variant = Variant.model_validate(body)
    except ValidationError as exc:
        problems += validation_problems(exc, Variant, document.where)
    else:
        problems += variant_problems(variant, skill, where=document.where)
        if file_name(variant.student) != path.stem:
            problems.append(Problem(f"is {variant.student!r}, but the file is named for another", field="student"))
    if problems or variant is None:
        raise SkillFileError(str(path), [_placed(problem, document.where) for problem in problems], hint=_MEND)
    return variant


def made_for(path: Path) -> str:
    """The digest of the version that a file says it was made for; empty where it names none. Raises as reading does."""
    body = load_yaml(_bytes_of(path), path=str(path)).value
    of = body.get("of") if isinstance(body, dict) else None
    return of if isinstance(of, str) else ""


def variant_problems(variant: Variant, skill: Skill, *, where: Where | None = None) -> list[Problem]:
    """What is wrong with a variant beside its skill. Lint speaks of the parts that it sets."""
    problems = []
    if variant.skill != skill.name:
        problems.append(Problem(f"is {variant.skill!r}, not {skill.name!r}", field="skill"))
    if skill.is_workflow:
        problems.append(Problem("a workflow has no variants: change its steps", field="skill"))
    else:
        problems += _lint(variant, skill, where)
    if variant.instructions is not None and variant.form == "skill":
        lost = [sentence for sentence in skill.keep if sentence not in variant.instructions]
        problems += [
            Problem(f"leaves out a sentence to keep: {sentence[:80]!r}", field="instructions") for sentence in lost
        ]
    return problems


def _lint(variant: Variant, skill: Skill, where: Where | None) -> list[Problem]:
    """What lint says of the parts that it sets: its template, its examples beside the contract, secrets, key order."""
    overlay = variant.overlay()
    made = skill.model_copy(update={**overlay, "keep": ()})
    found = (problem for problem in lint_skill(made, where=where) if problem.level == "error")
    # one without a field is about all of it: then nothing else could be said
    return [problem for problem in found if not problem.field or re.split(r"[./\[]", problem.field)[0] in overlay]


def write_variant(variant: Variant, folder: Path, skill: Skill) -> Path:
    """Write it below the skill's folder, its examples by their ids where the skill has them. Returns the file."""
    body = variant.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    body |= {"schema": variant.schema_id, "skill": variant.skill, "student": variant.student}
    if variant.examples is not None:
        body["examples"] = _written(variant.examples, skill)
    for name in ("decoding", "limits"):
        part = getattr(variant, name)
        if part is not None:
            body[name] = part.model_dump(mode="json", exclude_defaults=True)
    path = variant_path(folder, variant.student)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, dump_yaml({key: body[key] for key in _ORDER if key in body}, header="").encode())
    return path


def _written(examples: Examples, skill: Skill) -> dict[str, Any]:
    shown: dict[str, Any] = {"select": examples.select, "k": examples.k}
    if examples.items == skill.examples.items:
        return shown
    known = {item.id: item for item in skill.examples.items}
    if all(known.get(item.id) == item for item in examples.items):
        return {**shown, "ids": [item.id for item in examples.items]}
    return {**shown, "items": [item.model_dump(mode="json") for item in examples.items]}


def _with_examples(body: Any, skill: Skill) -> tuple[Any, list[Problem]]:
    """The body with the skill's examples where it names some of them by ``ids``, or none at all."""
    examples = body.get("examples") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(examples, dict):
        return body, []
    if "items" in examples:
        if "ids" not in examples:
            return body, []
        rest = {key: value for key, value in examples.items() if key != "ids"}
        return {**body, "examples": rest}, [Problem("give either ids or items, not both", field="examples")]
    ids = examples.get("ids")
    rest = {key: value for key, value in examples.items() if key != "ids"}
    if ids is None:
        items: list[Example] = list(skill.examples.items)
        return {**body, "examples": {**rest, "items": _dumped(items)}}, []
    known = {item.id: item for item in skill.examples.items}
    if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids):
        return {**body, "examples": rest}, [Problem("must be a list of ids", field="examples.ids")]
    missing = [name for name in ids if name not in known]
    problems = [Problem(f"the skill has no example {name!r}", field="examples.ids") for name in missing[:20]]
    items = [known[name] for name in ids if name in known]
    return {**body, "examples": {**rest, "items": _dumped(items)}}, problems


def _dumped(items: list[Example]) -> list[Mapping[str, Any]]:
    return [{"id": item.id, "input": item.input, "output": item.output} for item in items]


def _bytes_of(path: Path) -> bytes:
    """A link is refused: it would lead out of what was reviewed."""
    if path.is_symlink():
        raise SkillFileError(str(path), [Problem("is a link, not a file")], hint=_MEND)
    try:
        with path.open("rb") as handle:
            return handle.read(MAX_BYTES + 1)
    except OSError as exc:
        raise NotFound(f"{path}: no variant there ({exc.strerror})", hint="skillforge tune makes one") from exc


def _placed(problem: Problem, where: Where) -> Problem:
    line, column = where(tuple(problem.field.split("."))) or (None, None)
    if problem.line is not None:
        return problem
    return Problem(problem.message, field=problem.field, line=line, column=column, hint=problem.hint)
