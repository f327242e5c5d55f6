"""The contract a group of calls suggests: instructions and prompt from its skeleton, output from its answers."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Literal

from skillforge.contract import Validator, schema_problems
from skillforge.engine.parse import find_json
from skillforge.fieldlint import FIELD_NAME
from skillforge.hygiene import hidden_text
from skillforge.lint import lint_skill
from skillforge.messages import Value
from skillforge.skill import Skill
from skillforge.traffic.answers import Answers, Values
from skillforge.traffic.kinds import is_choice
from skillforge.traffic.skeleton import HISTORY, MESSAGE, TOOLS, Skeleton, Turn

LABEL = "label"  # the one output field of answers that are a bare word out of few
_BRACES = re.compile(r"\{(?=[{%#])|(?<=\{)\{|\{$")
_SENTENCE = re.compile(r"[^\n.!?:]+[.!?:]?")
_PERSONA = re.compile(r"\s*you are\b", re.IGNORECASE)
_QUOTES = "\"'`*. \t\n"
_ENDS = " .,;:!?"


class DraftContract(Value):
    """A first contract for a group, valid as a skill's. ``input`` and ``output`` map a field to its JSON Schema.

    ``task`` is one sentence of the recorded instructions. ``output`` is ``"text"`` or a field map; where recorded
    answers are a bare label, ``bare`` is the field it becomes.
    """

    task: str
    instructions: str
    prompt: str
    input: dict[str, dict[str, Any]]
    output: Literal["text"] | dict[str, dict[str, Any]]
    bare: str = ""

    def parse_output(self, text: str) -> Any:
        """A recorded answer as an output of the contract; ``None`` where it does not fit."""
        if self.output == "text":
            return text.strip() or None
        value = find_json(text) if "{" in text else None
        if value is None and self.bare:
            value = {self.bare: _label(text)}
        if value is None:
            return None
        found = {
            name: _as_choice(value.get(name), schema)
            for name, schema in self.output.items()
            if name in value or _nullable(schema)
        }
        names = list(self.output)
        whole = {"type": "object", "properties": self.output, "required": names, "additionalProperties": False}
        return None if _validator(json.dumps(whole)).problems(found) else found


def draft_contract(
    skeleton: Skeleton, answers: Answers, output_schema: Mapping[str, Any] | None
) -> DraftContract | None:
    """The contract, or ``None`` where nothing varies (there is no input) or no valid one can be made of the texts."""
    if not skeleton.field_names:
        return None
    output, bare = _output(answers, output_schema)
    instructions, prompt = _texts(skeleton)
    task = _task(skeleton)
    draft = DraftContract(
        task=task,
        instructions=instructions or task,
        prompt=prompt,
        input={name: _input_schema(name, skeleton) for name in skeleton.field_names},
        output=output,
        bare=bare,
    )
    return draft if _is_valid(draft) else None


def _is_valid(draft: DraftContract) -> bool:
    skill = Skill(
        name="draft",
        description=draft.task,
        task=draft.task,
        input=draft.input,
        output=draft.output,
        instructions=draft.instructions,
        prompt=draft.prompt,
    )
    return not any(problem.level == "error" for problem in lint_skill(skill))


def _input_schema(name: str, skeleton: Skeleton) -> dict[str, Any]:
    if (name == HISTORY and skeleton.open) or (name == TOOLS and skeleton.tools is None):
        return {"type": "array", "items": {"type": "object"}}
    return {"type": "string"}


def _texts(skeleton: Skeleton) -> tuple[str, str]:
    """Instructions and prompt. Instructions are no template: what varies in the system text is given in the prompt."""
    system = skeleton.turns[0]
    said = system.render({gap: f"({gap}, given below)" for gap in system.gaps}).strip()
    shots = skeleton.turns[1:-1] if not skeleton.open else ()
    if shots:
        said += "\n\nExamples:\n" + "\n".join(f"{turn.role}: {turn.texts[0]}" for turn in shots)
    lines = [f"{gap}: {{{{ {gap} }}}}" for gap in system.gaps]
    if skeleton.tools is None:
        lines.append(f"{TOOLS}: {{{{ {TOOLS} }}}}")
    if skeleton.open:
        lines += [f"{{{{ {HISTORY} }}}}", f"{{{{ {MESSAGE} }}}}"]
    else:
        lines.append(_template(skeleton.turns[-1]))
    return _visible(said), _visible("\n".join(lines).strip())


def _template(turn: Turn) -> str:
    return turn.model_copy(update={"texts": tuple(map(_escaped, turn.texts))}).render(
        {gap: f"{{{{ {gap} }}}}" for gap in turn.gaps}
    )


def _escaped(text: str) -> str:
    """Constant text that the template language leaves as it is: braces that would open something become constants."""
    return _BRACES.sub('{{ "{" }}', text)


def _visible(text: str) -> str:
    if not hidden_text(text):
        return text
    return "".join(character for character in text if not hidden_text(character))


def _task(skeleton: Skeleton) -> str:
    """The first sentence that asks for something: of the last turn's constants, else of the system's."""
    turns = [skeleton.turns[0]] if skeleton.open else [skeleton.turns[-1], skeleton.turns[0]]
    sentences = [
        sentence.strip(" #*-\t:")
        for turn in turns
        for text in turn.texts
        for sentence in _SENTENCE.findall(text)
        if len(sentence.split()) >= 4 and sentence.lstrip()[:1] not in ("[", "<", "{")
    ]
    asking = [sentence for sentence in sentences if not _PERSONA.match(sentence)]
    whole = " … ".join(text.strip() for text in turns[0].texts if text.strip())
    chosen = next(iter(asking or sentences), whole if re.search(r"\w+\W+\w+", whole) else "Answer as recorded.")
    return _visible(" ".join(chosen.replace("<", " ").replace(">", " ").split())[:200]).strip() or "Answer."


def _output(answers: Answers, schema: Mapping[str, Any] | None) -> tuple[Any, str]:
    if schema is not None and (fields := _recorded(schema)):
        return fields, ""
    if answers.objects and answers.objects >= 0.8 * (answers.objects + answers.bare.count):
        fields = {
            key: _schema(values, optional=values.count < answers.objects)
            for key, values in answers.keys.items()
            if 2 * values.count >= answers.objects and FIELD_NAME.fullmatch(key)
        }
        return fields or "text", ""
    if is_choice(answers.bare):
        return {LABEL: {"enum": _choices(answers.bare, _label)}}, LABEL
    return "text", ""


def _recorded(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a recorded output schema, where it is an object's that a contract can hold."""
    fields = schema.get("properties")
    if not isinstance(fields, dict) or not fields or not all(FIELD_NAME.fullmatch(str(name)) for name in fields):
        return {}
    required = schema.get("required")
    names = set(map(str, required)) if isinstance(required, list) else set()
    if not all(isinstance(inner, dict) for inner in fields.values()):
        return {}
    found = {
        name: inner if name in names or not names else {"anyOf": [inner, {"type": "null"}]}
        for name, inner in fields.items()
    }
    return {} if schema_problems({"type": "object", "properties": found}) else found


def _schema(values: Values, *, optional: bool) -> dict[str, Any]:
    types = set(values.types)
    if {"integer", "number"} <= types:
        types.discard("integer")
    if optional:
        types.add("null")
    if types <= {"string", "null"} and is_choice(values):
        return {"enum": [*_choices(values, str), *([None] if "null" in types else [])]}
    schema: dict[str, Any] = {"type": next(iter(types)) if len(types) == 1 else sorted(types)}
    if "array" in types and values.items:
        items = sorted(values.items)
        schema["items"] = {"type": items[0] if len(items) == 1 else items}
    return schema


@lru_cache(maxsize=256)
def _validator(schema: str) -> Validator:
    """Compiled once: a schema is checked itself before it checks anything, which takes milliseconds."""
    return Validator(json.loads(schema))


def _nullable(schema: Mapping[str, Any]) -> bool:
    return not _validator(json.dumps(schema)).problems(None)


def _label(text: str) -> str:
    return text.strip(_QUOTES)


def _choices(values: Values, read: Callable[[str], str]) -> list[str]:
    """The choices; of those that differ in case and punctuation at their end the commonest form."""
    forms: dict[str, Counter[str]] = defaultdict(Counter)
    for text, count in values.texts.items():
        forms[_folded(text)][read(text)] += count
    return sorted(min(form, key=lambda text: (-form[text], text)) for form in forms.values())


def _as_choice(value: Any, schema: Mapping[str, Any]) -> Any:
    """The choice that was meant; anything else as it is."""
    choices = schema.get("enum")
    if not isinstance(value, str) or not isinstance(choices, list) or value in choices:
        return value
    meant = [choice for choice in choices if isinstance(choice, str) and _folded(choice) == _folded(value)]
    return meant[0] if len(meant) == 1 else value


def _folded(text: str) -> str:
    return _label(text).rstrip(_ENDS).casefold() or text
