"""``forge.datasets``: training data out of a teacher's answers, as the files that trainers take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from skillforge.forge.portal import Portal
from skillforge.forge.workspace import Workspace

if TYPE_CHECKING:
    from skillforge.forge.data.plan import Built, DatasetWishes
    from skillforge.formats.finetune.example import Checked
    from skillforge.students.data.card import DatasetCard


class Datasets:
    """``build`` has an async twin with the prefix ``a``; the others only read files."""

    def __init__(self, portal: Portal, work: Workspace) -> None:
        self._portal = portal
        self._work = work

    def build(self, ref: str, **wishes: Unpack[DatasetWishes]) -> Built:
        """Curate what is known of the teacher's answers to the train cases of a skill's suite and write it
        (``DatasetWishes``). Nobody is asked but a ``critic`` and a student for pairs, where they are named. Verdicts
        are kept: what an earlier build judged is not judged again. The same inputs give the same files.

        Raises ``NotFound`` (skill, suite), ``UsageError`` where there is nothing to build on, where the folder holds
        something else, and where a maker's terms disallow training and no reason to ``override`` was given.
        """
        from skillforge.forge.data.build import build_dataset
        from skillforge.forge.data.plan import plan_of

        plan = plan_of(wishes)
        return self._portal.call(lambda: build_dataset(self._work, ref, plan), paid=True)

    async def abuild(self, ref: str, **wishes: Unpack[DatasetWishes]) -> Built:
        from skillforge.forge.data.build import build_dataset
        from skillforge.forge.data.plan import plan_of

        plan = plan_of(wishes)
        return await self._portal.acall(lambda: build_dataset(self._work, ref, plan))

    def show(self, name: str | Path) -> DatasetCard:
        """The card of a data set: a folder, or a name below ``datasets/``. Raises ``NotFound``, ``SkillFileError``."""
        from skillforge.forge.data.build import DATASETS_FOLDER
        from skillforge.forge.data.writing import read_card

        named = self._work.root / DATASETS_FOLDER / name
        return read_card(named if named.is_dir() else Path(name))

    def validate(self, path: str | Path, target: str = "", *, validation: bool = False) -> Checked:
        """What a target would refuse of a file, whoever wrote it; ``target`` defaults to what the file's name says.
        ``validation`` files may be small. Raises ``NotFound``, ``UsageError`` for an unknown target.
        """
        from skillforge.formats.finetune.formats import format_named, format_of

        place = Path(path)
        found = format_named(target) if target else format_of(place)
        return found.check(place, "validation" if validation else "train")
