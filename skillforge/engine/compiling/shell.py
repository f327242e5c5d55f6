"""Shell commands of coding agents: which only look, and which are this program's own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

SHELLS = frozenset({"bash", "shell", "sh", "exec_command", "local_shell", "run_shell_command", "terminal"})
OWN = "skillforge"

# What only shows something, whatever stands behind it. A program that could write by one of its options is not here.
_LOOKS = """
    basename cat cd cut dirname du echo egrep file grep head jq less ls nl pwd realpath rg stat tail test tree true
    type uname wc which whoami
"""
LOOKS = frozenset(_LOOKS.split())
GIT_LOOKS = frozenset({"blame", "diff", "grep", "log", "ls-files", "rev-parse", "show", "status"})
_HARMLESS = re.compile(r"(?:\d|&)?>{1,2}\s*/dev/null|\d?>&\d")  # where output goes that nobody reads
_RUNS_MORE = re.compile(r"[`\n]|\$\(")
_PUNCTUATION = frozenset("();<>|&")  # what shlex splits off where it is not quoted
_FIND_ACTS = re.compile(r"-(?:delete|exec|execdir|ok|okdir|fprint\w*|fls)\b")
_SED_PRINTS = re.compile(r"[0-9,$;]*p?")
_ASSIGNED = re.compile(r"[A-Za-z_]\w*=.*")
_OPERATORS = frozenset({"&&", "||", "|", ";", "&"})


def command_of(tool: str, arguments: Mapping[str, Any]) -> str:
    """The command line of a call, "" where the tool runs none."""
    if tool.rsplit("__", 1)[-1].rsplit(".", 1)[-1].lower() not in SHELLS:
        return ""
    given = arguments.get("command", arguments.get("cmd"))
    if isinstance(given, str):
        return given
    words = [str(word) for word in given] if isinstance(given, list) else []
    return words[2] if len(words) == 3 and words[1] in ("-c", "-lc") else shlex.join(words)


def only_looks(command: str) -> bool:
    """Whether a command line plainly changes nothing. In doubt it does not: then it is a step."""
    text = _HARMLESS.sub("", command.strip())
    if not text or _RUNS_MORE.search(text):
        return False
    parts = list(_parts(text))
    return bool(parts) and all(_looks(words) and not any(map(_redirects, words)) for words in parts)


def learns(command: str) -> bool:
    """Whether ``skillforge learn`` is called in it: what comes then is not the task any more."""
    for words in _parts(command):
        names = [PurePosixPath(word).name for word in words]
        if (OWN, "learn") in pairwise(names):
            return True
    return False


def _parts(command: str) -> Iterator[list[str]]:
    """The simple commands of a command line, as words. None where it is not understood."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""  # it would take the rest of "cat a#b; rm c" for a comment
    try:
        words = list(lexer)
    except ValueError:
        return
    part: list[str] = []
    for word in (*words, ";"):
        if word in _OPERATORS:
            if part:
                yield part
            part = []
        elif part or not _ASSIGNED.fullmatch(word):
            part.append(word)


def _redirects(word: str) -> bool:
    return bool(word) and set(word) <= _PUNCTUATION


def _looks(words: Sequence[str]) -> bool:
    program, *rest = words
    if program == "git":
        told = [word for word in rest if not word.startswith("-")]
        return bool(told) and told[0] in GIT_LOOKS and not any(word.startswith("--output") for word in rest)
    if program == "find":
        return not any(_FIND_ACTS.fullmatch(word) for word in rest)
    if program == "sed":
        return len(rest) >= 2 and rest[0] == "-n" and _SED_PRINTS.fullmatch(rest[1]) is not None
    return program in LOOKS
