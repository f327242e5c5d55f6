"""``skillforge init | lint | save | list | show``: skills as files and as versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillforge.cli._shared import note, open_forge, print_json
from skillforge.errors import SkillFileError, UsageError

if TYPE_CHECKING:
    from skillforge.errors import Problem
    from skillforge.forge.forge import Forge
    from skillforge.store.registry import SkillVersion

JsonOut = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
IGNORED = (".skillforge/*", "!.skillforge/*.json")


def init(
    path: Annotated[Path, typer.Argument(metavar="[PATH]", help="The folder that becomes a repository.")] = Path(),
) -> None:
    """Make a folder a skillforge repository: skills/, evals/, and the JSON Schema editors check skill.yaml with.

    Existing files stay as they are; a second init only refreshes the schema.

    Example:

      skillforge init . && skillforge create "…" --teacher … --cases inputs.jsonl
    """
    from skillforge.config import SETTINGS_FILE, STATE_FOLDER
    from skillforge.schema import SCHEMA_FILE, skill_json_schema

    state = path / STATE_FOLDER
    for folder in (state, path / "skills", path / "evals"):
        folder.mkdir(parents=True, exist_ok=True)
    (state / SCHEMA_FILE).write_text(json.dumps(skill_json_schema(), indent=2) + "\n", "utf-8")
    settings = path / SETTINGS_FILE
    if not settings.exists():
        settings.write_text(
            '# student = "local:smollm2-135m"   # used where --student is not given\n'
            '# store_io = "redacted"            # none | redacted | full: what is kept of inputs and outputs\n',
            "utf-8",
        )
    _ignore(path / ".gitignore")
    typer.echo(f"{path.resolve()}: ready. Next: skillforge create, or write skills/NAME/skill.yaml and lint it")


def lint(
    path: Annotated[Path, typer.Argument(help="A skill.yaml, its folder, or a folder of skills.")],
    json_out: JsonOut = False,
) -> None:
    """Say everything that is wrong with a skill file at once, with lines. Reads only: no network, no code.

    Example:

      skillforge lint skills/ticket-triage

    Exit code: 0 clean (warnings allowed), 1 errors, 2 no such file.
    """
    from skillforge.skillfile import read_skill

    found: list[tuple[str, Problem]] = []
    files = _skill_files(path)
    for name in files:
        try:
            found.extend((str(name), problem) for problem in read_skill(name).warnings)
        except SkillFileError as exc:
            found.extend((exc.path, problem) for problem in exc.problems)
    errors = sum(problem.level == "error" for _, problem in found)
    if json_out:
        print_json([_problem(file, problem) for file, problem in found])
    else:
        for file, problem in found:
            typer.echo(f"{problem.level}: {problem.describe(file)}")
        typer.echo(f"{len(files)} skill file(s), {errors} error(s), {len(found) - errors} warning(s)")
    raise typer.Exit(1 if errors else 0)


def save(
    path: Annotated[Path, typer.Argument(help="A skill.yaml or its folder.")],
    json_out: JsonOut = False,
) -> None:
    """Store a skill file as an immutable draft version. Saving the same content again changes nothing.

    Example:

      skillforge save skills/ticket-triage
    """
    with open_forge() as forge:
        saved = forge.save(path)
    if json_out:
        print_json({"name": saved.name, "version": saved.version, "digest": saved.digest, "created": saved.created})
    else:
        typer.echo(f"{saved.name}@{saved.version}  {saved.digest}  {'new draft' if saved.created else 'unchanged'}")


def list_skills(json_out: JsonOut = False) -> None:
    """List the skills of this repository, their newest version and last verdict."""
    with open_forge() as forge:
        rows = [_row(forge, version) for version in forge.skills()]
    if json_out:
        print_json(rows)
        return
    if not rows:
        note("no skills stored yet; skillforge save PATH, skillforge create, or skillforge demo")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("name", "version", "status", "examples", "last verdict", "description"):
        table.add_column(column, overflow="fold")
    for row in rows:
        verdict = f"{row['verdict']} ({row['student']})" if row["verdict"] else "not measured"
        name = str(row["name"])
        table.add_row(name, f"@{row['version']}", row["status"], str(row["examples"]), verdict, row["description"])
    Console(highlight=False, soft_wrap=True).print(table)


def show(
    ref: Annotated[str, typer.Argument(metavar="NAME|PATH[@REF]", help="The skill: a name, name@3, or a path.")],
    lost: Annotated[bool, typer.Option("--lost", help="The cases that got worse in the newest eval.")] = False,
    json_out: JsonOut = False,
) -> None:
    """Show one version of a skill: contract, instructions, prompt, checks, versions, evidence.

    Examples:

      skillforge show ticket-triage

      skillforge show ticket-triage@1 --json
    """
    with open_forge() as forge:
        version = forge.show(ref)
        if lost:
            _show_lost(forge, version, json_out)
            return
        versions = forge.versions(version.name)
        evidence = [
            {name: getattr(item, name) for name in ("student", "suite", "teacher", "verdict", "created_at")}
            for item in forge.evidence(version)
        ]
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
                "evidence": evidence,
            }
        )
    else:
        _render(version, versions, evidence)


def _render(version: SkillVersion, versions: list[SkillVersion], evidence: list[dict[str, Any]]) -> None:
    skill = version.skill
    typer.echo(f"{version.name}@{version.version} ({version.status}, {version.created_at})\n{version.digest}")
    typer.echo(f"{skill.description}\n")
    typer.echo(f"input:  {json.dumps(skill.input, ensure_ascii=False)}")
    typer.echo(f"output: {json.dumps(skill.output, ensure_ascii=False)}\n")
    typer.echo(f"instructions:\n{skill.instructions.rstrip()}\n\nprompt:\n{skill.prompt.rstrip()}\n")
    examples = skill.examples
    typer.echo(f"examples: {len(examples.items)}, select {examples.select}, k {examples.k}")
    for check in skill.checks:
        typer.echo(f"check: {json.dumps(check.model_dump(exclude_defaults=True), ensure_ascii=False)}")
    typer.echo(f"versions: {', '.join(f'@{item.version}' for item in versions)}")
    for item in evidence:
        typer.echo(f"evidence: {item['verdict']} for {item['student']} on {item['suite']}, {item['created_at']}")
    if not evidence:
        typer.echo("evidence: none for this version; measure it with skillforge eval")


def _show_lost(forge: Forge, version: SkillVersion, json_out: bool) -> None:
    """The cases of the newest eval of this version on which the student did worse than the teacher."""
    found = forge.evidence(version)
    if not found:
        raise UsageError(
            f"{version.name}@{version.version} was not measured yet",
            hint=f"skillforge eval {version.name} --students MODEL",
        )
    newest = found[0]
    arms = newest.report["arms"]
    arm = next(item for item in arms if item["kind"] == "skill" and item["student"] == newest.student)
    answers = forge.answers(version, newest.student)
    rows = [
        {"case": case_id, "input": answers[case_id].input, "output": answers[case_id].output}
        for case_id in arm["versus_teacher"]["lost"]
        if case_id in answers
    ]
    if json_out:
        print_json(rows)
        return
    typer.echo(f"{len(rows)} cases where {newest.student} did worse than the teacher ({newest.created_at})")
    for row in rows:
        typer.echo(f"\n{row['case']}  {json.dumps(row['input'], ensure_ascii=False)}")
        typer.echo(f"  -> {json.dumps(row['output'], ensure_ascii=False)}")


def _row(forge: Forge, version: SkillVersion) -> dict[str, Any]:
    newest = next(iter(forge.evidence(version)), None)
    return {
        "name": version.name,
        "version": version.version,
        "digest": version.digest,
        "status": version.status,
        "examples": len(version.skill.examples.items),
        "verdict": newest.verdict if newest else None,
        "student": newest.student if newest else None,
        "description": version.skill.description,
    }


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


def _ignore(file: Path) -> None:
    """Keep the registry out of git, the schema in: add only the lines that are missing."""
    present = file.read_text("utf-8").splitlines() if file.exists() else []
    missing = [line for line in IGNORED if line not in present]
    if missing:
        with file.open("a", encoding="utf-8") as handle:
            handle.write("".join(f"{line}\n" for line in missing))
