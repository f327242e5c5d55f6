"""``create --from-trace``: from recorded calls to a proved draft, with a teacher, by hand, or without anybody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from moods import Cli

from skillforge.skillfile import read_skill


def _call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"id": f"{name}-1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def row(n: int, *, reward: float = 1.0, note: str = "") -> dict[str, Any]:
    order = {"order_id": f"A-{n}00", "total": 100 + n, "note": note}
    refund = _call("refund_order", order_id=f"A-{n}00", amount=100 + n)
    return {
        "task_id": "refund",
        "trial": n,
        "reward": reward,
        "messages": [
            {"role": "user", "content": f"Refund my order A-{n}00, please."},
            {"role": "assistant", "content": None, "tool_calls": [_call("get_order", order_id=f"A-{n}00")]},
            {"role": "tool", "tool_call_id": "get_order-1", "content": json.dumps(order)},
            {"role": "assistant", "content": None, "tool_calls": [refund]},
            {"role": "tool", "tool_call_id": "refund_order-1", "content": "refunded"},
            {"role": "assistant", "content": f"I refunded {100 + n}."},
        ],
    }


PROPOSAL: dict[str, Any] = {
    "name": "refund-order",
    "description": "Refunds an order.",
    "output": "text",
    "steps": [
        {
            "id": "read",
            "prompt": "{{ request }}",
            "output": {"order_id": {"type": "string"}},
            "examples": {"ids": "all"},
        },
        {"id": "order", "tool": "get_order", "args": {"order_id": {"from": "steps.read.order_id"}}},
        {
            "id": "refund",
            "tool": "refund_order",
            "args": {"order_id": {"from": "steps.read.order_id"}, "amount": {"from": "steps.order.total"}},
        },
        {"id": "reply", "prompt": "{{ request }} {{ steps.refund }} {{ steps.order.total }}"},
    ],
    "answers": {f"refund-{n}": {"read": {"order_id": f"A-{n}00"}} for n in (1, 2)},
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [row(1), row(2), row(3, reward=0.0)]
    (tmp_path / "traces.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    (tmp_path / "draft.json").write_text(json.dumps(PROPOSAL))
    return tmp_path


def test_without_a_teacher_a_program_writes_the_plan(home: Path, cli: Cli) -> None:
    made = cli("create", "--from-trace", "traces.jsonl")
    assert made.code == 0, made.err
    assert "reproduces 2 traces (1 failed beside them)" in made.out
    assert "4 steps, 2 of them ask a model, writing: refund_order" in made.out
    skill = read_skill(home / "skills" / "refund-order").skill
    assert [step.tool for step in skill.steps] == [None, "get_order", "refund_order", None]
    assert skill.steps[2].args["amount"] == {"from": "steps.get_order.total"}
    shown = json.loads(cli("show", "refund-order", "--json").out)
    assert "untrusted" in json.dumps(shown)


def test_a_coding_agent_is_its_own_teacher_without_any_key(home: Path, cli: Cli) -> None:
    asked = cli("create", "Refund an order.", "--from-trace", "traces.jsonl", "--author-request")
    assert asked.code == 0
    assert "Answer with one JSON object" in asked.out
    assert "BEGIN SUCCESSFUL TRACES" in asked.out
    assert not (home / ".skillforge").exists()
    made = cli("create", "Refund an order.", "--from-trace", "traces.jsonl", "--draft", "draft.json", "--json")
    assert made.code == 0, made.err
    body = json.loads(made.out)
    assert (body["author"], body["traces"], body["asking"]) == ("hand", ["refund-1", "refund-2"], 2)
    assert body["examples_from"] == {}


def test_a_teacher_proposes_and_is_asked_again_once(home: Path, cli: Cli) -> None:
    wrong = {**PROPOSAL, "answers": {}}
    script = {"answers": [{"when": {"role": "author-workflow"}, "reply": json.dumps(wrong)}]}
    script["answers"].append({"when": {"role": "author-workflow-repair"}, "reply": json.dumps(PROPOSAL)})
    (home / "teacher.json").write_text(json.dumps(script))
    made = cli("create", "--from-trace", "traces.jsonl", "--teacher", "scripted:teacher.json")
    assert made.code == 0, made.err
    assert "repaired once" in made.out


def test_a_draft_that_does_something_else_is_refused_and_writes_no_file(home: Path, cli: Cli) -> None:
    body = json.loads(json.dumps(PROPOSAL))
    body["steps"] = [step for step in body["steps"] if step["id"] != "refund"]
    body["steps"][-1]["prompt"] = "{{ request }}"
    (home / "draft.json").write_text(json.dumps(body))
    refused = cli("create", "--from-trace", "traces.jsonl", "--draft", "draft.json")
    assert refused.code == 1
    assert "a write is missing: refund_order" in refused.err
    assert not (home / "skills" / "refund-order").exists()


def test_every_call_of_a_trace_is_shown_beside_the_plan(home: Path, cli: Cli) -> None:
    assert cli("create", "--from-trace", "traces.jsonl").code == 0
    assert cli("trace", "import", "traces.jsonl").code == 0
    shown = cli("trace", "show", "refund", "--plan", "refund-order")
    assert shown.code == 0, shown.err
    assert 'get_order({"order_id": "A-100"})' in shown.out
    assert "understand" in shown.out
    rows = json.loads(cli("trace", "show", "refund", "--plan", "refund-order", "--json").out)
    assert [each["fate"] for each in rows["refund-1"]] == ["step", "step", "new", "new"]


def test_traces_without_a_tool_call_need_a_teacher(home: Path, cli: Cli) -> None:
    talk = [{"role": "user", "content": "Say hello."}, {"role": "assistant", "content": "Hello."}]
    (home / "talk.jsonl").write_text(json.dumps({"messages": talk}) + "\n")
    refused = cli("create", "--from-trace", "talk.jsonl")
    assert (refused.code, "no tool was called" in refused.err, "--teacher" in refused.err) == (2, True, True)


def test_a_teacher_writes_a_prompt_skill_from_traces_without_tool_calls(home: Path, cli: Cli) -> None:
    talk = [{"role": "user", "content": "Say hello."}, {"role": "assistant", "content": "Hello."}]
    (home / "talk.jsonl").write_text(json.dumps({"messages": talk}) + "\n")
    body = {"name": "greet", "description": "Greets.", "input": {"request": {"type": "string"}}, "output": "text"}
    body |= {"instructions": "Greet.", "prompt": "{{ request }}"}
    rules = [{"when": {"role": "author"}, "reply": json.dumps(body)}, {"when": {"role": "run"}, "reply": "Hello."}]
    (home / "teacher.json").write_text(json.dumps({"answers": rules}))
    made = cli("create", "--from-trace", "talk.jsonl", "--teacher", "scripted:teacher.json")
    assert made.code == 0, made.err
    assert read_skill(home / "skills" / "greet").skill.output == "text"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--draft", "draft.json"], "--draft needs traces"),
        (["--turn", "1"], "--turn needs traces"),
        (["--from-trace", "traces.jsonl", "-i", "a=b"], "--input is given beside --from-trace"),
        (["--from-trace", "traces.jsonl", "--turn", "1"], "a turn means one trace"),
        (["--from-trace", "traces.jsonl", "--draft", "none.json"], "none.json: the draft cannot be read"),
        (["--from-trace", "traces.jsonl", "--draft", "draft.json", "--teacher", "scripted:x"], "give one"),
        (["--from-trace", "nothing"], "no such file"),
    ],
)
def test_wrong_flags_are_usage_errors(home: Path, cli: Cli, flags: list[str], said: str) -> None:
    done = cli("create", *flags)
    assert done.code == 2
    assert said in done.err
