"""What differs between two versions of a skill, part by part, and what was measured for each of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from skillforge.canonical import canonical_json
from skillforge.evals.report import EvalReport, evidence_arm
from skillforge.forge.skills import resolve
from skillforge.forge.workspace import Workspace
from skillforge.messages import Value
from skillforge.skill import Skill
from skillforge.store.evidence import Evidence
from skillforge.store.registry import SkillVersion

Kind = Literal["added", "removed", "changed"]
Pairs = Mapping[str, tuple[Any, Any]]  # what counts for identity, and what is shown, by name
_TEXTS = ("instructions", "prompt")
_VALUES = ("name", "description", "task", "suite", "license")
_ORDER = "(order)"


class Change(Value):
    """One difference. ``part`` is a key of the skill's file, ``name`` what in it (a field, an example's id, a check's
    place; may be empty). ``before`` and ``after`` are JSON values; ``None`` on the side that has none.
    """

    part: str
    kind: Kind
    name: str = ""
    before: Any = None
    after: Any = None


class Standing(Value):
    """What was measured for one side: the newest evidence of a student and a suite.

    ``quality`` and ``difference`` (student - teacher, mean score) are shares; ``usd_per_1000`` is dollars per 1,000
    runs. ``None`` is unknown.
    """

    student: str
    suite: str
    verdict: str
    cases: int
    quality: float | None
    difference: float | None
    usd_per_1000: float | None
    created_at: str


class Side(Value):
    """One of the two versions."""

    name: str
    version: int
    digest: str
    evidence: tuple[Standing, ...]


class SkillDiff(Value):
    """Everything that differs from ``a`` to ``b``. ``texts`` holds unified line diffs of instructions and prompt."""

    a: Side
    b: Side
    changes: tuple[Change, ...] = ()
    texts: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether the skills differ, licence and metadata included. Evidence does not count."""
        return bool(self.changes or self.texts)


def diff(work: Workspace, a: str, b: str) -> SkillDiff:
    """Compare what two references name; both may be one skill's, or two skills'. Raises ``NotFound``."""
    before, after = resolve(work, a), resolve(work, b)
    return SkillDiff(
        a=_side(work, before),
        b=_side(work, after),
        changes=skill_changes(before.skill, after.skill),
        texts=text_changes(before.skill, after.skill),
    )


def skill_changes(a: Skill, b: Skill) -> tuple[Change, ...]:
    """Every difference but those of instructions and prompt, in the order of the file."""
    found: list[Change] = []
    for part in _VALUES:
        before, after = getattr(a, part), getattr(b, part)
        if before != after:
            found.append(Change(part=part, kind="changed", before=before, after=after))
    found += _entries("metadata", _same(a.metadata), _same(b.metadata), ordered=False)
    found += _entries("input", _contract(a, "input"), _contract(b, "input"))
    if (a.output == "text") != (b.output == "text"):
        found.append(Change(part="output", kind="changed", before=a.output, after=b.output))
    else:
        found += _entries("output", _contract(a, "output"), _contract(b, "output"))
    found += _examples(a, b)
    found += _checks(a, b)
    found += _entries("limits", _same(a.limits.model_dump()), _same(b.limits.model_dump()))
    return tuple(found)


def text_changes(a: Skill, b: Skill) -> dict[str, tuple[str, ...]]:
    """Unified line diffs (three lines of context, no file names) of the texts that differ."""
    changed = [part for part in _TEXTS if getattr(a, part) != getattr(b, part)]
    return {part: tuple(_unified(getattr(a, part), getattr(b, part))) for part in changed}


def _unified(before: str, after: str) -> Iterator[str]:
    # split, not splitlines: a line break more at the end is a difference too
    lines = difflib.unified_diff(before.split("\n"), after.split("\n"), lineterm="")
    return (line for number, line in enumerate(lines) if number >= 2)  # the first two name files


def _same(values: Mapping[str, Any]) -> Pairs:
    return {name: (value, value) for name, value in values.items()}


def _contract(skill: Skill, part: Literal["input", "output"]) -> Pairs:
    """The fields by name. The identity's form of a schema is compared: the order of its properties counts."""
    fields = getattr(skill, part)
    return {} if fields == "text" else {name: (form, fields[name]) for name, form in skill.identity()[part]}


def _entries(part: str, before: Pairs, after: Pairs, *, ordered: bool = True) -> Iterator[Change]:
    for name in [*before, *(name for name in after if name not in before)]:
        if name not in after:
            yield Change(part=part, kind="removed", name=name, before=before[name][1])
        elif name not in before:
            yield Change(part=part, kind="added", name=name, after=after[name][1])
        elif canonical_json(before[name][0]) != canonical_json(after[name][0]):
            yield Change(part=part, kind="changed", name=name, before=before[name][1], after=after[name][1])
    if ordered:
        yield from _order(part, [name for name in before if name in after], [name for name in after if name in before])


def _order(part: str, before: list[str], after: list[str]) -> Iterator[Change]:
    if before != after:
        yield Change(part=part, kind="changed", name=_ORDER, before=before, after=after)


def _examples(a: Skill, b: Skill) -> Iterator[Change]:
    for name in ("select", "k"):
        before, after = getattr(a.examples, name), getattr(b.examples, name)
        if before != after:
            yield Change(part="examples", kind="changed", name=name, before=before, after=after)
    yield from _entries("examples", _items(a), _items(b))


def _items(skill: Skill) -> Pairs:
    return _same({f"#{item.id}": item.model_dump(mode="json", exclude={"id"}) for item in skill.examples.items})


def _checks(a: Skill, b: Skill) -> Iterator[Change]:
    """Checks have no names: what is the same stays, and the others are told with their place on their own side."""
    before, after = _written_checks(a), _written_checks(b)
    matcher = difflib.SequenceMatcher(None, [form for form, _ in before], [form for form, _ in after], autojunk=False)
    for tag, start, end, other_start, other_end in matcher.get_opcodes():
        if tag == "equal":
            continue
        for number in range(start, end):
            yield Change(part="checks", kind="removed", name=str(number + 1), before=before[number][1])
        for number in range(other_start, other_end):
            yield Change(part="checks", kind="added", name=str(number + 1), after=after[number][1])


def _written_checks(skill: Skill) -> Sequence[tuple[bytes, dict[str, Any]]]:
    dumped = [check.model_dump(mode="json", exclude_defaults=True) for check in skill.checks]
    return [(canonical_json(check), check) for check in dumped]


def _side(work: Workspace, version: SkillVersion) -> Side:
    newest: dict[tuple[str, str], Evidence] = {}
    for item in work.evidence.for_skill(version.name):  # newest first
        if item.digest == version.digest:
            newest.setdefault((item.student, item.suite), item)
    standings = tuple(_standing(item) for item in newest.values())
    return Side(name=version.name, version=version.version, digest=version.digest, evidence=standings)


def _standing(item: Evidence) -> Standing:
    report = EvalReport.model_validate(item.report)
    arm = evidence_arm(report, item.student, item.variant)
    versus = None if arm is None else arm.versus_teacher
    return Standing(
        student=item.student,
        suite=item.suite,
        verdict=item.verdict,
        cases=item.cases,
        quality=None if arm is None else arm.quality,
        difference=None if versus is None else versus.difference,
        usd_per_1000=None if arm is None else arm.usd_per_1000,
        created_at=item.created_at,
    )
