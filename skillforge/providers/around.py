"""A provider around another one: the same model, with something done at each of its calls."""

from __future__ import annotations

from skillforge.messages import Cost, Usage
from skillforge.providers.base import Provider, tells_probabilities


class Around:
    """Says of itself what the provider inside says; ``complete`` is for the classes that derive from it."""

    def __init__(self, base: Provider) -> None:
        self._base = base

    @property
    def name(self) -> str:
        return self._base.name

    @property
    def concurrency(self) -> int:
        return self._base.concurrency

    @property
    def native_tools(self) -> bool:
        return self._base.native_tools

    @property
    def logprobs(self) -> bool:
        return tells_probabilities(self._base)

    def fingerprint(self) -> str:
        return self._base.fingerprint()

    def price(self, usage: Usage) -> Cost:
        return self._base.price(usage)

    async def aclose(self) -> None:
        """Nothing: the workspace closes the model itself."""
