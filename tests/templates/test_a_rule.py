"""Copy this file for a rule of your own: what every rule has to keep. Here for `Steps`."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merf import Problem, Response, Responses, Rulebook, Steps
from merf.rules.wording import STYLES

RULE = Steps(least=2, shown=0.5, missing=-0.5)

# Real text, with the score you worked out by hand.
CASES = [
    ("<think>Bob is a knave. So Ann is a knight.</think><answer>yes</answer>", 0.5),
    ("<think>I guess.</think><answer>yes</answer>", -0.5),
    ("no tags at all. Two sentences.", -0.5),
    ("", -0.5),
]


def score(text: str) -> float:
    return float(RULE.score(Responses.of([Response(Problem("?"), text)]))[0])


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_it_scores_real_text_as_worked_out_by_hand(text, expected):
    assert score(text) == expected


def test_its_sentence_states_every_number_that_moves_the_score():
    for style in STYLES:
        sentence = RULE.describe(style)
        for number in ("2", "0.5"):
            assert number in sentence


def test_a_changed_number_changes_the_sentence():
    assert Steps(least=3).describe() != Steps(least=2).describe()
    assert Steps(shown=0.6).describe() != Steps(shown=0.5).describe()


@given(st.text())
def test_any_text_scores_within_the_declared_range(text):
    low, high = RULE.range
    value = score(text)
    assert math.isnan(value) or low <= value <= high


def test_it_works_in_a_rulebook_and_can_be_inverted():
    book = Rulebook(RULE)
    assert book.inverted().range == (-0.5, 0.5)
    assert book.inverted().inverted() == book
