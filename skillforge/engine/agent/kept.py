"""Tools whose results outlive an interruption: a call that an unfinished try made is not made again."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio.lowlevel

from skillforge.canonical import compact, digest_bytes
from skillforge.engine.journal import CallJournal
from skillforge.errors import UsageError
from skillforge.messages import Tool, ToolCall
from skillforge.tools.base import ToolBox, ToolOutcome

_SHOWN = 200  # characters of a call in a message


class UnsureWrite(UsageError):
    """An earlier try has written, and this one cannot tell how to go on without writing twice."""


class KeptTools:
    """The box of one loop, over what ``journal`` knows of an unfinished try of the same question.

    A call is known by its tool, its arguments without an idempotency key, and how many equal ones came before it. What
    was finished is taken over. A write that was begun and never ended is made again only under the same idempotency
    key. Where the loop comes to another write than the unfinished try, it stops: the earlier write stands.

    Raises ``UnsureWrite`` for both, and as ``box`` does.
    """

    def __init__(self, box: ToolBox, journal: CallJournal) -> None:
        self._box = box
        self._journal = journal
        self._known = journal.known()
        self._written = set(journal.writes())  # and not yet asked for again
        self._tools = {tool.name: tool for tool in box.tools}
        self._made: Counter[str] = Counter()
        self.wrote = {key.partition("#")[0] for key in self._written}
        """The tools that have written, in this try or an earlier one."""

    @property
    def tools(self) -> tuple[Tool, ...]:
        return self._box.tools

    @property
    def identity(self) -> str:
        return self._box.identity

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        tool = self._tools[name]
        asked = {field: value for field, value in arguments.items() if field != tool.idempotency_key}
        key, writes = self._key(name, asked), tool.effect == "write"
        self._written.discard(key)
        if (outcome := self._known.get(key)) is not None:
            return outcome
        if writes:
            await anyio.lowlevel.checkpoint()  # the other calls of this turn may be the ones that were written
            self._require_sure(key, tool, asked)
        self._journal.start(key, writes=writes)
        if writes:
            self.wrote.add(name)
        outcome = await self._box.call(name, arguments)
        self._journal.finish(key, ToolCall(id=key, name=name, arguments=asked), outcome, writes=writes)
        return outcome

    async def aclose(self) -> None:
        await self._box.aclose()

    def _key(self, name: str, asked: dict[str, Any]) -> str:
        said = compact(dict(sorted(asked.items()))).encode("utf-8", "backslashreplace")
        alike = f"{name}#{digest_bytes(said).removeprefix('sha256:')}"
        self._made[alike] += 1
        return f"{alike}#{self._made[alike]}"

    def _require_sure(self, key: str, tool: Tool, asked: dict[str, Any]) -> None:
        hint = "look whether it happened; --fresh forgets the earlier try and calls everything again"
        call = f"{tool.name}({compact(asked)})"
        call = call if len(call) <= _SHOWN else f"{call[:_SHOWN]}…"
        if key in self._known and not tool.idempotency_key:
            raise UnsureWrite(f"{call} was begun by an earlier try, and nobody knows whether it happened", hint=hint)
        if self._written:
            earlier = ", ".join(sorted({written.partition("#")[0] for written in self._written}))
            message = f"an earlier try has written otherwise ({earlier}), so {call} is not called"
            raise UnsureWrite(message, hint=hint)
