"""What a create or an eval would ask and cost, found out without asking anything: behind ``--dry-run``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

from skillforge.canonical import compact
from skillforge.case import Case
from skillforge.engine.author import AUTHOR_TOKENS, INSTRUCTIONS, SHOWN_CHARS
from skillforge.engine.execute import PromptExecutor
from skillforge.engine.frame import build_request, complete_input, output_text
from skillforge.engine.solve import solve_request, trace_key
from skillforge.evals.judges.question import Facts, pair_request, rubric_request
from skillforge.evals.running.arms import Arm
from skillforge.evals.scorers.resolve import questions
from skillforge.forge.making.create import PROVE, CreatePlan, require_plan
from skillforge.forge.measuring.plan import EvalPlan, Prepared, prepare
from skillforge.forge.workspace import Workspace
from skillforge.messages import Cost, Request, Usage, Value
from skillforge.providers.base import Provider
from skillforge.providers.remote import Remote
from skillforge.providers.replay import Replay
from skillforge.skill import Limits, Skill
from skillforge.store.registry import SkillVersion
from skillforge.tokens import CHARACTERS_PER_TOKEN, bound_tokens, estimate_tokens

DRAFT_TOKENS = 1_500  # of a skill as a teacher writes it, examples by id
REPAIR_TOKENS = 1_000  # what a repair says beside the answer it repairs
JUDGE_TOKENS = 80  # of a judge's reply: a sentence or two, and a grade


class Expense(Value):
    """One kind of call to one model: how many, and what they would come to.

    ``known`` of them are answered already and cost nothing again; ``calls`` are left, each of which may be repaired
    once. Tokens are estimates (four characters a token) over all calls; ``output_tokens`` and ``about_usd`` are
    ``None`` where the length of an answer or a price is unknown. ``at_most_usd`` is what a budget would reserve: every
    answer as long as allowed, every call repaired.
    """

    what: str
    model: str
    known: int
    calls: int
    input_tokens: int
    output_tokens: int | None
    about_usd: float | None
    at_most_usd: float | None


class Estimate(Value):
    """The expenses of one command, and their sums (``None`` as soon as one is unknown)."""

    expenses: tuple[Expense, ...]

    @property
    def calls(self) -> int:
        return sum(expense.calls for expense in self.expenses)

    @property
    def about_usd(self) -> float | None:
        return _sum([expense.about_usd for expense in self.expenses if expense.calls])

    @property
    def at_most_usd(self) -> float | None:
        return _sum([expense.at_most_usd for expense in self.expenses if expense.calls])


def estimate_eval(work: Workspace, version: SkillVersion, plan: EvalPlan) -> Estimate:
    """The calls of an eval that no stored sample answers. Raises as the eval would, but needs no key."""

    def executor(name: str, *, role: str = "run") -> PromptExecutor:
        return PromptExecutor(work.provider(name), role=role, custom_checks=work.custom_checks)

    ready = prepare(work, version, plan, executor)
    asking = [arm for arm in ready.arms if isinstance(arm.executor, PromptExecutor)]
    return Estimate(
        expenses=(*(_arm(work, arm, ready.cases, ready.suite.repeat) for arm in asking), *_judges(work, ready))
    )


def _judges(work: Workspace, ready: Prepared) -> list[Expense]:
    """What judges would be asked about the answers of all arms, were none judged yet and each as long as its label.

    A pair is asked in both orders, and about every arm but the teacher's.
    """
    task, asked = ready.arms[0].skill.task_sentence, defaultdict[str, list[tuple[Request, int | None]]](list)
    for case in ready.cases:
        facts = Facts(task, case.input, case.expected)
        answer = "" if case.expected is None else case.expected
        for spec, judge in questions(ready.scorers, case):
            pairs = spec.type == "pairwise"
            request = pair_request(spec, facts, answer, answer) if pairs else rubric_request(spec, facts, answer)
            arms = [arm for arm in ready.arms[pairs:] if arm.covers(case)]
            answers = sum(len(arm.epochs(ready.suite.repeat)) for arm in arms)
            asked[judge] += [(request, JUDGE_TOKENS)] * answers * (2 if pairs else 1)
    return [_expense("judge", work.provider(model), 0, listed) for model, listed in asked.items()]


def _arm(work: Workspace, arm: Arm, cases: Sequence[Case], repeat: int) -> Expense:
    assert isinstance(arm.executor, PromptExecutor)
    keys = {arm.sample_key(case, epoch): case for epoch in arm.epochs(repeat) for case in cases}
    known = work.samples.known(keys)
    left = [case for key, case in keys.items() if key not in known]
    asked = [_question(arm.skill, arm.executor.role, case) for case in left]
    return _expense(arm.name, arm.executor.provider, len(known), asked)


def _question(skill: Skill, role: str, case: Case) -> tuple[Request, int | None]:
    """The request for a case, and how many tokens its label is long."""
    request = build_request(skill, complete_input(skill, case.input), role=role)
    return request, None if case.expected is None else _tokens(output_text(skill, case.expected))


def estimate_create(work: Workspace, plan: CreatePlan) -> Estimate:
    """The calls of a create: solving what is not solved yet, writing the draft, proving it. Needs no key. Recorded
    answers are solved.

    Solved inputs are counted; a draft that an interruption left behind is not, so this may be too much by a few calls.
    """
    require_plan(plan)
    teacher = work.provider(plan.teacher)
    if plan.recorded is not None:
        solved = [Case(id=trace.case_id, input=trace.input, expected=trace.output) for trace in plan.recorded.traces]
        shown = len(plan.recorded.proposal.model_dump_json())
        return Estimate(expenses=(_author(teacher, solved, shown), _prove(teacher, solved)))
    keys = {case.id: trace_key(teacher, plan.task, case.input) for case in plan.cases}
    known = work.traces.known(keys.values()) if work.has_database else {}
    unique = {keys[case.id]: case for case in plan.cases}  # equal inputs are asked once
    left = [case for key, case in unique.items() if key not in known]
    asked = [(solve_request(plan.task, case.input), _label_tokens(case)) for case in left]
    return Estimate(
        expenses=(
            _expense("solve", teacher, len(unique) - len(left), asked, repairs=False),
            _author(teacher, plan.cases),
            _prove(teacher, plan.cases),
        )
    )


def _author(teacher: Provider, cases: Sequence[Case], proposal: int = 0) -> Expense:
    """One draft and, at most, its repair, which is sent everything again; ``proposal`` is how many characters one is
    long.
    """
    solved = min(SHOWN_CHARS, sum(len(compact(case.input)) + 4 * (_label_tokens(case) or 0) for case in cases))
    sent = (len(INSTRUCTIONS) + solved + proposal) // CHARACTERS_PER_TOKEN
    once = Usage(input_tokens=sent, output_tokens=DRAFT_TOKENS)
    whole = Usage(input_tokens=4 * sent + AUTHOR_TOKENS, output_tokens=AUTHOR_TOKENS)
    return _line("write the skill", teacher, 0, 1, [once], [whole, whole])


def _prove(teacher: Provider, cases: Sequence[Case]) -> Expense:
    """The draft is run on some of its inputs; a repaired draft once more. How long its prompts will be is a guess."""
    count = min(PROVE, len(cases))
    mean = sum(len(compact(case.input)) for case in cases) // CHARACTERS_PER_TOKEN // max(1, len(cases))
    labels = [tokens for case in cases if (tokens := _label_tokens(case)) is not None]
    limits = Limits()
    about = Usage(input_tokens=DRAFT_TOKENS + 5 * mean, output_tokens=sum(labels) // len(labels) if labels else None)
    whole = Usage(input_tokens=limits.input_tokens, output_tokens=limits.output_tokens)
    return _line("prove it", teacher, 0, count, [about] * count, [whole] * (4 * count))


def _expense(
    what: str,
    provider: Provider,
    known: int,
    asked: Sequence[tuple[Request, int | None]],
    *,
    repairs: bool = True,
) -> Expense:
    about = [Usage(input_tokens=estimate_tokens(request), output_tokens=length) for request, length in asked]
    worst = [_worst(provider, request) for request, _ in asked]
    again = [_worst(provider, request, REPAIR_TOKENS) for request, _ in asked] if repairs else []
    line = _line(what, provider, known, len(asked), about, [])
    return line.model_copy(update={"at_most_usd": _sum([cost.usd for cost in (*worst, *again)])})


def _worst(provider: Provider, request: Request, more: int = 0) -> Cost:
    """What a budget reserves for one call; a repair sends the answer and ``more`` tokens besides."""
    longer = Usage(input_tokens=more + request.max_output_tokens, output_tokens=0) if more else None
    if isinstance(provider, Remote):
        cost = provider.worst(request)
    else:
        cost = provider.price(Usage(input_tokens=bound_tokens(request), output_tokens=request.max_output_tokens))
    return cost if longer is None else cost + provider.price(longer)


def _line(
    what: str, provider: Provider, known: int, calls: int, about: Sequence[Usage], worst: Sequence[Usage]
) -> Expense:
    if isinstance(provider, Replay):  # nothing is asked of a recording
        known, calls, about, worst = known + calls, 0, [], []
    usage = reduce(add, about) if about else Usage(input_tokens=0, output_tokens=0)
    return Expense(
        what=what,
        model=provider.name,
        known=known,
        calls=calls,
        input_tokens=usage.input_tokens or 0,
        output_tokens=usage.output_tokens,
        about_usd=_sum([provider.price(each).usd for each in about]),
        at_most_usd=_sum([provider.price(each).usd for each in worst]),
    )


def _label_tokens(case: Case) -> int | None:
    return None if case.expected is None else _tokens(_text(case.expected))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else compact(value)


def _tokens(text: str) -> int:
    return len(text) // CHARACTERS_PER_TOKEN + 1


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
