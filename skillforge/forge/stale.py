"""Whether evidence still speaks of what is there: skill, suite, judge, teacher and student as they are now.

Evidence names the identity of everything it was measured with. Nothing is asked, no key is looked up, no model is
loaded to compare them; files in object stores are not fetched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from skillforge.case import Suite
from skillforge.engine.execute import Executor, PromptExecutor
from skillforge.engine.frame import HARNESS
from skillforge.errors import MissingPackage, SkillforgeError
from skillforge.evals.running.arms import teacher_arm
from skillforge.forge.measuring.plan import EVALS_FOLDER, RECORDED, as_wished, find_suite, teacher_executor, unopened
from skillforge.forge.measuring.rungs import teacher_rung_of
from skillforge.forge.opening import open_student
from skillforge.forge.variants import form_digest, form_for
from skillforge.forge.workspace import Workspace
from skillforge.ladder import ENCODER, TEACHER, parse_ladder
from skillforge.remotefile import STORES
from skillforge.store.evidence import Evidence
from skillforge.store.registry import SkillVersion

_STORE = re.compile(
    rf"^(?:cases|today|recorded): *[\"']?(?:{'|'.join(STORES)})://".encode(), re.MULTILINE | re.IGNORECASE
)

_CASES = re.compile(rb"^cases: *[\"']?file://([^\"'\r\n]+)", re.MULTILINE)
_DECLARED = {"--scorer": "decision: {{metric: {}}}", "--judge": "judge: {}", "--repeat": "repeat: {}"}
MOST_BYTES = 8 * 1_048_576

_SHOWN = 120  # characters of a flag: a scorer may be given as JSON

What = Literal["skill", "suite", "wish", "judge", "teacher", "student", "harness", "recording", "missing"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not what was measured: which, and why in words.

    ``wish``: flags replaced what the suite says (``--judge``, ``--scorer``, ``--repeat``), so that nothing changed, and
    the suite's own question was not answered.

    ``recording`` (a model's answers were replayed) and ``missing`` (a package that is not installed here) keep evidence
    from being proof of the model, and say nothing of whether it changed.
    """

    what: What
    why: str


@dataclass(frozen=True, slots=True)
class Standing:
    """The newest result of a skill's version (of another version where it has none), and what changed since.

    Where that is a part of the cases, or was measured by another rule than the suite's, it is the newest whole result
    of the same student on the suite, if there is a fresh one: a smoke test takes no verdict away.
    """

    evidence: Evidence
    stale: tuple[Change, ...]


def standings(work: Workspace, versions: Sequence[SkillVersion]) -> list[Standing | None]:
    """Where each version stands; ``None`` where no version of its skill was ever measured.

    Suites of more than 8 MiB are not compared here: one look at all skills must not take minutes.
    """
    now = _Now(work, MOST_BYTES)
    return [now.standing(version) for version in versions]


def stale_since(work: Workspace, version: SkillVersion, evidence: Sequence[Evidence]) -> list[tuple[Change, ...]]:
    """Of each result what is not what was measured any more, of what ``version`` would be measured with now."""
    now = _Now(work)
    return [tuple(now.changes(version, item)) for item in evidence]


class _Now:
    """Compares evidence with what is there. A suite and a model's identity are looked up once, however many rows."""

    def __init__(self, work: Workspace, most: int | None = None) -> None:
        self._work = work
        self._most = most  # bytes of a suite that is compared
        self._suites: dict[Path, Suite | str | None] = {}

    def standing(self, version: SkillVersion) -> Standing | None:
        measured = self._work.evidence.for_skill(version.name)
        own = [item for item in measured if item.digest == version.digest]
        newest = next(iter(own or measured), None)
        if newest is None:
            return None
        changed = tuple(self.changes(version, newest))
        if part_of(newest) or any(change.what == "wish" for change in changed):
            same = [item for item in own if (item.student, item.suite) == (newest.student, newest.suite)]
            whole = next(
                (item for item in same if not part_of(item) and not self._by_another_rule(version, item)), None
            )
            if whole is not None and not self.changes(version, whole):
                return Standing(whole, ())
        return Standing(newest, changed)

    def changes(self, version: SkillVersion, evidence: Evidence) -> list[Change]:
        found = []
        if evidence.digest != version.digest:
            found.append(Change("skill", f"another version of {version.name} was measured, not @{version.version}"))
        suite = self._suite(version, evidence)
        if isinstance(suite, str):
            found.append(Change("suite", suite))
        elif (change := suite_change(evidence, suite)) is not None:
            found.append(change)
        if evidence.digest == version.digest and evidence.variant != self._form(version, evidence.student):
            why = f"{evidence.student} runs another form of {version.name} now: its variant changed"
            found.append(Change("skill", why))
        models = model_changes(self._work, version, evidence, suite if isinstance(suite, Suite) else None)
        return found + [change for change in models if change.what not in ("recording", "missing")]

    def _form(self, version: SkillVersion, student: str) -> str:
        """The digest of what the student would run now."""
        try:
            return form_digest(version, form_for(self._work, version, student))
        except SkillforgeError:
            return "?"

    def _by_another_rule(self, version: SkillVersion, evidence: Evidence) -> bool:
        return bool(wishes_of(evidence)) and any(change.what == "wish" for change in self.changes(version, evidence))

    def _suite(self, version: SkillVersion, evidence: Evidence) -> Suite | str | None:
        """The suite the evidence is about as it is now: the skill's, else the one of that name; or why there is none.
        ``None`` for one in an object store.
        """
        own = self._read(version, None)
        if own is None or (isinstance(own, Suite) and own.name == evidence.suite):
            return own
        file = self._work.root / EVALS_FOLDER / f"{evidence.suite}.yaml"
        if file.is_file() and file.resolve().is_relative_to(self._work.root.resolve()):
            return self._read(version, file)
        if isinstance(own, str):
            return own
        return f"the suite {evidence.suite} is not in {EVALS_FOLDER}/ any more"

    def _read(self, version: SkillVersion, file: Path | None) -> Suite | str | None:
        place = file or self._work.root / (version.skill.suite or f"{EVALS_FOLDER}/{version.name}.yaml")
        if place not in self._suites:
            try:
                self._suites[place] = self._found(version, file, place)
            except (SkillforgeError, OSError) as exc:
                self._suites[place] = f"the suite cannot be read: {str(exc).partition(chr(10))[0]}"
        return self._suites[place]

    def _found(self, version: SkillVersion, file: Path | None, place: Path) -> Suite | None:
        """``None`` where the suite's lines lie in an object store, or are too many. A glance at it tells."""
        if place.is_file():
            text = place.read_bytes()
            cases = _CASES.search(text)
            beside = place.parent / cases[1].decode("utf-8", "replace") if cases else place
            large = self._most is not None and beside.is_file() and beside.stat().st_size > self._most
            if large or _STORE.search(text):
                return None
        return find_suite(self._work, version, file)


def part_of(evidence: Evidence) -> str:
    """The flags by which only a part of the cases was measured; empty where it was the whole split."""
    report = evidence.report
    return " ".join(f"--{name} {printable(str(report[name]))}" for name in ("limit", "filter") if report.get(name))


def wishes_of(evidence: Evidence) -> tuple[str, ...]:
    """The flags that replaced what the suite said then. Reports come from files too: others are skipped."""
    listed = evidence.report.get("wished")
    found = listed if isinstance(listed, list | tuple) else ()
    return tuple(item for item in found if isinstance(item, str) and item.partition(" ")[0] in _DECLARED)


def suite_change(evidence: Evidence, suite: Suite | None) -> Change | None:
    """Why the suite is not the one that was measured: it changed, or flags replaced what it says. ``suite`` is ``None``
    where it cannot be compared.
    """
    wished = wishes_of(evidence)
    if suite is not None and suite.digest() == evidence.suite_digest:
        return None
    if wished and (suite is None or _with_wishes(suite, wished, _metric(evidence)) == evidence.suite_digest):
        flags = " ".join(map(printable, wished))
        why = f"it was measured with {flags}, which the suite does not say"
        return Change("wish", f"{why}: write it into the suite ({declared(wished, _metric(evidence))}) and rescore")
    if suite is None:
        return None
    return Change("suite", f"the cases, the scorers or the rule of the suite {suite.name} changed")


def declared(wished: Sequence[str], metric: str) -> str:
    """What a suite says instead of these flags; ``metric`` is the one that was measured by."""
    return ", ".join(_declared(flag, metric) for flag in wished)


def _declared(flag: str, metric: str) -> str:
    name, _, value = flag.partition(" ")
    if name == "--scorer" and value.startswith("{"):
        return "a scorer of its own, named by decision: metric"
    if name == "--scorer" and value != metric:  # a function: the metric holds the digest of its code too
        return "decision: metric, once an installed package offers the function as an entry point"
    return _DECLARED[name].format(printable(value))


def _with_wishes(suite: Suite, wished: Sequence[str], metric: str) -> str:
    """The digest of the suite as it is now, with these flags; empty where they cannot be read any more."""
    given = dict(item.split(" ", 1) for item in wished if " " in item)
    scorer, repeat = given.get("--scorer"), given.get("--repeat")
    if scorer is not None and not scorer.startswith("{"):
        scorer = metric
    try:
        return as_wished(suite, scorer, given.get("--judge"), None if repeat is None else int(repeat)).digest()
    except (SkillforgeError, ValueError):
        return ""


def _metric(evidence: Evidence) -> str:
    decision = evidence.report.get("decision")
    return str(decision.get("metric", "")) if isinstance(decision, Mapping) else ""


def printable(text: str) -> str:
    line = "".join(character for character in " ".join(text.split()) if character.isprintable())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"


def model_changes(work: Workspace, version: SkillVersion, evidence: Evidence, suite: Suite | None) -> list[Change]:
    """The models, and the frame they are asked in, that are not those that were measured. ``suite`` is ``None`` where
    it cannot be read: then a recorded teacher is left out.
    """
    found = []
    if evidence.harness != HARNESS:
        why = f"it was measured with another harness ({evidence.harness}, now {HARNESS}): models see other prompts now"
        found.append(Change("harness", why))
    if parse_ladder(evidence.student) is not None or evidence.student.startswith(ENCODER):
        found += _built_changed(work, version, evidence, suite)
    else:
        found += _changed(work, "student", evidence.student, evidence.student_identity, None)
    if suite is not None or evidence.teacher != RECORDED:
        found += _changed(work, "teacher", evidence.teacher, evidence.teacher_identity, suite)
    for judge in _judges(evidence.report):
        found += _judge_changed(work, *judge)
    return found


def _changed(work: Workspace, role: What, model: str, identity: str, suite: Suite | None) -> list[Change]:
    """Why the model is not the one that was measured. No key is looked up for that, nothing is asked."""

    def executor(name: str, *, role: str = "run") -> PromptExecutor:
        return PromptExecutor(work.provider(name), role=role, custom_checks=work.custom_checks)

    try:
        now: Executor = executor(model) if suite is None else teacher_executor(suite, model, executor)
        current = now.identity
    except (SkillforgeError, OSError) as exc:
        return [_not_found(role, model, exc)]
    if current == identity:
        return []
    if identity.startswith("replay ") and not current.startswith("replay "):
        return [Change("recording", f"the {role}'s answers came from a recording (--replay), not from {model} itself")]
    why = f"the {role} {model} is not what was measured: its weights, address, options or custom checks changed"
    return [Change(role, why)]


def _built_changed(work: Workspace, version: SkillVersion, evidence: Evidence, suite: Suite | None) -> list[Change]:
    """Why a classifier, or a ladder with its rungs' forms of the skill, is not what was measured. A ladder's teacher is
    that of the evidence.
    """
    student, executor = evidence.student, unopened(work)
    ladder = parse_ladder(student)
    taught = ladder is not None and any(rung.student == TEACHER for rung in ladder.rungs)
    if taught and suite is None and evidence.teacher == RECORDED:
        return []
    try:
        teacher = None
        if taught:
            asked = executor(evidence.teacher) if suite is None else teacher_executor(suite, evidence.teacher, executor)
            teacher = teacher_rung_of(teacher_arm(version.skill, asked, 1))
        current = open_student(work, executor, student, version, teacher=teacher).identity
    except (SkillforgeError, OSError) as exc:
        return [_not_found("student", student, exc)]
    if current == evidence.student_identity:
        return []
    what = "a rung, its form of the skill or its options" if ladder is not None else "its file"
    return [Change("student", f"the student {student} is not what was measured: {what} changed")]


def _judge_changed(work: Workspace, model: str, identity: str) -> list[Change]:
    try:
        current = work.provider(model).fingerprint()
    except (SkillforgeError, OSError) as exc:
        return [_not_found("judge", model, exc)]
    if current == identity:
        return []
    if identity.startswith("replay ") and not current.startswith("replay "):
        return [Change("recording", f"the judge's grades came from a recording (--replay), not from {model} itself")]
    return [Change("judge", f"the judge {model} is not what graded: its weights, address or options changed")]


def _not_found(role: What, model: str, exc: Exception) -> Change:
    what: What = "missing" if isinstance(exc, MissingPackage) else role
    return Change(what, f"the {role} {model} cannot be found any more: {exc}")


def _judges(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(model, identity) of every judge of a report, each once. Reports come from files too: what is none is skipped."""
    listed = report.get("judges")
    judges = [item for item in listed if isinstance(item, Mapping)] if isinstance(listed, list | tuple) else []
    named = [(item.get("model"), item.get("identity")) for item in judges]
    whole = [(model, identity) for model, identity in named if isinstance(model, str) and isinstance(identity, str)]
    return list(dict.fromkeys(pair for pair in whole if all(pair)))
