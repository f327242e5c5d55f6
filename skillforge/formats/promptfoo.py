"""A promptfoo config as cases of ours: ``tests`` with their vars and assertions, ``defaultTest``, ``scenarios``.

Nothing of it is run and nothing outside of its folder is read. What would mean something else here is refused by name,
with the test, the assertion and the line; prompts and providers are no part of a suite. The rules are those of
promptfoo 0.121.20: a var that is a list of texts makes a case for each, ``weight: 0`` only tells, an answer passes when
all its assertions do, or when their weighted mean reaches the test's ``threshold``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from skillforge.canonical import digest
from skillforge.case import Case, CaseCheck
from skillforge.errors import NotFound, Problem, SkillFileError, UsageError
from skillforge.formats.promptfoo_assertions import GROUP, OURS, Reading, Refused, check_of, render
from skillforge.formats.promptfoo_files import FILE, Folder, Loaded, Pointer, is_code
from skillforge.formats.promptfoo_refs import resolved
from skillforge.formats.promptfoo_tests import Place, Test, Tests, place_name, problem_of

CONFIG_FILES = ("promptfooconfig.yaml", "promptfooconfig.yml", "promptfooconfig.json")
MAX_CASES = 100_000
MAX_CHECKS = 300_000  # of all cases together: lists of vars times assertions multiply
MAX_PROBLEMS = 20

_TRANSFORMS = ("transform", "postprocess", "transformVars")
_TOLD = {  # what a config may hold that says nothing of the cases
    "prompts": "prompts (the skill's own text is what is measured)",
    "providers": "providers (name the models with --teacher and --students)",
    "targets": "targets (name the models with --teacher and --students)",
    "env": "env",
    "outputPath": "outputPath (see skillforge eval -o FILE)",
    "extensions": "extensions (they run code)",
    "derivedMetrics": "derivedMetrics",
    "redteam": "redteam",
    "nunjucksFilters": "nunjucksFilters (they run code)",
}


@dataclass(frozen=True, slots=True)
class Imported:
    """What a config holds of a suite. ``judge`` is who its rubrics are graded by, as promptfoo names it.

    ``left_out`` names every assertion that was not taken over, ``told`` what is no part of a suite.
    """

    description: str
    cases: tuple[Case, ...]
    judge: str | None = None
    repeat: int = 1
    left_out: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


def is_config(path: Path) -> bool:
    """Whether this is a promptfoo config, or a folder that holds one."""
    if path.is_dir():
        return any((path / name).is_file() for name in CONFIG_FILES)
    return path.suffix.lower() in (".yaml", ".yml", ".json", ".js", ".ts", ".mjs", ".cjs")


def read_promptfoo(path: Path, *, skip_unsupported: bool = False, judge: str | None = None) -> Imported:
    """The cases of a config. ``skip_unsupported`` leaves out the assertions that cannot be taken over; ``judge`` stands
    for all the models that it names as graders.

    Raises ``NotFound``; ``SkillFileError`` with everything that is refused (at most 20 of it).
    """
    file = next((path / name for name in CONFIG_FILES if (path / name).is_file()), path)
    if is_code(file.name):
        problem = Problem(
            "is code, and an import runs none", hint="save what it makes as YAML: promptfoo export config"
        )
        raise SkillFileError(str(file), [problem])
    if not file.is_file():
        raise NotFound(f"{file}: no such file", hint=f"name a promptfoo config: {CONFIG_FILES[0]}")
    return _Reader(file, skip_unsupported, judge).read()


@dataclass
class _Reader:
    file: Path
    skip: bool
    judge: str | None
    problems: list[Problem] = field(default_factory=list)
    left_out: dict[str, None] = field(default_factory=dict)
    told: dict[str, None] = field(default_factory=dict)
    judges: dict[str, None] = field(default_factory=dict)
    checks: int = 0

    def read(self) -> Imported:
        self.folder = Folder(self.file.parent)
        try:
            config = self.folder.load(self.file)
        except UsageError as exc:
            raise exc if isinstance(exc, SkillFileError) else SkillFileError(str(self.file), [problem_of(exc)]) from exc
        if not isinstance(config.value, dict) or not {"tests", "scenarios"} & config.value.keys():
            hint = "its tests: list holds the cases; a config without tests has none"
            raise SkillFileError(str(self.file), [Problem("no promptfoo config: it has no tests", line=1, hint=hint)])
        body = resolved(config.value, str(self.file))
        config = Loaded(config.path, body, config.where)
        self.told.update(dict.fromkeys(text for key, text in _TOLD.items() if body.get(key)))
        cases: list[Case] = []
        seen: dict[str, int] = {}
        for test in Tests(config, self.folder, self._note, self.told):
            cases += self._cases(test, seen)
            if len(cases) > MAX_CASES:
                self._refuse(test.place, f"the lists in vars make more than {MAX_CASES:,} cases", "list fewer values")
                break
            if len(self.problems) >= MAX_PROBLEMS:
                break
        judge = self._judge()
        if not cases and not self.problems:
            self.problems.append(Problem("there is no test in it", field="tests", line=config.where(("tests",))))
        if self.problems:
            raise SkillFileError(str(self.file), self.problems[:MAX_PROBLEMS])
        description = body.get("description")
        return Imported(
            description=description if isinstance(description, str) else "",
            cases=tuple(cases),
            judge=judge,
            repeat=self._repeat(body),
            left_out=tuple(self.left_out),
            told=tuple(self.told),
        )

    # cases

    def _cases(self, test: Test, seen: dict[str, int]) -> Iterator[Case]:
        try:
            options = self._options(test)
            for given in self._combinations(test, options):
                values = {key: render(v, given) if isinstance(v, str) else v for key, v in given.items()}
                yield self._case(test, values, options, seen)
                if len(self.problems) >= MAX_PROBLEMS:
                    return
        except Refused as exc:
            self._refuse(test.place, str(exc), exc.hint)
        except UsageError as exc:
            self._refuse(test.place, str(exc), exc.hint)

    def _options(self, test: Test) -> Mapping[str, Any]:
        options = test.body.get("options") or {}
        if not isinstance(options, dict):
            raise Refused("options must be a mapping", hint="")
        if code := [key for key in _TRANSFORMS if options.get(key)]:
            hint = "measure what the skill answers, or change it in a scorer of your own: --scorer module:function"
            raise Refused(f"options.{code[0]} runs code", hint=hint)
        if options.get("storeOutputAs"):
            raise Refused("options.storeOutputAs makes tests depend on each other", hint="write the value out")
        self.told.update(
            {f"options.{key} (it changes the prompt)": None for key in ("prefix", "suffix") if options.get(key)}
        )
        return options

    def _combinations(self, test: Test, options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The vars of every case: a list of texts makes one each, so does a pattern of files."""
        given = test.body.get("vars") or {}
        if isinstance(given, str):
            given = self.folder.value(given)
        if not isinstance(given, dict):
            raise Refused("vars must be a mapping", hint="")
        choices: list[list[Any]] = []
        for value in given.values():
            if isinstance(value, str) and value.startswith(FILE):
                choices.append([self.folder.var(path) for path in self.folder.files(value)])
            elif (
                isinstance(value, list)
                and value
                and isinstance(value[0], str)
                and not options.get("disableVarExpansion")
            ):
                choices.append([self._var(item) for item in value])
            else:
                choices.append([value])
        for count, values in enumerate(itertools.product(*choices)):
            if count > MAX_CASES:
                return
            yield dict(zip(given, values, strict=True))

    def _var(self, value: Any) -> Any:
        return (
            self.folder.var(self.folder.files(value)[0]) if isinstance(value, str) and value.startswith(FILE) else value
        )

    def _case(self, test: Test, values: dict[str, Any], options: Mapping[str, Any], seen: dict[str, int]) -> Case:
        own = test.body.get("assert") or []
        if not isinstance(own, list):
            raise Refused("assert must be a list", hint="")

        def graded_by(provider: Any) -> None:
            self._add_judge(test, provider or options.get("provider"))

        reading = Reading(values, self.folder, graded_by, bool(options.get("rubricPrompt")))
        listed = [(test.default_place, index, raw) for index, raw in enumerate(test.default)]
        listed += [(test.place, index, raw) for index, raw in enumerate(own)]
        self.checks += sum(map(_weight, listed))
        if self.checks > MAX_CHECKS:
            raise Refused(f"the cases have more than {MAX_CHECKS:,} assertions together", hint="list fewer values")
        found = [self._check(test, place, ("assert", index), raw, reading) for place, index, raw in listed]
        checks = [check for check in found if check is not None]
        metadata = test.body.get("metadata") or {}
        if not isinstance(metadata, dict):
            raise Refused("metadata must be a mapping", hint="")
        if isinstance(test.body.get("description"), str):
            metadata = {**metadata, "description": render(test.body["description"], values)}
        body = {
            "id": _id(values, seen),
            "input": values,
            "checks": checks,
            "threshold": test.body.get("threshold") or None,  # 0 is as none to promptfoo: all must pass
            "metadata": metadata,
        }
        try:
            return Case.model_validate(body)
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            raise Refused(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", hint="") from None

    def _check(self, test: Test, place: Place, at: Pointer, raw: Any, reading: Reading) -> CaseCheck | None:
        """One assertion; ``None`` where it is left out."""
        try:
            if isinstance(raw, dict) and raw.get("type") == GROUP:
                return self._group(test, place, at, raw, reading)
            return check_of(raw, reading)
        except Refused as exc:
            if self.skip and exc.skippable:
                whose = "" if place is test.place else f"{place.name}."
                self.left_out[f"{test.place.name} {whose}{place_name(at)}: {exc}"] = None
            else:
                self._refuse(place, str(exc), exc.hint, at)
            return None

    def _group(
        self, test: Test, place: Place, at: Pointer, raw: Mapping[str, Any], reading: Reading
    ) -> CaseCheck | None:
        inner = raw.get("assert")
        if not isinstance(inner, list) or not inner:
            raise Refused(f"{GROUP} needs a list of assertions", hint="", skippable=False)
        if any(isinstance(item, dict) and item.get("type") == GROUP for item in inner):
            raise Refused(f"{GROUP} cannot hold another", hint="write its assertions out", skippable=False)
        if unknown := [key for key in raw if key not in ("type", "assert", "threshold", "weight", "metric", "config")]:
            raise Refused(f"{GROUP}: unknown key {unknown[0][:60]!r}", hint="")
        found = [self._check(test, place, (*at, "assert", index), item, reading) for index, item in enumerate(inner)]
        checks = [check for check in found if check is not None]
        if not checks:
            return None
        named = {"threshold": raw.get("threshold") or None, "weight": raw.get("weight"), "metric": raw.get("metric")}
        body = {key: value for key, value in named.items() if value is not None}
        try:
            return CaseCheck.model_validate({"type": OURS, "checks": checks, **body})
        except ValidationError as exc:
            raise Refused(f"{GROUP}: {exc.errors(include_url=False)[0]['msg']}", hint="") from None

    # the rest

    def _add_judge(self, test: Test, provider: Any) -> None:
        if provider is None or self.judge is not None:
            return
        named = provider.get("id", provider.get("text")) if isinstance(provider, dict) else provider
        text = named.get("id") if isinstance(named, dict) else named
        if not isinstance(text, str) or not text or is_code(text) or text.split(":")[0] in _NO_MODEL:
            raise Refused("its grader is no model's name", hint="name the judge: skillforge import … --judge MODEL")
        self.judges[_model(text)] = None

    def _judge(self) -> str | None:
        if self.judge is not None:
            return self.judge
        if len(self.judges) > 1:
            hint = "name one for all: --judge MODEL"
            self._note(Problem(f"several graders are named: {', '.join(self.judges)}", hint=hint))
        return next(iter(self.judges), None)

    def _repeat(self, body: Mapping[str, Any]) -> int:
        options = body.get("evaluateOptions")
        repeat = options.get("repeat", 1) if isinstance(options, dict) else 1
        return repeat if isinstance(repeat, int) and not isinstance(repeat, bool) and 1 <= repeat <= 100 else 1

    def _refuse(self, place: Place, message: str, hint: str, at: Pointer = ()) -> None:
        other = "" if place.path == str(self.file) else f"{place.path}: "
        name = f"{place.name}.{place_name(at)}" if at else place.name
        self._note(Problem(f"{other}{message}", field=name, line=place.where(at), hint=hint))

    def _note(self, problem: Problem) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


_NO_MODEL = frozenset(
    {"exec", "python", "javascript", "webhook", "http", "https", "file", "ruby", "golang", "ws", "wss"}
)
_ROUTES = ("chat", "messages", "responses", "completion", "completions")


def _weight(listed: tuple[Place, int, Any]) -> int:
    """How many assertions one entry of a list stands for."""
    inner = listed[2].get("assert") if isinstance(listed[2], dict) else None
    return 1 + len(inner) if isinstance(inner, list) else 1


def _model(name: str) -> str:
    """promptfoo's ``openai:chat:gpt-x`` as our ``openai:gpt-x``."""
    provider, _, rest = name.partition(":")
    route, colon, model = rest.partition(":")
    return (
        f"{provider}:{model}" if colon and route in _ROUTES and provider in ("openai", "anthropic", "ollama") else name
    )


def _id(values: Mapping[str, Any], seen: dict[str, int]) -> str:
    """The same for the same vars, wherever the test stands in its file; further tests of these vars are numbered."""
    try:
        name = "c-" + digest(dict(values))[7:19]
    except ValueError as exc:
        raise Refused(f"its vars: {exc}", hint="numbers up to 2**53, valid text") from None
    seen[name] = seen.get(name, 0) + 1
    return name if seen[name] == 1 else f"{name}-{seen[name]}"
