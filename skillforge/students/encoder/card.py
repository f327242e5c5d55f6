"""What a classifier was made from and how well it did: the file beside it, which people read and git keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from skillforge.canonical import digest_bytes
from skillforge.errors import Problem, SkillFileError, UsageError
from skillforge.jsonl import strict_json
from skillforge.lockfile import Line
from skillforge.messages import Value
from skillforge.students.encoder.backends import TFIDF

ENCODERS_FOLDER = "encoders"
CARD_SUFFIX, MODEL_SUFFIX = ".json", ".skops"
MAX_CARD_BYTES = 4 * 1_048_576
_DIGEST = r"^sha256:[0-9a-f]{64}$"

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class Measure(Value):
    """A share with its 95% interval (Wilson), over ``n`` rows."""

    share: Share
    low: Share
    high: Share
    n: Count


class FieldCard(Value):
    """One output field. ``seen`` counts the training rows by label (compact JSON), ``never_seen`` are the labels of the
    contract without any: they are never answered. ``accuracy`` is out of sample, by cross-validation on the training
    rows; so are the expected calibration errors (15 bins of equal width), before and after calibration. ``None``: too
    few texts to say.
    """

    seen: dict[str, Count]
    never_seen: tuple[str, ...] = ()
    accuracy: Measure | None = None
    error_before: Share | None = None
    error_after: Share | None = None


class Card(Value):
    """The provenance of one classifier. ``sha256`` and ``size`` (bytes) are its file's, ``digest`` the skill version's
    it was fitted for, ``suite`` and ``suite_digest`` where its cases are from, always the split ``train``.

    ``labels``: the ``teacher``'s recorded answers, or the suite's ``expected`` ones; ``teacher`` names who gave them,
    ``soft`` counts rows with the teacher's probabilities. ``left_out`` counts the cases that were not used, by why.
    ``accuracy`` is that of all fields together, as ``FieldCard.accuracy``. ``seconds`` is what fitting took.
    """

    schema_id: Literal["skillforge/encoder/v1"] = Field(default="skillforge/encoder/v1", alias="schema")
    name: Line
    skill: Line
    version: int | None = None
    digest: str = Field(pattern=_DIGEST)
    sha256: str = Field(pattern=_DIGEST)
    size: Count
    backend: Line = TFIDF
    fields: dict[str, FieldCard]
    rows: Count
    texts: Count
    soft: Count = 0
    left_out: dict[str, Count] = Field(default_factory=dict)
    labels: Literal["teacher", "expected"]
    teacher: Line = ""
    suite: Line
    suite_digest: str = Field(pattern=_DIGEST)
    accuracy: Measure | None = None
    seconds: float = Field(ge=0, allow_inf_nan=False)
    versions: dict[str, Line]
    created_at: Line

    def as_json(self) -> bytes:
        return (json.dumps(self.model_dump(mode="json", by_alias=True), ensure_ascii=False, indent=2) + "\n").encode()


def model_path(skill_folder: Path, name: str) -> Path:
    return skill_folder / ENCODERS_FOLDER / f"{name}{MODEL_SUFFIX}"


def card_path(skill_folder: Path, name: str) -> Path:
    return skill_folder / ENCODERS_FOLDER / f"{name}{CARD_SUFFIX}"


def read_card(path: Path) -> Card:
    """Raises ``UsageError`` where it cannot be read, ``SkillFileError`` where it is no card."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CARD_BYTES + 1)
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}", hint="restore it from git") from exc
    hint = "it is machine-written: restore it from git, or fit again: skillforge train"
    if len(data) > MAX_CARD_BYTES:
        raise SkillFileError(str(path), [Problem(f"larger than {MAX_CARD_BYTES:,} bytes")], hint=hint)
    try:
        return Card.model_validate(strict_json(data))
    except ValidationError as exc:
        wrong = [
            Problem(item["msg"], field=".".join(map(str, item["loc"]))) for item in exc.errors(include_url=False)[:20]
        ]
        raise SkillFileError(str(path), wrong, hint=hint) from None
    except ValueError as exc:
        raise SkillFileError(str(path), [Problem(f"not JSON: {exc}")], hint=hint) from exc


def read_model_bytes(path: Path, card: Card, most: int) -> bytes:
    """The bytes of the classifier, once they are known to be those of the card. Raises ``UsageError``."""
    hint = "restore it from git, or fit it again: skillforge train"
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}", hint=hint) from exc
    if len(data) > most:
        raise UsageError(f"{path} is larger than {most:,} bytes: no classifier of skillforge is", hint=hint)
    if (found := digest_bytes(data)) != card.sha256:
        raise UsageError(f"{path} is {found[:23]}…, its card says {card.sha256[:23]}…: it was changed", hint=hint)
    return data
