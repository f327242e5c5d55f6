"""The page of an eval in a real browser: it filters, opens a case, fits a phone, and asks nobody for anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Browser, found_chromium

from skillforge.evals.pages.write import write_pages
from skillforge.skill import Skill
from tests.conftest import TRIAGE
from tests.fakes.eval_differences import besides_of
from tests.fakes.eval_report import Made, audited, made

PROGRAM = found_chromium(os.environ.get("SKILLFORGE_CHROMIUM"))
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no Chromium: python tests/browser/pull_chromium.py, or SKILLFORGE_CHROMIUM=PROGRAM"
)

SHOWN = "document.querySelectorAll('#list > li').length"
COUNT = "document.querySelector('#count').textContent"
FOCUS = "document.activeElement.querySelector('.id')?.textContent"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert PROGRAM is not None
    running = Browser(PROGRAM, tmp_path_factory.mktemp("profile"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def report() -> Made:
    return made(Skill.model_validate(TRIAGE), judges=audited())


@pytest.fixture(scope="module")
def page(report: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_pages([path], report.report, report.rows)
    return path


def test_a_filter_leaves_the_lost_cases_and_a_case_opens_with_its_difference_marked(
    browser: Browser, page: Path, report: Made
) -> None:
    browser.open(page)
    assert browser.run(COUNT) == "300 of 300 cases"
    assert browser.run(SHOWN) == 100
    browser.run("document.querySelector('input[value=lost]').click()")
    versus = report.report.arm("anthropic:claude-haiku-5-5 + skill").versus_teacher
    assert versus is not None
    ids = browser.run("[...document.querySelectorAll('#list .id')].map(e => e.textContent)")
    assert tuple(ids) == versus.lost
    browser.run("document.querySelector('#list summary').click()")
    browser.wait("!!document.querySelector('.body')")
    assert browser.run("document.querySelector('.both del').textContent") in ("bug", "billing", "delivery", "other")
    assert browser.run("document.querySelector('.both ins').textContent") in ("bug", "billing", "other")
    heads = browser.run("[...document.querySelectorAll('.both h3')].map(e => e.textContent)")
    assert heads == ["teacher", "claude-haiku-5-5 + skill"]
    assert browser.refused == []


def test_text_and_arm_filter_too_and_more_are_shown_on_demand(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.querySelector('#more').click()")
    assert browser.run(SHOWN) == 200
    browser.run("document.querySelector('#text').focus()")
    browser.type("parcel delivered")
    browser.wait(f"{COUNT} !== '300 of 300 cases'")
    assert browser.run("[...document.querySelectorAll('#list .snippet')].every(e => /parcel/.test(e.textContent))")
    browser.run("document.querySelector('#arm').selectedIndex = 0")
    browser.run("document.querySelector('#arm').dispatchEvent(new Event('change'))")
    browser.run("document.querySelector('#list summary').click()")
    browser.wait("!!document.querySelector('.body')")
    assert browser.run("document.querySelectorAll('.both h3')[1].textContent") == "no-model"


def test_a_group_filters_the_cases_it_counts(browser: Browser, page: Path) -> None:
    browser.open(page)
    shown = browser.run("document.querySelector('[data-group] .count').textContent")
    browser.run("document.querySelector('[data-group]').click()")
    assert browser.run(COUNT).split(" of ")[0] == shown.split(" of ")[0]
    assert browser.run("document.querySelector('[data-group]').getAttribute('aria-pressed')") == "true"
    browser.run("document.querySelector('#chosen button').click()")
    assert browser.run(COUNT) == "300 of 300 cases"


def test_the_list_is_used_with_the_keyboard_alone(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.querySelector('#text').focus()")
    for _ in range(20):
        browser.press("Tab", 9)
        if browser.run(FOCUS) == "t-0000":
            break
    assert browser.run(FOCUS) == "t-0000"
    browser.press("ArrowDown", 40)
    assert browser.run(FOCUS) == "t-0001"
    browser.press("Enter", 13, "\r")
    browser.wait("document.activeElement.parentElement.open && !!document.querySelector('.body')")


@pytest.mark.parametrize("width", [375, 1280])
def test_the_page_never_scrolls_sideways(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width=width, height=812, dark=width == 375)
    browser.run("document.querySelectorAll('#list summary').forEach((item, at) => at < 6 && item.click())")
    browser.wait("document.querySelectorAll('.body').length === 6")
    assert browser.run("document.documentElement.scrollWidth") == width


def test_what_cases_say_is_text_and_nothing_else(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.querySelectorAll('#list summary').forEach((item, at) => at < 6 && item.click())")
    browser.wait("document.querySelectorAll('.body').length === 6")
    assert "owned" not in browser.run("document.title")
    assert browser.run("document.querySelectorAll('img, iframe, #list script, link').length") == 0
    assert "</script><script>" in browser.run("document.querySelector('.body .text').textContent")
    assert browser.refused == []


def test_of_thousands_of_cases_a_screenful_is_drawn_at_a_time(browser: Browser, tmp_path: Path) -> None:
    many = made(Skill.model_validate(TRIAGE), 5000)
    path = tmp_path / "many.html"
    write_pages([path], many.report, many.rows)
    browser.open(path)
    browser.run("document.querySelector('input[value=differs]').click()")
    assert browser.run(SHOWN) <= 100


@pytest.mark.parametrize("width", [375, 1280])
def test_how_two_arms_differ_is_told_and_a_named_case_opens_in_the_list(
    browser: Browser, report: Made, tmp_path: Path, width: int
) -> None:
    path = tmp_path / "differences.html"
    write_pages([path], report.report, report.rows, besides=besides_of(report))
    browser.open(path, width=width, height=812)
    assert browser.run("document.querySelectorAll('#behaviour details').length") == 3
    assert browser.run("document.querySelectorAll('#behaviour details[open]').length") == 1
    browser.run("document.querySelectorAll('#behaviour details:not([open]) > summary').forEach(e => e.click())")
    assert browser.run("document.documentElement.scrollWidth") == width
    named = browser.run("document.querySelector('[data-case]').dataset.case")
    browser.run("document.querySelector('[data-case]').click()")
    browser.wait("!!document.querySelector('#list .body')")
    assert browser.run("[...document.querySelectorAll('#list .id')].map(e => e.textContent)") == [named]
    assert browser.refused == []
