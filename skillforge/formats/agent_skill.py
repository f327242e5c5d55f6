"""Agent Skills: a folder with a ``SKILL.md``, as other agents read it (https://agentskills.io/specification).

``read_agent_skill`` reads it and says what is unusual; ``problems`` judges a folder by the specification.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillforge.canonical import compact
from skillforge.errors import NotFound, Problem, SkillFileError
from skillforge.formats.folder import list_folder, read_plain
from skillforge.formats.frontmatter import MarkdownFile, Part, frontmatter_parts, read_markdown
from skillforge.hygiene import hidden_text
from skillforge.redact import find_secrets
from skillforge.suggest import did_you_mean

SKILL_MD = "SKILL.md"
MAX_SKILL_MD = 1_048_576
MAX_NAME, MAX_DESCRIPTION, MAX_COMPATIBILITY = 64, 1024, 500
FIELDS = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")
DIGEST_KEY = "skillforge-digest"
MAX_UNSAFE = 20  # this many hidden characters and secrets are told
MAX_UNKNOWN = 20  # and this many unknown fields


@dataclass(frozen=True, slots=True)
class AgentSkill:
    """A folder as read. ``path`` is its ``SKILL.md``; ``folder_name`` is what the skill should be called.

    ``problems`` is where it departs from the specification: an ``error`` is what nobody can use, a ``warning`` what
    real clients accept. ``others`` are its other files, ``links`` those of them that are no plain files.
    """

    path: Path
    folder_name: str
    file: MarkdownFile
    problems: tuple[Problem, ...]
    others: tuple[str, ...]
    links: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name it gives itself; empty where it gives none."""
        return _text(self.file.fields, "name")

    @property
    def description(self) -> str:
        return _text(self.file.fields, "description")

    @property
    def license(self) -> str:
        return _text(self.file.fields, "license")

    @property
    def metadata(self) -> dict[str, str]:
        """Its metadata as texts; what is nested is JSON."""
        found = self.file.fields.get("metadata")
        if not isinstance(found, Mapping):
            return {}
        return {key: value if isinstance(value, str) else compact(value) for key, value in found.items()}


def read_agent_skill(folder: Path) -> AgentSkill:
    """Read ``folder``; nothing is executed and no link is followed.

    Raises ``NotFound`` where there is no ``SKILL.md``, and ``SkillFileError`` for what cannot be read: a file that is
    not UTF-8, frontmatter that is no YAML or uses more of it than plain values, too many or too large files.
    """
    folder = Path(os.path.abspath(folder))  # not resolve(): a link to a folder may have any name
    files = list_folder(folder)
    name = next((name for name in (SKILL_MD, SKILL_MD.lower()) if name in files), None)
    if name is None:
        raise NotFound(f"{folder}: no {SKILL_MD} there", hint="give the folder that holds SKILL.md")
    file = read_markdown(read_plain(folder / name, MAX_SKILL_MD), path=str(folder / name))
    others = tuple(other for other in files if other != name)
    links = tuple(other for other, plain in files.items() if not plain)
    found = [*_file_problems(name, file), *_field_problems(file, folder.name)]
    return AgentSkill(folder / name, folder.name, file, tuple(found), others, links)


def problems(folder: Path) -> list[Problem]:
    """Where ``folder`` departs from the specification; it conforms where the list is empty.

    Nothing is raised: what cannot be read is a problem too.
    """
    try:
        return list(read_agent_skill(folder).problems)
    except SkillFileError as exc:
        return list(exc.problems)
    except NotFound as exc:
        return [Problem(str(exc), hint=exc.hint)]


def unsafe_text(skill: AgentSkill) -> list[Problem]:
    """The lines of ``SKILL.md`` that hold what a reviewer cannot see, or something that looks like a secret."""
    found: list[Problem] = []
    for number, line in enumerate(skill.file.text.split("\n"), start=1):
        for hidden in hidden_text(line.removesuffix("\r")):
            hint = "delete it, or write what it should say"
            found.append(Problem(f"hidden character: {hidden} of the line", line=number, hint=hint))
        for kind in find_secrets(line):
            hint = "a skill never holds secrets: remove it"
            found.append(Problem(f"looks like a secret ({kind})", line=number, hint=hint))
        if len(found) >= MAX_UNSAFE:
            break
    return found


def header_parts(*, name: str, description: str, license: str, metadata: Mapping[str, str], digest: str) -> list[Part]:
    """The frontmatter of an export: the fields that any client reads, and the digest of the skill it was made from."""
    fields: dict[str, str | Mapping[str, str]] = {"name": name, "description": description}
    if license:
        fields["license"] = license
    return frontmatter_parts({**fields, "metadata": {**metadata, DIGEST_KEY: digest}})


def name_problem(name: str) -> str:
    """What is wrong with a name by the specification; empty where nothing is."""
    name = unicodedata.normalize("NFKC", name)
    if len(name) > MAX_NAME:
        return f"is longer than {MAX_NAME} characters"
    if name != name.lower():
        return "must be lowercase"
    if name.startswith("-") or name.endswith("-") or "--" in name:
        return "hyphens stand alone and between other characters"
    if not all(character.isalnum() or character == "-" for character in name):
        return "holds more than letters, digits and hyphens"
    return ""


def _text(fields: Mapping[str, Any], field: str) -> str:
    value = fields.get(field)
    return value.strip() if isinstance(value, str) else ""


def _file_problems(name: str, file: MarkdownFile) -> Iterator[Problem]:
    if name != SKILL_MD:
        yield Problem(f"must be called {SKILL_MD}", level="warning")
    if file.bom:
        hint = "save it as UTF-8 without BOM"
        yield Problem("starts with a byte order mark, which other readers refuse", line=1, level="warning", hint=hint)


def _field_problems(file: MarkdownFile, folder_name: str) -> Iterator[Problem]:
    fields = file.fields

    def problem(field: str, message: str, *, level: str = "warning", hint: str = "") -> Problem:
        line, column = file.where((field,)) or (None, None)
        shown = field[:80] if field.isprintable() else ascii(field[:80])  # it is shown on terminals
        return Problem(message, field=shown, line=line, column=column, level=level, hint=hint)

    unknown = [field for field in fields if field not in FIELDS]
    for field in unknown[:MAX_UNKNOWN]:
        hint = did_you_mean(field, FIELDS, what="its fields")
        yield problem(field, "is not a field of Agent Skills: some clients refuse it", hint=hint)
    if len(unknown) > MAX_UNKNOWN:
        yield Problem(f"{len(unknown) - MAX_UNKNOWN} more fields are none of Agent Skills", level="warning")
    yield from _name_problems(fields, folder_name, problem)
    description = fields.get("description")
    if not isinstance(description, str) or not description.strip():
        wrong = "is required: what the skill does and when to use it"
        yield problem("description", wrong, level="error")
    elif len(description) > MAX_DESCRIPTION:
        yield problem("description", f"is longer than {MAX_DESCRIPTION:,} characters", level="error")
    for field in ("license", "compatibility", "allowed-tools"):
        if field in fields and not isinstance(fields[field], str):
            yield problem(field, "must be text")
    compatibility = fields.get("compatibility")
    if isinstance(compatibility, str) and not 1 <= len(compatibility) <= MAX_COMPATIBILITY:
        yield problem("compatibility", f"must be 1 to {MAX_COMPATIBILITY} characters")
    metadata = fields.get("metadata", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        yield problem("metadata", "must be a mapping of texts")


def _name_problems(fields: Mapping[str, Any], folder_name: str, problem: Any) -> Iterator[Problem]:
    name = _text(fields, "name")
    if not name:
        yield problem("name", "is required, the same as the folder's")
        return
    if wrong := name_problem(name):
        yield problem("name", f"{name[:80]!r} {wrong}")
    if unicodedata.normalize("NFKC", folder_name) != unicodedata.normalize("NFKC", name):
        yield problem("name", f"is {name[:80]!r}, but its folder is {folder_name[:80]!r}")
