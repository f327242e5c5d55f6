from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from skillforge.case import Decision, ScorerSpec, Suite
from skillforge.errors import UsageError
from skillforge.evals.scorers.own import OwnScorer, load_scorer
from skillforge.evals.scorers.resolve import scorer_of, scorer_of_text, scorers_of


def own(function):
    return OwnScorer("mine", function)


@pytest.mark.parametrize(
    ("returned", "value", "reason"),
    [
        (True, 1.0, ""),
        (0, 0.0, ""),
        (0.25, 0.25, ""),
        ((0.5, "half"), 0.5, "half"),
        ((False, "no"), 0.0, "no"),
        ({"score": 0.5, "reason": "half"}, 0.5, "half"),
        ({"pass": True}, 1.0, ""),
        ({"score": 0}, 0.0, ""),  # not a pass for want of the word
        ({"score": 0.9, "pass": False}, 0.0, ""),
    ],
)
def test_what_a_function_may_return(item, returned, value, reason):
    score = own(lambda output: returned).score(item("x"))
    assert (score.value, score.reason, score.error) == (value, reason, "")


@pytest.mark.parametrize("returned", [None, math.nan, (None, "no idea"), {"score": None}])
def test_none_is_unscored_never_zero(item, returned):
    assert own(lambda output: returned).score(item("x")).state == "unscored"


@pytest.mark.parametrize(
    "returned",
    [1.5, -0.1, math.inf, "1", b"1", [1], (1, 2, 3), (0.5, 7), {}, {"scores": 1}, {"pass": "yes"}, object(), 10**400],
)
def test_anything_else_is_an_error_never_a_score(item, returned):
    score = own(lambda output: returned).score(item("x"))
    assert score.state == "error"
    assert math.isnan(score.value)
    assert len(score.error) < 500


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    "error", [ValueError("x" * 10_000), KeyError("a"), SystemExit(3), RecursionError(), Unprintable()]
)
def test_what_it_raises_is_an_error_of_the_scorer(item, error):
    def broken(output):
        raise error

    score = own(broken).score(item("x"))
    assert type(error).__name__ in score.error
    assert len(score.error) < 500


def test_it_is_given_what_it_asks_for(item):
    seen = {}

    def function(expected, case, metadata, *, input, output, more=5):
        seen.update(expected=expected, case=case, metadata=metadata, input=input, output=output, more=more)
        return 1

    asked = item("out", "label", input={"a": 1}, metadata={"m": 2})
    assert own(function).score(asked).value == 1.0
    given = {"expected": "label", "case": asked.case, "metadata": {"m": 2}, "input": {"a": 1}, "output": "out"}
    assert seen == {**given, "more": 5}


def test_it_may_ask_for_everything(item):
    scorer = own(lambda **given: set(given) == {"output", "expected", "input", "metadata", "case"})
    assert scorer.score(item("x")).value == 1.0


def test_no_answer_is_wrong_without_asking(item):
    assert own(lambda output: 1 / 0).score(item(None)).value == 0.0


def test_labels_are_needed_where_it_asks_for_them():
    assert own(lambda output, expected: 1).labels
    assert not own(lambda output, expected=None: 1).labels
    assert not own(lambda output: 1).labels


def test_scores_may_be_declared_graded():
    def graded(output):
        return 0.5

    assert own(graded).binary  # until a score between 0 and 1 is seen
    graded.binary = False
    assert not own(graded).binary


async def awaited(output):
    return 1


@pytest.mark.parametrize("function", [lambda answer: 1, lambda output, /: 1, awaited, lambda output, x: 1])
def test_a_function_that_asks_for_something_else_is_an_error_at_once(function):
    with pytest.raises(UsageError) as caught:
        own(function)
    assert caught.value.hint


def test_another_code_is_another_identity():
    assert own(lambda output: output == 1).identity == own(lambda output: output == 1).identity
    assert own(lambda output: output == 1).identity != own(lambda output: output == 2).identity


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "house_scorers.py").write_text(
        "import house_helper\n"
        "class Tone:\n    @staticmethod\n    def kind(output):\n        return house_helper.kind(output)\n"
        "number = 5\n"
    )
    (tmp_path / "house_helper.py").write_text("def kind(output):\n    return 'please' in output\n")
    (tmp_path / "house_broken.py").write_text("raise ValueError('not today')\n")
    (tmp_path / "house_lacking.py").write_text("import surely_not_installed\n")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("house_")]:
        del sys.modules[name]


def test_a_function_is_loaded_from_the_current_folder(folder, item):
    before = list(sys.path)
    scorer = scorer_of_text("house_scorers:Tone.kind", {})
    assert sys.path[: len(before)] == before, "the folder stands behind everything else from then on"
    assert scorer.name == "house_scorers:Tone.kind"
    assert scorer.score(item("yes please")).value == 1.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("house_scorer:f", "there is no module 'house_scorer'"),
        ("house_scorers:tone", "did you mean 'Tone'"),
        ("house_scorers:Tone.kin", "did you mean 'kind'"),
        ("house_scorers:number", "no function but int"),
        ("house_broken:f", "ValueError: not today"),
        ("house_lacking:f", "surely_not_installed"),
        ("house_scorers:", "module:function"),
        (":f", "module:function"),
    ],
)
def test_what_cannot_be_loaded_is_named(folder, text, says):
    with pytest.raises(UsageError) as caught:
        load_scorer(text)
    assert says in f"{caught.value} {caught.value.hint}"


def test_a_suite_names_no_code(folder):
    suite = Suite(name="s", cases=(), decision=Decision(metric="house_broken:f"))
    with pytest.raises(UsageError, match="names no code"):
        scorers_of(suite)
    with pytest.raises(UsageError, match="names no code"):
        scorer_of("x", ScorerSpec(type="house_broken:f"))
    assert "house_broken" not in sys.modules


def test_an_installed_package_offers_scorers_by_name(folder, monkeypatch, item):
    info = folder / "house-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: house\nVersion: 1.0\n")
    points = "[skillforge.scorers]\nhouse-kind = house_scorers:Tone.kind\nhouse-broken = house_broken:f\n"
    (info / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(folder))
    suite = Suite(name="s", cases=(), scorers={"kind": ScorerSpec(type="house-kind")}, decision=Decision(metric="kind"))
    scorer = scorers_of(suite).metric
    assert scorer.name == "kind"
    assert scorer.score(item("please")).value == 1.0
    with pytest.raises(UsageError, match="not today"):
        scorer_of_text("house-broken", {})
    with pytest.raises(UsageError) as caught:
        scorer_of_text("house-kin", {})
    assert "house-kind" in caught.value.hint
    with pytest.raises(UsageError, match="does not use threshold"):
        scorer_of_text('{"type": "house-kind", "threshold": 1}', {})


def test_the_identity_is_the_same_in_every_process(folder):
    source = folder / "house_identity.py"
    source.write_text("WORDS = {'a', 'b'}\ndef f(output):\n    return output in {'x', 'y', 'z'} or output in WORDS\n")
    program = "from skillforge.evals.scorers.own import load_scorer; print(load_scorer('house_identity:f').identity)"
    seen = {
        subprocess.run(
            [sys.executable, "-c", program], cwd=folder, env={**os.environ, "PYTHONHASHSEED": seed}, check=True,
            capture_output=True, text=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(seen) == 1


def test_what_a_function_does_to_an_answer_or_a_label_nobody_else_sees():
    from skillforge.evals.recorded.compare import compare

    def without_a(output, expected, input):
        for given in (output, expected, input):
            given.pop("a", None)
        return output == expected

    label = {"a": 1, "b": {"c": [2]}}
    rows = [{"input": {"a": 1}, "teacher": dict(label), "student": {**label, "a": 2}, "expected": label}]
    found = compare(rows, scorer=without_a)
    assert found.document()["student"]["mean"] == 1.0
    assert found.document()["agreement"]["share"] == 0.0  # they differ in what the scorer looks away from
    assert (found.cases[0].expected, found.cases[0].input) == (label, {"a": 1})
