from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from skillforge.engine.codedigest import code_digest
from skillforge.engine.frame import bare_skill
from skillforge.engine.programs import CallableExecutor, CommandExecutor, own_executor
from skillforge.errors import InvalidInput, KeyRejected, ProviderStopped, UsageError
from skillforge.run import Run

GOOD = {"queue": "bug", "quote": "x"}
TICKET = {"ticket": "the app crashes"}


def answered(skill: Any, by: Any, given: Any = None, epoch: int = 0) -> Run:
    return anyio.run(by.execute, skill, given or TICKET, epoch)


def returning(value: Any) -> CallableExecutor:
    return CallableExecutor("mine", lambda given: value)


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., CommandExecutor]:
    """A program of this Python text, as an executor."""

    def make(text: str, name: str = "solve.py", **options: Any) -> CommandExecutor:
        (tmp_path / name).write_text(text)
        return CommandExecutor("mine", shlex.join([sys.executable, "-S", str(tmp_path / name)]), **options)

    return make


# A Python function


@pytest.mark.parametrize("said", [GOOD, json.dumps(GOOD), f"Here:\n{json.dumps(GOOD)}", dict(reversed(GOOD.items()))])
def test_a_function_answers_with_an_object_or_a_text_that_holds_it(triage, said):
    run = answered(bare_skill(triage()), returning(said))
    assert (run.status, run.output, list(run.output)) == ("ok", GOOD, ["queue", "quote"])
    assert (run.student, run.input["locale"], len(run.attempts)) == ("mine", "en", 1)
    assert (run.cost.usd, run.usage.input_tokens) == (None, None), "unknown, not nothing"
    assert run.latency_s is not None


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"queue": "sales", "quote": "x"}, "queue"),
        ("no idea", "not a JSON object"),
        (None, "is not of type 'object'"),
        ({"queue": "bug", "quote": "x", "more": 1}, "more"),
        ({"queue": {1, 2}}, "not JSON"),
        ({"queue": "bug", "quote": float("nan")}, "not JSON"),
    ],
)
def test_an_answer_that_does_not_fit_is_wrong_and_no_error(triage, said, why):
    run = answered(bare_skill(triage()), returning(said))
    assert (run.status, run.output) == ("failed", None)
    assert why in run.reason


def test_a_text_skill_takes_a_text(triage):
    skill = bare_skill(triage(output="text", examples={}))
    assert answered(skill, returning("  hello\n")).output == "hello"
    assert answered(skill, returning({"a": 1})).reason == "the answer is not text"


def test_a_function_may_say_what_its_answer_cost(triage):
    info = {"usd": 0.002, "latency_s": 1.5, "input_tokens": 10, "output_tokens": 4, "model": "m"}
    run = answered(bare_skill(triage()), returning((GOOD, info)))
    assert (run.output, run.cost.usd, run.list_usd, run.latency_s, run.model) == (GOOD, 0.002, 0.002, 1.5, "m")
    assert (run.usage.input_tokens, run.usage.output_tokens) == (10, 4)


@pytest.mark.parametrize("info", [{"usd": -1}, {"usd": float("nan")}, {"cost": 1}, 5])
def test_an_info_that_is_none_is_an_error(triage, info):
    assert answered(bare_skill(triage()), returning((GOOD, info))).status == "error"


def test_an_exception_is_an_error_and_never_a_wrong_answer(triage):
    def broken(given: Any) -> Any:
        raise ValueError("line one\n  line two " + "x" * 1000)

    run = answered(bare_skill(triage()), CallableExecutor("mine", broken))
    assert (run.status, run.output, run.attempts[0].error) == ("error", None, run.reason)
    assert run.reason.startswith("mine: ValueError: line one line two")
    assert len(run.reason) < 400


def test_an_async_function_is_awaited(triage):
    async def solve(given: dict[str, Any]) -> Any:
        await anyio.sleep(0)
        return GOOD

    class Client:
        async def __call__(self, given: dict[str, Any]) -> Any:
            return GOOD

    for function in (solve, Client(), lambda given: solve(given)):
        assert answered(bare_skill(triage()), CallableExecutor("mine", function)).output == GOOD


def test_functions_run_beside_each_other(triage):
    executor = CallableExecutor("mine", lambda given: time.sleep(0.1) or GOOD)  # type: ignore[func-returns-value]

    async def all_at_once() -> float:
        started = time.monotonic()
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(executor.execute, bare_skill(triage()), TICKET)
        return time.monotonic() - started

    assert anyio.run(all_at_once) < 0.6


def test_a_function_cannot_change_the_case_for_others(triage):
    given = {"ticket": "a"}

    def spoil(values: dict[str, Any]) -> Any:
        values["ticket"] = "spoiled"
        return GOOD

    assert answered(bare_skill(triage()), CallableExecutor("mine", spoil), given).input["ticket"] == "a"
    assert given == {"ticket": "a"}


def test_a_function_that_takes_too_long_is_an_error(triage):
    async def slow(given: Any) -> Any:
        await anyio.sleep(60)

    async def in_a_hurry(given: Any) -> Any:
        raise TimeoutError("the database")

    assert "no answer in 0.05 s" in answered(bare_skill(triage()), CallableExecutor("m", slow, timeout_s=0.05)).reason
    assert "TimeoutError: the database" in answered(bare_skill(triage()), CallableExecutor("m", in_a_hurry)).reason


def test_the_fifth_equal_error_in_a_row_stops_a_program(triage):
    numbers = iter(range(100))

    def broken(given: Any) -> Any:
        if (number := next(numbers)) == 2:
            return GOOD
        raise RuntimeError(f"request {number} failed")

    executor = CallableExecutor("mine", broken)
    statuses = [answered(bare_skill(triage()), executor).status for _ in range(7)]
    assert statuses == ["error", "error", "ok", "error", "error", "error", "error"]
    for _ in range(2):
        with pytest.raises(ProviderStopped, match="said the same 5 times: RuntimeError: request 7"):
            answered(bare_skill(triage()), executor)
    assert next(numbers) == 8, "and is not called again"


def test_a_halt_in_a_function_halts(triage):
    def refused(given: Any) -> Any:
        raise KeyRejected("no such key")

    with pytest.raises(KeyRejected):
        answered(bare_skill(triage()), CallableExecutor("mine", refused))


def test_an_input_that_does_not_fit_is_refused(triage):
    with pytest.raises(InvalidInput):
        answered(bare_skill(triage()), returning(GOOD), {"mail": "x"})


# What a function is known by


def closing_over(prompt: Any) -> Callable[[Any], Any]:
    def ask(given: Any) -> Any:
        return prompt, given

    return ask


class Asking:
    model = "a"

    def __init__(self, prompt: str) -> None:
        self.prompt = prompt

    def __call__(self, given: Any) -> Any:
        return self.prompt, self.model


PROMPT = "one"


def reading_a_global(given: Any) -> Any:
    return PROMPT + helper()


def helper() -> str:
    return "a"


def test_another_function_is_another_arm(monkeypatch):
    same = [closing_over("a"), closing_over("a")]
    assert len({code_digest(function) for function in same}) == 1
    others = [
        closing_over("b"),
        closing_over({"k": [1, {2, 3}]}),
        closing_over(helper),
        Asking("a"),
        Asking("b"),
        Asking("b").__call__,
        len,
        json.dumps,
        lambda given: 1,
        lambda given: 2,
        lambda given, k=1: 2,
        lambda given: given in {"a", "b"},
    ]
    assert len({code_digest(function) for function in [*same, *others]}) == 1 + len(others)


def test_what_a_function_reads_is_part_of_it(monkeypatch):
    first = code_digest(reading_a_global)
    monkeypatch.setattr(sys.modules[__name__], "PROMPT", "two")
    second = code_digest(reading_a_global)
    monkeypatch.setattr(sys.modules[__name__], "helper", lambda: "b")
    assert len({first, second, code_digest(reading_a_global)}) == 3


def test_a_module_beside_it_is_part_of_it_and_a_package_is_not(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "prompts_beside.py").write_text("PROMPT = 'one'")
    (tmp_path / "solving_beside.py").write_text(
        "import json, prompts_beside\ndef solve(given):\n    return prompts_beside.PROMPT, json\n"
    )
    solve = own_executor("mine", "solving_beside:solve").function
    before = code_digest(solve)
    (tmp_path / "prompts_beside.py").write_text("PROMPT = 'two'")
    assert code_digest(solve) != before
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    outside = code_digest(solve)
    (tmp_path / "prompts_beside.py").write_text("PROMPT = 'three'")
    assert code_digest(solve) == outside


class Slotted:
    __slots__ = ("prompt",)

    def __init__(self, prompt: str) -> None:
        self.prompt = prompt

    def __call__(self, given: Any) -> Any:
        return self.prompt


def test_an_object_is_known_by_what_it_holds():
    assert code_digest(Slotted("a")) == code_digest(Slotted("a")) != code_digest(Slotted("b"))
    assert code_digest(closing_over(Slotted("a"))) != code_digest(closing_over(Slotted("b")))


def test_code_that_reads_itself_has_a_digest():
    def again(given: Any) -> Any:
        return again(given)

    listed: list[Any] = []
    listed.append(listed)
    assert code_digest(again) == code_digest(again)
    assert code_digest(closing_over(listed))


# A program


def test_a_program_reads_the_input_and_prints_the_output(triage, script):
    by = script(
        "import json, sys; given = json.load(sys.stdin); print('thinking', file=sys.stderr)\n"
        "answer = {'queue': 'bug', 'quote': given['ticket'] + given['locale']}\n"
        "print('```json\\n' + json.dumps(answer) + '\\n```')"
    )
    run = answered(bare_skill(triage()), by, {"ticket": "ä\u2028\U0001f600"})
    assert (run.status, run.output) == ("ok", {"queue": "bug", "quote": "ä\u2028\U0001f600en"})
    assert run.attempts[0].text.startswith("```json")


def test_a_program_is_told_the_epoch_and_need_not_read_its_input(triage, script):
    by = script("import os; print('epoch', os.environ['SKILLFORGE_EPOCH'])")
    skill = bare_skill(triage(output="text", examples={}))
    assert answered(skill, by, {"ticket": "x" * 1_000_000}, epoch=2).output == "epoch 2"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import sys; print('half'); sys.exit('no key ' * 1000)", "exit status 1: "),
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("import os; os.kill(os.getpid(), 9)", "ended by signal 9"),
    ],
)
def test_a_program_that_fails_is_an_error(triage, script, text, why):
    run = answered(bare_skill(triage()), script(text))
    assert (run.status, run.output) == ("error", None)
    assert why in run.reason
    assert len(run.reason) < 400


@pytest.mark.parametrize("text", ["", "print('no idea')", "import os; os.write(1, b'\\xff\\x00{')"])
def test_a_program_that_prints_something_else_is_wrong(triage, script, text):
    assert answered(bare_skill(triage()), script(text)).status == "failed"


def test_a_program_that_prints_without_end_is_ended(triage, script):
    started = time.monotonic()
    run = answered(bare_skill(triage()), script("while True: print('x' * 65536)"))
    assert (run.status, run.reason) == ("failed", "the answer is longer than 1,048,576 bytes")
    assert time.monotonic() - started < 5


LEAVES_A_CHILD = """
import subprocess, sys, pathlib, time
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
pathlib.Path(sys.argv[0] + ".pid").write_text(str(child.pid))
{then}
"""


def alive(path: Path) -> bool:
    pid = int(path.read_text())
    for _ in range(100):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat")
            if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
                return False
        except ProcessLookupError:
            return False
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    return True


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="this system has no process groups")
def test_a_program_that_takes_too_long_is_ended_with_all_it_started(triage, script, tmp_path):
    by = script(LEAVES_A_CHILD.format(then="time.sleep(60)"), timeout_s=0.7)
    run = answered(bare_skill(triage()), by)
    assert (run.status, run.reason) == ("error", "mine: no answer in 0.7 s")
    assert not alive(tmp_path / "solve.py.pid")


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="this system has no process groups")
def test_an_interrupted_program_is_ended_with_all_it_started(triage, script, tmp_path):
    by = script(LEAVES_A_CHILD.format(then="time.sleep(60)"))

    async def interrupted() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(by.execute, bare_skill(triage()), TICKET)
            while not (tmp_path / "solve.py.pid").exists() or not (tmp_path / "solve.py.pid").read_text():
                await anyio.sleep(0.02)
            group.cancel_scope.cancel()

    anyio.run(interrupted)
    assert not alive(tmp_path / "solve.py.pid")


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="this system has no process groups")
def test_what_a_program_leaves_behind_neither_holds_it_up_nor_stays(triage, script, tmp_path):
    by = script(LEAVES_A_CHILD.format(then='print(\'{"queue": "bug", "quote": "x"}\')'))
    started = time.monotonic()
    assert answered(bare_skill(triage()), by).output == GOOD
    assert time.monotonic() - started < 10
    assert not alive(tmp_path / "solve.py.pid")


def test_a_program_that_cannot_be_started_is_an_error(triage, tmp_path):
    (tmp_path / "solve").write_text("#!/no/such/interpreter\n")
    (tmp_path / "solve").chmod(0o755)
    run = answered(bare_skill(triage()), CommandExecutor("mine", str(tmp_path / "solve")))
    assert run.status == "error"
    assert "cannot be started" in run.reason


def test_a_program_is_known_by_its_command_and_the_files_it_names(script, tmp_path):
    first = script("print(1)")
    assert script("print(1)").identity == first.identity
    assert script("print(2)").identity != first.identity
    (tmp_path / "c.toml").write_text("a")
    named = CommandExecutor("mine", f"{first.command} --config={tmp_path / 'c.toml'}")
    before = named.identity
    (tmp_path / "c.toml").write_text("b")
    assert CommandExecutor("mine", named.command).identity != before
    assert CommandExecutor("other", first.command, timeout_s=5, concurrency=1).identity == script("print(2)").identity


# How they are named


def test_a_program_may_have_a_time_out_and_a_concurrency_of_its_own():
    made = own_executor("agent", CommandExecutor("x", f"{sys.executable} solve.py", timeout_s=1800, concurrency=2))
    assert (made.student, made.timeout_s, made.concurrency) == ("agent", 1800, 2)
    assert own_executor("mine", CallableExecutor("x", len, concurrency=3)).concurrency == 3


class Inner:
    @staticmethod
    def solve(given: dict[str, Any]) -> Any:
        return GOOD


def test_a_function_its_name_and_a_command_answer(triage, tmp_path, monkeypatch):
    (tmp_path / "solving.py").write_text("def solve(given):\n    return {'queue': 'bug', 'quote': 'x'}\n")
    printing = shlex.join([sys.executable, "-S", "-c", f"print({json.dumps(GOOD)!r})"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    for target in (lambda given: GOOD, "solving:solve", f"{__name__}:Inner.solve", f"command:{printing}"):
        made = own_executor("mine", target)
        assert (made.student, answered(bare_skill(triage()), made).output) == ("mine", GOOD)


@pytest.mark.parametrize(
    ("name", "target", "why"),
    [
        ("mine", "command:no-such-program x", "there is no program 'no-such-program'"),
        ("mine", "command:", "there is no command"),
        ("mine", "command:python 'x", "is no command"),
        ("mine", "no_such_module:solve", "there is no module 'no_such_module'"),
        ("mine", "json:dump_", "json has no 'dump_'"),
        ("mine", ":solve", "names no function"),
        ("mine", "json:__name__", "is no function"),
        ("mine", "solve.py", "answers nothing"),
        ("mine", 5, "answers nothing"),
        ("", len, "is no name"),
        ("a\x1b[31m", len, "is no name"),
        ("x" * 81, len, "is no name"),
    ],
)
def test_what_is_no_program_is_refused(name, target, why):
    with pytest.raises(UsageError, match=why) as caught:
        own_executor(name, target)
    assert caught.value.hint


class _Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize(
    "raised",
    [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(3), StopIteration(), _Unprintable(), BaseException("x")],
    ids=lambda raised: type(raised).__name__,
)
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_whatever_a_function_raises_is_an_error_of_its_run(triage, raised, kind):
    def plain(given: Any) -> Any:
        raise raised

    async def waiting(given: Any) -> Any:
        await anyio.sleep(0)
        raise raised

    run = answered(bare_skill(triage()), CallableExecutor("mine", plain if kind == "plain" else waiting))
    assert run.status == "error"
    assert run.reason.startswith("mine: ")


def test_an_answer_of_a_function_is_bounded_as_that_of_a_program(triage):
    run = answered(bare_skill(triage()), returning({"queue": "x" * 1_100_000}))
    assert (run.status, run.attempts[0].text) == ("failed", "")
    assert run.reason.startswith("the answer is longer than")
