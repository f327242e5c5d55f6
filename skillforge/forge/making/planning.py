"""What a caller asks ``create`` for, as a plan: where its inputs come from, who the teacher is, where it is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillforge.case import Case
from skillforge.errors import UsageError
from skillforge.evals.sampling import training_cases
from skillforge.forge.making.create import CreatePlan
from skillforge.forge.making.from_log import recorded_answers
from skillforge.forge.making.solving import TeacherTools
from skillforge.forge.session import NO_TERMS, Terms
from skillforge.forge.skills import SKILLS_FOLDER
from skillforge.forge.workspace import Workspace
from skillforge.suitefile import as_cases, read_cases

Cases = Iterable[Case | Mapping[str, Any]] | str | Path


@dataclass(frozen=True)
class Source:
    """The arguments of ``Forge.create``, where they say what is made of what."""

    task: str
    cases: Cases
    from_log: str
    logs: Iterable[str | Path]
    teacher: str | None
    name: str | None = None
    folder: str | Path | None = None
    suite: str | None = None
    tools: TeacherTools | None = None


def create_plan(work: Workspace, source: Source, terms: Terms = NO_TERMS) -> CreatePlan:
    """Raises ``UsageError`` for what contradicts itself or names no teacher, and as ``recorded_answers``."""
    teacher = source.teacher or work.settings.teacher
    if not teacher:
        raise UsageError("no teacher named", hint='name one with --teacher, or set teacher = "…" in skillforge.toml')
    folder = Path(source.folder) if source.folder is not None else work.root / SKILLS_FOLDER
    cases = _as_cases(source.cases)
    logs = [source.logs] if isinstance(source.logs, str | Path) else [*source.logs]
    if not source.from_log:
        if logs:
            raise UsageError("logs are given, but no group of them", hint="name it with --from-log GROUP")
        return CreatePlan(
            source.task,
            cases,
            teacher,
            folder,
            name=source.name,
            suite=source.suite,
            terms=terms,
            tools=source.tools,
        )
    if source.tools is not None:
        raise UsageError("tools are given beside a log", hint="nothing is solved there: leave the tools out")
    if cases:
        raise UsageError("inputs are given beside a log", hint="a skill from a log is made of its suite's train cases")
    recorded = recorded_answers(work, source.from_log, logs=[Path(path) for path in logs], suite=source.suite)
    return CreatePlan(
        task=source.task or recorded.task,
        cases=(),
        teacher=teacher,
        folder=folder,
        recorded=recorded,
        name=source.name or recorded.name,
        suite=recorded.suite,
        terms=terms,
    )


def _as_cases(cases: Cases) -> tuple[Case, ...]:
    """What a skill may be made from: where cases carry splits, never one that will measure it."""
    found = read_cases(Path(cases)) if isinstance(cases, str | Path) else as_cases(cases)
    return tuple(training_cases(found)[0])
