"""Graded answers that a judge is shown before it grades: lines of JSON, as ``judge align`` writes them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

from pydantic import ValidationError

from skillforge.errors import UsageError
from skillforge.jsonl import strict_json
from skillforge.judgement import JudgementKind
from skillforge.messages import Value

MAX_EXAMPLES = 32
_HINT = (
    'one JSON object a line: {"input": …, "output": …, "grade": "4", "reason": "…"}; skillforge judge align writes it'
)


class RubricExample(Value):
    """An answer and its grade on the judge's scale; ``reason`` says why, ``expected`` is what a person accepts."""

    input: Any = None
    output: Any
    expected: Any = None
    grade: Literal["1", "2", "3", "4", "5"]
    reason: str = ""


class PairExample(Value):
    """Two answers and which of them is better."""

    input: Any = None
    output_a: Any
    output_b: Any
    expected: Any = None
    verdict: Literal["A", "B", "TIE"]
    reason: str = ""


Example = RubricExample | PairExample


@lru_cache(maxsize=16)
def read_examples(text: str, kind: JudgementKind) -> tuple[Example, ...]:
    """The examples of a spec's ``examples``, which is the text of their file. Raises ``UsageError`` naming the line."""
    found: list[Example] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            body = strict_json(line)
            found.append((RubricExample if kind == "rubric" else PairExample).model_validate(body))
        except ValidationError as exc:
            wrong = exc.errors(include_url=False)[0]
            field = ".".join(map(str, wrong["loc"]))
            raise UsageError(f"examples of a judge, line {number}: {field}: {wrong['msg']}", hint=_HINT) from exc
        except ValueError as exc:
            raise UsageError(f"examples of a judge, line {number}: not JSON: {exc}", hint=_HINT) from exc
    if len(found) > MAX_EXAMPLES:
        raise UsageError(f"a judge is shown at most {MAX_EXAMPLES} examples, not {len(found)}", hint=_HINT)
    return tuple(found)
