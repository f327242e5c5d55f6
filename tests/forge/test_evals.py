from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillforge.canonical import digest
from skillforge.errors import NotFound, ProviderError, UsageError
from skillforge.evals.report import EvalReport
from skillforge.messages import Request
from skillforge.providers.scripted import Scripted

QUEUES = ("billing", "bug")
STUDENT = "scripted:student"


def queue_of(text: str) -> str:
    return QUEUES["crash" in text]


def right(request: Request) -> Any:
    return {"queue": queue_of(request.key.input["ticket"]), "quote": "x"}


def wrong(request: Request) -> Any:
    """Right with the skill, wrong without."""
    with_skill = len(request.messages) > 2
    return right(request) if with_skill else {"queue": "billing", "quote": "x"}


def student(default: Any = wrong) -> Scripted:
    return Scripted(default=default, name=STUDENT)


@pytest.fixture
def suite_in(triage: Any) -> Callable[..., Path]:
    """Writes a suite of ``count`` test cases, half of them crashes, and a teacher's recording of all of them."""

    def write(root: Path, count: int = 40, *, text: str = "", labels: bool = True, head: str = "") -> Path:
        folder = root / "evals"
        folder.mkdir(exist_ok=True)
        cases, lines = [], []
        for number in range(count):
            ticket = f"{'crash' if number % 2 else 'charged'} {number} {text}"
            expected = {"queue": queue_of(ticket), "quote": "x"}
            case = {"id": f"c{number}", "input": {"ticket": ticket}, "split": "test"}
            cases.append({**case, "expected": expected} if labels else case)
            asked = {"role": "solve", "task": digest(triage().task), "input": case["input"]}
            cost = {"usd": 0.01, "estimated": True, "basis": "list"}
            lines.append({"request": asked, "response": {"json": expected, "cost": cost, "latency_s": 1.0}})
        cases.append({"id": "seen", "input": {"ticket": "train"}, "expected": {"queue": "bug"}, "split": "train"})
        (folder / "ticket-triage.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
        (folder / "teacher.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        path = folder / "ticket-triage.yaml"
        path.write_text(
            "schema: skillforge/suite/v1\nname: ticket-triage\n"
            f"{head or 'decision: {metric: /queue, margin: 0.1}'}\n"
            "cases: file://ticket-triage.jsonl\nrecorded: file://teacher.jsonl\n"
        )
        return path

    return write


THREE = ("no-model", "bare", "skill")


def measure(forge: Any, **more: Any) -> EvalReport:
    report: EvalReport = forge.eval("ticket-triage", **{"students": [STUDENT], "arms": THREE, **more})
    return report


def figures(report: EvalReport) -> dict[str, Any]:
    """All of a report but what it took to make it this time."""
    return report.model_dump(exclude={"seconds", "reused"})


def test_a_report_holds_every_arm_on_the_unseen_cases(repo, skill_in, suite_in, forge_at):
    skill_in(repo)
    suite_in(repo)
    forge = forge_at(repo, providers={STUDENT: student()})
    started: list[Any] = []
    report = measure(forge, teacher="recorded", on_start=lambda arms, cases, _: started.append((len(arms), len(cases))))
    assert started == [(4, 40)]
    assert [arm.name for arm in report.arms] == ["no-model", f"{STUDENT} bare", f"{STUDENT} + skill"]
    assert (report.split, report.cases, report.samples, report.reused) == ("test", 40, 160, 0)
    assert (report.reference, report.version, report.skill) == ("labels", 1, "ticket-triage")
    assert (report.teacher.quality, report.teacher.cost_estimated) == (1.0, True)
    assert report.teacher.usd_per_1000 == pytest.approx(10.0)
    assert (report.teacher.errors, report.teacher.p95_s) == (0, 1.0)
    assert report.arm(f"{STUDENT} bare").quality == 0.5
    assert report.arm(f"{STUDENT} + skill").quality == 1.0
    assert report.verdict == "pass"
    assert (report.cost_usd, report.spent_usd) == (pytest.approx(0.4), 0.0)  # a recording costs nothing now
    version = forge.show("ticket-triage")
    (evidence,) = forge.evidence(version)
    assert (evidence.verdict, evidence.student, evidence.teacher) == ("pass", STUDENT, "recorded")
    assert evidence.report["arms"][2]["quality"] == 1.0
    assert (evidence.split, evidence.cases, evidence.harness) == ("test", 40, report.harness)
    assert evidence.student_identity == student().fingerprint()
    assert evidence.teacher_identity.startswith("replay")
    assert evidence.samples == {"teacher": {}, f"{STUDENT} + skill": {}}  # nothing lost, nothing gained


def test_the_recorded_teacher_is_found_by_the_input_as_it_stands_in_the_suite(repo, skill_in, suite_in, forge_at):
    """The contract has a default that the recorded inputs lack."""
    skill_in(repo)
    suite_in(repo, 4)
    report = measure(forge_at(repo, providers={STUDENT: student()}), teacher="recorded")
    assert report.teacher.errors == 0


def test_a_resumed_eval_gives_the_same_report_and_pays_nothing(repo, skill_in, suite_in, forge_at):
    skill_in(repo)
    suite_in(repo)
    fresh = measure(forge_at(repo, providers={STUDENT: student()}))
    silent = student(None)
    resumed = measure(forge_at(repo, providers={STUDENT: silent}))
    assert (resumed.reused, resumed.samples, silent.seen) == (160, 160, [])
    assert figures(resumed) == figures(fresh)
    forge = forge_at(repo)
    assert len(forge.evidence(forge.show("ticket-triage"))) == 1  # the same measurement is no new evidence


@pytest.mark.parametrize("store_io", ["redacted", "none", "full"])
def test_so_it_is_when_an_output_or_a_label_holds_a_secret(
    repo, skill_in, suite_in, forge_at, canary, store_io, stored_bytes
):
    def leak(request: Request) -> Any:
        asked = request.key.input["ticket"]
        return {"queue": queue_of(asked), "quote": asked if "7" in asked else "x"}

    (repo / "skillforge.toml").write_text(f'store_io = "{store_io}"\n')
    skill_in(repo)
    suite_in(repo, 20, text=canary, head="decision: {metric: fields, margin: 0.2}")
    fresh = measure(forge_at(repo, providers={STUDENT: student(leak)}))
    resumed = measure(forge_at(repo, providers={STUDENT: student(None)}))
    assert resumed.reused == resumed.samples
    assert figures(resumed) == figures(fresh)
    if store_io != "full":
        assert canary.encode() not in stored_bytes(repo / ".skillforge")


def test_an_output_that_redaction_changed_is_asked_again_where_everything_is_kept(
    repo, skill_in, suite_in, forge_at, canary, monkeypatch
):
    def number(request: Request) -> str:
        return str(request.key.input["ticket"].split()[1])

    def leak(request: Request) -> Any:
        asked = request.key.input["ticket"]
        return {"queue": queue_of(asked), "quote": canary if number(request) in ("7", "17") else "x"}

    skill_in(repo)
    suite_in(repo, 20, text=canary, head="decision: {metric: fields, margin: 0.2}")
    measure(forge_at(repo, providers={STUDENT: student(leak)}))
    monkeypatch.setenv("SKILLFORGE_STORE_IO", "full")
    again = student(leak)
    full = measure(forge_at(repo, providers={STUDENT: again}))
    assert sorted(map(number, again.seen)) == ["17", "17", "7", "7"]  # bare and skill
    resumed = measure(forge_at(repo, providers={STUDENT: student(None)}))
    assert resumed.reused == resumed.samples
    assert figures(resumed) == figures(full)
    monkeypatch.setenv("SKILLFORGE_STORE_IO", "redacted")
    assert measure(forge_at(repo, providers={STUDENT: student(None)})).reused == full.samples


def test_the_same_figures_of_another_teacher_model_or_part_are_new_evidence(repo, skill_in, suite_in, forge_at):
    skill_in(repo)
    suite_in(repo, 4)
    teacher, other = (Scripted(default=right, name=name) for name in ("scripted:t", "scripted:u"))
    providers = {STUDENT: student(right), "scripted:t": teacher, "scripted:u": other}
    forge = forge_at(repo, providers=providers)

    def kept() -> int:
        return len(forge.evidence(forge.show("ticket-triage")))

    for more, rows in (
        ({"teacher": "scripted:t"}, 1),
        ({"teacher": "scripted:t"}, 1),
        ({"teacher": "scripted:u"}, 2),
        ({"teacher": "scripted:u", "split": "all"}, 3),
        ({"teacher": "scripted:u", "split": "all", "limit": 3}, 4),
        ({"teacher": "scripted:u", "split": "all", "limit": 3}, 4),
    ):
        measure(forge, **more)
        assert kept() == rows
    newest = forge.evidence(forge.show("ticket-triage"))[0]
    assert (newest.split, newest.cases, newest.teacher_identity) == ("all", 3, other.fingerprint())


def test_lost_cases_show_the_right_answers_whatever_else_asked_the_same(repo, skill_in, suite_in, forge_at):
    """A second suite has the same inputs under other ids, one of them an id of the first suite's; and the teacher is
    the student.
    """

    def by_role(request: Request) -> Any:
        ticket = request.key.input["ticket"]
        return right(request) if request.key.role == "solve" else {"queue": "billing", "quote": ticket}

    skill_in(repo)
    path = suite_in(repo, 4)
    forge = forge_at(repo, providers={STUDENT: student(by_role)})
    measure(forge, teacher=STUDENT)
    cases = [json.loads(line) for line in path.with_suffix(".jsonl").read_text().splitlines()]
    renamed = [case | {"id": f"c{number + 2}"} for number, case in enumerate(cases[:4])]
    path.with_suffix(".jsonl").write_text("".join(json.dumps(case) + "\n" for case in renamed))
    measure(forge, teacher=STUDENT)
    lost = forge.lost(forge.show("ticket-triage"))
    assert [item.case for item in lost] == ["c3", "c5"]
    for item, ticket in zip(lost, ("crash 1 ", "crash 3 "), strict=True):
        assert item.input == {"ticket": ticket}
        assert item.answer == {"queue": "billing", "quote": ticket}
        assert item.teacher == item.expected == {"queue": "bug", "quote": "x"}


def test_an_interrupted_eval_asks_only_for_the_rest(repo, skill_in, suite_in, forge_at):
    skill_in(repo)
    suite_in(repo)
    calls = 0

    def breaks(request: Request) -> Any:
        nonlocal calls
        calls += 1
        if calls > 25:
            raise ProviderError("the line is cut")
        return wrong(request)

    first = measure(forge_at(repo, providers={STUDENT: student(breaks)}))
    assert first.verdict == "inconclusive"
    skill_arm = first.arm(f"{STUDENT} + skill")
    assert skill_arm.errors > 0
    assert skill_arm.versus_teacher is not None
    assert "infrastructure errors" in skill_arm.versus_teacher.reason
    rest = student()
    second = measure(forge_at(repo, providers={STUDENT: rest}))
    assert len(rest.seen) == 80 - 25
    assert second.verdict == "pass"


def test_a_limit_takes_a_fixed_stratified_part(repo, skill_in, suite_in, forge_at):
    skill_in(repo)
    suite_in(repo)
    cases: list[str] = []
    forge = forge_at(repo, providers={STUDENT: student()})
    small = measure(forge, limit=10, on_start=lambda arms, chosen, _: cases.extend(case.id for case in chosen))
    assert (small.cases, len(cases)) == (10, 10)
    assert sum(int(case[1:]) % 2 for case in cases) == 5
    larger = student()
    measure(forge_at(repo, providers={STUDENT: larger}))
    assert len(larger.seen) == 60
    with pytest.raises(UsageError, match="at least 1"):
        measure(forge, limit=0)


def test_a_split_can_be_named(repo, skill_in, suite_in, forge_at):
    skill_in(repo)
    suite_in(repo, 4)
    forge = forge_at(repo, providers={STUDENT: student()})
    assert measure(forge, split="all", teacher=STUDENT).cases == 5
    with pytest.raises(UsageError, match="'dev'"):
        measure(forge, split="dev")


def test_without_labels_only_agreement_is_measured(repo, skill_in, suite_in, forge_at):
    skill_in(repo)
    suite_in(repo, labels=False)
    (repo / "evals" / "ticket-triage.jsonl").write_text(
        "\n".join(
            line
            for line in (repo / "evals" / "ticket-triage.jsonl").read_text().splitlines()
            if json.loads(line)["split"] == "test"
        )
    )
    report = measure(forge_at(repo, providers={STUDENT: student()}))
    assert (report.reference, report.verdict) == ("teacher", "inconclusive")


def test_unlabelled_cases_are_left_out_where_others_have_labels(repo, skill_in, suite_in, forge_at):
    skill_in(repo)
    path = suite_in(repo, 4)
    with path.with_suffix(".jsonl").open("a") as out:
        out.write('{"id": "open", "input": {"ticket": "?"}, "split": "test"}\n')
    assert measure(forge_at(repo, providers={STUDENT: student()})).cases == 4


@pytest.mark.parametrize(
    ("row", "part"),
    [
        (
            {"id": "odd", "input": {"mail": "x"}, "expected": {"queue": "bug"}},
            "case odd: ticket-triage: input does not fit",
        ),
        (
            {"id": "odd", "input": {"ticket": "x"}, "expected": {"label": "bug"}},
            "case odd: expected does not fit the skill: label: not a field",
        ),
        (
            {"id": "odd", "input": {"ticket": "x"}, "expected": {"queue": "sales"}},
            "case odd: expected does not fit the skill: queue: 'sales' is not one of",
        ),
        (
            {"id": "odd", "input": {"ticket": "x"}, "expected": {"quote": "x"}},
            "case odd: expected does not fit the skill: nothing at /queue, which the metric compares",
        ),
    ],
)
def test_a_suite_that_does_not_fit_is_refused_before_any_call(repo, skill_in, suite_in, forge_at, row, part):
    skill_in(repo)
    path = suite_in(repo, 4)
    with path.with_suffix(".jsonl").open("a") as out:
        out.write(json.dumps({**row, "split": "test"}) + "\n")
    asked = student()
    with pytest.raises(UsageError, match=part):
        measure(forge_at(repo, providers={STUDENT: asked}))
    assert asked.seen == []


def test_the_suite_is_found_by_flag_then_skill_then_name(repo, skill_in, suite_in, forge_at, tmp_path):
    skill_in(repo)
    forge = forge_at(repo, providers={STUDENT: student()})
    with pytest.raises(NotFound, match="ticket-triage has no suite"):
        measure(forge)
    path = suite_in(repo, 4)
    assert measure(forge).cases == 4
    other = repo / "evals" / "other.yaml"
    other.write_text(path.read_text().replace("name: ticket-triage", "name: other"))
    skill_in(repo, suite="evals/other.yaml")
    assert measure(forge).suite == "other"
    assert measure(forge, suite=path).suite == "ticket-triage"


@pytest.mark.parametrize("suite", ["../outside.yaml", "/etc/hostname", "evals/../../outside.yaml"])
def test_a_skill_does_not_choose_a_suite_outside_the_repository(repo, skill_in, suite_in, forge_at, suite):
    skill_in(repo, suite=suite)
    (repo.parent / "outside.yaml").write_text(suite_in(repo, 4).read_text())
    with pytest.raises(UsageError, match="lies outside"):
        measure(forge_at(repo, providers={STUDENT: student()}))


def test_a_suite_without_a_recording_has_no_recorded_teacher(repo, skill_in, suite_in, forge_at):
    skill_in(repo)
    path = suite_in(repo, 4)
    path.write_text(path.read_text().replace("recorded: file://teacher.jsonl\n", ""))
    with pytest.raises(UsageError, match="no recorded teacher"):
        measure(forge_at(repo, providers={STUDENT: student()}), teacher="recorded")


def test_a_changed_file_is_measured_as_what_is_written(repo, skill_in, suite_in, forge_at):
    said: list[str] = []
    skill_in(repo)
    suite_in(repo, 4)
    forge = forge_at(repo, providers={STUDENT: student()}, say=said.append)
    assert measure(forge).version == 1
    skill_in(repo, instructions="Better.")
    assert measure(forge).version == 2
    assert len(said) == 2


def test_a_case_that_is_an_example_of_the_skill_is_left_out_and_that_is_said(repo, skill_in, suite_in, forge_at):
    suite_in(repo)
    example = {"id": "e1", "input": {"ticket": "crash 1 "}, "output": {"queue": "bug", "quote": "x"}}
    skill_in(repo, examples={"items": [example]})
    said: list[str] = []
    report = measure(forge_at(repo, providers={STUDENT: student()}, say=said.append), teacher="recorded")
    assert report.cases == 39
    assert any("1 case left out" in line for line in said)


def test_a_suite_of_nothing_but_examples_is_refused(repo, skill_in, suite_in, forge_at):
    suite_in(repo)
    example = {"id": "e1", "input": {"ticket": "train"}, "output": {"queue": "bug", "quote": "x"}}
    skill_in(repo, examples={"items": [example]})
    with pytest.raises(UsageError, match="every case is an example"):
        measure(forge_at(repo, providers={STUDENT: student()}), teacher="recorded", split="train")
