"""Cases and suites: what an eval is made of. Values only; ``skillforge.suitefile`` reads them."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from skillforge.canonical import digest
from skillforge.hygiene import hidden_text
from skillforge.messages import Value
from skillforge.skill import NAME_PATTERN

Split = Literal["train", "dev", "test"]
Mode = Literal["fixed", "sequential"]

MAX_ID = 512  # characters
_METADATA = "metadata."


def id_problem(text: str) -> str:
    """Why a text is no case's id, "" when it is one."""
    if len(text) > MAX_ID:
        return f"is longer than {MAX_ID} characters"
    unseen = not (text.isascii() and text.isprintable()) and (hidden_text(text) or not text.isprintable())
    return "holds characters that cannot be seen" if unseen else ""


class CaseCheck(Value):
    """One assertion on the answer to one case, in promptfoo's words (``skillforge.checks`` and the scorers' types).

    ``type`` ``all-of`` groups ``checks``: their weighted mean must reach ``threshold`` (1 without one). ``metric``
    names what it counts for in the report. ``weight`` 0 tells and does not count.
    """

    type: str
    value: Any = None
    path: str | None = None
    of: str | None = None
    threshold: float | None = None
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    metric: str = ""
    checks: tuple[CaseCheck, ...] = ()


class Case(Value):
    """One eval input, with the answer a person would accept (``expected``) where it is known.

    ``cluster`` names what cases have in common (a document, a customer): such cases are not independent. ``checks`` are
    assertions on this case's answer alone, which pass as a whole when their weighted mean reaches ``threshold`` (1
    without one). The ``id`` is shown on terminals and in reports, so it holds only what can be seen.
    """

    id: str = Field(min_length=1, max_length=MAX_ID)
    input: dict[str, Any]
    expected: Any = None
    split: Split | None = None
    cluster: str | None = None
    checks: tuple[CaseCheck, ...] = ()
    threshold: float | None = Field(default=None, ge=0, le=1)
    metadata: dict[str, Any] = Field(default_factory=dict)

    @field_validator("id")
    @classmethod
    def _visible(cls, value: str) -> str:
        if wrong := id_problem(value):
            raise ValueError(wrong)
        return value


class ScorerSpec(Value):
    """One scorer of a suite, as written under ``scorers:``. ``skillforge.evals.scorers`` knows the types.

    ``path`` is a JSON pointer into output and label. With ``threshold`` the score says right or wrong (at least so
    much; of ``latency`` in seconds and ``cost`` in dollars: at most). ``tolerance`` is absolute, ``relative`` a share
    of the label. ``ordered`` makes ``f1`` one of sequences. ``strip_fence`` takes a text out of the code fence around
    it. ``fields`` are the rules of single fields (``json``). ``rubric`` is what a judge grades by, ``model``
    the judge; ``examples`` are graded answers it is shown.
    """

    type: str
    path: str = ""
    threshold: float | None = Field(default=None, allow_inf_nan=False)
    tolerance: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    relative: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    ordered: bool = False
    strip_fence: bool = False
    fields: dict[str, ScorerSpec] = Field(default_factory=dict)
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    rubric: str = ""
    model: str = ""
    examples: str = ""


class Decision(Value):
    """The rule, declared before anything runs.

    ``metric``: the name of one of the suite's ``scorers``, a type of scorer that needs no settings (``exact``: the
    whole output equals ``expected``; ``fields``: mean over the fields; ``checks``; ``normalized`` …), or a JSON pointer
    such as ``/queue`` (that field equals). ``margin``: how much worse than the teacher is still acceptable (0.05 = 5
    points). ``alpha``: one-sided error of the bound. ``power``: of the forecast of how many cases would decide.
    ``cluster``: ``cluster`` (the cases' own, taken by itself where cases have one) or ``metadata.KEY``. ``mode``
    ``sequential`` may stop early, by a test that is valid at any time. ``min_quality`` (a share), ``max_p95_ms`` and
    ``max_cost_per_1k`` (US dollars) must hold besides.
    """

    metric: str = Field(default="exact", min_length=1)
    margin: float = Field(default=0.05, gt=0, lt=1)
    alpha: float = Field(default=0.05, ge=1e-6, lt=0.5)
    power: float = Field(default=0.8, ge=0.5, lt=1)
    cluster: str | None = Field(default=None, pattern=r"^(cluster|metadata\..+)$")
    mode: Mode = "fixed"
    min_quality: float | None = Field(default=None, ge=0, le=1)
    max_p95_ms: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_cost_per_1k: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class Suite(Value):
    """Named cases and the decision rule.

    ``scorers`` are the suite's own, by name; ``judge`` is the model that grades where a scorer or a check needs one and
    names none. ``repeat``: how often every case is answered; its scores are averaged first.

    ``recorded`` is the file of recorded teacher answers, if there is one; ``today`` that of the answers a program got
    for the cases from its own prompt and model (``skillforge.today``); ``labels`` that of the answers people gave in
    ``review``. ``contract`` (``input`` and ``output`` field maps as in a skill) is what the cases fit before there is a
    skill.

    ``anchors`` are ids of cases that no tuning may make worse. They change no figure, so the digest leaves them out.
    """

    name: str = Field(pattern=NAME_PATTERN, max_length=64)
    description: str = ""
    skill: str | None = None
    decision: Decision = Decision()
    scorers: dict[str, ScorerSpec] = Field(default_factory=dict)
    judge: str | None = None
    repeat: int = Field(default=1, ge=1, le=100)
    cases: tuple[Case, ...]
    recorded: str | None = None
    today: str | None = None
    labels: str | None = None
    contract: dict[str, Any] | None = None
    anchors: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _anchored(self) -> Self:
        unknown = sorted(set(self.anchors) - {case.id for case in self.cases})
        if unknown:
            raise ValueError(f"anchors: no case has the id {', '.join(unknown[:3])}")
        return self

    def digest(self) -> str:
        """Identity of what is measured: cases, scorers and rule (names and descriptions left out).

        What a suite of the first form could not say is left out where it stands at its default: such suites keep the
        digest that their evidence names.
        """
        more: dict[str, Any] = {name: spec.model_dump(exclude_defaults=True) for name, spec in self.scorers.items()}
        body = {
            "decision": self._rule(),
            "cases": [_identity(case, self.decision.cluster) for case in self.cases],
            **({"scorers": more} if more else {}),
            **({"judge": self.judge} if self.judge is not None else {}),
            **({"repeat": self.repeat} if self.repeat != 1 else {}),
        }
        return digest(body)

    def _rule(self) -> dict[str, Any]:
        return {**self.decision.model_dump(include=_FIRST_RULE), **self.decision.model_dump(exclude_defaults=True)}


_FIRST_RULE = {"metric", "margin", "alpha", "power"}


def _identity(case: Case, cluster: str | None) -> dict[str, Any]:
    """A case without its metadata; what the first form could not say only where it is said.

    Metadata is told apart only where the rule groups the cases by it.
    """
    plain = case.cluster is None and not case.checks and case.threshold is None
    later = {} if plain else case.model_dump(include={"cluster", "checks", "threshold"}, exclude_defaults=True)
    if cluster is not None and cluster.startswith(_METADATA):
        key = cluster.removeprefix(_METADATA)
        later |= {"metadata": {key: case.metadata[key]}} if key in case.metadata else {}
    return {"id": case.id, "input": case.input, "expected": case.expected, "split": case.split, **later}
