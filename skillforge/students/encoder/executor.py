"""A fitted classifier as a student: it runs in this process, asks nobody and costs nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from skillforge.canonical import compact, digest
from skillforge.checks import CustomCheck, require_bound, run_checks
from skillforge.engine.codedigest import code_digest
from skillforge.engine.compiled import compiled
from skillforge.engine.execute import Tried
from skillforge.engine.frame import complete_input
from skillforge.engine.nomodel import label_fields
from skillforge.errors import UsageError
from skillforge.ladder import ENCODER
from skillforge.messages import Cost, Usage
from skillforge.run import Run, RunStatus
from skillforge.skill import Skill
from skillforge.students.encoder.model import EncoderModel, Prediction

_SHOWN = 12  # characters of a hash, as of other local models


@dataclass(frozen=True)
class EncoderExecutor:
    """Answers with the most probable labels, and tells all probabilities. ``sha256`` is that of the model's file.

    The skill's checks are run on the answer: one that asks for a repair fails the run (a classifier cannot be asked
    again), one that escalates escalates it. Instructions and examples change nothing here.
    """

    name: str
    model: EncoderModel
    sha256: str
    custom_checks: Mapping[str, CustomCheck] = field(default_factory=dict)
    concurrency: int = 1
    arm_kind: Literal["encoder"] = "encoder"

    @property
    def student(self) -> str:
        return f"{ENCODER}{self.name}"

    @property
    def identity(self) -> str:
        bound = [[name, code_digest(function)] for name, function in sorted(self.custom_checks.items())]
        return f"{ENCODER}{self.sha256} {digest(bound)}" if bound else f"{ENCODER}{self.sha256}"

    async def execute(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Run:
        """Raises ``InvalidInput``, and ``UsageError`` where the classifier does not answer what the skill asks for."""
        return self.predict(skill, [given])[0]

    async def tried(self, skill: Skill, given: Mapping[str, Any], epoch: int = 0) -> Tried:
        return Tried(await self.execute(skill, given, epoch))

    def predict(self, skill: Skill, inputs: Sequence[Mapping[str, Any]]) -> list[Run]:
        """Many at once: thousands a second. ``latency_s`` is an even share of what all took. Raises as ``execute``."""
        require_bound(skill.checks, self.custom_checks)
        self._require_fit(skill)
        completed = [complete_input(skill, given) for given in inputs]
        started = time.perf_counter()
        predictions = self.model.predict(completed)
        each = (time.perf_counter() - started) / max(1, len(predictions))
        return [self._run(skill, *pair, each) for pair in zip(completed, predictions, strict=True)]

    def _run(self, skill: Skill, values: dict[str, Any], prediction: Prediction, seconds: float) -> Run:
        output = {name: prediction.output[name] for name in skill.output}
        checks = run_checks(skill.checks, output, values, self.custom_checks)
        status: RunStatus = "ok"
        broken = [check for check in checks if not check.passed and check.on_fail != "warn"]
        if broken:
            status = "failed" if any(check.on_fail == "repair" for check in broken) else "escalated"
        words = (f"check {check.type}: {check.reason}" if status == "failed" else check.reason for check in broken)
        return Run(
            skill=skill.name,
            digest=compiled(skill).digest,
            student=self.student,
            model=f"{self.name}@{self.sha256[:_SHOWN]}",
            status=status,
            reason="; ".join(words),
            input=values,
            output=output,
            checks=checks,
            usage=Usage(input_tokens=0, output_tokens=0),
            cost=Cost(usd=0.0),
            latency_s=seconds,
            probabilities={name: _all_labels(skill, name, told) for name, told in prediction.probabilities.items()},
        )

    def _require_fit(self, skill: Skill) -> None:
        """A later version of the skill may ask for other labels than it was fitted for."""
        require_labels(skill)
        hint = f"fit it again: skillforge train {skill.name} --as {self.name}"
        if self.model.fields.keys() != set(skill.output):
            fields = ", ".join(self.model.fields)
            raise UsageError(f"{self.student} answers {fields}, not what {skill.name} asks for", hint=hint)
        for name, fitted in self.model.fields.items():
            wrong = sorted({str(label) for label in fitted.classes_} - set(labels_of(skill, name)))
            if wrong:
                raise UsageError(
                    f"{self.student}: {', '.join(wrong[:3])}: no label of {skill.name}'s field {name}", hint=hint
                )


def require_labels(skill: Skill) -> None:
    """Raise ``UsageError`` where an output of the skill is no label: a classifier answers labels only."""
    labels = label_fields(skill)
    if not skill.is_workflow and labels and len(labels) == len(skill.output):
        return
    if skill.is_workflow:
        why = "it is a workflow"
    elif skill.output == "text":
        why = "its output is a text"
    else:
        why = f"not so {', '.join(name for name in skill.output if name not in labels)}"
    raise UsageError(
        f"{skill.name}: a classifier answers labels only, fields that are an enum or a boolean: {why}",
        hint="for other outputs a small model is the student: skillforge tune, or skillforge eval --students",
    )


def labels_of(skill: Skill, name: str) -> tuple[str, ...]:
    """The labels a field of the contract allows, as compact JSON, in its order."""
    schema = skill.output[name] if isinstance(skill.output, dict) else {}
    return tuple(compact(value) for value in schema.get("enum", (True, False)))


def _all_labels(skill: Skill, name: str, told: Mapping[str, float]) -> dict[str, float]:
    """With those the classifier never saw: their probability is 0."""
    return {**told, **{label: 0.0 for label in labels_of(skill, name) if label not in told}}
