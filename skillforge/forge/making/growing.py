"""From a few real inputs to labelled cases: solve them, simulate more, label all twice, keep what both answers say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

from skillforge.canonical import digest
from skillforge.case import Case
from skillforge.checks import resolve_pointer
from skillforge.engine.recorded import fitting
from skillforge.engine.roles.contract import choices, observed_fields, output_fields
from skillforge.engine.roles.label import Labelled, label, labelling_cost
from skillforge.engine.roles.simulate import Brief, Simulated, SimulateLimits, Simulation, Simulator
from skillforge.engine.solve import solve
from skillforge.errors import NotFound, ProviderError
from skillforge.evals.alike import Known
from skillforge.evals.answer import Answer
from skillforge.evals.scorers.base import Item, Scorer
from skillforge.evals.scorers.resolve import metric_of as scorer_named
from skillforge.forge.making.splits import split_cases
from skillforge.forge.suites.from_log import metric_of
from skillforge.forge.workspace import Workspace
from skillforge.messages import Cost
from skillforge.providers.base import Provider
from skillforge.skill import Skill
from skillforge.trace import Trace

REAL, SIMULATED = "real", "simulated"
PROVENANCE = "provenance"
PASSES = 4  # simulate and label again for what labels left out
OnProgress = Callable[[str, int, int], None]
_NO_ANSWER = Answer.not_asked("", "")


@dataclass(frozen=True)
class Models:
    """The models of the roles. ``other`` is the second labeller, ``None``: the teacher answers twice."""

    teacher: Provider
    simulator: Provider
    other: Provider | None = None


@dataclass(frozen=True)
class Grown:
    """Labelled cases with their splits, and what is not among them: ``disputed`` inputs for a person, ``failed`` ones
    that were not answered, by reason. ``outputs`` are the teacher's whole answers by case id, ``contract`` what cases
    and answers fit.
    """

    cases: tuple[Case, ...]
    disputed: tuple[Labelled, ...]
    failed: Mapping[str, int]
    removed: Mapping[str, int]
    simulation: Simulation
    contract: Skill
    metric: str
    traces: Mapping[str, Trace]
    label_cost: Cost

    def answer(self, output: Any) -> Any:
        """The part of an output that the metric compares; the whole where it compares all of it."""
        return compared_part(self.metric, output)


class TeachJournal:
    """The trace journal as one teaching uses it: counts what did not have to be asked again."""

    def __init__(self, work: Workspace) -> None:
        self._log = work.traces
        self.reused = 0

    def known(self, keys: Iterable[str]) -> dict[str, Trace]:
        found = self._log.known(keys)
        self.reused += len(found)
        return found

    def add(self, key: str, trace: Trace, teacher: str) -> None:
        self._log.add(key, trace, teacher)


async def grow(
    work: Workspace,
    task: str,
    real: Sequence[Case],
    target: int,
    models: Models,
    journal: TeachJournal,
    on_progress: OnProgress,
    limits: SimulateLimits,
) -> Grown:
    """Labelled cases, ``target`` of them where the simulator writes enough that two answers agree on.

    The simulator sees inputs of the train split only. Raises ``ProviderError`` where the teacher solves none of the
    real inputs, ``Halt`` where no further call makes sense.
    """
    clean = work.redactor.value
    real = [case.model_copy(update={"input": clean(case.input), "expected": clean(case.expected)}) for case in real]
    growing = _Growing(work, task, target, models, journal, on_progress)
    await growing.solve([case for case in real if case.split in (None, "train")])
    real = growing.split(real)
    await growing.label([case for case in real if case.expected is None])
    growing.take_labelled([case for case in real if case.expected is not None])
    known = Known()
    for case in real:
        known.add(case.input, f"like a {case.split} case")

    def admit(given: Mapping[str, Any]) -> str:
        if twin := known.twin(given):
            return twin
        known.add(given, "like another simulated input")
        return ""

    shown = [case for case in real if case.split == "train"]
    simulator = Simulator(
        growing.brief(real, shown),
        models.simulator,
        journal,
        admit=admit,
        clean=clean,
        limits=limits,
        on_kept=lambda kept: on_progress("simulate", kept, target),
    )
    seeds = [case.id for case in shown][:6]
    for _ in range(PASSES):
        if (missing := target - len(growing.kept)) <= 0:
            break
        on_progress("simulate", len(simulator.simulation.kept), target)
        new = await simulator.more(missing)
        if not new:
            break
        await growing.label([_case(item, models.simulator.name, seeds) for item in new])
    return growing.grown(simulator.simulation)


class _Growing:
    """The state of one growing: what is solved, what both answers agree on, what is for a person."""

    def __init__(
        self, work: Workspace, task: str, target: int, models: Models, journal: TeachJournal, on_progress: OnProgress
    ) -> None:
        self._work = work
        self._task = task
        self._target = target
        self._models = models
        self._journal = journal
        self._on_progress = on_progress
        self._solved: dict[str, Trace] = {}
        self._labelled: list[Labelled] = []
        self._outputs: list[Any] = []
        self._metric = "exact"
        self.kept: list[Case] = []
        self.disputed: list[Labelled] = []
        self.failed: Counter[str] = Counter()

    async def solve(self, cases: Sequence[Case]) -> None:
        done = 0

        def on_solved(trace: Trace) -> None:
            nonlocal done
            done += 1
            self._on_progress("solve", done, len(cases))

        traces = await solve(self._task, cases, self._models.teacher, self._journal, on_solved)
        good = [self._redacted(trace) for trace in traces if not trace.error]
        if not good:
            why = traces[0].error if traces else "there is none to learn from"
            raise ProviderError(
                f"the teacher solved 0 of {len(traces)} real inputs: {why}",
                hint="give inputs of the train split, or another --teacher",
            )
        self._solved = {trace.case_id: trace for trace in good}
        self._outputs = [trace.output for trace in good]
        self._metric = metric_of(output_fields(self._outputs))

    def split(self, real: Sequence[Case]) -> list[Case]:
        """The real inputs with their splits: what the simulator may see is settled before it sees anything."""
        labels = {name: self.answer(trace.output) for name, trace in self._solved.items()}
        usable = [case for case in real if case.split is not None or case.id in self._solved]
        if len(usable) < len(real):
            self.failed["real inputs the teacher could not solve"] += len(real) - len(usable)
        if not any(case.split for case in usable) and len(usable) < 4:
            return [case.model_copy(update={"split": "train"}) for case in usable]  # nothing is left to learn from else
        made, left_out = split_cases(usable, labels)
        if left_out:
            self.failed["real inputs related to several splits"] += left_out
        return made

    def brief(self, real: Sequence[Case], shown: Sequence[Case]) -> Brief:
        fields = output_fields(self._outputs)
        labels = {} if isinstance(fields, str) else choices(fields)
        inputs = [case.input for case in real]
        return Brief(self._task, observed_fields(inputs), [case.input for case in shown], labels)

    async def label(self, cases: Sequence[Case]) -> None:
        """Both answers to each; agreed ones become cases, the others are for a person."""
        if not cases:
            return
        done = 0

        def on_labelled(trace: Trace) -> None:
            nonlocal done
            done += 1
            self._on_progress("label", done, 2 * len(cases))

        scorer = scorer_named(self._metric, {})
        found = await label(
            self._task,
            cases,
            self._models.teacher,
            self._journal,
            other=self._models.other,
            same=lambda case, left, right: _agree(scorer, case, left, right),
            on_labelled=on_labelled,
        )
        for item in found:
            self._labelled.append(item)
            self._keep(item)

    def _keep(self, item: Labelled) -> None:
        if item.error:
            self.failed[_reason(item.error)] += 1
            return
        agreed = self._work.redactor.value(item.agreed)
        if agreed in (None, {}, "") or self.answer(agreed) is None:
            self.disputed.append(item)
            return
        first = self._redacted(item.first)
        self._solved[item.case.id] = first.model_copy(update={"case_id": item.case.id})
        self._outputs.append(first.output)
        self.kept.append(item.case.model_copy(update={"expected": agreed}))

    def take_labelled(self, cases: Sequence[Case]) -> None:
        """Real inputs that people labelled already: nobody is asked."""
        self._outputs.extend(case.expected for case in cases)
        self.kept.extend(cases)

    def answer(self, output: Any) -> Any:
        return compared_part(self._metric, output)

    def grown(self, simulation: Simulation) -> Grown:
        contract = self._contract()
        kept = [case for case in self.kept if not self._misfit(contract, case)]
        if len(kept) < len(self.kept):
            self.failed["labels of another form"] += len(self.kept) - len(kept)
        marked = [
            case
            if PROVENANCE in case.metadata
            else case.model_copy(update={"metadata": {**case.metadata, PROVENANCE: REAL}})
            for case in kept
        ]
        cases, related = split_cases(marked, {case.id: self.answer(case.expected) for case in marked})
        removed = Counter(simulation.refused)
        if related:
            removed["related to cases of several splits"] += related
        return Grown(
            cases=tuple(cases),
            disputed=tuple(self.disputed),
            failed=dict(self.failed),
            removed=dict(removed),
            simulation=simulation,
            contract=contract,
            metric=self._metric,
            traces=self._solved,
            label_cost=reduce(add, [labelling_cost(self._labelled), *self._seed_costs()]),
        )

    def _seed_costs(self) -> list[Cost]:
        """Of real inputs that were solved to be learned from, and had a person's label already."""
        labelled = {item.case.id for item in self._labelled}
        return [trace.cost for name, trace in self._solved.items() if name not in labelled]

    def _contract(self) -> Skill:
        """What all cases and answers fit; the choices seen at first stay choices."""
        inputs = [case.input for case in self.kept] + [item.case.input for item in self.disputed]
        fields: Any = output_fields(self._outputs)
        if not isinstance(fields, str):
            first = output_fields(self._outputs[: len(self._solved)])
            for name in choices(first) if not isinstance(first, str) else ():
                seen = {output[name] for output in self._outputs if isinstance(output, dict) and _is_text(output, name)}
                if name in fields and seen and fields[name].get("type") == "string":
                    fields[name] = {"enum": sorted(seen)}
        body = {"input": observed_fields(inputs), "output": fields, "instructions": "", "prompt": ""}
        return Skill.model_validate({"name": "observed", "description": "observed", **body})

    def _misfit(self, contract: Skill, case: Case) -> bool:
        trace = self._solved.get(case.id)
        if trace is None:
            return False
        return bool(fitting(contract, overlaid(contract, trace.output, case.expected))[1])

    def _redacted(self, trace: Trace) -> Trace:
        clean = self._work.redactor.value
        return trace.model_copy(update={"input": clean(trace.input), "output": clean(trace.output)})


def overlaid(contract: Skill, output: Any, expected: Any) -> Any:
    """The teacher's answer with what is agreed (or what a person said) in its place, in the contract's fields."""
    if isinstance(contract.output, dict) and isinstance(output, dict):
        whole = {**output, **(expected if isinstance(expected, dict) else {})}
        return {name: whole[name] for name in contract.output if name in whole}
    return output if expected is None else expected


def compared_part(metric: str, output: Any) -> Any:
    """What a metric compares of an output: the place its pointer names (``None`` where nothing stands there), else all
    of it.
    """
    if not metric.startswith("/"):
        return output
    try:
        return resolve_pointer(output, metric)
    except NotFound:
        return None


def _agree(scorer: Scorer, case: Case, left: Any, right: Any) -> bool:
    answer = replace(_NO_ANSWER, status="ok", run_status="ok", output=right)
    return right is not None and scorer.score(Item(case, left, answer)).value == 1


def _case(item: Simulated, simulator: str, seeds: Sequence[str]) -> Case:
    metadata = {PROVENANCE: SIMULATED, "purpose": item.purpose, "batch": item.batch, "simulator": simulator}
    return Case(id="s-" + digest(item.input)[7:23], input=item.input, metadata={**metadata, "seeds": list(seeds)})


def _is_text(output: Mapping[str, Any], name: str) -> bool:
    return isinstance(output.get(name), str)


def _reason(error: str) -> str:
    return " ".join(error.split())[:80]
