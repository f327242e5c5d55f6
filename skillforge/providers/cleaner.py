"""Secrets out of requests and answers before they are recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from skillforge.canonical import compact
from skillforge.jsonl import strict_json
from skillforge.messages import Completion, Message, Part, Request, RequestKey, Text, TokenLogprob, Tool

CleanValue = Callable[[Any], Any]
CleanText = Callable[[str], str]


@dataclass(frozen=True)
class Cleaner:
    """``value`` gives a copy of a JSON value without secrets, ``text`` a text (``Redactor.value``, ``Redactor.text``).

    Figures stay as they are. Cleaning twice gives what cleaning once gave, as far as these two do so.
    """

    value: CleanValue
    text: CleanText

    @classmethod
    def of(cls, clean: CleanValue | None, clean_text: CleanText | None) -> Cleaner | None:
        """``None`` where nothing is to be cleaned. ``clean`` alone does for texts too."""
        if clean is None and clean_text is None:
            return None
        value = clean if clean is not None else lambda item: item
        return cls(value=value, text=clean_text if clean_text is not None else value)

    def answer(self, text: str) -> str:
        """A text without secrets. Where it was a JSON object or array, it is one afterwards.

        Escapes can hide a secret from the text, and a number that is one cannot become words in place: then the parsed
        value is cleaned and written again.
        """
        clean = self.text(text)
        try:
            value = strict_json(text)
        except ValueError:
            return clean
        if not isinstance(value, dict | list) or self._is_clean_json(clean):
            return clean
        try:
            return self.text(compact(self.value(value)))
        except RecursionError:
            return clean

    def request(self, request: Request) -> Request:
        """The request without secrets, its key too."""
        key = RequestKey(role=request.key.role, task=self.text(request.key.task), input=self.value(request.key.input))
        changes = {
            "key": key,
            "messages": tuple(self.message(message) for message in request.messages),
            "output_schema": self.value(request.output_schema),
            "tools": tuple(Tool.model_validate(self.value(dict(tool))) for tool in request.tools),
        }
        return request.model_copy(update=changes)

    def completion(self, completion: Completion) -> Completion:
        """The answer without secrets."""
        message = self.message(completion.message)
        changes = {
            "message": message,
            "model": self.text(completion.model),
            "logprobs": self.logprobs(completion.logprobs, changed=message.text != completion.text),
        }
        return completion.model_copy(update=changes)

    def message(self, message: Message) -> Message:
        return message.model_copy(update={"content": self.parts(message.content)})

    def parts(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """The parts without secrets. A secret that several texts make up together leaves one text in their place."""
        clean = tuple(self._part(part) for part in parts)
        texts = [part.text for part in clean if isinstance(part, Text)]
        if len(texts) < 2 or self.text("".join(texts)) == "".join(texts):
            return clean
        whole = Text(text=self.answer("".join(part.text for part in parts if isinstance(part, Text))))
        first = next(number for number, part in enumerate(clean) if isinstance(part, Text))
        rest = (part for part in clean[first:] if not isinstance(part, Text))
        return (*clean[:first], whole, *rest)

    def logprobs(self, logprobs: tuple[TokenLogprob, ...] | None, *, changed: bool) -> tuple[TokenLogprob, ...] | None:
        """``None`` where the answer held a secret: its tokens spell it out in pieces that no pattern knows."""
        if logprobs is None or changed:
            return None
        spelled = "".join(item.token for item in logprobs)
        others = "\n".join(token for item in logprobs for token, _ in item.top)
        return logprobs if self.text(spelled) == spelled and self.text(others) == others else None

    def _part(self, part: Part) -> Part:
        if isinstance(part, Text):
            return Text(text=self.answer(part.text))
        return type(part).model_validate(self.value(dict(part)))

    def _is_clean_json(self, text: str) -> bool:
        try:
            value = strict_json(text)
            return bool(self.value(value) == value)
        except (ValueError, RecursionError):
            return False
