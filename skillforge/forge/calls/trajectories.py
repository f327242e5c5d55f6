"""Trajectory files into the registry, and the traces that a name stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint
from pydantic import Field

from skillforge.config import store_io
from skillforge.errors import NotFound
from skillforge.formats.trajectories.detect import named, read_trajectories
from skillforge.formats.trajectories.lines import Quarantined
from skillforge.formats.trajectories.sessions import LATEST, project_session
from skillforge.messages import Value
from skillforge.store.trajectories import StoredTrace, TrajectoryLog, clean_trace
from skillforge.trace import Trace

if TYPE_CHECKING:
    from skillforge.forge.workspace import Workspace

OnTraces = Callable[[int], None]  # receives how many traces were read so far
_TOGETHER = 50  # traces of one transaction; each may be megabytes
_MOST_TOLD = 1_000  # quarantined records that are named


class Tally(Value):
    """What the traces of one format hold together. Tokens and dollars are those that the files tell: ``uncounted`` and
    ``unpriced`` are how many traces tell none. ``rewarded`` traces say how well they went, ``solved`` of them got 1.
    """

    traces: int = 0
    messages: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    uncounted: int = 0
    usd: float = 0.0
    unpriced: int = 0
    rewarded: int = 0
    solved: int = 0

    def plus(self, trace: Trace) -> Tally:
        usage, usd = trace.usage, trace.cost.usd
        return Tally(
            traces=self.traces + 1,
            messages=self.messages + len(trace.messages),
            tool_calls=self.tool_calls + sum(len(message.tool_calls) for message in trace.messages),
            input_tokens=self.input_tokens + (usage.input_tokens or 0),
            output_tokens=self.output_tokens + (usage.output_tokens or 0),
            uncounted=self.uncounted + (usage.input_tokens is None),
            usd=self.usd + (usd or 0.0),
            unpriced=self.unpriced + (usd is None),
            rewarded=self.rewarded + (trace.reward is not None),
            solved=self.solved + (trace.reward is not None and trace.reward >= 1),
        )


class Aside(Value):
    """A record that could not be read: where it stands (``file:line``), why, and how it begins."""

    place: str
    reason: str
    excerpt: str = ""


class Imported(Value):
    """What became of trajectory files. ``count`` traces were read, of which ``new`` were stored and the others were
    stored before. ``quarantined`` names the first of the ``aside`` records that could not be read. ``formats`` sums up
    by format, ``groups`` counts the attempts at each task that the files name.
    """

    count: int = 0
    new: int = 0
    aside: int = 0
    quarantined: tuple[Aside, ...] = ()
    formats: dict[str, Tally] = Field(default_factory=dict)
    groups: dict[str, int] = Field(default_factory=dict)


def trajectory_log(work: Workspace) -> TrajectoryLog:
    """The repository's imported traces."""
    return TrajectoryLog(work.database, work.redactor, store_io(work.settings))


async def load_traces(
    work: Workspace, paths: list[Path], format: str, on_traces: OnTraces = lambda count: None
) -> Imported:
    """See ``Traces.load``. A batch of traces is one transaction, and cancelling is possible after each."""
    if format:
        named(format)
    log = trajectory_log(work)
    log.require_storing()
    tallies: dict[str, Tally] = {}
    groups: dict[str, int] = {}
    asides: list[Aside] = []
    count = new = aside = 0

    def traces() -> Iterator[Trace]:
        nonlocal aside
        for path in paths:
            for item in read_trajectories(path, format=format):
                if isinstance(item, Quarantined):
                    aside += 1
                    if len(asides) < _MOST_TOLD:
                        asides.append(_aside(work, item))
                else:
                    yield item

    found = traces()
    while together := list(islice(found, _TOGETHER)):
        new += log.add(together)
        count += len(together)
        for trace in together:
            tallies[trace.format] = tallies.get(trace.format, Tally()).plus(trace)
            if trace.group:
                groups[trace.group] = groups.get(trace.group, 0) + 1
        on_traces(count)
        await checkpoint()
    return Imported(count=count, new=new, aside=aside, quarantined=tuple(asides), formats=tallies, groups=groups)


def find_group(work: Workspace, name: str) -> tuple[StoredTrace, ...]:
    found = trajectory_log(work).stored(group=name)
    if not found:
        raise NotFound(f"no traces of a group {name!r}", hint="see them: skillforge trace list")
    return tuple(sorted(found, key=lambda stored: stored.trace.case_id))


def find_traces(work: Workspace, ref: str | Path) -> tuple[Trace, ...]:
    """See ``Traces.find``. Raises ``NotFound``, ``UsageError``; also where not one trace could be read of a file."""
    path = project_session((Path.cwd(), work.root)).path if str(ref) == LATEST else Path(ref)
    if path.exists():
        return _from_files(work, path)
    stored = trajectory_log(work).stored(group=str(ref)) if work.has_database else []
    if stored:
        return tuple(each.trace for each in sorted(stored, key=lambda each: each.trace.case_id))
    if not work.has_database:
        raise NotFound(f"{path}: no such file, and no trace was imported yet", hint="skillforge trace import FILE")
    return (trajectory_log(work).get(str(ref)).trace,)


def _from_files(work: Workspace, path: Path) -> tuple[Trace, ...]:
    items = list(read_trajectories(path))
    broken = [item for item in items if isinstance(item, Quarantined)]
    traces = tuple(clean_trace(item, work.redactor) for item in items if isinstance(item, Trace))
    if not traces:
        why = f" ({broken[0].place}: {broken[0].reason})" if broken else ""
        said = work.redactor.text(f"{path}: no trace could be read{why}")
        raise NotFound(said, hint="skillforge trace import shows why")
    if broken:
        many = "1 record" if len(broken) == 1 else f"{len(broken):,} records"
        work.say(f"{many} of {path} could not be read: skillforge trace import says why")
    return traces


def _aside(work: Workspace, item: Quarantined) -> Aside:
    clean = work.redactor.text
    return Aside(place=clean(item.place), reason=clean(item.reason), excerpt=clean(item.excerpt))
