"""The tests of a promptfoo config wherever they stand: in it, in files it names, as data times tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from skillforge.errors import Problem, SkillFileError, UsageError
from skillforge.formats.promptfoo_assertions import Refused
from skillforge.formats.promptfoo_files import Folder, Loaded, Pointer, Where
from skillforge.formats.promptfoo_refs import resolved
from skillforge.formats.promptfoo_rows import is_row, test_of_row

_TEST = frozenset(
    {
        *("description", "vars", "assert", "threshold", "metadata", "options", "type"),
        *("provider", "providers", "prompts", "providerOutput"),
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands, for people: its name, its file, and the lines of what is in it."""

    name: str
    path: str
    where: Where

    @property
    def line(self) -> int | None:
        return self.where(())


@dataclass(frozen=True, slots=True)
class Test:
    """One test as written, the defaults in it but for ``default``: the assertions of ``defaultTest``, which come before
    its own.
    """

    body: Mapping[str, Any]
    place: Place
    default: tuple[Any, ...]
    default_place: Place


@dataclass
class Tests:
    """Reads the tests of one config. ``note`` takes what is wrong; ``told`` holds what is no part of a suite."""

    config: Loaded
    folder: Folder
    note: Callable[[Problem], None]
    told: dict[str, None] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Test]:
        self._default_place = self._place(self.config, ("defaultTest",))
        self._default = self._read_default()
        body = self.config.value
        yield from self._listed(body.get("tests"), ("tests",))
        scenarios = body.get("scenarios")
        for index, scenario in enumerate(scenarios if isinstance(scenarios, list) else []):
            yield from self._scenario(scenario, ("scenarios", index))

    def _scenario(self, scenario: Any, at: Pointer) -> Iterator[Test]:
        given = scenario.get("config") if isinstance(scenario, dict) else None
        if not isinstance(given, list) or not all(isinstance(data, dict) for data in given):
            place = self._place(self.config, at)
            self.note(Problem("must hold tests, and config: a list of mappings", field=place.name, line=place.line))
            return
        tests = list(self._listed(scenario.get("tests"), (*at, "tests")))
        for data, test in itertools.product(given, tests):
            yield replace(test, body=merged(data, test.body))

    def _read_default(self) -> Mapping[str, Any]:
        default, place = self.config.value.get("defaultTest") or {}, self._default_place
        try:
            if isinstance(default, str):
                default = self.folder.value(default)
        except UsageError as exc:
            self.note(problem_of(exc, place.name, place.line))
            return {}
        if not isinstance(default, dict) or not isinstance(default.get("assert") or [], list):
            self.note(Problem("must be a mapping, its assert a list", field=place.name, line=place.line))
            return {}
        self._look(default, place)
        return default

    def _listed(self, tests: Any, at: Pointer) -> Iterator[Test]:
        """Tests as they stand, or from the files that are named instead."""
        listed = tests if isinstance(tests, list) else [] if tests is None else [tests]
        for index, test in enumerate(listed):
            place = self._place(self.config, (*at, index) if isinstance(tests, list) else at)
            if isinstance(test, str):
                yield from self._from_files(test, place)
            elif isinstance(test, dict) and "path" in test and "vars" not in test:
                hint = "write the tests it makes to a file, and name that"
                self.note(Problem("a test generator is code", field=place.name, line=place.line, hint=hint))
            else:
                yield from self._test(test, place)

    def _from_files(self, name: str, named: Place) -> Iterator[Test]:
        try:
            for path in self.folder.files(name):
                loaded = self.folder.tests(path)
                for index, test in enumerate(resolved(loaded.value, str(path))):
                    place = self._place(loaded, (index,), f"test {index + 1}")
                    yield from self._test(test, place, row=path.suffix.lower() == ".csv")
        except SkillFileError as exc:
            for problem in exc.problems:
                hint = problem.hint or exc.hint
                self.note(Problem(f"{exc.path}: {problem.message}", field=named.name, line=problem.line, hint=hint))
        except UsageError as exc:
            self.note(problem_of(exc, named.name, named.line))

    def _test(self, test: Any, place: Place, *, row: bool = False) -> Iterator[Test]:
        if row or is_row(test):
            try:
                test = test_of_row(test)
            except Refused as exc:
                self.note(Problem(str(exc), field=place.name, line=place.line, hint=exc.hint))
                return
        if not isinstance(test, dict):
            self.note(Problem("a test is a mapping with vars and assert", field=place.name, line=place.line))
            return
        self._look(test, place)
        own = test.get("options")
        plain = isinstance(own, dict) and own.get("disableDefaultAsserts") is True
        default = () if plain else tuple(self._default.get("assert") or ())
        body = merged({key: value for key, value in self._default.items() if key != "assert"}, test)
        yield Test(body, place, default, self._default_place)

    def _look(self, test: Mapping[str, Any], place: Place) -> None:
        """Note the keys that are not taken over."""
        if test.get("assertScoringFunction"):
            hint = "--scorer module:function is a scorer of your own"
            self.note(Problem("assertScoringFunction runs code", field=place.name, line=place.line, hint=hint))
        for key in ("prompts", "provider", "providers", "providerOutput"):
            if test.get(key):
                self.told[f"{key} of single tests"] = None
        if unknown := [key for key in test if key not in _TEST and key != "assertScoringFunction"]:
            self.note(Problem(f"unknown key {unknown[0][:60]!r}", field=place.name, line=place.line))

    def _place(self, loaded: Loaded, at: Pointer, name: str = "") -> Place:
        return Place(name or place_name(at), str(loaded.path), lambda inner: loaded.where((*at, *inner)))


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two tests as one: the second counts, mappings are merged by key."""
    both = {**first, **second}
    for key in ("vars", "metadata", "options"):
        parts = [part[key] for part in (first, second) if isinstance(part.get(key), dict)]
        if len(parts) == 2:
            both[key] = {**parts[0], **parts[1]}
    return both


def place_name(at: Pointer) -> str:
    return "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" if index else part for index, part in enumerate(at)
    )


def problem_of(exc: UsageError, name: str = "", line: int | None = None) -> Problem:
    return Problem(str(exc), field=name, line=line, hint=exc.hint)
