"""SAR, on texts whose tokens are single characters."""

from __future__ import annotations

import numpy as np
import pytest

from merf.rules.likelihood import SelfAligned
from tests.methods.conftest import answers
from tests.methods.letters import Letters, recorded


def scored(rule, text: str, given: list[float], alone: float):
    """`given` are the tokens' probabilities with the question, `alone` each one's without it."""
    model = Letters(lambda context, token, which: alone)
    return rule.score(recorded(answers(text), model, logprobs=[np.log(given)])), model


def test_the_formula_on_hand_worked_probabilities():
    """ppl(a|q) = 1/sqrt(0.5 · 0.125) = 4, ppl(a) = 10: 1 − 4/10."""
    (value,), model = scored(SelfAligned(), "ab", [0.5, 0.125], 0.1)
    assert value == pytest.approx(0.6)
    assert model.asked == [("[]", "ab", "policy")]


def test_a_question_that_does_not_help_gives_nothing_and_one_that_misleads_at_least_minus_one():
    assert scored(SelfAligned(), "ab", [0.3, 0.3], 0.3)[0] == pytest.approx(0)
    assert scored(SelfAligned(), "ab", [1e-9, 1e-9], 0.9)[0] == -1


def test_appending_what_is_as_likely_without_the_question_lowers_it():
    short, _ = scored(SelfAligned(), "ab", [0.5, 0.5], 0.1)
    model = Letters(lambda context, token, which: 0.1 if token in "ab" else 0.9)
    padded = recorded(answers("ab,,"), model, logprobs=[np.log([0.5, 0.5, 0.9, 0.9])])
    assert SelfAligned().score(padded)[0] < short[0]


def test_correctness_and_the_weight(recipe_of):
    model = Letters(lambda context, token, which: 0.1)
    texts = recorded(answers("even", "odd"), model, logprobs=[np.log([0.25] * 4), np.log([0.25] * 3)])
    total = recipe_of("sar").rulebook.score(texts).total
    np.testing.assert_allclose(total, [1 + 0.2 * 0.6, 0.2 * 0.6])


def test_without_a_model_there_is_no_score():
    assert np.isnan(SelfAligned().score(answers("text"))).all()


def test_it_trains_and_asks_the_policy(trained):
    steps = trained("grpo,sar")
    assert all(-0.2 <= step["rewards/self-aligned/mean"] <= 0.2 for step in steps)
    assert any(step["rewards/self-aligned/mean"] != 0 for step in steps)


def test_another_reward_for_right_answers_is_refused(recipe_of):
    with pytest.raises(ValueError, match="sar and pear both decide what the rulebook's 'correctness' pays"):
        recipe_of("sar", "pear")
