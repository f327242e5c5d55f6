"""The command as a whole: help, usage errors, streams, terminals and pipes."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from moods import Cli

COMMANDS = [
    *(["init"], ["lint"], ["save"], ["create"], ["run"], ["eval"], ["list"], ["show"], ["demo"]),
    *(["models", "pull"], ["models", "list"], ["models", "test"]),
    *(["keys", "set"], ["keys", "list"], ["keys", "remove"]),
    *(["log", "import"], ["log", "list"], ["scan"], ["suite", "from-log"], ["review"]),
    *(["promote"], ["rollback"], ["undeploy"], ["history"], ["diff"], ["sync"], ["verify"], ["delete"], ["pr-comment"]),
    *(["export"], ["import"], ["cost"], ["purge"], ["doctor"]),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_has_an_example_that_can_be_copied(cli: Cli, command: list[str]) -> None:
    shown = cli(*command, "--help")
    assert shown.code == 0
    examples = [line.strip() for line in shown.out.splitlines() if line.startswith("    skillforge ")]
    assert all(line.startswith(f"skillforge {' '.join(command)}") for line in examples)
    assert examples
    assert all(len(line) <= 80 for line in shown.out.splitlines())


def test_the_list_of_commands_is_not_cut(cli: Cli) -> None:
    shown = cli("--help")
    assert shown.code == 0
    assert "..." not in shown.out.partition("Commands:")[2]
    for command, *_ in COMMANDS:
        assert f"\n  {command} " in shown.out


@pytest.mark.parametrize("args", [(), ("models",), ("keys",)])
def test_a_group_without_a_command_shows_its_help_on_stderr(cli: Cli, args: tuple[str, ...]) -> None:
    shown = cli(*args)
    assert (shown.code, shown.out) == (2, "")
    assert "Commands:" in shown.err


def test_version(cli: Cli) -> None:
    from skillforge import __version__

    assert cli("--version").out == f"skillforge {__version__}\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("evla",), "Did you mean 'eval'?"),
        (("eval", "x", "--limt", "3"), "--limit"),
        (("eval",), "Missing argument"),
        (("eval", "x", "--limit", "many"), "--limit"),
    ],
)
def test_a_usage_error_is_one_message_and_where_to_look(cli: Cli, args: tuple[str, ...], said: str) -> None:
    told = cli(*args)
    assert (told.code, told.out) == (2, "")
    first, second = told.err.splitlines()
    assert first.startswith("error: ")
    assert said in first
    assert second.startswith("  -> see skillforge ")


@pytest.mark.parametrize("args", [("list",), ("show", "mood"), ("save", "evals/mood.yaml"), ("eval", "mood")])
def test_outside_a_repository_nothing_is_made(cli: Cli, empty: Path, args: tuple[str, ...]) -> None:
    before = sorted(os.listdir(empty))
    told = cli(*args)
    assert told.code == 2
    assert "skillforge init" in told.err
    assert sorted(os.listdir(empty)) == before


def test_a_database_named_by_the_environment_is_enough(cli: Cli, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKILLFORGE_DB", str(empty / "elsewhere.db"))
    assert cli("list").code == 0
    assert not (empty / ".skillforge").exists()


def test_an_error_shows_its_traceback_only_when_asked(cli: Cli, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Traceback" not in cli("show", "nothing").err
    monkeypatch.setenv("SKILLFORGE_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["skillforge", "show", "nothing"])
    from skillforge import NotFound
    from skillforge.cli.app import main

    with pytest.raises(NotFound):
        main()


def command(*args: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "skillforge", *args]


EVAL = ("eval", "mood", "--students", "scripted:right.yaml", "--teacher", "scripted:teacher.yaml")


def test_piped_output_has_no_escape_codes_and_a_closed_pipe_is_no_error(cli: Cli, repo: Path) -> None:
    assert cli(*EVAL).code == 0
    for args in (EVAL, ("show", "mood")):
        done = subprocess.run(command(*args), cwd=repo, capture_output=True, check=True)
        assert b"\x1b" not in done.stdout + done.stderr
        with subprocess.Popen(
            command(*args), cwd=repo, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            told = process.stderr.read()
        assert b"Traceback" not in told
        assert b"Exception ignored" not in told


@pytest.mark.parametrize("no_color", [True, False])
def test_a_terminal_gets_colour_and_a_live_line_unless_no_color(cli: Cli, repo: Path, no_color: bool) -> None:
    assert cli(*EVAL).code == 0
    main_end, command_end = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    env |= {"TERM": "xterm-256color", **({"NO_COLOR": "1"} if no_color else {})}
    with subprocess.Popen(command(*EVAL), cwd=repo, env=env, stdout=command_end, stderr=command_end) as process:
        os.close(command_end)
        shown = b""
        try:
            while data := os.read(main_end, 65536):
                shown += data
        except OSError:  # the other end was closed: how Linux ends a terminal
            pass
    os.close(main_end)
    assert process.returncode == 0
    assert b"REPLACE" in shown
    assert (b"\x1b" in shown) is not no_color


def test_an_answer_that_the_terminal_cannot_show_is_escaped(repo: Path) -> None:
    (repo / "umlaut.yaml").write_text('default: {mood: good, why: "grün – 你"}\n', "utf-8")
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = ("run", "mood", "--student", "scripted:umlaut.yaml", "-i", "text=grün – 你")
    done = subprocess.run(command(*run), cwd=repo, env=env, capture_output=True, check=True)
    assert b'"gr\\u00fcn \\u2013 \\u4f60"' in done.stdout
    shown = subprocess.run(command(*EVAL, "--limit", "2"), cwd=repo, env=env, capture_output=True, check=False)
    assert shown.returncode == 3
    assert b"Traceback" not in shown.stderr
