"""How ``review`` is answered: single keys at a terminal, lines from a pipe. And texts made safe to show."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Protocol

import typer


class Command(Enum):
    """What a person may say instead of an answer, by its letter."""

    SKIP = "s"
    BACK = "b"
    QUIT = "q"
    HELP = "?"
    MORE = "m"


COMMANDS = {command.value: command for command in Command}
MAX_LINE = 1_048_576
_ENTER, _ERASE, _END, _ESCAPE = "\r\n", "\x7f\x08", "\x04", "\x1b"
# what a terminal obeys instead of showing it, and what turns or hides its neighbours
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def visible(text: str) -> str:
    """The text with every control and direction character written out, so that no terminal obeys it."""
    return _OBEYED.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)


def wrapped(text: str, indent: str) -> list[str]:
    """The lines of a text, folded to the terminal's width."""
    width = max(40, shutil.get_terminal_size().columns) - len(indent) - 1
    lines: list[str] = []
    for line in visible(text).expandtabs(4).split("\n"):
        folded = textwrap.wrap(line, width, drop_whitespace=False, replace_whitespace=False) or [""]
        lines.extend(indent + part for part in folded)
    return lines


def chosen(typed: str, options: Sequence[str], *, whole: bool) -> list[int]:
    """Which options ``typed`` may mean: by number (from 1), or by how their names begin.

    ``whole``: nothing more is coming, so a number or a name that is complete means itself alone.
    """
    said = typed.casefold()
    numbers = [str(place) for place in range(1, len(options) + 1)]
    names = [option.casefold() for option in options]
    if whole:
        exact = [place for place in range(len(options)) if said in (names[place], numbers[place])]
        if exact:
            return exact[:1] if said in names else exact
    return [place for place in range(len(options)) if names[place].startswith(said) or numbers[place].startswith(said)]


def command_in(typed: str, options: Sequence[str] = ()) -> Command | None:
    """The command that is meant: its letter, unless an option begins with it; with a colon before it always."""
    if typed.startswith(":"):
        return COMMANDS.get(typed[1:].casefold())
    if any(option.casefold().startswith(typed.casefold()) for option in options):
        return None
    return COMMANDS.get(typed.casefold())


def double_meaning(typed: str, options: Sequence[str]) -> str:
    """What to say where one letter may be a command or the begin of an option; empty where it is not both."""
    command = COMMANDS.get(typed.casefold())
    found = [option for option in options if option.casefold().startswith(typed.casefold())]
    if command is None or not found:
        return ""
    named = " or ".join(visible(option) for option in found[:6])
    return f"{typed!r} begins {named}: :{command.value} is the command ({command.name.lower()})"


class Asking(Protocol):
    """Where answers come from. ``choice`` is the place of an option, or ``enter`` for an empty answer, or a command;
    ``line`` is what was typed. ``present``: somebody sees what is said, and can be asked about an answer.
    """

    @property
    def present(self) -> bool: ...

    def choice(self, options: Sequence[str], enter: int | None = None) -> int | Command: ...

    def line(self) -> str | Command: ...


class Lines:
    """Answers line by line, for scripts. The end of the input is ``QUIT``."""

    @property
    def present(self) -> bool:
        return sys.stdin.isatty()

    def choice(self, options: Sequence[str], enter: int | None = None) -> int | Command:
        while True:
            typed = self._read()
            if typed is None:
                return Command.QUIT
            if not typed.strip() and enter is not None:
                return enter
            if (command := command_in(typed.strip(), options)) is not None:
                return command
            found = chosen(typed.strip(), options, whole=True) if typed.strip() else []
            exact = any(typed.strip().casefold() == option.casefold() for option in options)
            doubt = "" if exact or len(found) != 1 else double_meaning(typed.strip(), options)
            if len(found) == 1 and not doubt:
                return found[0]
            say(doubt or f"{visible(typed)!r}: " + ambiguous(found, options))

    def line(self) -> str | Command:
        typed = self._read()
        if typed is None:
            return Command.QUIT
        return (command_in(typed.strip()) if typed.strip().startswith(":") else None) or typed

    def _read(self) -> str | None:
        data = sys.stdin.buffer.readline(MAX_LINE)
        return data.decode("utf-8", "replace").rstrip("\r\n") if data else None


class Keys:
    """Answers key by key, from a terminal, which is in its own mode again whenever nothing is being asked."""

    present = True

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def choice(self, options: Sequence[str], enter: int | None = None) -> int | Command:
        typed = ""
        with self._one_by_one():
            while True:
                key = self._key()
                if key in ("", _END):
                    return Command.QUIT
                if key == _ESCAPE:
                    typed = ""
                elif key in _ERASE:
                    typed = typed[:-1]
                elif key not in _ENTER:
                    typed = key if key == ":" else typed + key
                elif not typed and enter is not None:
                    return enter
                if not typed:
                    continue
                if (command := command_in(typed, options)) is not None:
                    return command
                found = chosen(typed, options, whole=key in _ENTER)
                if key not in _ENTER and (doubt := double_meaning(typed, options)):
                    say(f" {doubt}; {'Enter or ' if len(found) == 1 else ''}more letters choose")
                    continue
                if len(found) == 1:
                    say(visible(options[found[0]]))
                    return found[0]
                if not found and typed != ":":
                    say(f"{visible(typed)!r}: " + ambiguous(found, options))
                    typed = ""

    def line(self) -> str | Command:
        """A line as the terminal lets people edit it."""
        data = b""
        while not data.endswith(b"\n") and len(data) < MAX_LINE:
            more = os.read(self._handle, 65_536)
            if not more:
                break
            data += more
        if not data:
            return Command.QUIT
        typed = data.decode("utf-8", "replace").rstrip("\r\n")
        return (command_in(typed.strip()) if typed.strip().startswith(":") else None) or typed

    def _key(self) -> str:
        data = os.read(self._handle, 1)
        if data and data[0] >= 0xC0:  # the first byte of a longer character
            data += os.read(self._handle, 3 if data[0] >= 0xF0 else 2 if data[0] >= 0xE0 else 1)
        if data == b"\x1b" and self._byte_waits() and os.read(self._handle, 1) in (b"[", b"O"):
            while self._byte_waits() and not 0x40 <= os.read(self._handle, 1)[0] <= 0x7E:
                pass  # an arrow key and its like: several bytes up to a letter or ~ (ECMA-48, 5.4)
        return data.decode("utf-8", "replace")

    def _byte_waits(self) -> bool:
        import select

        return bool(select.select([self._handle], [], [], 0.05)[0])

    @contextmanager
    def _one_by_one(self) -> Iterator[None]:
        import termios
        import tty

        before = termios.tcgetattr(self._handle)
        tty.setcbreak(self._handle, termios.TCSADRAIN)
        try:
            yield
        finally:
            termios.tcsetattr(self._handle, termios.TCSADRAIN, before)


def asking() -> Asking:
    """Keys where a person sits at a terminal, else lines (also on Windows, which has no termios)."""
    if sys.stdin.isatty() and os.name == "posix":
        return Keys(sys.stdin.fileno())
    return Lines()


def ambiguous(found: Sequence[int], options: Sequence[str]) -> str:
    """What to say where not exactly one option is meant."""
    if found:
        return "could be " + " or ".join(visible(options[place]) for place in found[:6])
    return f"is none of 1 to {len(options)} (? helps; a missing label goes into the contract in the suite's file)"


def say(text: str = "") -> None:
    """A line of the conversation: stdout holds the result only."""
    typer.echo(text, err=True)
