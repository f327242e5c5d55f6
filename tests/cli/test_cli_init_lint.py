"""``skillforge init`` and ``skillforge lint``."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest
from moods import Cli

from skillforge.yamlfile import load_yaml


def tree(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def test_init_makes_a_repository_and_a_second_one_changes_nothing(cli: Cli, empty: Path) -> None:
    assert cli("init", ".").code == 0
    first = tree(empty)
    assert {"skillforge.toml", ".gitignore", ".skillforge/skill.v1.json"} < set(first)
    assert (empty / "skills").is_dir()
    again = cli("init")
    assert again.code == 0
    assert str(empty) in again.out
    assert tree(empty) == first
    assert cli("list").code == 0


def test_init_makes_the_folder_it_is_given(cli: Cli, empty: Path) -> None:
    assert cli("init", "new/place").code == 0
    assert (empty / "new/place/skills").is_dir()


def test_the_registry_is_ignored_by_git_and_the_schema_is_not(cli: Cli, empty: Path) -> None:
    (empty / ".gitignore").write_bytes(b"*.log\r\nlast line")
    assert cli("init").code == 0
    assert cli("list").code == 0
    assert (empty / ".gitignore").read_bytes().startswith(b"*.log\r\nlast line\n")
    subprocess.run(["git", "init", "-q"], cwd=empty, check=True)
    listed = subprocess.run(
        ["git", "ls-files", "-o", "--exclude-standard"], cwd=empty, check=True, capture_output=True, text=True
    ).stdout.split()
    assert ".skillforge/skill.v1.json" in listed
    assert not [name for name in listed if "registry" in name]


def test_the_schema_file_is_valid_and_fits_a_skill(cli: Cli, repo: Path) -> None:
    assert cli("init").code == 0
    schema = json.loads((repo / ".skillforge/skill.v1.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    skill = load_yaml((repo / "skills/mood/skill.yaml").read_bytes(), path="skill.yaml").value
    assert not list(validator.iter_errors(skill))
    assert list(validator.iter_errors({**skill, "instruction": "x"}))


def test_init_on_a_file_says_so(cli: Cli, empty: Path) -> None:
    told = cli("init", "right.yaml")
    assert told.code == 2
    assert "is a file" in told.err


WRONG = """\
schema: skillforge/v1
name: mood
description: Tell it <now>.
instruction: x
input: {text: {$ref: "http://127.0.0.1:9/s.json"}}
output: {mood: {enum: [good, bad]}}
instructions: i
prompt: "{{ txt }} {{ f() }}"
checks:
  - {type: regex, path: /mood, value: "(?=x)"}
  - {type: contians, value: x}
"""


def test_lint_says_everything_at_once_with_lines(cli: Cli, repo: Path) -> None:
    file = repo / "skills/mood/skill.yaml"
    file.write_text(WRONG)
    told = cli("lint", "skills/mood")
    assert told.code == 1
    lines = {line.split(":")[2] for line in told.out.splitlines() if line.startswith("error")}
    assert lines == {"3", "4", "5", "8", "10", "11"}
    assert "did you mean 'text'?" in told.out
    as_json = cli("lint", str(file), "--json")
    assert as_json.code == 1
    assert {problem["line"] for problem in as_json.json if problem["level"] == "error"} == {3, 4, 5, 8, 10, 11}
    assert {"file", "line", "column", "field", "level", "message", "hint"} == set(as_json.json[0])


def test_lint_takes_a_folder_of_skills_and_reads_only(cli: Cli, empty: Path) -> None:
    for name in ("one", "two"):
        (empty / "skills" / name).mkdir(parents=True)
        text = WRONG if name == "two" else "schema: skillforge/v1\nname: one\n"
        (empty / "skills" / name / "skill.yaml").write_text(text)
    before = tree(empty)
    told = cli("lint", "skills")
    assert told.code == 1
    assert "skills/one/skill.yaml" in told.out
    assert "skills/two/skill.yaml" in told.out
    assert "2 files" in told.err
    assert tree(empty) == before


def test_a_clean_file_prints_nothing_on_stdout(cli: Cli, repo: Path) -> None:
    told = cli("lint", "skills/mood")
    assert (told.code, told.out) == (0, "")
    assert told.err == "1 file, 0 errors, 0 warnings\n"
    assert cli("lint", "skills/mood", "--json").json == []


@pytest.mark.parametrize("examples", ["../../etc/passwd", "/etc/passwd", "none.jsonl", "link.jsonl"])
def test_examples_outside_or_missing_are_named_with_their_line(cli: Cli, repo: Path, examples: str) -> None:
    file = repo / "skills/mood/skill.yaml"
    file.write_text(f"schema: skillforge/v1\nname: mood\nexamples: {{file: {examples}}}\n")
    (file.parent / "link.jsonl").symlink_to(repo / "evals/mood.jsonl")
    told = cli("lint", str(file))
    assert told.code == 1
    assert "skill.yaml:3:" in told.out


@pytest.mark.parametrize("path", ["none", "evals"])
def test_lint_of_nothing_is_a_usage_error(cli: Cli, repo: Path, path: str) -> None:
    assert cli("lint", path).code == 2


def test_lint_and_save_take_a_name_like_every_other_command(cli: Cli, repo: Path) -> None:
    name = next((repo / "skills").iterdir()).name
    assert cli("lint", name).code == 0
    assert cli("save", name).out.startswith(f"{name}@1")


def test_lint_reads_a_suite_as_a_suite(cli: Cli, repo: Path) -> None:
    good = "schema: skillforge/suite/v1\nname: mini\ncases:\n  - {input: {text: hi}, expected: {mood: good}}\n"
    (repo / "mini.yaml").write_text(good)
    assert cli("lint", "mini.yaml").code == 0
    (repo / "mini.yaml").write_text(good.replace("cases:", "casez:"))
    told = cli("lint", "mini.yaml")
    assert told.code == 1
    assert "casez: unknown key (did you mean 'cases'?)" in told.out


def test_lint_tells_what_is_wrong_with_a_variant_beside_its_skill_and_by_itself(cli: Cli, repo: Path) -> None:
    folder = repo / "skills/mood/variants"
    folder.mkdir()
    file = folder / "scripted%3Aright.yaml"
    file.write_text("schema: skillforge/variant/v1\nskill: mood\nstudent: scripted:right\ninstruction: x\n")
    for path in ("mood", "skills", str(file)):
        result = cli("lint", path)
        assert result.code == 1, result.err
        assert "scripted%3Aright.yaml:4:1: instruction" in result.out
    file.write_text("schema: skillforge/variant/v1\nskill: mood\nstudent: scripted:right\ninstructions: x\n")
    assert [cli("lint", path).code for path in ("mood", "skills", str(file))] == [0, 0, 0]
