"""What a chat completions server answered, whole or as a stream of chunks, as a completion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from skillforge.canonical import compact
from skillforge.errors import ContextOverflow, ProviderError, RequestRejected, ServerFailure
from skillforge.messages import Completion, Cost, Message, Part, StopReason, Text, TokenLogprob, Usage
from skillforge.providers.wires import reading
from skillforge.providers.wires.sdk_errors import SHORTEN, Clean, server_error

SCHEMA_HINT = "simplify the output schema: no external $ref, no true/false as a schema, list bounds below 1000"

STOPS: Mapping[str, StopReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",  # servers that know only one call an answer
    "content_filter": "content_filter",
}
_AS_IT_IS: Clean = str


def completion_of(chunks: Sequence[Mapping[str, Any]], *, model: str, cost: Cost, latency_s: float) -> Completion:
    """Put the finished stream of the model ``model`` together. Raises what ``ChatAnswer`` raises."""
    answer = ChatAnswer(model)
    for chunk in chunks:
        answer.add(chunk)
    return answer.completion(model=model, latency_s=latency_s).model_copy(update={"cost": cost})


class ChatAnswer:
    """An answer as it comes in: ``add`` takes each chunk of a stream, or the one object of an answer without stream.

    ``name`` is the model as the user writes it, for errors. Only text is kept, not the chunks: a stream spends a
    kilobyte on every token.
    """

    def __init__(self, name: str, clean: Clean = _AS_IT_IS) -> None:
        self._name = name
        self._clean = clean
        self._model = ""
        self._reason: Any = None
        self._usage: Mapping[str, Any] = {}
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self._logprobs: list[TokenLogprob] = []

    def add(self, chunk: Any) -> None:
        """Raises a ``ProviderError`` for an error in the place of an answer."""
        if not isinstance(chunk, Mapping):
            raise ServerFailure(f"{self._name}: the answer is no JSON object", maybe_billed=True)
        if chunk.get("error"):
            raise _error(chunk, name=self._name, clean=self._clean)
        self._model = self._model or reading.text(chunk.get("model"))
        self._usage = reading.mapping(chunk.get("usage")) or self._usage
        for choice in reading.items(chunk.get("choices"))[:1]:
            self._add_choice(reading.mapping(choice))

    def completion(self, *, model: str = "", latency_s: float) -> Completion:
        """The whole answer of the model ``model``, else of the one that the server names.

        Raises ``ServerFailure`` when nothing says why the model stopped: such an answer was cut off on its way.
        """
        stop = STOPS.get(self._reason) if isinstance(self._reason, str) else None
        if stop is None:
            shown = self._clean(repr(self._reason)[:50])
            text = f"{self._name}: the answer was cut off on its way (finish reason: {shown})"
            raise ServerFailure(text, hint="try again", maybe_billed=True)
        text, refusal = "".join(self._text), "".join(self._refusal)
        parts: list[Part] = [Text(text=text or refusal)] if text or refusal else []
        parts += [
            reading.tool_call(number, call["id"], call["name"], "".join(call["arguments"]))
            for number, call in enumerate(self._calls)
        ]
        message = Message(role="assistant", content=tuple(parts))
        return Completion(
            message=message,
            stop="refusal" if refusal else _settled(stop, message),
            model=model or self._clean(self._model[:200]) or self._name,
            usage=usage_of(self._usage),
            latency_s=latency_s,
            logprobs=tuple(self._logprobs) or None,
        )

    def _add_choice(self, choice: Mapping[str, Any]) -> None:
        whole = reading.mapping(choice.get("message"))
        delta = whole or reading.mapping(choice.get("delta"))
        self._reason = choice.get("finish_reason") or self._reason
        self._text.append(_content(delta.get("content")))
        self._refusal.append(reading.text(delta.get("refusal")))
        for piece in reading.items(delta.get("tool_calls")):
            self._add_call(reading.mapping(piece), whole=bool(whole))
        if isinstance(delta.get("function_call"), Mapping):
            self._add_call({"index": 0, "function": delta["function_call"]}, whole=bool(whole))
        self._logprobs += reading.token_logprobs(reading.mapping(choice.get("logprobs")).get("content"))

    def _add_call(self, piece: Mapping[str, Any], *, whole: bool) -> None:
        """Calls arrive in pieces: the first names id and function, later ones add to the arguments."""
        index = None if whole else reading.count(piece.get("index")) or 0  # servers without parallel calls say none
        call_id = reading.text(piece.get("id"))
        call = next((call for call in reversed(self._calls) if call["index"] == index), None)
        if call is None or whole or (call_id and call["id"] and call_id != call["id"]):
            call = {"index": index, "id": "", "name": "", "arguments": []}
            self._calls.append(call)
        function = reading.mapping(piece.get("function"))
        arguments = function.get("arguments")
        call["id"] = call["id"] or call_id
        call["name"] = call["name"] or reading.text(function.get("name"))
        call["arguments"].append(compact(arguments) if isinstance(arguments, dict) else reading.text(arguments))


def _settled(stop: StopReason, message: Message) -> StopReason:
    """Servers differ in what they call the end of an answer with calls: the calls themselves decide."""
    if stop in ("stop", "tool_calls"):
        return "tool_calls" if message.tool_calls else "stop"
    return stop


def _content(content: Any) -> str:
    """A text, or a list of parts of which some are text."""
    if isinstance(content, list):
        return "".join(reading.text(reading.mapping(part).get("text")) for part in content)
    return reading.text(content)


def usage_of(usage: Mapping[str, Any]) -> Usage:
    return reading.usage_of(
        usage.get("prompt_tokens"),
        usage.get("completion_tokens"),
        usage.get("total_tokens"),
        reading.mapping(usage.get("prompt_tokens_details")),
        reading.mapping(usage.get("completion_tokens_details")),
    )


def _error(chunk: Mapping[str, Any], *, name: str, clean: Clean) -> ProviderError:
    detail = reading.mapping(chunk["error"])
    if detail.get("type") == "exceed_context_size_error":  # llama.cpp
        sent, fits = reading.count(detail.get("n_prompt_tokens")), reading.count(detail.get("n_ctx"))
        text = f"the request is {_told(sent)} tokens long, the model's context holds {_told(fits)}"
        return ContextOverflow(text, hint=SHORTEN)
    failure = server_error(chunk, name=name, clean=clean)
    if "grammar" in str(failure):
        return RequestRejected(f"the output schema cannot be enforced: {failure}", hint=SCHEMA_HINT)
    return failure


def _told(number: int | None) -> str:
    return "?" if number is None else str(number)
