from __future__ import annotations

import json


def test_costs_of_nothing_say_how_to_begin(repo, cli):
    done = cli("cost")
    assert (done.code, done.out) == (0, "")
    assert "forge.wrap" in done.err


def test_costs_are_shown_as_a_table_and_as_json(repo, cli):
    assert cli("run", "skills/mood", "-i", "text=message 1: I am happy", "--student", "scripted:right.yaml").code == 0
    shown = cli("cost", "--by", "student")
    assert "scripted:right.yaml  a skill        1  $0.00" in shown.out
    assert "what a call cost before is not known" in shown.out
    body = json.loads(cli("cost", "--json").out)
    assert [(line["key"], line["runs"], line["saved_usd"]) for line in body["lines"]] == [("mood", 1, None)]


def test_a_wrong_way_or_day_names_the_right_ones(repo, cli):
    assert cli("cost", "--by", "moon").code == 2
    assert "skill, tag, student, day" in cli("cost", "--by", "moon").err
    assert "2026-11-01" in cli("cost", "--since", "yesterday").err
    assert cli("cost", "--tag", "customer").code == 2
