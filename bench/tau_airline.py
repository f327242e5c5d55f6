"""Real trajectories to workflows, and how far they get on tasks that nobody distilled from.

Run it with the public data sets named by an environment variable; no model is asked::

    SKILLFORGE_DATA=/path/to/data python bench/tau_airline.py [--prepare DIR]

100 trajectories of one agent (tau-bench airline: 25 tasks, four trials each) are imported. A task's family is told by
the words of its goal; inside a family every other task is train, the rest is held back. For each family the proposal
in ``tau_proposals/``, written as a teacher would answer ``author-workflow`` from train traces and the agent's policy,
goes through ``author_workflow``: read, verified on the train traces, linted. A train task without any rewarded trial is
shown with its goal as request and its gold actions as outcome: traces of failures alone cannot verify a plan.

The workflow then runs on every held-back trace: its request is what the customer said, reads are answered from
recordings, writes are kept and compared with the gold ones. The language steps' answers stand in ``tau_answers.jsonl``,
written from the rendered prompts alone, without the gold; each is known by the digest of its prompt, so a changed
prompt has none. ``--prepare`` writes the prompts that have no answer yet to a folder.

"own" are the traces whose own recording holds every read that the workflow made; "all" also those where another
trace's recording does: every trial starts from the same database. What no recording holds is not replayable. "agent" is
the rewarded share of the same traces, under "with writes" that of those where it made the gold writes and no others.
"unseen customers" leaves out the held-back tasks whose customer stands in a train task too.

What this does not show: the customers' turns were said to the original agent, not to the workflow; the family is known,
a router could err; no reply is written. Who wrote the answers also wrote the proposals and had read all goals, though
no gold action of a held-back task.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from _shared import finish, print_table
from _tau_data import (
    FAMILIES,
    READS,
    Task,
    first_reads,
    key_of,
    made_by_agent,
    outcome_trace,
    read_tasks,
    same_writes,
    turns_of,
)
from _tau_replay import Answers, Replay, read_answers, replay

from skillforge.canonical import compact
from skillforge.engine.compiling.propose import author_workflow
from skillforge.messages import Completion, Cost, Message, Request, Usage
from skillforge.skill import Skill
from skillforge.tools.recorded import calls_of_trace
from skillforge.trace import Trace

HERE = Path(__file__).parent
GOAL = 5.0  # times fewer model calls


class Teacher:
    """The teacher whose answer is a file."""

    name = "a proposal in a file"
    concurrency = 1
    native_tools = False

    def __init__(self, text: str) -> None:
        self._text = text

    def fingerprint(self) -> str:
        return self.name

    def price(self, usage: Usage) -> Cost:
        return Cost(usd=0.0)

    async def complete(self, request: Request) -> Completion:
        if request.key.role != "author-workflow":
            raise SystemExit(f"the proposal is wrong:\n{request.messages[-1].text}")
        return Completion(message=Message.of("assistant", self._text), stop="stop", model=self.name, cost=Cost(usd=0.0))

    async def aclose(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class Row:
    """One held-back trace and what the workflow did in its place."""

    task: Task
    trace: Trace
    made: Replay

    @property
    def replayable(self) -> bool:
        return not self.made.missing

    @property
    def own(self) -> bool:
        return self.replayable and not self.made.borrowed

    @property
    def reached(self) -> bool:
        return self.replayable and self.made.run.status in ("ok", "escalated") and self.right

    @property
    def right(self) -> bool:
        return same_writes(self.made.written, self.task.writes)

    @property
    def rewarded(self) -> bool:
        return self.trace.reward == 1

    @property
    def strict(self) -> bool:
        """Whether the trace's own recording holds every read among the gold actions."""
        held = {key_of(call.tool, call.arguments) for call in calls_of_trace(self.trace)}
        return all(key_of(name, arguments) in held for name, arguments in self.task.gold if name in READS)


async def distil(family: str, tasks: Sequence[Task]) -> Skill:
    """The workflow of a family from its train tasks."""
    told = json.loads((HERE / "tau_proposals" / f"{family}.json").read_text("utf-8"))
    traces = []
    for task in tasks:
        left_out = str(task.id) in told["left_out"]
        traces += [trace for trace in task.trials if trace.case_id not in told["left_out"]]
        if not left_out and not any(trace.reward == 1 for trace in task.trials):
            traces.append(outcome_trace(task))
    draft = await author_workflow(f"airline customers: {family}", traces, Teacher(compact(told["proposal"])))
    if draft.skill is None or draft.problems:
        raise SystemExit(f"{family}: {draft.problems}")
    good = sum(trace.reward == 1 for trace in traces)
    asking = sum(step.kind == "prompt" for step in draft.skill.steps)
    print(f"{family}: {len(traces)} train traces, {good} to reproduce, all reproduced; {asking} language steps")
    for name, why in told["left_out"].items():
        print(f"  left out: {name}, {why}")
    return draft.skill


def prepared(folder: Path, answers: Answers) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, ((trace, step, prompt), request) in enumerate(sorted(answers.asked.items())):
        told = "\n\n".join(f"[{message.role}]\n{message.text}" for message in request.messages)
        head = json.dumps({"trace": trace, "step": step, "prompt": prompt})
        text = f"{head}\n{told}\n\n[schema]\n{compact(request.output_schema)}\n"
        (folder / f"{number:03}-{trace}-{step}.txt").write_text(text, "utf-8")
    print(f"{len(answers.asked)} prompts without an answer are in the folder")


def share(part: int, whole: int) -> str:
    return f"{part}/{whole}"


def line(name: str, rows: Sequence[Row]) -> list[str]:
    played = [row for row in rows if row.replayable]
    own = [row for row in rows if row.own]
    strict = [row for row in played if row.strict]
    writing = [row for row in played if row.task.writes]
    calls, turns = sum(row.made.calls for row in played), sum(turns_of(row.trace) for row in played)
    return [
        name,
        str(len({row.task.id for row in rows})),
        str(len(rows)),
        share(sum(row.reached for row in own), len(own)),
        share(sum(row.rewarded for row in own), len(own)),
        share(sum(row.reached for row in played), len(played)),
        share(sum(row.rewarded for row in played), len(played)),
        share(sum(row.reached for row in writing), len(writing)),
        share(sum(same_writes(made_by_agent(row.trace), row.task.writes) for row in writing), len(writing)),
        share(sum(row.reached for row in strict), len(strict)),
        f"{calls / len(played):.1f}" if played else "-",
        f"{turns / len(played):.1f}" if played else "-",
        f"{turns / calls:.1f}x" if calls else "-",
    ]


HEAD = [
    "family",
    "tasks",
    "traces",
    "own: reached",
    "agent",
    "all: reached",
    "agent",
    "with writes",
    "agent",
    "gold reads held",
    "calls",
    "turns",
    "fewer",
]


def cause(row: Row) -> str:
    """Why a trace was not played, or did not reach the gold writes, without telling what those are."""
    if row.made.missing:
        return f"not replayable: {row.made.missing[0].partition('(')[0]} not recorded"
    if row.made.run.status not in ("ok", "escalated"):
        return f"{row.made.run.status}: {row.made.run.reason[:90]}"
    if not row.made.written:
        return "escalated to a person" if row.made.run.status == "escalated" else "wrote nothing"
    made, gold = Counter(call[0] for call in row.made.written), Counter(call[0] for call in row.task.writes)
    if made == gold:
        return "the right calls, other arguments"
    if made <= gold:
        return "some writes are missing"
    return "a write too many" if gold <= made else "other writes"


def report(tasks: Sequence[Task], rows: Sequence[Row], broken: list[str]) -> None:
    families = {task.family: [row for row in rows if row.task.family == task.family] for task in tasks if task.family}
    known = {name for task in tasks if task.train for name in task.customers}
    others = [row for row in rows if not known & row.task.customers]
    table = [line(name, found) for name, found in families.items()]
    print_table([HEAD, *table, line("total", rows), line("unseen customers", others)])
    print("\nreached/replayable by task (all recordings), the agent's rewards beside it:")
    for task in tasks:
        if not task.train and task.family:
            mine = [row for row in rows if row.task is task]
            played = [row for row in mine if row.replayable]
            agent = share(sum(row.rewarded for row in mine), len(mine))
            up = sum(row.made.run.status == "escalated" for row in played)
            escalated = f", escalated {up}" if up else ""
            told = f"{sum(row.reached for row in played)}/{len(played)}, agent {agent}{escalated}"
            print(f"  {task.family} {task.id}: {told}")
    counts = Counter(cause(row) for row in rows if not row.reached)
    print("\nnot reached, by cause:")
    for why, count in counts.most_common():
        print(f"  {count}: {why}")
    asked = [row for row in rows if row.replayable and row.made.run.status == "escalated"]
    print(f"\nescalated: {len(asked)} of the replayable, {sum(row.reached for row in asked)} of them reached")
    in_family = sum(len(task.trials) for task in tasks if task.family)
    idle = sum(not row.task.writes for row in rows if row.replayable)
    print(f"doing nothing at all would reach {idle} of the replayable: that many have no gold write")
    print(f"coverage: {in_family} of {sum(len(task.trials) for task in tasks)} traces belong to a distilled family")
    played = [row for row in rows if row.replayable]
    calls = sum(row.made.calls for row in played)
    turns = sum(turns_of(row.trace) for row in played)
    fewer, replied = turns / max(calls, 1), turns / max(calls + len(played), 1)
    done = [row for row in played if row.reached and row.made.run.status == "ok"]
    settled = sum(turns_of(row.trace) for row in done) / max(sum(row.made.calls for row in done), 1)
    print(f"model calls: {fewer:.1f} times fewer, {replied:.1f} with one more for a reply (goal: {GOAL:g});")
    print(f"  {settled:.1f} times fewer in the {len(done)} that were settled without escalating")
    if fewer < GOAL:
        broken.append(f"model calls are {fewer:.1f} times fewer, not {GOAL:g}")


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--prepare", type=Path)
    folder = parser.parse_args().prepare
    data = os.environ.get("SKILLFORGE_DATA")
    if not data:
        sys.exit("set SKILLFORGE_DATA to the folder of public data sets")
    tasks = read_tasks(Path(data))
    print(f"imported: {sum(len(task.trials) for task in tasks)} traces of {len(tasks)} tasks, none put aside")
    world = first_reads(trace for task in tasks for trace in task.trials)
    answers = read_answers(HERE / "tau_answers.jsonl")
    rows: list[Row] = []
    for family in FAMILIES:
        mine = [task for task in tasks if task.family == family]
        train, held = [task for task in mine if task.train], [task for task in mine if not task.train]
        skill = await distil(family, train)
        print(f"  train tasks {[task.id for task in train]}, held back {[task.id for task in held]}")
        for task in held:
            rows += [Row(task, trace, await replay(skill, trace, world, answers)) for trace in task.trials]
    broken = [f"the prompt of {step} in {trace} has changed: its answer is stale" for trace, step in answers.stale]
    if folder is not None:
        prepared(folder, answers)
    elif answers.asked:
        broken.append(f"{len(answers.asked)} prompts have no recorded answer (--prepare DIR writes them out)")
    else:
        print()
        report(tasks, rows, broken)
    finish(broken)


if __name__ == "__main__":
    asyncio.run(main())
