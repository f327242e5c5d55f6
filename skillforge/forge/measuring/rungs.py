"""The rungs of an eval's ladders: what one is asked is a sample like any other, and paid for once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio

from skillforge.case import Case
from skillforge.engine.execute import Tried
from skillforge.engine.pool import Together
from skillforge.errors import Halt
from skillforge.evals.running.arms import Arm
from skillforge.forge.session import Session
from skillforge.forge.workspace import Workspace
from skillforge.ladder import TEACHER, RungSpec
from skillforge.sample import Sample
from skillforge.skill import Skill
from skillforge.store.database import is_of_the_file
from skillforge.store.registry import SkillVersion
from skillforge.students.ladder.executor import LadderRung, ask_live


class RungSamples:
    """Asks the rungs of one eval's ladders. What a rung's own arm or the teacher's was asked, in this eval or an
    earlier one, is taken from there; what is asked here is kept under the same address. Two ladders that ask the same
    together take turns.
    """

    def __init__(self, work: Workspace, version: SkillVersion, session: Session) -> None:
        self._log = work.samples
        self._version = version
        self._session = session
        self._under_way: dict[str, anyio.Event] = {}
        self._write = Together(work.samples.write, hopeless=is_of_the_file)

    async def __call__(self, rung: LadderRung, skill: Skill, given: Mapping[str, Any], epoch: int) -> Tried:
        epoch = rung.epoch(epoch)
        arm = rung_arm(rung, skill)
        case = Case(id="input", input=dict(given))
        key = arm.sample_key(case, epoch)
        while (other := self._under_way.get(key)) is not None:
            await other.wait()
        if (known := self._log.known([key]).get(key)) is not None:
            return Tried(known.run)
        ended = self._under_way[key] = anyio.Event()
        try:
            return await self._asked(rung, skill, given, epoch, key)
        finally:
            del self._under_way[key]
            ended.set()

    async def _asked(self, rung: LadderRung, skill: Skill, given: Mapping[str, Any], epoch: int, key: str) -> Tried:
        tried = await ask_live(rung, skill, given, epoch)
        if isinstance(tried.error, Halt):  # says nothing of this input; a ladder decides whether it goes on
            return tried
        failed = tried.run.status == "error"
        sample = Sample(
            key=key,
            arm=rung_arm(rung, skill).name,
            case_id="",
            status="error" if failed else "ok",
            run=tried.run,
        )
        version = self._version.version if tried.run.digest == self._version.digest else None
        await self._write(self._log.prepare(sample, version=version))
        if failed:
            self._session.left_open()
        else:
            self._session.stored()
        return tried


def teacher_rung_of(arm: Arm) -> LadderRung:
    """The teacher of an eval as the rung of that name: asked as its arm is."""
    return LadderRung(RungSpec(student=TEACHER), arm.executor, arm.skill, "teacher", arm.most)


def rung_arm(rung: LadderRung, skill: Skill) -> Arm:
    """The arm that asks the same as the rung."""
    name = rung.spec.student
    return Arm(name, rung.arm, rung.skill(skill), rung.executor, most=rung.most)
