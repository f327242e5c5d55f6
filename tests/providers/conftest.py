from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from skillforge.messages import Message, Request, RequestKey

Asker = Callable[..., Request]


@pytest.fixture
def asking() -> Asker:
    """Builds requests: ``asking("some text", role="solve", timeout_s=1)``."""

    def build(
        text: str = "hello", *, role: str = "solve", task: str = "sort mail", input: Any = None, **more: Any
    ) -> Request:
        return Request(
            messages=(Message.of("system", "You are terse."), Message.of("user", text)),
            key=RequestKey(role=role, task=task, input={"text": text} if input is None else input),
            **more,
        )

    return build
