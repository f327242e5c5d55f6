"""What is wrong with a suite beyond its form: scorers, metrics and checks that nothing knows how to run."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from skillforge.canonical import compact
from skillforge.case import Suite
from skillforge.errors import Problem, UsageError
from skillforge.evals.scorers.checked import require_checks
from skillforge.evals.scorers.own import installed_names
from skillforge.evals.scorers.resolve import SCORER_TYPES, metric_of, scorer_of
from skillforge.suitefile import read_suite
from skillforge.yamlfile import Document, load_yaml

MAX_PROBLEMS = 20
_ANY_JUDGE = "any:judge"  # --judge may name one later


def suite_problems(path: Path) -> list[Problem]:
    """Everything wrong with the scorers, the metric and the checks of a suite, with lines; nothing is run or loaded.

    Raises what ``read_suite`` raises.
    """
    suite = read_suite(path)
    document = load_yaml(path.read_bytes(), path=str(path))
    judge = suite.judge or _ANY_JUDGE
    known = installed_names()
    found = [*_scorer_problems(suite, judge, known, document), *_metric_problems(suite, judge, known, document)]
    listed = isinstance(document.value.get("cases"), list)
    seen: set[str] = set()
    for index, case in enumerate(suite.cases):
        kind = compact([check.model_dump(exclude_defaults=True) for check in case.checks])
        if kind in seen:  # a default that stands in every case is said once
            continue
        seen.add(kind)
        at: tuple[str | int, ...] = ("cases", index, "checks") if listed else ("cases",)
        found += _problems(lambda case=case: require_checks([case], judge), at, document)  # type: ignore[misc]
        if len(found) >= MAX_PROBLEMS:
            break
    return found[:MAX_PROBLEMS]


def _scorer_problems(suite: Suite, judge: str, known: Collection[str], document: Document) -> list[Problem]:
    found = []
    for name, spec in suite.scorers.items():
        if spec.type in SCORER_TYPES or spec.type not in known:
            found += _problems(lambda n=name, s=spec: scorer_of(n, s, judge), ("scorers", name), document)  # type: ignore[misc]
    return found


def _metric_problems(suite: Suite, judge: str, known: Collection[str], document: Document) -> list[Problem]:
    metric = suite.decision.metric
    if metric in suite.scorers or (metric in known and metric not in SCORER_TYPES):
        return []
    return _problems(lambda: metric_of(metric, suite.scorers, judge), ("decision", "metric"), document)


def _problems(attempt: Callable[[], object], at: tuple[str | int, ...], document: Document) -> list[Problem]:
    try:
        attempt()
    except UsageError as exc:
        line, column = document.where(at) or (None, None)
        field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at).lstrip(".")
        return [Problem(str(exc), field=field, line=line, column=column, hint=exc.hint)]
    return []
