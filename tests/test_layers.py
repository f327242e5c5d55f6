"""The house rules that keep it readable: imports point down, no cycles, no long files or functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import skillforge

ROOT = Path(skillforge.__file__).parent
MAX_FILE = 500
MAX_FUNCTION = 60

# Who may import whom: a module may reach its own layer and those below it; store and providers never see each other.
FOUNDATION = {"errors", "canonical", "messages", "config", "endpoints", "suggest", "version"}
LEVELS = {
    "store": 2,
    "providers": 2,
    "formats": 2,
    "tools": 2,
    "shop": 3,
    "engine": 3,
    "capture": 3,
    "traffic": 3,
    "evals": 4,
    "students": 5,
    "forge": 6,
    "cli": 7,
}
FACE = {"", "__main__"}  # sees everything; the command line may use it as any program would


def layer(module: str) -> tuple[int, str]:
    """(height, room) of a module named below the package: ``store.runs`` is (2, "store")."""
    room, _, rest = module.partition(".")
    if room in FACE:
        return 7, "face"
    if rest or room in LEVELS:
        return LEVELS[room], room
    return (0, "foundation") if room in FOUNDATION else (1, "rules")


def modules(root: Path) -> dict[str, Path]:
    found = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, package: str, known: set[str]) -> Iterator[tuple[str, int]]:
    """(module, line) of every import of the package's own modules: at the top, in functions and for type checkers."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            names = [f"{base}.{alias.name}" for alias in node.names]
            names = [name if name.removeprefix(f"{package}.") in known else base for name in names]
        else:
            continue
        for name in names:
            if name == package or name.startswith(f"{package}."):
                yield name.removeprefix(package).lstrip("."), node.lineno


def upward(root: Path) -> list[str]:
    """Every import that points up, or across between store and providers."""
    found = modules(root)
    wrong = []
    for module, path in found.items():
        height, room = layer(module)
        for target, line in imports(path, root.name, set(found)):
            other, target_room = layer(target)
            across = {room, target_room} == {"store", "providers"}
            if other > height or across:
                wrong.append(f"{path.relative_to(root)}:{line}: {room} imports {target_room} ({target})")
    return sorted(wrong)


def cycles(root: Path) -> list[str]:
    """Every module that can reach itself through imports, those for type checkers counted too."""
    found = modules(root)
    graph = {
        module: {target for target, _ in imports(path, root.name, set(found))} - {module, ""}
        for module, path in found.items()
        if module not in FACE
    }
    return sorted(module for module in graph if module in _reachable(graph, module))


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    pending = list(graph[start])
    while pending:
        module = pending.pop()
        if module not in seen:
            seen.add(module)
            pending.extend(graph.get(module, ()))
    return seen


def too_long(root: Path) -> list[str]:
    wrong = []
    for path in root.rglob("*.py"):
        text = path.read_text("utf-8")
        if (lines := len(text.splitlines())) > MAX_FILE:
            wrong.append(f"{path.relative_to(root)}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > MAX_FUNCTION:
                    wrong.append(f"{path.relative_to(root)}:{node.lineno}: {node.name} has {length} lines")
    return sorted(wrong)


def test_imports_only_point_down():
    assert upward(ROOT) == []


def test_no_module_can_reach_itself():
    assert cycles(ROOT) == []


def test_no_file_and_no_function_is_too_long():
    assert too_long(ROOT) == []


def test_every_room_has_a_place():
    rooms = {path.name for path in ROOT.iterdir() if path.is_dir() and list(path.glob("*.py"))}
    assert rooms == set(LEVELS)


# The rules are seen failing on planted violations.


@pytest.fixture
def planted(tmp_path):
    def plant(**files: str) -> Path:
        root = tmp_path / "pkg"
        for name, text in files.items():
            path = root / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / "__init__.py").touch()
            path.write_text(text)
        (root / "__init__.py").touch()
        return root

    return plant


@pytest.mark.parametrize(
    ("module", "text", "wrong"),
    [
        ("errors", "from pkg.skill import Skill", "foundation imports rules"),
        ("skill", "from pkg.store.runs import x", "rules imports store"),
        ("store__runs", "from pkg.providers.base import x", "store imports providers"),
        ("providers__base", "import pkg.store.runs", "providers imports store"),
        ("store__runs", "from pkg.engine import execute", "store imports engine"),
        ("engine__solve", "def f():\n    from pkg.evals.report import x", "engine imports evals"),
        ("evals__report", "from pkg.forge.forge import Forge", "evals imports forge"),
        (
            "forge__forge",
            "import typing\nif typing.TYPE_CHECKING:\n    from pkg.cli.app import app",
            "forge imports cli",
        ),
        ("engine__solve", "from pkg import Forge", "engine imports face"),
    ],
)
def test_an_import_that_points_up_is_found(planted, module, text, wrong):
    (found,) = upward(planted(**{module: text}))
    assert wrong in found
    assert found.startswith(f"{module.replace('__', '/')}.py:{text.count(chr(10)) + 1}:")


def test_imports_that_point_down_or_sideways_are_fine(planted):
    root = planted(
        skill="from pkg.errors import x", engine__a="from pkg.engine.b import x", cli__app="import pkg.forge.forge"
    )
    assert upward(root) == []


def test_a_cycle_is_found_even_where_only_type_checkers_see_it(planted):
    lazy = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pkg.skill import Skill\n"
    root = planted(skill="from pkg.case import Case", case="from pkg.run import Run", run=lazy, errors="")
    assert cycles(root) == ["case", "run", "skill"]


def test_long_files_and_functions_are_found(planted):
    root = planted(skill="x = 1\n" * 501, case="def f():\n" + "    x = 1\n" * 60)
    assert too_long(root) == ["case.py:1: f has 61 lines", "skill.py: 501 lines"]
