"""The promises of the README, each by the script that measures it, in a small size; no time is asserted here."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from skillforge import Forge, Scripted
from skillforge.cli.app import main
from tests.fakes.llm_server import Answer, Fault, LLMServer, refuse, request_text

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
    assert "2 of 2 kills landed in the middle of an eval" in bench("kill_resume.py", "40", "2")


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
            echo = forge.skill("echo@latest", student="fake")
            return echo(text="hello").output, (await echo.acall(text="hello")).output

    assert asyncio.run(notebook()) == ({"said": "hello"}, {"said": "hello"})


def test_a_key_in_an_input_reaches_no_file(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = "sk-ant-api03-" + "k9Xw2Lq7Rz4TnB8vYc1M" * 2
    monkeypatch.setenv("MY_SERVICE_TOKEN", other := "correct-horse-battery-staple-42")
    answers = Scripted(default={"said": f"{canary} {other}"}, name="fake")
    with Forge(repo, providers={"fake": answers}) as forge:
        run = forge.run(
            "echo@latest", {"text": f"my key is {canary}, my token {other}"}, student="fake", tags={"who": canary}
        )
        assert canary in str(run.output)
        assert run.id
        files = [Path(folder) / name for folder, _, names in os.walk(repo) for name in names]
        assert any(file.name.endswith("-wal") for file in files)
        for file in files:
            assert canary.encode() not in file.read_bytes()
            assert other.encode() not in file.read_bytes()


# planted keys: the most important kinds; all of them are in bench/planted_keys.py

KEY = "Q7vN2kXw9LbR4tZcY8sMd3HfJ6gPa1Ue"  # random: only its place says that it is one
SHAPED = "sk-" + "ant-api03-" + KEY  # its shape says so
DRAFT = {
    "name": "echo-back",
    "description": "Say it again.",
    "input": {"text": {"type": "string"}},
    "output": {"said": {"type": "string"}},
    "instructions": "Repeat.",
    "prompt": "{{ text }}",
    "limits": {"input_tokens": 2000, "output_tokens": 200},
}


@dataclass(frozen=True)
class Planted:
    """Where the secret is: in the environment, in the lines of an endpoint, in the key file, in what a server says."""

    endpoint: str = 'api_key_env = "GATE_KEY"'
    environment: str = ""
    stored: str = ""
    fault: Fault | None = None
    answer: Callable[[Mapping[str, Any]], str | Answer] = lambda body: '{"said": "hello"}'


def wrong_draft(body: Mapping[str, Any]) -> str:
    drafts = "You solved a task on real inputs" in request_text(body)
    return json.dumps(
        {**DRAFT, "output": {"said": {"enum": [SHAPED]}}, SHAPED: SHAPED} if drafts else {"said": "hello"}
    )


REFUSAL = refuse(401, body={"error": {"message": f"Incorrect API key provided: {KEY}.", "code": KEY}})
PLANTED = {
    "a key of the environment, refused": Planted(environment=KEY, fault=REFUSAL),
    "a key of the key file, in an HTML page": Planted(
        stored=KEY, fault=refuse(403, body=f"<html><title>{KEY}</title>")
    ),
    "a key pasted in place of its variable": Planted(endpoint=f'api_key_env = "{KEY}-1"'),
    "a login in an address": Planted(endpoint=f'base_url = "http://user:{KEY}@127.0.0.1:9"'),
    "the model's name in an answer": Planted(
        environment=KEY, answer=lambda body: Answer('{"said": "hello"}', model=f"large-{KEY}")
    ),
    "a wrong draft": Planted(environment="another-key-of-16", answer=wrong_draft),
}


def ran(*args: str, capture: Any, patch: pytest.MonkeyPatch) -> str:
    """All that the command writes, its traceback too."""
    patch.setattr(sys, "argv", ["skillforge", *args])
    patch.setattr(sys, "excepthook", sys.__excepthook__)
    try:
        main()
    except SystemExit:
        pass
    except BaseException as exc:
        sys.excepthook(type(exc), exc, exc.__traceback__)
    return "".join(capture.readouterr())


@pytest.mark.parametrize("planted", PLANTED.values(), ids=list(PLANTED))
def test_a_planted_key_reaches_no_output_and_no_file(planted, repo, tmp_path, monkeypatch, capfd) -> None:
    from skillforge.keys import store_key

    monkeypatch.setenv("SKILLFORGE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("GATE_KEY", planted.environment)
    if planted.stored:
        store_key("GATE_KEY", planted.stored, where="file")
    with LLMServer(planted.answer, lambda number, body: planted.fault) as server:
        lines = ["[endpoints.gate]", 'kind = "openai-chat"', planted.endpoint]
        lines += [] if "base_url" in planted.endpoint else [f'base_url = "{server.url}"']
        (repo / "skillforge.toml").write_text("\n".join(lines) + "\n")
        asked = ("--student", "gate:m", "-i", "text=hello", "--record", "recording")
        commands = [("run", "echo", *asked), ("doctor", "--call", "gate:m", "--json")]
        commands.append(("create", "Say it again.", "--teacher", "gate:m", *asked[2:]))
        said = [ran(*args, capture=capfd, patch=monkeypatch) for args in commands]
        monkeypatch.setenv("SKILLFORGE_DEBUG", "1")
        said += [ran(*args, capture=capfd, patch=monkeypatch) for args in commands]
    assert all(said)
    assert not [text for text in said if KEY[:12] in text]
    own = (repo / "skillforge.toml", tmp_path / "config" / "keys.toml")
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path not in own]
    assert not [path for path in files if KEY[:12].encode() in path.read_bytes()]
