"""Where a teacher's answers are found: the suite's recording, the registry, the skill, the calls a suite was made of.

Only inputs of the train split are taken from what knows splits; what comes from production is held against the cases of
the other splits later (``students.data.unseen``). Under ``store_io`` ``none`` the registry holds no inputs and gives
nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skillforge.canonical import canonical_json
from skillforge.case import Case, Suite
from skillforge.engine.frame import complete_input, epoch_role, output_text
from skillforge.engine.parse import parse_output
from skillforge.engine.recorded import read_answer
from skillforge.engine.solve import SOLVE_ROLE, solve_request
from skillforge.errors import InvalidInput, UnknownRequest
from skillforge.evals.clusters import cluster_of
from skillforge.forge.workspace import Workspace
from skillforge.messages import Completion, Request
from skillforge.providers.replay import Replay
from skillforge.remotefile import reopened
from skillforge.skill import Skill
from skillforge.store.answered import TEACHER_ARM, answered, solved, teachers_of
from skillforge.store.runs import LoggedRun
from skillforge.students.data.agreement import differs
from skillforge.students.data.row import SOURCES, Row, Source, canonical
from skillforge.today import read_today

_ID = 12  # hex digits of an input's digest
_NOT_STUDENTS = ("teacher", "again", "today", "no-model")  # arms that answered something else than a student would


@dataclass
class Found:
    """The answers found, and what students said to the same inputs. ``counts`` are by source, before anything goes."""

    rows: list[Row] = field(default_factory=list)
    wrong: dict[bytes, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    counts: Counter[str] = field(default_factory=Counter)
    merged: int = 0
    provenance: list[dict[str, Any]] = field(default_factory=list)


async def find_rows(
    work: Workspace,
    skill: Skill,
    suite: Suite,
    train: Sequence[Case],
    teachers: Collection[str],
    students: Collection[str],
) -> Found:
    """Everything there is. ``teachers`` are the models whose runs count (default: those that were the teacher in an
    eval, and the one in ``skillforge.toml``); ``students`` those whose wrong answers are taken (default: all others).
    """
    desk = _Desk(skill, suite, train)
    found = Found()
    rows = [row async for row in _recorded(desk, suite, train, found.provenance)]
    rows += _logged(desk, suite, train)
    rows += desk.made("example", ((item.input, item.output, _author(skill)) for item in skill.examples.items))
    if work.runs.store_io != "none":
        known = set(teachers) or teachers_of(work.database, skill.name) | {work.settings.teacher or ""}
        traces = solved(work.database, skill.task_sentence)
        rows += desk.made("solved", ((trace.input, trace.output, trace.model or name) for trace, name in traces))
        for logged, arm in answered(work.database, work.runs, skill.name):
            row = _of_run(desk, logged, arm, known)
            if row is not None:
                rows.append(row)
            elif arm not in _NOT_STUDENTS and (not students or logged.run.student in students):
                _remember(found, skill, logged)
    found.counts = Counter(row.source for row in rows)
    found.rows, found.merged = _merged(rows)
    return found


def wrong_answer(skill: Skill, row: Row, said: Iterable[tuple[str, str]]) -> str:
    """What a student said instead: the answer nearest to a right one that is still wrong (its form is right), the same
    one on every machine; "" where none is wrong. Where it can be read it is written as the teacher's is, so that a pair
    differs in what is said and not in white space.
    """
    wrong = []
    for student, text in said:
        output, problems = parse_output(skill, text)
        if problems or output is None or differs(skill, row.output, output):
            wrong.append((output is None, student, text if output is None else output_text(skill, output)))
    return min(wrong)[2] if wrong else ""


def completed(skill: Skill, given: Mapping[str, Any]) -> dict[str, Any]:
    """With defaults where the input fits; as it is where it does not (a later step says so)."""
    try:
        return complete_input(skill, given)
    except InvalidInput:
        return dict(given)


@dataclass
class _Desk:
    """Makes rows of one skill: inputs with their defaults, the ids and labels of the suite's train cases."""

    skill: Skill
    suite: Suite
    train: Sequence[Case]
    _cases: dict[bytes, Case] = field(init=False)

    def __post_init__(self) -> None:
        self._cases = {}
        for case in self.train:
            self._cases.setdefault(canonical_json(completed(self.skill, case.input)), case)

    def row(
        self, source: Source, given: Any, output: Any, teacher: str, *, stop: str = "stop", again: tuple[Any, ...] = ()
    ) -> Row | None:
        """``None`` for what no file can hold as it is."""
        if not isinstance(given, Mapping) or not canonical([dict(given), output, list(again)]):
            return None
        full = completed(self.skill, given)
        asked = canonical_json(full)
        case = self._cases.get(asked)
        return Row(
            id=case.id if case is not None else f"{source}-{_short(asked)}",
            input=full,
            output=output,
            again=again,
            teacher=teacher,
            source=source,
            stop=stop,
            kin=(cluster_of(case, self.suite.decision) or "") if case is not None else "",
            expected=case.expected if case is not None else None,
        )

    def made(self, source: Source, told: Iterable[tuple[Any, Any, str]]) -> Iterator[Row]:
        for given, output, teacher in told:
            row = self.row(source, given, output, teacher)
            if row is not None:
                yield row


async def _recorded(
    desk: _Desk, suite: Suite, train: Sequence[Case], provenance: list[dict[str, Any]]
) -> AsyncIterator[Row]:
    """The suite's recording: the answer to every train case, and the second one where it was asked again."""
    if not suite.recorded:
        return
    replay = Replay(reopened(suite.recorded))
    if replay.provenance:
        provenance.append(dict(replay.provenance))
    asked_again = replay.answers_role(epoch_role(SOLVE_ROLE, 1))
    for case in train:
        request = solve_request(desk.skill.task_sentence, case.input)
        completion = await _answer(replay, request)
        if completion is None:
            continue
        again: tuple[Any, ...] = ()
        if asked_again:
            key = request.key.model_copy(update={"role": epoch_role(SOLVE_ROLE, 1)})
            second = await _answer(replay, request.model_copy(update={"key": key}))
            again = () if second is None else (_output(desk.skill, second.text),)
        output = _output(desk.skill, completion.text)
        row = desk.row("recorded", case.input, output, completion.model, stop=completion.stop, again=again)
        if row is not None:
            yield row


async def _answer(replay: Replay, request: Request) -> Completion | None:
    try:
        return await replay.complete(request)
    except UnknownRequest:
        return None


def _logged(desk: _Desk, suite: Suite, train: Sequence[Case]) -> Iterator[Row]:
    """What the program that the suite was made from was answered."""
    if suite.today is None:
        return
    answers = read_today(suite.today)
    for case in train:
        if (answer := answers.get(case.id)) is not None:
            output, _ = read_answer(desk.skill, answer)
            row = desk.row("log", case.input, output, answer.model or "the log's model", stop=answer.stop)
            if row is not None:
                yield row


def _of_run(desk: _Desk, logged: LoggedRun, arm: str, teachers: Collection[str]) -> Row | None:
    """A run as the teacher's answer, where the teacher gave it: as its arm on a train case, or in production."""
    run = logged.run
    last = run.rungs[-1].student if run.rungs else ""
    if arm == TEACHER_ARM:
        row = desk.row("measured", run.input, run.output, run.model or run.student, stop=_stop(logged))
        return row if row is not None and not row.id.startswith("measured-") else None
    if logged.source == "run" and (run.student in teachers or last in teachers) and run.status == "ok":
        return desk.row("run", run.input, run.output, run.model or last or run.student, stop=_stop(logged))
    return None


def _remember(found: Found, skill: Skill, logged: LoggedRun) -> None:
    """A student's first answer, before any repair: what it does by itself."""
    run = logged.run
    if run.attempts and run.attempts[0].text.strip():
        found.wrong[canonical_json(run.input)].append((run.student, run.attempts[0].text.strip()))
    elif run.output is not None and run.status == "ok":
        found.wrong[canonical_json(run.input)].append((run.student, output_text(skill, run.output)))


def _merged(rows: Iterable[Row]) -> tuple[list[Row], int]:
    """One row an input: of the best source, with the other answers that the same teacher gave and that differ."""
    groups: dict[bytes, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.asked].append(row)
    made = []
    for group in groups.values():
        head, *rest = sorted(group, key=lambda row: (row.output is None, SOURCES.index(row.source), row.id))
        others = [row.output for row in rest if row.teacher == head.teacher and row.output not in (None, head.output)]
        made.append(head.model_copy(update={"again": (*head.again, *others)}) if others else head)
    made.sort(key=lambda row: (SOURCES.index(row.source), row.id, row.asked))
    return made, sum(map(len, groups.values())) - len(made)


def _output(skill: Skill, text: str) -> Any:
    output, problems = parse_output(skill, text)
    return None if problems else output


def _stop(logged: LoggedRun) -> str:
    return logged.run.attempts[-1].stop if logged.run.attempts else "stop"


def _author(skill: Skill) -> str:
    """Examples are what a teacher or a person wrote down; the file may say who."""
    return skill.metadata.get("author", "") or "the skill's author"


def _short(asked: bytes) -> str:
    import hashlib

    return hashlib.sha256(asked).hexdigest()[:_ID]
