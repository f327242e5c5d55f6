"""Examples in the order in which a small model reads a vote off them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from skillforge.canonical import canonical_json
from skillforge.skill import Example


def grouped(examples: Sequence[Example]) -> tuple[Example, ...]:
    """Nearest examples (most similar last), those of one answer side by side: the most frequent answer last, among
    equals the one of the most similar example. Within an answer they stay as they came.

    Small models copy the answer that stands next to the question. Here that is the one a vote of the examples would
    give; the others stand before it for what it gets wrong.
    """
    answers = [canonical_json(example.output) for example in examples]
    often = Counter(answers)
    nearest = {answer: at for at, answer in enumerate(answers)}
    order = sorted(range(len(answers)), key=lambda at: (often[answers[at]], nearest[answers[at]], at))
    return tuple(examples[at] for at in order)
