"""From what a suite says to scorers: the metric of its decision, and the others it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from pydantic import ValidationError

from skillforge.case import Case, ScorerSpec, Suite
from skillforge.checkkinds import CustomCheck
from skillforge.checks import require_bound
from skillforge.errors import UsageError
from skillforge.evals.scorers.base import Judgements, Scorer
from skillforge.evals.scorers.checked import Checks, require_checks
from skillforge.evals.scorers.compared import Compared
from skillforge.evals.scorers.equality import Exact, Fields
from skillforge.evals.scorers.graded import JUDGED, Graded, graded
from skillforge.evals.scorers.measured import UNITS, at_most
from skillforge.evals.scorers.own import installed_names, installed_scorer, load_scorer
from skillforge.evals.scorers.rules import COMPARING, require_settings
from skillforge.skill import Skill
from skillforge.suggest import did_you_mean

SCORER_TYPES = (*COMPARING, "checks", *UNITS, *JUDGED)
"""Every type that is built in."""

_NAMED_ONLY = {"type", "weight"}


@dataclass(frozen=True)
class Scorers:
    """The scorer an eval decides by, and those that are only told."""

    metric: Scorer
    others: tuple[Scorer, ...] = ()

    def __iter__(self) -> Iterator[Scorer]:
        return iter((self.metric, *self.others))


def scorers_of(
    suite: Suite,
    own: Scorer | None = None,
    skill: Skill | None = None,
    custom: Mapping[str, CustomCheck] | None = None,
) -> Scorers:
    """The scorers of a suite; ``own`` is the metric where it is given. What cases assert themselves is told, where no
    scorer is ``checks``. ``skill`` and its ``custom`` callables are for ``checks``, which asserts them of every arm.
    Raises ``UsageError`` for what cannot be a scorer.
    """
    metric = own or metric_of(suite.decision.metric, suite.scorers, suite.judge)
    named = {name: spec for name, spec in suite.scorers.items() if own is not None or name != suite.decision.metric}
    found = Scorers(metric, tuple(scorer_of(name, spec, suite.judge) for name, spec in named.items()))
    asserted = any(case.checks for case in suite.cases)
    if asserted and not any(isinstance(scorer, Checks) or scorer.name == "checks" for scorer in found):
        found = Scorers(metric, (*found.others, Checks(judge=suite.judge)))
    if any(isinstance(scorer, Checks) for scorer in found):
        require_checks(suite.cases, suite.judge)
        if skill is not None:
            require_bound(skill.checks, custom or {})
    return _mapped(found, lambda scorer: _of_skill(scorer, skill, custom or {}))


def judged_by(scorers: Scorers, judgements: Judgements) -> Scorers:
    """The same scorers with what judges said, where they ask for it."""
    return _mapped(scorers, lambda scorer: _told(scorer, judgements))


def questions(scorers: Scorers, case: Case) -> tuple[tuple[ScorerSpec, str], ...]:
    """What judges are asked about each answer to this case: (question, model), each once."""
    asked: dict[tuple[str, str], tuple[ScorerSpec, str]] = {}
    for scorer in scorers:
        if isinstance(scorer, Graded):
            asked[scorer.question, scorer.judge] = scorer.spec, scorer.judge
        elif isinstance(scorer, Checks):
            for question in scorer.graded(case):
                asked[question.question, question.judge] = question.spec, question.judge
    return tuple(asked.values())


def scorer_of(name: str, spec: ScorerSpec, judge: str | None = None) -> Scorer:
    """The scorer a spec describes, called ``name``; ``judge`` is the model asked where the spec names none.

    Its type is built in, or the name of an entry point of an installed package; never a module: a suite is not trusted
    with code. Raises ``UsageError`` for an unknown type, a setting that is missing or not read.
    """
    kind = spec.type
    if spec.weight != 1:
        raise UsageError(f"scorer {name}: weight counts for nothing", hint="it is for the fields of a json scorer")
    if kind in ("exact", "fields") and not (spec.strip_fence or spec.threshold is not None):
        _ = Compared(name, spec)  # its settings are right
        if kind == "exact":
            return Exact(name, spec.path)
        return Compared(name, spec) if spec.path else Fields(name)
    if kind in COMPARING:
        return Compared(name, spec)
    if kind == "checks":
        require_settings(name, spec, _NAMED_ONLY)
        return Checks(name, judge)
    if kind in UNITS:
        return at_most(name, spec)
    if kind in JUDGED:
        return graded(name, spec, judge)
    return _installed(name, spec)


def metric_of(metric: str, scorers: Mapping[str, ScorerSpec], judge: str | None = None) -> Scorer:
    """The scorer a metric names: one of the suite's, a JSON pointer, a type or an entry point."""
    if metric in scorers:
        return scorer_of(metric, scorers[metric], judge)
    if metric.startswith("/"):
        return scorer_of(metric, ScorerSpec(type="exact", path=metric))
    return scorer_of(metric, ScorerSpec(type=metric), judge)


def scorer_of_text(text: str, scorers: Mapping[str, ScorerSpec], judge: str | None = None) -> Scorer:
    """What ``--scorer`` says: the name of one of ``scorers``, a type, a JSON pointer, settings as a JSON object, or
    ``module:function``. Raises ``UsageError``.
    """
    if text in scorers or text.startswith("/"):
        return metric_of(text, scorers, judge)
    if text.lstrip().startswith("{"):
        spec = spec_of_text(text)
        return scorer_of(spec.type, spec, judge)
    return load_scorer(text) if ":" in text else metric_of(text, scorers, judge)


def spec_of_text(text: str) -> ScorerSpec:
    """A scorer's settings as JSON on the command line. Raises ``UsageError``."""
    try:
        return ScorerSpec.model_validate_json(text)
    except ValidationError as exc:
        wrong = exc.errors(include_url=False)[0]
        place = " ".join(filter(None, ("--scorer", ".".join(map(str, wrong["loc"])))))
        hint = 'such as \'{"type": "numeric", "tolerance": 0.01}\''
        raise UsageError(f"{place}: {wrong['msg']}", hint=hint) from exc


def _installed(name: str, spec: ScorerSpec) -> Scorer:
    if ":" in spec.type:
        hint = "give it on the command line, --scorer module:function, or install it as an entry point"
        raise UsageError(f"scorer {name}: {spec.type!r}: a suite names no code", hint=hint)
    found = installed_scorer(spec.type)
    if found is None:
        known = [*SCORER_TYPES, *installed_names()]
        hint = did_you_mean(spec.type, known) or f"one of {', '.join(known)}"
        raise UsageError(f"scorer {name}: unknown type {spec.type!r}", hint=hint)
    require_settings(name, spec, _NAMED_ONLY)
    return replace(found, name=name)


def _told(scorer: Scorer, judgements: Judgements) -> Scorer:
    return replace(scorer, said=judgements) if isinstance(scorer, Graded | Checks) else scorer


def _of_skill(scorer: Scorer, skill: Skill | None, custom: Mapping[str, CustomCheck]) -> Scorer:
    return replace(scorer, skill=skill, custom=custom) if isinstance(scorer, Checks) else scorer


def _mapped(scorers: Scorers, change: Callable[[Scorer], Scorer]) -> Scorers:
    return Scorers(change(scorers.metric), tuple(map(change, scorers.others)))
