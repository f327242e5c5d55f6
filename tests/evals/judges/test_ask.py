"""One question to a real model: too small to judge, and never a crash."""

from __future__ import annotations

import importlib.util

import anyio
import pytest

from skillforge.case import ScorerSpec
from skillforge.errors import NotFound
from skillforge.evals.judges.ask import Question, ask
from skillforge.evals.judges.question import Facts, rubric_request
from skillforge.judgement import Judgement
from skillforge.providers.local import Local
from skillforge.providers.models_cache import resolve_model_file

NAME = "smollm2-135m"


@pytest.mark.model
def test_a_small_real_model_is_a_judge_that_may_say_nothing() -> None:
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("the extra [local] is not installed")
    try:
        weights = resolve_model_file(NAME)
    except NotFound as exc:
        pytest.skip(f"{exc}: {exc.hint}")

    async def graded() -> Judgement:
        model = Local(NAME, weights)
        try:
            asked = rubric_request(ScorerSpec(type="rubric", rubric="Polite?"), Facts("", "hi"), "Hello, dear.")
            short = asked.model_copy(update={"max_output_tokens": 24})
            return await ask(model, Question.of(model, "q", "rubric", short))
        finally:
            await model.aclose()

    said = anyio.run(graded)
    assert said.status in ("ok", "unreadable")
    assert (said.status == "ok") == bool(said.grade)
    assert said.calls == len(said.replies)
