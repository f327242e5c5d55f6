"""How a checked template runs: a Jinja sandbox with our own lookups, filters, tests and budgets.

Imported lazily by ``skillforge.template``, which decides what may be compiled here at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from jinja2 import TemplateError, Undefined, nodes, pass_context
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from skillforge.canonical import compact
from skillforge.errors import InvalidInput

MAX_LOOP_STEPS = 10_000
MAX_OUTPUT = 1_048_576  # characters
MAX_WORK = 16 * MAX_OUTPUT  # characters that filters may produce in one rendering, shown or not

_BUDGET = "budget of this rendering"  # no identifier: a template cannot name it
_ITEMS = "items of a loop"
_LOOP_FIELDS = frozenset({"first", "index", "index0", "last", "length"})


class _Missing(Undefined):
    """A value that is not there. Every use of it but ``default`` and ``is defined`` raises ``InvalidInput``."""

    __slots__ = ()

    def __init__(self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: Any = None) -> None:
        del exc
        raised: Any = lambda _: _missing_value(name)  # noqa: E731  jinja calls it with its message; typed as a class
        super().__init__(hint, obj, name, exc=raised)

    __iter__ = __str__ = __len__ = Undefined._fail_with_undefined_error
    __eq__ = __ne__ = __bool__ = __hash__ = __contains__ = Undefined._fail_with_undefined_error


def _missing_value(name: object) -> InvalidInput:
    return InvalidInput(
        f"the prompt needs {name!r}, which has no value",
        field=str(name),
        hint='give it, or say what to show instead with the filter default("...")',
    )


class _Environment(ImmutableSandboxedEnvironment):
    """Lookup means key or index, whatever the syntax: attributes and methods of Python objects do not exist."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext) and attribute in _LOOP_FIELDS:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Undefined):
            str(obj)  # raises and names what is missing
        if isinstance(obj, dict) and isinstance(argument, str) and argument in obj:
            return obj[argument]
        if isinstance(obj, list) and type(argument) is int and -len(obj) <= argument < len(obj):
            return obj[argument]
        return self.undefined(obj=obj, name=argument)


class _Budget:
    """What one rendering may still spend."""

    def __init__(self) -> None:
        self._steps = MAX_LOOP_STEPS
        self._work = MAX_WORK

    def steps(self, count: int) -> None:
        self._steps -= count
        if self._steps < 0:
            raise InvalidInput(f"the template loops more than {MAX_LOOP_STEPS:,} times", hint="give shorter lists")

    def work(self, characters: int) -> None:
        self._work -= characters
        if self._work < 0:
            raise InvalidInput(f"the template's filters produce more than {MAX_WORK:,} characters")


@cache
def environment() -> ImmutableSandboxedEnvironment:
    """The one environment: nothing global, our filters and tests only, one pass, no escaping, newlines kept."""
    made = _Environment(undefined=_Missing, finalize=_text, keep_trailing_newline=True, cache_size=0, optimized=False)
    made.globals.clear()
    made.filters = {
        _ITEMS: _items,
        "default": _default,
        "join": _join,
        "length": _length,
        "lower": pass_context(lambda context, value: _spend(context, _text(value).lower())),
        "tojson": pass_context(lambda context, value: _spend(context, _json(value))),
        "trim": pass_context(lambda context, value: _spend(context, _text(value).strip())),
        "upper": pass_context(lambda context, value: _spend(context, _text(value).upper())),
    }
    made.tests = {"defined": lambda value: not isinstance(value, Undefined), "none": lambda value: value is None}
    return made


def compile_tree(tree: nodes.Template) -> Callable[[Mapping[str, Any]], str]:
    """The render function of a checked tree. Every loop's data first passes the budget."""
    for loop in list(tree.find_all(nodes.For)):
        loop.iter = nodes.Filter(loop.iter, _ITEMS, [], [], None, None, lineno=loop.lineno)
    tree.set_environment(environment())
    template = environment().from_string(tree)

    def render(values: Mapping[str, Any]) -> str:
        context = template.new_context({**values, _BUDGET: _Budget()})
        parts: list[str] = []
        size = 0
        try:
            for part in template.root_render_func(context):
                size += len(part)
                if size > MAX_OUTPUT:
                    raise InvalidInput(f"the prompt is longer than {MAX_OUTPUT:,} characters", hint="shorten the input")
                parts.append(part)
        except RecursionError as exc:
            raise InvalidInput("an input value nests too deep for the template") from exc
        except (TypeError, ValueError, TemplateError) as exc:  # unlike types compared
            raise InvalidInput(f"the template cannot use this input: {exc}") from exc
        return "".join(parts)

    return render


def _text(value: Any) -> str:
    """How a value is shown: strings verbatim, everything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, Undefined):
        return str(value)  # raises, or "" for a conditional expression without else
    return _json(value)


def _json(value: Any) -> str:
    if isinstance(value, Undefined):
        str(value)
    try:
        return compact(value)
    except TypeError as exc:
        raise InvalidInput(f"a template value is no JSON: {type(value).__name__}") from exc


def _spend(context: Context, text: str) -> str:
    context[_BUDGET].work(len(text))
    return text


@pass_context
def _items(context: Context, value: Any) -> list[Any]:
    if isinstance(value, Undefined):
        str(value)
    if not isinstance(value, list | dict):
        raise InvalidInput(f"a loop in the template needs a list, not {_short(value)}")
    context[_BUDGET].steps(len(value))
    return list(value)


def _default(value: Any, fallback: Any, empty_too: bool = False) -> Any:
    if isinstance(value, Undefined) or (empty_too and not value):
        return fallback
    return value


@pass_context
def _join(context: Context, value: Any, separator: Any = "") -> str:
    if isinstance(value, Undefined):
        str(value)
    if not isinstance(value, list):
        raise InvalidInput(f"join in the template needs a list, not {_short(value)}")
    parts = [_text(item) for item in value]
    between = _text(separator)
    # counted before it is built: a long separator times a long list is the one product a filter can make
    context[_BUDGET].work(sum(map(len, parts)) + len(between) * len(parts))
    return between.join(parts)


def _length(value: Any) -> int:
    if isinstance(value, Undefined):
        str(value)
    if not isinstance(value, str | list | dict):
        raise InvalidInput(f"length in the template needs text, a list or an object, not {_short(value)}")
    return len(value)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 40 else text[:39] + "…"
