"""What ``create --cases-target`` would ask and cost, found out without asking anything."""

from __future__ import annotations

import math

from skillforge.canonical import compact
from skillforge.case import Case
from skillforge.engine.roles.contract import observed_fields
from skillforge.engine.roles.critic import CRITIC_TOKENS
from skillforge.engine.roles.simulate import SHARES, Brief, Simulator
from skillforge.engine.solve import solve_request, trace_key
from skillforge.forge.making.estimate import (
    DRAFT_TOKENS,
    Estimate,
    Expense,
    author_expense,
    expense_line,
    expense_of,
    label_tokens,
    prove_expense,
)
from skillforge.forge.making.growing import TeachJournal
from skillforge.forge.making.teach import TeachPlan, require_teachable
from skillforge.forge.workspace import Workspace
from skillforge.messages import Usage
from skillforge.tokens import CHARACTERS_PER_TOKEN, estimate_tokens

LOST = 1.25  # simulated inputs written for one that is kept: near duplicates, and answers that differ
CLAIM_TOKENS = 600  # of a critic's answer
TRAIN = 0.4


def estimate_teach(work: Workspace, plan: TeachPlan) -> Estimate:
    """The calls of all roles: an estimate of how many inputs get lost, and an upper bound that a budget would reserve.

    Real inputs that are solved already are known; what an interruption left of later stages is not counted as known.
    Raises ``UsageError`` as ``teach_skill``, but needs no key.
    """
    require_teachable(plan)
    teacher = work.provider(plan.teacher)
    seeds = [case for case in plan.cases if case.split in (None, "train")]
    keys = {case.id: trace_key(teacher, plan.task, case.input) for case in seeds}
    known = work.traces.known(keys.values()) if work.has_database else {}
    unique = {keys[case.id]: case for case in seeds}
    left = [case for key, case in unique.items() if key not in known]
    solving = [(solve_request(plan.task, case.input), label_tokens(case)) for case in left]
    labelled = [_pretended(seeds[place % len(seeds)], place) for place in range(plan.target)]
    train = labelled[: math.ceil(TRAIN * plan.target)]
    critic = work.provider(plan.critic or plan.teacher)
    shown = sum(len(compact(case.input)) for case in train) // CHARACTERS_PER_TOKEN
    asked = Usage(input_tokens=DRAFT_TOKENS + shown, output_tokens=CLAIM_TOKENS)
    most = Usage(input_tokens=DRAFT_TOKENS + shown, output_tokens=CRITIC_TOKENS)
    return Estimate(
        expenses=(
            expense_of("solve", teacher, len(unique) - len(left), solving, repairs=False),
            _simulating(work, plan, seeds),
            *_labelling(work, plan, labelled),
            author_expense(teacher, train),
            prove_expense(teacher, train),
            expense_line("critique", critic, 0, 1, [asked], [most]),
            author_expense(teacher, train).model_copy(update={"what": "mend it (if needed)"}),
        )
    )


def _simulating(work: Workspace, plan: TeachPlan, seeds: list[Case]) -> Expense:
    provider = work.provider(plan.simulator or plan.teacher)
    inputs = [case.input for case in seeds]
    brief = Brief(plan.task, observed_fields(inputs), inputs)
    simulator = Simulator(brief, provider, TeachJournal(work), admit=lambda given: "", limits=plan.simulating)
    sent = estimate_tokens(simulator.request("noise", 1))
    mean = sum(len(compact(given)) for given in inputs) // CHARACTERS_PER_TOKEN // len(inputs) + 1
    missing = max(0, plan.target - len(plan.cases))
    count = max(len(SHARES) if missing else 0, math.ceil(LOST * missing / plan.simulating.per_batch))
    about = Usage(input_tokens=sent, output_tokens=plan.simulating.per_batch * mean)
    whole = Usage(input_tokens=2 * sent, output_tokens=plan.simulating.batch_tokens)
    return expense_line("simulate", provider, 0, count, [about] * count, [whole] * plan.simulating.batches)


def _labelling(work: Workspace, plan: TeachPlan, cases: list[Case]) -> list[Expense]:
    """Both answers to every input that is simulated, the ones that get lost included."""
    count = math.ceil(LOST * len(cases))
    asked = [(solve_request(plan.task, case.input), label_tokens(case)) for case in (cases * 2)[:count]]
    models = (plan.teacher, plan.labeller or plan.teacher)
    return [
        expense_of(f"label, {which} answer", work.provider(model), 0, asked, repairs=False)
        for which, model in zip(("first", "second"), models, strict=True)
    ]


def _pretended(case: Case, place: int) -> Case:
    """A case about as long as a real one."""
    return case.model_copy(update={"id": f"{case.id[:400]}-{place}"})
