"""What a program knows of its calls: which conversation they belong to, whom they are about, what they are for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Labels:
    """``conversation`` groups calls, ``subject`` is whom they are about, ``tags`` are free."""

    conversation: str = ""
    subject: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def over(self, base: Labels) -> Labels:
        """These labels, completed by those of ``base``."""
        tags = {**base.tags, **self.tags} if base.tags and self.tags else self.tags or base.tags
        return Labels(self.conversation or base.conversation, self.subject or base.subject, tags)


_NONE = Labels()
_current: ContextVar[Labels] = ContextVar("skillforge_labels", default=_NONE)


@contextmanager
def tagged(*, conversation: str = "", subject: str = "", **tags: object) -> Iterator[None]:
    """Label the calls that wrapped clients make inside the block::

        with skillforge.tagged(conversation=ticket.id, subject=user.id, feature="triage"):
            client.messages.create(...)

    Blocks nest, the inner one counts. In async code it holds for the task and those started inside (use plain
    ``with``); a new thread starts without labels. Tags become texts.
    """
    before = _current.get()
    labels = Labels(str(conversation), str(subject), {name: str(value) for name, value in tags.items()})
    _current.set(labels.over(before))
    try:
        yield
    finally:
        # not ``reset``: an async generator may end in another context than it began in
        _current.set(before)


def current_labels() -> Labels:
    return _current.get()
