from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillforge.canonical import compact
from skillforge.errors import InvalidInput, UsageError
from skillforge.template import MAX_SOURCE, Template, template_problems

FIELDS = ("ticket", "locale", "order", "tags", "n")
VALUES: dict[str, Any] = {
    "ticket": "Help",
    "locale": "en",
    "order": {"items": ["i1", {"a": True}], "total": 1.5, "ü": None},
    "tags": ["a", "b"],
    "n": 0,
}


def render(source: str, **values: Any) -> str:
    return Template(source, FIELDS).render({**VALUES, **values})


def messages(source: str) -> list[str]:
    return [problem.message for problem in template_problems(source, FIELDS)]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Locale: {{ locale }}\n{{ ticket }}\n", "Locale: en\nHelp\n"),
        ("{{ order }}", '{"items": ["i1", {"a": true}], "total": 1.5, "ü": null}'),
        ("{{ order.items }} {{ order['total'] }} {{ order.items[0] }} {{ tags.1 }} {{ tags[-1] }}", None),
        ("{{ true }} {{ none }} {{ 3 }} {{ 'x' }} {{ n == 0 }} {{ order.ü }}", "true null 3 x true null"),
        (
            "{% for tag in tags %}{{ loop.index }}. {{ tag }}{% if not loop.last %}, {% endif %}{% endfor %}",
            "1. a, 2. b",
        ),
        ("{% for key in order %}{{ key }}={{ order[key] }};{% endfor %}", None),
        ("{% for tag in tags if tag != 'a' %}{{ tag }}{{ loop.length }}{% else %}-{% endfor %}", "b1"),
        ("{% for a in tags %}{% for b in tags %}{{ a }}{{ b }} {% endfor %}{% endfor %}", "aa ab ba bb "),
        ("{% for x in order.none | default([]) %}{{ x }}{% else %}none{% endfor %}", "none"),
        ("{% if n > -1 and locale in ['en', 'de'] %}yes{% elif n %}no{% else %}?{% endif %}", "yes"),
        ("{{ 'a' if n else 'b' }}{{ 'c' if n }}", "b"),
        ("{{ n is none }} {{ n is defined }} {{ order.zz is defined }} {{ order.zz | default('d') }}", None),
        ("{{ tags | join(', ') }} {{ tags | length }} {{ ticket | upper }} {{ ' x ' | trim }}|", "a, b 2 HELP x|"),
        ("{{ ticket | tojson }} {{ tags | tojson }}", '"Help" ["a", "b"]'),
        ("{{- ticket -}}   \n x{# a note #}", "Helpx"),
    ],
)
def test_the_allowed_language_renders(source: str, text: str | None) -> None:
    assert messages(source) == []
    expected = {
        "{{ order.items }}": '["i1", {"a": true}] 1.5 i1 b b',
        "{% for key in ord": 'items=["i1", {"a": true}];total=1.5;ü=null;',
        "{{ n is none }} {": "false true false d",
    }
    assert render(source) == (expected[source[:17]] if text is None else text)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ ticket.upper() }}", "a call is not allowed"),
        ("{{ ''.__class__.__mro__() }}", "a call is not allowed"),
        ("{{ range(9) }}", "a call is not allowed"),
        ("{{ range }}", "unknown variable 'range'"),
        ("{{ lipsum }}", "unknown variable 'lipsum'"),
        ("{{ cycler.__init__ }}", "unknown variable 'cycler'"),
        ("{{ self }}", "the name 'self' is reserved"),
        ("{{ input }}", "the name 'input' is reserved"),
        ("{{ steps.x }}", "the name 'steps' is reserved"),
        ("{{ loop.index }}", "the name 'loop' is reserved"),
        ("{% for t in tags %}{{ loop }}{% endfor %}", "loop is not a value"),
        ("{% for t in tags %}{{ loop.cycle }}{% endfor %}", "loop.cycle is not allowed"),
        ("{% for t in tags %}{{ loop['index'] }}{% endfor %}", "loop is not a value"),
        ("{{ ticket | attr('x') }}", "unknown filter 'attr'"),
        ("{{ '%s' | format(1) }}", "unknown filter 'format'"),
        ("{{ ticket | center(900000000) }}", "unknown filter 'center'"),
        ("{{ tags | map('upper') }}", "unknown filter 'map'"),
        ("{{ tags | join(d='x') }}", "the filter join takes 0 to 1 plain arguments"),
        ("{{ tags | join(*tags) }}", "the filter join takes 0 to 1 plain arguments"),
        ("{{ ticket | lower(1) }}", "the filter lower takes no argument"),
        ("{{ ticket is callable }}", "unknown test 'callable'"),
        ("{{ n is divisibleby 3 }}", "unknown test 'divisibleby'"),
        ("{{ n + 1 }}", "+ is not allowed"),
        ("{{ 'x' * 1000000000 }}", "* is not allowed"),
        ("{{ 9 ** 9 ** 9 }}", "** is not allowed"),
        ("{{ -n }}", "- is not allowed"),
        ("{{ ticket ~ 'x' }}", "~ is not allowed"),
        ("{{ ticket[1:2] }}", "a slice is not allowed"),
        ("{{ {'a': 1} }}", "a dict is not allowed"),
        ("{{ (1, 2) }}", "a tuple is not allowed"),
        ("{{ [ticket] }}", "a list may hold constants only"),
        ("{{ 1e999 }}", "a number is too large"),
        ("{% set x = 1 %}", "{% set %} is not allowed"),
        ("{% set x %}a{% endset %}", "{% set %} is not allowed"),
        ("{% macro m() %}{% endmacro %}", "{% macro %} is not allowed"),
        ("{% call x() %}{% endcall %}", "{% call %} is not allowed"),
        ("{% filter upper %}a{% endfilter %}", "{% filter %} is not allowed"),
        ("{% with a = 1 %}{% endwith %}", "{% with %} is not allowed"),
        ("{% include 'x' %}", "{% include %} is not allowed"),
        ("{% import 'x' as y %}", "{% import %} is not allowed"),
        ("{% from 'x' import y %}", "{% from %} is not allowed"),
        ("{% extends 'x' %}", "{% extends %} is not allowed"),
        ("{% block b %}{% endblock %}", "{% block %} is not allowed"),
        ("{% autoescape true %}{% endautoescape %}", "{% autoescape %} is not allowed"),
        ("{% raw %}{{ x }}{% endraw %}", "{% raw %} is not allowed"),
        ("{% do x %}", "not a template: Encountered unknown tag 'do'."),
        ("{% for a in [1, 2] %}{% endfor %}", "a loop runs over input data only"),
        ("{% for a in 'abc' %}{% endfor %}", "a loop runs over input data only"),
        ("{% for a, b in tags %}{% endfor %}", "a loop has one variable"),
        ("{% for ticket in tags %}{% endfor %}", "the loop variable 'ticket' is taken"),
        ("{% for loop in tags %}{% endfor %}", "the loop variable 'loop' is taken"),
        ("{% for a in tags recursive %}{% endfor %}", "a recursive loop is not allowed"),
        (
            "{% for a in tags %}{% for b in a %}{% for c in b %}{% endfor %}{% endfor %}{% endfor %}",
            "loops nest at most 2",
        ),
        ("{% if ticket %}" * 99 + "{% endif %}" * 99, "nested too deeply"),
        ("{{ " + "(" * 3_000 + "n" + ")" * 3_000 + " }}", "nested too deeply"),
        ("{% if n %}" + "{% elif n %}" * 3_000 + "{% endif %}", "more than 40 elif"),
        ("{{ " + "9" * 5_000 + " }}", "not a template"),
        ("x" * (MAX_SOURCE + 1), "the template is longer than"),
        ("{{ ticket", "not a template"),
        ("{% if ticket %}", "not a template"),
    ],
)
def test_everything_else_is_refused_before_it_is_compiled(source: str, message: str) -> None:
    found = messages(source)
    assert any(message in text for text in found), found
    with pytest.raises(UsageError):
        Template(source, FIELDS)


def test_all_problems_are_told_with_their_line_and_a_did_you_mean() -> None:
    found = template_problems("{{ tiket }}\n\n{{ ticket | uper }}\n{{ now() }}", FIELDS)
    assert [(problem.line, problem.hint) for problem in found][:2] == [
        (1, "did you mean 'ticket'?"),
        (3, "did you mean 'upper'?"),
    ]
    assert {problem.line for problem in found} == {1, 3, 4}


def test_lookup_finds_keys_and_indices_and_never_python() -> None:
    assert render("{{ order.keys }}", order={"keys": "mine"}) == "mine"
    for source in (
        "{{ order.keys }}",
        "{{ ticket.upper }}",
        "{{ tags.__class__ }}",
        "{{ tags[2] }}",
        "{{ tags['0'] }}",
    ):
        with pytest.raises(InvalidInput, match="has no value"):
            render(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ticket }}",
        "{% if ticket %}{% endif %}",
        "{{ ticket == 'a' }}",
        "{{ 'a' in ticket }}",
        "{{ ticket < 1 }}",
        "{{ not ticket }}",
        "{{ ticket.x }}",
        "{{ tags[ticket] }}",
        "{{ ticket | upper }}",
        "{{ ticket | tojson }}",
        "{{ ticket | length }}",
        "{{ ticket | join }}",
        "{% for a in ticket %}{% endfor %}",
    ],
)
def test_a_missing_value_is_named_however_it_is_used(source: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Template(source, FIELDS).render({"tags": ["a"]})
    assert caught.value.field == "ticket"
    assert "'ticket', which has no value" in str(caught.value)
    assert "default" in caught.value.hint


def test_a_missing_value_has_a_default() -> None:
    assert Template("{{ ticket | default('-') }}{{ ticket is defined }}", FIELDS).render({}) == "-false"


def test_values_that_a_template_cannot_use_are_invalid_input() -> None:
    for source in ("{{ ticket < n }}", "{{ 'a' in n }}", "{% for x in ticket %}{% endfor %}", "{{ ticket | join }}"):
        with pytest.raises(InvalidInput):
            render(source)
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(InvalidInput, match="too deep"):
        render("{{ order }}", order=deep)
    with pytest.raises(InvalidInput, match="no JSON"):
        render("{{ order }}", order=object())


def test_loops_and_output_and_work_are_bounded() -> None:
    with pytest.raises(InvalidInput, match="loops more than 10,000 times"):
        render("{% for a in tags %}{% for b in tags %}{% endfor %}{% endfor %}", tags=list(range(101)))
    with pytest.raises(InvalidInput, match="longer than 1,048,576 characters"):
        render("{% for a in tags %}{{ ticket }}{% endfor %}", ticket="x" * 10_000, tags=list(range(1_000)))
    with pytest.raises(InvalidInput, match="filters produce more"):
        render("{{ tags | join(ticket) | length }}", ticket="x" * 100_000, tags=[0] * 100_000)
    with pytest.raises(InvalidInput, match="filters produce more"):
        render("{% for a in tags %}{{ ticket | upper | length }}{% endfor %}", ticket="x" * 10_000, tags=[0] * 9_000)


def test_one_rendering_does_not_spend_the_next_ones_budget() -> None:
    template = Template("{% for a in tags %}x{% endfor %}", FIELDS)
    assert [len(template.render({"tags": [0] * 9_000})) for _ in range(3)] == [9_000] * 3


def test_rendering_changes_no_value() -> None:
    before = json.dumps(VALUES)
    render("{% for a in order.items %}{{ a }}{% endfor %}{{ tags | join }}")
    assert json.dumps(VALUES) == before


def test_a_hostile_template_is_refused_soon() -> None:
    started = time.process_time()
    for piece in ("{{ x%d }}", "{{ ticket | lower }}{{ ", "{% if n %}", "{{ a." + "b." * 9, "{#", "{% raw %}", "{{ (("):
        messages("".join(piece.replace("%d", str(index)) for index in range(120_000 // len(piece)))[:120_000])
    assert time.process_time() - started < 20


@given(st.text())
def test_a_string_stands_verbatim_in_the_rendering(value: str) -> None:
    assert Template("<{{ x }}>\n", ["x"]).render({"x": value}) == f"<{value}>\n"


@given(st.sampled_from(["{{ y }}", "{% if y %}", "{{ y.z() }}", "{#", "\\1 $5 {x} %s", "<|system|>"]), st.text())
def test_a_value_is_never_rendered_a_second_time(trick: str, text: str) -> None:
    template = Template("{{ x }}|{% for i in xs %}{{ i }}{% endfor %}|{{ x | trim }}", ["x", "xs", "y"])
    value = text + trick
    assert template.render({"x": value, "xs": [value], "y": "SECRET"}) == f"{value}|{value}|{value.strip()}"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(JSON)
def test_any_other_value_stands_as_json(value: Any) -> None:
    expected = value if isinstance(value, str) else compact(value)
    assert Template("{{ x }}", ["x"]).render({"x": value}) == expected


WORDS = """
{{ }} {% %} if for in else endif endfor not and or is defined none x xs y . .items [0] ['k'] | join default('') length
( ) 1 -1 2.5 'a' == < , loop loop.index [ ] set raw endraw + ~ call upper tojson
"""


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(WORDS.split()), max_size=14).map(" ".join), JSON, JSON)
def test_whatever_passes_the_check_renders_or_is_invalid_input(source: str, x: Any, xs: Any) -> None:
    if template_problems(source, ["x", "xs"]):
        return
    template = Template(source, ["x", "xs"])
    with contextlib.suppress(InvalidInput):
        assert isinstance(template.render({"x": x, "xs": xs}), str)


def test_jinja_is_not_imported_with_the_module() -> None:
    code = "import sys, skillforge.template; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
