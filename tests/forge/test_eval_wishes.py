"""What a caller may ask of an eval: arms, programs, scorers, repeats, limits, rescoring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skillforge.errors import Halt, UsageError
from skillforge.forge.forge import Forge
from skillforge.messages import Request
from skillforge.providers.scripted import Scripted

SKILL = """\
schema: skillforge/v1
name: parity
description: Say whether a number is even or odd. Use in tests.
input: {number: {type: integer}}
output: {is: {enum: [even, odd]}}
instructions: Say even or odd.
prompt: "{{ number }}"
examples:
  items:
    - {id: one, input: {number: 1001}, output: {is: odd}}
    - {id: two, input: {number: 1002}, output: {is: even}}
"""


def right(number: int) -> dict[str, str]:
    return {"is": "odd" if number % 2 else "even"}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "skills" / "parity"
    folder.mkdir(parents=True)
    (tmp_path / ".skillforge").mkdir()
    (folder / "skill.yaml").write_text(SKILL)
    suite_in(tmp_path)
    return tmp_path


def suite_in(repo: Path, count: int = 60, *, labels: bool = True, head: str = "decision: {metric: /is}") -> None:
    rows: list[dict[str, Any]] = [{"id": f"n{n}", "input": {"number": n}} for n in range(count)]
    for row in rows:
        number = row["input"]["number"]
        row["metadata"] = {"size": "big" if number >= 30 else "small"}
        if labels:
            row["expected"] = right(number)
    (repo / "evals").mkdir(exist_ok=True)
    (repo / "evals" / "parity.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (repo / "evals" / "parity.yaml").write_text(
        f"schema: skillforge/suite/v1\nname: parity\n{head}\ncases: file://parity.jsonl\n"
    )


def knows(request: Request) -> Any:
    return right(request.key.input["number"])


def guesses(request: Request) -> Any:
    """Right with instructions or examples in sight, else always odd."""
    told = len(request.messages) > 2 or "Say even or odd" in request.messages[0].text
    return knows(request) if told else {"is": "odd"}


def forge_at(repo: Path, student: Any = knows, teacher: Any = knows) -> Forge:
    providers = {"x:s": Scripted(default=student, name="x:s"), "x:t": Scripted(default=teacher, name="x:t")}
    return Forge(repo, providers=providers)


def measure(forge: Forge, **wishes: Any) -> Any:
    return forge.eval("parity", **{"students": ["x:s"], "teacher": "x:t", **wishes})


def test_by_default_the_skill_stands_beside_its_examples_alone_and_the_bare_model(repo):
    with forge_at(repo, guesses) as forge:
        report = measure(forge)
    assert [arm.kind for arm in report.arms] == ["no-model", "bare", "examples", "skill"]
    skill = report.arm("x:s + skill")
    assert [(lift.versus, lift.difference) for lift in skill.lifts][:2] == [("bare", 0.5), ("examples", 0.0)]


def test_the_raw_prompt_is_measured_where_it_is_asked_for(repo):
    with forge_at(repo) as forge:
        report = measure(forge, arms=["raw", "skill"])
    assert [arm.kind for arm in report.arms] == ["raw", "skill"]


def test_a_function_is_an_arm_with_a_verdict_of_its_own(repo):
    def solve(given: dict[str, Any]) -> dict[str, str]:
        return right(given["number"])

    with forge_at(repo) as forge:
        report = forge.eval("parity", teacher="x:t", students=[], own={"mine": solve})
    assert [(arm.name, arm.kind, arm.quality) for arm in report.arms if arm.kind == "own"] == [("mine", "own", 1.0)]
    assert report.verdict == "pass"


def test_a_variant_is_measured_beside_the_skill(repo, tmp_path):
    other = tmp_path / "other" / "parity"
    other.mkdir(parents=True)
    (other / "skill.yaml").write_text(SKILL.replace("Say even or odd.", "Answer odd or even."))
    with forge_at(repo) as forge:
        report = measure(forge, arms=["skill"], variants=[other / "skill.yaml"])
        assert [arm.kind for arm in report.arms] == ["skill", "variant"]
        assert len(forge.evidence(forge.show("parity"))) == 1  # a variant is no evidence of the skill
        (other / "skill.yaml").write_text(SKILL.replace("odd]", "odd, none]"))
        with pytest.raises(UsageError, match="same input and output"):
            measure(forge, variants=[other / "skill.yaml"])


def test_cases_that_ask_the_same_are_told(repo):
    rows = [{"id": f"n{n}", "input": {"number": n % 10}, "expected": right(n % 10)} for n in range(60)]
    (repo / "evals" / "parity.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said: list[str] = []
    providers = {"x:s": Scripted(default=knows, name="x:s"), "x:t": Scripted(default=knows, name="x:t")}
    with Forge(repo, providers=providers, say=said.append) as forge:
        measure(forge, arms=["skill"])
    assert any("50 of 60 cases ask what others ask" in line for line in said)


def test_a_filter_takes_cases_by_metadata_or_by_a_part_of_their_id(repo):
    with forge_at(repo) as forge:
        assert measure(forge, filter="size=big").cases == 30
        assert measure(forge, filter="n5").cases == 11
        with pytest.raises(UsageError, match="no case matches --filter size=huge"):
            measure(forge, filter="size=huge")


def test_every_repeat_is_asked_for_and_averaged_per_case(repo):
    answered: dict[int, int] = {}

    def wavers(request: Request) -> Any:
        number = request.key.input["number"]
        answered[number] = answered.get(number, 0) + 1
        return right(number + answered[number] % 2)  # wrong first, then right

    with forge_at(repo, wavers) as forge:
        report = measure(forge, arms=["skill"], repeat=2)
        assert report.arm("x:s + skill").quality == 0.5
        assert (report.repeat, report.samples) == (2, 240)
        assert set(answered.values()) == {2}
        again = measure(forge, arms=["skill"], repeat=2)
        assert again.reused == 240
    assert set(answered.values()) == {2}


def test_another_scorer_is_another_measurement(repo):
    def lenient(output: Any, expected: Any) -> float:
        return 1.0 if output else 0.0

    with forge_at(repo, lambda request: {"is": "odd"}) as forge:
        assert measure(forge).arm("x:s + skill").quality == 0.5
        report = measure(forge, scorer=lenient)
        assert report.arm("x:s + skill").quality == 1.0
        first, second = forge.evidence(forge.show("parity"))
    assert first.suite_digest != second.suite_digest


def test_rescoring_asks_nobody_and_follows_the_suite(repo):
    with forge_at(repo, lambda request: {"is": "odd"}) as forge:
        measure(forge)
    suite_in(repo, head="decision: {metric: /is, margin: 0.6}")
    silent = Scripted(name="x:s")
    with Forge(repo, providers={"x:s": silent, "x:t": Scripted(default=knows, name="x:t")}) as forge:
        found = forge.evals.rescore("parity", students=["x:s"], teacher="x:t")
    assert silent.seen == []
    assert (found.report.decision.margin, found.report.arm("x:s + skill").quality) == (0.6, 0.5)


@pytest.mark.parametrize("mode", ["fixed", "sequential"])
def test_rescoring_a_part_that_happens_to_be_stored_is_no_evidence(repo, mode):
    """Else whoever tries parts until one looks good, or cuts an eval off, has it promoted by scoring what there is."""
    suite_in(repo, 200, head=f"decision: {{metric: /is, mode: {mode}, margin: 0.2}}")
    with forge_at(repo) as forge:
        measure(forge, arms=["skill"], filter="n1")
        assert [item.report["filter"] for item in forge.evidence(forge.show("parity"))] == ["n1"]
        found = forge.evals.rescore("parity", students=["x:s"], teacher="x:t", arms=["skill"])
        assert (found.report.cases, found.report.verdict) == (200, "pass")
        assert [item.report["filter"] for item in forge.evidence(forge.show("parity"))] == ["n1"]
        measure(forge, arms=["skill"])
        assert [item.report["filter"] for item in forge.evidence(forge.show("parity"))] == ["", "n1"]
        again = forge.evals.rescore("parity", students=["x:s"], teacher="x:t", arms=["skill"]).report
    assert again.verdict == "pass"


def test_rescoring_what_was_never_measured_says_so(repo):
    with forge_at(repo) as forge, pytest.raises(UsageError, match="nothing is stored of"):
        forge.evals.rescore("parity", students=["x:s"], teacher="x:t")


def test_without_labels_a_teacher_that_answers_twice_can_be_matched(repo):
    suite_in(repo, labels=False)
    with forge_at(repo) as forge:
        report = measure(forge, arms=["skill"])
    assert (report.reference, report.second_pass, report.verdict) == ("teacher", True, "pass")
    assert report.teacher.quality == 1.0


def test_a_teacher_that_contradicts_itself_sets_the_bar_by_how_often_it_does(repo):
    suite_in(repo, 200, labels=False)
    asked: dict[int, int] = {}

    def moody(request: Request) -> Any:
        number = request.key.input["number"]
        asked[number] = asked.get(number, 0) + 1
        return right(number if asked[number] == 1 or number % 4 else number + 1)

    with forge_at(repo, teacher=moody) as forge:
        report = measure(forge, arms=["skill"])
    assert report.teacher.quality == 0.75
    skill = report.arm("x:s + skill")
    assert (skill.quality, report.verdict) == (1.0, "pass")
    assert skill.versus_teacher is not None
    assert skill.versus_teacher.difference == pytest.approx(0.25)


def test_a_student_against_itself_shows_the_noise_and_leaves_no_evidence(repo):
    with forge_at(repo) as forge:
        report = measure(forge, against_itself=True)
        assert (report.against_itself, report.verdict) == (True, "pass")
        assert [arm.name for arm in report.arms] == ["x:s + skill again"]
        assert forge.evidence(forge.show("parity")) == []


def test_too_many_errors_stop_the_eval_and_keep_what_was_measured(repo):
    def fails(request: Request) -> Any:
        from skillforge.errors import ProviderError

        raise ProviderError(f"no answer to {request.key.input['number']}")

    with forge_at(repo, fails) as forge:
        with pytest.raises(Halt, match="errors"):
            measure(forge, max_errors=3)
        assert measure(forge, arms=[], own={"mine": lambda given: right(given["number"])}).reused > 0


def test_conditions_beside_the_margin_hold_a_pass_back(repo):
    suite_in(repo, head="decision: {metric: /is, max_cost_per_1k: 0}")
    with forge_at(repo) as forge:
        assert measure(forge).verdict == "pass"  # a scripted model costs nothing
    suite_in(repo, head="decision: {metric: /is, min_quality: 0.99}")
    with forge_at(repo) as forge:
        report = measure(forge)
    versus = report.arm("x:s + skill").versus_teacher
    assert versus is not None
    assert (versus.verdict, versus.reason) == ("inconclusive", "quality may be below 99.0%")


def test_a_handful_of_cases_is_no_verdict(repo):
    suite_in(repo, 12, head="decision: {metric: /is}")
    with forge_at(repo, lambda request: {"is": "odd" if request.key.input["number"] % 2 == 0 else "even"}) as forge:
        report = measure(forge)
    versus = report.arm("x:s + skill").versus_teacher
    assert versus is not None
    assert (report.arm("x:s + skill").quality, versus.verdict, versus.cases_needed) == (0.0, "inconclusive", 8)
    assert versus.reason == "12 cases are too few for a verdict: it takes at least 20"


@pytest.mark.parametrize("suffix", [".html", ".md", ".json", ".jsonl", ".xml"])
def test_a_report_is_written_by_its_suffix(repo, tmp_path, suffix):
    path = tmp_path / f"report{suffix}"
    with forge_at(repo) as forge:
        forge.evals.write(forge.evals.measure("parity", students=["x:s"], teacher="x:t"), [path])
    assert path.stat().st_size > 500


@pytest.mark.parametrize("stopped_by", ["the same error", "the number of errors"])
def test_why_an_eval_stopped_is_told_without_secrets(repo, monkeypatch, stopped_by):
    monkeypatch.setenv("CANARY_API_KEY", "canary-5d0f1e77aa")
    same = stopped_by == "the same error"

    def leaks(given: dict[str, Any]) -> Any:
        raise RuntimeError(f"no canary-5d0f1e77aa {'' if same else given['number']}")

    with forge_at(repo) as forge, pytest.raises(Halt, match="redacted") as caught:
        forge.eval(
            "parity", teacher="x:t", arms=["no-model"], own={"mine": leaks}, **({} if same else {"max_errors": 3})
        )
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__
