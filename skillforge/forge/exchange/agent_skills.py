"""Agent Skill folders in and out: a ``SKILL.md`` becomes a draft skill, a skill becomes a folder that agents read."""

from __future__ import annotations

import re
import tempfile
from contextlib import suppress
from pathlib import Path

from skillforge.atomicfile import replace_file
from skillforge.errors import NotFound, Problem, SkillFileError, UsageError
from skillforge.forge.exchange.skill_markdown import agent_files, foreign_metadata, plain_skill
from skillforge.forge.repolock import repository_lock
from skillforge.forge.skills import SKILLS_FOLDER, resolve
from skillforge.forge.workspace import Workspace
from skillforge.formats.agent_skill import DIGEST_KEY, SKILL_MD, AgentSkill, read_agent_skill, unsafe_text
from skillforge.formats.conversation import EXAMPLES_MD
from skillforge.formats.folder import MAX_TOTAL_BYTES, read_plain
from skillforge.lint import lint_skill
from skillforge.lockfile import read_lock
from skillforge.ref import check_name
from skillforge.skill import Limits, Skill
from skillforge.skillfile import SKILL_FILE, read_skill, write_skill
from skillforge.tokens import CHARACTERS_PER_TOKEN

EXAMPLES_FILE = "examples.jsonl"
OUR_FILES = (EXAMPLES_FILE, SKILL_FILE, EXAMPLES_MD, SKILL_MD)  # SKILL.md last: it vouches for the others
PROVENANCE = {"author": "import", "source": "untrusted"}
LONG_LINES, LONG_CHARACTERS = 500, 20_000  # the specification recommends 500 lines and 5,000 tokens
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_UPLOAD_RESERVED = re.compile(r"anthropic|claude")


def import_agent_skill(work: Workspace, folder: Path) -> Path:
    """Write the skill in ``folder`` to ``skills/NAME/skill.yaml`` and store it as a draft of untrusted origin.

    An export of ours, unchanged, becomes the skill it was made from. Any other becomes a plain one: its body is the
    instructions, ``request`` the input, text the answer. What was overlooked or left out is said. Raises ``NotFound``
    where there is no ``SKILL.md``, ``SkillFileError`` for what cannot be used, ``SecretFound``, and ``UsageError``
    where there is a skill of that name.
    """
    found = read_agent_skill(folder)
    path = str(found.path)
    wrong = [problem for problem in found.problems if problem.level == "error"] + unsafe_text(found)
    if wrong:
        raise SkillFileError(path, wrong)
    exported = found.metadata.get(DIGEST_KEY, "")
    skill = _exported_skill(found, exported) if exported else _plain_import(found)
    _store(work, skill)
    for problem in found.problems:
        work.say(f"warning: {problem.describe(path)}")
    for told in _left_out(found, exported):
        work.say(f"{path}: {told}")
    return work.root / SKILLS_FOLDER / skill.name / SKILL_FILE


def export_agent_skill(work: Workspace, ref: str, folder: Path, *, force: bool = False) -> Path:
    """Write ``folder/NAME`` with ``SKILL.md``, ``skill.yaml`` and perhaps ``examples.jsonl``; returns that folder.

    What an agent reads in ``SKILL.md`` are the messages that were evaluated. A folder that is there already is replaced
    when it is an unchanged export of a version of this skill, or with ``force``; other files in it stay. Raises
    ``SkillFileError`` for text that agents would run or replace when they load it, ``UsageError`` for such a folder.
    """
    version = resolve(work, ref)
    skill = version.skill
    files = agent_files(skill, f"{version.name}@{version.version}")
    target = folder / skill.name
    _refuse_own_folder(work, skill, target)
    replaced = target.exists() or target.is_symlink()
    ours = replaced and _is_ours(target, skill.name)
    if replaced and not ours and not force:
        hint = "choose another folder, or replace its SKILL.md and skill.yaml with --force"
        raise UsageError(f"{target} is there already and is no unchanged export of {skill.name}", hint=hint)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".skillforge-") as beside:
        stage = Path(beside) / skill.name
        write_skill(skill, stage)
        for name, text in files.items():
            replace_file(stage / name, text.encode())
        if not replaced:
            stage.rename(target)
        else:
            _replace_files(stage, target)
            for name in OUR_FILES if ours else ():  # what the earlier export had and this one lacks
                if not (stage / name).exists():
                    (target / name).unlink(missing_ok=True)
    _say_advice(work, skill, files[SKILL_MD])
    return target


# import


def _plain_import(found: AgentSkill) -> Skill:
    from pydantic import ValidationError

    file = found.file
    body = file.body.replace("\r\n", "\n")
    try:
        skill = plain_skill(
            name=_usable_name(found),
            description=found.description,
            instructions=body,
            license=found.license,
            metadata=foreign_metadata(found.metadata),
        )
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        problem = Problem(str(first["msg"]), field=".".join(map(str, first["loc"])))
        raise SkillFileError(str(found.path), [problem]) from None
    wrong = []
    for problem in lint_skill(skill):
        place = (file.body_line, 1) if problem.field == "instructions" else file.where((problem.field.split(".")[0],))
        line, column = place or (None, None)
        told = Problem(problem.message, field=problem.field, line=line, column=column, level=problem.level)
        wrong.append(told)
    if any(problem.level == "error" for problem in wrong):
        raise SkillFileError(str(found.path), wrong, hint="mend it in SKILL.md, then import it again")
    return skill


def _usable_name(found: AgentSkill) -> str:
    """Its own name where that can name a skill, else the folder's. Raises ``SkillFileError`` where neither can."""
    for name in (found.name, found.folder_name):
        try:
            return check_name(name)
        except UsageError as exc:
            hint = exc.hint
    line, column = found.file.where(("name",)) or (None, None)
    wrong = f"neither {found.name[:80]!r} nor its folder's name can name a skill"
    raise SkillFileError(str(found.path), [Problem(wrong, field="name", line=line, column=column, hint=hint)])


def _exported_skill(found: AgentSkill, named: str) -> Skill:
    """The skill beside an export of ours. Raises ``SkillFileError`` that says which of the two files was changed."""
    folder, path = found.path.parent, str(found.path)
    if not _DIGEST.fullmatch(named):
        hint = f"remove {DIGEST_KEY} from its metadata to import the text as it stands"
        raise SkillFileError(path, [Problem(f"its {DIGEST_KEY} is no digest", field="metadata")], hint=hint)
    if SKILL_FILE not in found.others:
        hint = f"put skill.yaml back, or import the text as it stands: remove {DIGEST_KEY} from its metadata"
        raise SkillFileError(path, [Problem(f"names {named}, but there is no {SKILL_FILE} beside it")], hint=hint)
    skill = _read_copy(folder, found)
    digest = skill.digest()
    if digest != named:
        hint = f"restore {SKILL_FILE}, or import it as your own: copy it to {SKILLS_FOLDER}/{skill.name}"
        problem = Problem(f"was changed: it is {digest}, {SKILL_MD} was made from {named}")
        raise SkillFileError(str(folder / SKILL_FILE), [problem], hint=hint)
    for name, meant in agent_files(skill, path).items():
        missing = name != SKILL_MD and name not in found.others
        data = b"" if missing else read_plain(folder / name, MAX_TOTAL_BYTES)
        _refuse_changed(folder / name, data, meant)
    return skill


def _refuse_changed(file: Path, data: bytes, meant: str) -> None:
    text = data.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n")
    if text != meant:
        hint = f"restore it, export it again, or import {SKILL_MD} as it stands: remove {DIGEST_KEY} from its metadata"
        problem = Problem(f"was changed since it was made from {SKILL_FILE}", line=_first_difference(text, meant))
        raise SkillFileError(str(file), [problem], hint=hint)


def _read_copy(folder: Path, found: AgentSkill) -> Skill:
    """The skill in a foreign folder, read from a copy: its name is its own, and nothing changes while it is read."""
    with tempfile.TemporaryDirectory(prefix="skillforge-") as beside:
        # resolved: where it is a link, the examples would seem to lie outside of it
        stage = Path(beside).resolve() / _usable_name(found)
        stage.mkdir()
        for name in (SKILL_FILE, EXAMPLES_FILE):
            if name in found.others:
                (stage / name).write_bytes(read_plain(folder / name, MAX_TOTAL_BYTES))
        try:
            return read_skill(stage).skill
        except SkillFileError as exc:
            raise SkillFileError(str(folder / SKILL_FILE), list(exc.problems)) from None


def _first_difference(text: str, meant: str) -> int:
    """The line, from 1, where two texts part."""
    lines, others = text.split("\n"), meant.split("\n")
    same = (number for number, (line, other) in enumerate(zip(lines, others, strict=False), 1) if line != other)
    return next(same, min(len(lines), len(others)))


def _left_out(found: AgentSkill, exported: str) -> list[str]:
    told = []
    if "\r\n" in found.file.text:
        told.append("Windows line ends were made plain ones")
    if not exported:
        fields = [field for field in found.file.fields if field not in ("name", "description", "license", "metadata")]
        if fields:
            told.append(f"not imported: {_some(fields)} (a skill here runs no tools and has no such settings)")
        if not found.file.body.strip():
            told.append("it has no text below its frontmatter: the instructions are empty")
        tokens, most = len(found.file.body) // CHARACTERS_PER_TOKEN, Limits().input_tokens
        if tokens > most // 2:
            told.append(f"about {tokens:,} tokens, and a whole request may have {most:,}: raise limits.input_tokens")
    others = [name for name in found.others if not exported or name not in OUR_FILES]
    if others:
        told.append(f"not imported: {_some(others)}")
    if found.links:
        told.append(f"not followed: {_some(found.links)} (links, or no plain files)")
    return told


def _some(names: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(repr(name)[1:-1] for name in names[:8])  # repr: a file's name may hold anything
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _store(work: Workspace, skill: Skill) -> None:
    """File and draft, or neither. The draft comes first: a file without it would be saved as the repository's own."""
    work.registry.refuse_secrets(skill, provenance=PROVENANCE)
    skills = work.root / SKILLS_FOLDER
    target = skills / skill.name
    with repository_lock(work.root):
        _refuse_known(work, skill, target)
        skills.mkdir(parents=True, exist_ok=True)
        # two levels below skills/, where nobody looks for skills
        with tempfile.TemporaryDirectory(dir=skills, prefix=".import-") as beside:
            source = read_skill(write_skill(skill, Path(beside) / skill.name)).source
            relative = str((target / SKILL_FILE).relative_to(work.root))
            work.registry.save(skill, source=source, source_path=relative, provenance=PROVENANCE)
            _replace_files(Path(beside) / skill.name, target)


def _refuse_known(work: Workspace, skill: Skill, target: Path) -> None:
    rename = f"give it another name: in {SKILL_MD}, and its folder's"
    for name in (SKILL_FILE, EXAMPLES_FILE):
        if (target / name).exists() or (target / name).is_symlink():
            raise UsageError(f"{target / name} is there already", hint=f"remove that skill, or {rename}")
    if target.is_symlink():
        raise UsageError(f"{target} is a link", hint=f"remove it, or {rename}")
    digests = set(read_lock(work.root).skill(skill.name).versions.values())
    with suppress(NotFound):
        digests |= {version.digest for version in work.registry.versions(skill.name)}
    if digests and skill.digest() not in digests:
        hint = f"see it with skillforge show {skill.name}; to keep both, {rename}"
        raise UsageError(f"there is another skill {skill.name} in the registry", hint=hint)


# export


def _refuse_own_folder(work: Workspace, skill: Skill, target: Path) -> None:
    own = work.root / SKILLS_FOLDER / skill.name
    if target.resolve() == own.resolve():
        raise UsageError(f"{target} is the skill's own folder", hint="choose another folder")
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise UsageError(f"{target} is a link or a file", hint="remove it, or choose another folder")
    inner = (target / EXAMPLES_MD).parent
    if inner.is_symlink():
        raise UsageError(f"{inner} is a link, and nothing is written through it", hint="remove it")


def _is_ours(target: Path, name: str) -> bool:
    """Whether a folder is an export of a version of this skill that nobody has changed since."""
    try:
        found = read_agent_skill(target)
        named = found.metadata.get(DIGEST_KEY, "")
        return bool(named) and _exported_skill(found, named).name == name
    except (SkillFileError, NotFound):
        return False


def _replace_files(stage: Path, target: Path) -> None:
    for name in OUR_FILES:
        if (stage / name).exists():
            replace_file(target / name, (stage / name).read_bytes())


def _say_advice(work: Workspace, skill: Skill, text: str) -> None:
    if _UPLOAD_RESERVED.search(skill.name):
        work.say(f"warning: {skill.name}: an upload to Anthropic refuses names that hold anthropic or claude")
    if text.count("\n") > LONG_LINES or len(text) > LONG_CHARACTERS:
        work.say(
            f"warning: {skill.name}: {SKILL_MD} has {text.count(chr(10)):,} lines and {len(text):,} characters; agents"
            f" read all of it, and {LONG_LINES} lines or 5,000 tokens are recommended"
        )
