"""The skeleton of recurring calls: the constant text of a prompt and the named gaps in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from skillforge.call import Call
from skillforge.canonical import digest
from skillforge.messages import Message, Text, Value

Turns = list[tuple[str, Any]]  # role and content: a text, or a list of parts where there is more than text
HISTORY, MESSAGE, TOOLS = "history", "message", "tools"


class Turn(Value):
    """One turn of the prompt: ``texts[0]``, the field ``gaps[0]``, ``texts[1]``, … always one text more than gaps."""

    role: Literal["system", "user", "assistant"]
    texts: tuple[str, ...]
    gaps: tuple[str, ...] = ()

    def match(self, text: str) -> list[str] | None:
        """The texts in the gaps, or ``None`` where the constants do not stand in ``text`` in this order.

        Every constant is taken at its first place after the one before it, the last at the end.
        """
        if not self.gaps:
            return [] if text == self.texts[0] else None
        first, last = self.texts[0], self.texts[-1]
        if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
            return None
        found, start, end = [], len(first), len(text) - len(last)
        for inner in self.texts[1:-1]:
            place = text.find(inner, start, end)
            if place < 0:
                return None
            found.append(text[start:place])
            start = place + len(inner)
        return [*found, text[start:end]]

    def render(self, fields: Mapping[str, Any]) -> str:
        return self.texts[0] + "".join(
            str(fields[gap]) + text for gap, text in zip(self.gaps, self.texts[1:], strict=True)
        )

    @property
    def constant(self) -> int:
        """Characters of constant text."""
        return sum(map(len, self.texts))


class Skeleton(Value):
    """What the calls of one group have in common.

    ``turns`` are the prompt's turns, the system text first (empty where there is none). Where ``open`` is true the rest
    of a conversation follows them, as the fields ``history`` and ``message``. ``schema_keys`` are the top-level keys of
    the output schema that is sent along (``None``: no schema; a conversation may send any). ``tools`` are the names of
    the tools; ``None`` means that they vary and are the field ``tools``. ``besides`` are narrower skeletons whose calls
    are not this one's.
    """

    id: str
    turns: tuple[Turn, ...]
    open: bool = False
    schema_keys: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = ()
    besides: tuple[Skeleton, ...] = ()

    @classmethod
    def of(
        cls,
        turns: tuple[Turn, ...],
        *,
        open: bool = False,
        schema_keys: tuple[str, ...] | None = None,
        tools: tuple[str, ...] | None = (),
    ) -> Skeleton:
        """With an id from the constants alone: what the fields are called, and how many there are calls, may change."""
        body = [
            [[turn.role, list(turn.texts)] for turn in turns],
            open,
            None if schema_keys is None else list(schema_keys),
            None if tools is None else list(tools),
        ]
        return cls(
            id="g-" + digest(body).removeprefix("sha256:")[:8],
            turns=turns,
            open=open,
            schema_keys=schema_keys,
            tools=tools,
        )

    @property
    def field_names(self) -> tuple[str, ...]:
        names = [gap for turn in self.turns for gap in turn.gaps]
        names += [HISTORY, MESSAGE] if self.open else []
        return (*names, *([TOOLS] if self.tools is None else []))

    @property
    def constant(self) -> int:
        """Characters of constant text: of two skeletons that fit a call, the one with more is meant."""
        return sum(turn.constant for turn in self.turns)

    def matches(self, call: Call) -> bool:
        """Whether the call is of this group."""
        return self.fits(call) and not any(narrow.fits(call) for narrow in self.besides)

    def fits(self, call: Call) -> bool:
        """Whether the constants fit, be the call of a narrower group or not."""
        return self._gaps(call) is not None

    def fields(self, call: Call) -> dict[str, Any] | None:
        """The varying parts by field name; ``None`` where the call is not of this group.

        ``render(fields(call)) == turns_of(call)`` for every member.
        """
        gaps = self._gaps(call)
        if gaps is None or any(narrow.fits(call) for narrow in self.besides):
            return None
        fields: dict[str, Any] = gaps
        if self.open:
            rest = turns_of(call)[len(self.turns) :]
            asks = bool(rest) and rest[-1][0] == "user" and isinstance(rest[-1][1], str) and rest[-1][1] != ""
            fields[MESSAGE] = rest.pop()[1] if asks else ""
            fields[HISTORY] = [{"role": role, "content": content} for role, content in rest]
        if self.tools is None:
            fields[TOOLS] = [tool.model_dump(mode="json", exclude={"effect"}) for tool in call.tools]
        return {name: fields[name] for name in self.field_names}

    def render(self, fields: Mapping[str, Any]) -> Turns:
        """The prompt again."""
        turns: Turns = [(turn.role, turn.render(fields)) for turn in self.turns]
        if self.open:
            turns += [(item["role"], item["content"]) for item in fields[HISTORY]]
            turns += [("user", fields[MESSAGE])] if fields[MESSAGE] else []
        return turns

    def _gaps(self, call: Call) -> dict[str, Any] | None:
        count = len(call.messages) + 1
        if count < len(self.turns) or (not self.open and count != len(self.turns)):
            return None
        found: dict[str, Any] = {}
        for turn, message in zip(self.turns, (None, *call.messages), strict=False):
            text = call.system if message is None else _plain(message, turn.role)
            values = None if text is None else turn.match(text)
            if values is None:
                return None
            found.update(zip(turn.gaps, values, strict=True))
        return found if self._has_form_of(call) else None

    def _has_form_of(self, call: Call) -> bool:
        if not self.open and self.schema_keys != schema_keys(call):
            return False
        return bool(call.tools) if self.tools is None else self.tools == tool_names(call)


def turns_of(call: Call) -> Turns:
    """The prompt of a call as turns, the system text first (empty where there is none)."""
    return [("system", call.system), *((message.role, _content(message)) for message in call.messages)]


def tool_names(call: Call) -> tuple[str, ...]:
    return tuple(sorted(tool.name for tool in call.tools))


def schema_keys(call: Call) -> tuple[str, ...] | None:
    """The top-level keys of the output schema; ``None`` where none was sent."""
    if call.output_schema is None:
        return None
    properties = call.output_schema.get("properties")
    return tuple(sorted(map(str, properties))) if isinstance(properties, dict) else ()


def is_plain(message: Message) -> bool:
    return all(isinstance(part, Text) for part in message.content)


def _plain(message: Message, role: str) -> str | None:
    return message.text if message.role == role and is_plain(message) else None


def _content(message: Message) -> Any:
    return message.text if is_plain(message) else [part.model_dump(mode="json") for part in message.content]
