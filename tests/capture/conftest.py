from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from skillforge.call import Call
from skillforge.capture.context import Labels
from skillforge.capture.exchange import Exchange, Policy
from skillforge.capture.reading import Reader
from skillforge.capture.recorder import Kept, Recorder
from skillforge.capture.wrap import wrap_client
from tests.fakes.llm_server import Answer, LLMServer


class Kitchen:
    """A recorder that keeps its calls in a list, and clients wrapped around it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._kept: list[Call] = []
        self.recorder = Recorder(self._keeper, say=self.said.append)

    def wrap(
        self,
        client: Any,
        *,
        labels: Labels | None = None,
        share: float = 1.0,
        mask: Callable[[Call], Any] | None = None,
    ) -> Any:
        return wrap_client(client, self.recorder, Policy("full", share, mask), labels or Labels())

    @property
    def calls(self) -> list[Call]:
        """What was recorded so far."""
        assert self.recorder.flush(5)
        return list(self._kept)

    @contextmanager
    def _keeper(self) -> Iterator[Any]:
        kitchen = self

        class Keeper:
            reader = Reader(lambda call: call)

            def read(self, exchange: Exchange) -> Kept | None:
                call = self.reader.read(exchange)
                return None if call is None else (exchange.policy.store_io, call)

            def store(self, kept: list[Kept]) -> None:
                kitchen._kept += [call for _, call in kept]

        yield Keeper()


@pytest.fixture
def kitchen() -> Iterator[Kitchen]:
    made = Kitchen()
    yield made
    made.recorder.close()


def answer(body: dict[str, Any]) -> Answer:
    """A tool call where tools are offered, JSON where a schema is asked for, else some text."""
    if body.get("tools"):
        return Answer(tool_calls=[("call_1", "get_order", {"id": 7})])
    wanted = body.get("response_format") or body.get("output_config") or (body.get("text") or {}).get("format")
    return Answer('{"queue": "bug"}' if wanted else "Good day to you, and to all your friends. " * 3)


MakeServer = Callable[..., LLMServer]


@pytest.fixture
def server() -> Iterator[LLMServer]:
    with LLMServer(answer) as running:
        yield running


@pytest.fixture
def servers() -> Iterator[MakeServer]:
    """Starts servers and stops them after the test."""
    running: list[LLMServer] = []

    def start(**options: Any) -> LLMServer:
        running.append(LLMServer(options.pop("answer", answer), **options).__enter__())
        return running[-1]

    yield start
    for one in running:
        one.__exit__(None, None, None)
