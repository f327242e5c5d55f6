"""Checks: deterministic assertions on one output, in promptfoo's words, without code in the skill.

A check looks at the output, or at what its ``path`` (a JSON pointer) finds there; text checks read a value that is not
text as its compact JSON. A ``not-`` prefix turns the answer round, except where there is none: nothing at ``path``, or
a callable that raised, fails in both forms.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from skillforge.checkkinds import KINDS, Case, CustomCheck, Fact, Kind, unbound
from skillforge.errors import NotFound, Problem, UsageError
from skillforge.run import CheckResult
from skillforge.skill import Check
from skillforge.suggest import did_you_mean

__all__ = ["CHECK_TYPES", "CustomCheck", "check_problems", "require_bound", "resolve_pointer", "run_checks"]

CHECK_TYPES = tuple(KINDS)
"""Every type, without the ``not-`` forms."""

_NOT = "not-"
_INDEX = re.compile(r"0|[1-9][0-9]{0,17}")  # longer than any list; int() of a hostile key stays cheap


def run_checks(
    checks: Sequence[Check], output: Any, input: Mapping[str, Any], custom: Mapping[str, CustomCheck] | None = None
) -> tuple[CheckResult, ...]:
    """Run every check on ``output``, in order. ``custom`` holds the callables of ``custom`` checks by name; they are
    given what stands at the check's ``path`` (the output where it has none) and the input.

    A callable that raises fails its check. Raises ``UsageError`` for a check that cannot be run at all: an unknown
    type, a wrong operand or pointer, a callable that is not bound or returns something else than an answer.
    """
    return tuple(_result(check, _fact(check, output, input, custom or {})) for check in checks)


def check_problems(check: Check, *, input_fields: Collection[str]) -> list[Problem]:
    """What is wrong with a check as written. ``Problem.field`` is the check's own field: ``value``, ``path``, …

    ``input_fields`` are the skill's, for ``of``.
    """
    try:
        kind = _kind(check)
    except UsageError as unknown:
        return [Problem(str(unknown), field="type", hint=unknown.hint)]
    return [*_field_problems(check, kind), *_operand_problems(check, kind), *_place_problems(check, kind, input_fields)]


def resolve_pointer(document: Any, pointer: str) -> Any:
    """What an RFC 6901 JSON pointer finds in a JSON value. ``""`` is the document itself.

    Raises ``NotFound`` when nothing stands there, ``UsageError`` when ``pointer`` is not a JSON pointer.
    """
    value = document
    for token in _tokens(pointer):
        if isinstance(value, Mapping) and token in value:
            value = value[token]
        elif isinstance(value, list | tuple) and _INDEX.fullmatch(token) and int(token) < len(value):
            value = value[int(token)]
        else:
            raise NotFound(f"nothing at {pointer}")
    return value


def require_bound(checks: Sequence[Check], custom: Mapping[str, CustomCheck]) -> None:
    """Raise ``UsageError`` for a custom check without its callable: before a call is paid for, not after."""
    for check in checks:
        if check.type.removeprefix(_NOT) == "custom" and check.name not in custom:
            raise unbound(check.name)


def _tokens(pointer: str) -> list[str]:
    if pointer and not pointer.startswith("/"):
        raise UsageError(f"{pointer!r} is not a JSON pointer", hint=f"write {'/' + pointer!r}")
    if re.search(r"~(?![01])", pointer):
        raise UsageError(f"{pointer!r} is not a JSON pointer", hint='write "~" as "~0", and "/" inside a key as "~1"')
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _result(check: Check, fact: Fact) -> CheckResult:
    holds, words = fact
    passed = holds is not None and holds is not check.type.startswith(_NOT)
    return CheckResult(
        type=check.type,
        passed=passed,
        # Half a surrogate pair, which JSON can hold and UTF-8 cannot, would stop the reason from being stored.
        reason="" if passed else words.encode("utf-8", "replace").decode(),
        path=check.path,
        weight=check.weight,
        on_fail=check.on_fail,
    )


def _fact(check: Check, output: Any, input: Mapping[str, Any], custom: Mapping[str, CustomCheck]) -> Fact:
    kind = _kind(check)
    wrong = kind.operand(check.value) if "value" in kind.reads else ""
    if wrong:
        raise UsageError(f"check {check.type}: value {wrong}", hint="lint the skill: it names every wrong check")
    try:
        target = resolve_pointer(output, check.path or "")
    except NotFound as nothing:
        return None, str(nothing)
    try:
        return kind.run(Case(check, target, input, custom))
    except RecursionError:
        return None, "is nested too deep to be checked"


def _kind(check: Check) -> Kind:
    name = check.type.removeprefix(_NOT)
    if name in KINDS:
        return KINDS[name]
    known = [prefix + kind for prefix in ("", _NOT) for kind in CHECK_TYPES]
    every = f"one of {', '.join(CHECK_TYPES)}, each also with not-"
    raise UsageError(f"unknown check type {check.type!r}", hint=did_you_mean(check.type, known) or every)


def _field_problems(check: Check, kind: Kind) -> list[Problem]:
    unused = [
        Problem(f"{check.type} does not use it", field=field, hint="remove it")
        for field in ("value", "of", "name", "threshold")
        if field not in kind.reads and getattr(check, field) is not None
    ]
    # ``equals: null`` is an operand, so for ``value`` it counts whether it was written.
    lacking = [
        Problem(f"{check.type} needs it", field=field)
        for field in kind.needs
        if (field not in check.model_fields_set if field == "value" else not getattr(check, field))
    ]
    return unused + lacking


def _operand_problems(check: Check, kind: Kind) -> list[Problem]:
    problems = []
    if "value" in kind.reads and "value" in check.model_fields_set:
        wrong = kind.operand(check.value)
        inside = [Problem(wrong)] if wrong else kind.lint(check.value)
        problems = [replace(problem, field="value" + _joined(problem.field)) for problem in inside]
    if "threshold" in kind.reads and check.threshold is not None and not 0 <= check.threshold < math.inf:
        problems.append(Problem("must be a number of edits, 0 or more", field="threshold"))
    return problems


def _joined(field: str) -> str:
    return field if not field or field.startswith(("/", "[")) else f".{field}"


def _place_problems(check: Check, kind: Kind, input_fields: Collection[str]) -> list[Problem]:
    problems = []
    if "of" in kind.reads and check.of is not None and check.of not in input_fields:
        hint = did_you_mean(check.of, input_fields, what="the input has")
        problems.append(Problem(f"no input field {check.of!r}", field="of", hint=hint))
    try:
        _tokens(check.path or "")
    except UsageError as wrong:
        problems.append(Problem(str(wrong), field="path", hint=wrong.hint))
    return problems
