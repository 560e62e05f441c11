"""PSR, NSR and W-REINFORCE."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from merf.credit.sign import BySign
from tests.methods.conftest import answers

REWARD = np.array([1.0, -1.0, 1.0, 0.0, np.nan])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("psr", [1, 0, 1, 0, 0]),
        ("nsr", [0, -1, 0, 0, 0]),
        ("w-reinforce", [0.1, -1, 0.1, 0, 0]),
        ("w-reinforce:weight=0.5", [0.5, -1, 0.5, 0, 0]),
    ],
)
def test_the_sign_alone_decides(recipe_of, name, expected):
    np.testing.assert_array_equal(recipe_of(name).credit.advantages(REWARD), expected)


def test_groups_that_are_all_wrong_still_teach():
    np.testing.assert_array_equal(BySign(0, 1).advantages(np.full(4, -1.0)), np.full(4, -1.0))


def test_the_logits_move_as_the_papers_gradient_says():
    """−A log π of the sampled token v: PSR moves z_v by 1 − π_v, z_u by −π_u; NSR by the opposite."""
    for sign in (1.0, -1.0):
        logits = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
        probabilities = logits.detach().softmax(0)
        (-sign * logits.log_softmax(0)[1]).backward()
        expected = sign * (torch.tensor([0.0, 1.0, 0.0]) - probabilities)
        torch.testing.assert_close(-logits.grad, expected)


def test_right_or_not_is_all_that_is_paid_and_told(recipe_of):
    book = recipe_of("nsr").rulebook
    np.testing.assert_array_equal(book.score(answers("even", "odd")).total, [1, -1])
    assert [part.name for part in book] == ["correctness"]
    assert "+1 if the final answer is right; -1 if" in book.describe()


def test_nsr_trains_and_no_advantage_is_positive(trained):
    steps = trained("nsr")
    assert all(step["grad_norm"] > 0 for step in steps)


def test_a_baseline_of_another_kind_is_refused(recipe_of):
    with pytest.raises(ValueError, match="nsr and grpo both decide the credit"):
        recipe_of("nsr", "grpo")
    with pytest.raises(ValueError, match="weighed by 0"):
        recipe_of("w-reinforce:weight=-1")
