"""``skillforge keys``: stores without a word about the key, on any way in."""

from __future__ import annotations

import os
import pty
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from moods import Cli

CANARY = "sk-" + "ant-canary-7Xq2Lm9Zt4"
SETTINGS = """\
[endpoints.acme]
kind = "openai-chat"
base_url = "https://models.example.org/v1"
api_key_env = "ACME_KEY"
[endpoints.my-ollama]
kind = "openai-chat"
base_url = "http://localhost:11434/v1"
"""


class Memory(KeyringBackend):
    priority = 5  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.held[username]


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A key file of the test's own, no key in the environment, no keyring."""
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "ACME_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SKILLFORGE_CONFIG_DIR", str(tmp_path / "config"))
    before = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())
    yield tmp_path / "config"
    keyring.set_keyring(before)


@pytest.fixture
def memory() -> Memory:
    backend = Memory()
    keyring.set_keyring(backend)
    return backend


def holders(folder: Path, word: str) -> list[str]:
    """The files below ``folder`` that hold ``word``."""
    return [path.name for path in sorted(folder.rglob("*")) if path.is_file() and word.encode() in path.read_bytes()]


def test_a_piped_key_is_stored_and_said_nowhere(cli: Cli, tmp_path: Path, config: Path) -> None:
    told = cli("keys", "set", "anthropic", stdin=f"{CANARY}\r\nsecond line\n".encode())
    assert (told.code, told.out, told.err) == (0, f"ANTHROPIC_API_KEY is stored in {config / 'keys.toml'}\n", "")
    assert holders(tmp_path, CANARY) == ["keys.toml"]
    assert stat.S_IMODE((config / "keys.toml").stat().st_mode) == 0o600
    for args in (["list"], ["list", "--json"], ["remove", "anthropic"]):
        told = cli("keys", *args)
        assert told.code == 0
        assert CANARY[-8:] not in told.out + told.err
    assert holders(tmp_path, CANARY) == []


def test_the_keyring_is_taken_where_there_is_one(cli: Cli, tmp_path: Path, memory: Memory) -> None:
    told = cli("keys", "set", "openai", stdin=CANARY.encode())
    assert (told.code, told.out) == (0, "OPENAI_API_KEY is stored in the system's keyring\n")
    assert memory.held == {"OPENAI_API_KEY": CANARY}
    assert holders(tmp_path, CANARY) == []
    assert cli("keys", "set", "openai", "--file", stdin=CANARY.encode()).code == 0
    assert memory.held == {}
    assert cli("keys", "set", "--keyring", "openai", stdin=CANARY.encode()).code == 0
    assert cli("keys", "remove", "openai").out == "OPENAI_API_KEY is removed from the keyring\n"


@pytest.mark.parametrize(
    "args",
    [
        ("set", "anthropic", CANARY),
        ("set", CANARY),
        ("set", CANARY, "anthropic"),
        ("set", "anthropic", "--file", CANARY),
        ("set", "anthropic", f"--key={CANARY}"),
        ("set", "anthropic", "--key", CANARY),
        ("set", "anthropic", f"--file={CANARY}"),
        ("set", "anthropic", f"-k{CANARY}"),
        ("set", "--", "anthropic", CANARY),
        ("set", "anthropic=" + CANARY),
        ("set", "AKIA" + "IOSFODNN7EXAMPLE"),
        (CANARY,),
        (CANARY, "set"),
        ("list", CANARY),
        ("remove", CANARY),
        ("remove", "anthropic", CANARY),
    ],
)
def test_a_key_on_the_command_line_is_refused_and_not_repeated(cli: Cli, tmp_path: Path, args: tuple[str, ...]) -> None:
    told = cli("keys", *args, stdin=b"another-key-1234")
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("error: ")
    assert "7Xq2Lm9Zt4" not in told.err
    assert "FODNN7" not in told.err
    assert holders(tmp_path, "another-key") == holders(tmp_path, CANARY) == []


def test_the_refusal_says_how_a_key_is_given(cli: Cli) -> None:
    told = cli("keys", "set", "anthropic", CANARY)
    assert "others can see it" in told.err
    assert "skillforge keys set NAME < FILE" in told.err


@pytest.mark.parametrize(
    "key", [b"", b"\n" + CANARY.encode(), b"short", CANARY.encode() + b" tail", b"\xff" * 20, b"x" * 9999]
)
def test_what_is_no_key_is_refused_and_not_repeated(cli: Cli, config: Path, key: bytes) -> None:
    told = cli("keys", "set", "anthropic", stdin=key)
    assert (told.code, told.out) == (2, "")
    assert "7Xq2Lm9Zt4" not in told.err
    assert not (config / "keys.toml").exists()


def test_an_endpoint_is_its_variable(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "skillforge.toml").write_text(SETTINGS)
    assert cli("keys", "set", "acme", stdin=CANARY.encode()).out.startswith("ACME_KEY is stored")
    assert cli("keys", "list").out == "ACME_KEY  file\n"
    told = cli("keys", "set", "my-ollama", stdin=CANARY.encode())
    assert told.code == 2
    assert 'add to [endpoints.my-ollama] in skillforge.toml: api_key_env = "MY_OLLAMA_API_KEY"' in told.err
    assert cli("keys", "remove", "acme").code == 0


@pytest.mark.parametrize(
    ("name", "said"), [("antropic", "did you mean 'anthropic'?"), ("local", "need no key"), ("zzz", "there are")]
)
def test_an_unknown_name_is_told_what_there_is(cli: Cli, name: str, said: str) -> None:
    told = cli("keys", "set", name, stdin=CANARY.encode())
    assert told.code == 2
    assert said in told.err


def test_a_variable_in_the_environment_wins_and_it_is_said(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "from-the-environment")
    told = cli("keys", "set", "OTHER_KEY", stdin=CANARY.encode())
    assert told.code == 0
    assert "OTHER_KEY is set too, and wins" in told.err
    assert cli("keys", "list").out == "OTHER_KEY  environment\nOTHER_KEY  file         the environment wins\n"
    assert cli("keys", "list", "--json").json == [
        {"variable": "OTHER_KEY", "source": "environment", "used": True},
        {"variable": "OTHER_KEY", "source": "file", "used": False},
    ]
    told = cli("keys", "remove", "OTHER_KEY")
    assert (told.code, told.out) == (0, "OTHER_KEY is removed from the file\n")
    assert "still set" in told.err


def test_without_keys_the_list_is_empty_and_says_how_to_begin(cli: Cli) -> None:
    told = cli("keys", "list")
    assert (told.code, told.out) == (0, "")
    assert "skillforge keys set NAME" in told.err
    assert cli("keys", "list", "--json").json == []
    told = cli("keys", "remove", "anthropic")
    assert (told.code, "no key ANTHROPIC_API_KEY is stored" in told.err) == (2, True)


def test_file_and_keyring_exclude_each_other(cli: Cli) -> None:
    assert "exclude each other" in cli("keys", "set", "openai", "--file", "--keyring", stdin=CANARY.encode()).err


def test_an_open_file_is_refused_with_its_mending(cli: Cli, config: Path) -> None:
    cli("keys", "set", "openai", stdin=CANARY.encode())
    (config / "keys.toml").chmod(0o644)
    told = cli("keys", "list")
    assert told.code == 2
    assert f"chmod 600 {config / 'keys.toml'}" in told.err
    assert CANARY not in told.err


# On a terminal: a process of its own, whose stdin is one.


def at_a_terminal(tmp_path: Path, *args: str) -> tuple[subprocess.Popen[bytes], int]:
    ours, theirs = pty.openpty()
    env: dict[str, Any] = {**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    command = [sys.executable, "-m", "skillforge", "keys", "set", *args]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, stdin=theirs, stdout=pipe, stderr=pipe, env=env, cwd=tmp_path, start_new_session=True
    )
    os.close(theirs)
    return process, ours


def prompt_of(process: subprocess.Popen[bytes]) -> bytes:
    """Reads up to the prompt: from there on, the terminal shows nothing that is typed."""
    assert process.stderr
    seen = b""
    while not seen.endswith(b"shown): "):
        read = os.read(process.stderr.fileno(), 1)
        assert read, seen
        seen += read
    return seen


def test_at_a_terminal_it_is_asked_for_once_and_not_shown(tmp_path: Path) -> None:
    process, terminal = at_a_terminal(tmp_path, "anthropic")
    assert prompt_of(process) == b"key for ANTHROPIC_API_KEY (not shown): "
    os.write(terminal, f"{CANARY}\n".encode())
    out, err = process.communicate(timeout=30)
    os.set_blocking(terminal, False)
    try:
        shown = os.read(terminal, 9999)
    except OSError:  # nothing to read
        shown = b""
    os.close(terminal)
    assert process.returncode == 0, err
    assert b"is stored in" in out
    assert CANARY.encode() not in out + err + shown
    assert holders(tmp_path, CANARY) == ["keys.toml"]


def test_an_interrupt_at_the_prompt_stores_nothing(tmp_path: Path, config: Path) -> None:
    process, terminal = at_a_terminal(tmp_path, "anthropic")
    prompt_of(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    os.close(terminal)
    assert (process.returncode, out) == (130, b"")
    assert b"interrupted: nothing was stored" in err
    assert b"Traceback" not in err
    assert not config.exists()


def test_a_terminal_that_would_show_the_key_is_refused() -> None:
    code = (
        "import io, sys\n"
        "class Terminal(io.StringIO):\n"
        "    def isatty(self): return True\n"
        f"sys.stdin = Terminal('{CANARY}')\n"
        "sys.argv = ['skillforge', 'keys', 'set', 'anthropic']\n"
        "from skillforge.cli.app import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", code]  # a session of its own: no terminal to fall back to
    done = subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: this terminal cannot hide what is typed")


@pytest.mark.parametrize("module", ["skillforge", "skillforge.cli.app", "skillforge.cli.keys"])
def test_importing_loads_no_client_no_prices_and_no_keyring(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"anthropic", "openai", "genai_prices", "keyring", "platformdirs"}.isdisjoint(done.stdout.split())
