"""The one thing every provider is: something that answers a request."""

from __future__ import annotations

from typing import Protocol

from skillforge.messages import Completion, Cost, Request, Usage


def tells_probabilities(provider: Provider) -> bool:
    """Whether a model may tell the probabilities of its tokens. One that surely does not says so (``logprobs``)."""
    return bool(getattr(provider, "logprobs", True))


class Provider(Protocol):
    """A model behind one method.

    ``name`` is how a user writes it (``local:smollm2-135m``); ``concurrency`` is how many calls at once make sense.
    ``native_tools``: a request may hold tools, and the answer calls of them.
    """

    @property
    def name(self) -> str: ...

    @property
    def concurrency(self) -> int: ...

    @property
    def native_tools(self) -> bool: ...

    def fingerprint(self) -> str:
        """Names all that can change the answer to one request: stored answers are reused only under the same one."""
        ...

    def price(self, usage: Usage) -> Cost:
        """What one call with this usage costs; ``Cost(usd=None)`` where no price is known."""
        ...

    async def complete(self, request: Request) -> Completion:
        """Answer ``request`` or raise a ``ProviderError``. Cancelling the call stops the work behind it."""
        ...

    async def aclose(self) -> None:
        """Free what the provider holds (a server, connections). May be called twice."""
        ...
