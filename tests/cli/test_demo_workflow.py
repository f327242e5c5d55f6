"""``skillforge demo-workflow``: what it copies, what it prices, and the whole of it on the real model."""

from __future__ import annotations

import pytest

from skillforge import Forge
from skillforge.cli._workflow_table import CHEAP, FRONTIER, list_price, workflow_table
from skillforge.cli.demo_workflow import INPUTS, SANDBOX, demo_workflow
from skillforge.demo_data import WORKFLOWS, copy_workflow_demo
from skillforge.shop.database import Database


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "skillforge.toml").touch()
    copy_workflow_demo(tmp_path)
    return tmp_path


def test_what_is_copied_is_what_a_repository_needs(folder):
    assert sorted(path.name for path in (folder / "skills").iterdir()) == sorted(WORKFLOWS)
    for name in WORKFLOWS:
        for ending in (".yaml", ".jsonl", ".teacher.jsonl"):
            assert (folder / "evals" / f"{name}{ending}").is_file()
    assert set(INPUTS) == set(WORKFLOWS)


def test_the_frontier_model_costs_more_than_the_cheap_one():
    assert list_price(FRONTIER, 1000, 100) == pytest.approx(6.0)
    assert 0 < list_price(CHEAP, 1000, 100) < 1


def test_the_table_tells_the_loop_and_the_workflow(folder):
    (folder / "student.yaml").write_text("default: {reason: changed_mind}\n")
    with Forge(folder) as forge:
        path = str(folder / "skills" / "refund-request")
        student = f"scripted:{folder / 'student.yaml'}"
        found = forge.evals.measure(
            path, students=(student,), teacher="recorded", arms=("skill",), sandbox=SANDBOX, limit=10
        )
    lines = workflow_table([found.report])
    assert lines[0].split()[:3] == ["skill", "who", "right"]
    assert lines[1].startswith("refund-request (10)  recorded agent loop")
    assert "100%" in lines[1]
    assert "est." in lines[1]
    assert lines[2].strip().startswith("scripted:")


@pytest.mark.model
def test_the_demo_works_off_three_inputs_for_real_and_measures(tmp_path, capsys):
    demo_workflow(folder=tmp_path / "demo", cases=2)
    told = capsys.readouterr().out
    assert told.count("recorded agent loop") == 3
    with Database(tmp_path / "demo" / "shop.db").reading() as connection:
        assert connection.execute("SELECT count(*) AS n FROM outbox").fetchone()["n"] <= 1
