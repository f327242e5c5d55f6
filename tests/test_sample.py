from __future__ import annotations

import pytest
from pydantic import ValidationError

from skillforge.run import Run
from skillforge.sample import Sample

RUN = Run(skill="a", digest="sha256:0", student="s", status="ok", input={})


def test_a_sample_is_frozen_and_knows_two_states() -> None:
    sample = Sample(key="k", arm="bare", case_id="1", status="ok", run=RUN)
    assert sample.created_at == ""
    with pytest.raises(ValidationError):
        sample.key = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Sample.model_validate(sample.model_dump() | {"status": "failed"})
