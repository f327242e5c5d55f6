"""Markdown for a pull request: what changes in the skills, what was measured of it, what is deployed, at what cost.

Built from files alone, those of the working tree and those of the base revision: CI has no registry.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from skillforge.config import LOCK_FILE, SKILLS_FOLDER
from skillforge.errors import SkillFileError, SkillforgeError
from skillforge.evals.report import ArmReport, EvalReport, evidence_arm
from skillforge.evals.verdict.versus_today import saving_text
from skillforge.evidencefile import EVIDENCE_FOLDER, RecordedEvidence, read_evidence
from skillforge.forge.changes.diff import Change, skill_changes, text_changes
from skillforge.forge.changes.git_tree import checkout
from skillforge.forge.changes.pr_moves import deployments
from skillforge.forge.changes.pr_text import WORDS, code, in_html, plain
from skillforge.forge.files.evidence_files import measured
from skillforge.forge.measuring.plan import find_suite
from skillforge.forge.workspace import Workspace
from skillforge.lockfile import Lock, LockedSkill, read_lock
from skillforge.skill import Skill
from skillforge.skillfile import SKILL_FILE, read_skill
from skillforge.store.registry import SkillVersion

MARKER = "<!-- skillforge pr-comment -->"  # lets CI find its former comment and replace it
_CASES = 20  # ids of lost and of won cases that are listed
_LINES = 60  # of a text's diff
_CHANGES = 30


def pr_comment(work: Workspace, base: str) -> str:
    """The comment against a git revision.

    Raises ``NotFound`` for a revision that git does not know, ``SkillFileError`` for a broken lock. One that is broken
    in the base is being mended: it counts as empty, and that is told.
    """
    told: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        before = Path(name).resolve()
        checkout(work.root, base, before)
        old, new = Lock(), read_lock(work.root)
        try:
            old = read_lock(before)
        except SkillFileError:
            told += [f"⚠️ `{LOCK_FILE}` is broken in the base: every deployment is shown as new.", ""]
        for skill in sorted({*_names(before), *_names(work.root), *old.skills, *new.skills}):
            if section := _section(work, before, skill, (old.skill(skill), new.skill(skill))):
                told += [*section, ""]
    if not told:
        told = ["No skill changes in this pull request."]
    return work.redactor.text("\n".join([MARKER, "## skillforge", "", *told])).rstrip() + "\n"


def _names(root: Path) -> set[str]:
    return {path.parent.name for path in (root / SKILLS_FOLDER).glob(f"*/{SKILL_FILE}")}


def _section(work: Workspace, before: Path, name: str, entries: tuple[LockedSkill, LockedSkill]) -> list[str]:
    """What is to be said of one skill; empty where nothing about it changes."""
    old, new = _skill(before, name), _skill(work.root, name)
    found = _evidence(work.root, name)
    moves = deployments(*entries, found)
    told = ["", "**Deployment**", "", *moves] if moves else []
    if isinstance(new, SkillforgeError):
        return [f"### {code(name)}", "", f"❌ the file is broken: {plain(str(new))}", *told]
    known = old if isinstance(old, Skill) else None
    evidence = _of(found, new)
    changed = (known is None) != (new is None) or (known is not None and new is not None and known != new)
    if not (changed or moves or evidence != _of(_evidence(before, name), new)):
        return []
    lines = [f"### {code(name)}{_numbered(entries[1], new)}", ""]
    if new is None:
        lines.append("The skill's file is removed.")
    elif known is None:
        lines.append(f"A new skill: {plain(new.description)}")
    else:
        lines += _changes(known, new)
    if new is not None:
        lines += ["", *_measured(work, new, evidence)]
    return [*lines, *told]


def _skill(root: Path, name: str) -> Skill | SkillforgeError | None:
    folder = root / SKILLS_FOLDER / name
    if not (folder / SKILL_FILE).is_file():
        return None
    try:
        return read_skill(folder).skill
    except SkillforgeError as exc:
        return exc


def _numbered(entry: LockedSkill, skill: Skill | None) -> str:
    digest = "" if skill is None else skill.digest()
    number = next((number for number, locked in entry.versions.items() if locked == digest), None)
    return f" @{number}" if number is not None else " (a draft)" if skill is not None else ""


def _changes(before: Skill, after: Skill) -> list[str]:
    found, texts = skill_changes(before, after), text_changes(before, after)
    if not (found or texts):
        return ["The skill itself is unchanged."]
    lines = [f"- {_change(change)}" for change in found[:_CHANGES]]
    if len(found) > _CHANGES:
        lines.append(f"- and {len(found) - _CHANGES} more changes")
    for part, diff in texts.items():
        added = sum(line.startswith("+") for line in diff)
        removed = sum(line.startswith("-") for line in diff)
        lines += [f"- {part}: lines added {added}, removed {removed}", "", *_folded(f"{part} as a diff", diff)]
    return lines


def _change(change: Change) -> str:
    what = f"{change.part} {code(change.name)}" if change.name else change.part
    return f"{what} {change.kind}"


def _folded(title: str, diff: Iterable[str]) -> list[str]:
    lines = [*diff]
    shown = [line.replace("```", "`​``") for line in lines[:_LINES]]  # a fence in it would end ours
    rest = [f"… {len(lines) - _LINES} more lines"] if len(lines) > _LINES else []
    return [f"<details><summary>{title}</summary>", "", "```diff", *shown, *rest, "```", "", "</details>", ""]


def _evidence(root: Path, name: str) -> list[RecordedEvidence]:
    """What was measured of a skill; what cannot be read, or contradicts itself, counts as not measured."""
    found: list[RecordedEvidence] = []
    for path in sorted((root / SKILLS_FOLDER / name / EVIDENCE_FOLDER).glob("*.json")):
        with suppress(SkillforgeError, ValueError):
            results = read_evidence(path)
            for item in results:
                measured(item)
            found += results
    return found


def _of(evidence: Iterable[RecordedEvidence], skill: Skill | None) -> list[RecordedEvidence]:
    """What is about exactly this version."""
    digest = None if skill is None else skill.digest()
    return [item for item in evidence if item.digest == digest]


def _measured(work: Workspace, skill: Skill, evidence: list[RecordedEvidence]) -> Iterator[str]:
    if not evidence:
        yield f"**Not measured.** `skillforge eval {skill.name} --students MODEL`, then commit what it writes."
        return
    yield "| student | verdict | right | teacher | difference (at most worse) | cost of 1,000 | saving | cases |"
    yield "|---|---|---|---|---|---|---|---|"
    folded: list[str] = []
    suite = _suite_now(work, skill)
    for item in evidence:
        report = EvalReport.model_validate(item.report)
        if (arm := evidence_arm(report, item.student, item.variant)) is None:
            continue
        yield _row(item, report, arm, stale=suite not in ("", item.suite_digest))
        folded += _cases(item, arm)
    yield ""
    yield from folded


def _suite_now(work: Workspace, skill: Skill) -> str:
    """The digest of the skill's suite as it is; empty where it cannot be read here (cases may be elsewhere)."""
    version = SkillVersion(
        name=skill.name,
        version=0,
        digest=skill.digest(),
        skill=skill,
        status="",
        task="",
        source_path=None,
        provenance={},
        created_at="",
    )
    try:
        return find_suite(work, version, None).digest()
    except SkillforgeError:
        return ""


def _row(item: RecordedEvidence, report: EvalReport, arm: ArmReport, *, stale: bool) -> str:
    versus = arm.versus_teacher
    teacher = report.teacher
    verdict = WORDS[item.verdict] + (" (the suite changed since: stale)" if stale else "")
    cells = [
        code(item.student),
        verdict,
        _share(arm.quality),
        f"{_share(teacher.quality)} ({plain(item.teacher)})",
        "?" if versus is None else f"{100 * versus.difference:+.1f} ({100 * versus.bounds.low:+.1f})",
        _usd(arm.usd_per_1000),
        _saving(report, arm),
        f"{item.cases:,} of {code(item.suite)} {item.split}",
    ]
    return f"| {' | '.join(cells)} |"


def _saving(report: EvalReport, arm: ArmReport) -> str:
    """Against the program's own calls where they were measured (list price, really paid), else against the teacher."""
    today = arm.versus_today
    if today is not None and today.saving_real is not None:
        listed = "" if today.saving_list is None else f"{saving_text(today.saving_list)} at list price, "
        return f"{listed}{saving_text(today.saving_real)} really paid"
    versus = arm.versus_teacher
    return "?" if versus is None or versus.saving is None else saving_text(versus.saving)


def _cases(item: RecordedEvidence, arm: ArmReport) -> list[str]:
    versus = arm.versus_teacher
    if versus is None or not (versus.lost or versus.gained):
        return []
    title = f"{in_html(item.student)}: {len(versus.lost)} cases lost, {len(versus.gained)} won"
    lines = [f"<details><summary>{title}</summary>", ""]
    for word, ids in (("Lost", versus.lost), ("Won", versus.gained)):
        shown = ", ".join(code(case) for case in ids[:_CASES])
        more = f" and {len(ids) - _CASES} more" if len(ids) > _CASES else ""
        lines += [f"{word}: {shown or 'none'}{more}", ""]
    return [*lines, f"With their texts: `skillforge show {item.skill} --lost`", "", "</details>", ""]


def _share(value: float | None) -> str:
    return "?" if value is None else f"{100 * value:.1f}%"


def _usd(value: float | None) -> str:
    return "unknown" if value is None else f"${value:.4g}"
