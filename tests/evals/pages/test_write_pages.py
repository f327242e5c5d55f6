"""A report as files: each is whole, holds no more than may be kept, and survives what cases say."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from skillforge.errors import UsageError
from skillforge.evals.pages import data
from skillforge.evals.pages.besides import GROUP_HEAD, MOST_GROUPS, Besides
from skillforge.evals.pages.charts import intervals, scatter, steps
from skillforge.evals.pages.groups import lost_groups
from skillforge.evals.pages.write import require_writable, write_pages
from tests.fakes.eval_report import HOSTILE, LUNA, SKILL, TEACHER, Made, audited, made

SUFFIXES = (".html", ".md", ".json", ".jsonl", ".xml")


@pytest.fixture
def eval_made(triage: Any) -> Made:
    return made(triage(), judges=audited())


def written(given: Made, folder: Path, suffix: str, **more: Any) -> str:
    path = folder / f"report{suffix}"
    write_pages([path], given.report, given.rows, **more)
    return path.read_text("utf-8")


def page_data(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    loaded: dict[str, Any] = json.loads(found[1])
    return loaded


@pytest.mark.parametrize("name", ["report", "report.pdf", "none/report.html", "folder.html"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UsageError) as refused:
        require_writable([tmp_path / "good.md", tmp_path / name])
    assert refused.value.hint


def test_an_unknown_suffix_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        require_writable([tmp_path / "report.pdf"])
    assert all(suffix in refused.value.hint for suffix in SUFFIXES)


def test_json_has_the_report_and_every_case(eval_made: Made, tmp_path: Path) -> None:
    whole = json.loads(written(eval_made, tmp_path, ".json"))
    rows = whole.pop("rows")
    assert whole == json.loads(eval_made.report.model_dump_json())
    assert [row["id"] for row in rows] == [row.id for row in eval_made.rows()]
    assert rows[0]["input"]["ticket"] == HOSTILE[0]
    assert rows[7]["arms"][SKILL.name]["answers"][0]["output"]["queue"]


def test_jsonl_has_one_case_a_line(eval_made: Made, tmp_path: Path) -> None:
    lines = written(eval_made, tmp_path, ".jsonl").split("\n")
    assert len(lines) == 301
    assert json.loads(lines[2])["input"]["ticket"] == HOSTILE[2]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_not_kept_stands_in_no_file(eval_made: Made, tmp_path: Path, suffix: str) -> None:
    text = written(eval_made, tmp_path, suffix, clean=lambda value: None)
    for secret in ("charged twice", "parcel", "onerror", "quote: "):
        assert secret not in text
    assert "t-0003" in text or suffix == ".md"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_secrets_are_taken_out_of_every_file(eval_made: Made, tmp_path: Path, suffix: str) -> None:
    def clean(value: Any) -> Any:
        return json.loads(json.dumps(value).replace("twice", "[redacted]"))

    assert "twice" not in written(eval_made, tmp_path, suffix, clean=clean)


class Elements(HTMLParser):
    """Counts the elements of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


def test_a_page_holds_no_markup_but_its_own(eval_made: Made, tmp_path: Path) -> None:
    report = eval_made.report
    name = "<img src=x onerror=alert(1)>"
    arms = tuple(arm.model_copy(update={"student": f"x:{name}"}) for arm in report.arms)
    hostile = Made(report.model_copy(update={"arms": arms, "suite": name, "skill": name}), eval_made.rows)
    page = written(hostile, tmp_path, ".html")
    elements = Elements()
    elements.feed(page)
    assert elements.tags.count("script") == 2
    assert not {"img", "link", "iframe", "object", "base"} & set(elements.tags)
    assert not [attribute for attribute in elements.attributes if attribute.startswith("on") or attribute == "style"]
    assert "http" not in re.sub(r"\\u003c.*", "", page.split('id="data"')[0]).replace("http-equiv", "")


def test_a_page_gives_each_case_as_text(eval_made: Made, tmp_path: Path) -> None:
    cases = page_data(written(eval_made, tmp_path, ".html"))["cases"]
    assert [case["in"][0] for case in cases[: len(HOSTILE)]] == [["ticket", text] for text in HOSTILE]
    assert len(cases) == 300


def test_a_page_is_bounded_and_keeps_what_got_worse(
    eval_made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "PAGE", 40_000)
    monkeypatch.setattr(data, "WHOLE", 4_000_000)
    page = written(eval_made, tmp_path, ".html")
    ids = {case["id"] for case in page_data(page)["cases"]}
    versus = eval_made.report.arm(SKILL.name).versus_teacher
    assert versus is not None
    assert {*versus.lost, *versus.gained} <= ids
    assert len(ids) < 200
    assert f"The page holds {len(ids)} of 300 cases" in page


def test_long_texts_are_cut_in_the_page_with_a_mark(triage: Any, tmp_path: Path) -> None:
    given = made(triage(), 4)
    long = [row for row in given.rows()]  # noqa: C416
    object.__setattr__(long[0], "input", {"ticket": "x" * 100_000})
    case = page_data(written(Made(given.report, lambda: iter(long)), tmp_path, ".html"))["cases"][0]
    assert len(case["in"][0][1]) == data.TEXT + 1
    assert case["in"][0][1].endswith("…")


def test_markdown_is_a_table_and_no_text_of_others_is_markup(eval_made: Made, tmp_path: Path) -> None:
    report = eval_made.report
    arms = tuple(
        arm.model_copy(update={"error_reasons": (("<b>@everyone</b> | https://x.y | `a`\n# h", 2),)})
        for arm in report.arms
    )
    text = written(Made(report.model_copy(update={"arms": arms}), eval_made.rows), tmp_path, ".md")
    assert text.startswith("### ")
    assert "claude-opus-5-5, n=300, -95%" in text.splitlines()[0]
    html = MarkdownIt("commonmark").enable("table").render(text)
    assert html.count("<table>") == 2
    assert set(re.findall(r"<(\w+)", html)) <= {
        "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "strong", "code", "ul", "li", "details", "summary"
    }  # fmt: skip
    assert "@everyone" not in text


def test_junit_counts_its_cases_and_is_whole_xml(eval_made: Made, tmp_path: Path) -> None:
    root = ET.fromstring(written(eval_made, tmp_path, ".xml"))
    assert root.tag == "testsuites"
    suites = root.findall("testsuite")
    assert [suite.get("name") for suite in suites] == [
        "ticket-triage: claude-haiku-5-5 + skill",
        "ticket-triage: gpt-6-luna + skill",
    ]
    for suite in suites:
        cases = suite.findall("testcase")
        counted = {"tests": len(cases)}
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            counted[name] = sum(case.find(tag) is not None for case in cases)
        assert counted == {name: int(suite.get(name, "")) for name in counted}
        verdict = suite.find("properties/property[@name='verdict']")
        assert verdict is not None
        assert verdict.get("value") in ("pass", "fail", "inconclusive")
        assert all(len(child.get("message", "")) <= 1200 for case in cases for child in case)
    for name in ("tests", "failures", "errors"):
        assert int(root.get(name, "")) == sum(int(suite.get(name, "")) for suite in suites)
    luna = eval_made.report.arm(LUNA.name)
    assert int(suites[1].get("errors", "")) == luna.errors
    assert int(suites[1].get("failures", "")) == round((1 - (luna.quality or 0)) * luna.n)


def test_a_report_without_a_candidate_or_labels_is_written_too(triage: Any, tmp_path: Path) -> None:
    for number, more in enumerate(({"labels": False}, {"played": (TEACHER,)}, {"repeat": 3, "count": 12})):
        given = made(triage(), more.pop("count", 40), **more)  # type: ignore[arg-type]
        for suffix in SUFFIXES:
            assert written(given, tmp_path, f".{number}{suffix}")


def test_no_case_at_all_is_written_too(eval_made: Made, tmp_path: Path) -> None:
    def none() -> Iterator[Any]:
        return iter(())

    for suffix in SUFFIXES:
        written(Made(eval_made.report, none), tmp_path, suffix)


def test_groups_tell_what_lost_cases_have_in_common(eval_made: Made) -> None:
    versus = eval_made.report.arm(SKILL.name).versus_teacher
    assert versus is not None
    groups = lost_groups(eval_made.rows(), SKILL.name, versus.lost, lambda value: value)
    found = {group.what: group for group in groups}
    bug = found["queue: bug, answered billing"]
    rows = {row.id: row for row in eval_made.rows()}
    assert bug.total == sum(row.expected["queue"] == "bug" for row in rows.values())
    assert all(rows[case].cells[SKILL.name].answers[0].output["queue"] == "billing" for case in bug.lost)
    assert [len(group.lost) for group in groups] == sorted((len(group.lost) for group in groups), reverse=True)


def test_pictures_stay_within_their_frame(eval_made: Made) -> None:
    shown, dots = intervals(eval_made.report), scatter(eval_made.report)
    assert shown is not None
    assert dots is not None
    for bar in shown.bars:
        assert 0 <= bar.low <= bar.middle <= bar.high <= 100
        versus = bar.line.versus
        assert (bar.low > shown.margin) == (versus.bounds.low > -eval_made.report.decision.margin)
    assert all(0 <= dot.x <= 100 and 0 <= dot.y <= dots.height for dot in dots.dots)
    assert dots.unknown == ("gpt-6-luna + skill",)


@pytest.mark.parametrize(("low", "high"), [(-0.3, 0.02), (0.0, 7.2), (-1.0, 1.0), (0.93, 0.99)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    ticks = steps(low, high)
    assert 2 <= len(ticks) <= 8
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)


def test_groups_and_notes_are_text_too_and_a_page_holds_so_many(eval_made: Made, tmp_path: Path) -> None:
    many = [(f"{HOSTILE}{number}", eval_made.report) for number in range(MOST_GROUPS + 3)]
    besides = Besides(command="compare", groups=many, notes=[HOSTILE])
    page, text = (written(eval_made, tmp_path, suffix, besides=besides) for suffix in (".html", ".md"))
    assert page.count("<script") == written(eval_made, tmp_path, ".html").count("<script")
    assert not re.search(r"(?<!\\)<(script|img)", text)
    assert "and 3 more" in page
    assert "and 3 more" in text
    one = besides.group_rows()[: 1 + len(eval_made.report.arms)]
    assert {len(row) for row in one} == {len(GROUP_HEAD)}


def test_json_is_what_the_command_prints_with_the_cases(eval_made: Made, tmp_path: Path) -> None:
    found = json.loads(written(eval_made, tmp_path, ".json", besides=Besides(document={"schema": "x"})))
    assert found.keys() == {"schema", "rows"}
