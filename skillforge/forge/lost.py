"""The cases a student lost against its teacher in the newest eval of a version, with everybody's answer beside."""

from __future__ import annotations

from typing import Any

from skillforge.case import Case
from skillforge.config import store_io
from skillforge.errors import NotFound, SkillFileError
from skillforge.evals.running.arms import DEPLOYABLE
from skillforge.forge.measuring.plan import find_suite
from skillforge.forge.workspace import Workspace
from skillforge.messages import Value
from skillforge.run import Run
from skillforge.store.evidence import Evidence
from skillforge.store.registry import SkillVersion


class LostCase(Value):
    """One case on which ``student`` did worse than the teacher.

    ``input`` and ``expected`` are ``None`` where neither the registry nor the suite holds them any more; ``reason``
    says why a student gave no valid answer.
    """

    student: str
    case: str
    input: dict[str, Any] | None
    expected: Any
    teacher: Any
    answer: Any
    reason: str = ""


def lost_cases(work: Workspace, version: SkillVersion) -> list[LostCase]:
    """Every lost case of every student of the newest eval. Raises ``NotFound`` where nothing was measured yet."""
    measured = [item for item in work.evidence.for_skill(version.name) if item.digest == version.digest]
    if not measured:
        raise NotFound(
            f"{version.name}@{version.version} was not measured yet",
            hint=f"skillforge eval {version.name} --students MODEL",
        )
    newest = measured[0]
    cases = _cases(work, version, newest)
    taught = _runs(work, newest, newest.report["teacher"]["name"])
    lost = []
    for arm in newest.report["arms"]:
        if arm["kind"] not in DEPLOYABLE or arm["name"] not in newest.samples:
            continue
        answers = _runs(work, newest, arm["name"])
        for case_id in arm["versus_teacher"]["lost"]:
            case, run, right = cases.get(case_id), answers.get(case_id), taught.get(case_id)
            lost.append(
                LostCase(
                    student=arm["student"],
                    case=case_id,
                    input=case.input if case else run.input or None if run else None,
                    expected=case.expected if case else None,
                    teacher=right.output if right else None,
                    answer=run.output if run else None,
                    reason=run.reason if run and run.output is None else "",
                )
            )
    return lost


def _runs(work: Workspace, measured: Evidence, arm: str) -> dict[str, Run]:
    """The runs of an arm's lost and gained cases, by case id. Found by key: a sample that other suites or roles asked
    for first carries their case id and arm.
    """
    keys = measured.samples.get(arm, {})
    stored = work.samples.stored(keys.values())
    return {case_id: stored[key].run for case_id, key in keys.items() if key in stored}


def _cases(work: Workspace, version: SkillVersion, measured: Evidence) -> dict[str, Case]:
    """The suite's cases as the store would keep them; none where the suite is gone or is another one by now."""
    try:
        suite = find_suite(work, version, None)
    except (NotFound, SkillFileError):
        return {}
    if suite.digest() != measured.suite_digest:
        return {}
    if store_io(work.settings) == "full":
        return {case.id: case for case in suite.cases}
    clean = work.redactor.value
    return {
        case.id: case.model_copy(update={"input": clean(case.input), "expected": clean(case.expected)})
        for case in suite.cases
    }
