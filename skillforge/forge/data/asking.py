"""A student's own answers to the rows of a data set: its wrong ones stand beside the teacher's in pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from skillforge.case import Case
from skillforge.engine.execute import PromptExecutor
from skillforge.engine.frame import output_text
from skillforge.engine.pool import for_each
from skillforge.evals.running.arms import Arm
from skillforge.evals.wording.words import many
from skillforge.forge.session import Session
from skillforge.forge.workspace import Workspace
from skillforge.run import Run
from skillforge.sample import Sample
from skillforge.skill import Skill
from skillforge.students.data.row import Row


async def ask_student(
    work: Workspace, session: Session, form: Skill, model: str, rows: Sequence[Row], *, version: int | None
) -> dict[str, tuple[str, str]]:
    """(student, what it said first, before any repair) by row, in the very prompts of the data set. Every answer is
    stored as it comes: an interrupted build goes on, and none is paid for twice. Raises ``Halt``.
    """
    executor = PromptExecutor(session.provider(model), custom_checks=work.custom_checks, exclude_same=True)
    arm = Arm(f"{model} for pairs", "skill", form, executor)
    keys = {arm.sample_key(Case(id=row.id, input=row.input)): row for row in rows}
    known = work.samples.known(keys)
    said = {keys[key].id: (model, _first(form, sample.run)) for key, sample in known.items()}
    left = [(key, row) for key, row in keys.items() if key not in known]
    if left:
        work.say(f"asking {model} {many(len(left), 'row')} for pairs")

    async def one(item: tuple[str, Row]) -> None:
        key, row = item
        run = await executor.execute(form, row.input)
        status: Literal["ok", "error"] = "error" if run.status == "error" else "ok"
        sample = Sample(key=key, arm=arm.name, case_id=row.id, status=status, run=run)
        work.samples.add(sample, version=version)
        session.stored()
        if status == "ok":
            said[row.id] = (model, _first(form, run))

    await for_each(left, one, concurrency=executor.concurrency)
    return said


def _first(form: Skill, run: Run) -> str:
    text = run.attempts[0].text.strip() if run.attempts else ""
    return text or (output_text(form, run.output) if run.output is not None else "")
