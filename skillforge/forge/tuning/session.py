"""The models of one tuning: every call is booked before it is sent, every answer kept before it is used."""

from __future__ import annotations

from skillforge.forge.session import Session, Terms
from skillforge.forge.workspace import Workspace
from skillforge.messages import Completion, Request
from skillforge.providers.around import Around
from skillforge.providers.base import Provider
from skillforge.providers.replay import Replay
from skillforge.students.tune.purse import Purse


class TuneSession(Session):
    """As any session, but free models are kept and counted too: a budget in calls is one of work, and a killed tuning
    must not ask a slow local model again. Recordings answer for nothing and are not counted.
    """

    def __init__(self, work: Workspace, terms: Terms, purse: Purse) -> None:
        super().__init__(work, terms)
        self._purse = purse

    def _kept(self, base: Provider) -> Provider:
        return super()._kept(Booked(base, self._purse))

    def _open(self, model: str) -> Provider:
        opened = super()._open(model)
        if opened is self._work.provider(model) and not isinstance(opened, Replay):
            return self._kept(opened)
        return opened


class Booked(Around):
    """A provider whose calls come out of a purse."""

    def __init__(self, base: Provider, purse: Purse) -> None:
        super().__init__(base)
        self._purse = purse

    async def complete(self, request: Request) -> Completion:
        """Raises ``BudgetReached`` before a call that is one too many."""
        self._purse.book()
        completion = await self._base.complete(request)
        self._purse.paid(completion.cost.usd)
        return completion
