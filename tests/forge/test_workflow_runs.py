"""Workflows in a repository: run, interrupted, gone on with; no write is made twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from skillforge import tool
from skillforge.errors import BudgetReached, KeyRejected, ProviderError, ToolUnavailable, UsageError
from skillforge.forge import workflows
from skillforge.forge.forge import Forge
from skillforge.forge.workflows import Watch
from skillforge.messages import Request
from skillforge.providers.scripted import Scripted
from skillforge.run import Run, StepRun
from skillforge.store.workflow_state import OpenRun

SKILL = """\
schema: skillforge/v1
name: refund
description: Refund an order and say so.
input: {order_id: {type: string}}
output: {refunded: {type: number}, said: {type: string}}
tools:
- {name: get_order, parameters: {type: object, properties: {order_id: {type: string}}, required: [order_id]}}
- name: refund_order
  effect: write
  idempotency_key: key
  parameters:
    type: object
    properties: {order_id: {type: string}, amount: {type: number}, key: {type: string}}
    required: [order_id, amount, key]
- name: notify
  effect: write
  parameters: {type: object, properties: {order_id: {type: string}, text: {type: string}}, required: [order_id, text]}
steps:
- {id: order, tool: get_order, args: {order_id: {from: order_id}}}
- id: refund
  tool: refund_order
  args: {order_id: {from: order_id}, amount: {from: steps.order.total}}
- {id: reply, prompt: "{{ steps.order }} {{ steps.refund }}", output: {text: {type: string}}}
- {id: tell, tool: notify, args: {order_id: {from: order_id}, text: {from: steps.reply.text}}}
result: {refunded: {from: steps.order.total}, said: {from: steps.reply.text}}
"""
REF = "refund@latest"
ASK = {"order_id": "o1"}
ROWS = "SELECT count(*) AS n FROM workflow_runs"


class Shop:
    """Tools that say what was called; ``gone`` names those that cannot be reached, ``note`` stands in every order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.gone: set[str] = set()
        self.note = ""
        self.total = 12.5
        self.meanwhile: Callable[[str], None] = lambda name: None

    def _call(self, name: str, key: str = "") -> None:
        self.meanwhile(name)
        if name in self.gone:
            raise ToolUnavailable(f"{name} is gone")
        self.calls.append((name, key))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def tools(self) -> list[Any]:
        shop = self

        def get_order(order_id: str) -> dict[str, Any]:
            shop._call("get_order")
            return {"total": shop.total, "note": shop.note}

        @tool(effect="write", idempotency_key="key")
        def refund_order(order_id: str, amount: float, key: str) -> dict[str, Any]:
            shop._call("refund_order", key)
            return {"receipt": shop.note or "r1"}

        @tool(effect="write")
        def notify(order_id: str, text: str) -> dict[str, Any]:
            shop._call("notify")
            return {"sent": True}

        return [get_order, refund_order, notify]


class Talk:
    """What the model says; ``down``: it cannot be reached."""

    def __init__(self) -> None:
        self.down = False
        self.error: ProviderError = ProviderError("the model is down", hint="wait")
        self.asked = 0

    def __call__(self, request: Request) -> Any:
        self.asked += 1
        if self.down:
            raise self.error
        return {"text": "It is done."}


class Told(Watch):
    def __init__(self) -> None:
        self.steps: list[StepRun] = []
        self.runs: list[Run] = []
        self.dropped: list[OpenRun] = []

    def step(self, step: StepRun) -> None:
        self.steps.append(step)

    def ended(self, run: Run) -> None:
        self.runs.append(run)

    def drops(self, run: OpenRun) -> None:
        self.dropped.append(run)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def talk() -> Talk:
    return Talk()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def forge(repo: Path, forge_at: Any, shop: Shop, talk: Talk, said: list[str]) -> Forge:
    (repo / "skills" / "refund").mkdir(parents=True)
    (repo / "skills" / "refund" / "skill.yaml").write_text(SKILL)
    models = {"a:m": Scripted(default=talk, name="a:m"), "b:m": Scripted(default={"text": "Done by b."}, name="b:m")}
    made: Forge = forge_at(repo, tools=shop.tools(), providers=models, say=said.append)
    return made


def run(forge: Forge, **options: Any) -> Run:
    return forge.run(REF, ASK, **{"student": "a:m", **options})


def unfinished(forge: Forge) -> int:
    found: int = forge._portal.run(lambda: next(iter(forge._work.database.query(ROWS)))["n"])
    return found


def stored(forge: Forge) -> list[Run]:
    return [logged.run for logged in forge._portal.run(lambda: forge._work.runs.recent(9))]


def test_a_workflow_runs_and_leaves_only_its_row(forge: Forge, shop: Shop, repo: Path) -> None:
    done = run(forge)
    assert done.output == {"refunded": 12.5, "said": "It is done."}
    assert shop.names == ["get_order", "refund_order", "notify"]
    assert [step.key for step in stored(forge)[0].steps] == ["order", "refund", "reply", "tell"]
    assert stored(forge)[0].attempts[0].step == "reply"
    assert unfinished(forge) == 0
    assert not [*(repo / ".skillforge").glob("*-runs/*")]


def test_after_an_error_the_same_call_goes_on_and_repeats_nothing(
    forge: Forge, shop: Shop, talk: Talk, said: list[str]
) -> None:
    talk.down = True
    with pytest.raises(ProviderError, match="reply: the model is down"):
        run(forge)
    first = stored(forge)[0]
    assert (first.status, unfinished(forge)) == ("error", 1)
    talk.down = False
    done = run(forge)
    assert done.ok
    assert shop.names == ["get_order", "refund_order", "notify"]
    assert [step.key for step in done.steps if step.resumed] == ["order", "refund"]
    assert said[-1] == f"resuming run {first.id} after step refund"
    (only,) = stored(forge)
    assert (only.id, only.status) == (first.id, "ok")
    assert [attempt.error for attempt in only.attempts] == ["the model is down", ""]
    assert unfinished(forge) == 0


def test_a_finished_run_is_not_gone_on_with(forge: Forge, shop: Shop) -> None:
    assert run(forge).id != run(forge).id
    assert shop.names.count("refund_order") == 2


def test_another_input_is_another_run(forge: Forge, shop: Shop, talk: Talk) -> None:
    talk.down = True
    with pytest.raises(ProviderError):
        run(forge)
    with pytest.raises(ProviderError):
        forge.run(REF, {"order_id": "o2"}, student="a:m")
    assert shop.names.count("refund_order") == 2
    assert unfinished(forge) == 2


def test_a_tool_that_is_gone_is_called_under_the_same_key_later(forge: Forge, shop: Shop) -> None:
    shop.gone = {"refund_order"}
    keys = []

    def note(name: str) -> None:
        keys.extend([name] if name == "refund_order" else [])

    shop.meanwhile = note
    with pytest.raises(ToolUnavailable, match="refund_order is gone"):
        run(forge)
    shop.gone = set()
    assert run(forge).ok
    assert (len(keys), shop.names.count("refund_order"), shop.names.count("get_order")) == (2, 1, 1)


def test_of_a_write_without_a_key_nobody_knows_so_it_is_not_repeated(forge: Forge, shop: Shop) -> None:
    shop.gone = {"notify"}
    with pytest.raises(ToolUnavailable):
        run(forge)
    shop.gone = set()
    done = run(forge)
    assert done.status == "escalated"
    assert "notify was started and nobody knows whether it happened" in done.reason
    assert "notify" not in shop.names
    again = run(forge)  # the doubt stays until somebody says that it may be written again
    assert (again.status, again.id, again.reason) == ("escalated", done.id, done.reason)
    assert "notify" not in shop.names
    assert unfinished(forge) == 1
    assert run(forge, fresh=True).ok
    assert unfinished(forge) == 0


def test_what_held_a_secret_is_read_again_and_never_written_again(
    forge: Forge, shop: Shop, talk: Talk, said: list[str], canary: str, repo: Path, stored_bytes: Any
) -> None:
    shop.note = canary
    talk.down = True
    with pytest.raises(ProviderError):
        run(forge)
    assert canary.encode() not in stored_bytes(repo)
    talk.down = False
    assert run(forge).ok
    assert shop.names == ["get_order", "refund_order", "get_order", "notify"]
    assert "order again, since what it gave held secrets" in said[-1]
    assert "refund is not repeated" in said[-1]


def test_under_store_io_none_only_writes_are_known(
    forge: Forge, shop: Shop, talk: Talk, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKILLFORGE_STORE_IO", "none")
    talk.down = True
    with pytest.raises(ProviderError):
        run(forge)
    talk.down = False
    assert run(forge).ok
    assert shop.names == ["get_order", "refund_order", "get_order", "notify"]
    assert "refund is not repeated, though not all that it gave was kept" in said[-1]


def test_a_write_that_would_now_say_something_else_stops_the_run(
    forge: Forge, shop: Shop, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKILLFORGE_STORE_IO", "none")
    talk.down = True
    with pytest.raises(ProviderError):
        run(forge)
    talk.down = False
    shop.total = 99.0
    escalated = run(forge)
    assert escalated.status == "escalated"
    assert escalated.reason.startswith("refund: an earlier process has called it, and now it would be called otherwise")
    assert shop.names == ["get_order", "refund_order", "get_order"]


def test_a_run_that_is_alive_is_never_taken_over(forge: Forge, shop: Shop) -> None:
    inside, go = threading.Event(), threading.Event()

    def wait(name: str) -> None:
        if name == "refund_order" and not inside.is_set():
            inside.set()
            go.wait(20)

    shop.meanwhile = wait
    first: list[Run] = []
    thread = threading.Thread(target=lambda: first.append(run(forge)))
    thread.start()
    assert inside.wait(20)
    second = run(forge)
    go.set()
    thread.join(20)
    assert second.ok
    assert first[0].ok
    assert first[0].id != second.id
    assert shop.names.count("refund_order") == 2
    assert len({key for name, key in shop.calls if name == "refund_order"}) == 2


def test_fresh_begins_anew_and_says_what_it_drops(forge: Forge, shop: Shop, talk: Talk) -> None:
    talk.down = True
    with pytest.raises(ProviderError):
        run(forge)
    talk.down = False
    told = Told()
    assert run(forge, fresh=True, watch=told).ok
    assert shop.names.count("refund_order") == 2
    assert [dropped.writes for dropped in told.dropped] == [("refund",)]
    assert unfinished(forge) == 0


def test_another_model_does_not_write_again_unasked(forge: Forge, shop: Shop, talk: Talk) -> None:
    talk.down = True
    with pytest.raises(ProviderError):
        run(forge)
    with pytest.raises(UsageError, match="has written: refund") as refused:
        run(forge, student="b:m")
    assert "--fresh" in refused.value.hint
    assert shop.names.count("refund_order") == 1


def test_a_fallback_goes_on_where_the_student_stopped(forge: Forge, shop: Shop, talk: Talk) -> None:
    forge.deployments.promote("refund", student="a:m", fallback="b:m", accept_risk="test")
    talk.down = True
    done = forge.run("refund", ASK)
    assert done.output == {"refunded": 12.5, "said": "Done by b."}
    assert (done.student, done.alias) == ("b:m", "production")
    assert "a:m could not answer" in done.fallback
    assert shop.names == ["get_order", "refund_order", "notify"]
    assert [attempt.error for attempt in done.attempts] == ["the model is down", ""]


def test_a_student_whose_key_is_refused_is_left_alone_for_a_while(forge: Forge, shop: Shop, talk: Talk) -> None:
    forge.deployments.promote("refund", student="a:m", fallback="b:m", accept_risk="test")
    talk.down, talk.error = True, KeyRejected("the key is refused")
    for number in (1, 2):
        done = forge.run("refund", ASK)
        assert (done.student, done.ok) == ("b:m", True)
        assert "the key is refused" in done.fallback
        assert shop.names.count("refund_order") == number
    assert talk.asked == 1


def test_a_tool_that_is_gone_is_no_reason_to_ask_another_model(forge: Forge, shop: Shop) -> None:
    forge.deployments.promote("refund", student="a:m", fallback="b:m", accept_risk="test")
    shop.gone = {"get_order"}
    with pytest.raises(ToolUnavailable, match="get_order is gone"):
        forge.run("refund", ASK)
    shop.gone = set()
    assert forge.run("refund", ASK).student == "a:m"


def test_a_reached_budget_keeps_what_is_done(forge: Forge, shop: Shop, talk: Talk) -> None:
    talk.down, talk.error = True, BudgetReached("the budget is spent")
    with pytest.raises(BudgetReached):
        run(forge)
    talk.down = False
    assert run(forge).ok
    assert shop.names == ["get_order", "refund_order", "notify"]


def test_what_was_read_long_ago_is_read_again_where_nothing_was_written(
    forge: Forge, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.gone = {"refund_order"}

    def refuse(tool: Any, arguments: Any) -> bool:
        raise UsageError("nobody is here to be asked")

    with pytest.raises(UsageError):
        run(forge, ask=refuse)
    assert unfinished(forge) == 1
    monkeypatch.setattr(workflows, "STALE", timedelta(0))
    shop.gone = set()
    assert run(forge).ok
    assert shop.names.count("get_order") == 2


def test_missing_tools_are_named_with_what_gives_them(forge: Forge) -> None:
    with pytest.raises(UsageError, match="get_order, refund_order, notify") as refused:
        run(forge, tools=[])
    assert "--tools" in refused.value.hint
    assert "--mcp" in refused.value.hint


def test_tools_are_those_of_the_call_of_the_skill_or_of_the_forge(forge: Forge, shop: Shop) -> None:
    mine = Shop()
    assert forge.skill(REF, student="a:m", tools=mine.tools())(**ASK).ok
    assert (len(mine.calls), len(shop.calls)) == (3, 0)
    assert forge.skill(REF, student="a:m")(**ASK).ok
    assert len(shop.calls) == 3


def test_who_looks_on_is_told_of_every_step_and_of_the_run(forge: Forge, talk: Talk) -> None:
    talk.down = True
    first, second = Told(), Told()
    with pytest.raises(ProviderError):
        run(forge, watch=first)
    talk.down = False
    run(forge, watch=second)
    assert [(step.key, step.status) for step in first.steps] == [("order", "ok"), ("refund", "ok"), ("reply", "error")]
    assert first.runs == []
    assert [(step.key, step.resumed) for step in second.steps] == [
        ("order", True),
        ("refund", True),
        ("reply", False),
        ("tell", False),
    ]
    assert [ended.ok for ended in second.runs] == [True]


def test_whoever_could_not_show_the_run_gets_it_again(forge: Forge, shop: Shop) -> None:
    class Broken(Watch):
        def ended(self, run: Run) -> None:
            raise RuntimeError("nobody reads this pipe")

    with pytest.raises(RuntimeError):
        run(forge, watch=Broken())
    again = run(forge)
    assert again.ok
    assert shop.names == ["get_order", "refund_order", "notify"]
    assert [logged.id for logged in stored(forge)] == [again.id]


def test_a_write_that_was_not_allowed_was_never_begun(forge: Forge, shop: Shop) -> None:
    def nobody(tool: Any, arguments: Any) -> bool:
        raise UsageError("nobody is here to be asked")

    with pytest.raises(UsageError, match="nobody is here"):
        run(forge, ask=nobody)
    assert run(forge).ok
    assert shop.names == ["get_order", "refund_order", "notify"]


def test_a_write_that_is_refused_escalates(forge: Forge, shop: Shop) -> None:
    done = run(forge, ask=lambda tool, arguments: tool.name != "notify")
    assert done.status == "escalated"
    assert "refused by the user" in done.reason
    assert "notify" not in shop.names


def test_a_deployed_workflow_runs_where_nothing_can_be_kept(
    forge: Forge, shop: Shop, repo: Path, forge_at: Any, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forge.deployments.promote("refund", student="b:m", accept_risk="test")
    forge.close()
    monkeypatch.setenv("SKILLFORGE_DB", str(repo))  # a folder: no database can be there
    other = forge_at(repo, tools=shop.tools(), providers={"b:m": Scripted(default={"text": "ok"})}, say=said.append)
    assert other.run("refund", ASK).ok
    assert any("not resumed here" in line for line in said)


def test_purging_the_subject_of_an_unfinished_run_forgets_its_values_not_its_writes(
    forge: Forge, shop: Shop, talk: Talk, repo: Path, stored_bytes: Any
) -> None:
    shop.note = "Ada Lovelace, 12 St James's Square, London"
    talk.down = True
    with pytest.raises(ProviderError):
        run(forge, tags={"subject": "customer-4711"})
    assert b"Ada Lovelace" in stored_bytes(repo)
    assert forge.repository.purge(subject="customer-4711").whole
    assert b"Ada Lovelace" not in stored_bytes(repo)
    talk.down = False
    shop.note = ""
    assert run(forge).ok
    assert shop.names == ["get_order", "refund_order", "get_order", "notify"]
