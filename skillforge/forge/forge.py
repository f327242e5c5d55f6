"""``Forge``: the one object a program or the command line talks to. Composes everything, owns persistence."""

from __future__ import annotations

import atexit
import logging
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from skillforge.call import Call
from skillforge.capture.context import Labels
from skillforge.checks import CustomCheck
from skillforge.config import StoreIO
from skillforge.engine.agent.limits import LoopLimits
from skillforge.evals.report import EvalReport
from skillforge.forge.calls.capturing import Capture
from skillforge.forge.datasets import Datasets
from skillforge.forge.deployments import Deployments
from skillforge.forge.doctor import Diagnosis, diagnose
from skillforge.forge.evals import Evals
from skillforge.forge.judges import Judges
from skillforge.forge.lost import LostCase, lost_cases
from skillforge.forge.making.create import Created, create_skill
from skillforge.forge.making.estimate import Estimate, estimate_create
from skillforge.forge.making.from_trace import Compiled, TraceWishes, compile_traces, request_text, trace_plan
from skillforge.forge.making.planning import Cases, Source, create_plan
from skillforge.forge.making.solving import teacher_tools
from skillforge.forge.measuring.plan import EvalWishes
from skillforge.forge.portal import Portal, now
from skillforge.forge.repository import Repository
from skillforge.forge.runs import Target, run_skill, target, with_labels
from skillforge.forge.session import NO_TERMS, Terms
from skillforge.forge.skills import resolve, save_file
from skillforge.forge.stale import Change, Standing, stale_since, standings
from skillforge.forge.students import Students
from skillforge.forge.teaching import Teaching
from skillforge.forge.traces import Traces
from skillforge.forge.traffic import Traffic
from skillforge.forge.workflows import NOBODY, Tooling, Watch
from skillforge.forge.workspace import Workspace
from skillforge.providers.base import Provider
from skillforge.providers.probe import ModelProbe, probe
from skillforge.run import Run
from skillforge.store.evidence import Evidence
from skillforge.store.registry import SavedVersion, SkillVersion
from skillforge.tools.guard import Ask
from skillforge.tools.opening import ToolsGiven

Result = TypeVar("Result")
Client = TypeVar("Client")
OnProgress = Callable[[str, int, int], None]


_LOG = logging.getLogger("skillforge")


class BoundSkill:
    """One skill version with its student: call it with the input fields, get a ``Run``.

    ``alias`` and ``fallback`` are those of a deployment; empty where a version was named. A later promotion reaches
    those who ask for the skill again. The labels of ``skillforge.tagged`` become the run's tags. Raises
    ``InvalidInput`` when the fields do not fit the contract, ``ProviderError`` when no answer came.
    """

    def __init__(self, forge: Forge, target: Target, tools: ToolsGiven = None) -> None:
        self._forge = forge
        self._target = target
        self._tooling = Tooling(tools)
        self.version = target.version
        self.student = target.student
        self.alias = target.alias
        self.fallback = target.fallback

    def __call__(self, **fields: Any) -> Run:
        tags = with_labels({})
        return self._forge._call(lambda: self._run(fields, tags))

    async def acall(self, **fields: Any) -> Run:
        tags = with_labels({})
        return await self._forge._acall(lambda: self._run(fields, tags))

    async def _run(self, fields: Mapping[str, Any], tags: Mapping[str, str]) -> Run:
        return await run_skill(self._forge._work, self._target, fields, tags, NO_TERMS, self._tooling)

    def __repr__(self) -> str:
        return f"<skill {self._target} on {self.student}>"


class Forge:
    """The repository around ``path`` (default: the current folder), its registry and its models.

    Every method has an async twin with the prefix ``a``; sync calls work inside a running event loop too. Use it as a
    context manager, or call ``close``. ``traffic`` is what programs ask models for already, ``traces`` are what
    agents did elsewhere, ``deployments`` are the aliases, ``evals`` measures, ``judges`` are models that grade,
    ``students`` makes cheap models good, ``datasets`` writes training data, ``teaching`` makes a skill with a suite of
    its own, ``repository`` is what concerns all of its files.

    ``custom_checks`` binds checks of type ``custom`` by name; ``mask`` takes personal data out of what is stored;
    ``providers`` adds or replaces models by name; ``say`` receives what a person should know (default: nothing but
    calls that could not be recorded, as a warning of the logger ``skillforge``); ``on_wait`` receives why calls are
    held back ("rate limited") and for how many seconds, and "" when they go on. ``tools`` are what workflows call where
    a call names none: functions, ``"module:object"``, ``"mcp:COMMAND"`` or ``"mcp:URL"``.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        custom_checks: Mapping[str, CustomCheck] | None = None,
        mask: Callable[[str], str] | None = None,
        providers: Mapping[str, Provider] | None = None,
        say: Callable[[str], None] | None = None,
        on_wait: Callable[[str, float], None] = lambda reason, seconds: None,
        tools: ToolsGiven = None,
    ) -> None:
        self.root = Workspace.locate(None if path is None else Path(path))
        self._portal = Portal()
        self._work = Workspace(
            self.root,
            custom_checks=custom_checks or {},
            mask=mask,
            providers=providers or {},
            say=say or _unheard,
            on_wait=on_wait,
            tools=tools,
        )
        # a program that never closes must still end with its database and its models closed
        atexit.register(_close, weakref.ref(self))

        self._capture = Capture(self._work, say or _LOG.warning)
        self.traffic = Traffic(self._portal, self._work, self._capture.settle)
        self.traces = Traces(self._portal, self._work)
        self.deployments = Deployments(self._portal, self._work)
        self.evals = Evals(self._portal, self._work)
        self.judges = Judges(self._portal, self._work)
        self.students = Students(self._portal, self._work)
        self.datasets = Datasets(self._portal, self._work)
        self.teaching = Teaching(self._portal, self._work)
        self.repository = Repository(self._portal, self._work, self._capture.settle)

    # skills

    def skill(self, ref: str, *, student: str | None = None, tools: ToolsGiven = None) -> BoundSkill:
        """The skill a reference names, ready to be called: ``NAME`` is the deployed one (``NAME@production``) with its
        models; ``NAME@latest``, ``NAME@3``, ``NAME@sha256:…`` and a path need a student. Raises ``NotPromoted``.

        ``tools`` are what a workflow calls (default: those of the Forge); they are opened anew for every call.
        """
        return self._call(lambda: self._skill(ref, student, tools))

    async def askill(self, ref: str, *, student: str | None = None, tools: ToolsGiven = None) -> BoundSkill:
        return await self._acall(lambda: self._skill(ref, student, tools))

    async def _skill(self, ref: str, student: str | None, tools: ToolsGiven) -> BoundSkill:
        return BoundSkill(self, target(self._work, ref, student), tools)

    def show(self, ref: str) -> SkillVersion:
        """The stored version a reference names; a changed file is saved as a draft first."""
        return self._call(lambda: now(lambda: resolve(self._work, ref)))

    async def ashow(self, ref: str) -> SkillVersion:
        return await self._acall(lambda: now(lambda: resolve(self._work, ref)))

    def save(self, path: str | Path) -> SavedVersion:
        """Store the skill file at ``path`` as a draft version; identical content is a no-op."""
        return self._call(lambda: now(lambda: save_file(self._work, Path(path))))

    async def asave(self, path: str | Path) -> SavedVersion:
        return await self._acall(lambda: now(lambda: save_file(self._work, Path(path))))

    def skills(self) -> list[SkillVersion]:
        """The newest stored version of every skill."""
        return self._call(lambda: now(lambda: self._work.registry.skills()))

    async def askills(self) -> list[SkillVersion]:
        return await self._acall(lambda: now(lambda: self._work.registry.skills()))

    def versions(self, name: str) -> list[SkillVersion]:
        """All stored versions of one skill, oldest first."""
        return self._call(lambda: now(lambda: self._work.registry.versions(name)))

    async def aversions(self, name: str) -> list[SkillVersion]:
        return await self._acall(lambda: now(lambda: self._work.registry.versions(name)))

    def evidence(self, version: SkillVersion) -> list[Evidence]:
        """What was measured for exactly this version, newest first."""
        return self._call(lambda: now(lambda: self._evidence(version)))

    async def aevidence(self, version: SkillVersion) -> list[Evidence]:
        return await self._acall(lambda: now(lambda: self._evidence(version)))

    def _evidence(self, version: SkillVersion) -> list[Evidence]:
        return [item for item in self._work.evidence.for_skill(version.name) if item.digest == version.digest]

    def standings(self, versions: Sequence[SkillVersion]) -> list[Standing | None]:
        """The newest result of each version's skill, with what changed since it was measured."""
        return self._call(lambda: now(lambda: standings(self._work, versions)))

    def stale(self, version: SkillVersion, evidence: Sequence[Evidence]) -> list[tuple[Change, ...]]:
        """Of each result what is not what was measured any more, of what ``version`` would be measured with now."""
        return self._call(lambda: now(lambda: stale_since(self._work, version, evidence)))

    def lost(self, version: SkillVersion) -> list[LostCase]:
        """The cases students lost against the teacher in the newest eval of this version. Raises ``NotFound``."""
        return self._call(lambda: now(lambda: lost_cases(self._work, version)))

    async def alost(self, version: SkillVersion) -> list[LostCase]:
        return await self._acall(lambda: now(lambda: lost_cases(self._work, version)))

    # running

    def run(
        self,
        ref: str,
        input: Mapping[str, Any],
        *,
        student: str | None = None,
        variant: bool = True,
        tags: Mapping[str, str] | None = None,
        terms: Terms = NO_TERMS,
        tools: ToolsGiven = None,
        ask: Ask | None = None,
        fresh: bool = False,
        watch: Watch = NOBODY,
    ) -> Run:
        """Run a skill on one input and store the run. ``ref`` is as in ``skill``; raises as ``BoundSkill`` does.

        Where the student has a variant of the skill it runs that, and with ``variant=False`` the skill itself. ``tags``
        go over the labels of ``skillforge.tagged``.

        A workflow calls ``tools`` (default: those of the Forge); ``ask(tool, arguments)`` is asked before the first
        call of each that writes (default: they may). Where the same call was killed, or ended in an error, this one
        goes on with it and repeats no write; ``fresh`` begins anew. ``watch`` is told of every step.
        """
        labelled, tooling = with_labels(tags or {}), Tooling(tools, ask, fresh, watch)
        return self._call(lambda: self._run(ref, input, (student, variant), labelled, terms, tooling))

    async def arun(
        self,
        ref: str,
        input: Mapping[str, Any],
        *,
        student: str | None = None,
        variant: bool = True,
        tags: Mapping[str, str] | None = None,
        terms: Terms = NO_TERMS,
        tools: ToolsGiven = None,
        ask: Ask | None = None,
        fresh: bool = False,
        watch: Watch = NOBODY,
    ) -> Run:
        labelled, tooling = with_labels(tags or {}), Tooling(tools, ask, fresh, watch)
        return await self._acall(lambda: self._run(ref, input, (student, variant), labelled, terms, tooling))

    async def _run(
        self,
        ref: str,
        given: Mapping[str, Any],
        who: tuple[str | None, bool],
        tags: Mapping[str, str],
        terms: Terms,
        tooling: Tooling,
    ) -> Run:
        student, variant = who
        return await run_skill(
            self._work, target(self._work, ref, student, variants=variant), given, tags, terms, tooling
        )

    # creating

    def create(
        self,
        task: str = "",
        *,
        cases: Cases = (),
        from_log: str = "",
        logs: Iterable[str | Path] = (),
        teacher: str | None = None,
        name: str | None = None,
        folder: str | Path | None = None,
        suite: str | None = None,
        terms: Terms = NO_TERMS,
        tools: ToolsGiven = None,
        ask: Ask | None = None,
        limits: LoopLimits | None = None,
        fresh: bool = False,
        on_progress: OnProgress = lambda stage, done, total: None,
    ) -> Created:
        """Let the teacher solve ``cases`` and write a skill from what it did; store it as a draft and write its YAML.

        ``cases``: a JSONL file, or cases, or plain inputs as ``{"input": {…}}``; where they carry splits, only those of
        ``train`` are used. ``folder`` defaults to ``skills/`` of the repository. ``terms`` may hold a budget and a
        recording. ``on_progress`` receives (stage, done, total).

        ``from_log`` names a group of recorded calls instead (found in ``logs``, or by an earlier scan): their answers
        to the train cases of its suite stand for the teacher's, and ``task`` may be left out.

        With ``tools`` the teacher works in a loop on each input, within ``limits``; ``ask(tool, arguments)`` is asked
        before the first call of each that writes (default: they may). A loop that was interrupted, or stopped by a
        limit, goes on where it was and makes no call twice; ``fresh`` begins it anew.
        """
        working = teacher_tools(tools, ask, limits, fresh)
        source = Source(task, cases, from_log, logs, teacher, name, folder, suite, working)
        return self._call(lambda: self._create(source, terms, on_progress), paid=True)

    async def acreate(
        self,
        task: str = "",
        *,
        cases: Cases = (),
        from_log: str = "",
        logs: Iterable[str | Path] = (),
        teacher: str | None = None,
        name: str | None = None,
        folder: str | Path | None = None,
        suite: str | None = None,
        terms: Terms = NO_TERMS,
        tools: ToolsGiven = None,
        ask: Ask | None = None,
        limits: LoopLimits | None = None,
        fresh: bool = False,
        on_progress: OnProgress = lambda stage, done, total: None,
    ) -> Created:
        working = teacher_tools(tools, ask, limits, fresh)
        source = Source(task, cases, from_log, logs, teacher, name, folder, suite, working)
        return await self._acall(lambda: self._create(source, terms, on_progress))

    async def _create(self, source: Source, terms: Terms, on_progress: OnProgress) -> Created:
        return await create_skill(self._work, create_plan(self._work, source, terms), on_progress)

    def create_from_trace(self, ref: str | Path, **wishes: Unpack[TraceWishes]) -> Compiled | Created:
        """Compile what agents did (``forge.traces.find``) into a workflow, proved on their recorded tool results and
        stored as a draft. Without a teacher nobody is asked (``TraceWishes``). Of traces in which no tool was called a
        teacher writes a prompt skill.
        """
        return self._call(lambda: compile_traces(self._work, ref, wishes), paid=True)

    async def acreate_from_trace(self, ref: str | Path, **wishes: Unpack[TraceWishes]) -> Compiled | Created:
        return await self._acall(lambda: compile_traces(self._work, ref, wishes))

    def author_request(self, ref: str | Path, **wishes: Unpack[TraceWishes]) -> str:
        """What ``create_from_trace`` would ask a teacher, for whoever answers in its place (``draft``)."""
        return self._portal.run(lambda: request_text(trace_plan(self._work, ref, wishes)))

    async def aauthor_request(self, ref: str | Path, **wishes: Unpack[TraceWishes]) -> str:
        async def there() -> str:
            return request_text(trace_plan(self._work, ref, wishes))

        return await self._portal.acall(there)

    def estimate_create(
        self,
        task: str = "",
        *,
        cases: Cases = (),
        from_log: str = "",
        logs: Iterable[str | Path] = (),
        teacher: str | None = None,
        suite: str | None = None,
        tools: ToolsGiven = None,
        limits: LoopLimits | None = None,
    ) -> Estimate:
        """What ``create`` would ask and cost, without asking anything."""
        source = Source(task, cases, from_log, logs, teacher, suite=suite, tools=teacher_tools(tools, limits=limits))
        return self._call(lambda: self._estimate_create(source))

    async def aestimate_create(
        self,
        task: str = "",
        *,
        cases: Cases = (),
        from_log: str = "",
        logs: Iterable[str | Path] = (),
        teacher: str | None = None,
        suite: str | None = None,
        tools: ToolsGiven = None,
        limits: LoopLimits | None = None,
    ) -> Estimate:
        source = Source(task, cases, from_log, logs, teacher, suite=suite, tools=teacher_tools(tools, limits=limits))
        return await self._acall(lambda: self._estimate_create(source))

    async def _estimate_create(self, source: Source) -> Estimate:
        return await estimate_create(self._work, create_plan(self._work, source))

    # measuring

    def eval(self, ref: str, **wishes: Unpack[EvalWishes]) -> EvalReport:
        """Compare students with and without the skill to the teacher on the skill's suite (``EvalWishes``).

        Every sample is stored as it arrives: the same call after an interruption asks only for what is missing.
        ``teacher="recorded"`` replays the suite's own recording. ``evals.measure`` gives the single cases too.
        """
        return self.evals.measure(ref, **wishes).report

    async def aeval(self, ref: str, **wishes: Unpack[EvalWishes]) -> EvalReport:
        return (await self.evals.ameasure(ref, **wishes)).report

    def estimate_eval(self, ref: str, **wishes: Unpack[EvalWishes]) -> Estimate:
        """What ``eval`` would ask and cost, without asking anything; samples that are known already cost nothing."""
        return self.evals.estimate(ref, **wishes)

    async def aestimate_eval(self, ref: str, **wishes: Unpack[EvalWishes]) -> Estimate:
        return await self.evals.aestimate(ref, **wishes)

    # models

    def probe(self, model: str) -> ModelProbe:
        """One real look at a model: reply, tokens per second, JSON ability, log probabilities."""
        return self._call(lambda: _probed(self._work, model))

    async def aprobe(self, model: str) -> ModelProbe:
        return await self._acall(lambda: _probed(self._work, model))

    def doctor(self, calls: Iterable[str] = ()) -> Diagnosis:
        """What is installed, which keys are set, what is missing; one short real call to each model in ``calls``."""
        return self._call(lambda: diagnose(self._work, (calls,) if isinstance(calls, str) else tuple(calls)))

    async def adoctor(self, calls: Iterable[str] = ()) -> Diagnosis:
        return await self._acall(lambda: diagnose(self._work, (calls,) if isinstance(calls, str) else tuple(calls)))

    # capture

    def wrap(
        self,
        client: Client,
        *,
        tags: Mapping[str, str] | None = None,
        store_io: StoreIO | None = None,
        share: float = 1.0,
        mask: Callable[[Call], Call | None] | None = None,
        conversation: str = "",
        subject: str = "",
    ) -> Client:
        """A client like ``client`` (of ``anthropic`` or ``openai``, sync or async) whose calls are recorded.

        ``share`` of its calls is kept, whole conversations together; ``mask`` sees each before it is stored, ``None``
        drops it; ``store_io`` is the repository's where not given. ``skillforge.tagged`` labels single calls. What
        goes wrong never fails or delays a call: ``say`` is told once. Raises ``UsageError`` for no such client.
        """
        return self._capture.wrap(
            client, Labels(conversation, subject, tags or {}), store_io=store_io, share=share, mask=mask
        )

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until what wrapped clients asked so far is stored.

        ``False`` where that took longer, or where calls since the last ``flush`` could not be stored.
        """
        return self._capture.flush(timeout_s)

    # life cycle

    def close(self) -> None:
        """Close models, database and the portal's thread. Idempotent; a later call opens what it needs again.

        What wrapped clients asked is stored first; they go on working.
        """
        self._capture.close()
        if self._portal.started:
            self._call(self._work.aclose)
            self._portal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, function: Callable[[], Awaitable[Result]], *, paid: bool = False) -> Result:
        return self._portal.call(function, paid=paid)

    async def _acall(self, function: Callable[[], Awaitable[Result]]) -> Result:
        return await self._portal.acall(function)


async def _probed(work: Workspace, model: str) -> ModelProbe:
    """Without secrets: a probe is shown, pasted and sent on, whatever the server said."""
    found = await probe(work.provider(model))
    return ModelProbe.model_validate(work.redactor.value(found.model_dump()))


def _unheard(message: str) -> None:
    """Nobody asked to be told."""


def _close(reference: weakref.ref[Forge]) -> None:
    if forge := reference():
        forge.close()
