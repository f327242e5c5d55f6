"""Running one skill on one input and keeping the row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skillforge.errors import ProviderError, UsageError
from skillforge.forge.session import Session, Terms
from skillforge.forge.workspace import Workspace
from skillforge.run import Run
from skillforge.store.registry import SkillVersion


def chosen_student(work: Workspace, student: str | None) -> str:
    """The named student, or the repository's default.

    Raises ``UsageError`` when neither is given.
    """
    if name := student or work.settings.student:
        return name
    raise UsageError(
        "no student named",
        hint='name one, for example --student local:smollm2-135m, or set student = "…" in skillforge.toml',
    )


async def run_skill(
    work: Workspace,
    version: SkillVersion,
    student: str,
    given: Mapping[str, Any],
    tags: Mapping[str, str],
    terms: Terms,
) -> Run:
    """Execute, store the run with its attempts, return it with its id and version.

    Raises ``InvalidInput`` before any call, ``ProviderError`` when no answer came (the row is kept all the same).
    """
    session = Session(work, terms)
    run = await session.executor(student).execute(version.skill, given)
    reason = work.redactor.text(run.reason)  # it may quote the answer, and is shown where errors are
    run = run.model_copy(update={"version": version.version, "tags": dict(tags), "reason": reason})
    run = run.model_copy(update={"id": work.runs.add(run, source="run")})
    if run.status == "error":
        session.left_open()
        what = f"{version.name}@{version.version}"
        said, hint = _split_hint(run)
        raise ProviderError(f"{what}: {said}" if student in said else f"{what} on {student}: {said}", hint=hint)
    session.finish()
    return run


def _split_hint(run: Run) -> tuple[str, str]:
    """(message, hint): a run keeps both in one line, as ``message (hint)``."""
    error = run.attempts[-1].error if run.attempts else ""
    if error and run.reason.startswith(f"{error} (") and run.reason.endswith(")"):
        return error, run.reason[len(error) + 2 : -1]
    return run.reason, ""
