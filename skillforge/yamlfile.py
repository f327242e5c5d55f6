"""The strict YAML loader: a composer of our own over libyaml's events, and the place of every value.

libyaml's events survive any nesting and carry line and column; its constructors (aliases, merge keys, dates, tags)
are never used. What a plain scalar means is ``skillforge.yamlscalar``, the writer is ``skillforge.yamlwriter``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from skillforge.errors import Problem, SkillFileError, UsageError
from skillforge.fields import pointer as field_name
from skillforge.yamlscalar import MAX_BYTES, MAX_DEPTH, Scalar, resolve_plain
from skillforge.yamlwriter import dump_yaml

__all__ = ["Document", "dump_yaml", "load_yaml"]

Pointer = tuple[str | int, ...]
MAX_PROBLEMS = 20

# What YAML 1.2 forbids in a stream, and the three line breaks of YAML 1.1 that libyaml still obeys (NEL, LS, PS):
# a reviewer's editor shows one line where the parser would see two.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_HINTS = {
    "mapping values are not allowed in this context": 'a value that holds ": " needs quotes; check the indentation',
    "found character that cannot start any token": "indent with spaces, not tabs; quote a value that starts with @ ` %",
    "could not find expected ':'": "a key without its colon, or a quote that is not closed",
    "did not find expected ',' or ']'": "a list that starts with [ is not closed, or a comma is missing",
    "did not find expected ',' or '}'": "a mapping that starts with { is not closed, or a comma is missing",
    "did not find expected key": "check the indentation and the quotes",
    "found unexpected end of stream": "a quote that is not closed",
}


@dataclass(frozen=True, slots=True)
class Document:
    """A loaded file: ``value`` in plain JSON types, and ``marks``: (line, column), from 1, of every key and item."""

    value: Any
    marks: Mapping[Pointer, tuple[int, int]] = field(repr=False, default_factory=dict)

    def where(self, pointer: Pointer) -> tuple[int, int] | None:
        """Line and column of the key or item at ``pointer``, or of its nearest ancestor that exists."""
        for end in range(len(pointer), -1, -1):
            if pointer[:end] in self.marks:
                return self.marks[pointer[:end]]
        return None


def load_yaml(data: bytes | str, *, path: str, plain: Callable[[str], Scalar] = resolve_plain) -> Document:
    """One YAML document as JSON values. ``path`` only names the file in errors; ``plain`` says what an unquoted scalar
    means: ``str`` leaves all of them text (the failsafe schema), so that the version 1.10 stays 1.10.

    Refused: aliases, anchors, tags, merge keys, directives, duplicate keys, keys that are not text, a second document,
    an empty one, more than 32 levels or 1 MiB, anything but UTF-8. Raises ``SkillFileError`` with line and column.
    """
    import yaml

    text = _source_text(data, path)
    _refuse_directives(text, path)
    composer = _Composer(path, plain)
    try:
        composer.compose(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        wrong = str(exc.problem or exc.context)
        composer.stop(f"not YAML: {wrong}", place, hint=_HINTS.get(wrong, ""))
    except yaml.YAMLError as exc:
        composer.stop(f"not YAML: {exc}", (1, 1))
    return composer.document()


@dataclass(slots=True)
class _Frame:
    """A collection that is still open. ``key`` is the mapping key that waits for its value."""

    container: dict[str, Any] | list[Any]
    pointer: Pointer
    key: str | None = None


class _Composer:
    """Builds the value from events with a stack of its own: nesting costs memory, never the interpreter's stack."""

    def __init__(self, path: str, plain: Callable[[str], Scalar]) -> None:
        self._path = path
        self._plain = plain
        self._problems: list[Problem] = []
        self._marks: dict[Pointer, tuple[int, int]] = {}
        self._frames: list[_Frame] = []
        self._root: Any = None
        self._documents = 0

    def compose(self, events: Iterable[Any]) -> None:
        """Raises ``SkillFileError`` where going on makes no sense; everything else waits for ``document``."""
        handlers: dict[str, Callable[[Any], None]] = {
            "DocumentStartEvent": self._document_start,
            "ScalarEvent": self._scalar,
            "AliasEvent": self._alias,
            "SequenceStartEvent": lambda event: self._open(event, []),
            "MappingStartEvent": lambda event: self._open(event, {}),
            "SequenceEndEvent": lambda event: self._close(),
            "MappingEndEvent": lambda event: self._close(),
        }
        for event in events:
            handler = handlers.get(type(event).__name__)
            if handler is not None:
                handler(event)

    def document(self) -> Document:
        if not self._problems and not self._documents:
            self.stop("the file is empty", (1, 1))
        if self._problems:
            raise SkillFileError(self._path, self._problems)
        return Document(self._root, self._marks)

    def stop(self, message: str, place: tuple[int, int], *, hint: str = "", at: Pointer = ()) -> NoReturn:
        line, column = place
        self._problems.append(Problem(message, field=field_name(at), line=line, column=column, hint=hint))
        raise SkillFileError(self._path, self._problems)

    def _note(self, message: str, event: Any, *, hint: str = "", at: Pointer | None = None) -> None:
        place = _place(event)
        if len(self._problems) + 1 >= MAX_PROBLEMS:
            self.stop(message, place, hint=hint)
        where = field_name(self._here() if at is None else at)
        self._problems.append(Problem(message, field=where, line=place[0], column=place[1], hint=hint))

    def _here(self) -> Pointer:
        """The place of the value that comes next."""
        if not self._frames:
            return ()
        frame = self._frames[-1]
        if isinstance(frame.container, list):
            return (*frame.pointer, len(frame.container))
        return frame.pointer if frame.key is None else (*frame.pointer, frame.key)

    def _awaits_key(self) -> bool:
        return bool(self._frames) and isinstance(self._frames[-1].container, dict) and self._frames[-1].key is None

    def _document_start(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self.stop("a second document starts here", _place(event), hint='one document a file: remove the "---"')

    def _alias(self, event: Any) -> None:
        self._note(f"aliases are not allowed: *{event.anchor}", event, hint="write the value out")
        if self._awaits_key():
            self.stop("a key must be text", _place(event))
        self._attach(None, event)

    def _scalar(self, event: Any) -> None:
        self._refuse_properties(event)
        if self._awaits_key():
            self._key(event)
            return
        if not self._frames and event.implicit[0] and event.value == "":
            self.stop("the file is empty", (1, 1))
        self._attach(self._resolve(event), event)

    def _resolve(self, event: Any) -> Scalar:
        if not event.implicit[0]:
            return str(event.value)
        try:
            return self._plain(event.value)
        except UsageError as exc:
            self._note(str(exc), event, hint=exc.hint)
            return None

    def _key(self, event: Any) -> None:
        frame = self._frames[-1]
        assert isinstance(frame.container, dict)
        key: str = event.value
        frame.key = key
        at = (*frame.pointer, key)
        if event.implicit[0] and key == "<<":
            self._note("merge keys are not allowed", event, hint="write the keys out", at=at)
        elif event.implicit[0] and not self._is_text(key):
            self._note(f"the key {key!r} is not text", event, hint="quote it", at=at)
        if key in frame.container:
            first = self._marks[at][0]
            self._note(f"the key {key!r} stands twice, first in line {first}", event, hint="keep one", at=at)
        else:
            self._marks[at] = _place(event)

    def _is_text(self, key: str) -> bool:
        try:
            return isinstance(self._plain(key), str)
        except UsageError:
            return False

    def _open(self, event: Any, container: dict[str, Any] | list[Any]) -> None:
        self._refuse_properties(event)
        if self._awaits_key():
            hint = 'quote a value that starts with "{" or "["'
            self.stop("a key must be text", _place(event), hint=hint, at=self._frames[-1].pointer)
        if len(self._frames) >= MAX_DEPTH:
            self.stop(f"nested deeper than {MAX_DEPTH} levels", _place(event))
        at = self._here()
        self._attach(container, event)
        self._frames.append(_Frame(container, at))

    def _close(self) -> None:
        self._frames.pop()

    def _attach(self, value: Any, event: Any) -> None:
        if not self._frames:
            self._root = value
            self._marks[()] = _place(event)
            return
        frame = self._frames[-1]
        if isinstance(frame.container, list):
            self._marks[(*frame.pointer, len(frame.container))] = _place(event)
            frame.container.append(value)
        else:
            assert frame.key is not None
            frame.container[frame.key] = value
            frame.key = None

    def _refuse_properties(self, event: Any) -> None:
        if event.anchor is not None:
            self._note(f"anchors are not allowed: &{event.anchor}", event, hint="remove it and write values out")
        if event.tag is not None:
            self._note(f"tags are not allowed: {event.tag}", event, hint="remove it; quote what is text")


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _source_text(data: bytes | str, path: str) -> str:
    """The text of a file that is small enough, UTF-8, and free of characters that YAML forbids."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(raw) > MAX_BYTES:
        raise SkillFileError(path, [Problem(f"larger than {MAX_BYTES:,} bytes", hint="move long lists to a file")])
    if raw.startswith(_BOMS):
        wrong = "starts with a byte order mark"
        raise SkillFileError(path, [Problem(wrong, line=1, column=1, hint="save it as UTF-8 without BOM")])
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        before = raw[: exc.start].decode("utf-8")
        wrong = f"not UTF-8: byte 0x{raw[exc.start]:02x}"
        raise SkillFileError(path, [_problem_after(before, wrong, "save it as UTF-8")]) from exc
    if found := _FORBIDDEN.search(text):
        name = "NUL" if found[0] == "\0" else f"the character U+{ord(found[0]):04X}"
        hint = f'write it as "\\u{ord(found[0]):04x}" in double quotes, or remove it'
        raise SkillFileError(path, [_problem_after(text[: found.start()], f"{name} is not allowed in YAML", hint)])
    return text


def _problem_after(before: str, message: str, hint: str) -> Problem:
    """A problem with the character that follows ``before``."""
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return Problem(message, line=line, column=column, hint=hint)


def _refuse_directives(text: str, path: str) -> None:
    """Directives stand only before the first content; libyaml drops the ones it does not know without a word."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("%"):
            wrong = f"directives are not allowed: {line[:40]}"
            raise SkillFileError(path, [Problem(wrong, line=number, column=1, hint="remove the line")])
        if line.strip() and not line.lstrip().startswith("#"):
            return
