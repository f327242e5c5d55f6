"""A function as a tool: what its hints and its docstring say of it."""

from __future__ import annotations

import functools
import json
import threading
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

import skillforge
from skillforge.errors import UsageError
from skillforge.tools.schema import Signature


class Line(BaseModel):
    sku: str
    count: int = 1


class Colour(Enum):
    RED = "red"


@dataclass
class Place:
    city: str


def google(order_id: str, limit: int = 5) -> dict:
    """Look an order up.

    It reads only.

    Args:
        order_id (str): Which order,
            as its receipt says.
        limit: At most so many lines.

    Returns:
        The order.
    """
    return {}


def numpy(order_id: str, limit: int = 5) -> dict:
    """Look an order up.

    It reads only.

    Parameters
    ----------
    order_id : str
        Which order, as its receipt says.
    limit : int
        At most so many lines.
    """
    return {}


def sphinx(order_id: str, limit: int = 5) -> dict:
    """Look an order up.

    It reads only.

    :param order_id: Which order,
        as its receipt says.
    :param int limit: At most so many lines.
    :returns: The order.
    """
    return {}


@pytest.mark.parametrize("function", [google, numpy, sphinx])
def test_docstrings_of_every_style_say_the_same(function):
    found = Signature(function).tool
    assert found.name == function.__name__
    assert found.description == "Look an order up.\n\nIt reads only."
    assert found.parameters == {
        "type": "object",
        "properties": {
            "order_id": {"type": "string", "description": "Which order, as its receipt says."},
            "limit": {"type": "integer", "default": 5, "description": "At most so many lines."},
        },
        "required": ["order_id"],
        "additionalProperties": False,
    }
    assert (found.effect, found.idempotency_key) == ("read", "")


def test_types_become_schemas_and_arguments_become_the_types():
    def book(
        lines: list[Line],
        at: date,
        price: Decimal,
        colour: Colour,
        place: Place,
        kind: Literal["a", "b"],
        share: Annotated[float, Field(ge=0, le=1)],
        note: str | None = None,
    ):
        raise NotImplementedError

    signature = Signature(book)
    Draft202012Validator.check_schema(signature.tool.parameters)
    given = {
        "lines": [{"sku": "x"}],
        "at": "2026-11-22",
        "price": "1.50",
        "colour": "red",
        "place": {"city": "Ulm"},
        "kind": "a",
        "share": 1,
    }
    assert Draft202012Validator(signature.tool.parameters).is_valid(given)
    assert signature.checked(given) == {
        "lines": [Line(sku="x")],
        "at": date(2026, 11, 22),
        "price": Decimal("1.50"),
        "colour": Colour.RED,
        "place": Place("Ulm"),
        "kind": "a",
        "share": 1.0,
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "wrong arguments: order_id is required"),
        ({"order_id": 7}, "wrong arguments: order_id: Input should be a valid string"),
        ({"order_id": "a", "limit": "5"}, "wrong arguments: limit: Input should be a valid integer"),
        ({"order_id": "a", "limt": 5}, "wrong arguments: limt is no parameter of this tool"),
        ({"order_id": "a", "limit": True}, "wrong arguments: limit: Input should be a valid integer"),
        ({f"x{n}": n for n in range(9)}, "; and 5 more"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(given, said):
    with pytest.raises(ValueError, match="wrong arguments") as error:
        Signature(google).checked(given)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_defaults_stay_the_functions_own():
    assert Signature(google).checked({"order_id": "a"}) == {"order_id": "a"}


def test_names_that_pydantic_keeps_for_itself_are_fine():
    def odd(json: str, model_config: int, schema: str = "x", copy: bool = True, _private: int = 3, self: int = 0): ...

    signature = Signature(odd)
    assert list(signature.tool.parameters["properties"]) == [
        "json",
        "model_config",
        "schema",
        "copy",
        "_private",
        "self",
    ]
    given = {"json": "a", "model_config": 1, "_private": 2}
    assert signature.checked(given) == given


def test_a_hint_may_describe_its_parameter():
    def say(text: Annotated[str, Field(description="What to say.", min_length=2)]):
        """Say it."""

    assert Signature(say).tool.parameters["properties"]["text"] == {
        "type": "string",
        "description": "What to say.",
        "minLength": 2,
    }


def test_a_parameter_without_a_hint_takes_anything():
    def say(text, times=2): ...

    found = Signature(say).tool.parameters
    assert found["properties"] == {"text": {}, "times": {"default": 2}}
    assert Signature(say).checked({"text": [1, None]}) == {"text": [1, None]}


def test_without_parameters_the_schema_is_an_empty_object():
    assert Signature(lambda: 1, "now").tool.parameters == {
        "type": "object",
        "properties": {},
        "additionalProperties": False,
    }


def test_marks_name_and_effect():
    @skillforge.tool(name="refund", effect="write", idempotency_key="key")
    def refund_order(order_id: str, key: str = ""): ...

    found = Signature(refund_order).tool
    assert (found.name, found.effect, found.idempotency_key) == ("refund", "write", "key")
    assert Signature(refund_order, "given").tool.name == "given"

    @skillforge.tool
    def plain(): ...

    assert Signature(plain).tool.name == "plain"


def test_methods_partials_and_callable_objects_are_functions_too():
    class Shop:
        def get(self, order_id: str) -> str:
            """Get it."""
            return order_id

        def __call__(self, sku: int) -> int:
            return sku

    assert Signature(Shop().get).tool.parameters["required"] == ["order_id"]
    assert Signature(Shop().get).tool.description == "Get it."
    assert Signature(Shop(), "shop").tool.parameters["properties"] == {"sku": {"type": "integer"}}
    bound = Signature(functools.partial(google, limit=3))
    assert bound.tool.name == "google"
    assert bound.tool.parameters["properties"]["limit"]["default"] == 3
    assert bound.tool.description.startswith("Look an order up.")


def _broken(when: "Nowhere"): ...  # noqa: F821, UP037


def _no_data(when: threading.Event): ...


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda *rest: 1, "takes *rest"),
        (lambda **rest: 1, "takes **rest"),
        (lambda a, /: 1, "takes a"),
        (_broken, "Nowhere"),
        (_no_data, "cannot be described"),
        (min, "cannot be described"),
        (int, "cannot be described"),
    ],
)
def test_what_no_schema_can_describe_is_refused(function, said):
    with pytest.raises(UsageError) as error:
        Signature(function, "it")
    assert said in str(error.value)
    assert error.value.hint


def test_bad_marks_are_refused():
    with pytest.raises(UsageError, match="read or write, not 'delete'"):
        skillforge.tool(effect="delete")
    with pytest.raises(UsageError, match="has no parameter 'key'"):
        Signature(skillforge.tool(idempotency_key="key")(lambda order: 1), "refund")
    with pytest.raises(UsageError, match="'<lambda>' cannot be a tool's name"):
        Signature(lambda: 1)
    with pytest.raises(UsageError, match="cannot be a tool's name"):
        Signature(google, "größe")


def test_a_schema_is_json_whatever_the_default():
    def odd(limit: float = float("inf"), at: date = date(2026, 1, 2), names: frozenset[str] = frozenset()): ...

    parameters = Signature(odd).tool.parameters
    json.dumps(parameters, allow_nan=False)
    assert parameters["properties"]["at"]["default"] == "2026-01-02"


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


def test_models_within_themselves_refer_within_the_schema():
    def grow(tree: Tree): ...

    parameters = Signature(grow).tool.parameters
    assert parameters["properties"]["tree"] == {"$ref": "#/$defs/Tree"}
    given = {"tree": {"name": "a", "children": [{"name": "b"}]}}
    assert Draft202012Validator(parameters).is_valid(given)
    assert Signature(grow).checked(given)["tree"].children[0].name == "b"
