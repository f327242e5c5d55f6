"""The instructions, bettered by an optimiser that looks at the student's own failures on train cases.

Half of the train cases are shown with their failures, the other half chooses among proposals; dev only decides at the
end, on few of them, so that its cases are not worn out.
"""

from __future__ import annotations

from skillforge.errors import Halt, ProviderError, TeacherError
from skillforge.students.tune.compare import mean_score
from skillforge.students.tune.grounds import Grounds, Proposed, Stage
from skillforge.students.tune.values import Candidate, Improved, Task

LEAST = 8  # train cases
MOST = 80
_SHARE = 3  # a third of the calls of the search
_FORWARD = 4  # proposals that are measured on dev


async def propose(grounds: Grounds, best: Candidate) -> Proposed:
    if grounds.ask is None or grounds.optimizer is None:
        return Proposed(said="left as they are: no live teacher to reflect (--teacher PROVIDER:MODEL)")
    if len(grounds.train) < LEAST:
        return Proposed(said=f"left as they are: fewer than {LEAST} labelled train cases to learn from")
    form = grounds.form(best)
    if not form.instructions.strip():
        return Proposed(said="left as they are: this form has none")
    cases = grounds.part(grounds.train, MOST)
    feedback = grounds.part(cases, len(cases) // 2)
    shown = {case.id for case in feedback}
    task = Task(
        skill=form,
        student=grounds.student,
        feedback=feedback,
        selection=[case for case in cases if case.id not in shown],
        measure=grounds.measure,
        ask=grounds.ask,
        calls=20 * len(cases) if grounds.calls is None else grounds.calls // _SHARE,
        keep=grounds.skill.keep,
        say=grounds.say,
    )
    try:
        improved = await grounds.optimizer.improve(task)
    except Halt:
        raise
    except (ProviderError, TeacherError) as exc:  # the other stages need no teacher
        return Proposed(said=f"left as they are: {exc}")
    said = f"{grounds.optimizer.name}: {len(improved.proposals)} proposals, {improved.why}"
    return Proposed(_forward(grounds, best, improved), said)


def _forward(grounds: Grounds, best: Candidate, improved: Improved) -> tuple[Candidate, ...]:
    """The proposals that did best on the selection cases, as candidates; each names the one it was made from."""
    made: list[Candidate] = []
    for number, proposal in enumerate(improved.proposals):
        parent = made[proposal.parent] if 0 <= proposal.parent < number else best
        note = proposal.note or f"proposal {number + 1}"
        made.append(grounds.changed(parent, STAGE.name, note, author="teacher", instructions=proposal.instructions))
    means = [mean_score(proposal.scores, proposal.scores) for proposal in improved.proposals]
    measured = [number for number, mean in enumerate(means) if mean is not None]  # the others failed before
    ranked = sorted(measured, key=lambda number: (-(means[number] or 0.0), number))
    return tuple(made[number] for number in sorted(ranked[:_FORWARD]))


STAGE = Stage("instructions", propose)
