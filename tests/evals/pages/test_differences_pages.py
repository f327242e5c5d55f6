"""What stands beside a report: in JSON under keys of its own, in Markdown folded, on the page small and escaped."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from skillforge.evals.pages.besides import NOTHING
from skillforge.evals.pages.write import write_pages
from skillforge.evals.report import EvalReport
from skillforge.evals.wording.differences import soft_lines
from skillforge.skill import Skill
from tests.conftest import TRIAGE
from tests.fakes.eval_differences import besides_of
from tests.fakes.eval_report import Made, made

MOST_BYTES = 30_000  # of the page's section, of three pairs


@pytest.fixture(scope="module")
def report() -> Made:
    return made(Skill.model_validate(TRIAGE))


@pytest.fixture(scope="module")
def folder(report: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("pages")
    write_pages([found / f"with.{end}" for end in ("html", "md", "json")], report.report, report.rows,
                besides=besides_of(report))  # fmt: skip
    write_pages([found / f"without.{end}" for end in ("html", "md", "json")], report.report, report.rows)
    return found


def test_json_has_keys_of_their_own_and_the_report_none_of_them(folder: Path) -> None:
    whole, plain = (json.loads((folder / f"{name}.json").read_text()) for name in ("with", "without"))
    assert set(whole) - set(plain) == {"probabilities", "behaviour"}
    assert not {"probabilities", "behaviour", "soft"} & set(EvalReport.model_fields)
    assert NOTHING.keys() == {}
    pair = whole["behaviour"]["pairs"][0]
    assert {"n", "same", "traits", "lengths", "groups", "worst", "outcomes", "openers"} <= set(pair)
    assert whole["probabilities"]["not_offered"] == ["teacher"]


def test_markdown_folds_both_and_escapes_what_it_quotes(folder: Path) -> None:
    whole, plain = ((folder / f"{name}.md").read_text() for name in ("with", "without"))
    for title in ("Probabilities", "Behaviour"):
        assert f"<details><summary>{title}</summary>" in whole
        assert f"<summary>{title}</summary>" not in plain
    assert "not offered by teacher" in whole
    rows = [line for line in whole.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)
    assert "calibration error" in whole


def test_the_page_has_a_section_of_each_and_stays_small(folder: Path) -> None:
    whole, plain = ((folder / f"{name}.html").read_text() for name in ("with", "without"))
    assert len(whole) - len(plain) < MOST_BYTES
    assert {'href="#behaviour"', 'href="#soft"'} <= set(re.findall(r'href="#(?:behaviour|soft)"', whole))
    assert 'id="behaviour"' not in plain
    assert whole.count('<details class="pair"') == 3
    assert whole.startswith("<!doctype html>") or whole.lstrip().startswith("<!doctype html>")


def test_a_terminal_gets_a_line_for_each(report: Made) -> None:
    soft = besides_of(report).soft
    assert soft is not None
    lines = list(soft_lines(report.report, soft))
    assert lines[-1] == "probabilities are not offered by teacher"
    assert sum("calibration error" in line for line in lines) == len(soft.arms)
    assert any("KL 0." in line for line in lines)
