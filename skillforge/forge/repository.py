"""``forge.repository``: files and registry kept together, compared, checked, cleaned, and what it all cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from skillforge.forge.portal import Portal
from skillforge.forge.workspace import Workspace

if TYPE_CHECKING:
    from skillforge.forge.changes.diff import SkillDiff
    from skillforge.forge.erase.purge import Purged
    from skillforge.forge.exchange.promptfoo_suite import SuiteImported, Wishes
    from skillforge.forge.files.sync import Side, SyncReport
    from skillforge.forge.making.costs import CostReport
    from skillforge.store.spending import By


class Repository:
    """What concerns the whole repository: reviewed files on one side, the registry on the other."""

    def __init__(self, portal: Portal, work: Workspace, flush: Callable[[], object]) -> None:
        self._portal = portal
        self._work = work
        self._flush = flush  # what wrapped clients of this Forge asked is to be counted, and to be erased

    def sync(self, *, check: bool = False, take: Side | None = None) -> SyncReport:
        """Bring files and registry together, three-way by digest; ``check`` only says what would be done.

        ``take`` decides conflicts: ``ours`` is the registry's newest version, ``theirs`` the file. Without it a
        conflict writes nothing.
        """
        from skillforge.forge.files.sync import sync

        return self._portal.run(lambda: sync(self._work, check=check, take=take))

    def verify(self) -> list[str]:
        """Everything wrong with registry, lock, deployed versions and evidence, one line each; all is re-hashed."""
        from skillforge.forge.files.verify import verify

        return self._portal.run(lambda: verify(self._work))

    def delete(self, ref: str, *, reason: str = "") -> list[int]:
        """Tombstone a version (``NAME@3``) or all of a skill (``NAME``); returns the numbers.

        Raises ``UsageError`` while an alias points at one of them.
        """
        from skillforge.forge.files.delete import delete

        return self._portal.run(lambda: delete(self._work, ref, reason))

    def deletable(self, ref: str) -> list[int]:
        """The numbers that ``delete`` would tombstone; nothing is done. Raises what ``delete`` raises."""
        from skillforge.forge.files.delete import deletable

        return self._portal.run(lambda: deletable(self._work, ref))

    def diff(self, a: str, b: str) -> SkillDiff:
        """What differs between two versions: fields, prompt, examples, checks, evidence."""
        from skillforge.forge.changes.diff import diff

        return self._portal.run(lambda: diff(self._work, a, b))

    def pr_comment(self, base: str) -> str:
        """Markdown for a pull request: what changed against the git revision ``base``, its verdicts, cases, cost."""
        from skillforge.forge.changes.pr_comment import pr_comment

        return self._portal.run(lambda: pr_comment(self._work, base))

    def cost(self, *, by: By = "skill", tag: str = "", since: str = "") -> CostReport:
        """What runs cost, what they saved against ``today``, and whether making the skill is paid back."""
        from skillforge.forge.making.costs import costs

        self._flush()
        return self._portal.run(lambda: costs(self._work, by=by, tag=tag, since=since))

    def purge(self, *, older_than_s: float | None = None, subject: str = "", dry_run: bool = False) -> Purged:
        """Erase what is older, or all that concerns a subject: runs, calls, cases, examples, recordings, answers."""
        from skillforge.forge.erase.purge import purge

        self._flush()
        return self._portal.run(lambda: purge(self._work, older_than_s=older_than_s, subject=subject, dry_run=dry_run))

    def export_agent_skill(self, ref: str, folder: str | Path, *, force: bool = False) -> Path:
        """Write a skill as an Agent Skill folder (``SKILL.md``) below ``folder``; returns it.

        A folder that is there already is replaced when it is an unchanged export of this skill, or with ``force``.
        Raises ``UsageError`` for content that a reader of such folders would execute or mistake.
        """
        from skillforge.forge.exchange.agent_skills import export_agent_skill

        return self._portal.run(lambda: export_agent_skill(self._work, ref, Path(folder), force=force))

    def import_promptfoo(self, config: str | Path, wishes: Wishes | None = None) -> SuiteImported:
        """Make a suite from a promptfoo config, running nothing. Raises ``SkillFileError`` with all that is refused."""
        from skillforge.forge.exchange.promptfoo_suite import Wishes, import_promptfoo

        return self._portal.run(lambda: import_promptfoo(self._work, Path(config), wishes or Wishes()))

    def import_agent_skill(self, folder: str | Path) -> Path:
        """Make a draft skill from an Agent Skill folder; returns its ``skill.yaml``. Raises ``SkillFileError``."""
        from skillforge.forge.exchange.agent_skills import import_agent_skill

        return self._portal.run(lambda: import_agent_skill(self._work, Path(folder)))
