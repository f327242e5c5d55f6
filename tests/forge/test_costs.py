"""Sums against hand-added figures, on rows as the run log writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillforge.errors import UsageError
from skillforge.forge.forge import Forge
from skillforge.messages import Cost
from skillforge.redact import Redactor
from skillforge.run import Run
from skillforge.skill import Skill
from skillforge.store.database import immediate, open_database
from skillforge.store.evidence import EvidenceLog, Measured
from skillforge.store.registry import Registry
from skillforge.store.runs import RunLog, Source

SKILL = Skill(
    name="mood",
    description="Tell the mood.",
    input={"text": {"type": "string"}},
    output={"mood": {"type": "string"}},
    instructions="Say it.",
    prompt="{{ text }}",
)
VERSION = SKILL.digest()


class Books:
    """A repository's database, written as its commands write it."""

    def __init__(self, root: Path) -> None:
        self.db = open_database(root / ".skillforge" / "registry.db")
        self.runs = RunLog(self.db, Redactor({}))
        Registry(self.db).save(SKILL, provenance={"author": "teacher", "cost_usd": 0.01})

    def run(self, usd: float | None, *, source: Source = "run", student: str = "chat:small", **changes: Any) -> None:
        told = {"student": student, "status": "ok", "cost": Cost(usd=usd), **changes}
        self.runs.add(Run(skill="mood", digest=VERSION, input={}, **told), source=source)

    def measured(self, *arms: dict[str, Any]) -> None:
        report = {
            "arms": [{"name": arm["kind"], **arm} for arm in arms],
            "teacher": {"name": "teacher", "kind": "teacher", "usd_per_1000": 30.0},
            "today": "today" if arms else None,
        }
        row = dict.fromkeys(("student_identity", "teacher", "teacher_identity", "suite", "split", "harness"), "x")
        EvidenceLog(self.db).add(
            Measured(
                **row,
                skill="mood",
                digest=VERSION,
                student="chat:small",
                suite_digest="s",
                cases=9,
                verdict="pass",
                report=report,
            )
        )

    def call(
        self, usd: float | None, *, model: str = "gpt-x", at: str = "2026-11-20T10:00:00Z", tags: str = "{}"
    ) -> None:
        with immediate(self.db) as conn:
            number = conn.execute("SELECT count(*) FROM calls").fetchone()[0]
            conn.execute(
                "INSERT INTO calls (id, at, api, model, conversation, subject, tags, usd, error, body, source,"
                " created_at) VALUES (?, ?, 'anthropic', ?, '', '', ?, ?, '', '{}', 'wrap', ?)",
                (f"c{number}", at, model, tags, usd, at),
            )


@pytest.fixture
def books(repo: Path) -> Books:
    return Books(repo)


@pytest.fixture
def report(books: Books, repo: Path, forge_at: Callable[..., Forge]) -> Callable[..., Any]:
    def read(**options: Any) -> Any:
        books.db.close()
        return forge_at(repo).repository.cost(**options)

    return read


def test_a_saving_is_against_what_the_recorded_calls_really_cost(books, report):
    books.measured({"kind": "today", "usd_per_1000": 20.0, "list_usd_per_1000": 50.0})
    for _ in range(3):
        books.run(0.001)
    books.run(None)
    found = report()
    (line,) = found.lines
    assert (line.key, line.served, line.runs, line.unknown) == ("mood", True, 4, 1)
    assert line.usd == pytest.approx(0.003)
    assert line.saved_usd == pytest.approx(3 * 0.02 - 0.003)  # the run of unknown cost saves nothing that is known
    assert found.paybacks[0].basis == "the recorded calls"


def test_a_run_without_an_answer_saves_nothing(books, report):
    books.measured({"kind": "today", "usd_per_1000": 20.0, "list_usd_per_1000": 50.0})
    books.run(0.001)
    for _ in range(50):
        books.run(0.0, status="error", reason="the server is down")
    books.run(0.002, status="error", reason="the answer was cut")
    found = report()
    assert found.lines[0].runs == 52
    assert found.lines[0].saved_usd == pytest.approx(0.02 - 0.003)
    assert found.paybacks[0].saved_usd == pytest.approx(0.02 - 0.003)


def test_without_recorded_calls_it_is_against_the_teacher(books, report):
    books.measured()
    books.run(0.001)
    found = report()
    assert found.lines[0].saved_usd == pytest.approx(0.029)
    assert "teacher" in found.paybacks[0].basis


def test_without_any_price_before_nothing_is_claimed(books, report):
    books.run(0.001)
    found = report()
    assert found.lines[0].saved_usd is None
    assert found.paybacks[0].reached is None


def test_making_it_counts_what_was_paid_and_not_what_was_recorded(books, report):
    books.measured({"kind": "today", "usd_per_1000": 20.0})
    books.run(0.05, source="eval")
    books.run(0.04, source="create")
    for free in ("replay:teacher.jsonl", "today (gpt-x)", "no-model"):
        books.run(9.0, source="eval", student=free)
    for _ in range(3):
        books.run(0.001)
    (payback,) = report().paybacks
    assert payback.made_usd == pytest.approx(0.10)  # the draft too
    assert payback.saved_usd == pytest.approx(0.057)
    assert (payback.reached, payback.calls_left) == (False, 3)  # 0.043 more at 0.019 a call


def test_a_skill_that_saved_more_than_it_took_is_paid_back(books, report):
    books.measured({"kind": "today", "usd_per_1000": 20.0})
    books.run(0.005, source="eval")
    books.run(0.001)
    (payback,) = report().paybacks
    assert (payback.reached, payback.calls_left) == (True, None)


def test_an_unknown_cost_of_making_leaves_the_break_even_unknown(books, report):
    books.measured({"kind": "today", "usd_per_1000": 20.0})
    books.run(None, source="eval")
    books.run(0.001)
    (payback,) = report().paybacks
    assert (payback.made_usd, payback.reached) == (None, None)


def test_sums_by_student_day_and_tag_hold_calls_of_programs_too(books, report, forge_at, repo):
    books.run(0.002, tags={"customer": "a", "plan": "b"})
    books.run(0.003, tags={"customer": "c"}, student="chat:other")
    books.call(0.5, tags='{"customer":"a"}')
    books.call(0.25, at="2026-11-21T10:00:00Z")
    by_tag = report(by="tag", tag="customer")
    assert [(line.key, line.served, line.runs, line.usd) for line in by_tag.lines] == [
        ("customer=a", True, 1, 0.002),
        ("customer=c", True, 1, 0.003),
        ("customer=a", False, 1, 0.5),
    ]
    repository = forge_at(repo).repository
    assert [line.key for line in repository.cost(by="tag").lines][:3] == ["customer=a", "customer=c", "plan=b"]
    assert [line.key for line in repository.cost(by="student").lines] == ["chat:other", "chat:small", "gpt-x"]
    late = [line for line in repository.cost(by="day", since="2026-11-21").lines if not line.served]
    assert [(line.key, line.runs) for line in late] == [("2026-11-21", 1)]


def test_a_tag_without_sums_by_tag_is_refused(books, report):
    with pytest.raises(UsageError, match="not summed by tags"):
        report(tag="customer")
