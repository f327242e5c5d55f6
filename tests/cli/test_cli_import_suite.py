"""``skillforge import promptfoo.yaml``, ``lint`` of suites, and stale verdicts in ``list`` and ``show``."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from moods import Cli

from skillforge.schema import suite_json_schema
from skillforge.suitefile import read_suite
from skillforge.yamlfile import load_yaml

CONFIG = """\
description: Moods
prompts: ["{{text}}"]
providers: [openai:gpt-x]
tests:
  - vars: {text: fine day}
    assert: [{type: contains, value: good}]
  - vars: {text: awful day, n: 2}
    assert: [{type: llm-rubric, value: says bad, provider: "openai:chat:gpt-x"}]
"""


@pytest.fixture
def config(repo: Path) -> Path:
    path = repo / "promptfooconfig.yaml"
    path.write_text(CONFIG)
    return path


def test_a_config_becomes_a_suite_that_editors_and_lint_accept(cli: Cli, repo: Path, config: Path) -> None:
    made = cli("import", "promptfooconfig.yaml", "--name", "days")
    assert (made.code, made.out) == (0, f"{repo / 'evals/days.yaml'}: 2 cases with 2 checks, metric checks\n")
    assert "no part of a suite: prompts" in made.err
    suite = repo / "evals/days.yaml"
    assert suite.read_text().startswith("# yaml-language-server: $schema=../.skillforge/suite.v1.json\n")
    found = read_suite(suite)
    assert (found.decision.metric, found.judge, found.description) == ("checks", "openai:gpt-x", "Moods")
    assert found.contract == {
        "input": {"text": {"type": "string"}, "n": {"type": ["integer", "null"], "default": None}},
        "output": "text",
    }
    jsonschema.validate(load_yaml(suite.read_bytes(), path="x").value, suite_json_schema())
    assert cli("lint", "evals/days.yaml").code == 0


def test_it_is_found_by_its_folder_and_named_after_it(cli: Cli, repo: Path, config: Path) -> None:
    folder = repo / "Support Bot"
    folder.mkdir()
    config.rename(folder / config.name)
    made = cli("import", "Support Bot", "--json").json
    assert (made["name"], made["cases"], made["judge"]) == ("support-bot", 2, "openai:gpt-x")
    assert (repo / "evals/support-bot.yaml").is_file()


def test_many_cases_stand_in_a_file_beside_the_suite(cli: Cli, repo: Path, config: Path) -> None:
    rows = ", ".join(f"text {n}" for n in range(200))
    config.write_text(
        f"tests:\n  - vars: {{text: [{rows}]}}\n    assert: [{{type: contains, value: '{{{{text}}}}'}}]\n"
    )
    assert cli("import", str(config), "--out", "evals/many.yaml").code == 0
    assert read_suite(repo / "evals/many.yaml").cases[7].checks[0].value == "text 7"
    assert len((repo / "evals/many.cases.jsonl").read_text().splitlines()) == 200


def test_a_suite_is_replaced_only_when_asked(cli: Cli, repo: Path, config: Path) -> None:
    assert cli("import", str(config), "--name", "days").code == 0
    again = cli("import", str(config), "--name", "days")
    assert again.code == 2
    assert "days.yaml is there already" in again.err
    assert cli("import", str(config), "--name", "days", "--force").code == 0


def test_code_is_refused_and_left_out_only_with_a_list(cli: Cli, repo: Path, config: Path) -> None:
    config.write_text(CONFIG.replace("type: contains, value: good", "type: javascript, value: output.length"))
    refused = cli("import", str(config), "--name", "days")
    assert refused.code == 2
    assert "promptfooconfig.yaml:6: tests[0].assert[0]: javascript runs code" in refused.err
    assert not (repo / "evals/days.yaml").exists()
    made = cli("import", str(config), "--name", "days", "--skip-unsupported")
    assert made.code == 0
    assert "1 assertion left out:\n  tests[0] assert[0]: javascript runs code" in made.err
    assert "1 case without an assertion: not scored" in made.err


def test_a_secret_is_not_written(cli: Cli, repo: Path, config: Path) -> None:
    config.write_text(CONFIG.replace("fine day", "sk-ant-api03-" + "Ab1" * 30))
    refused = cli("import", str(config), "--name", "days")
    assert refused.code == 2
    assert "case 1 holds something that looks like a secret" in refused.err
    assert not (repo / "evals/days.yaml").exists()


def test_what_is_neither_is_named(cli: Cli, repo: Path) -> None:
    (repo / "notes.txt").write_text("x")
    assert "neither an Agent Skill nor a promptfoo config" in cli("import", "notes.txt").err
    assert cli("import", "nothing.yaml").code == 2
    assert "takes no such options" in cli("import", "skills", "--name", "x").err


def test_lint_names_scorers_and_checks_that_nothing_knows(cli: Cli, repo: Path) -> None:
    (repo / "evals/odd.yaml").write_text(
        "schema: skillforge/suite/v1\nname: odd\ndecision: {metric: exat}\nscorers:\n  a: {type: f2}\n"
        "cases:\n  - input: {t: x}\n    checks: [{type: contain, value: y}]\n"
    )
    shown = cli("lint", "evals/odd.yaml", "--json")
    assert shown.code == 1
    assert [(row["field"], row["line"]) for row in shown.json] == [
        ("scorers.a", 5),
        ("decision.metric", 3),
        ("cases[0].checks", 8),
    ]


def test_a_stale_verdict_is_shown_by_list_and_show(cli: Cli, repo: Path) -> None:
    cli("eval", "mood", "--students", "scripted:right.yaml", "--teacher", "scripted:teacher.yaml")
    assert cli("list", "--json").json[0]["stale"] == []
    suite = repo / "evals/mood.yaml"
    suite.write_text(suite.read_text() + "repeat: 2\n")
    (repo / "right.yaml").write_text((repo / "right.yaml").read_text() + "# other\n" + "latency_ms: 1\n")
    row = cli("list", "--json").json[0]
    assert row["changed"][0] == "suite"
    assert "REPLACE (scripted:right.yaml), stale: the suite" in cli("list").out
    assert "  stale: the cases, the scorers or the rule of the suite mood changed" in cli("show", "mood").out
    assert cli("show", "mood", "--json").json["evidence"][0]["stale"] == row["stale"]
    suite.write_text("broken: [")
    assert cli("list").code == 0


def test_the_schema_of_suites_accepts_what_is_shipped_and_marks_typing_errors(repo: Path) -> None:
    schema = json.loads(json.dumps(suite_json_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    root = Path(__file__).parents[2]
    for path in root.glob("evals/*.yaml"):
        jsonschema.validate(load_yaml(path.read_bytes(), path="x").value, schema)
    good = {"schema": "skillforge/suite/v1", "name": "s", "cases": [{"input": {}}]}
    jsonschema.validate(good, schema)
    for wrong in (
        {"case": []},
        {"cases": "x.jsonl"},
        {"decision": {"margn": 1}},
        {"contract": {"input": {}}},
        {"repeat": 0},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**good, **wrong}, schema)
