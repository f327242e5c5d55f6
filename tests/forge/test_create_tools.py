"""``create`` with tools, against a model on loopback: loops are solved, kept, gone on with, recorded and replayed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from skillforge import tool
from skillforge.engine.agent.limits import LoopLimits
from skillforge.errors import Halt, ProviderError, ToolUnavailable, UsageError
from skillforge.forge.session import Terms
from tests.fakes.llm_server import Answer, LLMServer, refuse, request_text
from tests.fakes.tool_talk import ToolTalk, result_rounds

TASK = "Refund one order if it was paid for."
ORDERS = {"A-1": {"id": "A-1", "cents": 500}, "A-2": {"id": "A-2", "cents": 700}, "A-3": {"id": "A-3", "cents": 900}}
CASES = [{"input": {"order_id": order}} for order in ORDERS]
DRAFT: dict[str, Any] = {
    "name": "refund-order",
    "description": "Pays one order back.",
    "output": {"refunded": {"type": "integer"}},
    "instructions": "Refund it.",
    "steps": [
        {"id": "order", "tool": "get_order", "args": {"order_id": {"from": "order_id"}}},
        {
            "id": "refund",
            "tool": "refund_order",
            "args": {"order_id": {"from": "order_id"}, "cents": {"from": "steps.order.cents"}},
        },
    ],
    "result": {"refunded": {"from": "steps.refund.refunded"}},
    "answers": {},
}


class Shop:
    """Tools over a dictionary, which count what they did."""

    def __init__(self) -> None:
        self.looked: list[str] = []
        self.paid: list[tuple[str, int]] = []
        self.broken = ""

    @property
    def tools(self) -> list[Any]:
        def get_order(order_id: str) -> dict[str, Any]:
            """Look an order up."""
            self.looked.append(order_id)
            return ORDERS[order_id]

        @tool(effect="write")
        def refund_order(order_id: str, cents: int) -> dict[str, int]:
            """Pay an order back."""
            if order_id == self.broken:
                raise ToolUnavailable("the shop is gone")
            self.paid.append((order_id, cents))
            return {"refunded": cents}

        return [get_order, refund_order]


def order_of(body: dict[str, Any]) -> str:
    return next(order for order in ORDERS if f"order_id: {order}" in request_text(body))


SOLVE = ToolTalk(
    [
        lambda body: Answer(tool_calls=[("c1", "get_order", {"order_id": order_of(body)})]),
        lambda body: Answer(
            tool_calls=[("c2", "refund_order", {"order_id": order_of(body), "cents": ORDERS[order_of(body)]["cents"]})]
        ),
        lambda body: json.dumps({"refunded": ORDERS[order_of(body)]["cents"]}),
    ]
)


def teacher(body: dict[str, Any]) -> Answer | str:
    return SOLVE(body) if body.get("tools") else json.dumps(DRAFT)


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture
def strong():
    with LLMServer(teacher) as server:
        yield server


def settle(repo: Path, server: LLMServer, more: str = "") -> None:
    (repo / "skillforge.toml").write_text(
        f'teacher = "strong:m"\n[endpoints.strong]\nkind = "anthropic"\nbase_url = "{server.url}"\n'
        f"concurrency = 1\nprice = {{input = 3, output = 15}}\n{more}"
    )


def create(forge: Any, shop: Shop | None, **more: Any) -> Any:
    return forge.create(TASK, cases=CASES, **({} if shop is None else {"tools": shop.tools}), **more)


def solving(server: LLMServer) -> list[dict[str, Any]]:
    return [call.body for call in server.calls if call.body.get("tools")]


def test_a_task_is_solved_with_tools_and_becomes_a_workflow(repo, forge_at, strong, shop):
    settle(repo, strong)
    asked, seen = [], []
    made = create(
        forge_at(repo),
        shop,
        ask=lambda tool, arguments: asked.append(tool.name) is None,
        on_progress=lambda *step: seen.append(step),
    )
    assert (made.name, made.steps, made.asking, made.turns) == ("refund-order", 2, 0, 3.0)
    assert (made.solved, made.proved, made.proved_ok, made.agreed) == (3, 3, 3, 3)
    assert shop.paid == [("A-1", 500), ("A-2", 700), ("A-3", 900)]  # the proof runs on what was recorded
    assert asked == ["refund_order"]
    assert len(solving(strong)) == 9
    assert made.cost.usd == pytest.approx(made.spent_usd)
    assert made.cost.usd > 0
    assert [step for step in seen if step[0] == "turn"][-1] == ("turn", 9, 0)
    assert made.skill.tool("refund_order").effect == "write"


def test_what_was_solved_with_tools_is_neither_paid_nor_called_again(repo, forge_at, strong, shop):
    settle(repo, strong)
    create(forge_at(repo), shop)
    strong.reset()
    again = create(forge_at(repo), shop)
    assert (again.reused, solving(strong), len(shop.paid)) == (3, [], 3)


def test_other_tools_are_another_question(repo, forge_at, strong, shop):
    settle(repo, strong)
    create(forge_at(repo), shop)
    strong.reset()

    def get_order(order_id: str) -> dict[str, Any]:
        """Look an order up, elsewhere."""
        return ORDERS[order_id]

    @tool(effect="write")
    def refund_order(order_id: str, cents: int) -> dict[str, int]:
        """Pay an order back."""
        return {"refunded": cents}

    assert forge_at(repo).create(TASK, cases=CASES, tools=[get_order, refund_order]).reused == 0


@pytest.mark.parametrize("after", [1, 2])
def test_an_interrupted_loop_goes_on_and_repeats_no_write(repo, forge_at, shop, after):
    def faults(number, body):
        return refuse(401) if number == after + 1 else None

    with LLMServer(teacher, faults) as server:
        settle(repo, server)
        with pytest.raises(Halt):
            create(forge_at(repo), shop)
        assert len(shop.paid) == after - 1
        before = len(server.calls)
        create(forge_at(repo), shop)
        assert len(solving(server)) == 9 + 1  # the refused one
        assert len(server.calls) - before >= 9 - after
    assert shop.paid == [("A-1", 500), ("A-2", 700), ("A-3", 900)]
    assert shop.looked == ["A-1", "A-2", "A-3"]


def test_a_limit_stops_a_loop_that_goes_on_with_a_wider_one(repo, forge_at, strong, shop):
    settle(repo, strong)
    with pytest.raises(ProviderError, match="no answer within 1 turns"):
        create(forge_at(repo), shop, limits=LoopLimits(turns=1))
    assert (len(solving(strong)), shop.looked, shop.paid) == (6, ["A-1", "A-2", "A-3"], [])
    create(forge_at(repo), shop)
    assert len(solving(strong)) == 6 + 6  # the first turn of each is found again
    assert shop.looked == ["A-1", "A-2", "A-3"]
    assert shop.paid == [("A-1", 500), ("A-2", 700), ("A-3", 900)]


def test_tools_that_are_gone_stop_everything_and_nothing_is_lost(repo, forge_at, strong, shop):
    settle(repo, strong)
    shop.broken = "A-2"
    with pytest.raises(Halt, match="the shop is gone"):
        create(forge_at(repo), shop)
    shop.broken = ""
    told: list[str] = []
    with pytest.raises(ProviderError, match="nobody knows whether it happened"):
        create(forge_at(repo, say=told.append), shop)
    assert [line for line in told if "may have written: refund_order" in line]
    assert shop.paid == [("A-1", 500), ("A-3", 900)]
    create(forge_at(repo), shop, fresh=True)
    assert shop.paid == [("A-1", 500), ("A-3", 900), ("A-2", 700)]


def test_a_loop_that_takes_another_way_does_not_write_beside_an_earlier_write(repo, forge_at, shop):
    def faults(number, body):
        return refuse(401) if number == 3 else None

    with LLMServer(teacher, faults) as server:
        settle(repo, server)
        with pytest.raises(Halt):
            create(forge_at(repo), shop)
    assert shop.paid == [("A-1", 500)]

    def other(body):
        rounds = result_rounds(body)
        if body.get("tools") and len(rounds) == 1:
            return Answer(tool_calls=[("c2", "refund_order", {"order_id": order_of(body), "cents": 1})])
        return teacher(body)

    with closing(sqlite3.connect(repo / ".skillforge" / "registry.db")) as db, db:
        db.execute("DELETE FROM answers")
    with LLMServer(other, port=int(server.url.rpartition(":")[2])) as server:
        told: list[str] = []
        with pytest.raises(ProviderError, match=r"has written otherwise \(refund_order\)"):
            create(forge_at(repo, say=told.append), shop)
    assert any("may have written: refund_order" in line for line in told)
    assert ("A-1", 1) not in shop.paid


def test_a_recorded_create_replays_without_model_and_tools(repo, forge_at, strong, shop, tmp_path):
    settle(repo, strong)
    folder = tmp_path / "recorded"
    made = create(forge_at(repo), shop, terms=Terms(record=folder))
    calls, paid = len(strong.calls), list(shop.paid)
    assert (folder / "tools" / "calls.jsonl").is_file()
    other = tmp_path / "other"
    (other / ".skillforge").mkdir(parents=True)
    settle(other, strong)
    again = create(forge_at(other), None, terms=Terms(replay=folder))
    assert (again.digest, again.cost) == (made.digest, made.cost)
    assert (len(strong.calls), shop.paid) == (calls, paid)


def test_a_create_that_was_solved_already_records_its_loops_all_the_same(repo, forge_at, strong, shop, tmp_path):
    settle(repo, strong)
    create(forge_at(repo), shop, terms=Terms(record=tmp_path / "one"))
    create(forge_at(repo), shop, terms=Terms(record=tmp_path / "two"))

    def solves(folder):
        (file,) = folder.glob("*.jsonl")
        lines = [json.loads(line) for line in file.read_text().splitlines()[1:]]
        told = [(line["request"], line["response"].get("parts"), line["response"].get("text")) for line in lines]
        return sorted((item for item in told if item[0]["role"].startswith("solve")), key=repr)

    assert len(solves(tmp_path / "one")) == 9
    assert solves(tmp_path / "two") == solves(tmp_path / "one")


def test_a_dry_run_says_that_a_loop_is_only_bounded(repo, forge_at, strong, shop):
    settle(repo, strong)
    forge = forge_at(repo)
    (solve, *_) = forge.estimate_create(TASK, cases=CASES, tools=shop.tools).expenses
    assert (solve.calls, solve.about_usd, solve.at_most_usd) == (3, None, None)
    assert "20 turns" in solve.bounds
    limits = LoopLimits(usd=0.5, tokens=10_000)
    (solve, *_) = forge.estimate_create(TASK, cases=CASES, tools=shop.tools, limits=limits).expenses
    assert solve.at_most_usd == pytest.approx(3 * 0.15)
    assert (strong.calls, shop.looked) == ([], [])
    create(forge, shop)
    (solve, *_) = forge.estimate_create(TASK, cases=CASES, tools=shop.tools).expenses
    assert (solve.known, solve.calls, solve.at_most_usd) == (3, 0, 0.0)


def test_tools_that_are_none_are_refused(repo, forge_at, strong):
    settle(repo, strong)
    with pytest.raises(UsageError, match="holds none"):
        forge_at(repo).create(TASK, cases=CASES, tools=[])
