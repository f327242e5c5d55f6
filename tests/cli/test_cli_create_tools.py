"""``skillforge create`` with tools: a scripted teacher works on Python functions and on an MCP server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skillforge.skillfile import read_skill
from tests.fakes.mcp_server import State, over_http, weather_server

TOOLS = """
from skillforge import tool

def get_order(order_id: str) -> dict:
    "Look an order up."
    return {"id": order_id, "cents": 500}

@tool(effect="write")
def refund_order(order_id: str, cents: int) -> dict:
    "Pay an order back."
    with open("paid.txt", "a") as out:
        out.write(f"{order_id} {cents}\\n")
    return {"refunded": cents}

tools = [get_order, refund_order]
"""
TEACHER = """
answers:
  - {when: {role: solve}, calls: [{tool: get_order, arguments: {order_id: A-1}}]}
  - {when: {role: solve-turn2}, calls: [{tool: refund_order, arguments: {order_id: A-1, cents: 500}}]}
  - {when: {role: solve-turn3}, reply: {refunded: 500}}
default:
  name: refund-order
  description: Pays one order back.
  output: {refunded: {type: integer}}
  instructions: Refund it.
  steps:
    - {id: order, tool: get_order, args: {order_id: {from: order_id}}}
    - {id: refund, tool: refund_order, args: {order_id: {from: order_id}, cents: {from: steps.order.cents}}}
  result: {refunded: {from: steps.refund.refunded}}
  answers: {}
"""
CREATE = ("create", "Refund one order", "--teacher", "scripted:agent.yaml", "-i", "order_id=A-1")
WITH = ("--tools", "shop_tools:tools")


@pytest.fixture(autouse=True)
def agent(repo: Path) -> None:
    (repo / "agent.yaml").write_text(TEACHER)
    (repo / "shop_tools.py").write_text(TOOLS)


def paid(repo: Path) -> list[str]:
    file = repo / "paid.txt"
    return file.read_text().splitlines() if file.exists() else []


def test_the_draft_is_a_workflow(cli, repo):
    made = cli(*CREATE, *WITH, "--yes")
    assert made.code == 0, made.err
    assert "a workflow of 2 steps, 0 of which ask a model; the teacher took 3.0 turns an input" in made.out
    assert paid(repo) == ["A-1 500"]
    skill = read_skill(repo / "skills/refund-order").skill
    assert [step.tool for step in skill.steps] == ["get_order", "refund_order"]
    assert [tool.effect for tool in skill.tools] == ["read", "write"]
    again = cli(*CREATE, *WITH, "--yes", "--json")
    assert (again.json["reused"], paid(repo)) == (1, ["A-1 500"])


def test_what_of_the_workflow_stands_in_a_tools_result_is_told_when_made_and_when_shown(cli, repo):
    tools = TOOLS.replace('"cents": 500}', '"cents": 500, "state": "delivered late"}')
    (repo / "late_tools.py").write_text(tools)
    asking = """    - id: why
      prompt: "{{ steps.order.state }}"
      instructions: Say delivered late where it was.
      output: {why: {type: string, enum: [delivered late, other]}}
      examples: {ids: all}
  result: """
    text = TEACHER.replace("  result: ", asking).replace("  answers: {}", "  answers: {input-1: {why: {why: other}}}")
    text = text.replace("default:", '  - {when: {role: "run:why"}, reply: {why: other}}\ndefault:')
    (repo / "agent.yaml").write_text(text)
    made = cli(*CREATE, "--tools", "late_tools:tools", "--yes")
    assert made.code == 0, made.err
    assert "solved 1 input; 1 example, 0 checks" in made.out
    assert "its examples hold texts out of tool results: 1 from get_order" in made.out
    shown = cli("show", "refund-order")
    assert "untrusted: written from its own traces by teacher" in shown.out
    assert "  its examples hold texts out of tool results: 1 from get_order" in shown.out
    origin = cli("show", "refund-order", "--json").json["provenance"]
    assert (origin["untrusted"], origin["examples_from"]) == (True, {"get_order": 1})


def test_an_author_who_gives_no_steps_is_told_what_is_wanted(cli, repo):
    (repo / "agent.yaml").write_text(TEACHER[: TEACHER.index("default:")] + "default: {name: x, description: y}\n")
    told = cli(*CREATE, *WITH, "--yes")
    assert told.code != 0
    assert "steps: a workflow is wanted, as a list of steps" in told.err
    assert "prompt: is required" not in told.err


def test_nobody_to_ask_writes_nothing(cli, repo):
    told = cli(*CREATE, *WITH)
    assert (told.code, paid(repo)) == (2, [])
    assert "--yes" in told.err


def test_a_dry_run_says_what_bounds_a_loop(cli, repo):
    told = cli(*CREATE, *WITH, "--dry-run", "--max-turns", "7", "--max-usd", "0.5")
    assert told.code == 0, told.err
    assert "how many turns each takes is unknown" in told.err
    assert "7 turns and one for the answer, $0.5" in told.err
    assert paid(repo) == []


def test_a_limit_ends_a_loop_with_its_name(cli, repo):
    told = cli(*CREATE, *WITH, "--yes", "--max-turns", "1")
    assert told.code == 4
    assert "no answer within 1 turns" in told.err
    assert paid(repo) == []


@pytest.mark.parametrize("flags", [("--max-turns", "0"), ("--max-usd", "-1"), ("--time-limit", "nan")])
def test_a_limit_that_allows_nothing_is_refused(cli, flags):
    told = cli(*CREATE, *WITH, *flags)
    assert told.code == 2
    assert flags[0] in told.err


def test_limits_without_tools_are_refused(cli):
    told = cli(*CREATE, "--max-turns", "3")
    assert told.code == 2
    assert "--tools" in told.err


def test_a_recording_of_the_tools_stands_in_for_them(cli, repo):
    made = cli(*CREATE, *WITH, "--yes", "--record", "recorded", "--json")
    assert made.code == 0, made.err
    calls = [json.loads(line) for line in (repo / "recorded/tools/calls.jsonl").read_text().splitlines()]
    assert [call["tool"] for call in calls if "tool" in call] == ["get_order", "refund_order"]
    again = cli(*CREATE, "--tool-recording", "recorded/tools/calls.jsonl", "--json")
    assert (again.code, again.json["digest"]) == (0, made.json["digest"]), again.err
    assert paid(repo) == ["A-1 500"]


def test_a_server_is_worked_with(cli, repo):
    (repo / "agent.yaml").write_text(
        "answers:\n"
        "  - {when: {role: solve}, calls: [{tool: forecast, arguments: {city: Ulm}}]}\n"
        "  - {when: {role: solve-turn2}, reply: {degrees: 21.5}}\n"
        "default:\n"
        "  name: city-weather\n  description: How warm a city is.\n  output: {degrees: {type: number}}\n"
        "  instructions: Look it up.\n"
        "  steps: [{id: weather, tool: forecast, args: {city: {from: city}}}]\n"
        "  result: {degrees: {from: steps.weather.degrees}}\n  answers: {}\n"
    )
    with over_http(weather_server(State())) as address:
        made = cli(
            *("create", "How warm is it?", "--teacher", "scripted:agent.yaml", "-i", "city=Ulm"),
            *("--mcp", address, "--json"),
        )
    assert made.code == 0, made.err
    assert (made.json["steps"], made.json["proved_ok"], made.json["agreed"]) == (1, 1, 1)
