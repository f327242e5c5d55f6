"""``skillforge init | lint | save | list | show``: skills as files and as versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillforge.cli._repository import make_repository
from skillforge.cli._shared import aligned, as_json, note, open_forge, print_json
from skillforge.cli._skill_view import origin_lines, skill_lines
from skillforge.errors import SkillFileError, SkillforgeError, UsageError
from skillforge.evals.wording.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from skillforge.errors import Problem
    from skillforge.forge.forge import Forge
    from skillforge.forge.lost import LostCase
    from skillforge.forge.stale import Change, Standing
    from skillforge.store.evidence import Evidence
    from skillforge.store.registry import SkillVersion

JsonOut = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
Ref = Annotated[str, typer.Argument(metavar="NAME|PATH[@REF]", help="The skill: a name, name@3, or a path.")]


def init(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The folder that becomes a repository.")] = Path(),
) -> None:
    """Make a folder a skillforge repository.

    It gets skills/, evals/, skillforge.toml and the JSON Schemas that editors check skills and suites with. Existing
    files stay as they are; a second init only refreshes the schemas.

    Example:

    \b
      skillforge init .
    """
    make_repository(path)
    typer.echo(f"{path.resolve()}: ready. Next: skillforge create, or write skills/NAME/skill.yaml and lint it")


def lint(
    path: Annotated[
        Path, typer.Argument(metavar="PATH|NAME", help="A skill.yaml, its folder, a folder of skills, or a suite.")
    ],
    json_out: JsonOut = False,
) -> None:
    """Say everything that is wrong with a skill or a suite.

    Reads only: no network, no code, no registry. Beside a skill its variants and its classifiers are looked at, too. A
    suite (evals/NAME.yaml) is read with its cases, and its scorers
    and checks must be such that an eval can run them.

    Examples:

    \b
      skillforge lint skills/ticket-triage
      skillforge lint skills --json

    Exit code: 0 clean (warnings allowed), 1 errors, 2 no such file.
    """
    found: list[tuple[str, Problem]] = []
    files = _skill_files(_by_name(path))
    for name in files:
        try:
            found.extend((str(file), problem) for file, problem in _read(name))
        except SkillFileError as exc:
            found.extend((exc.path, problem) for problem in exc.problems)
    errors = sum(problem.level == "error" for _, problem in found)
    if json_out:
        print_json([_problem(file, problem) for file, problem in found])
    else:
        for file, problem in found:
            typer.echo(f"{problem.level}: {problem.describe(file)}")
        note(", ".join((_many(len(files), "file"), _many(errors, "error"), _many(len(found) - errors, "warning"))))
    raise typer.Exit(1 if errors else 0)


def save(
    path: Annotated[Path, typer.Argument(metavar="PATH|NAME", help="A skill.yaml, its folder, or its name.")],
    json_out: JsonOut = False,
) -> None:
    """Store a skill file as an immutable draft version.

    Saving the same content again changes nothing.

    Example:

    \b
      skillforge save skills/ticket-triage
    """
    with open_forge() as forge:
        saved = forge.save(_by_name(path))
    if json_out:
        print_json({"name": saved.name, "version": saved.version, "digest": saved.digest, "created": saved.created})
    else:
        typer.echo(f"{saved.name}@{saved.version}  {saved.digest}  {'new draft' if saved.created else 'unchanged'}")


def list_skills(json_out: JsonOut = False) -> None:
    """List the stored skills with aliases and last verdict.

    A verdict is stale where the skill, its suite, the teacher, the student or a judge is not what was measured;
    skillforge show NAME says why, and compares suites of more than 8 MiB too.

    Examples:

    \b
      skillforge list
      skillforge list --json
    """
    with open_forge() as forge:
        versions = [_standing(forge, version) for version in forge.skills()]
        measured = forge.standings(versions)
        rows = [_row(forge, *pair) for pair in zip(versions, measured, strict=True)]
        unsaved = _names_on_disk(forge.root) - {row["name"] for row in rows}
    if unsaved:
        note(f"not stored yet: {', '.join(sorted(unsaved))} (run, eval and show store them, or skillforge save PATH)")
    if json_out:
        print_json(rows)
        return
    if not rows:
        if not unsaved:
            note("no skills yet: skillforge create, or write skills/NAME/skill.yaml, or skillforge demo")
        return
    table = [["NAME", "VERSION", "ALIASES", "EXAMPLES", "LAST VERDICT", "DESCRIPTION"]]
    for row in rows:
        verdict = f"{WORDS[row['verdict']]} ({row['student']})" if row["verdict"] else "not measured"
        verdict += f", a part: {row['part']}" if row["part"] else ""
        verdict += f", with {' '.join(row['wished'])}, which the suite does not say" if row["wished"] else ""
        verdict += f", stale: the {_and(row['changed'])} changed" if row["changed"] else ""
        aliases = ", ".join(f"{alias} @{to['version']}" for alias, to in row["aliases"].items()) or "none"
        line = [row["name"], f"@{row['version']}", aliases, str(row["examples"]), verdict, row["description"]]
        table.append([" ".join(str(cell).split()) for cell in line])
    for text in aligned(table, left={0, 1, 2, 4, 5}):
        typer.echo(text)


def show(
    ref: Ref,
    lost: Annotated[bool, typer.Option("--lost", help="The cases that got worse in the newest eval.")] = False,
    json_out: JsonOut = False,
) -> None:
    """Show one version of a skill, or what it lost.

    Contract, instructions, prompt, checks, versions, aliases and evidence; with --lost the cases on which a student did
    worse than the teacher, with everybody's answer.

    Examples:

    \b
      skillforge show ticket-triage
      skillforge show ticket-triage@1 --json
      skillforge show ticket-triage --lost
    """
    with open_forge() as forge:
        version = forge.show(ref)
        if lost:
            _show_lost(version, forge.lost(version), json_out)
            return
        versions = forge.versions(version.name)
        measured = forge.evidence(version)
        stands = forge.standings([version])[0]
        if stands is not None:  # what the verdict rests on comes first; then the newest
            measured.sort(key=lambda item: item.id != stands.evidence.id)
        stale = forge.stale(version, measured)
        evidence = [_measured(*pair) for pair in zip(measured, stale, strict=True)]
        aliases = _aliases(forge, version.name)
    if json_out:
        print_json(
            {
                "name": version.name,
                "version": version.version,
                "digest": version.digest,
                "status": version.status,
                "created_at": version.created_at,
                "source_path": version.source_path,
                "provenance": version.provenance,
                "skill": version.skill.model_dump(mode="json", by_alias=True),
                "versions": [{"version": item.version, "digest": item.digest} for item in versions],
                "aliases": aliases,
                "evidence": evidence,
            }
        )
    else:
        _render(version, versions, aliases, evidence)


def _render(
    version: SkillVersion,
    versions: list[SkillVersion],
    aliases: dict[str, dict[str, Any]],
    evidence: list[dict[str, Any]],
) -> None:
    typer.echo(f"{version.name}@{version.version} ({version.status}, {version.created_at})\n{version.digest}")
    typer.echo(f"{version.skill.description}\n")
    for line in (*skill_lines(version.skill), *origin_lines(version.provenance)):
        typer.echo(line)
    typer.echo(f"versions: {', '.join(f'@{item.version}' for item in versions)}")
    for alias, to in aliases.items():
        fallback = f", else {to['fallback']}" if to["fallback"] else ""
        typer.echo(f"alias: {alias} is @{to['version']} on {to['student']}{fallback}, since {to['at']}")
    for item in evidence:
        own = " with its variant" if item["variant"] else ""
        part = f" (a part: {item['part']})" if item["part"] else ""
        right = "?" if item["quality"] is None else f"{100 * item['quality']:.1f}%"
        typer.echo(
            f"evidence: {WORDS[item['verdict']]} for {item['student']}{own}: {right} right"
            f" on {item['cases']} cases of {item['suite']}{part}, {item['created_at']}"
        )
        if item["wish"]:
            typer.echo(f"  no proof: {' '.join(item['wish'].split())}")
        for why in item["stale"]:
            typer.echo(f"  stale: {' '.join(why.split())}")
    if not evidence:
        typer.echo("evidence: none for this version; measure it with skillforge eval")


def _measured(evidence: Evidence, stale: Sequence[Change]) -> dict[str, Any]:
    from skillforge.evals.running.arms import DEPLOYABLE, VARIANT
    from skillforge.forge.stale import part_of

    named = ("student", "variant", "suite", "teacher", "verdict", "created_at")
    body = {name: getattr(evidence, name) for name in named}
    kinds = ("variant",) if evidence.variant else tuple(kind for kind in DEPLOYABLE if kind != "variant")
    own = (item for item in evidence.report["arms"] if item["student"] == evidence.student and item["kind"] in kinds)
    arm = next(item for item in own if not evidence.variant or item["name"].endswith(VARIANT))
    why = [change.why for change in stale if change.what != "wish"]
    wish = next((change.why for change in stale if change.what == "wish"), None)
    figures = {"cases": evidence.report["cases"], "quality": arm["quality"]}
    return {**body, **figures, "part": part_of(evidence), "stale": why, "wish": wish}


def _show_lost(version: SkillVersion, lost: Sequence[LostCase], json_out: bool) -> None:
    if json_out:
        print_json([as_json(case) for case in lost])
        return
    if not lost:
        note(f"{version.name}@{version.version}: no case got worse than the teacher's answer in the newest eval")
    for student in dict.fromkeys(case.student for case in lost):
        of_student = [case for case in lost if case.student == student]
        typer.echo(f"{_many(len(of_student), 'case')} where {student} did worse than the teacher")
        for case in of_student:
            typer.echo(f"\n{case.case}  {'(input not kept)' if case.input is None else _line(case.input)}")
            if case.expected is not None:
                typer.echo(f"  label    {_line(case.expected)}")
            typer.echo(f"  teacher  {_line(case.teacher)}")
            typer.echo(f"  student  {case.reason or _line(case.answer)}")


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _standing(forge: Forge, newest: SkillVersion) -> SkillVersion:
    """The version the bare name means: the one of the file, where it is stored as it stands, else the newest."""
    from skillforge.skillfile import read_skill

    try:
        digest = read_skill(forge.root / "skills" / newest.name).skill.digest()
    except SkillforgeError:
        return newest
    return next((item for item in forge.versions(newest.name) if item.digest == digest), newest)


def _row(forge: Forge, version: SkillVersion, measured: Standing | None) -> dict[str, Any]:
    from skillforge.forge.stale import part_of, printable, wishes_of

    newest = None if measured is None else measured.evidence
    changes = () if measured is None else measured.stale
    stale = [change for change in changes if change.what != "wish"]
    wished = wishes_of(newest) if newest is not None and len(stale) < len(changes) else ()
    return {
        "name": version.name,
        "version": version.version,
        "digest": version.digest,
        "status": version.status,
        "aliases": _aliases(forge, version.name),
        "examples": len(version.skill.examples.items),
        "verdict": newest.verdict if newest else None,
        "student": newest.student if newest else None,
        "part": part_of(newest) if newest else "",
        "wished": [printable(flag) for flag in wished],
        "stale": [change.why for change in stale],
        "changed": list(dict.fromkeys(change.what for change in stale)),
        "description": version.skill.description,
    }


def _aliases(forge: Forge, name: str) -> dict[str, dict[str, Any]]:
    """Where the aliases of a skill point, without the history of it."""
    keys = ("version", "digest", "student", "fallback", "at")
    return {alias: {key: getattr(to, key) for key in keys} for alias, to in forge.deployments.aliases(name).items()}


def _names_on_disk(root: Path) -> set[str]:
    from skillforge.skillfile import SKILL_FILE

    return {file.parent.name for file in root.glob(f"skills/*/{SKILL_FILE}")}


def _by_name(path: Path) -> Path:
    """``skills/NAME`` of the repository for a bare NAME, as everywhere else; any other path as it is."""
    from skillforge.config import find_root

    root = find_root(Path.cwd())
    if root is None or path.exists() or path.name != str(path):
        return path
    folder = root / "skills" / path
    return folder if folder.is_dir() else path


def _read(file: Path) -> Iterator[tuple[Path, Problem]]:
    """What is wrong with a skill, the files beside it, a variant or a suite beyond its form, by file. Raises
    ``SkillFileError`` with that, ``NotFound``.
    """
    from skillforge.forge.files.beside import encoder_files, variant_file, variant_files
    from skillforge.skillfile import SKILL_FILE, read_skill
    from skillforge.suitefile import is_suite
    from skillforge.variant import VARIANTS_FOLDER

    if is_suite(file):
        from skillforge.forge.suites.linting import suite_problems

        yield from ((file, problem) for problem in suite_problems(file))
        return
    if file.is_file() and file.parent.name == VARIANTS_FOLDER:
        yield from variant_file(file, read_skill(file.parent.parent).skill)
        return
    read = read_skill(file)
    yield from ((file, problem) for problem in read.warnings)
    if read.path.name == SKILL_FILE:
        yield from encoder_files(read.path.parent)
        yield from variant_files(read.path.parent, read.skill)


def _skill_files(path: Path) -> list[Path]:
    """The skill files a path means: one, or every ``*/skill.yaml`` below a folder of skills."""
    from skillforge.skillfile import SKILL_FILE

    if path.is_dir() and not (path / SKILL_FILE).exists():
        found = sorted(path.glob(f"*/{SKILL_FILE}")) or sorted(path.glob(f"skills/*/{SKILL_FILE}"))
        if not found:
            raise UsageError(f"{path}: no {SKILL_FILE} here or one folder below", hint="give a skill folder")
        return found
    return [path]


def _problem(file: str, problem: Problem) -> dict[str, Any]:
    return {
        "file": file,
        "line": problem.line,
        "column": problem.column,
        "field": problem.field,
        "level": problem.level,
        "message": problem.message,
        "hint": problem.hint,
    }
