from __future__ import annotations

import pytest

from skillforge.store.encoders import EncoderLog


@pytest.fixture
def log(db):
    return EncoderLog(db)


def test_a_card_is_kept_once_by_the_digest_of_its_file(log):
    assert log.add("sha256:a", "moods", "mood", "sha256:s", {"rows": 3})
    assert not log.add("sha256:a", "moods", "mood", "sha256:s", {"rows": 4})
    found = log.get("sha256:a")
    assert (found.name, found.skill, found.skill_digest, found.card) == ("moods", "mood", "sha256:s", {"rows": 3})
    assert log.get("sha256:b") is None


def test_the_newest_of_a_name_comes_first(log):
    for digest in ("sha256:a", "sha256:b"):
        log.add(digest, "moods", "mood", "sha256:s", {})
    log.add("sha256:c", "other", "mood", "sha256:s", {})
    assert [each.digest for each in log.named("moods")] == ["sha256:b", "sha256:a"]
