"""Attacks on a draft that need no model: each either finds something that can be shown, or nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skillforge.canonical import compact
from skillforge.checks import run_checks
from skillforge.engine.roles.finding import Finding
from skillforge.engine.roles.mutations import wrong_outputs
from skillforge.nearest import canonical_text
from skillforge.references import steps_named
from skillforge.skill import Skill
from skillforge.step import Step
from skillforge.trace import Trace

NEAR_INPUTS = 90.0  # rapidfuzz's ratio from which two inputs ask the same
FEWEST_WRONG = 5  # wrong outputs a check must have been tried on
REPEATED_WORDS = 6  # a shorter sentence may well stand twice
_STEP_IN_TEXT = re.compile(r"""\bsteps(?:\.|\[['"])([a-z][a-z0-9_]*)""")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]?")
_SHOWN = 120

Leaks = Callable[[Skill], Iterable[tuple[str, str]]]
Answer = Callable[[Any], Any]


@dataclass(frozen=True)
class Disputed:
    """An input whose two labels differ."""

    case: str
    first: Any
    second: Any


@dataclass(frozen=True)
class Material:
    """What a draft is attacked with: the ``traces`` it was authored from, the inputs nobody agreed on, and ``leaks``,
    which says (case, why) of every unseen case a skill gives away. ``answer`` is the part of an output that is compared
    (a label).
    """

    traces: Sequence[Trace]
    disputed: Sequence[Disputed] = ()
    leaks: Leaks = lambda skill: ()
    answer: Answer = lambda output: output


def attack(skill: Skill, material: Material) -> tuple[Finding, ...]:
    """All that can be found wrong with a draft without asking anybody. The same draft gives the same findings."""
    return (
        *weak_checks(skill, material.traces),
        *leaks(skill, material.leaks),
        *ambiguous(material),
        *needless_steps(skill),
        *repeated_instructions(skill),
    )


def weak_checks(skill: Skill, traces: Sequence[Trace]) -> Iterator[Finding]:
    """Checks that pass on every right and on every wrong output the contract lets through: they check nothing."""
    tried = wrong_outputs(skill, traces)
    if len(tried) < FEWEST_WRONG and len(tried) < len(traces):
        return
    for number, check in enumerate(skill.checks):
        if check.type.removeprefix("not-") == "custom" or not tried:
            continue
        if all(run_checks([check], output, trace.input)[0].passed for trace, output in tried):
            yield Finding(
                kind="weak-check",
                place=f"checks[{number}]",
                evidence=f"{check.type} passes on all {len(tried)} wrong outputs tried, such as"
                f" {_short(tried[0][1])} for {tried[0][0].case_id}",
                mending="make it tell right from wrong, or leave it out",
            )


def leaks(skill: Skill, leaking: Leaks) -> Iterator[Finding]:
    """Unseen cases that stand in the skill."""
    for case, why in leaking(skill):
        part = why.rpartition("the skill's ")[2] or "skill"
        yield Finding(
            kind="leak",
            place=part,
            evidence=f"{case} is a case the skill is measured on: {why}",
            mending=f"take that text out of the {part}",
        )


def ambiguous(material: Material) -> Iterator[Finding]:
    """Inputs that ask the same and are answered differently, and pairs of labels that two answers differed between."""
    from rapidfuzz import fuzz, process

    texts = [canonical_text(trace.input)[:2_000] for trace in material.traces]
    answers = [compact(material.answer(trace.output)) for trace in material.traces]
    for place, text in enumerate(texts):
        for _, _, other in process.extract(text, texts[:place], scorer=fuzz.ratio, score_cutoff=NEAR_INPUTS, limit=3):
            if answers[other] != answers[place]:
                one, two = material.traces[other].case_id, material.traces[place].case_id
                yield Finding(
                    kind="ambiguous-label",
                    place="output",
                    evidence=f"{one} and {two} ask nearly the same; the answers are {_short(answers[other])} and"
                    f" {_short(answers[place])}",
                    mending="say in the instructions what decides between them",
                )
    pairs: Counter[tuple[str, ...]] = Counter()
    cases: dict[tuple[str, ...], str] = {}
    for item in material.disputed:
        both = (compact(material.answer(item.first)), compact(material.answer(item.second)))
        pair = tuple(sorted(map(_short, both)))
        pairs[pair] += 1
        cases.setdefault(pair, item.case)
    for pair, count in pairs.most_common(10):
        yield Finding(
            kind="ambiguous-label",
            place="output",
            evidence=f"{' and '.join(pair)}: two answers to the same input differed {count}"
            f" time{'' if count == 1 else 's'}, first at {cases[pair]}",
            mending="say in the instructions what decides between them",
        )


def needless_steps(skill: Skill) -> Iterator[Finding]:
    """Steps whose value nothing uses: they read and change nothing, and are not the answer."""
    named = used_steps(skill)
    for step in skill.steps:
        if step.id not in named and not _acts(skill, step) and not (skill.result is None and step is skill.steps[-1]):
            yield Finding(
                kind="needless-step",
                place=f"steps.{step.id}",
                evidence="no step, condition, prompt or result names its value, and it changes nothing",
                mending="leave the step out",
            )


def used_steps(skill: Skill) -> frozenset[str]:
    """The ids of the steps whose value a step that counts, or the result, goes back to."""
    by_id = {step.id: step for step in skill.steps}
    pending = set(steps_named(skill.result)) if skill.result is not None else {step.id for step in skill.steps[-1:]}
    pending |= {step.id for step in skill.steps if _acts(skill, step)}
    found: set[str] = set()
    while pending:
        name = pending.pop()
        if name in found or name not in by_id:
            continue
        found.add(name)
        pending |= _names(by_id[name]) - found
    return frozenset(found)


def repeated_instructions(skill: Skill) -> Iterator[Finding]:
    """Sentences that stand twice: the second one tells a student nothing and costs tokens at every call."""
    seen: set[str] = set()
    told: set[str] = set()
    for sentence in _SENTENCE.findall(skill.instructions):
        plain = " ".join(sentence.casefold().split()).strip(" -*.!?")
        if len(plain.split()) < REPEATED_WORDS:
            continue
        if plain in seen and plain not in told:
            told.add(plain)
            yield Finding(
                kind="needless-instruction",
                place="instructions",
                evidence=f"said twice: {_short(sentence.strip())}",
                mending="say it once",
            )
        seen.add(plain)


def contradiction(skill: Skill, claim: Mapping[str, Any]) -> Finding | None:
    """The claim that a rule of the instructions is broken by an example, where that can be shown: the rule is quoted
    word for word, names both the text it looks for in an input field (``when``) and the value it gives (``then``), and
    an example holds the text and has another value.
    """
    quote, when, then = claim.get("quote"), claim.get("when"), claim.get("then")
    if not isinstance(quote, str) or not isinstance(when, Mapping) or not isinstance(then, Mapping):
        return None
    field, text, key, value = when.get("field"), when.get("contains"), then.get("field"), then.get("equals")
    if not all(isinstance(item, str) and item.strip() for item in (quote, field, text, key)):
        return None
    rule = " ".join(str(quote).casefold().split())
    if rule not in " ".join(skill.instructions.casefold().split()):
        return None
    said = value if isinstance(value, str) else compact(value)
    if str(text).casefold() not in rule or said.casefold() not in rule:
        return None
    for example in skill.examples.items:
        given = example.input.get(str(field))
        output = example.output if isinstance(example.output, Mapping) else {}
        if isinstance(given, str) and str(text).casefold() in given.casefold() and key in output:
            found = output[str(key)]
            if compact(found) != compact(value):
                return Finding(
                    kind="contradiction",
                    place="instructions",
                    evidence=f"{_short(quote)}, but the example {example.id} holds {_short(text)} and answers"
                    f" {_short(found)}",
                    mending="mend the rule, or leave the example out",
                    claimed=True,
                )
    return None


def _names(step: Step) -> set[str]:
    named = set(steps_named([step.args, step.when or {}, step.each or {}]))
    return named | set(_STEP_IN_TEXT.findall(f"{step.prompt}\n{step.escalate}"))


def _acts(skill: Skill, step: Step) -> bool:
    """Whether a step does something besides its value: it writes, or may stop the run."""
    if step.kind == "escalate":
        return True
    names = (step.tool,) if step.tool is not None else step.agent.tools if step.agent is not None else ()
    tools = [skill.tool(name) for name in names if name is not None]
    return any(tool is None or tool.effect == "write" for tool in tools)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else compact(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
