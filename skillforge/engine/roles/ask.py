"""A role's question, asked once: its answer is found again by the very words of the question."""

from __future__ import annotations

from skillforge.canonical import digest
from skillforge.engine.frame import HARNESS
from skillforge.engine.journal import TraceJournal
from skillforge.errors import Halt, ProviderError
from skillforge.messages import Completion, Cost, Request
from skillforge.providers.base import Provider
from skillforge.trace import Trace


def request_address(provider: Provider, request: Request) -> str:
    """Content address of a question to a model: who is asked, as what, in which words."""
    said = [[message.role, message.text] for message in request.messages]
    return digest({"harness": HARNESS, "by": provider.fingerprint(), "role": request.key.role, "prompt": said})


async def ask(provider: Provider, request: Request, journal: TraceJournal, name: str) -> Trace:
    """The answer as a trace whose ``output`` is its text; an answer that is none has ``error`` set and is not kept.

    Raises ``Halt`` where no further call makes sense.
    """
    key = request_address(provider, request)
    if (known := journal.known([key]).get(key)) is not None:
        return known
    trace = Trace(case_id=name, task=request.key.task, input={"asked": request.key.input})
    try:
        completion = await provider.complete(request)
    except Halt:
        raise
    except ProviderError as exc:
        cost = Cost() if exc.maybe_billed else Cost(usd=0.0, basis="not billed")
        return trace.model_copy(update={"error": str(exc), "cost": cost, "calls": exc.calls})
    trace = trace.model_copy(
        update={
            "output": completion.text,
            "model": completion.model,
            "usage": completion.usage,
            "cost": completion.cost,
            "latency_s": completion.latency_s,
            "calls": completion.calls,
            "error": _unusable(completion),
        }
    )
    if not trace.error:
        journal.add(key, trace, provider.name)
    return trace


def _unusable(completion: Completion) -> str:
    if completion.stop in ("refusal", "content_filter"):
        return "the model refused to answer"
    return "" if completion.text.strip() else "the answer is empty"
