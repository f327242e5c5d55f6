"""On what grounds a version may be promoted: fresh evidence with the verdict ``pass``, or all that it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from skillforge.case import Suite
from skillforge.errors import SkillforgeError
from skillforge.evals.report import EvalReport, evidence_arm
from skillforge.forge.measuring.plan import EVALS_FOLDER, RECORDED, find_suite
from skillforge.forge.stale import model_changes, part_of, suite_change
from skillforge.forge.variants import form_digest, form_for
from skillforge.forge.workspace import Workspace
from skillforge.ladder import TEACHER, parse_ladder
from skillforge.store.evidence import Evidence
from skillforge.store.registry import SkillVersion


@dataclass(frozen=True, slots=True)
class Grounds:
    """What was measured of a version, a student and a suite. ``reasons`` is what keeps it from being proof, all at
    once; empty where it is a fresh ``pass``. ``suite`` and ``evidence`` are ``None`` where there is none; then
    ``elsewhere`` is the file of the suite it was measured on instead, if that stands in the repository.
    """

    suite: Suite | None
    evidence: Evidence | None
    reasons: tuple[str, ...]
    elsewhere: str = ""

    @property
    def verdict(self) -> str:
        """The newest verdict for exactly this version, student and suite; empty where it was never measured."""
        if self.suite is None or self.evidence is None or self.evidence.suite_digest != self.suite.digest():
            return ""
        return self.evidence.verdict


def grounds(work: Workspace, version: SkillVersion, student: str, suite: Path | None) -> Grounds:
    """Look for proof that ``student`` matches the teacher with this version on its suite, or on ``suite``."""
    measured = [item for item in work.evidence.for_skill(version.name) if item.student == student]
    form = form_digest(version, form_for(work, version, student))  # what would answer: its variant, if it has one
    own = [item for item in measured if (item.digest, item.variant) == (version.digest, form)]
    try:
        found = find_suite(work, version, suite)
    except SkillforgeError as exc:
        return Grounds(None, None, (f"there is no suite to have passed: {exc}",))
    fitting = [item for item in own if item.suite_digest == found.digest()]
    if fitting:
        best = _whole(work, version, fitting, found) or fitting[0]
        return Grounds(found, best, tuple(_flaws(work, version, best, found)))
    what = f"{version.name}@{version.version} with {student}"
    same_name = next((item for item in own if item.suite == found.name), None)
    if same_name is not None:
        change = suite_change(same_name, found)
        changed = (
            change.why
            if change is not None and change.what == "wish"
            else f"the cases or the rule of the suite {found.name} changed since {what} was measured on it"
        )
        changed += f" ({_day(same_name)}: {_told(same_name)})"
        return Grounds(found, same_name, (changed, *_flaws(work, version, same_name, found, verdict=False)))
    never = f"{what} was never measured on the suite {found.name}"
    if own:
        others = sorted({item.suite for item in own})
        places = (f"{EVALS_FOLDER}/{name}.yaml" for name in others)
        file = next((place for place in places if (work.root / place).is_file()), "")
        return Grounds(found, None, (f"{never}, only on {', '.join(others)}",), file)
    if measured:
        which = "version" if measured[0].digest != version.digest else "form (its variant changed)"
        other = f"another {which} of it was on {_day(measured[0])}: {_told(measured[0])}"
        return Grounds(found, None, (f"{never}; {other}",))
    return Grounds(found, None, (never,))


def _whole(work: Workspace, version: SkillVersion, fitting: Sequence[Evidence], suite: Suite) -> Evidence | None:
    """The newest result on all the cases that decide, if it is fresh: a later smoke test takes no verdict away."""
    wanted = deciding_split(suite)
    newest = next((item for item in fitting if item.split == wanted and not part_of(item)), None)
    return None if newest is None or model_changes(work, version, newest, suite) else newest


def deciding_split(suite: Suite) -> str:
    """The split a promotion is decided on."""
    return "test" if any(case.split for case in suite.cases) else "all"


def _flaws(
    work: Workspace, version: SkillVersion, evidence: Evidence, suite: Suite, *, verdict: bool = True
) -> list[str]:
    reasons = []
    if verdict and evidence.verdict != "pass":
        reasons.append(f"the verdict of {_day(evidence)} is {_told(evidence)}")
    wanted = deciding_split(suite)
    if evidence.split != wanted:
        reasons.append(f"it was measured on the split {evidence.split}, not on {wanted}")
    reasons += _part(evidence, suite, wanted)
    reasons += _other_teacher(work, evidence)
    return reasons + [change.why for change in model_changes(work, version, evidence, suite)]


def _other_teacher(work: Workspace, evidence: Evidence) -> list[str]:
    """A ladder that ends with the teacher runs with the repository's. A recording may be of any model: whoever made it
    says whose it is.
    """
    ladder, named = parse_ladder(evidence.student), work.settings.teacher
    if ladder is None or ladder.rungs[-1].student != TEACHER or evidence.teacher in (RECORDED, named):
        return []
    told = f"is {named} in skillforge.toml" if named else "is not named in skillforge.toml"
    return [f"its teacher {told}, and was {evidence.teacher} when it was measured"]


def _part(evidence: Evidence, suite: Suite, split: str) -> list[str]:
    """Whoever tries several parts of a suite until one passes has proven nothing."""
    named = [f"--{name}" for name in ("limit", "filter") if evidence.report.get(name)]
    if not named:
        return []
    whole = sum(1 for case in suite.cases if split == "all" or case.split == split)
    counted = f"only {evidence.cases} of {whole} cases were measured" if evidence.cases < whole else "a part was chosen"
    return [f"{counted} ({', '.join(named)}): trying several parts is optional stopping"]


def _told(evidence: Evidence) -> str:
    """The figures behind a verdict, in one line."""
    try:
        report = EvalReport.model_validate(evidence.report)
    except ValidationError:  # of another version of skillforge
        return f"{evidence.verdict}, {evidence.cases} cases"
    arm = evidence_arm(report, evidence.student, evidence.variant)
    right = "" if arm is None else f"{_percent(arm.quality)} right, the teacher {_percent(report.teacher.quality)}"
    versus = None if arm is None else arm.versus_teacher
    worse = "" if versus is None else f"at most {100 * max(0.0, -versus.bounds.low):.1f} points worse"
    asked = evidence.cases if versus is None else versus.n
    count = f"{asked} cases" if asked == evidence.cases else f"{asked} of {evidence.cases} cases"
    return ", ".join(part for part in (evidence.verdict, right, worse, count) if part)


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.1f}%"


def _day(evidence: Evidence) -> str:
    return evidence.created_at[:10]
