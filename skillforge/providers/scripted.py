"""The fake model that ships: answers written down beforehand, from Python or from a file.

The file (``scripted:PATH``, YAML or JSON)::

    answers:                                   # the first rule that matches answers
      - when: {role: solve, contains: refund}  # both optional; `contains` looks in the request's input
        reply: {queue: billing}                # text, or any JSON value
      - when: {role: solve, contains: A-17}    # the first turn of a tool loop; solve-turn2 is the second
        calls: [{tool: get_order, arguments: {order_id: A-17}}]
    default: {queue: other}
    latency_ms: 20                             # how long each call takes
    log: calls.jsonl                           # beside the file: one line per call, written when the call arrives
    fail_every: 10                             # every tenth call raises ProviderError
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

import anyio
from pydantic import Field, ValidationError, model_validator

from skillforge.canonical import compact, digest_bytes
from skillforge.errors import NotFound, Problem, ProviderError, ProviderTimeout, SkillFileError
from skillforge.fields import validation_problems
from skillforge.messages import Completion, Cost, Message, Part, Request, Text, ToolCall, Usage, Value
from skillforge.yamlfile import load_yaml

Reply: TypeAlias = "str | Mapping[str, Any] | Sequence[Any] | bool | int | float | Completion | _Calling | None"
Answer: TypeAlias = "Reply | Callable[[Request], Reply]"

_CHARACTERS_PER_TOKEN = 4  # the usual rule of thumb for English; the usage is marked as estimated


class When(Value):
    """What a request must be for a rule to answer it. An unset field matches everything."""

    role: str | None = None
    contains: str | None = None

    def matches(self, request: Request) -> bool:
        if self.role is not None and self.role != request.key.role:
            return False
        return self.contains is None or _holds(request.key.input, self.contains)


class Call(Value):
    """A call of a tool that a script makes."""

    tool: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Rule(Value):
    """One line of a script: when it applies and what it answers: a reply, or calls of tools (with a reply beside them
    where the model says something too).
    """

    when: When = When()
    reply: Any = None
    calls: tuple[Call, ...] = ()

    @model_validator(mode="after")
    def _answers(self) -> Self:
        if "reply" not in self.model_fields_set and not self.calls:
            raise ValueError("must hold a reply or calls")
        return self


class Script(Value):
    """What a ``scripted:`` file holds."""

    answers: tuple[Rule, ...] = ()
    default: Any = None
    latency_ms: float = Field(default=0, ge=0)
    log: str = ""
    fail_every: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class _Calling:
    """Calls of tools, and what is said beside them."""

    said: str
    calls: tuple[Call, ...]


class Scripted:
    """A provider that answers as told.

    ``answers`` is a sequence (one answer per call, in order) or a mapping (the first key that the request's input
    contains picks the answer). An answer is text, a JSON value, a ready ``Completion``, or a function of the request.
    ``default`` answers what is left; without one, ``ProviderError``. ``seen`` holds every request that arrived.
    """

    concurrency = 32
    native_tools = True

    def __init__(
        self,
        answers: Sequence[Answer] | Mapping[str, Answer] = (),
        *,
        default: Answer = None,
        name: str = "scripted",
        latency_ms: float = 0,
        log: Path | None = None,
        fail_every: int = 0,
    ) -> None:
        if isinstance(answers, str):
            answers = (answers,)
        self.name = name
        self.seen: list[Request] = []
        self._pick = _by_content(answers) if isinstance(answers, Mapping) else _in_order(answers)
        self._default = default
        self._latency_s = latency_ms / 1000
        self._log = log
        self._fail_every = fail_every
        self._fingerprint = name  # what Python functions will answer cannot be known: two scripts need two names

    @classmethod
    def from_file(cls, path: Path, *, name: str = "") -> Scripted:
        """Read a script. Raises ``NotFound`` or ``SkillFileError`` naming file, line or field."""
        script = _read_script(path)
        provider = cls(
            default=script.default,
            name=name or f"scripted:{path}",
            latency_ms=script.latency_ms,
            log=_log_path(path, script.log) if script.log else None,
            fail_every=script.fail_every,
        )
        provider._pick = _by_rule(script.answers)
        content = script.model_dump(include={"answers", "default", "latency_ms"})
        for rule in content["answers"]:
            if not rule["calls"]:
                del rule["calls"]
        provider._fingerprint = f"scripted {digest_bytes(compact(content).encode('utf-8', 'backslashreplace'))}"
        return provider

    def fingerprint(self) -> str:
        return self._fingerprint

    def price(self, usage: Usage) -> Cost:
        return Cost(usd=0.0, basis="a script costs nothing")

    async def complete(self, request: Request) -> Completion:
        self.seen.append(request)
        number = len(self.seen)
        if self._log is not None:
            _append(self._log, {"call": number, "role": request.key.role, "input": request.key.input})
        if self._latency_s >= request.timeout_s:
            await anyio.sleep(request.timeout_s)
            raise ProviderTimeout(f"{self.name} gave no answer within {request.timeout_s:g} s")
        await anyio.sleep(self._latency_s)
        if self._fail_every and number % self._fail_every == 0:
            raise ProviderError(f"{self.name} fails every {self._fail_every} calls; this is call {number}")
        return self._completion(request, self._answer(request))

    async def aclose(self) -> None:
        return None

    def _answer(self, request: Request) -> Reply:
        answer = self._pick(request)
        if answer is None:
            answer = self._default
        if callable(answer):
            answer = answer(request)
        if answer is None:
            asked = f"a {request.key.role!r} request with input {_shorten(request.key.input)}"
            raise ProviderError(
                f"{self.name} has no answer for {asked}",
                hint="add an answer that matches it, or a default",
            )
        return answer

    def _completion(self, request: Request, reply: Reply) -> Completion:
        if isinstance(reply, Completion):
            return reply
        if isinstance(reply, _Calling):
            text, calls = reply.said, reply.calls
        else:
            text, calls = reply if isinstance(reply, str) else compact(reply), ()
        sent = sum(len(message.text) for message in request.messages)
        said: tuple[Part, ...] = (Text(text=text),) if text or not calls else ()
        return Completion(
            message=Message(role="assistant", content=(*said, *_numbered(calls, request))),
            stop="tool_calls" if calls else "stop",
            model=self.name,
            usage=Usage(
                input_tokens=sent // _CHARACTERS_PER_TOKEN,
                cached_tokens=0,
                output_tokens=len(text) // _CHARACTERS_PER_TOKEN,
                estimated=True,
            ),
            cost=self.price(Usage()),
            latency_s=self._latency_s,
        )


def _in_order(answers: Sequence[Answer]) -> Callable[[Request], Answer]:
    left: Iterator[Answer] = iter(answers)
    return lambda request: next(left, None)


def _by_content(answers: Mapping[str, Answer]) -> Callable[[Request], Answer]:
    def pick(request: Request) -> Answer:
        return next((answer for text, answer in answers.items() if _holds(request.key.input, text)), None)

    return pick


def _by_rule(rules: tuple[Rule, ...]) -> Callable[[Request], Answer]:
    def pick(request: Request) -> Answer:
        rule = next((rule for rule in rules if rule.when.matches(request)), None)
        if rule is None or not rule.calls:
            return None if rule is None else rule.reply
        said = "" if rule.reply is None else rule.reply if isinstance(rule.reply, str) else compact(rule.reply)
        return _Calling(said, rule.calls)

    return pick


def _numbered(calls: tuple[Call, ...], request: Request) -> Iterator[ToolCall]:
    """The calls with ids that no earlier one of the conversation has."""
    before = sum(len(message.tool_calls) for message in request.messages)
    for number, call in enumerate(calls, start=before + 1):
        yield ToolCall(id=f"call-{number}", name=call.tool, arguments=call.arguments)


def _holds(value: Any, text: str) -> bool:
    """Whether ``text`` occurs in any string of the input, or in its one-line JSON (for numbers and keys)."""
    return text in compact(value) or any(text in leaf for leaf in _strings(value))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def _shorten(value: Any, width: int = 80) -> str:
    text = compact(value)
    return text if len(text) <= width else text[: width - 1] + "…"


def _append(path: Path, entry: dict[str, Any]) -> None:
    """One whole line in one write, so that calls can be counted after kill -9 and by several processes at once."""
    line = (compact(entry) + "\n").encode("utf-8", "backslashreplace")
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as exc:
        raise ProviderError(f"cannot write the call log {path}: {exc.strerror}") from exc
    try:
        os.write(handle, line)
    finally:
        os.close(handle)


def _log_path(script: Path, log: str) -> Path:
    """A script comes from others: it may only write beside itself."""
    folder = script.resolve().parent
    target = (folder / log).resolve()
    if not target.is_relative_to(folder) or target == script.resolve():
        raise SkillFileError(str(script), [Problem("must be a file inside the script's own folder", field="log")])
    return target


def _read_script(path: Path) -> Script:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise NotFound(f"cannot read the script {path}: {exc.strerror}", hint="write scripted:PATH of a file") from exc
    document = load_yaml(data, path=str(path))
    try:
        return Script.model_validate(document.value)
    except ValidationError as exc:
        raise SkillFileError(str(path), validation_problems(exc, Script, document.where)) from exc
