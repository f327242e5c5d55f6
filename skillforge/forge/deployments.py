"""``forge.deployments``: which version answers under which alias, and how it came to that."""

from __future__ import annotations

from pathlib import Path

from skillforge.forge.portal import Portal
from skillforge.forge.workspace import Workspace
from skillforge.lockfile import Move, read_lock
from skillforge.ref import PRODUCTION


class Deployments:
    """The aliases of one repository, kept in ``skillforge.lock``."""

    def __init__(self, portal: Portal, work: Workspace) -> None:
        self._portal = portal
        self._work = work

    def promote(
        self,
        ref: str,
        *,
        student: str,
        alias: str = PRODUCTION,
        fallback: str = "",
        suite: str | Path | None = None,
        accept_risk: str = "",
        reason: str = "",
    ) -> Move:
        """Point ``alias`` to a version run by ``student``; ``fallback`` answers when that model cannot.

        Raises ``PromotionRefused`` with every reason where there is no fresh ``pass`` for exactly that version, student
        and suite, unless ``accept_risk`` says why that is accepted. What stands already stays as it is.
        """
        from skillforge.forge.deploy.promote import promote

        return self._portal.run(lambda: promote(self._work, ref, student, alias, fallback, suite, accept_risk, reason))

    def rollback(self, name: str, *, alias: str = PRODUCTION, reason: str = "") -> Move:
        """Point ``alias`` to where it pointed before its last change; again, and it goes further back.

        Raises ``NotFound`` where there is no before, ``UsageError`` where that version was deleted or its content is
        gone.
        """
        from skillforge.forge.deploy.promote import rollback

        return self._portal.run(lambda: rollback(self._work, name, alias, reason))

    def remove(self, name: str, *, alias: str = PRODUCTION, reason: str = "") -> Move:
        """Take the alias away: nothing answers under it any more."""
        from skillforge.forge.deploy.promote import remove

        return self._portal.run(lambda: remove(self._work, name, alias, reason))

    def aliases(self, name: str) -> dict[str, Move]:
        """Where the skill's aliases point, by their names; empty where it has none. Reads ``skillforge.lock`` alone."""
        return read_lock(self._work.root).skill(name).aliases

    def history(self, name: str) -> list[Move]:
        """Every change of the skill's aliases, oldest first. Raises ``NotFound`` for an unknown skill."""
        from skillforge.forge.deploy.promote import history

        return self._portal.run(lambda: history(self._work, name))
