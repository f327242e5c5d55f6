"""One training example as every format writes it, and what a check of a written file comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from skillforge.errors import Problem

Kind = Literal["answers", "pairs", "labels"]
Part = Literal["train", "validation"]
PARTS: tuple[Part, ...] = ("train", "validation")


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """What a model is shown and what it should say.

    ``turns`` are (role, text) from the first ``user`` to the question itself, examples as turns before it; ``answer``
    is the teacher's. ``rejected`` is what a student said instead, "" where none did. ``text`` and ``labels`` are the
    input as one text and the label fields of the answer, for classifiers.
    """

    id: str
    system: str
    turns: tuple[tuple[str, str], ...]
    answer: str
    rejected: str = ""
    text: str = ""
    labels: Mapping[str, Any] = field(default_factory=dict)

    def conversation(self, *, system: bool = True) -> list[dict[str, str]]:
        """The prompt as chat messages, without the answer."""
        head = [{"role": "system", "content": self.system}] if system and self.system else []
        return head + [{"role": role, "content": text} for role, text in self.turns]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file holds and what is wrong with it; ``problems`` of level ``warning`` stop no trainer."""

    rows: int
    problems: tuple[Problem, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.level == "error")


@dataclass(frozen=True, slots=True)
class FineTuneFormat:
    """One target. ``rules`` are the pages its rules were read from. ``lines`` writes a file's lines; ``fits`` says what
    the target would refuse in one example, ``check`` in a whole file (``validation`` files may be small).
    """

    name: str
    suffix: str
    kind: Kind
    about: str
    rules: tuple[str, ...]
    lines: Callable[[Sequence[TrainingExample]], Iterator[str]]
    fits: Callable[[TrainingExample], list[Problem]]
    check: Callable[[Path, Part], Checked]

    def file_name(self, part: Part) -> str:
        return f"{part}.{self.name}" if self.name == self.suffix else f"{part}.{self.name}.{self.suffix}"


def told(problems: Iterable[Problem]) -> str:
    """The first problem in a few words, for a row that is left out."""
    first = next(iter(problems), None)
    return "" if first is None else first.message
