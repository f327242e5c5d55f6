"""Evidence says what it was measured with, and is stale where that is no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skillforge import Forge, Scripted
from skillforge.errors import PromotionRefused
from skillforge.forge.stale import _judges
from skillforge.messages import Request

STUDENT, TEACHER, JUDGE = "scripted:s", "scripted:t", "scripted:j"
SUITE = "schema: skillforge/suite/v1\nname: ticket-triage\ndecision: {metric: /queue, margin: 0.4}\ncases:\n"

Opened = Callable[..., Forge]


def right(request: Request) -> Any:
    return {"queue": "billing", "quote": "x"}


def write_suite(root: Path, text: str = SUITE, word: str = "charged") -> Path:
    row = (
        "  - {{id: c{0}, input: {{ticket: {1} {0}}}, expected: {{queue: billing, quote: x}}, metadata: {{k: v{2}}}}}\n"
    )
    (root / "evals").mkdir(exist_ok=True)
    path = root / "evals" / "ticket-triage.yaml"
    path.write_text(text + "".join(row.format(n, word, n % 2) for n in range(40)))
    return path


@pytest.fixture
def opened(repo: Path, skill_in: Any, forge_at: Any) -> Opened:
    skill_in(repo)
    write_suite(repo)

    def open_one(**names: str) -> Forge:
        known = {STUDENT: STUDENT, TEACHER: TEACHER, JUDGE: JUDGE, **names}
        return forge_at(repo, providers={model: Scripted(default=right, name=name) for model, name in known.items()})

    return open_one


@pytest.fixture
def measured(opened: Opened) -> Forge:
    forge = opened()
    forge.eval("ticket-triage", students=[STUDENT], teacher=TEACHER)
    return forge


def stale(forge: Forge) -> dict[str, str]:
    (standing,) = forge.standings([forge.show("ticket-triage")])
    assert standing is not None
    return {change.what: change.why for change in standing.stale}


def test_what_was_just_measured_is_fresh(measured, opened):
    assert stale(measured) == {}
    assert stale(opened()) == {}


def test_a_skill_that_nobody_measured_stands_nowhere(opened):
    forge = opened()
    assert forge.standings([forge.show("ticket-triage")]) == [None]


def test_a_changed_skill_is_told_and_its_old_verdict_shown(measured, repo):
    file = repo / "skills/ticket-triage/skill.yaml"
    file.write_text(file.read_text().replace("description: ", "description: Now "))
    assert stale(measured) == {"skill": "another version of ticket-triage was measured, not @2"}


@pytest.mark.parametrize(
    "change",
    [
        lambda root: write_suite(root, word="refunded"),
        lambda root: write_suite(root, SUITE.replace("0.4", "0.3")),
        lambda root: write_suite(root, SUITE.replace("cases:", "judge: scripted:j\ncases:")),
    ],
    ids=["cases", "rule", "judge"],
)
def test_a_changed_suite_is_told(measured, repo, change):
    change(repo)
    assert stale(measured) == {"suite": "the cases, the scorers or the rule of the suite ticket-triage changed"}


def test_a_description_and_metadata_do_not_make_it_stale(measured, repo):
    write_suite(repo, SUITE.replace("name:", "description: of ours\nname:"))
    assert stale(measured) == {}


@pytest.mark.parametrize("text", ["schema: [", "\x00", ""], ids=["yaml", "nul", "empty"])
def test_a_broken_suite_is_a_reason_and_no_error(measured, repo, text):
    (repo / "evals/ticket-triage.yaml").write_text(text)
    told = stale(measured)
    assert list(told) == ["suite"]
    assert told["suite"].startswith("the suite cannot be read: ")
    assert "\n" not in told["suite"]


def test_a_suite_that_is_gone_is_a_reason(measured, repo):
    (repo / "evals/ticket-triage.yaml").unlink()
    assert "suite" in stale(measured)


def test_cases_in_a_store_are_not_fetched_to_compare(measured, repo):
    text = SUITE.replace("cases:\n", "cases: s3://bucket/cases.jsonl\n")
    (repo / "evals/ticket-triage.yaml").write_text(text)
    assert stale(measured) == {}


def test_changed_models_are_told_by_their_part(measured, opened):
    assert list(stale(opened(**{STUDENT: "other"}))) == ["student"]
    assert list(stale(opened(**{TEACHER: "other"}))) == ["teacher"]


def test_a_changed_judge_is_told(measured, opened):
    forge = measured
    version = forge.show("ticket-triage")
    (item,) = forge.evidence(version)
    judged = replace(item, report={**item.report, "judges": [{"model": JUDGE, "identity": JUDGE}]})
    assert forge.stale(version, [judged]) == [()]
    changed = opened(**{JUDGE: "another"})
    ((change,),) = changed.stale(version, [judged])
    assert change.what == "judge"
    gone = replace(item, report={**item.report, "judges": [{"model": "scripted:none.yaml", "identity": "x"}]})
    assert [change.what for change in forge.stale(version, [gone])[0]] == ["judge"]


@pytest.mark.parametrize(
    "judges", [None, "x", [1], [{}], [{"model": 1, "identity": []}], [{"model": "", "identity": ""}]]
)
def test_a_report_that_is_none_names_no_judge(judges):
    assert _judges({"judges": judges}) == []


@pytest.mark.parametrize("part", [{"limit": 20}, {"filter": "k=v1"}], ids=["limit", "filter"])
def test_a_part_of_the_cases_is_no_proof(opened, part):
    forge = opened()
    forge.eval("ticket-triage", students=[STUDENT], teacher=TEACHER, **part)
    assert stale(forge) == {}
    with pytest.raises(PromotionRefused) as caught:
        forge.deployments.promote("ticket-triage", student=STUDENT)
    wanted = f"only 20 of 40 cases were measured (--{next(iter(part))}): trying several parts is optional stopping"
    assert caught.value.reasons[-1] == wanted


def test_a_huge_suite_is_compared_only_where_one_skill_is_looked_at(measured, repo, monkeypatch):
    monkeypatch.setattr("skillforge.forge.stale.MOST_BYTES", 100)
    write_suite(repo, word="refunded")
    assert stale(measured) == {}
    version = measured.show("ticket-triage")
    ((change,),) = measured.stale(version, measured.evidence(version))
    assert change.what == "suite"


JUDGED = SUITE.replace("cases:", "judge: scripted:j\ncases:")


@pytest.mark.parametrize(
    ("wish", "flag", "declared"),
    [
        ({"judge": JUDGE}, f"--judge {JUDGE}", f"judge: {JUDGE}"),
        ({"scorer": "exact"}, "--scorer exact", "decision: {metric: exact}"),
        ({"repeat": 2}, "--repeat 2", "repeat: 2"),
        (
            {"scorer": '{"type": "exact", "path": "/queue"}'},
            '--scorer {"type": "exact", "path": "/queue"}',
            "a scorer of its own, named by decision: metric",
        ),
        (
            {"scorer": lambda output, expected: float(output == expected)},
            "--scorer <lambda>",
            "decision: metric, once an installed package offers the function as an entry point",
        ),
    ],
    ids=["judge", "scorer", "repeat", "json", "function"],
)
def test_what_flags_replaced_is_told_as_such_and_is_no_proof(opened, wish, flag, declared):
    forge = opened()
    assert forge.eval("ticket-triage", students=[STUDENT], teacher=TEACHER, **wish).wished == (flag,)
    why = f"it was measured with {flag}, which the suite does not say: write it into the suite ({declared}) and rescore"
    assert stale(forge) == {"wish": why}
    with pytest.raises(PromotionRefused) as caught:
        forge.deployments.promote("ticket-triage", student=STUDENT)
    assert len(caught.value.reasons) == 1
    assert caught.value.reasons[0].startswith(why)


def test_what_the_suite_says_as_well_was_not_replaced(opened):
    forge = opened()
    report = forge.eval("ticket-triage", students=[STUDENT], teacher=TEACHER, scorer="/queue", repeat=1)
    assert report.wished == ()
    assert stale(forge) == {}


def test_a_suite_that_came_to_say_what_was_wished_makes_it_proof(opened, repo):
    forge = opened()
    forge.eval("ticket-triage", students=[STUDENT], teacher=TEACHER, judge=JUDGE)
    write_suite(repo, JUDGED)
    assert stale(forge) == {}
    assert forge.deployments.promote("ticket-triage", student=STUDENT).verdict == "pass"


def test_a_suite_that_changed_too_is_told_as_changed(opened, repo):
    forge = opened()
    forge.eval("ticket-triage", students=[STUDENT], teacher=TEACHER, judge=JUDGE)
    write_suite(repo, word="refunded")
    assert list(stale(forge)) == ["suite"]


@pytest.mark.parametrize("wished", [None, "x", [1], ["--repeat"], ["--repeat x"], ["--limit 3"], ["--scorer {"]])
def test_wishes_that_are_none_in_a_report_are_no_error(measured, wished):
    version = measured.show("ticket-triage")
    (item,) = measured.evidence(version)
    odd = replace(item, suite_digest="sha256:other", report={**item.report, "wished": wished})
    assert [change.what for change in measured.stale(version, [odd])[0]] == ["suite"]


@pytest.mark.parametrize(
    "later",
    [{"limit": 3}, {"filter": "k=v1"}, {"judge": JUDGE}, {"scorer": "exact"}],
    ids=lambda wish: next(iter(wish)),
)
def test_a_smoke_test_takes_no_verdict_away(measured, later):
    forge, version = measured, measured.show("ticket-triage")
    forge.eval("ticket-triage", students=[STUDENT], teacher=TEACHER, **later)
    _, whole = forge.evidence(version)
    (standing,) = forge.standings([version])
    assert (standing.evidence.id, standing.stale) == (whole.id, ())
    assert forge.deployments.promote("ticket-triage", student=STUDENT).verdict == "pass"
    files = (forge.root / "skills/ticket-triage/evidence").glob("*.json")
    assert [path.read_text().count('"created_at"') for path in files] == [2]


def test_a_later_whole_result_counts_more_than_an_earlier_one(measured, opened):
    forge, version = measured, measured.show("ticket-triage")
    first = forge.evidence(version)[0]
    other = opened(**{TEACHER: "other"})
    other.eval("ticket-triage", students=[STUDENT], teacher=TEACHER)
    other.eval("ticket-triage", students=[STUDENT], teacher=TEACHER, limit=3)
    (standing,) = other.standings([version])
    assert standing.evidence.report["limit"] is None
    assert standing.evidence.id != first.id
    (standing,) = forge.standings([version])  # the newest whole one is stale here: no older one takes its place
    assert standing.evidence.report["limit"] == 3


def test_a_limit_that_leaves_out_nothing_is_no_part(opened):
    forge = opened()
    report = forge.eval("ticket-triage", students=[STUDENT], teacher=TEACHER, limit=9999)
    assert (report.limit, report.cases) == (None, 40)
    assert forge.deployments.promote("ticket-triage", student=STUDENT).verdict == "pass"


def test_the_advice_of_a_refusal_is_the_command_that_measures_it(opened, repo):
    forge = opened()
    other = repo / "evals" / "second one.yaml"
    other.write_text((repo / "evals/ticket-triage.yaml").read_text().replace("name: ticket-triage", "name: second"))
    with pytest.raises(PromotionRefused) as caught:
        forge.deployments.promote("ticket-triage", student=STUDENT, suite=other)
    command = (
        f"measure it: skillforge eval ticket-triage --students {STUDENT} --teacher PROVIDER:MODEL --suite '{other}';"
    )
    assert caught.value.hint.startswith(command)
    forge.eval("ticket-triage", students=[STUDENT], teacher=TEACHER, limit=3)
    with pytest.raises(PromotionRefused) as caught:
        forge.deployments.promote("ticket-triage", student=STUDENT)
    assert f"skillforge eval ticket-triage --students {STUDENT} --teacher {TEACHER};" in caught.value.hint


def test_a_version_that_was_measured_on_another_suite_is_told_its_file(opened, repo):
    forge = opened()
    other = repo / "evals" / "second.yaml"
    text = (repo / "evals/ticket-triage.yaml").read_text()
    other.write_text(text.replace("name: ticket-triage", "name: second").replace("charged", "refunded"))
    forge.eval("ticket-triage", students=[STUDENT], teacher=TEACHER, suite=other)
    with pytest.raises(PromotionRefused) as caught:
        forge.deployments.promote("ticket-triage", student=STUDENT)
    assert "; or name the suite it was measured on: --suite evals/second.yaml;" in caught.value.hint
