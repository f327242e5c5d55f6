"""``train``: a tiny classifier in the place of a model, fitted on the suite's train split."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TypedDict

from skillforge.atomicfile import replace_file
from skillforge.canonical import digest_bytes
from skillforge.case import Suite
from skillforge.config import SKILLS_FOLDER
from skillforge.errors import UsageError
from skillforge.evals.statistics.interval import Verdict, decide
from skillforge.evals.statistics.proportions import tango_interval, wilson
from skillforge.forge.encoders import deployed_as, require_name
from skillforge.forge.labelled import Labelled, Labels, SoftLabels, labelled_cases
from skillforge.forge.measuring.plan import find_suite
from skillforge.forge.skills import resolve
from skillforge.forge.workspace import Workspace
from skillforge.ladder import ENCODER
from skillforge.messages import Value
from skillforge.store.database import utc_now
from skillforge.store.encoders import EncoderLog
from skillforge.store.registry import SkillVersion
from skillforge.students.encoder.backends import TFIDF, import_or_say, open_backend
from skillforge.students.encoder.calibration import calibration_error
from skillforge.students.encoder.card import ENCODERS_FOLDER, Card, FieldCard, Measure, card_path, model_path
from skillforge.students.encoder.executor import labels_of, require_labels
from skillforge.students.encoder.fit import Judged, Row, cross_validate, fit_encoder
from skillforge.students.encoder.model import INSTALL, dump_model, load_model
from skillforge.version import __version__

KINDS = ("encoder",)
OnFold = Callable[[int, int], None]


class TrainWishes(TypedDict, total=False):
    """What a caller may ask of ``train``; what is left out has its default.

    ``kind``: ``encoder``. ``name``: of the classifier (default: the skill's). ``labels``: whose answers are learned,
    ``teacher`` or ``expected`` (default: the teacher's where some are recorded or a ``teacher`` is named, else the
    expected ones). ``teacher``: a model whose answers of earlier evals of the split train are taken. ``soft_labels``:
    the teacher's probabilities by case and field (default: those its answers tell; ``{}``: none). ``backend``:
    ``tfidf``, or a package that embeds sentences (``model2vec``, ``sentence-transformers``, each with ``:ORG/MODEL``).
    ``suite``: a suite's path (default: the skill's own). ``on_fold`` is told how far cross-validation is.
    """

    kind: str
    name: str | None
    labels: Labels | None
    teacher: str
    soft_labels: SoftLabels | None
    backend: str
    suite: str | Path | None
    on_fold: OnFold


@dataclass(frozen=True)
class TrainPlan:
    """The caller's wishes with their defaults. Raises ``UsageError`` for what there is not."""

    kind: str = "encoder"
    name: str | None = None
    labels: Labels | None = None
    teacher: str = ""
    soft_labels: SoftLabels | None = None
    backend: str = TFIDF
    suite: str | Path | None = None
    on_fold: OnFold = lambda done, total: None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"no kind {self.kind!r} of student can be trained", hint=f"one of {', '.join(KINDS)}")
        if self.labels not in (None, "teacher", "expected"):
            raise UsageError(f"no labels {self.labels!r}", hint="teacher or expected")
        if self.labels == "expected" and self.teacher:
            raise UsageError("expected labels are nobody's answers", hint="leave out --teacher, or --labels")


class Outlook(Value):
    """What cross-validation says of the classifier in the place of a model, by the suite's margin and error.

    ``right`` of ``n`` training cases it gets right when it has not seen them; ``ceiling`` is the share that the
    ``teacher`` gets right of the same cases by the suite's labels, or 1 where the labels are all there is to compare
    with. ``low`` and ``high`` bound the difference to it. ``verdict`` ``pass``: no LLM is needed, as far as training
    cases can say. An eval on unseen cases decides.
    """

    verdict: Verdict
    compared_with: str
    right: int
    n: int
    ceiling: float
    low: float
    high: float
    margin: float


class Trained(Value):
    """A fitted classifier: ``student`` is how it is named, ``path`` where it lies (relative to the repository)."""

    student: str
    path: str
    card: Card
    outlook: Outlook | None = None
    next_step: str


async def train_encoder(work: Workspace, ref: str, plan: TrainPlan) -> Trained:
    """Fit, measure by cross-validation, write the file and its card, keep both in the registry.

    Raises ``NotFound``, ``UsageError`` (outputs that are no labels, no train split, a name that is deployed),
    ``MissingPackage``.
    """
    version = resolve(work, ref)
    skill = version.skill
    require_labels(skill)
    name = plan.name or skill.name
    _require_free(work, name, skill.name)
    for module, package in (("sklearn", "scikit-learn"), ("skops.io", "skops")):
        import_or_say(module, package, hint=INSTALL)
    embedder = open_backend(plan.backend)
    suite = find_suite(work, version, None if plan.suite is None else Path(plan.suite))
    found = await labelled_cases(work, skill, suite, plan.labels, plan.teacher, plan.soft_labels)
    started = time.perf_counter()
    model = fit_encoder(found.rows, embedder)
    seconds = time.perf_counter() - started
    data = dump_model(model)
    load_model(data, f"{name}.skops", embedder)  # what cannot be read back must not be written
    judged = cross_validate(found.rows, embedder, plan.on_fold)
    card = _card(version, name, suite, found, judged, data, seconds, embedder.name if embedder else TFIDF)
    folder = work.root / SKILLS_FOLDER / skill.name
    replace_file(model_path(folder, name), data)
    replace_file(card_path(folder, name), card.as_json())
    EncoderLog(work.database).add(
        card.sha256, name, skill.name, version.digest, card.model_dump(mode="json", by_alias=True)
    )
    unseen = any(told.never_seen for told in card.fields.values())
    outlook = _outlook(found, judged, suite, unseen) if judged else None
    step = f"skillforge eval {skill.name} --students {ENCODER}{name}"
    return Trained(
        student=f"{ENCODER}{name}",
        path=model_path(folder, name).relative_to(work.root).as_posix(),
        card=card,
        outlook=outlook,
        next_step=step,
    )


def _require_free(work: Workspace, name: str, skill: str) -> None:
    """A name belongs to one skill, and what is deployed is not replaced under the feet of those who call it."""
    require_name(name)
    for path in sorted((work.root / SKILLS_FOLDER).glob(f"*/{ENCODERS_FOLDER}/{name}.json")):
        if path.parent.parent.name != skill:
            raise UsageError(f"{path.parent.parent.name} has a classifier {name}", hint="give another name: --as NAME")
    if aliases := deployed_as(work, name):
        raise UsageError(
            f"{ENCODER}{name} answers for {', '.join(aliases)}: fitting it again would change what they say",
            hint=f"fit it under another name, measure and promote that: --as {name}-2",
        )


def _card(
    version: SkillVersion,
    name: str,
    suite: Suite,
    found: Labelled,
    judged: Sequence[dict[str, Judged]],
    data: bytes,
    seconds: float,
    backend: str,
) -> Card:
    fields = {field: _field_card(version, found, judged, field) for field in version.skill.output}
    right = [all(_right(row.label(field), told[field]) for field in told) for row, told in _pairs(found, judged)]
    return Card(
        name=name,
        skill=version.name,
        version=version.version,
        digest=version.digest,
        sha256=digest_bytes(data),
        size=len(data),
        backend=backend,
        fields=fields,
        rows=len(found.rows),
        texts=len({row.text for row in found.rows}),
        soft=found.soft,
        left_out=found.left_out,
        labels=found.labels,
        teacher=_line(found.teacher),
        suite=suite.name,
        suite_digest=suite.digest(),
        accuracy=_measure(right),
        seconds=round(seconds, 3),
        versions=_versions(),
        created_at=utc_now(),
    )


def _field_card(version: SkillVersion, found: Labelled, judged: Sequence[dict[str, Judged]], field: str) -> FieldCard:
    seen = Counter(row.label(field) for row in found.rows)
    learned = {label for row in found.rows for label in row.labels[field]}
    never = tuple(label for label in labels_of(version.skill, field) if label not in learned)
    pairs = [(told[field], _right(row.label(field), told[field])) for row, told in _pairs(found, judged)]
    right = [is_right for _, is_right in pairs]
    return FieldCard(
        seen=dict(seen),
        never_seen=never,
        accuracy=_measure(right),
        error_before=calibration_error([told.raw for told, _ in pairs], right),
        error_after=calibration_error([told.probability for told, _ in pairs], right),
    )


def _pairs(found: Labelled, judged: Sequence[dict[str, Judged]]) -> list[tuple[Row, dict[str, Judged]]]:
    return list(zip(found.rows, judged, strict=True)) if judged else []


def _right(label: str, told: Judged) -> bool:
    return told.label == label


def _measure(right: Sequence[bool]) -> Measure | None:
    if not right:
        return None
    interval = wilson(sum(right), len(right))
    return Measure(share=sum(right) / len(right), low=interval.low, high=interval.high, n=len(right))


def _outlook(found: Labelled, judged: Sequence[dict[str, Judged]], suite: Suite, unseen: bool) -> Outlook:
    """Against the teacher where the suite's labels say who is right, else against the labels learned."""
    decision = suite.decision
    level = 1 - 2 * decision.alpha
    said = [{field: told.label for field, told in each.items()} for each in judged]
    learned = [{field: row.label(field) for field in row.labels} for row in found.rows]
    known = [at for at, wanted in enumerate(found.wanted) if wanted is not None]
    if found.labels == "teacher" and known:
        ours = [said[at] == found.wanted[at] for at in known]
        theirs = [learned[at] == found.wanted[at] for at in known]
        gained = sum(mine and not its for mine, its in zip(ours, theirs, strict=True))
        lost = sum(its and not mine for mine, its in zip(ours, theirs, strict=True))
        difference = tango_interval(gained, lost, len(known), level)
        ceiling, compared = sum(theirs) / len(known), "the teacher's answers, by the suite's labels"
    else:
        ours = [mine == its for mine, its in zip(said, learned, strict=True)]
        # nobody is better than the labels: all disagreements are losses
        difference = tango_interval(0, len(ours) - sum(ours), len(ours), level)
        ceiling = 1.0
        compared = "the teacher's answers" if found.labels == "teacher" else "the labels"
    verdict = decide(difference, decision.margin)
    if verdict == "pass" and unseen:
        verdict = "inconclusive"  # it never answers a label it has not seen, and no train case shows what that costs
    return Outlook(
        verdict=verdict,
        compared_with=compared,
        right=sum(ours),
        n=len(ours),
        ceiling=ceiling,
        low=difference.low,
        high=difference.high,
        margin=decision.margin,
    )


def _line(text: str) -> str:
    """A model's name may come from a recording."""
    return "".join(character for character in text if character.isprintable())[:200]


def _versions() -> dict[str, str]:
    found = {name: version_of(name) for name in ("scikit-learn", "skops", "numpy", "scipy")}
    return {"skillforge": __version__, "python": platform.python_version(), **found}
