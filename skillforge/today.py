"""What a program's own prompt and model answered for the cases of a suite, and what that cost: the arm ``today``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field, ValidationError

from skillforge.errors import Problem, SkillFileError
from skillforge.fields import validation_problems
from skillforge.jsonl import read_jsonl
from skillforge.messages import Usage, Value
from skillforge.remotefile import reopened

Figure = Annotated[float | None, Field(allow_inf_nan=False)]


class TodayAnswer(Value):
    """One recorded answer. ``text`` is what the model said; ``usd`` what the call cost with its cache hits,
    ``list_usd`` the same tokens at the list price without a cache (``None``: unknown); ``basis`` names the price.
    ``latency_s`` is seconds. ``output`` is the answer in the form of the suite's contract where the program asked for
    another one (a bare label for an object with one field); without it the text is parsed.
    """

    case: str
    text: str
    output: Any = None
    model: str = ""
    stop: str = "stop"
    usage: Usage = Usage()
    usd: Figure = None
    list_usd: Figure = None
    basis: str = ""
    latency_s: Figure = None


def today_lines(answers: Iterable[TodayAnswer]) -> Iterable[str]:
    """The file's lines, one JSON object an answer."""
    return (answer.model_dump_json(exclude_defaults=True) + "\n" for answer in answers)


def read_today(source: str) -> dict[str, TodayAnswer]:
    """The recorded answers of a suite by case id, from what its ``today`` names: a path, or a file in a store.

    Raises ``NotFound``, ``SkillFileError`` (first wrong line, or the first case that stands twice), ``UsageError`` for
    a store that cannot be reached.
    """
    answers: dict[str, TodayAnswer] = {}
    for number, row in read_jsonl(reopened(source)):
        try:
            answer = TodayAnswer.model_validate(row)
        except ValidationError as exc:
            problems = [replace(item, line=number) for item in validation_problems(exc, TodayAnswer)]
            raise SkillFileError(source, problems) from exc
        if answer.case in answers:
            raise SkillFileError(source, [Problem(f"{answer.case!r} is answered twice", field="case", line=number)])
        answers[answer.case] = answer
    return answers
