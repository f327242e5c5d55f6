"""A recording: one canonical line a call, matched on role, task and input, whatever the wording of the prompt was.

::

    {"request": {"role": "solve", "task": "sha256:…", "input": {…}},
     "response": {"text": "…"} or {"json": …}, plus "model", "usage", "cost", "latency_s", "stop" where known}

The first line may be ``{"provenance": {…}}``: where the answers come from.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import ConfigDict, Field, model_validator

from skillforge.canonical import compact, digest
from skillforge.errors import UsageError
from skillforge.messages import Completion, Cost, Message, Request, StopReason, Usage, Value


class CallKey(NamedTuple):
    """What a recording is looked up by: the role, and the digests of the task sentence and of the input."""

    role: str
    task: str
    input: str


class RecordedRequest(Value):
    """Which question was asked. ``task`` is the digest of the task sentence (``canonical.digest``)."""

    role: str
    task: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    input: Any

    @classmethod
    def of(cls, request: Request) -> RecordedRequest:
        return cls(role=request.key.role, task=digest(request.key.task), input=request.key.input)

    @property
    def key(self) -> CallKey:
        """Raises ``ValueError`` when the input is not canonical JSON."""
        return CallKey(self.role, self.task, digest(self.input))


class RecordedResponse(Value):
    """What was answered: ``text`` or ``json``, never both. Absent model, usage, cost and latency are unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    text: str | None = None
    value: Any = Field(default=None, alias="json")
    model: str = ""
    usage: Usage = Usage()
    cost: Cost = Cost()
    latency_s: float | None = Field(default=None, ge=0)
    stop: StopReason = "stop"

    @model_validator(mode="after")
    def _one_answer(self) -> Self:
        if (self.text is not None) == ("value" in self.model_fields_set):
            raise ValueError("must hold either text or json")
        return self


class RecordedLine(Value):
    """One line of a recording."""

    request: RecordedRequest
    response: RecordedResponse

    @classmethod
    def of(cls, request: Request, completion: Completion) -> RecordedLine:
        """The line that replays ``completion`` for ``request``, word for word."""
        response = RecordedResponse(
            text=completion.text,
            model=completion.model,
            usage=completion.usage,
            cost=completion.cost,
            latency_s=completion.latency_s,
            stop=completion.stop,
        )
        return cls(request=RecordedRequest.of(request), response=response)

    def completion(self, fallback_model: str) -> Completion:
        response = self.response
        text = compact(response.value) if response.text is None else response.text
        return Completion(
            message=Message.of("assistant", text),
            stop=response.stop,
            model=response.model or fallback_model,
            usage=response.usage,
            cost=response.cost,
            latency_s=response.latency_s,
        )

    def to_json(self) -> dict[str, Any]:
        """The line as written: what is unknown is left out, keys keep their order (it matters to small models)."""
        written: dict[str, Any] = {"request": self.request.model_dump()}
        response = self.response.model_dump(by_alias=True, exclude_defaults=True)
        if self.response.text is None:
            response = {"json": self.response.value, **response}
        return {**written, "response": response}


def write_recording(
    path: Path, entries: Iterable[RecordedLine], *, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write a recording whole or not at all. Raises ``UsageError`` when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".tmp", delete=False) as out:
            try:
                if provenance is not None:
                    out.write(compact({"provenance": dict(provenance)}) + "\n")
                for entry in entries:
                    out.write(compact(entry.to_json()) + "\n")
                out.flush()
                os.fsync(out.fileno())
                os.replace(out.name, path)
            except BaseException:
                os.unlink(out.name)
                raise
    except OSError as exc:
        raise UsageError(f"cannot write the recording {path}: {exc.strerror}") from exc
