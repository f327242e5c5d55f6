"""The models of one command: the budget that bounds them, the recording they are written to or answered from.

Every answer that may have cost money is kept until the command has finished, so that an interruption between the calls
of one run, or between drafting and storing a skill, loses none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from skillforge.canonical import digest
from skillforge.engine.execute import PromptExecutor
from skillforge.errors import ProviderError, UsageError
from skillforge.forge.workspace import Workspace
from skillforge.messages import Completion, Cost, Request, Usage
from skillforge.providers.around import Around
from skillforge.providers.base import Provider, tells_probabilities
from skillforge.providers.budget import Budget, no_price
from skillforge.providers.recorder import Recorder, recording_file, replay_of
from skillforge.providers.recording import prompt_digest
from skillforge.providers.remote import Remote
from skillforge.providers.replay import Replay
from skillforge.version import __version__

NO_MODEL = "no-model"  # the student of a workflow whose steps only call tools
_SOME = Usage(input_tokens=1_000_000, output_tokens=1_000_000)


@dataclass(frozen=True)
class Terms:
    """On what terms a command may use models. Raises ``UsageError`` for terms that contradict each other.

    ``budget_usd`` bounds what it spends, in US dollars. ``record`` is a folder that gets a recording of every answer;
    ``replay`` is such a folder, which then answers instead of the models.
    """

    budget_usd: float | None = None
    record: Path | str | None = None
    replay: Path | str | None = None

    def __post_init__(self) -> None:
        if self.record is not None and self.replay is not None:
            raise UsageError("recording and replaying exclude each other", hint="a replayed run is recorded already")
        budget = self.budget_usd
        if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int | float)):
            raise UsageError(f"{budget!r} is no budget", hint="give US dollars, as a number such as 5")
        if budget is not None and not budget > 0:
            raise UsageError(f"a budget of {budget:g} buys nothing", hint="give US dollars, such as 5")

    @property
    def record_folder(self) -> Path | None:
        return None if self.record is None else Path(self.record)

    @property
    def replay_folder(self) -> Path | None:
        return None if self.replay is None else Path(self.replay)


NO_TERMS = Terms()  # spend what it takes, record nothing


class Session:
    """Opens models by name for one command. Call ``finish`` when the command has stored what it was about.

    A missing key is found when a model is opened, before anything is paid for.
    """

    def __init__(self, work: Workspace, terms: Terms) -> None:
        self.budget = Budget(terms.budget_usd)
        self._work = work
        self._terms = terms
        self._opened: dict[str, Provider] = {}
        self._asked: dict[int, set[str]] = {}  # by task
        self._under_way: dict[str, anyio.Event] = {}
        self.older = 0  # new answers in whose place the recording holds older ones
        self._recorder = (
            Recorder(
                terms.record_folder,
                clean=work.redactor.value,
                clean_text=work.redactor.text,
                provenance={"recorded_with": f"skillforge {__version__}"},
            )
            if terms.record_folder is not None
            else None
        )

    def provider(self, model: str) -> Provider:
        """The model on this session's terms."""
        if model not in self._opened:
            self._opened[model] = self._open(model)
        return self._opened[model]

    def executor(self, student: str, *, role: str = "run", probabilities: bool = False) -> PromptExecutor:
        """What runs skills on that model; of a workflow it answers the steps that need language. With
        ``probabilities`` it is asked for those of its labels, unless it surely tells none: then nothing changes.
        """
        provider = _Nobody() if student == NO_MODEL else self.provider(student)
        told = probabilities and tells_probabilities(provider)
        return PromptExecutor(provider, role=role, custom_checks=self._work.custom_checks, probabilities=told)

    @property
    def spent_usd(self) -> float | None:
        """US dollars this command paid so far; ``None`` where a call's cost is unknown."""
        return None if self.budget.unknown else self.budget.spent_usd

    def record(self, model: str, calls: Iterable[tuple[Request, Completion]]) -> None:
        """Write answers that an earlier command was given into this one's recording; nothing without ``record``."""
        if self._recorder is not None and not isinstance(base := self._work.provider(model), Replay):
            for request, completion in calls:
                self._recorder.add(model, request, completion, native_tools=base.native_tools)

    def stored(self) -> None:
        """Forget the answers that this task asked for: what they were asked for is stored, and will not ask again."""
        if self._asked and (keys := self._asked.pop(_task(), None)):
            self._work.answers.forget(keys)

    def left_open(self) -> None:
        """Keep the answers that this task asked for: the run that was stored with them ended in an error, and the next
        try finds them again. That run counts their calls, so the next one will not.
        """
        if self._asked and (keys := self._asked.pop(_task(), None)):
            self._work.answers.count(keys)

    def all_left_open(self) -> None:
        """The same for every task of this session: a workflow's steps ask in tasks of their own."""
        if self._asked:
            self._work.answers.count(set().union(*self._asked.values()))
            self._asked.clear()

    def finish(self) -> None:
        """Forget the answers kept for an interruption: what they were asked for is stored."""
        if self._recorder is not None and self._recorder.left_out:
            self._work.say(f"{self._recorder.left_out} answers are not in the recording: no line can hold them")
        if self.older:
            self._work.say(
                f"{self.older} answers are not in the recording: it holds older ones to the same questions, and replays"
                " those; record into another folder to have these"
            )
        if self._asked:
            self._work.answers.forget(set().union(*self._asked.values()))
            self._asked.clear()

    def _open(self, model: str) -> Provider:
        replay, redactor = self._terms.replay_folder, self._work.redactor
        if replay is not None and recording_file(replay, model).is_file():  # whether the model is here or not
            return replay_of(replay, model, clean=redactor.value, clean_text=redactor.text)
        base = self._work.provider(model)
        if isinstance(base, Replay):  # a recorded teacher: free, and it is its own recording
            return base
        if replay is not None:
            return replay_of(replay, model)  # says what it holds
        if isinstance(base, Remote):
            bounded = base.under(self.budget)
            if self._terms.budget_usd is not None and bounded.price(_SOME).usd is None:
                raise no_price(model)
            bounded.open()
            return self._kept(bounded)
        if base.price(_SOME).usd == 0:
            return base if self._recorder is None else _Recorded(base, self._recorder)
        if self._terms.budget_usd is not None:
            raise UsageError(f"{model} cannot be held to a budget", hint="only network models with a known price can")
        return self._kept(base)

    def _kept(self, base: Provider) -> Provider:
        """A model that costs money, as this session uses it."""
        return _Kept(base, self, self._recorder)

    async def _known(self, key: str) -> Completion | None:
        """The answer kept under ``key``. Equal questions asked together take turns, so that one is paid for."""
        while (other := self._under_way.get(key)) is not None:
            await other.wait()
        self._asked.setdefault(_task(), set()).add(key)
        return self._work.answers.known(key)

    @contextmanager
    def _asking(self, key: str) -> Iterator[None]:
        ended = self._under_way[key] = anyio.Event()
        try:
            yield
        finally:
            del self._under_way[key]
            ended.set()

    def _keep(self, key: str, model: str, completion: Completion) -> None:
        if completion.message.content:  # an empty one is no answer: the next try should ask again
            self._work.answers.add(key, model, completion)


class DeployedSession(Session):
    """The models of one call of a deployed skill. Its answers are kept by nobody: a program does not go on where it was
    interrupted, and there may be no database. With a ``fallback`` every other model gives up sooner.
    """

    def __init__(self, work: Workspace, terms: Terms, fallback: str = "") -> None:
        super().__init__(work, terms)
        self._fallback = fallback

    def _kept(self, base: Provider) -> Provider:
        if isinstance(base, Remote) and self._fallback and base.name != self._fallback:
            base = base.hasty()
        return base if self._recorder is None else _Recorded(base, self._recorder)


class _Nobody:
    """In the place of a model, where no step asks one."""

    name = NO_MODEL
    concurrency = 1
    native_tools = False

    def fingerprint(self) -> str:
        return NO_MODEL

    def price(self, usage: Usage) -> Cost:
        return Cost(usd=0.0)

    async def complete(self, request: Request) -> Completion:
        raise ProviderError("no model was named, and a step asks one", hint="name a student")

    async def aclose(self) -> None:
        """Nothing is held."""


class _Recorded(Around):
    """A provider whose answers go into a recording."""

    def __init__(self, base: Provider, recorder: Recorder | None) -> None:
        super().__init__(base)
        self._recorder = recorder

    async def complete(self, request: Request) -> Completion:
        completion = await self._base.complete(request)
        if self._recorder is not None:
            self._recorder.add(self.name, request, completion, native_tools=self.native_tools)
        return completion


class _Kept(_Recorded):
    """A provider that costs money: an answer is kept before anybody uses it, and found again after an interruption."""

    def __init__(self, base: Provider, session: Session, recorder: Recorder | None) -> None:
        super().__init__(base, recorder)
        self._session = session

    async def complete(self, request: Request) -> Completion:
        key = digest({"by": self.fingerprint(), "role": request.key.role, "prompt": prompt_digest(request)})
        completion = await self._session._known(key)
        fresh = completion is None
        if completion is None:
            with self._session._asking(key):
                completion = await self._base.complete(request)
                self._session._keep(key, self.name, completion)
        if self._recorder is not None:
            left_out = self._recorder.left_out
            if (
                not self._recorder.add(self.name, request, completion, native_tools=self.native_tools)
                and left_out == self._recorder.left_out
            ):
                self._session.older += fresh
        return completion


def _task() -> int:
    return anyio.get_current_task().id
