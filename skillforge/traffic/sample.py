"""What a scan remembers of the prompts it reads: each distinct one once, its pieces shared, within a budget."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from skillforge.call import Call
from skillforge.traffic.segments import normal, split
from skillforge.traffic.skeleton import is_plain, schema_keys, tool_names

BUDGET = 48_000_000  # characters of distinct pieces, and as many bytes of digests; beyond it prompts are thinned out
RECURS = 5  # distinct prompts that share something, before it is taken for a template
_DIGEST = 8  # bytes

Prompt = tuple[tuple[int, ...], ...]  # the turns, each as the numbers of its pieces


@dataclass(slots=True)
class Seen:
    """A distinct prompt of one shape: how many calls sent it and with which tools."""

    shape: Shape
    turns: Prompt  # system and the last user turn; of a conversation the system alone
    tools: tuple[str, ...]
    count: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """What calls of one template share whatever their words: ``head`` names the turns between system and question.

    ``kind`` is ``single`` (one user turn), ``shots`` (example turns before the question, should they prove constant)
    or ``conversation``.
    """

    kind: str
    schema_keys: tuple[str, ...] | None
    has_tools: bool
    head: bytes = b""


class Pieces:
    """Interned pieces: a number for each text."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.normals: list[str] = []
        self.size = 0
        self._numbers: dict[str, int] = {}

    def numbers(self, text: str, role: str) -> tuple[int, ...]:
        return tuple(self._number(piece) for piece in split(text, role))

    def _number(self, piece: str) -> int:
        number = self._numbers.get(piece)
        if number is None:
            number = self._numbers[piece] = len(self.texts)
            self.texts.append(piece)
            self.normals.append(normal(piece))
            self.size += len(piece)
        return number

    def text(self, numbers: tuple[int, ...]) -> str:
        return "".join(self.texts[number] for number in numbers)


class PromptSample:
    """The distinct prompts of a log. Past the budget it keeps those with the smallest digests: a fair, stable sample.

    ``heads`` are the example turns that several questions share, by digest; ``starts`` the first questions of
    conversations.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self.pieces = Pieces()
        self.heads: dict[bytes, tuple[tuple[str, str], ...]] = {}
        self.starts: set[bytes] = set()
        self.kept = 1.0  # share of the distinct prompts
        self._budget = budget
        self._limit = 1 << (8 * _DIGEST)
        self._seen: dict[bytes, Seen] = {}
        self._head_counts: dict[bytes, int] = {}

    def add(self, call: Call) -> None:
        shape, texts = _shape(call)
        tools = tool_names(call)
        key = _digest(repr((shape, texts, tools)))
        if shape.kind != "single" and call.messages:
            self.starts.add(_digest(repr((call.system, call.messages[0].text))))
        if int.from_bytes(key, "big") >= self._limit:
            return
        seen = self._seen.get(key)
        if seen is None:
            turns = tuple(
                self.pieces.numbers(text, role) for text, role in zip(texts, ("system", "user"), strict=False)
            )
            seen = self._seen[key] = Seen(shape, turns, tools)
            if shape.kind == "shots":
                self._note_head(shape.head, call)
        seen.count += 1
        if self.pieces.size + _DIGEST * len(self.starts) > self._budget:
            self._thin()

    def prompts(self) -> list[Seen]:
        """In the order of their digests, so that the order of the log does not matter."""
        return [self._seen[key] for key in sorted(self._seen)]

    def is_start(self, seen: Seen) -> bool:
        """Whether this single question is known as the first turn of a longer conversation."""
        if seen.shape.kind != "single" or len(seen.turns) < 2:
            return False
        return _digest(repr(tuple(self.pieces.text(turn) for turn in seen.turns))) in self.starts

    def _note_head(self, head: bytes, call: Call) -> None:
        self._head_counts[head] = count = self._head_counts.get(head, 0) + 1
        if count == RECURS:
            self.heads[head] = tuple((message.role, message.text) for message in call.messages[:-1])

    def _thin(self) -> None:
        self._limit //= 2
        self.kept /= 2
        old, self.pieces = self.pieces, Pieces()
        self.starts = {key for key in self.starts if int.from_bytes(key, "big") < self._limit}
        self._seen = {key: seen for key, seen in self._seen.items() if int.from_bytes(key, "big") < self._limit}
        heads = {seen.shape.head for seen in self._seen.values()}
        self._head_counts = {head: count for head, count in self._head_counts.items() if head in heads}
        self.heads = {head: turns for head, turns in self.heads.items() if head in heads}
        for seen in self._seen.values():
            seen.turns = tuple(
                self.pieces.numbers(old.text(turn), role)
                for turn, role in zip(seen.turns, ("system", "user"), strict=False)
            )


def _shape(call: Call) -> tuple[Shape, tuple[str, ...]]:
    keys, has_tools = schema_keys(call), bool(call.tools)
    messages = call.messages
    plain = bool(messages) and messages[-1].role == "user" and all(map(is_plain, messages))
    if plain and len(messages) == 1:
        return Shape("single", keys, has_tools), (call.system, messages[0].text)
    # a conversation asks with tools; without, what stands before the question may be examples
    if plain and not has_tools:
        head = _digest(repr([(message.role, message.text) for message in messages[:-1]]))
        return Shape("shots", keys, has_tools, head), (call.system, messages[-1].text)
    return Shape("conversation", None, has_tools), (call.system,)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()
