"""What a create or an eval would ask and cost, found out without asking anything: behind ``--dry-run``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

from skillforge.canonical import compact
from skillforge.case import Case
from skillforge.engine.agent.limits import LoopLimits
from skillforge.engine.author import AUTHOR_TOKENS, INSTRUCTIONS, SHOWN_CHARS
from skillforge.engine.execute import PromptExecutor
from skillforge.engine.frame import build_request, complete_input, example_turns, output_text, system_message
from skillforge.engine.solve import solve_request, trace_key
from skillforge.engine.workflow.language import step_skill
from skillforge.evals.judges.question import Facts, pair_request, rubric_request
from skillforge.evals.running.arms import Arm
from skillforge.evals.running.sandboxed import prompts_of
from skillforge.evals.scorers.resolve import questions
from skillforge.forge.making.create import PROVE, CreatePlan, require_plan
from skillforge.forge.making.solving import opened_box
from skillforge.forge.measuring.plan import EvalPlan, Prepared, prepare, telling, unopened, with_tools
from skillforge.forge.measuring.rungs import rung_arm
from skillforge.forge.measuring.thresholds import asked_on_dev
from skillforge.forge.workspace import Workspace
from skillforge.messages import Cost, Message, Request, RequestKey, Usage, Value
from skillforge.providers.base import Provider
from skillforge.providers.remote import Remote
from skillforge.providers.replay import Replay
from skillforge.skill import Limits, Skill
from skillforge.step import Step
from skillforge.store.registry import SkillVersion
from skillforge.students.ladder.executor import LadderExecutor
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

    ``bounds`` is set for tool loops, and says what bounds each: how many turns one takes nobody knows beforehand, so
    ``calls`` counts the loops and ``at_most_usd`` is what the limits in dollars or tokens allow.
    """

    what: str
    model: str
    known: int
    calls: int
    input_tokens: int
    output_tokens: int | None
    about_usd: float | None
    at_most_usd: float | None
    bounds: str = ""


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


async def estimate_eval(work: Workspace, version: SkillVersion, plan: EvalPlan) -> Estimate:
    """The calls of an eval that no stored sample answers. Raises as the eval would, but needs no key."""

    async with with_tools(work, version.skill, plan, telling(unopened(work), version.skill, plan)) as executors:
        ready = prepare(work, version, plan, executors)
        on_dev = asked_on_dev(work, version, plan, executors)
    arms = _arms(work, _with_rungs(ready.arms, version.skill), ready.cases, ready.suite.repeat)
    for dev in on_dev:
        known = {arm.what for arm in arms}
        chosen_by = [replace(arm, name=f"{arm.name}, on dev") for arm in dev.arms]
        arms += [arm for arm in _arms(work, chosen_by, dev.cases, 1) if arm.what not in known]
    return Estimate(expenses=(*arms, *_judges(work, ready)))


def _with_rungs(arms: Sequence[Arm], skill: Skill) -> list[Arm]:
    """The arms, and the rungs of ladders that have none: at most every case goes up to them."""
    found = list(arms)
    asked = {(arm.kind, arm.student) for arm in arms}
    for ladder in (arm.executor for arm in arms if isinstance(arm.executor, LadderExecutor)):
        for rung in ladder.rungs:
            if rung.arm != "teacher" and (rung.arm, rung.spec.student) not in asked:
                asked.add((rung.arm, rung.spec.student))
                found.append(replace(rung_arm(rung, skill), name=f"{rung.spec.student}, as a rung at most"))
    return found


def _arms(work: Workspace, arms: Sequence[Arm], cases: Sequence[Case], repeat: int) -> list[Expense]:
    asking = [(arm, model) for arm in arms if (model := prompts_of(arm.executor)) is not None]
    return [_arm(work, arm, model, cases, repeat) for arm, model in asking]


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
    return [expense_of("judge", work.provider(model), 0, listed) for model, listed in asked.items()]


def _arm(work: Workspace, arm: Arm, model: PromptExecutor, cases: Sequence[Case], repeat: int) -> Expense:
    keys = {arm.sample_key(case, epoch): case for epoch in arm.epochs(repeat) for case in cases}
    known = work.samples.known(keys)
    left = [case for key, case in keys.items() if key not in known]
    asked = [question for case in left for question in _questions(arm.skill, model.role, case)]
    return expense_of(arm.name, model.provider, len(known), asked)


def _questions(skill: Skill, role: str, case: Case) -> list[tuple[Request, int | None]]:
    """What a case asks: one request, or of a workflow one for every step that needs language. What its tools would give
    and how many turns a loop takes nobody knows: the first counts as nothing, a loop as one.
    """
    if not skill.is_workflow:
        return [_question(skill, role, case)]
    asking = [step for step in skill.steps if step.kind in ("prompt", "agent")]
    return [(_step_request(skill, step, role, case), None) for step in asking]


def _step_request(skill: Skill, step: Step, role: str, case: Case) -> Request:
    """About what a step asks: its prompt as it is written, with the whole input behind it."""
    small = step_skill(skill, step)
    examples = small.examples
    shown = examples.items if examples.select == "all" else examples.items[: examples.k]
    turns = [message for example in shown for message in example_turns(small, example)]
    user = Message.of("user", f"{step.prompt} {compact(case.input)}")
    return Request(
        messages=(system_message(small), *turns, user),
        key=RequestKey(role=role, task=small.task_sentence, input=case.input),
        output_schema=small.output_schema(),
        max_output_tokens=small.limits.output_tokens,
    )


def _question(skill: Skill, role: str, case: Case) -> tuple[Request, int | None]:
    """The request for a case, and how many tokens its label is long."""
    request = build_request(skill, complete_input(skill, case.input), role=role)
    return request, None if case.expected is None else _tokens(output_text(skill, case.expected))


async def estimate_create(work: Workspace, plan: CreatePlan) -> Estimate:
    """The calls of a create: solving what is not solved yet, writing the draft, proving it. Needs no key. Recorded
    answers are solved. Tools are opened, to know which they are, and never called.

    Solved inputs are counted; a draft that an interruption left behind is not, so this may be too much by a few calls.
    """
    require_plan(plan)
    teacher = work.provider(plan.teacher)
    if plan.recorded is not None:
        solved = [Case(id=trace.case_id, input=trace.input, expected=trace.output) for trace in plan.recorded.traces]
        shown = len(plan.recorded.proposal.model_dump_json()) if plan.recorded.proposal is not None else 0
        return Estimate(expenses=(author_expense(teacher, solved, shown), prove_expense(teacher, solved)))
    async with opened_box(work, plan.tools, plan.terms) as box:
        keys = {case.id: trace_key(teacher, plan.task, case.input, box) for case in plan.cases}
    known = work.traces.known(keys.values()) if work.has_database else {}
    unique = {keys[case.id]: case for case in plan.cases}  # equal inputs are asked once
    left = [case for key, case in unique.items() if key not in known]
    asked = [(solve_request(plan.task, case.input), label_tokens(case)) for case in left]
    solving = expense_of("solve", teacher, len(unique) - len(left), asked, repairs=False)
    if box is not None:
        solving = _loops(solving, teacher, plan.tools.limits if plan.tools is not None else LoopLimits())
    return Estimate(
        expenses=(
            solving,
            author_expense(teacher, plan.cases),
            prove_expense(teacher, plan.cases),
        )
    )


def _loops(solving: Expense, teacher: Provider, limits: LoopLimits) -> Expense:
    """Solving in loops: what the limits bound, where nobody knows how many turns a loop takes."""
    each = limits.usd
    if limits.tokens is not None:
        spent = [Usage(input_tokens=limits.tokens, output_tokens=0), Usage(input_tokens=0, output_tokens=limits.tokens)]
        known = [usd for usage in spent if (usd := teacher.price(usage).usd) is not None]
        each = min([max(known), *([] if each is None else [each])]) if known else each
    most = None if each is None else each * solving.calls
    if not solving.calls:
        most = 0.0
    unknown = {"output_tokens": None, "about_usd": None} if solving.calls else {}
    return solving.model_copy(update={**unknown, "at_most_usd": most, "bounds": limits.told()})


def author_expense(teacher: Provider, cases: Sequence[Case], proposal: int = 0) -> Expense:
    """One draft and, at most, its repair, which is sent everything again; ``proposal`` is how many characters one is
    long.
    """
    solved = min(SHOWN_CHARS, sum(len(compact(case.input)) + 4 * (label_tokens(case) or 0) for case in cases))
    sent = (len(INSTRUCTIONS) + solved + proposal) // CHARACTERS_PER_TOKEN
    once = Usage(input_tokens=sent, output_tokens=DRAFT_TOKENS)
    whole = Usage(input_tokens=4 * sent + AUTHOR_TOKENS, output_tokens=AUTHOR_TOKENS)
    return expense_line("write the skill", teacher, 0, 1, [once], [whole, whole])


def prove_expense(teacher: Provider, cases: Sequence[Case]) -> Expense:
    """The draft is run on some of its inputs; a repaired draft once more. How long its prompts will be is a guess."""
    count = min(PROVE, len(cases))
    mean = sum(len(compact(case.input)) for case in cases) // CHARACTERS_PER_TOKEN // max(1, len(cases))
    labels = [tokens for case in cases if (tokens := label_tokens(case)) is not None]
    limits = Limits()
    about = Usage(input_tokens=DRAFT_TOKENS + 5 * mean, output_tokens=sum(labels) // len(labels) if labels else None)
    whole = Usage(input_tokens=limits.input_tokens, output_tokens=limits.output_tokens)
    return expense_line("prove it", teacher, 0, count, [about] * count, [whole] * (4 * count))


def expense_of(
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
    line = expense_line(what, provider, known, len(asked), about, [])
    return line.model_copy(update={"at_most_usd": _sum([cost.usd for cost in (*worst, *again)])})


def _worst(provider: Provider, request: Request, more: int = 0) -> Cost:
    """What a budget reserves for one call; a repair sends the answer and ``more`` tokens besides."""
    longer = Usage(input_tokens=more + request.max_output_tokens, output_tokens=0) if more else None
    if isinstance(provider, Remote):
        cost = provider.worst(request)
    else:
        cost = provider.price(Usage(input_tokens=bound_tokens(request), output_tokens=request.max_output_tokens))
    return cost if longer is None else cost + provider.price(longer)


def expense_line(
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


def label_tokens(case: Case) -> int | None:
    return None if case.expected is None else _tokens(_text(case.expected))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else compact(value)


def _tokens(text: str) -> int:
    return len(text) // CHARACTERS_PER_TOKEN + 1


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
