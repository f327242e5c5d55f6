"""A recording: one line a call, canonical JSON.

::

    {"request": {"role": "solve", "task": "sha256:…", "input": {…}, "prompt": "sha256:…"},
     "response": {"text": "…"} or {"json": …} or {"parts": […]}, plus what is known of "model", "usage", "cost",
                 "latency_s", "stop", "logprobs", "calls"}

``prompt`` (see ``prompt_digest``) stands in lines recorded live; lines written by hand leave it out and answer any
wording. The first line may be ``{"provenance": {…}}``: where the answers come from.
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import ConfigDict, Field, model_validator

from skillforge.canonical import compact, digest
from skillforge.errors import UsageError
from skillforge.jsonl import MAX_LINE_BYTES, strict_json
from skillforge.messages import (
    Completion,
    Cost,
    Message,
    Part,
    Request,
    StopReason,
    Text,
    TokenLogprob,
    Usage,
    Value,
)
from skillforge.providers.cleaner import Cleaner, CleanText, CleanValue

_DIGEST = r"^sha256:[0-9a-f]{64}$"


_Pair = tuple[str, float | None]  # a token and its logprob, ``None`` for minus infinity


class CallKey(NamedTuple):
    """What a recording is looked up by: the role, and the digests of the task sentence and of the input."""

    role: str
    task: str
    input: str


class RecordedRequest(Value):
    """Which question was asked. ``task`` is the digest of the task sentence (``canonical.digest``), ``prompt`` that of
    all the model saw; ``None`` in a line written by hand.
    """

    role: str
    task: str = Field(pattern=_DIGEST)
    input: Any
    prompt: str | None = Field(default=None, pattern=_DIGEST)

    @classmethod
    def of(cls, request: Request) -> RecordedRequest:
        key = request.key
        return cls(role=key.role, task=digest(key.task), input=key.input, prompt=prompt_digest(request))

    @property
    def key(self) -> CallKey:
        """Raises ``ValueError`` when the input is not canonical JSON."""
        return CallKey(self.role, self.task, digest(self.input))

    def to_json(self) -> dict[str, Any]:
        prompt = {} if self.prompt is None else {"prompt": self.prompt}
        return {"role": self.role, "task": self.task, "input": self.input, **prompt}


class RecordedResponse(Value):
    """What was answered: ``text``, ``json``, or ``parts`` where it was not one text alone; never two of them.

    Absent model, usage, cost and latency are unknown. ``logprobs`` are pairs of token and logprob, ``None`` for minus
    infinity, which JSON cannot hold; where alternatives were told, a third item holds those, as such pairs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    text: str | None = None
    value: Any = Field(default=None, alias="json")
    parts: tuple[Part, ...] | None = None
    model: str | None = None
    usage: Usage = Usage()
    cost: Cost = Cost()
    latency_s: float | None = Field(default=None, ge=0)
    stop: StopReason = "stop"
    logprobs: tuple[tuple[str, float | None] | tuple[str, float | None, tuple[_Pair, ...]], ...] | None = None
    calls: int = 1

    @model_validator(mode="after")
    def _one_answer(self) -> Self:
        if [self.text is not None, "value" in self.model_fields_set, self.parts is not None].count(True) != 1:
            raise ValueError("must hold either text or json, or parts")
        return self

    @classmethod
    def of(cls, completion: Completion) -> RecordedResponse:
        content = completion.message.content
        alone = len(content) == 1 and isinstance(content[0], Text)
        usd, latency = _finite(completion.cost.usd), _finite(completion.latency_s)
        logprobs = completion.logprobs
        return cls(
            text=completion.text if alone else None,
            parts=None if alone else content,
            model=completion.model,
            usage=completion.usage,
            cost=completion.cost.model_copy(update={"usd": usd}),
            latency_s=None if latency is not None and latency < 0 else latency,
            stop=completion.stop,
            logprobs=None if logprobs is None else tuple(map(_told, logprobs)),
            calls=completion.calls,
        )

    def completion(self, fallback_model: str) -> Completion:
        if self.parts is not None:
            message = Message(role="assistant", content=self.parts)
        else:
            message = Message.of("assistant", compact(self.value) if self.text is None else self.text)
        return Completion(
            message=message,
            stop=self.stop,
            model=fallback_model if self.model is None else self.model,
            usage=self.usage,
            cost=self.cost,
            latency_s=self.latency_s,
            logprobs=self._logprobs(),
            calls=self.calls,
        )

    def to_json(self) -> dict[str, Any]:
        """Defaults are left out. Values are taken as they are: pydantic copies them only down to a certain depth."""
        written: dict[str, Any]
        if self.parts is not None:
            written = {"parts": [_part(part) for part in self.parts]}
        else:
            written = {"json": self.value} if self.text is None else {"text": self.text}
        figures = self.model_dump(exclude_defaults=True, exclude={"text", "value", "parts", "logprobs"})
        logprobs = {} if self.logprobs is None else {"logprobs": [_listed(item) for item in self.logprobs]}
        return {**written, **figures, **logprobs}

    def _logprobs(self) -> tuple[TokenLogprob, ...] | None:
        if self.logprobs is None:
            return None
        return tuple(
            TokenLogprob(
                token=item[0],
                logprob=_logprob(item[1]),
                top=tuple((token, _logprob(logprob)) for token, logprob in (item[2] if len(item) == 3 else ())),
            )
            for item in self.logprobs
        )


class RecordedLine(Value):
    """One line of a recording."""

    request: RecordedRequest
    response: RecordedResponse

    @classmethod
    def of(cls, request: Request, completion: Completion) -> RecordedLine:
        """The line that replays ``completion`` for ``request``, part for part."""
        return cls(request=RecordedRequest.of(request), response=RecordedResponse.of(completion))

    def completion(self, fallback_model: str) -> Completion:
        return self.response.completion(fallback_model)

    def to_json(self) -> dict[str, Any]:
        """The line as written: what is unknown is left out, keys keep their order (it matters to small models)."""
        return {"request": self.request.to_json(), "response": self.response.to_json()}


def prompt_digest(request: Request) -> str:
    """``sha256:<64 hex>`` over all that the model sees or is held to: messages with every part, output schema, tools,
    output limit, temperature, logprobs; the order of keys counts, as models see it.

    Never fails. Half surrogates count as U+FFFD, which is what a recording makes of them: a repair of a replayed
    answer has the digest that the repair of the live one had.
    """
    seen: dict[str, Any] = {
        "messages": [[message.role, [dict(part) for part in message.content]] for message in request.messages],
        "output_schema": request.output_schema,
        "tools": [[tool.name, tool.description, tool.parameters] for tool in request.tools],
        "max_output_tokens": request.max_output_tokens,
        "temperature": request.temperature,
        "logprobs": request.logprobs,
    }
    for name in ("any_json", "effort", "thinking_tokens"):  # younger than the recordings there are
        if value := getattr(request, name):
            seen[name] = value
    if request.tool_choice != "auto":
        seen["tool_choice"] = request.tool_choice
    content = hashlib.sha256()
    for token in _tokens(seen):
        content.update(token)
    return f"sha256:{content.hexdigest()}"


def write_recording(
    path: Path,
    entries: Iterable[RecordedLine],
    *,
    provenance: Mapping[str, Any] | None = None,
    clean: CleanValue | None = None,
    clean_text: CleanText | None = None,
) -> None:
    """Write a recording whole or not at all. Raises ``UsageError`` when it cannot be written.

    With ``clean`` and ``clean_text`` (``Redactor.value``, ``Redactor.text``) no secret is written. A line whose input
    held one loses its prompt digest, which was taken over that secret, and so answers any wording; a ``Recorder``
    digests the cleaned prompt instead.
    """
    cleaner = Cleaner.of(clean, clean_text)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, suffix=".tmp", delete=False) as out:
            try:
                if provenance is not None:
                    out.write(provenance_line(provenance, cleaner))
                for entry in entries:
                    out.write(encode_line(entry if cleaner is None else _cleaned(entry, cleaner)))
                out.flush()
                os.fsync(out.fileno())
                os.replace(out.name, path)
            except BaseException:
                os.unlink(out.name)
                raise
    except OSError as exc:
        raise UsageError(f"cannot write the recording {path}: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"cannot write the recording {path}: a line of it could not be read again: {exc}") from exc


def encode_line(entry: RecordedLine) -> bytes:
    """The line as bytes, with its end. Half surrogates in an answer, which no file can hold, become U+FFFD.

    Raises ``ValueError`` for a line that could not be read again: its input has no digest, it is too long or too deep.
    """
    _ = entry.request.key
    try:
        line = _well_formed(compact(entry.to_json())).encode()
    except (RecursionError, TypeError) as exc:
        raise ValueError(f"not JSON: {exc}") from exc
    if len(line) >= MAX_LINE_BYTES:
        raise ValueError(f"longer than {MAX_LINE_BYTES:,} bytes")
    strict_json(line)
    return line + b"\n"


def provenance_line(provenance: Mapping[str, Any], cleaner: Cleaner | None) -> bytes:
    said = dict(provenance)
    return _well_formed(compact({"provenance": said if cleaner is None else cleaner.value(said)})).encode() + b"\n"


def _cleaned(entry: RecordedLine, cleaner: Cleaner) -> RecordedLine:
    request, response = entry.request, entry.response
    given = cleaner.value(request.input)
    if given != request.input:
        request = request.model_copy(update={"input": given, "prompt": None})
    answer: dict[str, Any]
    if response.parts is not None:
        answer = {"parts": cleaner.parts(response.parts)}
    elif response.text is not None:
        answer = {"text": cleaner.answer(response.text)}
    else:
        answer = {"value": cleaner.value(response.value)}
    changed = any(getattr(response, name) != value for name, value in answer.items())
    spelled = "".join(item[0] for item in response.logprobs or ())
    others = "\n".join(token for item in response.logprobs or () if len(item) == 3 for token, _ in item[2])
    if changed or cleaner.text(spelled) != spelled or cleaner.text(others) != others:
        answer["logprobs"] = None
    if response.model is not None:
        answer["model"] = cleaner.text(response.model)
    return RecordedLine(request=request, response=response.model_copy(update=answer))


def _part(part: Part) -> dict[str, Any]:
    fields = type(part).model_fields
    return {name: value for name, value in part if name == "type" or value != fields[name].default}


def _told(item: TokenLogprob) -> tuple[str, float | None] | tuple[str, float | None, tuple[_Pair, ...]]:
    if not item.top:
        return item.token, _finite(item.logprob)
    return item.token, _finite(item.logprob), tuple((token, _finite(logprob)) for token, logprob in item.top)


def _listed(item: tuple[str, float | None] | tuple[str, float | None, tuple[_Pair, ...]]) -> list[Any]:
    return [item[0], item[1], [list(pair) for pair in item[2]]] if len(item) == 3 else list(item)


def _logprob(told: float | None) -> float:
    return -math.inf if told is None else told


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _well_formed(text: str) -> str:
    """The text with surrogate pairs joined and half ones replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _tokens(value: Any) -> Iterator[bytes]:
    """A value of any depth as bytes that no other value gives: each text and collection says its length first."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            yield b"{%d " % len(item)
            for name in reversed(list(item)):
                stack += (item[name], name)
        elif isinstance(item, list | tuple):
            yield b"[%d " % len(item)
            stack.extend(reversed(item))
        elif isinstance(item, str):
            text = _well_formed(item).encode()
            yield b'"%d ' % len(text) + text
        elif isinstance(item, int) and not isinstance(item, bool):
            yield b"%x " % item  # decimals of a huge number are refused by Python
        else:
            yield repr(item).encode("utf-8", "backslashreplace") + b" "
