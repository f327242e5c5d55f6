"""Recorded calls as a teacher's first pass: what a program was answered already is not asked again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skillforge.case import Case, Suite
from skillforge.contract import Validator
from skillforge.engine.frame import complete_input
from skillforge.engine.proposal import Proposal
from skillforge.engine.recorded import CUTS, REFUSALS, fitting, read_answer
from skillforge.errors import InvalidInput, NotFound, UsageError
from skillforge.evals.sampling import training_cases
from skillforge.forge.measuring.plan import EVALS_FOLDER
from skillforge.forge.suites.from_log import suite_name
from skillforge.forge.workspace import Workspace
from skillforge.messages import Message
from skillforge.skill import Skill
from skillforge.suitefile import read_suite
from skillforge.today import TodayAnswer, read_today
from skillforge.trace import Trace

if TYPE_CHECKING:
    from skillforge.traffic.draft import DraftContract

CUT, REFUSED, UNFIT, UNANSWERED = "cut off", "refused", "of another form", "without an answer"


@dataclass(frozen=True)
class Recorded:
    """What a log holds ready for a skill: ``traces`` of the train cases of ``suite`` (relative to the repository).

    ``left_out`` counts train cases whose recorded answer is none to learn from, by reason; ``labelled`` is how many
    traces hold a person's answer instead of the recorded one.
    """

    group: str
    task: str
    name: str
    suite: str
    proposal: Proposal | None
    traces: tuple[Trace, ...]
    left_out: Mapping[str, int]
    labelled: int
    inputs: tuple[dict[str, Any], ...]
    outputs: tuple[Any, ...]

    def refused_by(self, skill: Skill) -> tuple[str, ...]:
        """Fields whose schemas refuse what the suite holds. Only counts are told: unseen cases stay unseen."""
        outputs = skill.output_schema()
        labels = None if outputs is None else Validator({**outputs, "required": []})  # a label may leave fields out
        refused = [_refused_input(skill, given) for given in self.inputs]
        wrong = [] if labels is None else [_places(labels.problems(output)) for output in self.outputs]
        return (*_told("input", skill.input, refused), *_told("output", skill.output, wrong))


def recorded_answers(work: Workspace, ref: str, *, logs: Sequence[Path] = (), suite: str | None = None) -> Recorded:
    """The recorded answers of a group to the train cases of its suite. ``logs`` are scanned first, where given.

    Raises ``NotFound`` for an unknown group or where it has no suite yet, ``UsageError`` where nothing in it can be
    learned from.
    """
    from skillforge.forge.calls.scanning import find_group, scan_calls

    if logs:
        scan_calls(work, list(logs), lambda count: None)
    group = find_group(work, ref)
    if group.draft is None:
        raise UsageError(f"{group.name}: no contract can be made of these calls", hint=f"scan says: {group.why}")
    path = _suite_path(work, suite or suite_name(group.name), ref)
    found = read_suite(path)
    if found.today is None:
        raise UsageError(f"{path} holds no recorded answers", hint=_make_suite(ref))
    proposal = _proposal(work, group.draft, found)
    contract = _bare_contract(proposal)
    answers = read_today(found.today)
    cases, _ = training_cases(found.cases)
    read = [_trace(contract, group.draft.task, case, answers.get(case.id)) for case in cases]
    traces = tuple(trace for trace in read if isinstance(trace, Trace))
    left_out = Counter(reason for reason in read if isinstance(reason, str))
    if not traces:
        told = ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "it has no train cases"
        raise UsageError(f"{path}: no recorded answer to learn from ({told})", hint=_make_suite(ref))
    return Recorded(
        group=group.name,
        task=group.draft.task,
        name=found.name,
        suite=path.relative_to(work.root).as_posix(),
        proposal=proposal,
        traces=traces,
        left_out=dict(left_out),
        labelled=sum(
            case.expected is not None for case, trace in zip(cases, read, strict=True) if isinstance(trace, Trace)
        ),
        inputs=tuple(case.input for case in found.cases),
        outputs=tuple(_outputs(contract, found.cases, answers)),
    )


def _suite_path(work: Workspace, named: str, ref: str) -> Path:
    """The file of a suite named by its name or its path. Raises ``NotFound``, ``UsageError``."""
    written = named if named.endswith((".yaml", ".yml")) else f"{EVALS_FOLDER}/{named}.yaml"
    path = (work.root / written).resolve()
    if not path.is_relative_to(work.root.resolve()):
        raise UsageError(f"the suite {named!r} lies outside {work.root}", hint="a skill's suite is in its repository")
    if not path.is_file():
        raise NotFound(f"{path}: there is no suite of {ref} yet", hint=_make_suite(ref))
    return path


def _make_suite(ref: str) -> str:
    return f"make it from the log: skillforge suite from-log {ref}; one of another name is named with --suite NAME"


def _proposal(work: Workspace, draft: DraftContract, suite: Suite) -> Proposal:
    """The contract that the suite's cases fit, and the program's own prompt without its secrets."""
    contract = suite.contract or {}
    return Proposal(
        input=contract.get("input") or draft.input,
        output=contract.get("output") or draft.output,
        instructions=work.redactor.text(draft.instructions),
        prompt=work.redactor.text(draft.prompt),
    )


def _bare_contract(proposal: Proposal) -> Skill:
    """The contract as a skill, which is what knows how to read inputs and answers."""
    body = {"input": proposal.input, "output": proposal.output, "instructions": "", "prompt": ""}
    return Skill.model_validate({"name": "recorded", "description": "recorded", **body})


def _trace(contract: Skill, task: str, case: Case, answer: TodayAnswer | None) -> Trace | str:
    """The case as solved by its recorded answer, or by the person who labelled it; or why it is not solved."""
    try:
        complete_input(contract, case.input)
    except InvalidInput:
        return UNFIT
    output, problems = read_answer(contract, answer) if answer is not None else (None, (UNANSWERED,))
    if case.expected is not None:  # the person is right; a label may leave out fields that nobody looked at
        known = output if isinstance(output, dict) else {}
        right = {**known, **case.expected} if isinstance(case.expected, dict) else case.expected
        output, problems = fitting(contract, right)
    if problems:
        return _why(answer)
    said = answer or TodayAnswer(case=case.id, text="")
    return Trace(
        case_id=case.id,
        task=task,
        input=case.input,
        output=output,
        messages=(Message.of("assistant", said.text),) if said.text else (),
        model=said.model,
        usage=said.usage,
        latency_s=said.latency_s,
        calls=0,
    )


def _why(answer: TodayAnswer | None) -> str:
    if answer is None:
        return UNANSWERED
    return REFUSED if answer.stop in REFUSALS else CUT if answer.stop in CUTS else UNFIT


def _outputs(contract: Skill, cases: Iterable[Case], answers: Mapping[str, TodayAnswer]) -> Iterator[Any]:
    """Every answer the skill must be able to give: the labels, and the recorded ones that fit the contract now."""
    for case in cases:
        if case.expected is not None:
            yield case.expected
        if case.id in answers:
            output, problems = read_answer(contract, answers[case.id])
            if not problems:
                yield output


def _refused_input(skill: Skill, given: Mapping[str, Any]) -> set[str]:
    try:
        complete_input(skill, given)
    except InvalidInput as exc:
        return {exc.field}
    return set()


def _places(problems: Iterable[str]) -> set[str]:
    return {re.split(r"[.\[:]", problem, maxsplit=1)[0] for problem in problems}


def _told(side: str, fields: Iterable[str], refused: Sequence[set[str]]) -> Iterator[str]:
    """How often each field was refused. A place that is no field may quote a value: it is not named."""
    known = set(fields)
    counts = Counter(name if name in known else "" for names in refused for name in names)
    for name, count in sorted(counts.items()):
        where = f"{side}.{name}" if name else side
        yield f"{where}: its schema refuses {count} of {len(refused)} recorded values: make it wider"
