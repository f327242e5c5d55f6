"""``skillforge run`` with tools from outside: an MCP server, Python functions, a recording."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.fakes.mcp_server import State, over_http, weather_server

SKILL = """
schema: skillforge/v1
name: weather-note
description: Note how warm it gets.
input: {city: {type: string}}
output: {degrees: {type: number}, said: {type: string}}
tools:
- {name: forecast, parameters: {type: object, properties: {city: {type: string}}, required: [city]}}
- {name: note, effect: write, parameters: {type: object, properties: {text: {type: string}}, required: [text]}}
steps:
- {id: weather, tool: forecast, args: {city: {from: city}}}
- {id: keep, tool: note, args: {text: {from: steps.weather.city}}}
result: {degrees: {from: steps.weather.degrees}, said: {from: steps.keep.result}}
"""
PYTHON = """
def forecast(city: str) -> dict:
    return {"city": city, "degrees": 3}

def note(text: str) -> dict:
    return {"result": "written"}

tools = [forecast, note]
"""
RUN = ("run", "skills/weather-note", "-i", "city=Ulm", "--student", "scripted:right.yaml")


@pytest.fixture(autouse=True)
def workflow(repo):
    home = repo / "skills" / "weather-note"
    home.mkdir()
    (home / "skill.yaml").write_text(SKILL)
    return home


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def address(state: State) -> Iterator[str]:
    with over_http(weather_server(state)) as found:
        yield found


def test_a_server_answers_the_steps(cli, address, state):
    done = cli(*RUN, "--mcp", address, "--yes")
    assert (done.code, json.loads(done.out)) == (0, {"degrees": 21.5, "said": "noted"}), done.err
    assert state.notes == ["Ulm"]


def test_nobody_to_ask_writes_nothing(cli, address, state):
    done = cli(*RUN, "--mcp", address)
    assert done.code == 2
    assert "--yes" in done.err
    assert state.notes == []


def test_functions_may_stand_in_for_a_server(cli, repo):
    (repo / "weather_functions.py").write_text(PYTHON)
    done = cli(*RUN, "--tools", "weather_functions:tools", "--yes")
    assert (done.code, json.loads(done.out)) == (0, {"degrees": 3, "said": "written"}), done.err


def test_what_was_recorded_stands_in_for_the_server(cli, repo, address, state):
    live = cli(*RUN, "--mcp", address, "--yes", "--record-tools", "new/calls.jsonl")
    again = cli(*RUN, "--tool-recording", "new/calls.jsonl")
    assert (live.code, again.code, again.out) == (0, 0, live.out), again.err
    assert state.notes == ["Ulm"]
    done = cli(*RUN, "--record-tools", "other.jsonl")
    assert (done.code, "nothing to record" in done.err) == (2, True)


def test_a_recording_answers_without_a_question(cli, repo):
    calls = [
        {"tool": "forecast", "arguments": {"city": "Ulm"}, "content": {"city": "Ulm", "degrees": 9}},
        {"tool": "note", "arguments": {"text": "Ulm"}, "content": {"result": "recorded"}},
    ]
    (repo / "calls.jsonl").write_text("".join(json.dumps(call) + "\n" for call in calls))
    done = cli(*RUN, "--tool-recording", "calls.jsonl")
    assert (done.code, json.loads(done.out)) == (0, {"degrees": 9, "said": "recorded"}), done.err


def test_a_call_that_nobody_recorded_is_no_answer(cli, repo):
    (repo / "calls.jsonl").write_text('{"tool": "forecast", "arguments": {"city": "Bonn"}}\n')
    done = cli(*RUN, "--tool-recording", "calls.jsonl")
    assert done.code == 4
    assert (
        'the recording calls.jsonl holds no call forecast({"city": "Ulm"}), only 1 other call of forecast' in done.err
    )
    assert "-> record it: the same command with --tools or --mcp and --record-tools FILE" in done.err
    assert "goes on where" not in done.err


def test_a_workflow_that_asks_no_model_needs_no_student(cli, repo):
    (repo / "weather.py").write_text(PYTHON)
    done = cli(*RUN[:-2], "--tools", "weather:tools", "--yes", "--json")
    assert (done.code, done.json["student"], done.json["cost"]["usd"]) == (0, "no-model", 0.0), done.err


def test_a_workflow_that_asks_a_model_needs_a_student(cli, repo, workflow):
    (repo / "weather.py").write_text(PYTHON)
    asking = SKILL.replace("steps:\n", 'steps:\n- {id: word, prompt: "{{ city }}"}\n')
    (workflow / "skill.yaml").write_text(asking)
    done = cli(*RUN[:-2], "--tools", "weather:tools", "--yes")
    assert (done.code, "no student named" in done.err) == (2, True)


def test_tools_that_nobody_gave_are_named(cli):
    done = cli(*RUN)
    assert done.code == 2
    assert "no tool is given for: forecast, note" in done.err
    assert "--mcp" in done.err


def test_a_server_that_is_not_there_is_no_answer(cli):
    done = cli(*RUN, "--mcp", "http://127.0.0.1:9/mcp")
    assert done.code == 4
    assert "the MCP server http://127.0.0.1:9/mcp cannot be used" in done.err
