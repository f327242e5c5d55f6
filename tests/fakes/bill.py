"""An eval with a random budget against a server that keeps its own bill."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from skillforge import Forge
from skillforge.errors import BudgetReached, SkillforgeError
from skillforge.forge.session import Terms
from tests.fakes import lab
from tests.fakes.faults import Fault, refuse, seeded
from tests.fakes.llm_server import Answer, LLMServer, Tokens, request_text

PRICE = {"input": Fraction(1), "output": Fraction(5), "cached": Fraction(1, 10), "written": Fraction(5, 4)}
OPTIONS = "timeout_s = 1.0\nprice = {input = 1.0, output = 5.0, cached = 0.1, written = 1.25}\n"
ARMS = 5
LONGEST = 200  # output tokens of the skill
BILLED = refuse(504)  # a gateway gave up: the model may have answered
MIX = {
    refuse(429): 0.03,
    refuse(500): 0.02,
    BILLED: 0.02,
    Fault("cut"): 0.03,
    Fault("malformed"): 0.02,
    Fault("reset"): 0.02,
    Fault("reset", at=0): 0.02,
    Fault("no_stop"): 0.02,
    Fault("stall"): 0.01,
}


class Bill:
    """What the server would charge, in dollars, drawn by chance for every call that reached the model."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._faults = seeded(seed, MIX)
        self.total = Fraction(0)

    def faults(self, number: int, body: Mapping[str, Any]) -> Fault | None:
        fault = self._faults(number, body)
        if fault == BILLED:
            self._charge(body)
        return fault

    def answer(self, body: Mapping[str, Any]) -> Answer:
        tokens = self._charge(body)
        said = lab.answer(body)
        chance = self._random.random()
        if tokens.output == _limit(body):
            return replace(said, text=said.text[:5], stop="length", usage=tokens)
        return replace(said, usage="none" if chance < 0.03 else tokens)

    def _charge(self, body: Mapping[str, Any]) -> Tokens:
        draw = self._random
        most = len(request_text(body).encode()) + 16  # a token is no less than a byte
        sent = most if draw.random() < 0.1 else draw.randint(most // 5, most)
        cached = draw.randint(0, sent) if draw.random() < 0.3 else 0
        written = draw.randint(0, sent - cached) if draw.random() < 0.3 else 0
        if draw.random() < 0.05:
            cached, written = 0, sent
        limit = _limit(body)
        output = limit if draw.random() < 0.05 else draw.randint(1, limit - 1)
        rates = {"input": sent - cached - written, "cached": cached, "written": written, "output": output}
        with self._lock:
            self.total += sum(PRICE[name] * count for name, count in rates.items()) / 1_000_000
        return Tokens(sent, output, cached, written)


def _limit(body: Mapping[str, Any]) -> int:
    return int(next(body[key] for key in ("max_tokens", "max_completion_tokens", "max_output_tokens") if key in body))


@dataclass(frozen=True)
class Outcome:
    """One eval. ``billed`` is the server's sum up to its end, in dollars."""

    seed: int
    budget: Fraction
    billed: Fraction
    ended: str
    calls: int
    kept: int
    calls_after: int
    paid_twice: int
    faults: Counter[str]
    broken: tuple[str, ...]


def one_eval(root: Path, seed: int, *, cases: int) -> Outcome:
    """With a budget, then again without one. The teacher and the streamed student think, so they cost more."""
    draw = random.Random(f"budget {seed}")
    budget = Fraction(round(10 ** draw.uniform(-2.5, 0.0) * 10**6), 10**6)
    kind = draw.choice(lab.KINDS)
    bill = Bill(seed)
    with LLMServer(bill.answer, bill.faults) as server:
        lab.write_repository(root, server.url, kind, cases, options=OPTIONS, output_tokens=LONGEST)
        ended = _measure(root, Terms(budget_usd=float(budget)))
        calls, billed = len(server.settle()), bill.total
        ledger = lab.read_ledger(root)
        after = _measure(root, Terms())
        again = [lab.question(call.body) for call in server.settle()[calls:]]
        faults = Counter(call.fault or "served" for call in server.calls)
        later = lab.read_ledger(root)
    done = {sample for sample, status in ledger.status.items() if status == "ok"}
    twice = sum((question.arm, question.case) in done for question in again)
    promises = {
        f"the bill of ${float(billed)} is over the budget of ${float(budget)}": billed <= budget,
        f"it ended with {ended}": ended in ("report", "BudgetReached"),
        f"without a budget it ended with {after}": after == "report",
        "a sample that was kept is not whole": ledger.broken == later.broken == 0,
        "an arm and case has no or two rows": set(later.rows.values()) == {1} and len(later.rows) == ARMS * cases,
        f"{twice} calls were paid twice": twice == 0,
    }
    broken = tuple(line for line, kept in promises.items() if not kept)
    return Outcome(seed, budget, billed, ended, calls, len(done), len(again), twice, faults, broken)


def _measure(root: Path, terms: Terms) -> str:
    """How the eval ended: ``report``, or the name of the error."""
    forge = Forge(root)
    try:
        forge.eval("parity", students=[lab.PLAIN, lab.STREAMED], teacher=lab.TEACHER, terms=terms)
    except BudgetReached:
        return "BudgetReached"
    except SkillforgeError as exc:
        return repr(exc)
    finally:
        forge.close()
    return "report"
