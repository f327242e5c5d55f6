"""Simple measures of how a text is written. None of them judges: they count what can be seen."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_LIST = re.compile(r"(?m)^\s{0,3}(?:[-*+\u2022]|\d{1,3}[.)])\s+\S")
_MARKUP = re.compile(r"(?m)^\s{0,3}#{1,6}\s|\*\*\S|```|`[^`\n]+`")
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf\u2b50\u2b55]")
_FIRST_PERSON = re.compile(r"\b(?:i|i'm|i\u2019m|my|we|our)\b", re.IGNORECASE)
_GREETING = re.compile(r"\W*(?:hi|hello|hey|dear|sure|certainly|of course|great question|thanks|thank you)\b", re.I)
_HEDGE = re.compile(
    r"\b(?:perhaps|maybe|might|possibly|probably|it seems|it appears|i think|i believe|likely)\b", re.IGNORECASE
)
_READ = 20_000  # characters of a text that are looked at
_OPENING_WORDS = 3
_FEWEST_WORDS = 3  # what is shorter is a value, not a text


def free_text(output: Any, labels: frozenset[str]) -> str:
    """The text of an output: all of it, or of an object the text fields that are no labels, line by line. Empty where
    it has none; single words and names (fewer than three words) are values, not texts.
    """
    if isinstance(output, str):
        return output[:_READ]
    if not isinstance(output, Mapping):
        return ""
    texts = [value for name, value in output.items() if name not in labels and isinstance(value, str)]
    return "\n".join(text for text in texts if len(_WORD.findall(text[:_READ])) >= _FEWEST_WORDS)[:_READ]


def opener(text: str) -> str:
    """The first three words in small letters; empty for a text of fewer."""
    words = []
    for found in _WORD.finditer(text):
        words.append(found.group().lower())
        if len(words) == _OPENING_WORDS:
            return " ".join(words)[:60]
    return ""


FEATURES: Mapping[str, Callable[[str], bool]] = {
    "with a list": lambda text: bool(_LIST.search(text)),
    "with markup": lambda text: bool(_MARKUP.search(text)),
    "with emojis": lambda text: bool(_EMOJI.search(text)),
    "several paragraphs": lambda text: "\n\n" in text.strip(),
    "begins with a greeting": lambda text: bool(_GREETING.match(text)),
    "in the first person": lambda text: bool(_FIRST_PERSON.search(text)),
    "hedged": lambda text: bool(_HEDGE.search(text)),
    "with an exclamation mark": lambda text: "!" in text,
    "ends with a question": lambda text: text.rstrip().endswith("?"),
}
"""Name -> whether a text has it."""
