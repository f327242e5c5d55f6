"""Scanning recorded calls for what recurs, and the groups found, kept for suites and skills."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from anyio.lowlevel import checkpoint

from skillforge.call import Call
from skillforge.errors import NotFound
from skillforge.forge.calls.logs import read_calls
from skillforge.forge.calls.pricing import call_pricer
from skillforge.formats.logs import Broken, read_logs
from skillforge.store.call_groups import GroupLog
from skillforge.suggest import did_you_mean

if TYPE_CHECKING:
    from skillforge.forge.workspace import Workspace
    from skillforge.traffic.groups import CallGroup
    from skillforge.traffic.scan import ScanReport

SHOWN = 12  # names in a message
_TOGETHER = 200  # calls between two moments at which an interrupt is heard

Result = TypeVar("Result")
Steps = Generator[None, None, Result]


def scan_calls(work: Workspace, paths: Sequence[Path], on_calls: Callable[[int], None]) -> ScanReport:
    """Find what recurs in the calls of log files (of those kept, without any) and keep the groups.

    A group found before keeps its name. ``on_calls`` gets the count of the second, slower reading. Raises what
    ``read_calls`` raises.
    """
    steps = _scan(work, paths, on_calls)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


async def ascan_calls(work: Workspace, paths: Sequence[Path], on_calls: Callable[[int], None]) -> ScanReport:
    """``scan_calls`` that can be cancelled: nothing is kept then."""
    steps = _scan(work, paths, on_calls)
    while True:
        await checkpoint()
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def find_group(work: Workspace, ref: str) -> CallGroup:
    """A group that a scan found, by its id or its name. Raises ``NotFound`` that lists what there is."""
    from skillforge.traffic.groups import CallGroup

    bodies = GroupLog(work.database).all()
    found = bodies.get(ref) or next((body for body in bodies.values() if body["name"] == ref), None)
    if found is not None:
        return CallGroup.model_validate(found)
    names = [str(body["name"]) for body in bodies.values()]
    if not names:
        raise NotFound(f"{ref}: no group of calls is known yet", hint="find them: skillforge scan [LOGS]")
    listed = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    near = did_you_mean(ref, names)
    raise NotFound(
        f"{ref}: no such group of calls; there are: {listed}",
        hint=near if near.startswith("did you") else "find them anew: skillforge scan [LOGS]",
    )


def _scan(work: Workspace, paths: Sequence[Path], on_calls: Callable[[int], None]) -> Steps[ScanReport]:
    from skillforge.traffic.groups import CallGroup
    from skillforge.traffic.scan import Scanner

    log = GroupLog(work.database)
    known = {group_id: str(body["name"]) for group_id, body in log.all().items()}
    scanner = Scanner(mask=work.redactor.text, known=known)
    yield from _each(_asked(paths) if paths else read_calls(work), scanner.learn)
    scanner.settle()
    yield
    yield from _each(_priced(work, paths) if paths else read_calls(work), scanner.count, on_calls)
    report = scanner.report()
    clean = {group.id: work.redactor.value(group.model_dump(mode="json")) for group in report.groups}
    log.save(clean)
    return report.model_copy(update={"groups": tuple(map(CallGroup.model_validate, clean.values()))})


def _each(
    calls: Iterator[Call], work: Callable[[Call], None], on_calls: Callable[[int], None] = lambda count: None
) -> Steps[None]:
    count = 0
    for count, call in enumerate(calls, start=1):
        work(call)
        if count % _TOGETHER == 0:
            on_calls(count)
            yield
    on_calls(count)


# Secrets are taken out of what a scan finds, not of every call that it reads and forgets: that takes as long again.


def _asked(paths: Sequence[Path]) -> Iterator[Call]:
    return (item for item in read_logs(paths) if isinstance(item, Call))


def _priced(work: Workspace, paths: Sequence[Path]) -> Iterator[Call]:
    price, broken = call_pricer(work), 0
    for item in read_logs(paths):
        if isinstance(item, Call):
            yield price(item)
        else:
            broken += isinstance(item, Broken)
    if broken:
        many, them = ("1 record", "it") if broken == 1 else (f"{broken:,} records", "them")
        work.say(f"{many} could not be read: skillforge log import puts {them} aside and says why")
