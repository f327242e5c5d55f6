"""``forge.traffic``: what programs ask models for already. Import it, see what recurs, make a suite of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from skillforge.forge.portal import Portal
from skillforge.forge.workspace import Workspace

if TYPE_CHECKING:
    from skillforge.call import Call
    from skillforge.forge.calls.logs import Imported
    from skillforge.forge.suites.from_log import SuiteMade
    from skillforge.forge.suites.review import ReviewSession
    from skillforge.traffic.groups import CallGroup
    from skillforge.traffic.scan import ScanReport

OnCalls = Callable[[int], None]  # receives how many calls were read so far


class Traffic:
    """Recorded calls of one repository. ``paths`` are log files; without any it is what ``wrap`` and imports kept."""

    def __init__(self, portal: Portal, work: Workspace, flush: Callable[[], object]) -> None:
        self._portal = portal
        self._work = work
        self._flush = flush  # what wrapped clients of this Forge asked is to be seen

    def import_logs(
        self,
        paths: Iterable[str | Path],
        *,
        tags: Mapping[str, str] | None = None,
        on_calls: OnCalls = lambda count: None,
    ) -> Imported:
        """Store the calls of log files; what is stored already is left. Broken records go to quarantine.

        Raises ``NotFound`` for a missing file, ``UsageError`` for one of no known format.
        """
        from skillforge.forge.calls.logs import import_logs

        return self._portal.call(lambda: import_logs(self._work, _paths(paths), tags or {}, on_calls))

    def recent(self, limit: int = 20) -> list[Call]:
        """The newest calls that are kept, newest first."""
        from skillforge.forge.calls.logs import call_log

        self._flush()
        return self._portal.run(lambda: call_log(self._work).recent(limit))

    def scan(self, paths: Iterable[str | Path] = (), *, on_calls: OnCalls = lambda count: None) -> ScanReport:
        """Which calls recur, what they cost, which are worth a skill. The groups found are kept for what comes next."""
        from skillforge.forge.calls.scanning import ascan_calls

        self._flush()
        return self._portal.call(lambda: ascan_calls(self._work, _paths(paths), on_calls))

    def group(self, ref: str) -> CallGroup:
        """A group that a scan found, by its id or name. Raises ``NotFound`` that lists what there is."""
        from skillforge.forge.calls.scanning import find_group

        return self._portal.run(lambda: find_group(self._work, ref))

    def suite(
        self,
        group: str,
        *,
        paths: Iterable[str | Path] = (),
        name: str | None = None,
        limit: int = 300,
        cases: str | None = None,
        seed: int = 0,
        mask: Callable[[str], str] | None = None,
    ) -> SuiteMade:
        """Frozen cases from the recorded calls of a group (its id or name): ``evals/NAME.yaml`` and its files.

        ``cases`` is where the cases go when they may not enter the repository (``file:///…``, ``s3://…``). ``mask``
        takes personal data out of them, after the ``mask`` of this Forge. Raises ``NotFound`` for an unknown group,
        ``UsageError`` where the suite exists already.
        """
        from skillforge.forge.suites.from_log import suite_from_log

        self._flush()
        return self._portal.call(
            lambda: suite_from_log(
                self._work, group, _paths(paths), name=name, limit=limit, cases=cases, seed=seed, mask=mask
            )
        )

    def review(
        self, suite: str, *, split: str | None = None, limit: int | None = None, by: str = "", seed: int = 0
    ) -> ReviewSession:
        """Label the cases of a suite (its name or path) blind, case by case; ``by`` is whose labels they are.

        Raises ``NotFound``, ``SkillFileError``, ``UsageError`` where the suite names no file for labels.
        """
        from skillforge.forge.suites.review import open_review

        return self._portal.run(lambda: open_review(self._work, suite, split=split, limit=limit, by=by, seed=seed))


def _paths(paths: Iterable[str | Path]) -> list[Path]:
    return [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
