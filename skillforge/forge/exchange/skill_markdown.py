"""A skill as the ``SKILL.md`` that agents read: the messages that were evaluated, and nothing a client would run."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from skillforge.engine.frame import BY_INPUT, example_turns, system_message
from skillforge.engine.workflow.language import step_skill
from skillforge.errors import Problem, SkillFileError, UsageError
from skillforge.formats.agent_skill import MAX_DESCRIPTION, MAX_SKILL_MD, SKILL_MD, header_parts
from skillforge.formats.conversation import EXAMPLES_MD, Conversation, Turn, conversation_parts, examples_markdown
from skillforge.formats.expansions import expansions
from skillforge.formats.frontmatter import Part, read_markdown
from skillforge.formats.procedure import Asking, procedure_examples, procedure_parts
from skillforge.skill import Skill

OUR_KEYS = "skillforge-"  # metadata that exports write for themselves
MAX_TOLD = 20  # this many expansions are told


def agent_files(skill: Skill, told: str) -> dict[str, str]:
    """What agents read of a skill: ``SKILL.md``, and the examples where they stand apart.

    A plain skill's body is its instructions, a workflow's its steps in words, any other's the messages it sends.
    ``told`` names the skill in errors. Raises ``SkillFileError`` for what readers would run, replace or misread.
    """
    body, apart = _body(skill)
    parts = [*_header(skill), *body]
    text = "".join(piece for _, piece in parts)
    wrong = _description_problems(skill)
    for item in islice(expansions(parts), MAX_TOLD):
        message = f"line {item.line}: {item.found}: {item.effect}"
        wrong.append(Problem(message, field=item.field or "the text around it", hint=item.hint))
    if len(text.encode()) > MAX_SKILL_MD:
        wrong.append(Problem(f"SKILL.md would be longer than {MAX_SKILL_MD:,} bytes", hint="give it fewer examples"))
    if wrong:
        raise SkillFileError(told, wrong, hint="such text cannot be exported: change the skill, then measure it again")
    _refuse_unreadable(text, "".join(piece for _, piece in body), skill, told)
    return {SKILL_MD: text, EXAMPLES_MD: apart} if apart else {SKILL_MD: text}


def _body(skill: Skill) -> tuple[list[Part], str]:
    """What stands below the frontmatter, and the examples that stand apart."""
    if skill.is_workflow:
        asked = asking(skill)
        return procedure_parts(skill, asked), procedure_examples(skill, asked)
    talk = conversation(skill)
    if is_plain(skill):
        return [("instructions", skill.instructions)], examples_markdown(talk)
    return conversation_parts(talk), examples_markdown(talk)


def asking(skill: Skill) -> dict[str, Asking]:
    """What each step of a workflow sends that asks a model, before there is an input."""
    found = {}
    for number, step in enumerate(skill.steps):
        if step.kind in ("prompt", "agent"):
            talk = conversation(step_skill(skill, step))
            turns = [Turn(f"steps[{number}].{turn.field}", turn.asked, turn.answered) for turn in talk.turns]
            found[step.id] = Asking(talk.system, turns, talk.nearest)
    return found


def plain_skill(
    *, name: str, description: str, instructions: str, license: str = "", metadata: Mapping[str, str] | None = None
) -> Skill:
    """The skill that a foreign ``SKILL.md`` becomes: one request in, text out.

    Raises pydantic's ``ValidationError`` for a name or a description that no skill can have.
    """
    return Skill(
        name=name,
        description=description,
        license=license,
        metadata=dict(metadata or {}),
        input={"request": {"type": "string"}},
        output="text",
        instructions=instructions,
        prompt="{{ request }}",
    )


def conversation(skill: Skill) -> Conversation:
    """The messages of a skill before there is an input (see ``engine.frame.build_request``)."""
    examples = skill.examples
    shown = list(examples.items[: examples.k] if examples.select == "first" else examples.items)
    turns = []
    for number, example in enumerate(shown):
        asked, answered = example_turns(skill, example)
        turns.append(Turn(f"examples.items[{number}]", asked.text, answered.text))
    return Conversation(
        name=skill.name,
        system=system_message(skill).text,
        turns=turns,
        nearest=examples.k if examples.select in BY_INPUT and examples.k < len(shown) else 0,
        prompt=skill.prompt,
        input_schema=skill.input_schema(),
        output_schema=skill.output_schema(),
    )


def _header(skill: Skill) -> list[Part]:
    metadata = foreign_metadata(skill.metadata)
    return header_parts(
        name=skill.name,
        description=skill.description,
        license=skill.license,
        metadata=metadata,
        digest=skill.digest(),
    )


def is_plain(skill: Skill) -> bool:
    """Whether a skill is what a foreign ``SKILL.md`` of its name, description and body becomes."""
    plain = plain_skill(name=skill.name, description=skill.description, instructions=skill.instructions)
    return plain.digest() == skill.digest()


def foreign_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """The metadata without what exports of ours write into it."""
    return {key: value for key, value in metadata.items() if not key.startswith(OUR_KEYS)}


def _description_problems(skill: Skill) -> list[Problem]:
    found = []
    if "<" in skill.description or ">" in skill.description:
        found.append(Problem("holds < or >, which other tools refuse", field="description", hint="write it in words"))
    if len(skill.description) > MAX_DESCRIPTION:
        found.append(Problem(f"is longer than {MAX_DESCRIPTION:,} characters", field="description"))
    return found


def _refuse_unreadable(text: str, body: str, skill: Skill, told: str) -> None:
    """What was written is read back: no reader may see another header or body than we meant."""
    read = read_markdown(text.encode(), path=told)
    if read.body != body or read.fields.get("description") != skill.description:
        raise UsageError(f"{told}: cannot be written as frontmatter", hint="a bug: report it with the skill's file")
