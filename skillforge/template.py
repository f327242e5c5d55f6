"""The prompt template: Jinja's syntax, cut down by a whitelist over its syntax tree, rendered once.

Allowed: output, lookup by key or index (``{{ order.items }}`` finds the key "items", never a method), constants,
comparison, ``and or not``, conditional expressions, ``if``, ``for`` over input data, two tests and seven filters.
Everything else is refused by name before anything is compiled. Values are text, never template.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from skillforge.errors import Problem, UsageError
from skillforge.suggest import did_you_mean

if TYPE_CHECKING:
    from jinja2 import nodes

STEPS = "steps"  # in the prompt of a workflow's step: the values of those before it
RESERVED_NAMES = frozenset({"input", STEPS, "loop"})
FILTERS = ("default", "join", "length", "lower", "tojson", "trim", "upper")
TESTS = ("defined", "none")
LOOP_FIELDS = ("first", "index", "index0", "last", "length")
MAX_SOURCE = 131_072  # characters
MAX_LOOP_DEPTH = 2
MAX_BRANCHES = 40  # elif after elif: each is a level to Python's parser
MAX_PROBLEMS = 50
MAX_EXPRESSION_DEPTH = 40  # levels of the syntax tree: far below Python's own limits on compiled code

_NEVER_FIELDS = (RESERVED_NAMES - {STEPS}) | {"self"}
_FILTER_ARGUMENTS = {"default": (1, 2), "join": (0, 1)}
_TRANSPARENT = frozenset({"Template", "Output", "TemplateData", "And", "Or", "Not", "CondExpr"})
_COMPARISONS = frozenset({"eq", "ne", "lt", "lteq", "gt", "gteq", "in", "notin"})
_NAMES = {
    "Add": "+",
    "Sub": "-",
    "Mul": "*",
    "Div": "/",
    "FloorDiv": "//",
    "Mod": "%",
    "Pow": "**",
    "Concat": "~",
    "Neg": "-",
    "Pos": "+",
    "Call": "a call",
    "Slice": "a slice",
    "Dict": "a dict",
    "Tuple": "a tuple",
    "Assign": "{% set %}",
    "AssignBlock": "{% set %}",
    "Macro": "{% macro %}",
    "CallBlock": "{% call %}",
    "FilterBlock": "{% filter %}",
    "With": "{% with %}",
    "Include": "{% include %}",
    "Import": "{% import %}",
    "FromImport": "{% from %}",
    "Extends": "{% extends %}",
    "Block": "{% block %}",
    "Scope": "{% autoescape %}",
}


def template_problems(source: str, fields: Collection[str], steps: Collection[str] | None = None) -> list[Problem]:
    """Everything in ``source`` that is not allowed, with its line; ``fields`` are the input names it may use.

    In a workflow ``steps`` are the ids it may look up, each by its name: ``{{ steps.order }}``.
    """
    if steps is None:
        return _parse(source, frozenset(fields))[1]
    tree, problems = _parse(source, frozenset(fields) | {STEPS})
    if tree is None or _depth_exceeds(tree, MAX_EXPRESSION_DEPTH):
        return problems
    return problems + _step_problems(tree, frozenset(steps))


def template_paths(source: str) -> frozenset[str]:
    """The values that a template looks up, as references write them: ``request``, ``item``, ``steps.order``.

    Empty for what is no template.
    """
    from jinja2 import nodes

    tree = _tree(source)[0]
    if tree is None or _depth_exceeds(tree, MAX_EXPRESSION_DEPTH):
        return frozenset()
    loops = {loop.target.name for loop in tree.find_all(nodes.For) if isinstance(loop.target, nodes.Name)}
    named = {node.name for node in tree.find_all(nodes.Name)} - loops - {STEPS, "loop"}
    return frozenset(named | {f"{STEPS}.{step}" for _, step in _looked_up_steps(tree) if step is not None})


class Template:
    """A checked, compiled template over the input ``fields``. Raises ``UsageError`` that lists every problem."""

    __slots__ = ("_fields", "_render")

    def __init__(self, source: str, fields: Collection[str]) -> None:
        self._fields = frozenset(fields)
        tree, problems = _parse(source, self._fields)
        if tree is None or problems:
            raise UsageError("\n".join(problem.describe("template") for problem in problems))
        from skillforge.jinja import compile_tree

        self._render: Callable[[Mapping[str, Any]], str] = compile_tree(tree)

    def render(self, values: Mapping[str, Any]) -> str:
        """The text for one input. Strings stand verbatim, lists and objects as JSON, booleans and null as in JSON.

        Raises ``InvalidInput`` for a missing value, a comparison of unlike types, more than 10,000 loop steps, or more
        than 1 MiB of text.
        """
        return self._render({name: values[name] for name in self._fields if name in values})


def _parse(source: str, fields: frozenset[str]) -> tuple[nodes.Template | None, list[Problem]]:
    tree, problems = _tree(source)
    if tree is not None:
        problems = problems + _Checker(fields).problems(tree)
    return tree, sorted(problems, key=lambda problem: problem.line or 0)


def _tree(source: str) -> tuple[nodes.Template | None, list[Problem]]:
    from jinja2 import TemplateSyntaxError

    from skillforge.jinja import environment

    if len(source) > MAX_SOURCE:
        return None, [Problem(f"the template is longer than {MAX_SOURCE:,} characters")]
    try:
        raw = [line for line, token, _ in environment().lex(source) if token == "raw_begin"]
        tree = environment().parse(source)
    except TemplateSyntaxError as exc:
        return None, [Problem(f"not a template: {exc.message}", line=exc.lineno)]
    except RecursionError:
        return None, [Problem("nested too deeply", hint="write it flatter")]
    except (ValueError, SyntaxError) as exc:  # literals that Python cannot hold
        return None, [Problem(f"not a template: {exc}")]
    return tree, [Problem("{% raw %} is not allowed", line=line) for line in raw]


def _step_problems(tree: nodes.Template, known: frozenset[str]) -> list[Problem]:
    found = []
    for line, step in _looked_up_steps(tree):
        if step is None:
            hint = "name one: {{ steps.order }}"
            found.append(Problem("steps is looked up by the name of a step", line=line, hint=hint))
        elif step not in known:
            hint = did_you_mean(step, known, what="the steps before it")
            found.append(Problem(f"there is no step {step!r} before it", line=line, hint=hint))
    return found


def _looked_up_steps(tree: nodes.Template) -> list[tuple[int, str | None]]:
    """Line and name of every step that is looked up; ``None`` where ``steps`` stands without the name of one."""
    from jinja2 import nodes

    found: list[tuple[int, str | None]] = []
    named: set[int] = set()
    lookups: Any = tree.find_all((nodes.Getattr, nodes.Getitem))
    for node in lookups:
        if isinstance(node.node, nodes.Name) and node.node.name == STEPS:
            named.add(id(node.node))
            step = node.attr if isinstance(node, nodes.Getattr) else _constant(node.arg)
            found.append((node.lineno, step if isinstance(step, str) else None))
    bare = (node for node in tree.find_all(nodes.Name) if node.name == STEPS and id(node) not in named)
    return found + [(node.lineno, None) for node in bare]


def _constant(node: Any) -> Any:
    return node.value if type(node).__name__ == "Const" else None


class _Checker:
    """Walks the syntax tree; whatever is not known to be harmless is a problem."""

    def __init__(self, fields: frozenset[str]) -> None:
        self._fields = fields
        self._loop_names: list[str] = []
        self._found: list[Problem] = []

    def problems(self, tree: nodes.Template) -> list[Problem]:
        if _depth_exceeds(tree, MAX_EXPRESSION_DEPTH):
            return [Problem("nested too deeply", hint="write it flatter")]
        self._visit(tree)
        return self._found

    def _note(self, node: nodes.Node, message: str, hint: str = "") -> None:
        problem = Problem(message, line=node.lineno, hint=hint)
        if len(self._found) < MAX_PROBLEMS and problem not in self._found:
            self._found.append(problem)

    def _visit(self, node: nodes.Node) -> None:
        kind = type(node).__name__
        if len(self._found) >= MAX_PROBLEMS:
            return
        handler: Callable[[Any], None] | None = getattr(self, f"_visit_{kind.lower()}", None)
        if handler is not None:
            handler(node)
        elif kind in _TRANSPARENT:
            self._visit_children(node)
        else:
            name = _NAMES.get(kind, kind)
            self._note(node, f"{name} is not allowed in a template", "compute it before, or give it as an input field")

    def _visit_children(self, node: nodes.Node) -> None:
        for child in node.iter_child_nodes():
            self._visit(child)

    def _visit_if(self, node: nodes.If) -> None:
        if len(node.elif_) > MAX_BRANCHES:
            self._note(node, f"more than {MAX_BRANCHES} elif in one if")
        self._visit_children(node)

    def _visit_name(self, node: nodes.Name) -> None:
        name = node.name
        if name in self._loop_names or (name in self._fields and name not in _NEVER_FIELDS):
            return
        if name == "loop" and self._loop_names:
            self._note(node, "loop is not a value", f"use loop.{', loop.'.join(LOOP_FIELDS)}")
        elif name in RESERVED_NAMES or name == "self":
            self._note(node, f"the name {name!r} is reserved", "use the name of an input field")
        else:
            known = self._fields | set(self._loop_names)
            self._note(node, f"unknown variable {name!r}", did_you_mean(name, known, what="input fields"))

    def _visit_const(self, node: nodes.Const) -> None:
        if isinstance(node.value, float) and not math.isfinite(node.value):
            self._note(node, "a number is too large")

    def _visit_neg(self, node: nodes.Neg) -> None:
        if type(node.node).__name__ != "Const" or type(node.node.value) not in (int, float):  # type: ignore[attr-defined]
            self._note(node, "- is not allowed in a template", "compute it before, or give it as an input field")

    def _visit_list(self, node: nodes.List) -> None:
        for item in node.items:
            if type(item).__name__ == "Const":
                self._visit(item)
            else:
                self._note(item, "a list may hold constants only")

    def _visit_compare(self, node: nodes.Compare) -> None:
        self._visit(node.expr)
        for operand in node.ops:
            if operand.op not in _COMPARISONS:
                self._note(node, f"the comparison {operand.op} is not allowed")
            self._visit(operand.expr)

    def _visit_getattr(self, node: nodes.Getattr) -> None:
        if type(node.node).__name__ == "Name" and node.node.name == "loop" and self._loop_names:  # type: ignore[attr-defined]
            if node.attr not in LOOP_FIELDS:
                self._note(node, f"loop.{node.attr} is not allowed", did_you_mean(node.attr, LOOP_FIELDS))
        else:
            self._visit(node.node)

    def _visit_getitem(self, node: nodes.Getitem) -> None:
        self._visit(node.node)
        self._visit(node.arg)

    def _visit_filter(self, node: nodes.Filter) -> None:
        if node.node is None:
            self._note(node, "{% filter %} is not allowed in a template")
            return
        self._visit(node.node)
        for argument in node.args:
            self._visit(argument)
        fewest, most = _FILTER_ARGUMENTS.get(node.name, (0, 0))
        if node.name not in FILTERS:
            self._note(node, f"unknown filter {node.name!r}", did_you_mean(node.name, FILTERS, what="filters"))
        elif node.kwargs or node.dyn_args or node.dyn_kwargs or not fewest <= len(node.args) <= most:
            wanted = "no argument" if most == 0 else f"{fewest} to {most} plain arguments"
            self._note(node, f"the filter {node.name} takes {wanted}")

    def _visit_test(self, node: nodes.Test) -> None:
        self._visit(node.node)
        if node.name not in TESTS:
            self._note(node, f"unknown test {node.name!r}", did_you_mean(node.name, TESTS, what="tests"))
        elif node.args or node.kwargs or node.dyn_args or node.dyn_kwargs:
            self._note(node, f"the test {node.name} takes no argument")

    def _visit_for(self, node: nodes.For) -> None:
        if node.recursive:
            self._note(node, "a recursive loop is not allowed")
        if not _is_input_data(node.iter):
            self._note(node, "a loop runs over input data only", "name an input field, or an item of one")
        self._visit(node.iter)
        for child in node.else_:
            self._visit(child)
        if len(self._loop_names) >= MAX_LOOP_DEPTH:
            self._note(node, f"loops nest at most {MAX_LOOP_DEPTH} deep")
            return
        name = node.target.name if type(node.target).__name__ == "Name" else ""  # type: ignore[attr-defined]
        if not name:
            self._note(node, "a loop has one variable")
        elif name in self._fields or name in self._loop_names or name in RESERVED_NAMES or name == "self":
            self._note(node, f"the loop variable {name!r} is taken", "choose another name")
        self._loop_names.append(name)
        for child in (*node.body, *([node.test] if node.test else [])):
            self._visit(child)
        self._loop_names.pop()


def _is_input_data(node: nodes.Node) -> bool:
    """A name, a lookup in one, or either with a ``default``."""
    current: Any = node
    while type(current).__name__ in ("Getattr", "Getitem") or (
        type(current).__name__ == "Filter" and current.name == "default" and current.node is not None
    ):
        current = current.node
    return type(current).__name__ == "Name"


def _depth_exceeds(tree: nodes.Node, limit: int) -> bool:
    level: list[nodes.Node] = [tree]
    for _ in range(limit):
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return False
    return True
