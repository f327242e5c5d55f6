"""A scorer of the caller's own: a Python function."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from skillforge.case import Case
from skillforge.engine.codedigest import code_digest
from skillforge.errors import UsageError
from skillforge.evals.scorers.base import Contract, Item, Score, failed
from skillforge.functions import load_function

ENTRY_POINTS = "skillforge.scorers"
OFFERED = ("output", "expected", "input", "metadata", "case")
_SHOWN = 200  # characters of what a function raised or returned


@dataclass(frozen=True)
class OwnScorer:
    """``function(output, expected, input, …)``, given by keyword what its parameters ask for: ``output``, ``expected``,
    the case's ``input`` and ``metadata``, the ``case`` itself. It must not change what it is given.

    It returns a number in [0, 1], a bool, ``None`` (not scored), ``(score, reason)``, or ``{score, reason, pass}``, of
    which one of ``score`` and ``pass`` is enough and ``pass: false`` is 0. Anything else it returns, and whatever it
    raises, is an error of the scorer, never a 0.

    Its scores count as right or wrong where all of them are 0 or 1; ``function.binary = False`` forbids that. It needs
    labels where ``expected`` is a parameter without a default. Raises ``UsageError`` for a function that asks for
    something else.
    """

    name: str
    function: Callable[..., Any]

    def __post_init__(self) -> None:
        _ = self._asked

    @property
    def binary(self) -> bool:
        return bool(getattr(self.function, "binary", True))

    @property
    def labels(self) -> bool:
        return self._asked[1]

    @cached_property
    def identity(self) -> str:
        return f"{self.name} {code_digest(self.function)}"

    def misfit(self, expected: Any, contract: Contract) -> str:
        return ""

    def score(self, item: Item) -> Score:
        output = item.answer.output
        if output is None:
            return Score(0.0, "no answer")
        case = item.case
        given = {
            "output": output,
            "expected": item.expected,
            "input": case.input,
            "metadata": case.metadata,
            "case": case,
        }
        try:
            return _score_of(self.function(**{name: _apart(given[name]) for name in self._asked[0]}))
        except (Exception, SystemExit) as exc:  # the caller's code met an answer it did not expect
            return failed(f"{self.name} raised {type(exc).__name__}: {_shown(exc)}")

    @cached_property
    def _asked(self) -> tuple[tuple[str, ...], bool]:
        """What it is called with, and whether it cannot do without a label."""
        if inspect.iscoroutinefunction(self.function):
            raise UsageError(f"scorer {self.name} is async", hint="a scorer is a plain function")
        try:
            parameters = inspect.signature(self.function).parameters.values()
        except (TypeError, ValueError) as exc:
            raise UsageError(f"scorer {self.name}: {exc}", hint="give a function with named parameters") from exc
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return OFFERED, True
        named = [item for item in parameters if item.kind in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY)]
        positional = [item for item in parameters if item.kind is item.POSITIONAL_ONLY]
        for item in (*positional, *named):
            if item.default is item.empty and (item.name not in OFFERED or item in positional):
                hint = f"a scorer may ask for {', '.join(OFFERED)} by name"
                raise UsageError(f"scorer {self.name} asks for {item.name!r}", hint=hint)
        asked = tuple(item.name for item in named if item.name in OFFERED)
        return asked, any(item.name == "expected" and item.default is item.empty for item in named)


def load_scorer(text: str) -> OwnScorer:
    """The function that ``module:function`` names; the module may lie in the current folder. Raises ``UsageError``."""
    return OwnScorer(text, load_function(text))


def installed_scorer(name: str) -> OwnScorer | None:
    """The function that an installed package offers under that name (entry points ``skillforge.scorers``)."""
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINTS, name=name):
        try:
            return _own(name, point.load())
        except (Exception, SystemExit) as exc:
            error = f"{type(exc).__name__}: {_shown(exc)}"
            raise UsageError(f"scorer {name}: {point.value} cannot be loaded: {error}", hint="reinstall it") from exc
    return None


def installed_names() -> list[str]:
    from importlib.metadata import entry_points

    return sorted(entry_points(group=ENTRY_POINTS).names)


def _own(name: str, found: Any) -> OwnScorer:
    if not callable(found):
        raise UsageError(f"{name} is no function but {type(found).__name__}", hint="name a function")
    return OwnScorer(name, found)


def _apart(value: Any) -> Any:
    """A copy of what could be changed: other arms and scorers look at the same answer, and at the same label."""
    if isinstance(value, dict):
        return {key: _apart(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_apart(item) for item in value]
    return value.model_copy(deep=True) if isinstance(value, Case) else value


def _score_of(answer: Any) -> Score:
    reason: Any = ""
    if isinstance(answer, dict):
        passed, reason = answer.get("pass"), answer.get("reason", "")
        if not isinstance(passed, bool | None) or not answer.keys() & {"score", "pass"}:
            return _no_score(answer)
        answer = 0.0 if passed is False else answer.get("score", passed)
    elif isinstance(answer, tuple) and len(answer) == 2:
        answer, reason = answer
    if not isinstance(reason, str):
        return _no_score(reason)
    reason = _printable(reason)
    if answer is None:
        return Score(math.nan, reason)
    value = _number(answer)
    if value is None or not (math.isnan(value) or 0 <= value <= 1):
        return _no_score(answer)
    return Score(value, reason)


def _number(answer: Any) -> float | None:
    """As a float; numpy's scalars count, texts that hold a number do not."""
    if isinstance(answer, bool | int | float):
        return float(answer)
    if isinstance(answer, str | bytes) or not hasattr(type(answer), "__float__"):
        return None
    return float(answer)


def _no_score(answer: Any) -> Score:
    return failed(f"returned {_shown(repr(answer))}, which is no score: return 0 to 1, None, or (score, reason)")


def _shown(value: object) -> str:
    try:
        return _printable(str(value))
    except Exception:  # its own repr may raise too
        return type(value).__name__


def _printable(text: str) -> str:
    cut = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
    return cut.encode("utf-8", "replace").decode()
