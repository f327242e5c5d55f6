"""The public face: what ``import skillforge`` offers, and what it does not cost."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import skillforge

HEAVY = ["anyio", "jinja2", "jsonschema", "pydantic", "rich", "sqlite_utils", "xllamacpp", "yaml"]


def typed_names() -> dict[str, str]:
    """name -> module, as the ``TYPE_CHECKING`` block imports them."""
    tree = ast.parse(Path(skillforge.__file__).read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    return {
        alias.asname or alias.name: str(node.module)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_all_is_what_type_checkers_see():
    assert sorted(skillforge.__all__) == sorted([*typed_names(), "__version__"])
    assert dir(skillforge) == sorted(skillforge.__all__)


@pytest.mark.parametrize(("name", "module"), sorted(typed_names().items()))
def test_every_name_loads_from_where_type_checkers_look(name, module):
    found = getattr(skillforge, name)
    assert found.__name__ == name
    assert found is getattr(sys.modules[module], name)
    assert found.__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Frge'"):
        skillforge.Frge  # noqa: B018
    assert not hasattr(skillforge, "__path_of_nothing__")


@pytest.mark.parametrize("module", ["skillforge", "skillforge.cli.app"])
def test_importing_it_loads_nothing_heavy(module):
    code = f"import sys, json, {module}; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert "skillforge" in loaded
    assert loaded.isdisjoint(HEAVY), sorted(loaded & set(HEAVY))


def test_the_version_is_the_distributions():
    from importlib.metadata import version

    assert skillforge.__version__ == version("skillforge-distiller")
