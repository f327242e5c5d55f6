"""From a student's name to what runs skills on it. The only place that knows all kinds of students.

``provider:model`` is a model, ``encoder:NAME`` a classifier of this repository, ``a@0.8 > b > teacher`` a ladder of
them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from skillforge.engine.execute import Executor
from skillforge.engine.frame import bare_skill
from skillforge.engine.solve import SOLVE_ROLE
from skillforge.errors import UsageError
from skillforge.forge.variants import form_for
from skillforge.forge.workspace import Workspace
from skillforge.ladder import ENCODER, TEACHER, RungSpec, lone_threshold, parse_ladder, threshold_text
from skillforge.skill import Skill
from skillforge.store.registry import SkillVersion
from skillforge.students.ladder.executor import AskRung, LadderExecutor, LadderRung, ask_live

FormOf = Callable[[str], Skill]

OpenModel = Callable[..., Executor]
"""Opens a model by its name, and by ``role`` and ``probabilities`` as ``Session.executor`` does."""


def open_student(
    work: Workspace,
    open_model: OpenModel,
    name: str,
    version: SkillVersion,
    *,
    teacher: LadderRung | None = None,
    ask: AskRung = ask_live,
    form: FormOf | None = None,
) -> Executor:
    """What runs the skill on that student. ``teacher`` is the rung of that name in an eval, ``ask`` how a ladder asks
    its rungs there, ``form`` gives what a model on a rung runs (default: its variant, where it has one). A model on a
    rung with a threshold is asked for probabilities.

    Raises ``UsageError`` for a name that says nothing, for a threshold that leads nowhere, and for a classifier or a
    ladder on a workflow, whose steps need models.
    """
    ladder = parse_ladder(name)
    if ladder is not None:
        require_models(name, version.skill)
        forms = form or partial(form_for, work, version)
        rungs = [_rung(work, open_model, spec, version, teacher, forms) for spec in ladder.rungs]
        return LadderExecutor(ladder, rungs, ask)
    if (threshold := lone_threshold(name)) is not None:
        below = f"answers below {threshold_text(threshold)}"
        raise UsageError(f"{name}: nobody is named for {below}", hint=f'name who stands above: "{name} > {TEACHER}"')
    if name.startswith(ENCODER):
        return _encoder(work, name, version.skill)
    return open_model(name)


def one_spelling(name: str) -> str:
    """A student's name as evidence and deployments write it: of a ladder its one spelling, any other as it is."""
    ladder = parse_ladder(name)
    return name if ladder is None else str(ladder)


def teacher_rung(work: Workspace, open_model: OpenModel, skill: Skill) -> LadderRung:
    """The rung ``teacher`` outside of an eval: the repository's teacher, asked as an eval's teacher is."""
    if not work.settings.teacher:
        raise UsageError(
            "the ladder ends with the teacher, and no teacher is named",
            hint='set teacher = "PROVIDER:MODEL" in skillforge.toml, or name the model itself in the ladder',
        )
    executor = open_model(work.settings.teacher, role=SOLVE_ROLE)
    return LadderRung(RungSpec(student=TEACHER), executor, bare_skill(skill), "teacher")


def require_models(name: str, skill: Skill) -> None:
    """Raises ``UsageError`` where a workflow's steps would be asked of a classifier or a ladder."""
    what = "a ladder" if parse_ladder(name) is not None else "a classifier" if name.startswith(ENCODER) else ""
    if skill.is_workflow and what:
        raise UsageError(
            f"{skill.name} is a workflow, and {what} answers no steps", hint="name a model: --student PROVIDER:MODEL"
        )


def _rung(
    work: Workspace,
    open_model: OpenModel,
    spec: RungSpec,
    version: SkillVersion,
    teacher: LadderRung | None,
    form: FormOf,
) -> LadderRung:
    if spec.student == TEACHER:
        found = teacher or teacher_rung(work, open_model, version.skill)
        return LadderRung(spec, found.executor, found.form, found.arm, found.most)
    if spec.student.startswith(ENCODER):
        return LadderRung(spec, _encoder(work, spec.student, version.skill), arm="encoder")
    more = {} if spec.threshold is None else {"probabilities": True}
    executor, runs = open_model(spec.student, **more), form(spec.student)
    if runs == version.skill:
        return LadderRung(spec, executor)
    return LadderRung(spec, executor, runs, "variant")


def _encoder(work: Workspace, name: str, skill: Skill) -> Executor:
    require_models(name, skill)
    from skillforge.forge.encoders import open_encoder

    return open_encoder(work, name.removeprefix(ENCODER))
