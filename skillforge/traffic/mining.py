"""Which prompts are of one template: divided from the top by the pieces that recur at the edges of what varies.

The idea is that of log-template miners (Drain, He et al. 2017; IPLoM, Makanju et al. 2009) with lines and sentences in
place of tokens, both ends of a prompt in place of its beginning, and gaps of any length.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from skillforge.traffic.sample import RECURS
from skillforge.traffic.segments import is_label, is_long

CONSTANT = 0.95  # share of the members that hold a constant, in the same order
FEW = 12  # variants that a template may have; more values are data
_SHARE = 0.03  # of a template's members: a variant of it is no rarer
_COVERED = 0.9  # share of the members that variants explain together, before a template is divided by them
_OWN = 12  # characters of constant text that make a turn somebody's template
_SAID = 60  # characters of a system text that say what is to be done with whatever is asked
_NEAR_ASKED, _NEAR_FREE = 75.0, 90.0  # rapidfuzz's ratio of two system texts, over the same question and over any
_MOST = 0.7  # of the constant characters: a template without the rest is still the same
_MOST_SPLITS = 200

Sequence_ = tuple[int, ...]


@dataclass(frozen=True)
class Piece:
    """A piece at one place: of a turn, and the how-manieth of its kind in it."""

    text: str
    turn: int
    label: bool
    long: bool


@dataclass
class Alphabet:
    """Numbers for pieces; equal numbers are the same piece of the same turn, ``Pieces`` apart from numbers in it."""

    pieces: list[Piece] = field(default_factory=list)
    _numbers: dict[tuple[int, str, int], int] = field(default_factory=dict)

    def sequence(self, turns: Iterable[Iterable[str]]) -> Sequence_:
        """The normal forms of a prompt's pieces as distinct numbers."""
        found: list[int] = []
        for turn, texts in enumerate(turns):
            counts: Counter[str] = Counter()
            for text in texts:
                found.append(self._number(turn, text, counts[text]))
                counts[text] += 1
        return tuple(found)

    def _number(self, turn: int, text: str, nth: int) -> int:
        key = (turn, text, nth)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.pieces)
            self.pieces.append(Piece(text, turn, is_label(text), is_long(text)))
        return number


@dataclass(frozen=True)
class Cluster:
    """Members (their places in what was given) and the pieces that are constant in them, in order."""

    members: tuple[int, ...]
    constants: Sequence_


def clusters(sequences: Sequence[Sequence_], alphabet: Alphabet) -> list[Cluster]:
    """The templates among prompts of one shape; members of none are left out."""
    mine = _Miner(sequences, alphabet)
    mine.divide(list(range(len(sequences))))
    return mine.merged()


def constants_of(sequences: Sequence[Sequence_], share: float = CONSTANT) -> Sequence_:
    """What stands in at least this share of the sequences in the same order."""
    counts = Counter(number for sequence in sequences for number in sequence)
    needed = share * len(sequences)
    common = {number for number, count in counts.items() if count >= needed}
    if not common:
        return ()
    orders = Counter(tuple(number for number in sequence if number in common) for sequence in sequences)
    order = max(orders, key=lambda found: (orders[found], len(found), found))
    kept: list[int] = []
    places = [{number: place for place, number in enumerate(found)} for found in orders]
    for number in order:  # in step with what is kept already, in enough of the members
        agreeing = sum(
            count
            for count, place in zip(orders.values(), places, strict=True)
            if number in place and (not kept or place.get(kept[-1], -1) < place[number])
        )
        if agreeing >= needed:
            kept.append(number)
    return tuple(kept)


@dataclass
class _Slot:
    """What stands at one edge of one gap: how often, and how often as all that the gap holds."""

    turn: int
    values: Counter[int] = field(default_factory=Counter)
    alone: Counter[int] = field(default_factory=Counter)


class _Miner:
    def __init__(self, sequences: Sequence[Sequence_], alphabet: Alphabet) -> None:
        self._sequences = sequences
        self._pieces = alphabet.pieces
        self._found: list[Cluster] = []

    def divide(self, members: list[int]) -> None:
        """Divide by the edge that explains most, every part again; what cannot be divided is a cluster."""
        pending = [members]
        splits = 0
        while pending:
            members = pending.pop()
            if len(members) < RECURS:
                continue
            constants = constants_of([self._sequences[member] for member in members])
            parts = self._parts(members, constants) if splits < _MOST_SPLITS * len(self._pieces) else []
            if len(parts) > 1:
                splits += 1
                pending.extend(parts)
            elif constants:
                self._found.append(Cluster(tuple(members), constants))

    def _parts(self, members: list[int], constants: Sequence_) -> list[list[int]]:
        slots = self._slots(members, constants)
        best: tuple[int, int, frozenset[int]] = (-1, 0, frozenset())
        for (before, _), slot in slots.items():
            if before >= 0 and self._pieces[before].label:
                continue  # what stands behind a label is a field's value
            values = self._variants(slot, len(members), constants)
            # system texts first: only who knows what is asked can tell data from instructions in a question
            rank = (slot.turn == 0, sum(slot.values[value] for value in values), frozenset(values))
            if values and rank[:2] > best[:2]:
                best = rank
        chosen = best[2] or self._anywhere(members, constants)
        parts: dict[int, list[int]] = defaultdict(list)
        for member in members:
            parts[next((number for number in self._sequences[member] if number in chosen), -1)].append(member)
        return [parts[value] for value in sorted(parts)]

    def _slots(self, members: list[int], constants: Sequence_) -> dict[tuple[int, bool], _Slot]:
        """The edges of all gaps, in order: (the constant before the gap, or minus its turn; first or last piece)."""
        fixed = set(constants)
        found: dict[tuple[int, bool], _Slot] = {}
        for member in members:
            before, turn = -1, 0
            gap: list[int] = []
            for number in (*self._sequences[member], None):
                now = turn + 1 if number is None else self._pieces[number].turn
                if gap and (number in fixed or now != turn):
                    self._note(found, before, turn, gap)
                    gap = []
                if number is None:
                    break
                if now != turn:
                    before, turn = -1 - now, now
                if number in fixed:
                    before = number
                else:
                    gap.append(number)
        return dict(sorted(found.items()))

    @staticmethod
    def _note(found: dict[tuple[int, bool], _Slot], before: int, turn: int, gap: list[int]) -> None:
        for last in (False, True):
            slot = found.setdefault((before, last), _Slot(turn))
            value = gap[-1 if last else 0]
            slot.values[value] += 1
            slot.alone[value] += len(gap) == 1

    def _variants(self, slot: _Slot, size: int, constants: Sequence_) -> list[int]:
        """The values of a slot that are pieces of templates, not of data."""
        often = [
            (value, count)
            for value, count in slot.values.items()
            if RECURS <= count < size and (self._pieces[value].long or self._announces(value, count, size))
        ]
        if self._is_owned(slot.turn, constants):  # a template: few variants of it make up nearly all of its calls
            often = [(value, count) for value, count in often if count >= _SHARE * size]
            covered = sum(count for _, count in often)
            return [value for value, _ in often] if len(often) <= FEW and covered >= _COVERED * size else []
        if slot.turn > 0:  # a question that is nothing but one sentence is data; a system text never is
            often = [(value, count) for value, count in often if 2 * slot.alone[value] <= count]
        return [value for value, _ in often]

    def _announces(self, value: int, count: int, size: int) -> bool:
        return self._pieces[value].label and count >= max(2 * RECURS, 0.01 * size)

    def _is_owned(self, turn: int, constants: Sequence_) -> bool:
        """Whether this turn has constants of its own, or the system text says at length what is asked."""
        mine = [self._pieces[number] for number in constants if self._pieces[number].turn == turn]
        system = sum(len(self._pieces[number].text) for number in constants if self._pieces[number].turn == 0)
        said = sum(len(piece.text) for piece in mine) >= _OWN or any(piece.label for piece in mine)
        return said or (turn > 0 and system >= _SAID)

    def _anywhere(self, members: list[int], constants: Sequence_) -> frozenset[int]:
        """Where no edge says anything: the one long piece inside the prompts that most of them share."""
        if self._is_owned(1, constants):
            return frozenset()
        fixed = set(constants)
        counts: Counter[int] = Counter()
        for member in members:
            sequence = [number for number in self._sequences[member] if number not in fixed]
            counts.update(number for number in sequence if self._pieces[number].turn > 0 and len(sequence) > 1)
        often = [
            (count * min(len(self._pieces[number].text), 200), number)
            for number, count in counts.items()
            if count >= RECURS and self._pieces[number].long
        ]
        return frozenset([max(often)[1]]) if often else frozenset()

    def merged(self) -> list[Cluster]:
        """Clusters that differ only by some text of the data are one.

        The wider one takes a narrower one; siblings whose system texts are nearly the same (a name in it) are joined.
        """
        found = sorted(self._found, key=lambda cluster: (len(cluster.constants), -len(cluster.members)))
        kept: list[Cluster] = []
        for cluster in found:
            home = next((at for at, wide in enumerate(kept) if self._is_part(cluster, wide)), None)
            if home is None:
                kept.append(cluster)
            else:
                kept[home] = Cluster((*kept[home].members, *cluster.members), kept[home].constants)
        return self._joined(kept)

    def _joined(self, found: list[Cluster]) -> list[Cluster]:
        families: dict[Sequence_, list[list[Cluster]]] = defaultdict(list)
        for cluster in found:
            asked = tuple(number for number in cluster.constants if self._pieces[number].turn > 0)
            alike = (family for family in families[asked] if self._are_alike(family[0], cluster, bool(asked)))
            home = next(alike, None)
            if home is None:
                families[asked].append([cluster])
            else:
                home.append(cluster)
        joined: list[Cluster] = []
        for family in (family for group in families.values() for family in group):
            members = tuple(member for cluster in family for member in cluster.members)
            joined.append(Cluster(members, self._common(members)))
        return joined

    def _common(self, members: Iterable[int]) -> Sequence_:
        """What all members share, where that is most of what nearly all share: else those are left out."""
        sequences = [self._sequences[member] for member in members]
        nearly, fully = constants_of(sequences), constants_of(sequences, 1.0)
        return fully if self._size(fully) >= _MOST * self._size(nearly) else nearly

    def _size(self, constants: Iterable[int]) -> int:
        return sum(len(self._pieces[number].text) for number in constants)

    def _are_alike(self, left: Cluster, right: Cluster, asked: bool) -> bool:
        from rapidfuzz.fuzz import ratio

        texts = [
            "".join(self._pieces[n].text for n in one.constants if self._pieces[n].turn == 0) for one in (left, right)
        ]
        near = _NEAR_ASKED if asked else _NEAR_FREE
        return all(texts) and ratio(*(text[:2_000] for text in texts), score_cutoff=near) >= near

    def _is_part(self, narrow: Cluster, wide: Cluster) -> bool:
        if not set(wide.constants) <= set(narrow.constants):
            return False
        for turn in {self._pieces[number].turn for number in narrow.constants}:
            own = sum(len(self._pieces[n].text) for n in wide.constants if self._pieces[n].turn == turn)
            all_of_it = sum(len(self._pieces[n].text) for n in narrow.constants if self._pieces[n].turn == turn)
            if all_of_it - own > 0.3 * own or own < 2 * _OWN < all_of_it:
                return False
        return True
