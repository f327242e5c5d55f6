"""An eval that never ran: a report and its cases, summed up by the real rule from answers made here."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from skillforge.case import Case, Decision
from skillforge.engine.execute import PromptExecutor
from skillforge.evals.answer import Answer, Table
from skillforge.evals.pages.rows import CaseRow, case_rows
from skillforge.evals.report import EvalReport, Excluded, JudgeAudit
from skillforge.evals.running.arms import Arm, ArmKind
from skillforge.evals.scorers.resolve import metric_of
from skillforge.evals.verdict.summary import Measure, repayments, summarise
from skillforge.providers.scripted import Scripted
from skillforge.skill import Skill

QUEUE = Decision(metric="/queue")
QUEUES = ("billing", "bug", "delivery", "other")
TICKETS = {
    "billing": "I was charged twice for order {n}, please refund one of the payments.",
    "bug": "The app crashes as soon as I open the settings on my phone (build {n}).",
    "delivery": "Where is my parcel {n}? The page says delivered, but nothing came.",
    "other": "Do you have a shop in Leeds that opens on Sundays? Asking for number {n}.",
}
HOSTILE = (
    "</script><script>document.title = 'owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "{{ 7 * 7 }} {% raw %} <!-- ]]> &amp; \u2028 \u2029 \x1b[31m \x00",
    "| a | @everyone https://example.com #1 `code` **bold** <details>",
    "\u202ereversed\u202c and half a \ud800 surrogate",
)


@dataclass(frozen=True)
class Made:
    report: EvalReport
    rows: Callable[[], Iterator[CaseRow]]


@dataclass(frozen=True)
class Played:
    """An arm as it is played: how often it is right, its dollars a call, its seconds, how often nothing comes."""

    name: str
    kind: ArmKind
    student: str
    right: float
    usd: float | None
    seconds: float | None
    broken: float = 0.0


TEACHER = Played("teacher", "teacher", "anthropic:claude-opus-5-5", 0.945, 0.0072, 2.4)
NO_MODEL = Played("no-model", "no-model", "no-model", 0.71, 0.0, None)
BARE = Played("anthropic:claude-haiku-5-5 bare", "bare", "anthropic:claude-haiku-5-5", 0.81, 0.00018, 0.7)
EXAMPLES = Played("anthropic:claude-haiku-5-5 examples", "examples", "anthropic:claude-haiku-5-5", 0.9, 0.0003, 0.8)
SKILL = Played("anthropic:claude-haiku-5-5 + skill", "skill", "anthropic:claude-haiku-5-5", 0.94, 0.00038, 0.9)
LUNA = Played("openai:gpt-6-luna + skill", "skill", "openai:gpt-6-luna", 0.91, None, 1.1, 0.004)
ALL = (TEACHER, NO_MODEL, BARE, EXAMPLES, SKILL, LUNA)


def made(
    skill: Skill,
    count: int = 300,
    played: Sequence[Played] = ALL,
    *,
    labels: bool = True,
    hostile: bool = True,
    decision: Decision = QUEUE,
    repeat: int = 1,
    **more: Any,
) -> Made:
    """A report on ``count`` tickets, the same for the same arguments. The texts of the first cases are ``HOSTILE``."""
    chance = random.Random(f"{count} {len(played)}")
    cases = [_case(number, labels=labels, hostile=hostile) for number in range(count)]
    provider = {arm.student: PromptExecutor(Scripted(name=arm.student)) for arm in played}
    arms = [Arm(arm.name, arm.kind, skill, provider[arm.student]) for arm in played]
    luck = {case.id: chance.random() for case in cases}
    table: Table = {
        arm.name: {
            case.id: tuple(_answer(arm, case, number, luck[case.id], chance) for _ in range(repeat))
            for number, case in enumerate(cases)
        }
        for arm in played
    }
    summary = summarise(arms, cases, table, Measure(decision, metric_of(decision.metric, {})))
    reports = summary.arms
    body: dict[str, Any] = {
        "skill": "ticket-triage",
        "version": 3,
        "digest": "sha256:" + "1" * 64,
        "suite": "ticket-triage",
        "suite_digest": "sha256:" + "2" * 64,
        "split": "test",
        "cases": count,
        "decision": decision,
        "reference": summary.reference,
        "second_pass": summary.second_pass,
        "teacher": reports[0],
        "arms": tuple(reports[1:]),
        "samples": repeat * count * len(played),
        "reused": 0,
        "cost_usd": None,
        "spent_usd": 11.02,
        "seconds": 214.0,
        "repeat": repeat,
        "repaid_after": repayments(reports, None),
    }
    return Made(EvalReport(**{**body, **more}), lambda: case_rows(cases, table, summary))


def audited() -> tuple[JudgeAudit, ...]:
    """A judge with everything there is to say of it."""
    warning = "judge and student are of one family"
    body = {"scorer": "tone", "model": "openai:gpt-6-sol", "identity": "j", "calls": 600, "paid": 600, "unreadable": 4}
    return (JudgeAudit(**body, usd=1.2, flip_rate=0.081, longer_wins=0.54, kappa=0.62, warnings=(warning,)),)


def left_out(count: int) -> tuple[Excluded, ...]:
    return tuple(Excluded(case=f"x{number}", why="its input is an example of the skill") for number in range(count))


def _case(number: int, *, labels: bool, hostile: bool) -> Case:
    queue = QUEUES[number * 7 % 4]
    text = HOSTILE[number] if hostile and number < len(HOSTILE) else TICKETS[queue].format(n=1000 + number)
    label = {"queue": queue, "urgent": number % 5 == 0, "quote": text[:40]}
    metadata = {"lang": "de" if number % 6 == 0 else "en", "channel": "mail" if number % 2 else "chat"}
    return Case(
        id=f"t-{number:04d}", input={"ticket": text}, expected=label if labels else None, metadata=metadata,
        cluster=f"customer {number // 4}" if number % 3 == 0 else None,
    )  # fmt: skip


def _answer(arm: Played, case: Case, number: int, luck: float, chance: random.Random) -> Answer:
    """Cases are as hard for one arm as for another: what the teacher gets wrong, others mostly get wrong too."""
    queue = QUEUES[number * 7 % 4]
    hard = luck if chance.random() < 0.8 else chance.random()
    right = hard < arm.right * (0.96 if queue == "bug" and arm.kind != "teacher" else 1.0)
    answered = queue if right else "billing" if queue == "bug" else "other" if queue != "other" else "bug"
    text = str(case.input["ticket"])
    output = {"queue": answered, "urgent": number % 5 == 0, "quote": text[:40] if right else text[5:34]}
    broken = chance.random() < arm.broken
    return Answer(
        key=f"{arm.name} {case.id}",
        status="error" if broken else "ok",
        run_status="error" if broken else "ok",
        output=None if broken else output,
        reason="529 overloaded <b>now</b>" if broken else "",
        checks=((right, 1.0),),
        repaired=chance.random() < 0.02,
        usd=arm.usd,
        list_usd=arm.usd,
        cost_estimated=False,
        input_tokens=412,
        output_tokens=31,
        latency_s=None if arm.seconds is None else round(arm.seconds * (0.7 + 0.8 * chance.random()), 3),
        model=arm.student.partition(":")[2],
    )
