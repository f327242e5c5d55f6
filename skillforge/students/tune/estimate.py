"""What a tuning could ask at most, from the sizes of its parts alone: nothing is asked."""

from __future__ import annotations

from skillforge.messages import Value


class StageCalls(Value):
    """Calls of the student and of teachers that a stage could make at most, repairs not counted."""

    stage: str
    student: int
    teacher: int = 0
    note: str = ""


class TuneEstimate(Value):
    """``about_usd``: the student's calls at the price of one of the skill as it is, at cached rates (``None`` unknown).
    ``teacher`` calls are told, their cost is not: how long they are is unknown before.
    """

    skill: str
    student: str
    teacher: str = ""
    cases: dict[str, int]
    stages: tuple[StageCalls, ...]
    call_usd: float | None = None
    call_tokens: float | None = None
    budget_calls: int | None = None
    budget_usd: float | None = None

    @property
    def calls(self) -> int:
        return sum(each.student for each in self.stages)

    @property
    def teacher_calls(self) -> int:
        return sum(each.teacher for each in self.stages)

    @property
    def about_usd(self) -> float | None:
        return None if self.call_usd is None else self.call_usd * self.calls

    def lines(self) -> list[str]:
        """For people: a line a stage and the sum."""
        told = [f"{self.skill} for {self.student}: " + ", ".join(f"{n} {name}" for name, n in self.cases.items())]
        for each in self.stages:
            teacher = f" + {each.teacher} of the teacher" if each.teacher else ""
            told.append(
                f"  {each.stage:<13} at most {each.student} calls{teacher}" + (f" ({each.note})" if each.note else "")
            )
        usd = self.about_usd
        cost = "cost unknown" if usd is None else f"about ${usd:,.4f}"
        tokens = "" if self.call_tokens is None else f", some {self.call_tokens:,.0f} tokens a call"
        told.append(
            f"in all: at most {self.calls} calls of the student, {cost}{tokens}; {self.teacher_calls} of the teacher"
        )
        if self.budget_calls is not None:
            told.append(f"the budget stops it at {self.budget_calls} calls")
        elif self.budget_usd is not None:
            told.append(f"the budget stops it at ${self.budget_usd:g}")
        return told
