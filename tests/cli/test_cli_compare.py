"""``skillforge compare``: verdict, figures, exit codes, and what is said of a file that is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from moods import Cli

import skillforge

ROOT = Path(skillforge.__file__).parents[1]
DATA = os.environ.get("SKILLFORGE_DATA")


def lines(right: int, lost: int, **more: object) -> str:
    rows = [
        {"id": f"c{n}", "expected": "a", "teacher": "a", "student": "a" if n < right else "b", **more}
        for n in range(right + lost)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of recorded outputs in a folder that is no repository; the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recorded.jsonl").write_text(lines(299, 1, cost={"teacher": 0.02, "student": 0.001}))
    return tmp_path / "recorded.jsonl"


def test_no_repository_is_needed_and_none_is_made(cli: Cli, recorded: Path) -> None:
    done = cli("compare", "recorded.jsonl")
    assert done.code == 0
    head, verdict, *rest = done.out.splitlines()
    assert head == "recorded.jsonl · 300 cases · teacher: 100.0% right, $20.00 per 1,000, p95 –"
    assert verdict == (
        " REPLACE  student  99.7% right  · $1.00 (-95%) · p95 –  95% sure: at most 1.5 points worse (you allow 5)"
    )
    assert " student: 0 cases got better, 1 worse: c299" in rest
    assert done.err == ""
    assert [path.name for path in recorded.parent.iterdir()] == ["recorded.jsonl"]


@pytest.mark.parametrize(
    ("right", "lost", "code", "word"), [(300, 0, 0, "pass"), (200, 60, 1, "fail"), (40, 2, 3, None)]
)
def test_the_exit_code_is_the_verdict(cli: Cli, recorded: Path, right: int, lost: int, code: int, word: str) -> None:
    recorded.write_text(lines(right, lost))
    done = cli("compare", "recorded.jsonl", "--json")
    assert done.code == code
    assert done.json["verdict"] == (word or "inconclusive")


def test_json_holds_what_programs_read(cli: Cli, recorded: Path) -> None:
    found = cli("compare", "recorded.jsonl", "--json", "--margin", ".03").json
    assert {"n": 300, "lost": 1, "gained": 0, "margin": 0.03, "mcnemar_p": 1.0}.items() <= found.items()
    assert found["teacher"]["mean"] == 1
    assert found["student"]["interval"][0] < found["student"]["mean"] < found["student"]["interval"][1]
    assert found["bound"] == found["interval"][0] < found["diff"] < found["bound_high"]
    assert found["cases_needed"] is None
    assert found["saving"] == pytest.approx(0.95)


def test_too_many_errors_are_exit_code_4(cli: Cli, recorded: Path) -> None:
    failed = json.dumps({"id": "x", "expected": "a", "teacher": "a", "student": None, "error": "timeout \x1b[31m"})
    recorded.write_text(lines(20, 0) + failed + "\n")
    done = cli("compare", "recorded.jsonl")
    assert done.code == 4
    assert "4.8% infrastructure errors (at most 2%)" in done.out
    assert "1 error of student: timeout  [31m" in done.out


def test_files_of_several_models_are_joined_and_what_is_missing_is_said(cli: Cli, recorded: Path) -> None:
    folder = recorded.parent
    rows = [{"id": n, "output": "a", "expected": "a"} for n in range(300)]
    for name, most in (("opus", 300), ("haiku", 300), ("luna", 200)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:most]))
    done = cli("compare", "opus.jsonl", "haiku.jsonl", "luna.jsonl")
    assert " REPLACE   haiku" in done.out
    assert "luna has no line of 100 cases: 200, 201, 202, 203, 204 and 95 more" in done.out
    both = cli("compare", "opus.jsonl", "luna.jsonl", "--common")
    assert both.code == 0
    assert "100 cases are left out" in both.err


def test_fields_of_other_names_groups_and_a_scorer(cli: Cli, recorded: Path) -> None:
    rows = [
        {"gold": "A b", "m": {"gpt": "a B", "mini": "ab" if n < 60 else "a b"}, "lang": "de" if n < 100 else "en"}
        for n in range(200)
    ]
    recorded.write_text("".join(json.dumps(row) + "\n" for row in rows))
    fields = ("--teacher", "m.gpt", "--student", "/m/mini", "--expected", "gold", "--scorer", "normalized")
    done = cli("compare", "recorded.jsonl", *fields, "--by", "lang")
    assert done.code == 1
    assert " de · 100 cases · teacher 100.0% right\n KEEP  /m/mini  40.0% right" in done.out
    assert " en · 100 cases · teacher 100.0% right\n REPLACE  /m/mini  100.0% right" in done.out
    found = cli("compare", "recorded.jsonl", *fields, "--by", "lang", "--json").json
    assert [group["students"][0]["verdict"] for group in found["groups"]] == ["fail", "pass"]


def test_what_is_wrong_is_said_with_its_line_and_is_exit_code_2(cli: Cli, recorded: Path) -> None:
    recorded.write_text('{"teacher": 1, "student": 1}\n{"teacher": 1, "student": NaN}\n')
    done = cli("compare", "recorded.jsonl")
    assert (done.code, done.out) == (2, "")
    assert "recorded.jsonl:2: not JSON: NaN is not JSON" in done.err
    recorded.write_text('{"teacher": 1, "studnet": 1}\n')
    done = cli("compare", "recorded.jsonl")
    assert done.code == 2
    assert "did you mean 'studnet'" in done.err
    assert cli("compare").code == 2
    assert cli("compare", "nowhere.jsonl").code == 2
    assert cli("compare", "recorded.jsonl", "--margin", "5").code == 2


def test_ids_reach_no_terminal_as_they_are_and_secrets_none(
    cli: Cli, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-secret-of-this-machine-123456")
    bad = {"id": "\x1b[2J\u202eevil" + "x" * 500, "expected": "a", "teacher": "a", "student": "b"}
    wrong = {
        "id": "w",
        "expected": "a",
        "teacher": "a",
        "student": None,
        "error": "key sk-a-secret-of-this-machine-123456",
    }
    recorded.write_text(lines(99, 0) + json.dumps(bad) + "\n" + json.dumps(wrong) + "\n")
    shown, printed = cli("compare", "recorded.jsonl").out, cli("compare", "recorded.jsonl", "--json").out
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "x" * 100 not in shown
    assert "sk-a-secret" not in shown + printed


def test_a_json_report_is_what_json_prints_and_the_cases(cli: Cli, recorded: Path) -> None:
    recorded.write_text(lines(30, 2, lang="en") + lines(20, 0, lang="de").replace('"c', '"d'), "utf-8")
    done = cli("compare", "recorded.jsonl", "--by", "lang", "--json", "-o", "r.json")
    written = json.loads((recorded.parent / "r.json").read_text("utf-8"))
    assert len(written.pop("rows")) == 52
    assert written == json.loads(done.out)
    assert [group["group"] for group in written["groups"]] == ["en", "de"]


def test_groups_and_notes_stand_on_the_pages_and_no_suite_that_is_none(cli: Cli, recorded: Path) -> None:
    row = {"expected": "a", "teacher": "a", "student": "A", "lang": "d|e"}
    recorded.write_text((json.dumps(row) + "\n") * 60, "utf-8")
    done = cli("compare", "recorded.jsonl", "--by", "lang", "-o", "r.md", "-o", "r.html")
    told = "60 of the 60 wrong answers of student are right but for case, space or punctuation"
    assert told in done.err
    for name in ("r.md", "r.html"):
        text = (recorded.parent / name).read_text("utf-8")
        assert told in text
        assert "By group" in text
        assert ("d|e" if name == "r.html" else "| d/e |") in text
        assert "uite recorded" not in text
        assert "skillforge eval" not in text
        assert "suite <" not in text


def test_the_report_is_written_to_files(cli: Cli, recorded: Path) -> None:
    done = cli("compare", "recorded.jsonl", "-o", "r.html", "-o", "r.md", "-o", "r.xml", "-o", "r.jsonl")
    assert done.code == 0
    assert "REPLACE" in (recorded.parent / "r.md").read_text("utf-8")
    assert "<html" in (recorded.parent / "r.html").read_text("utf-8")
    assert "c299" in (recorded.parent / "r.xml").read_text("utf-8")
    refused = cli("compare", "recorded.jsonl", "-o", "nowhere/r.html")
    assert refused.code == 2


@pytest.mark.skipif(not DATA, reason="SKILLFORGE_DATA is not set")
def test_a_public_set_gives_the_known_answers() -> None:
    command = [sys.executable, "bench/known_answers.py", "pandalm"]
    environment = {**os.environ, "SKILLFORGE_DATA": str(DATA)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "14 figures, 0 differ" in done.stdout


def test_what_a_scorer_prints_is_no_part_of_the_result(cli: Cli, recorded: Path) -> None:
    (recorded.parent / "talkative.py").write_text(
        "def score(output, expected):\n    print('looking')\n    return output == expected\n"
    )
    done = cli("compare", "recorded.jsonl", "--scorer", "talkative:score", "--json")
    assert json.loads(done.out)["n"] == 300
    assert "looking" in done.err
