"""For every test: no network beyond loopback, no settings from outside, a working folder of its own."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from sqlite_utils import Database

from skillforge.case import Case
from skillforge.skill import Skill
from skillforge.store.database import open_database

settings.register_profile("steady", deadline=None)
settings.load_profile("steady")

MakeSkill = Callable[..., Skill]
MakeCases = Callable[..., list[Case]]


class Blocked(OSError):
    """The network is out of bounds in tests."""


class Guard:
    """Refuses every way out and remembers it: clients swallow the error and retry, so the test fails at its end."""

    def __init__(self) -> None:
        self.attempts: list[str] = []

    def check(self, host: Any) -> None:
        if not _is_loopback(host):
            self.attempts.append(str(host))
            raise Blocked(f"the network is blocked in tests: {host}")

    def take(self) -> list[str]:
        taken, self.attempts = self.attempts, []
        return taken


def _is_loopback(host: Any) -> bool:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(name).split("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session")
def network_guard() -> Iterator[Guard]:
    guard = Guard()
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    create, getaddrinfo = socket.create_connection, socket.getaddrinfo

    def host_of(address: Any) -> Any:
        return address[0] if isinstance(address, tuple) else "localhost"  # a text is a UNIX socket's path

    def guarded_connect(self: socket.socket, address: Any) -> None:
        guard.check(host_of(address))
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        guard.check(host_of(address))
        return connect_ex(self, address)

    def guarded_create(address: Any, *rest: Any, **named: Any) -> socket.socket:
        guard.check(host_of(address))
        return create(address, *rest, **named)

    def guarded_getaddrinfo(host: Any, *rest: Any, **named: Any) -> Any:
        guard.check(host)
        return getaddrinfo(host, *rest, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        patch.setattr(socket, "create_connection", guarded_create)
        patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
        yield guard


@pytest.fixture(autouse=True)
def _no_network(network_guard: Guard) -> Iterator[None]:
    network_guard.take()
    yield
    if attempts := network_guard.take():
        pytest.fail(f"tried to reach the network: {', '.join(attempts)}")


@pytest.fixture(autouse=True)
def _own_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # SKILLFORGE_CACHE stays: the weights of the `model` tests were pulled before pytest started
    for name in [name for name in os.environ if name.startswith("SKILLFORGE_") and name != "SKILLFORGE_CACHE"]:
        monkeypatch.delenv(name)
    # no test may find the keys or the servers of whoever runs it
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_BASE_URL", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SKILLFORGE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository: a folder that ``Forge`` finds as its root."""
    root = tmp_path / "repo"
    (root / ".skillforge").mkdir(parents=True)
    return root


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = open_database(tmp_path / "registry.db")
    yield database
    database.close()


TRIAGE: Mapping[str, Any] = {
    "schema": "skillforge/v1",
    "name": "ticket-triage",
    "description": "Route one support ticket to a queue.",
    "task": "Route one ticket to billing or bug.",
    "input": {"ticket": {"type": "string"}, "locale": {"enum": ["en", "de"], "default": "en"}},
    "output": {"queue": {"enum": ["billing", "bug"]}, "quote": {"type": "string"}},
    "instructions": "Choose the queue and quote the ticket.",
    "prompt": "Locale: {{ locale }}\n{{ ticket }}",
    "examples": {
        "items": [
            {
                "id": "e1",
                "input": {"ticket": "charged twice"},
                "output": {"queue": "billing", "quote": "charged twice"},
            },
            {"id": "e2", "input": {"ticket": "app crashes"}, "output": {"quote": "crashes", "queue": "bug"}},
        ]
    },
}


@pytest.fixture
def triage() -> MakeSkill:
    """Builds the skill that most tests use: ``triage(checks=[…], limits={…})``."""

    def make(**changes: Any) -> Skill:
        return Skill.model_validate({**TRIAGE, **changes})

    return make


@pytest.fixture
def tickets() -> MakeCases:
    """Builds cases: ``tickets("a", "b", label=…)``; each expects what ``label`` says of its text."""

    def make(*texts: str, label: Callable[[str], Any] = lambda text: None, split: Any = None) -> list[Case]:
        return [
            Case(id=f"t{number}", input={"ticket": text}, expected=label(text), split=split)
            for number, text in enumerate(texts, start=1)
        ]

    return make
