"""The things an eval measures side by side. Every arm sees the same cases, frame, limits; only the skill differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from skillforge.canonical import digest
from skillforge.case import Case, Decision
from skillforge.engine.compiled import compiled
from skillforge.engine.execute import Executor, PromptExecutor
from skillforge.engine.frame import HARNESS, bare_skill, epoch_role, examples_skill, raw_skill
from skillforge.engine.nomodel import NoModelExecutor, label_fields
from skillforge.engine.recorded import TODAY, RecordedExecutor
from skillforge.errors import UsageError
from skillforge.evals.running.sandboxed import loop_skill, prompts_of
from skillforge.providers.replay import Replay
from skillforge.skill import Skill

ArmKind = Literal[
    "teacher",
    "again",
    "today",
    "no-model",
    "bare",
    "raw",
    "examples",
    "skill",
    "variant",
    "encoder",
    "ladder",
    "own",
]

DEFAULT_ARMS: tuple[ArmKind, ...] = ("today", "no-model", "bare", "examples", "skill", "variant")
# What may replace the teacher: these get a verdict. Those that can be deployed leave evidence.
CANDIDATES: tuple[ArmKind, ...] = ("skill", "variant", "encoder", "ladder", "own")
DEPLOYABLE: tuple[ArmKind, ...] = ("skill", "variant", "encoder", "ladder")
VARIANT = "+ variant"  # how the arm with the student's own variant is called; files of ``--variant`` have names


@dataclass(frozen=True)
class Arm:
    """One executor on one form of the skill. ``name`` is unique in an eval.

    ``first_epoch`` sets an arm apart that asks the same again, ``asks_as`` names the kind of arm it asks the same as.
    ``most`` is how many answers to one case it can give: what is recorded or worked out says nothing new when it is
    asked again (``None``: as many as it is asked for).
    """

    name: str
    kind: ArmKind
    skill: Skill
    executor: Executor
    first_epoch: int = 0
    asks_as: ArmKind | None = None
    most: int | None = None

    @property
    def student(self) -> str:
        return self.executor.student

    @property
    def is_today(self) -> bool:
        """Whether it holds what a program was answered before there was a skill; a teacher may be that too."""
        return isinstance(self.executor, RecordedExecutor)

    def covers(self, case: Case) -> bool:
        """Whether this arm can answer the case at all: recorded answers are what they are."""
        return not isinstance(self.executor, RecordedExecutor) or self.executor.covers(case)

    def epochs(self, repeat: int) -> range:
        """The epochs it answers every case in, where each case is to be answered ``repeat`` times."""
        count = repeat if self.most is None else min(repeat, self.most)
        return range(self.first_epoch, self.first_epoch + count)

    def sample_key(self, case: Case, epoch: int = 0) -> str:
        """Content address of what this arm asks about this case: whatever could change the answer, nothing else."""
        asked = {
            "harness": HARNESS,
            "arm": self.asks_as or self.kind,
            "skill": compiled(self.skill).digest,
            "by": self.executor.identity,
            "input": case.input,
        }
        return digest({**asked, "epoch": epoch} if epoch else asked)


@dataclass(frozen=True)
class Wanted:
    """Which arms beside the teacher. ``own`` are programs and functions, ``variants`` other forms of the skill,
    ``tuned`` the students' own variants by their names.
    ``again``: the teacher answers twice, for want of labels; ``repeat`` is how many answers a case gets from each arm.
    """

    kinds: Collection[ArmKind] = DEFAULT_ARMS
    own: Sequence[Executor] = ()
    variants: Sequence[Skill] = ()
    tuned: Mapping[str, Skill] = field(default_factory=dict)
    again: bool = False
    repeat: int = 1


def build_arms(
    skill: Skill,
    decision: Decision,
    teacher: Executor,
    students: list[Executor],
    today: Executor | None = None,
    wanted: Wanted = Wanted(),
) -> list[Arm]:
    """Teacher first, then its second pass, what is used today, no-model (for label outputs), then for every student
    bare, raw, examples, skill and variants, then the caller's own programs. Of a workflow, bare is the loop that it
    replaces: the same student with the same tools.

    Of ``wanted.kinds`` those are built that say something here: ``examples`` where the skill has some, ``raw`` where
    it is not the same as bare (a text has no contract). All see one frame and one contract. Programs, like today's
    answers, are judged by the contract alone: they never saw the skill's checks.

    Where the teacher's answers are those of ``today``, leave ``today`` out: they are one arm. Raises ``UsageError`` for
    two arms of one name.
    """
    arms = [teacher_arm(skill, teacher, wanted.repeat)]
    bare = arms[0].skill
    if wanted.again and _can_answer_again(teacher, bare, wanted.repeat):
        arms.append(second_pass(arms[0], "again", wanted.repeat))
    if today is not None and "today" in wanted.kinds:
        arms.append(Arm(TODAY, "today", bare, today, most=1))
    if "no-model" in wanted.kinds and _votable(skill, decision):
        arms.append(Arm("no-model", "no-model", skill, NoModelExecutor(), most=1))
    forms = list(_forms(skill, bare, wanted))
    for by in students:
        alone: ArmKind | None = getattr(by, "arm_kind", None)  # a classifier or a ladder: it has no other forms
        if alone is None:
            arms += [Arm(f"{by.student} {name}", kind, form, by) for name, kind, form in forms]
            if by.student in wanted.tuned and "variant" in wanted.kinds:
                arms.append(Arm(f"{by.student} {VARIANT}", "variant", wanted.tuned[by.student], by))
        else:
            arms.append(Arm(by.student, alone, skill, by))
    arms += [Arm(by.student, "own", bare, by) for by in wanted.own]
    twice = sorted(name for name, count in Counter(arm.name for arm in arms).items() if count > 1)
    if twice:
        raise UsageError(
            f"two arms have one name: {', '.join(twice)}", hint="give each provider, program and variant its own name"
        )
    return arms


def teacher_arm(skill: Skill, teacher: Executor, repeat: int) -> Arm:
    """The teacher on the bare form of the skill; of a workflow on the loop that it replaces."""
    bare = loop_skill(skill) if skill.is_workflow else bare_skill(skill)
    return Arm("teacher", "teacher", bare, teacher, most=_most_answers(teacher, bare, repeat))


def second_pass(arm: Arm, kind: ArmKind, repeat: int) -> Arm:
    """The same questions asked again, in the epochs after those of ``arm``."""
    return replace(arm, name=f"{arm.name} again", kind=kind, first_epoch=repeat, asks_as=arm.kind)


def against_itself(arms: list[Arm], repeat: int) -> list[Arm]:
    """A/A: the one candidate as its own teacher, with the answers of other epochs; without a candidate the teacher.
    What is left over is noise.

    Raises ``UsageError`` for several candidates, and for one that can only repeat itself.
    """
    candidates = [arm for arm in arms if arm.kind in CANDIDATES]
    if len(candidates) > 1:
        names = ", ".join(arm.name for arm in candidates)
        raise UsageError(
            f"one arm is measured against itself, not {names}", hint="name one of them: --students, --arms"
        )
    first = candidates[0] if candidates else arms[0]
    if not _can_answer_again(first.executor, first.skill, repeat):
        raise UsageError(
            f"{first.name} holds one answer to a case: against itself it differs in none",
            hint="name a model that answers, not a recording",
        )
    return [first, second_pass(first, first.kind if candidates else "own", repeat)]


def _forms(skill: Skill, bare: Skill, wanted: Wanted) -> Iterator[tuple[str, ArmKind, Skill]]:
    """What each student runs: how the arm is called, its kind, its form of the skill."""
    if "bare" in wanted.kinds:
        yield "bare", "bare", bare
    if "raw" in wanted.kinds and skill.output != "text" and not skill.is_workflow:
        yield "raw", "raw", raw_skill(skill)
    if "examples" in wanted.kinds and skill.examples.items and not skill.is_workflow:
        yield "examples", "examples", examples_skill(skill)
    if "skill" in wanted.kinds:
        yield "+ skill", "skill", skill
    for variant in wanted.variants:
        yield f"+ {variant.name}", "variant", variant


def _most_answers(teacher: Executor, skill: Skill, repeat: int) -> int | None:
    """How many answers to a case a teacher holds, where it is a recording."""
    if isinstance(teacher, RecordedExecutor | NoModelExecutor):
        return 1
    prompts = prompts_of(teacher)
    if repeat > 1 and prompts is not None and isinstance(prompts.provider, Replay):
        recorded = (prompts.provider.answers_role(_role(prompts, skill, epoch)) for epoch in range(repeat))
        return max(1, next((epoch for epoch, there in enumerate(recorded) if not there), repeat))
    return None


def _can_answer_again(executor: Executor, skill: Skill, repeat: int) -> bool:
    """Whether it can be asked once more after ``repeat`` answers: a recording only where that was recorded."""
    if isinstance(executor, RecordedExecutor | NoModelExecutor):
        return False
    prompts = prompts_of(executor)
    if prompts is not None and isinstance(prompts.provider, Replay):
        return prompts.provider.answers_role(_role(prompts, skill, repeat))
    return True


def _role(prompts: PromptExecutor, skill: Skill, epoch: int) -> str:
    """The role in which a model is first asked: of a workflow that of a step."""
    asking = next((step.id for step in skill.steps if step.kind in ("prompt", "agent")), "")
    return epoch_role(f"{prompts.role}:{asking}" if asking else prompts.role, epoch)


def _votable(skill: Skill, decision: Decision) -> bool:
    """Whether a vote of labels can answer what the metric asks."""
    labels = set(label_fields(skill))
    if not labels or not skill.examples.items or skill.output == "text":
        return False
    if decision.metric.startswith("/"):
        return decision.metric[1:] in labels
    return labels == set(skill.output)
