"""Anything that answers as an executor: a Python function, or a program that reads the input and prints the output.

So a classifier, an agent or somebody else's pipeline is measured like a model. Its answer is read against the contract
and judged by that alone: it never saw the skill's checks, and nothing is repaired. Where no answer came (an exception,
an exit status, a time-out) the run is an ``error``, never a wrong answer; the fifth equal one in a row stops the
program (``ProviderStopped``), as with a model. What an answer cost is known only where the function says it; no budget
bounds it.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import inspect
import json
import os
import shlex
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from pydantic import Field, ValidationError

from skillforge.canonical import digest
from skillforge.engine.codedigest import code_digest
from skillforge.engine.compiled import compiled
from skillforge.engine.frame import complete_input
from skillforge.engine.parse import MAX_OUTPUT_CHARS, parse_output
from skillforge.engine.recorded import fitting
from skillforge.engine.subprocesses import Exited, run_program
from skillforge.errors import Halt, ProviderError, ProviderTimeout, UsageError
from skillforge.functions import load_function
from skillforge.messages import Cost, Usage, Value
from skillforge.providers.breaker import Breaker
from skillforge.run import Attempt, Run
from skillforge.skill import Skill

COMMAND = "command:"
EPOCH_VARIABLE = "SKILLFORGE_EPOCH"
TIMEOUT_S = 600.0
_CALLS = 8  # functions at once: most wait for a network
_SHOWN = 300  # characters of what a program said
_LONGEST_NAME = 80
_HASHED = 64 << 20  # bytes of a file; a larger one is known by size and time


class Info(Value):
    """What a function may say of its answer beside it, all optional: US dollars, seconds, tokens, the model."""

    usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    latency_s: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    input_tokens: int | None = Field(default=None, ge=0)
    output_tokens: int | None = Field(default=None, ge=0)
    model: str = ""


@dataclass(frozen=True)
class _Said:
    """What a program answered: its text as it stands in the trace, and what that is under the contract."""

    text: str
    output: Any
    problems: tuple[str, ...]
    info: Info = field(default_factory=Info)


@dataclass(frozen=True)
class CallableExecutor:
    """A function of the input as one dictionary: ``(input) -> output`` or ``-> (output, info)``.

    ``output`` is the object the contract asks for, or a text that holds it (for a text skill: the text); ``info`` a
    mapping as ``Info``. The function may be ``async``; a plain one runs in a thread, ``concurrency`` of them at a time.
    It is asked again for every epoch and not told which one it is.
    """

    name: str
    function: Callable[[dict[str, Any]], Any]
    timeout_s: float = TIMEOUT_S
    concurrency: int = _CALLS
    _breaker: Breaker = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_breaker", Breaker(self.name))

    @property
    def student(self) -> str:
        return self.name

    @cached_property
    def identity(self) -> str:
        return f"function {code_digest(self.function)}"

    async def execute(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Run:
        """Raises ``InvalidInput`` for an input that does not fit the contract, and ``ProviderStopped``."""

        async def ask(values: dict[str, Any]) -> _Said:
            with anyio.move_on_after(self.timeout_s):
                try:
                    return _answered(skill, await self._call(copy.deepcopy(values)))
                except Halt:
                    raise
                except BaseException as exc:  # the caller's code: it may raise anything
                    if _is_our_end(exc):
                        raise
                    raise ProviderError(f"{self.name}: {_shown(exc)}") from exc
            raise ProviderTimeout(f"{self.name}: no answer in {self.timeout_s:g} s")

        return await _run(self, self._breaker, skill, given, ask)

    async def _call(self, values: dict[str, Any]) -> Any:
        function = self.function
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004
            return await function(values)
        result = await anyio.to_thread.run_sync(function, values, abandon_on_cancel=True)
        return await result if inspect.isawaitable(result) else result


@dataclass(frozen=True)
class CommandExecutor:
    """A program that reads the input as one JSON object from its standard input and prints the output.

    It runs in the current folder with this environment and the epoch (from 0) in ``SKILLFORGE_EPOCH``; no shell. It is
    ended with all that it started where it takes longer than ``timeout_s``, where it prints more than a megabyte, and
    where the eval is interrupted. Any exit status but 0 is an error; an answer that does not fit the contract is a
    wrong one.
    """

    name: str
    command: str
    timeout_s: float = TIMEOUT_S
    concurrency: int = field(default_factory=lambda: os.cpu_count() or 1)
    _breaker: Breaker = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_breaker", Breaker(self.name))

    @property
    def student(self) -> str:
        return self.name

    @cached_property
    def arguments(self) -> list[str]:
        """The program and its arguments. Raises ``UsageError`` for a command that cannot be taken apart, or is empty,
        or whose program is not there.
        """
        try:
            found = shlex.split(self.command)
        except ValueError as exc:
            raise UsageError(f"{self.name}: {self.command!r} is no command: {exc}", hint="mend its quotes") from exc
        if not found:
            raise UsageError(f"{self.name}: there is no command", hint="such as 'command:python solve.py'")
        if shutil.which(found[0]) is None:
            raise UsageError(f"{self.name}: there is no program {found[0]!r}", hint="name one on the PATH, or its file")
        return found

    @cached_property
    def identity(self) -> str:
        """The command, and the content of the program and of every file that it names."""
        program = shutil.which(self.arguments[0]) or ""
        files = {part for argument in self.arguments[1:] for part in (argument, argument.partition("=")[2])}
        stamps = sorted(filter(None, (_file_digest(Path(file)) for file in files if file)))
        return f"command {digest([self.arguments, _file_digest(Path(program)), stamps])}"

    async def execute(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Run:
        """Raises ``InvalidInput`` for an input that does not fit the contract, and ``ProviderStopped``."""

        async def ask(values: dict[str, Any]) -> _Said:
            environment = {**os.environ, EPOCH_VARIABLE: str(epoch)}
            try:
                asked = json.dumps(values).encode() + b"\n"
                ended = await run_program(self.arguments, asked, environment, self.timeout_s, MAX_OUTPUT_CHARS)
            except TimeoutError as exc:
                raise ProviderTimeout(f"{self.name}: no answer in {self.timeout_s:g} s") from exc
            except OSError as exc:
                raise ProviderError(f"{self.name}: cannot be started: {exc.strerror or exc}") from exc
            if ended.too_long:
                return _Said("", None, (f"the answer is longer than {MAX_OUTPUT_CHARS:,} bytes",))
            if ended.status != 0:
                raise ProviderError(f"{self.name}: {_ending(ended)}")
            printed = ended.output.decode("utf-8", "replace")
            return _Said(printed, *parse_output(skill, printed))

        return await _run(self, self._breaker, skill, given, ask)


Own = CallableExecutor | CommandExecutor


def own_executor(name: str, target: Callable[..., Any] | Own | str) -> Own:
    """What answers as ``name``: a function, ``module:function`` (the current folder is searched first),
    ``command:PROGRAM ARGS``, or an executor with a time-out and a concurrency of its own.

    Raises ``UsageError`` for what is none of these, or is not there: before anything is paid for.
    """
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UsageError(f"{name!r} is no name for an arm", hint=f"up to {_LONGEST_NAME} printable characters")
    if isinstance(target, str) and target.startswith(COMMAND):
        target = CommandExecutor(name, target.removeprefix(COMMAND))
    elif isinstance(target, str) and ":" in target:
        target = load_function(target)
    if isinstance(target, CommandExecutor):
        _ = target.arguments  # a program that is not there is found out now
    if isinstance(target, Own):
        return replace(target, name=name)
    if not callable(target):
        raise UsageError(f"{name}: {target!r} answers nothing", hint="command:PROGRAM ARGS, or module:function")
    return CallableExecutor(name, target)


async def _run(executor: Own, breaker: Breaker, skill: Skill, given: Mapping[str, Any], ask: Any) -> Run:
    """One answer as a run: measured, read, and an error where none came."""
    values = complete_input(skill, given)
    breaker.check()
    started = time.perf_counter()
    error = ""
    try:
        said = await ask(values)
    except ProviderError as exc:
        raised = breaker.failed(exc)
        if isinstance(raised, Halt):
            raise raised from exc
        said, error = _Said("", None, ()), str(raised)
    else:
        breaker.succeeded()
    info = said.info
    latency = time.perf_counter() - started if info.latency_s is None else info.latency_s
    attempt = Attempt(
        kind="student",
        text=said.text,
        problems=said.problems,
        model=info.model,
        usage=Usage(input_tokens=info.input_tokens, output_tokens=info.output_tokens),
        cost=Cost(usd=info.usd),
        latency_s=latency,
        error=error,
    )
    return Run(
        skill=skill.name,
        digest=compiled(skill).digest,
        student=executor.name,
        model=info.model,
        status="error" if error else "failed" if said.problems else "ok",
        reason=error or "; ".join(said.problems),
        input=values,
        output=said.output,
        attempts=(attempt,),
        usage=attempt.usage,
        cost=attempt.cost,
        latency_s=latency,
    )


def _answered(skill: Skill, result: Any) -> _Said:
    """What a function returned, read against the contract. Raises ``ValueError`` for an ``info`` that is none."""
    info = Info()
    if isinstance(result, tuple):
        if len(result) != 2 or not isinstance(result[1], Mapping):
            raise ValueError("a function returns its output, or (output, info)")
        try:
            result, info = result[0], Info.model_validate(dict(result[1]))
        except ValidationError as exc:
            wrong = exc.errors()[0]
            raise ValueError(f"info {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from exc
    if isinstance(result, str):
        return _Said(result, *parse_output(skill, result), info)
    try:
        text = json.dumps(result, ensure_ascii=False, allow_nan=False)
        output, problems = fitting(skill, json.loads(text))
    except (TypeError, ValueError, RecursionError) as exc:
        return _Said("", None, (f"the answer is not JSON: {_shown(exc)}",), info)
    if len(text) > MAX_OUTPUT_CHARS:  # as of a program, and as of a text
        return _Said("", None, (f"the answer is longer than {MAX_OUTPUT_CHARS:,} characters",), info)
    if isinstance(output, dict):
        output = {name: output[name] for name in skill.output if name in output}
    return _Said(text, output, problems, info)


def _ending(ended: Exited) -> str:
    said = " ".join(ended.errors.decode("utf-8", "replace").split())[-_SHOWN:]
    how = f"exit status {ended.status}" if ended.status > 0 else f"ended by signal {-ended.status}"
    return f"{how}: {said}" if said else how


def _is_our_end(error: BaseException) -> bool:
    """Whether the eval is ended; a function may also cancel itself, or raise what a cancelled call of its own did."""
    task = asyncio.current_task()
    cancelled = isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling() > 0)
    return cancelled or isinstance(error, GeneratorExit)


def _shown(error: BaseException) -> str:
    try:
        said = " ".join(str(error).split())[:_SHOWN]
    except Exception:  # so may its exceptions' own code
        said = ""
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _file_digest(path: Path) -> str:
    """What a file holds; empty where there is none."""
    try:
        if not path.is_file():
            return ""
        status = path.stat()
        if status.st_size > _HASHED:
            return f"{status.st_size} {status.st_mtime_ns}"
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""
