"""All skeletons of a sample of prompts: shape by shape, what is left over once more, then what only words betray."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from skillforge.traffic.inline import inline_clusters
from skillforge.traffic.mining import CONSTANT, Alphabet, Cluster, clusters
from skillforge.traffic.refine import exact_turn, named, turn_columns
from skillforge.traffic.sample import RECURS, PromptSample, Seen, Shape
from skillforge.traffic.skeleton import HISTORY, MESSAGE, TOOLS, Skeleton, Turn

ROUNDS = 3
_LOOKED_AT = 400  # members of a cluster that its exact text is taken from
_ROLES = ("system", "user")
_EMPTY = Turn(role="system", texts=("",))
_ANY = Turn(role="user", texts=("", ""), gaps=("text",))


def find_skeletons(sample: PromptSample) -> list[Skeleton]:
    """The narrowest first. Every skeleton knows the narrower ones whose calls are not its own."""
    found: dict[str, Skeleton] = {}
    shapes: dict[Shape, list[Seen]] = defaultdict(list)
    for seen in sample.prompts():
        shape = seen.shape
        if (shape.kind == "shots" and shape.head not in sample.heads) or sample.is_start(seen):
            shape = Shape("conversation", None, shape.has_tools)
        shapes[shape].append(seen)
    for shape in sorted(shapes, key=repr):
        search = _conversations if shape.kind == "conversation" else _questions
        for skeleton in search(sample, shape, shapes[shape]):
            found.setdefault(skeleton.id, skeleton)
    return _in_order(_without_openings(list(found.values())))


def _questions(sample: PromptSample, shape: Shape, prompts: list[Seen]) -> Iterator[Skeleton]:
    left = prompts
    for number in range(ROUNDS):
        maker = _Maker(sample, shape, left)
        skeletons = [*maker.templates(), *(maker.inline() if number == ROUNDS - 1 else ())]
        yield from skeletons
        left = [seen for seen in left if not any(_fits(skeleton, sample, seen) for skeleton in skeletons)]
        if len(left) < RECURS and not skeletons:
            break
    by_tools = Counter(seen.tools for seen in left if seen.tools and not sample.pieces.text(seen.turns[0]))
    for tools in sorted(tools for tools, count in by_tools.items() if count >= RECURS):
        yield Skeleton.of((_EMPTY, _ANY), schema_keys=shape.schema_keys, tools=tools)
    for seen in left:
        if seen.count >= RECURS:  # the same prompt again and again
            texts = [sample.pieces.text(turn) for turn in seen.turns]
            yield maker.skeleton([_constant(role, text) for role, text in zip(_ROLES, texts, strict=True)], [seen])


def _conversations(sample: PromptSample, shape: Shape, prompts: list[Seen]) -> Iterator[Skeleton]:
    often = [seen for seen in prompts for _ in range(min(seen.count, RECURS))]
    systems = [Seen(shape, seen.turns[:1], seen.tools, 1) for seen in often]
    bare = Counter(seen.tools for seen in systems if not seen.turns[0])
    yield from _Maker(sample, shape, [seen for seen in systems if seen.turns[0]]).templates()
    for tools in sorted(tools for tools, count in bare.items() if tools and count >= RECURS):
        yield Skeleton.of((_EMPTY,), open=True, tools=tools)


class _Maker:
    """Makes skeletons of the prompts of one shape."""

    def __init__(self, sample: PromptSample, shape: Shape, prompts: Sequence[Seen]) -> None:
        self._pieces = sample.pieces
        self._shape = shape
        self._head = sample.heads.get(shape.head, ())
        self._prompts = prompts
        self._alphabet = Alphabet()
        normals = self._pieces.normals
        self._sequences = [
            self._alphabet.sequence([normals[number] for number in turn] for turn in seen.turns) for seen in prompts
        ]
        self._free: list[int] = []  # members whose question has no constant of its own

    def templates(self) -> Iterator[Skeleton]:
        found = clusters(self._sequences, self._alphabet)
        at_home = {member for cluster in found for member in cluster.members}
        self._free = [place for place in range(len(self._prompts)) if place not in at_home]
        for cluster in found:
            yield self._exact(cluster)

    def inline(self) -> Iterator[Skeleton]:
        """Templates without a line, sentence or label of their own: the same words around something."""
        texts = [tuple(self._pieces.text(turn) for turn in self._prompts[place].turns) for place in self._free]
        for members, turns in inline_clusters(texts):
            yield self.skeleton(turns, [self._prompts[self._free[member]] for member in members])

    def _exact(self, cluster: Cluster) -> Skeleton:
        step = max(1, len(cluster.members) // _LOOKED_AT)
        members = cluster.members[::step]
        turns: list[Turn] = []
        for turn in range(len(self._prompts[0].turns)):
            rows = [self._turn(member, turn) for member in members]
            constants = [number for number in cluster.constants if self._alphabet.pieces[number].turn == turn]
            turns.append(exact_turn(_ROLES[turn], turn_columns(rows, constants)))
        return self.skeleton(turns, [self._prompts[member] for member in cluster.members])

    def _turn(self, member: int, turn: int) -> list[tuple[int, str]]:
        """The pieces of one turn of a member, numbered as the miner saw them."""
        turns = self._prompts[member].turns
        start = sum(map(len, turns[:turn]))
        numbers = self._sequences[member][start : start + len(turns[turn])]
        return [(number, self._pieces.texts[piece]) for number, piece in zip(numbers, turns[turn], strict=True)]

    def skeleton(self, turns: list[Turn], members: Sequence[Seen]) -> Skeleton:
        """With names, the example turns in the middle, and the members' tools where they are the same."""
        samples = [self._values(turn, at, members) for at, turn in enumerate(turns)]
        tools = self._tools(members)
        is_open = self._shape.kind == "conversation"
        taken = [*([HISTORY, MESSAGE] if is_open else []), *([TOOLS] if tools is None else [])]
        turns = named(turns, samples, taken=taken)
        head = tuple(_constant(role, text) for role, text in self._head)
        keys = self._shape.schema_keys
        return Skeleton.of((turns[0], *head, *turns[1:]), open=is_open, schema_keys=keys, tools=tools)

    def _values(self, turn: Turn, at: int, members: Sequence[Seen]) -> list[list[str]]:
        found = [turn.match(self._pieces.text(seen.turns[at])) for seen in members[:50]]
        rows = [values for values in found if values is not None]
        return [[row[gap] for row in rows] for gap in range(len(turn.gaps))]

    @staticmethod
    def _tools(members: Sequence[Seen]) -> tuple[str, ...] | None:
        counts: Counter[tuple[str, ...]] = Counter()
        for seen in members:
            counts[seen.tools] += seen.count
        tools, count = counts.most_common(1)[0]
        return tools if count >= CONSTANT * counts.total() else None


def _fits(skeleton: Skeleton, sample: PromptSample, seen: Seen) -> bool:
    if skeleton.tools is not None and skeleton.tools != seen.tools:
        return False
    ends = (skeleton.turns[0], *([skeleton.turns[-1]] if len(seen.turns) > 1 else []))
    return all(turn.match(sample.pieces.text(text)) is not None for turn, text in zip(ends, seen.turns, strict=True))


def _without_openings(skeletons: list[Skeleton]) -> list[Skeleton]:
    """Free questions under the system text of a conversation are its openings."""
    talks = {_opens(skeleton) for skeleton in skeletons if skeleton.open}
    return [skeleton for skeleton in skeletons if not _is_free(skeleton) or _opens(skeleton) not in talks]


def _is_free(skeleton: Skeleton) -> bool:
    """One question without a constant word."""
    return not skeleton.open and len(skeleton.turns) == 2 and not "".join(skeleton.turns[1].texts).strip()


def _opens(skeleton: Skeleton) -> tuple[tuple[str, ...], bool]:
    return skeleton.turns[0].texts, skeleton.tools == ()


def _constant(role: str, text: str) -> Turn:
    return Turn.model_validate({"role": role, "texts": (text,)})


def _in_order(skeletons: Iterable[Skeleton]) -> list[Skeleton]:
    ordered = sorted(skeletons, key=lambda skeleton: (skeleton.open, -skeleton.constant, skeleton.id))
    ordered = [one for one in ordered if not any(_is_variant(one, other) for other in ordered)]
    found: list[Skeleton] = []
    for skeleton in ordered:
        narrower = tuple(other for other in found if _is_within(other, skeleton))
        bare = tuple(other.model_copy(update={"besides": ()}) for other in narrower)
        found.append(skeleton.model_copy(update={"besides": bare}))
    return found


def _is_variant(narrow: Skeleton, wide: Skeleton) -> bool:
    """Whether ``narrow`` is ``wide`` with some recurring data in it."""
    more, asked = narrow.constant - wide.constant, wide.turns[-1].constant
    return 0 < more <= min(0.3 * wide.constant, asked) and narrow.open == wide.open and _is_within(narrow, wide)


def _is_within(narrow: Skeleton, wide: Skeleton) -> bool:
    """Whether calls of ``narrow`` would fit ``wide`` too."""
    if wide.tools is not None and wide.tools != narrow.tools:
        return False
    if wide.tools is None and narrow.tools == ():
        return False
    if not wide.open and (
        narrow.open or wide.schema_keys != narrow.schema_keys or len(wide.turns) != len(narrow.turns)
    ):
        return False
    filled = dict.fromkeys(narrow.field_names, "\x00")
    pairs = zip(wide.turns, narrow.turns, strict=False)
    return all(w.role == n.role and w.match(n.render(filled)) is not None for w, n in pairs)
