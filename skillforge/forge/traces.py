"""``forge.traces``: what agents did already, elsewhere. Import it, look at it, make a skill of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from skillforge.forge.calls.trajectories import Imported
    from skillforge.forge.learning import Learned, LearnRequest, LearnWishes
    from skillforge.forge.portal import Portal
    from skillforge.forge.workspace import Workspace
    from skillforge.store.trajectories import StoredTrace
    from skillforge.trace import Trace

OnTraces = Callable[[int], None]  # receives how many traces were read so far


class Traces:
    """Traces of other programs, in one repository. Every method has an async twin with the prefix ``a``."""

    def __init__(self, portal: Portal, work: Workspace) -> None:
        self._portal = portal
        self._work = work

    def load(
        self, paths: Iterable[str | Path], *, format: str = "", on_traces: OnTraces = lambda count: None
    ) -> Imported:
        """Store the traces of files, and of the files below folders; those that are stored already are left.

        Each file tells its format, unless ``format`` names one. Secrets are taken out. Raises ``NotFound`` for a
        missing path, ``UsageError`` for a file of no known format and where ``store_io`` is ``none``.
        """
        return self._portal.call(lambda: self._load(paths, format, on_traces))

    async def aload(
        self, paths: Iterable[str | Path], *, format: str = "", on_traces: OnTraces = lambda count: None
    ) -> Imported:
        return await self._portal.acall(lambda: self._load(paths, format, on_traces))

    def list(self, *, group: str | None = None, limit: int | None = None) -> tuple[StoredTrace, ...]:
        """The imported traces, last imported first; of one group, or all."""
        return self._portal.call(lambda: self._list(group, limit))

    async def alist(self, *, group: str | None = None, limit: int | None = None) -> tuple[StoredTrace, ...]:
        return await self._portal.acall(lambda: self._list(group, limit))

    def get(self, id: str) -> StoredTrace:
        """The trace of an id, of a beginning of one, or of a case id.

        Raises ``NotFound``, and ``UsageError`` where several are named so.
        """
        return self._portal.call(lambda: self._get(id))

    async def aget(self, id: str) -> StoredTrace:
        return await self._portal.acall(lambda: self._get(id))

    def group(self, name: str) -> tuple[StoredTrace, ...]:
        """The attempts at one task, in the order of their case ids. Raises ``NotFound``."""
        return self._portal.call(lambda: self._group(name))

    async def agroup(self, name: str) -> tuple[StoredTrace, ...]:
        return await self._portal.acall(lambda: self._group(name))

    def find(self, ref: str | Path) -> tuple[Trace, ...]:
        """The traces that ``ref`` names: a file or a folder (read, cleaned of secrets, and not stored), ``latest`` (the
        newest session of a coding agent on this machine), a group, or the id of a stored one.

        Raises ``NotFound``, also where not one trace could be read of a file; ``UsageError``.
        """
        return self._portal.call(lambda: self._find(ref))

    async def afind(self, ref: str | Path) -> tuple[Trace, ...]:
        return await self._portal.acall(lambda: self._find(ref))

    def learn(self, ref: str | Path = "latest", **wishes: Unpack[LearnWishes]) -> Learned:
        """Make a draft skill of one request of a session, with its ``SKILL.md`` and what is known of it so far.

        ``latest`` is the newest session of this project (never of another). Without a teacher nobody is asked
        (``LearnWishes``). Raises ``NotFound``, ``UsageError`` that lists the requests, ``TeacherError``.
        """
        return self._portal.call(lambda: self._learn(ref, wishes), paid=True)

    async def alearn(self, ref: str | Path = "latest", **wishes: Unpack[LearnWishes]) -> Learned:
        return await self._portal.acall(lambda: self._learn(ref, wishes))

    def learn_request(self, ref: str | Path = "latest", **wishes: Unpack[LearnWishes]) -> LearnRequest:
        """What ``learn`` would ask a teacher, for the agent that answers in its place (``draft``)."""
        return self._portal.call(lambda: self._learn_request(ref, wishes))

    async def alearn_request(self, ref: str | Path = "latest", **wishes: Unpack[LearnWishes]) -> LearnRequest:
        return await self._portal.acall(lambda: self._learn_request(ref, wishes))

    async def _learn(self, ref: str | Path, wishes: LearnWishes) -> Learned:
        from skillforge.forge.learning import learn

        return await learn(self._work, ref, wishes)

    async def _learn_request(self, ref: str | Path, wishes: LearnWishes) -> LearnRequest:
        from skillforge.forge.learning import learn_request

        return learn_request(self._work, ref, wishes)

    def _load(self, paths: Iterable[str | Path], format: str, on_traces: OnTraces) -> Awaitable[Imported]:
        from skillforge.forge.calls.trajectories import load_traces

        found = [paths] if isinstance(paths, str | Path) else paths
        return load_traces(self._work, [Path(path) for path in found], format, on_traces)

    async def _list(self, group: str | None, limit: int | None) -> tuple[StoredTrace, ...]:
        from skillforge.forge.calls.trajectories import trajectory_log

        return tuple(trajectory_log(self._work).stored(group=group, limit=limit))

    async def _get(self, id: str) -> StoredTrace:
        from skillforge.forge.calls.trajectories import trajectory_log

        return trajectory_log(self._work).get(id)

    async def _group(self, name: str) -> tuple[StoredTrace, ...]:
        from skillforge.forge.calls.trajectories import find_group

        return find_group(self._work, name)

    async def _find(self, ref: str | Path) -> tuple[Trace, ...]:
        from skillforge.forge.calls.trajectories import find_traces

        return find_traces(self._work, ref)
