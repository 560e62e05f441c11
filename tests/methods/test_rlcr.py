"""RLCR."""

from __future__ import annotations

import numpy as np
import pytest

from merf.core.layout import ThinkAnswerConfidence
from merf.methods.registry import compose
from merf.tasks.games import TwentyQuestions
from merf.tasks.knights_knaves import KnightsKnaves
from tests.methods.conftest import answers


def said(answer: str, confidence: str) -> str:
    return f"<think>hm</think><answer>{answer}</answer><confidence>{confidence}</confidence>"


def test_the_reward_is_right_minus_the_squared_gap(recipe_of):
    recipe = recipe_of("rlcr")
    book = recipe.rulebook.only("correctness", "calibration")
    texts = [said("even", q) for q in ("1", "0.7", "0")] + [said("odd", q) for q in ("1", "0.7", "0")]
    scores = book.score(answers(*texts, task=recipe.task))
    np.testing.assert_allclose(scores.total, [1, 1 - 0.09, 0, -1, -0.49, 0])


def test_a_missing_confidence_is_the_worst_there_is(recipe_of):
    recipe = recipe_of("rlcr")
    text = "<think>hm</think><answer>even</answer>"
    scores = recipe.rulebook.score(answers(text, task=recipe.task))
    assert (scores.parts["correctness"][0], scores.parts["calibration"][0], scores.parts["format"][0]) == (0, -1, -1)


def test_prompt_layout_and_rules_all_ask_for_the_confidence(recipe_of):
    recipe = recipe_of("merf,rlcr")
    problem = next(recipe.task.problems())
    text = recipe.framing.frame(problem, recipe.rulebook, told=True).acting[0]["content"]
    assert isinstance(recipe.task.layout, ThinkAnswerConfidence)
    assert recipe.task.instruction in text
    assert "minus the squared gap" in text
    assert recipe_of("rlcr,merf").framing == recipe.framing


def test_without_weight_it_is_asked_for_and_neither_paid_nor_told(recipe_of):
    recipe = recipe_of("rlcr:weight=0")
    assert [part.name for part in recipe.rulebook] == ["correctness", "format"]
    assert isinstance(recipe.task.layout, ThinkAnswerConfidence)


def test_it_trains_and_evaluates_the_brier_score(trained, tmp_path):
    from merf.train import records

    steps = trained("rlcr")
    assert all(-1 <= step["rewards/calibration/mean"] <= 0 for step in steps)
    assert all(0 <= e["brier"] <= 1 for e in records.read(tmp_path / "evaluations.jsonl"))


def test_the_task_itself_is_left_alone(recipe_of):
    task = KnightsKnaves(people=(2, 2))
    assert recipe_of("rlcr", task=task).task.layout != task.layout


def test_what_cannot_go_together_is_refused_with_the_reason(recipe_of):
    with pytest.raises(ValueError, match="rlcr and grpo-lambda both decide what the rulebook's 'correctness' pays"):
        compose(recipe_of(), ["rlcr,grpo-lambda"])
    with pytest.raises(ValueError, match="rlcr can't be used with twenty-questions"):
        recipe_of("rlcr", task=TwentyQuestions())
