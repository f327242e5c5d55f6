"""What one ``Forge`` holds open: the repository, its store and the models in use. Lives on the portal's thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from skillforge.checks import CustomCheck
from skillforge.config import DATABASE_VARIABLE, database_path, find_root, read_settings, store_io
from skillforge.engine.fallback import Rest
from skillforge.errors import NotFound
from skillforge.forge.deploy.deployed import DeployedSkills
from skillforge.forge.files.catchup import catch_up
from skillforge.providers.base import Provider
from skillforge.providers.limiter import LimiterPool
from skillforge.providers.network import Network
from skillforge.providers.replay import Replay
from skillforge.providers.resolve import resolve_provider
from skillforge.redact import Redactor
from skillforge.store.answers import AnswerLog
from skillforge.store.candidates import CandidateLog
from skillforge.store.database import open_database
from skillforge.store.evidence import EvidenceLog
from skillforge.store.judgements import JudgementLog
from skillforge.store.registry import Registry
from skillforge.store.runs import RunLog
from skillforge.store.samples import SampleLog
from skillforge.store.traces import TraceLog
from skillforge.store.tuning import TuningLog
from skillforge.store.workflow_state import WorkflowLog

if TYPE_CHECKING:
    from sqlite_utils import Database

    from skillforge.tools.opening import ToolsGiven

Say = Callable[[str], None]
OnWait = Callable[[str, float], None]


class Workspace:
    """Opens the store on first use, so that what needs no database makes none.

    ``say`` receives what a person should know as it happens: a draft saved, a split chosen. ``on_wait`` receives why
    calls are held back and for how many seconds, and an empty reason when they go on.
    """

    def __init__(
        self,
        root: Path,
        *,
        custom_checks: Mapping[str, CustomCheck],
        mask: Callable[[str], str] | None,
        providers: Mapping[str, Provider],
        say: Say,
        on_wait: OnWait,
        tools: ToolsGiven = None,
    ) -> None:
        self.root = root
        self.settings = read_settings(root)  # now, not at first use: a typing error must not wait until half is done
        self.custom_checks = custom_checks
        self.say = say
        self.tools = tools  # of workflows, where a call names none
        self._mask = mask
        self._on_wait = on_wait
        self._given = dict(providers)
        self._providers = dict(providers)
        self.deployed = DeployedSkills(root)
        self._rests: dict[str, Rest] = {}
        self._told: set[str] = set()

    @classmethod
    def locate(cls, path: Path | None) -> Path:
        """The repository root: around ``path`` (or the current folder), or that folder itself where there is none."""
        start = path if path is not None else Path.cwd()
        return find_root(start) or start.resolve()

    @property
    def has_database(self) -> bool:
        return database_path(self.root).exists()

    @cached_property
    def database(self) -> Database:
        return self.open_database()

    def open_database(self) -> Database:
        """A connection of its own for the calling thread, which closes it."""
        path = database_path(self.root)
        if find_root(self.root) is None and not path.exists() and not os.environ.get(DATABASE_VARIABLE):
            raise NotFound(f"{self.root} is not in a skillforge repository", hint="make it one: skillforge init")
        return open_database(path)

    @cached_property
    def redactor(self) -> Redactor:
        return Redactor(os.environ, self._mask)

    @cached_property
    def registry(self) -> Registry:
        """Versions and their numbers, caught up with what the reviewed files say."""
        registry = Registry(self.database, self.redactor)
        catch_up(self.root, self.database, registry, self.say)
        return registry

    @cached_property
    def runs(self) -> RunLog:
        return RunLog(self.database, self.redactor, store_io(self.settings))

    @cached_property
    def samples(self) -> SampleLog:
        return SampleLog(self.database, self.runs)

    @cached_property
    def traces(self) -> TraceLog:
        return TraceLog(self.database, self.redactor, store_io(self.settings))

    @cached_property
    def evidence(self) -> EvidenceLog:
        _ = self.registry  # what was measured elsewhere counts too
        return EvidenceLog(self.database)

    @cached_property
    def candidates(self) -> CandidateLog:
        return CandidateLog(self.database, self.redactor, store_io(self.settings))

    @cached_property
    def answers(self) -> AnswerLog:
        return AnswerLog(self.database, self.redactor, store_io(self.settings))

    @cached_property
    def judgements(self) -> JudgementLog:
        return JudgementLog(self.database, self.redactor, store_io(self.settings))

    @cached_property
    def workflows(self) -> WorkflowLog:
        return WorkflowLog(self.database, self.redactor, store_io(self.settings))

    @cached_property
    def tunings(self) -> TuningLog:
        return TuningLog(self.database, self.redactor, store_io(self.settings))

    @cached_property
    def network(self) -> Network:
        return Network(self.settings, os.environ, self.redactor, LimiterPool(self._on_wait))

    def provider(self, model: str) -> Provider:
        """The provider of a ``provider:model`` name, kept open for the next call. No key is looked up yet."""
        known = self._providers.get(model)
        if known is None or (isinstance(known, Replay) and known.outdated and model not in self._given):
            self._providers[model] = resolve_provider(model, self.network, base_dir=self._base_dir(model))
        return self._providers[model]

    def rest(self, model: str) -> Rest:
        """Whether a model is left alone for a while, for all deployed skills that it runs."""
        return self._rests.setdefault(model, Rest())

    def say_once(self, what: str) -> None:
        """Say what would otherwise be said at every call."""
        if what not in self._told:
            self._told.add(what)
            self.say(what)

    def _base_dir(self, model: str) -> Path:
        """Where a model's file is: here as it was typed, else where a deployment or a setting names it from."""
        path = model.partition(":")[2]
        here = Path.cwd()
        return self.root if path and not (here / path).exists() and (self.root / path).exists() else here

    async def aclose(self) -> None:
        """Close models and database. Idempotent."""
        providers, self._providers = self._providers, dict(self._given)
        for provider in providers.values():
            await provider.aclose()
        if "database" in self.__dict__:
            self.database.close()
            for name in (
                "database",
                "registry",
                "runs",
                "samples",
                "traces",
                "evidence",
                "candidates",
                "answers",
                "judgements",
                "workflows",
                "tunings",
            ):
                self.__dict__.pop(name, None)
