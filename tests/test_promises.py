"""The promises of the README, each by the script that measures it, in a small size; no time is asserted here."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from skillforge import Forge, Scripted

BENCH = Path(__file__).parent.parent / "bench"
SKILL = """\
schema: skillforge/v1
name: echo
description: Say it again.
input: {text: {type: string}}
output: {said: {type: string}}
instructions: Repeat.
prompt: "{{ text }}"
"""


def bench(script: str, *args: str) -> str:
    done = subprocess.run([sys.executable, str(BENCH / script), *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_killed_eval_goes_on_and_pays_for_nothing_twice() -> None:
    assert "40 cases x 3 model arms" in bench("kill_resume.py", "40", "2")


def test_hostile_files_are_refused_with_their_line_and_nothing_is_fetched() -> None:
    assert "connections seen by the listener: none" in bench("hostile.py", "3", "60")


def test_bad_input_is_one_message_and_exit_code_2() -> None:
    assert "a right call after all of them: exit code 0" in bench("bad_input.py", "7")


def test_help_imports_no_heavy_package() -> None:
    sys.path.insert(0, str(BENCH))
    try:
        import startup
    finally:
        sys.path.remove(str(BENCH))
    assert startup.loaded_by_help() == []


def test_importing_the_package_loads_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import skillforge; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name.partition(".")[0] for name in done.stdout.split()} <= {"skillforge", *sys.stdlib_module_names}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    (tmp_path / ".skillforge").mkdir()
    (tmp_path / "skills" / "echo").mkdir(parents=True)
    (tmp_path / "skills" / "echo" / "skill.yaml").write_text(SKILL)
    return tmp_path


def test_forge_works_inside_a_running_loop(repo: Path) -> None:
    async def notebook() -> tuple[object, object]:
        with Forge(repo, providers={"fake": Scripted(default={"said": "hello"}, name="fake")}) as forge:
            echo = forge.skill("echo", student="fake")
            return echo(text="hello").output, (await echo.acall(text="hello")).output

    assert asyncio.run(notebook()) == ({"said": "hello"}, {"said": "hello"})


def test_a_key_in_an_input_reaches_no_file(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = "sk-ant-api03-" + "k9Xw2Lq7Rz4TnB8vYc1M" * 2
    monkeypatch.setenv("MY_SERVICE_TOKEN", other := "correct-horse-battery-staple-42")
    answers = Scripted(default={"said": f"{canary} {other}"}, name="fake")
    with Forge(repo, providers={"fake": answers}) as forge:
        run = forge.run("echo", {"text": f"my key is {canary}, my token {other}"}, student="fake", tags={"who": canary})
        assert canary in str(run.output)
        assert run.id
        files = [Path(folder) / name for folder, _, names in os.walk(repo) for name in names]
        assert any(file.name.endswith("-wal") for file in files)
        for file in files:
            assert canary.encode() not in file.read_bytes()
            assert other.encode() not in file.read_bytes()
