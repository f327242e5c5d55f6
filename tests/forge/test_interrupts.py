"""Interruptions that are real: a killed process, an interrupt as the work ends. The large size is in ``bench``."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from skillforge.errors import UsageError
from skillforge.forge.portal import Portal
from tests.fakes.llm_server import LLMServer, last_text, request_text

TASK = "Say whether the number is even or odd, as the field answer."
CASES = [{"id": f"n{number}", "input": {"number": f"{number}."}} for number in range(8)]
POINTS = (1, 6, 9, 10, 15)  # calls: solving twice, drafting, repairing the draft, proving it
IN_FLIGHT = 4
DRAFT = {
    "name": "parity",
    "description": "Say whether a number is even or odd.",
    "input": {"number": {"type": "string"}},
    "output": {"answer": {"enum": ["even", "odd"]}},
    "instructions": "Look at the last digit.",
    "prompt": "{{ number }}",
    "examples": {"ids": ["n0", "n1"]},
    "limits": {"input_tokens": 2000, "output_tokens": 60},
}
CHILD = """\
import json, sys
from skillforge import Forge
Forge(".").create(sys.argv[1], cases=json.loads(sys.argv[2]), teacher=sys.argv[3])
"""


def answer(body: dict[str, Any]) -> str:
    if "You solved a task on real inputs" in request_text(body):
        wrong = {**DRAFT, "output": {"answer": {"enum": ["even"]}}}
        return json.dumps(DRAFT if last_text(body).startswith("The skill is wrong") else wrong)
    number = int(re.findall(r"(\d+)\.(?!\d)", request_text(body))[-1])
    return json.dumps({"answer": "odd" if number % 2 else "even"})


@pytest.fixture
def server() -> Iterator[LLMServer]:
    with LLMServer(answer, latency_s=0.03) as running:
        yield running


@pytest.fixture
def interruptible() -> Iterator[None]:
    """In the background SIGINT is ignored, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def repository(folder: Path, server: LLMServer) -> Path:
    (folder / ".skillforge").mkdir(parents=True)
    settings = f'[endpoints.fake]\nkind = "openai-chat"\nbase_url = "{server.url}"\nconcurrency = {IN_FLIGHT}\n'
    (folder / "skillforge.toml").write_text(f"{settings}price = {{input = 3, output = 15}}\n")
    return folder


def asked(server: LLMServer, model: str) -> Counter[str]:
    return Counter(json.dumps(call.body["messages"]) for call in server.calls if call.body["model"] == model)


def test_a_create_killed_anywhere_makes_the_same_skill_and_pays_for_nothing_twice(tmp_path, server, forge_at):
    whole = forge_at(repository(tmp_path / "whole", server)).create(TASK, cases=CASES, teacher="fake:whole")
    once = asked(server, "whole")
    assert once.total() == len(CASES) + 2 + 8
    roots = {f"at{point}": repository(tmp_path / f"at{point}", server) for point in POINTS}
    children = {
        model: subprocess.Popen([sys.executable, "-c", CHILD, TASK, json.dumps(CASES), f"fake:{model}"], cwd=root)
        for model, root in roots.items()
    }
    waiting = dict(zip(roots, POINTS, strict=True))
    while waiting:
        for model in [model for model, point in waiting.items() if asked(server, model).total() >= point]:
            children[model].kill()
            del waiting[model]
        assert all(children[model].poll() is None for model in waiting)
        time.sleep(0.002)
    assert [child.wait() for child in children.values()] == [-signal.SIGKILL] * len(POINTS)
    for model, root in roots.items():
        created = forge_at(root).create(TASK, cases=CASES, teacher=f"fake:{model}")
        assert created.digest == whole.digest
        assert created.cost.usd == pytest.approx(whole.cost.usd)
        assert Path(created.path).read_bytes() == Path(whole.path).read_bytes()
        assert (asked(server, model) - once).total() <= IN_FLIGHT
        assert asked(server, model).keys() == once.keys()
        assert not list(root.rglob("*.tmp"))


def test_a_skill_file_written_just_before_a_kill_is_stored_as_the_teachers(tmp_path, server, forge_at):
    first = forge_at(repository(tmp_path / "first", server)).create(TASK, cases=CASES, teacher="fake:m")
    killed = repository(tmp_path / "killed", server)
    left = killed / "skills" / "parity" / "skill.yaml"
    left.parent.mkdir(parents=True)
    left.write_bytes(Path(first.path).read_bytes())
    created = forge_at(killed).create(TASK, cases=CASES, teacher="fake:m")
    assert (created.new, created.version, created.digest) == (True, 1, first.digest)
    assert forge_at(killed).show("parity@1").provenance["author"] == "teacher"


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_cancels_what_still_waits():
    cancelled = []

    async def waits() -> None:
        await anyio.sleep(0.05)  # until the caller waits
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            cancelled.append(True)
            raise

    portal = Portal()
    try:
        with pytest.raises(KeyboardInterrupt):
            portal.call(waits)
        assert cancelled == [True]
    finally:
        portal.close()


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_that_comes_as_paid_work_ends_takes_nothing_back_and_any_other_is_raised():
    async def stores() -> str:
        await anyio.sleep(0.05)  # until the caller waits
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)  # like a write to the disk: nothing here can be cancelled
        return "stored"

    portal = Portal()
    try:
        assert portal.call(stores, paid=True) == "stored"
        with pytest.raises(KeyboardInterrupt):  # else a command's next step would never hear of it
            portal.call(stores)
    finally:
        portal.close()


def test_closing_under_a_call_tells_its_caller():
    portal = Portal()
    started = threading.Event()
    told: list[Exception] = []

    async def works() -> None:
        started.set()
        await anyio.sleep_forever()

    def calls() -> None:
        try:
            portal.call(works)
        except UsageError as exc:
            told.append(exc)

    caller = threading.Thread(target=calls)
    caller.start()
    started.wait()
    portal.close()
    caller.join(5)
    assert [str(exc) for exc in told] == ["the Forge was closed while it worked"]
