"""The card of a data set: where every row comes from, what was left out and why, who may train on it, and its files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from skillforge.markdowntext import code, plain
from skillforge.messages import Value
from skillforge.students.data.noise import Suspect
from skillforge.students.data.pipeline import StepCount
from skillforge.students.data.policies import Policy
from skillforge.students.data.style import Style

CARD_SCHEMA: Literal["skillforge/dataset/v1"] = "skillforge/dataset/v1"
CARD_FILE = "card.json"
README_FILE = "README.md"
_SHOWN = 10


class TeacherShare(Value):
    """How many rows a model answered, and what its maker says of training on them."""

    teacher: str
    rows: int
    policy: Policy


class Tokens(Value):
    """About four characters a token: prompt and answer of all rows in one epoch, and the longest row."""

    train: int
    validation: int
    answers: int
    longest: int


class ExportedFile(Value):
    """One file. ``left_out`` counts the rows that its target would refuse, by reason."""

    format: str
    part: Literal["train", "validation"]
    file: str
    rows: int
    bytes: int
    sha256: str
    left_out: dict[str, int] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


class DatasetCard(Value):
    """Everything that is known of a data set without its texts. The same inputs give the same card.

    ``sources`` counts the answers found, by source; ``merged`` of them were other answers to the same input.
    ``provenance`` is what recordings say of themselves. ``override`` is the reason given where a maker's terms
    disallow training. ``neighbours``: the share of a field's labels that the nearest other inputs would give too.
    """

    schema_id: Literal["skillforge/dataset/v1"] = Field(default=CARD_SCHEMA, alias="schema")
    name: str
    skill: str
    skill_digest: str
    skill_license: str = ""
    suite: str
    suite_digest: str
    built_with: str
    settings: dict[str, Any]
    sources: dict[str, int]
    merged: int
    masked: dict[str, int]
    steps: tuple[StepCount, ...]
    rows: int
    train: int
    validation: int
    families: int
    pairs: int
    labels: dict[str, dict[str, int]]
    diversity: tuple[str, ...]
    styles: tuple[Style, ...]
    tokens: Tokens
    teachers: tuple[TeacherShare, ...]
    override: str = ""
    provenance: tuple[dict[str, Any], ...] = ()
    suspects: tuple[Suspect, ...]
    neighbours: dict[str, float] = Field(default_factory=dict)
    warnings: tuple[str, ...]
    files: tuple[ExportedFile, ...]
    left_formats: dict[str, str] = Field(default_factory=dict)


def markdown(card: DatasetCard) -> str:
    """The card for people. Texts from outside mean nothing in it."""
    return "\n".join(_parts(card)) + "\n"


def _parts(card: DatasetCard) -> Iterator[str]:
    yield f"# Training data: {plain(card.name)}\n"
    yield (
        f"{card.rows:,} answers of {_teachers(card)} for the skill {code(card.skill)}: {card.train:,} to train on,"
        f" {card.validation:,} to validate, {card.pairs:,} with a student's wrong answer beside it. No case that the"
        f" suite {code(card.suite)} measures on (dev, test) is in it, nor one that reads like it.\n"
    )
    if card.warnings:
        yield "## Read this first\n"
        yield "\n".join(f"- {plain(warning, 600)}" for warning in card.warnings) + "\n"
    yield "## May I train on this?\n"
    yield from _table(
        ("teacher", "rows", "maker", "stance", "what its terms come to", "read"),
        [
            (
                code(share.teacher),
                f"{share.rows:,}",
                plain(share.policy.maker),
                share.policy.stance,
                plain(share.policy.says, 600),
                _read(share.policy),
            )
            for share in card.teachers
        ],
    )
    yield "Terms change, and this is no legal advice: read the page before you train.\n"
    if card.override:
        yield f"Built although terms disallow it. The reason given: {plain(card.override, 600)}\n"
    yield "## What was done\n"
    found = ", ".join(f"{count:,} {source}" for source, count in card.sources.items())
    yield f"Found: {found}; {card.merged:,} of these are to an input that has a better source.\n"
    yield from _table(
        ("step", "came", "stayed", "left out", "noted"),
        [
            (step.name, f"{step.came:,}", f"{step.kept:,}", _counts(step.dropped), _counts(step.noted))
            for step in card.steps
        ],
    )
    if card.masked:
        yield f"Masked in texts: {_counts(card.masked)}. Names of people have no shape and are not found.\n"
    yield "## What is in it\n"
    yield "\n".join(f"- {line}" for line in _content(card)) + "\n"
    yield from _suspects(card)
    yield from _files(card)
    yield "## Where it comes from\n"
    yield "\n".join(f"- {line}" for line in _origin(card)) + "\n"


def _content(card: DatasetCard) -> Iterator[str]:
    for field, counts in card.labels.items():
        yield f"{code(field)}: {_counts(counts)}"
    yield from (plain(line, 600) for line in card.diversity)
    for style in card.styles:
        yield plain(style.line(), 600)
    tokens = card.tokens
    yield (
        f"about {tokens.train:,} tokens an epoch ({tokens.validation:,} in validation, {tokens.answers:,} of all are"
        f" answers), the longest row {tokens.longest:,}; estimated at four characters a token"
    )
    yield f"{card.families:,} families of inputs that belong together; each lies in one split"


def _suspects(card: DatasetCard) -> Iterator[str]:
    suspects = card.suspects
    if not suspects:
        return
    yield "## Labels to look at\n"
    yield (
        f"{len(suspects):,} labels that the nearest other inputs or the suite doubt; all of them stand in"
        f" {code('noise.jsonl')}. The neighbours would give {_agreement(card)} of all labels too, which is what their"
        f" doubt is worth. Leave rows out with {code('--without ID')}.\n"
    )
    yield from _table(
        ("row", "field", "teacher", "neighbours", "their votes", "suite"),
        [
            (code(item.id), plain(item.field), plain(item.label), plain(item.other), f"{item.share:.0%}", item.suite)
            for item in suspects[:_SHOWN]
        ],
    )


def _agreement(card: DatasetCard) -> str:
    return ", ".join(f"{share:.0%} ({plain(field)})" for field, share in card.neighbours.items())


def _files(card: DatasetCard) -> Iterator[str]:
    yield "## Files\n"
    yield from _table(
        ("file", "rows", "bytes", "left out", "sha256"),
        [
            (code(item.file), f"{item.rows:,}", f"{item.bytes:,}", _counts(item.left_out), code(item.sha256[:16]))
            for item in card.files
        ],
    )
    yield (
        f"{code('provenance.jsonl')} names teacher, policy, source and split of every row; {code('dropped.jsonl')} the"
        " rows that went and why. Every file was checked by its target's own rules.\n"
    )
    if card.left_formats:
        yield "Not written: " + "; ".join(f"{name} ({plain(why)})" for name, why in card.left_formats.items()) + "\n"


def _origin(card: DatasetCard) -> Iterator[str]:
    yield f"skill {code(card.skill)} {code(card.skill_digest)}" + (
        f", licence {plain(card.skill_license)}" if card.skill_license else ", no licence stated"
    )
    yield f"suite {code(card.suite)} {code(card.suite_digest)}"
    for told in card.provenance:
        for key, value in told.items():
            yield f"{plain(str(key))}: {plain(str(value), 600)}"
    yield f"built with {plain(card.built_with)}; the settings stand in {code(CARD_FILE)}"
    yield (
        f"{code('skillforge purge')} removes this folder where it holds texts of whom it is asked about, as long as it"
        " lies in the repository; copies, and models trained on it, it does not reach"
    )


def _teachers(card: DatasetCard) -> str:
    return ", ".join(code(share.teacher) for share in card.teachers[:3]) or "nobody"


def _read(policy: Policy) -> str:
    if not policy.url:
        return "–"
    said = f"{policy.version}, " if policy.version else ""
    return f"<{policy.url}> ({said}read {policy.read}: {plain(policy.basis)})"


def _counts(counts: dict[str, int]) -> str:
    return plain(", ".join(f"{count:,} {name}" for name, count in counts.items()), 900) or "–"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    yield from ("| " + " | ".join(row) + " |" for row in rows)
    yield ""
