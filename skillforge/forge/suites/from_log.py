"""``suite from-log``: the recorded calls of a group become a frozen suite, its cases unlabelled."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio.lowlevel import checkpoint

from skillforge.call import Call
from skillforge.canonical import compact, digest
from skillforge.case import Case, Split
from skillforge.config import store_io
from skillforge.contract import Validator
from skillforge.errors import SkillforgeError, UsageError
from skillforge.forge.measuring.plan import EVALS_FOLDER
from skillforge.forge.suites.target import SuiteTarget
from skillforge.forge.workspace import Workspace
from skillforge.jsonl import MAX_LINE_BYTES
from skillforge.messages import Value
from skillforge.redact import Redactor
from skillforge.store.calls import CallLog
from skillforge.suitefile import SUITE_SCHEMA
from skillforge.today import TodayAnswer
from skillforge.traffic.cases import SHARES, Candidate, Pool, select

if TYPE_CHECKING:
    from skillforge.traffic.draft import DraftContract
    from skillforge.traffic.groups import CallGroup

MARGIN = 0.05
_TOGETHER = 200  # calls read without a pause
Mask = Callable[[str], str]
_NORMAL = ("stop", "")  # "": the log does not say


class SuiteMade(Value):
    """What became of a group's calls. ``calls`` were read; of these ``unanswered`` had no answer that ended normally,
    ``unfit`` an input that is not the contract's, ``duplicates`` the same input as another, ``alike`` nearly the same.

    ``cases_at`` is where the cases are, ``strata`` counts them by recorded answer (or length).
    """

    name: str
    path: Path
    cases_at: str
    group: str
    metric: str
    cases: int
    splits: dict[str, int]
    strata: dict[str, int]
    calls: int
    unanswered: int
    unfit: int
    duplicates: int
    alike: int

    @property
    def next_step(self) -> str:
        """What has to happen before a verdict on these cases means anything."""
        return (
            "these cases hold no labels, only what was answered so far: a verdict needs labels by people"
            f"\n  -> give them: skillforge review {self.name}"
        )


async def suite_from_log(
    work: Workspace,
    group: str,
    paths: Iterable[Path],
    *,
    name: str | None,
    limit: int,
    cases: str | None,
    seed: int,
    mask: Mask | None = None,
) -> SuiteMade:
    """Write ``evals/NAME.yaml`` and its files from the recorded calls of a group; texts are redacted and masked.

    ``mask`` is for what varies between calls, after the repository's own: a group is known by what does not.

    Raises ``NotFound`` for an unknown group, ``UsageError`` where the suite exists already, where no text of the calls
    was kept, and where no call gives a case.
    """
    from skillforge.forge.calls.logs import read_calls
    from skillforge.forge.calls.scanning import find_group

    paths = list(paths)
    if limit < 1:
        raise UsageError("--limit must be at least 1", hint="leave it out to take up to 300 cases")
    _require_texts(work, paths, group)
    found = find_group(work, group)
    if found.draft is None:
        raise UsageError(f"{found.name}: no contract can be made of these calls", hint=f"scan says: {found.why}")
    target = SuiteTarget.of(work.root / EVALS_FOLDER, name or suite_name(found.name), cases)
    # one that also takes out what a group's constants hold would leave no call that fits the group
    clean = work.redactor if mask is None else Redactor({}, lambda text: mask(work.redactor.text(text)))
    taken = _Taken(CallLog(work.database, work.redactor).clean, clean, found, found.draft, seed)
    for count, call in enumerate(read_calls(work, paths)):
        taken.add(call)
        if count % _TOGETHER == 0:
            await checkpoint()  # an interrupt is heard here
    if not taken.pool.added:
        raise taken.nothing()
    selection = select(taken.pool.candidates(), limit=limit, seed=seed)
    made = [_case(candidate, selection.splits[candidate.id]) for candidate in selection.chosen]
    answers = [candidate.record.answer for candidate in selection.chosen]
    body = _suite_body(target, found, found.draft, clean)
    target.write(body, made, answers)
    splits = [selection.splits[candidate.id] for candidate in selection.chosen]
    if empty := [split for split in SHARES if split not in splits]:
        work.say(f"no case is in {' or '.join(empty)}: too few cases, or too few conversations for them to be apart")
    return SuiteMade(
        name=target.name,
        path=target.suite,
        cases_at=str(target.cases),
        group=found.id,
        metric=body["decision"]["metric"],
        cases=len(made),
        splits={split: splits.count(split) for split in SHARES},
        strata=dict(selection.strata),
        alike=selection.alike,
        **taken.counts,
    )


def _suite_body(target: SuiteTarget, group: CallGroup, draft: DraftContract, clean: Redactor) -> dict[str, Any]:
    return {
        "schema": SUITE_SCHEMA,
        "name": target.name,
        "description": clean.text(f"From recorded calls of {group.name} ({group.id}).")[:1024],
        "decision": {"metric": metric_of(draft.output), "margin": MARGIN},
        "contract": {"input": _masked(clean, draft.input), "output": _masked(clean, draft.output)},
        **target.keys,
    }


def metric_of(output: Any) -> str:
    """What decides right or wrong: the one field that is a choice; of several fields their mean; a text as a whole."""
    if not isinstance(output, Mapping):
        return "exact"
    choices = [name for name, schema in output.items() if "enum" in schema]
    return "/" + _escaped(choices[0]) if len(choices) == 1 else "fields"


@dataclass(frozen=True, slots=True)
class _Record:
    metadata: dict[str, str]
    answer: TodayAnswer


def _case(candidate: Candidate, split: Split) -> Case:
    return Case(id=candidate.id, input=dict(candidate.input), split=split, metadata=candidate.record.metadata)


class _Taken:
    """The calls of the group that could be cases, and what a case needs of each: masked texts, never the raw ones."""

    def __init__(
        self, whole: Callable[[Call], Call], clean: Redactor, group: CallGroup, draft: DraftContract, seed: int
    ) -> None:
        self._whole = whole
        self._clean = clean
        self._group = group
        self._draft = draft
        self._inputs = Validator(
            {
                "type": "object",
                "properties": dict(draft.input),
                "required": [name for name, schema in draft.input.items() if "default" not in schema],
                "additionalProperties": False,
            }
        )
        self.pool = Pool(seed)
        self.calls = 0
        self.unanswered = 0
        self.unfit = 0

    def add(self, call: Call) -> None:
        fields = self._group.skeleton.fields(call)
        if fields is None:
            return
        self.calls += 1
        if call.error or not call.text.strip() or call.output is None or call.output.tool_calls:
            self.unanswered += 1
            return
        if call.stop not in _NORMAL:
            self.unanswered += 1
            return
        call = self._whole(call)  # calls may be kept in full, and what tells a secret may be a constant before it
        fields = self._group.skeleton.fields(call)
        if fields is None:
            self.unfit += 1
            return
        given = _masked(self._clean, fields)
        try:
            case_id = "c-" + digest(given)[7:23]  # the same input is the same case, whichever log it came from
            answer = self._answer(case_id, call)
            lines = len(json.dumps(given, ensure_ascii=False).encode()), len(answer.model_dump_json().encode())
        except ValueError:
            self.unfit += 1
            return
        if max(lines) > MAX_LINE_BYTES // 2 or self._inputs.problems(given):
            self.unfit += 1
            return
        metadata = {
            "call": call.id,
            "conversation": self._clean.text(call.conversation),
            "subject": self._clean.text(call.subject),
            "at": call.at,
        }
        # not both: programs name one and the same user for all they ask, and everything would be related
        kin = f"conversation {call.conversation}" if call.conversation else call.subject and f"subject {call.subject}"
        record = _Record({key: value for key, value in metadata.items() if value}, answer)
        self.pool.add(Candidate(case_id, given, self._label(answer.output), kin, record, call.id))

    @property
    def counts(self) -> dict[str, int]:
        return {
            "calls": self.calls,
            "unanswered": self.unanswered,
            "unfit": self.unfit,
            "duplicates": self.pool.duplicates,
        }

    def nothing(self) -> UsageError:
        """Why there is not one case."""
        if not self.calls:
            hint = "name the log files it was found in: skillforge suite from-log GROUP LOGS…"
            return UsageError(f"none of the calls belongs to {self._group.name!r}", hint=hint)
        told = (
            f"{self.unanswered} without an answer that ended normally, {self.unfit} whose input is not the contract's"
        )
        return UsageError(f"no case among {self.calls} calls of {self._group.name!r}: {told}", hint="give more logs")

    def _answer(self, case_id: str, call: Call) -> TodayAnswer:
        output = _masked(self._clean, self._parsed(call.text))
        return TodayAnswer(
            case=case_id,
            text=self._clean.text(call.text),
            output=output,
            model=self._clean.text(call.resolved or call.model),
            stop=call.stop or "stop",
            usage=call.usage,
            usd=call.cost.usd,
            list_usd=call.list_usd,
            basis=call.cost.basis,
            latency_s=call.latency_s,
        )

    def _parsed(self, text: str) -> Any:
        """The answer in the contract's form, ``None`` where it has not: the program was answered that all the same."""
        try:
            output = self._draft.parse_output(text)
            digest(output)
        except (SkillforgeError, ValueError):
            return None
        return output

    def _label(self, output: Any) -> str | None:
        """The choices in an answer (enums, booleans) as one text."""
        fields = self._draft.output
        if not isinstance(output, Mapping) or not isinstance(fields, Mapping):
            return None
        chosen = {
            name: output[name]
            for name, schema in fields.items()
            if name in output and ("enum" in schema or schema.get("type") == "boolean")
        }
        said = next(iter(chosen.values()), None) if len(chosen) < 2 else chosen
        return said if isinstance(said, str) else None if said is None and not chosen else compact(said)


def _require_texts(work: Workspace, paths: list[Path], group: str) -> None:
    if not paths and store_io(work.settings) == "none":
        raise UsageError(
            "the recorded calls hold no texts (store_io = none), so there is nothing to make cases of",
            hint=f'name log files: skillforge suite from-log {group} LOGS…, or record with store_io = "redacted"',
        )


def suite_name(text: str) -> str:
    """What a suite of a group of that name is called where nobody names it."""
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in text.lower()).split()
    return "-".join(words)[:64].strip("-") or "recorded"


def _masked(redactor: Redactor, value: Any) -> Any:
    """A value without secrets; the names of fields are the contract's, and stay."""
    if isinstance(value, Mapping):
        return {name: redactor.value(inner) for name, inner in value.items()}
    return redactor.value(value)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
