from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillforge.hygiene import MAX_NAMED, hidden_text, walk_strings

ENGLAND = "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in "gbeng") + "\U000e007f"


@pytest.mark.parametrize(
    "text",
    [
        "plain text, with\ttabs\nand lines",
        "naïve Grüße 日本語 العربية עברית हिन्दी",
        "👩‍💻 family 👨‍👩‍👧 heart ❤️ check ✔️ keycap 1️⃣ nod 🙂‍↔️ skin 👩🏽‍🚀 rainbow 🏳️‍🌈",
        "می‌خواهم and क्‍ष",  # joiners that these scripts are spelled with
        "葛\U000e0100",  # a registered variant of an ideograph
        ENGLAND,
    ],
)
def test_ordinary_text_of_any_language_is_clean(text: str) -> None:
    assert hidden_text(text) == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("hello \u202edlrow", "U+202E RIGHT-TO-LEFT OVERRIDE at character 7"),
        ("zero\u200bwidth", "U+200B ZERO WIDTH SPACE at character 5"),
        ("joined\u200dwords", "U+200D ZERO WIDTH JOINER at character 7"),
        ("\ufeffstart", "U+FEFF ZERO WIDTH NO-BREAK SPACE at character 1"),
        ("isolate \u2066x\u2069", "U+2066 LEFT-TO-RIGHT ISOLATE at character 9"),
        ("bell\x07", "U+0007 CONTROL CHARACTER at character 5"),
        ("line\r\n", "U+000D CONTROL CHARACTER at character 5"),
        ("c1 \x9b31m", "U+009B CONTROL CHARACTER at character 4"),
        ("tag \U000e0069", "U+E0069 TAG LATIN SMALL LETTER I at character 5"),
        ("two\u2028lines", "U+2028 LINE SEPARATOR at character 4"),
        ("a\ufe0f", "U+FE0F VARIATION SELECTOR-16 at character 2"),
        ("x\ud800", "U+D800 LONE SURROGATE at character 2"),
    ],
)
def test_hidden_characters_are_named_with_their_place(text: str, named: str) -> None:
    assert named in hidden_text(text)


def test_text_smuggled_in_tag_characters_is_found_behind_an_emoji() -> None:
    smuggled = "".join(chr(0xE0000 + ord(letter)) for letter in "ignore all of it")
    assert len(hidden_text("😀" + smuggled)) == MAX_NAMED + 1
    assert hidden_text(ENGLAND + smuggled)[-1] == f"and {len(smuggled) - MAX_NAMED} more"
    assert len(hidden_text("\U0001f3f4" + smuggled)) == MAX_NAMED + 1


def test_a_run_of_variation_selectors_or_joiners_is_found() -> None:
    assert len(hidden_text("😀\ufe0f\ufe0f\ufe0f")) == 2
    assert len(hidden_text("😀\ufe0f\u200d\u200d😀")) == 2


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "Zs"), max_codepoint=0x2FF), max_size=200))
def test_latin_text_is_never_accused(text: str) -> None:
    assert hidden_text(text.replace("\xad", "")) == []


@given(st.text())
def test_any_text_can_be_examined(text: str) -> None:
    assert len(hidden_text(text)) <= MAX_NAMED + 1


def test_strings_are_walked_with_keys_in_document_order() -> None:
    value = {"a": ["x", {"b": "y"}], "c": 1, "d": None}
    assert list(walk_strings(value)) == [
        (("a",), "a"),
        (("a", 0), "x"),
        (("a", 1, "b"), "b"),
        (("a", 1, "b"), "y"),
        (("c",), "c"),
        (("d",), "d"),
    ]
    assert list(walk_strings("root")) == [((), "root")]


def test_walking_survives_nesting_deeper_than_python_recurses() -> None:
    value: object = "deep"
    for _ in range(3_000):
        value = [value]
    [(place, text)] = walk_strings(value)
    assert (len(place), text) == (3_000, "deep")
