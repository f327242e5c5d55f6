"""What a tuning will search with, found out before the first call: suite, cases, teacher, rule, budget."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from skillforge.canonical import digest
from skillforge.case import Case, Suite
from skillforge.errors import UsageError
from skillforge.evals.fit import require_fit
from skillforge.evals.sampling import stratified
from skillforge.evals.scorers.resolve import Scorers, scorers_of
from skillforge.forge.measuring.plan import RECORDED, Prepared, find_suite
from skillforge.forge.runs import chosen_student
from skillforge.forge.skills import resolve
from skillforge.forge.workspace import Workspace
from skillforge.ladder import ENCODER
from skillforge.providers.replay import Replay
from skillforge.store.registry import SkillVersion
from skillforge.students.tune.compare import Rule
from skillforge.students.tune.purse import Allowance
from skillforge.students.tune.values import Optimizer
from skillforge.suggest import did_you_mean

STAGES = ("roots", "format", "examples", "instructions", "compression", "effort")
OPTIMIZERS = ("reflect", "gepa")
TEST_ARMS = 4  # bare, examples, skill, variant: what the last measurement asks the student
_LEAST_DEV = 12
_LOOKS = 10  # so many times all of dev should be affordable
_TEST_SHARE = 3  # a third of the calls at most is kept for the test


class TuneWishes(TypedDict, total=False):
    """What a caller may ask of a tuning; what is left out has its default.

    ``student``: the model to tune for. ``teacher``: the model that reflects (``recorded``: none, the instructions are
    left as they are). ``budget``: dollars, or ``"400calls"``, over student and teacher, the last test included.
    ``authors``: models that each write instructions of their own. ``optimizer``: ``reflect`` or ``gepa``. ``stages``:
    which of ``STAGES``. ``anchors``: ids of cases that must not regress, beside the suite's. ``suite``: its path.
    ``dev``: at most so many dev cases decide. ``level`` and ``tolerance``: the rule, else the suite's. ``test``:
    measure the winner on the test split and write its file. ``on_asked`` is called at every answer with whether it was
    known already.
    """

    student: str | None
    teacher: str | None
    budget: str | float | None
    authors: Collection[str]
    optimizer: str | Optimizer
    stages: Collection[str]
    anchors: Collection[str]
    suite: str | Path | None
    dev: int | None
    level: float | None
    tolerance: float | None
    test: bool
    on_asked: Callable[[bool], None]


@dataclass(frozen=True)
class TunePlan:
    """A tuning as it will run. ``dev`` decides, ``train`` teaches, ``test`` is measured once at the end. ``teacher`` is
    the live model that reflects, empty: none. ``key`` names what was asked: the same command goes on with it.
    """

    version: SkillVersion
    suite: Suite
    suite_path: Path | None
    scorers: Scorers
    student: str
    teacher: str
    measured_against: str
    authors: tuple[str, ...]
    optimizer: str | Optimizer
    stages: tuple[str, ...]
    rule: Rule
    allowance: Allowance
    dev: tuple[Case, ...]
    train: tuple[Case, ...]
    test: tuple[Case, ...]
    anchors: tuple[str, ...]
    beside: tuple[Case, ...]
    said: tuple[str, ...]
    key: str
    tests: bool = True

    @property
    def search_calls(self) -> int | None:
        """Calls the search may use: the rest is kept for the test."""
        if self.allowance.calls is None:
            return None
        return _search_calls(self.allowance.calls, len(self.test) if self.tests else 0)

    @property
    def prepared(self) -> Prepared:
        """For what scores and grades answers."""
        return Prepared(self.suite, "dev", list(self.dev), [], self.scorers)


def plan_tuning(work: Workspace, ref: str, wishes: TuneWishes) -> TunePlan:
    """Raises ``NotFound`` (skill, suite), ``UsageError`` for what cannot be tuned."""
    version, student = _tunable(work, ref, wishes.get("student"))
    named = wishes.get("suite")
    suite_path = None if named is None else Path(named)
    suite = find_suite(work, version, suite_path)
    found = scorers_of(suite, None, version.skill, work.custom_checks)
    scorers = Scorers(found.metric)
    said: list[str] = []
    dev, train, test = _splits(suite, scorers, said)
    require_fit(version.skill, [*dev, *train], suite, scorers)
    allowance = Allowance.parse(wishes.get("budget"))
    teacher, against = _teachers(work, suite, wishes.get("teacher"))
    stages = _stages(wishes.get("stages", ()))
    anchors, beside = _anchors(suite, wishes.get("anchors", ()), dev, train)
    tests = wishes.get("test", True)
    dev = _affordable(dev, wishes.get("dev"), allowance, len(test) if tests else 0, suite, anchors, said)
    if tests and allowance.calls is not None and test:
        kept = allowance.calls - _search_calls(allowance.calls, len(test))
        said.append(f"{kept} of {allowance.calls} calls are kept for the test at the end")
    rule = _rule(suite, wishes.get("level"), wishes.get("tolerance"))
    authors = tuple(dict.fromkeys(wishes.get("authors", ())))
    optimizer = wishes.get("optimizer", "reflect")
    if isinstance(optimizer, str) and optimizer not in OPTIMIZERS:
        raise UsageError(f"--optimizer {optimizer}: unknown", hint=f"one of {', '.join(OPTIMIZERS)}")
    return TunePlan(
        version=version,
        suite=suite,
        suite_path=suite_path,
        scorers=scorers,
        student=student,
        teacher=teacher,
        measured_against=against,
        authors=authors,
        optimizer=optimizer,
        stages=stages,
        rule=rule,
        allowance=allowance,
        dev=tuple(dev),
        train=tuple(train),
        test=tuple(test),
        anchors=anchors,
        beside=tuple(beside),
        said=tuple(said),
        key=_key(work, version, suite, student, teacher, authors, optimizer, stages, rule, anchors, wishes.get("dev")),
        tests=tests,
    )


def _key(
    work: Workspace,
    version: SkillVersion,
    suite: Suite,
    student: str,
    teacher: str,
    authors: Sequence[str],
    optimizer: str | Optimizer,
    stages: Sequence[str],
    rule: Rule,
    anchors: Sequence[str],
    dev: int | None,
) -> str:
    """What was asked; not how much it may cost: with more to spend the same tuning goes on. ``dev`` counts as it was
    said, since more to spend may look at more cases.
    """
    asked = {
        "skill": version.digest,
        "keep": list(version.skill.keep),
        "student": work.provider(student).fingerprint(),
        "suite": suite.digest(),
        "teacher": teacher,
        "authors": list(authors),
        "optimizer": optimizer if isinstance(optimizer, str) else optimizer.name,
        "stages": list(stages),
        "rule": rule.model_dump(),
        "dev": dev,
        "anchors": list(anchors),
    }
    return digest(asked)


def _tunable(work: Workspace, ref: str, wished: str | None) -> tuple[SkillVersion, str]:
    version = resolve(work, ref)
    if version.skill.is_workflow:
        raise UsageError(f"{version.name} is a workflow: its steps have no forms", hint="tune the skills it calls")
    student = chosen_student(work, wished)
    if student.startswith(ENCODER) or ">" in student:
        raise UsageError(f"{student} is not a model that reads a skill", hint="name one: --student PROVIDER:MODEL")
    return version, student


def _splits(suite: Suite, scorers: Scorers, said: list[str]) -> tuple[list[Case], list[Case], list[Case]]:
    """(dev, train, test) of the cases the metric can score. Without a dev split half of train decides."""
    usable = [case for case in suite.cases if case.expected is not None or not scorers.metric.labels]
    by_split = {name: [case for case in usable if case.split == name] for name in ("dev", "train", "test")}
    dev, train = by_split["dev"], by_split["train"]
    if not dev and len(train) >= 2 * _LEAST_DEV:
        dev = stratified(train, len(train) // 2, suite.decision)
        mine = {case.id for case in dev}
        train = [case for case in train if case.id not in mine]
        said.append(f"no dev split: {len(dev)} of the train cases decide, the other {len(train)} teach")
    if not dev:
        hint = 'give cases "split": "dev" (some 40 or more), with an expected answer; the test split stays untouched'
        raise UsageError(f"the suite {suite.name} has no labelled dev cases to decide on", hint=hint)
    return dev, train, by_split["test"]


def _search_calls(calls: int, test: int) -> int:
    return calls - min(calls // _TEST_SHARE, TEST_ARMS * test)


def _affordable(
    dev: list[Case],
    most: int | None,
    allowance: Allowance,
    test: int,
    suite: Suite,
    anchors: Collection[str],
    said: list[str],
) -> list[Case]:
    """The dev cases that decide: all of them, or a fixed part that the calls allow to be looked at often enough."""
    if most is not None and most < 1:
        raise UsageError("--dev must be at least 1", hint="leave it out to decide on all the budget allows")
    if most is None and allowance.calls is not None:
        most = max(_LEAST_DEV, _search_calls(allowance.calls, test) // _LOOKS)
    if most is None or most >= len(dev):
        return dev
    part = {case.id for case in stratified(dev, most, suite.decision)} | set(anchors)
    said.append(f"{most} of {len(dev)} dev cases decide: more would eat the budget (--dev N for another number)")
    return [case for case in dev if case.id in part]


def _anchors(
    suite: Suite, wished: Collection[str], dev: Sequence[Case], train: Sequence[Case]
) -> tuple[tuple[str, ...], list[Case]]:
    anchors = tuple(dict.fromkeys((*suite.anchors, *wished)))
    known = {case.id: case for case in (*dev, *train)}
    for name in anchors:
        if name not in known:
            hint = "name labelled cases of dev or train: the test split is touched once, at the end"
            raise UsageError(f"anchor {name}: is no such case", hint=hint)
    deciding = {case.id for case in dev}
    return anchors, [known[name] for name in anchors if name not in deciding]


def _rule(suite: Suite, level: float | None, tolerance: float | None) -> Rule:
    if level is not None and not 0 < level < 1:
        raise UsageError(f"level {level:g}: is none", hint="a number between 0 and 1, such as .9")
    if tolerance is not None and not 0 <= tolerance < 1:
        raise UsageError(f"--tolerance {tolerance:g}: is none", hint="in score units from 0 to below 1, such as .05")
    decision = suite.decision
    return Rule(
        level=1 - 2 * decision.alpha if level is None else level,
        tolerance=decision.margin if tolerance is None else tolerance,
    )


def _stages(wished: Collection[str]) -> tuple[str, ...]:
    for name in wished:
        if name not in STAGES:
            hint = did_you_mean(name, STAGES) or f"one of {', '.join(STAGES)}"
            raise UsageError(f"--stages {name}: unknown", hint=hint)
    return tuple(name for name in STAGES if not wished or name in wished)


def _teachers(work: Workspace, suite: Suite, wished: str | None) -> tuple[str, str]:
    """(the live model that reflects or "", what the test is measured against or "")."""
    named = wished or work.settings.teacher or RECORDED
    live = "" if named == RECORDED or isinstance(work.provider(named), Replay) else named
    recorded = bool(suite.recorded) or suite.today is not None
    return live, RECORDED if recorded else live or ("" if named == RECORDED else named)
