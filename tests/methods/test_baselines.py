"""GRPO, Dr. GRPO, Lite-PPO and DAPO: the switches that tell them apart."""

from __future__ import annotations

import numpy as np
import pytest

from merf import Response, Responses
from merf.credit.group import GroupRelative
from merf.methods.registry import compose, get

REWARD = np.array([2.0, 0.0, 0.0, 2.0, 1.0, 1.0, 1.0, 0.0])
GROUP = np.array([0, 0, 0, 0, 1, 1, 1, 1])
MEAN = np.repeat([1.0, 0.75], 4)


@pytest.mark.parametrize(
    ("name", "spread", "aggregate", "clip_high"),
    [
        ("grpo", np.repeat([REWARD[:4].std(ddof=1), REWARD[4:].std(ddof=1)], 4) + 1e-4, "sequence", 0.2),
        ("dr-grpo", np.ones(8), "constant", 0.2),
        ("lite-ppo", np.full(8, REWARD.std(ddof=1) + 1e-4), "token", 0.2),
        ("dapo", np.repeat([REWARD[:4].std(ddof=1), REWARD[4:].std(ddof=1)], 4) + 1e-4, "token", 0.28),
    ],
)
def test_each_divides_averages_and_clips_as_its_paper_does(recipe_of, name, spread, aggregate, clip_high):
    recipe = recipe_of(name)
    assert isinstance(recipe.credit, GroupRelative)
    np.testing.assert_allclose(recipe.credit.advantages(REWARD, GROUP), (REWARD - MEAN) / spread)
    assert (recipe.objective.aggregate, recipe.objective.clip_low) == (aggregate, 0.2)
    assert recipe.objective.clip_high == clip_high


@pytest.mark.parametrize("name", ["grpo", "dr-grpo", "lite-ppo", "dapo"])
def test_groups_of_equal_rewards_teach_nothing(recipe_of, name):
    assert not recipe_of(name).credit.advantages(np.full(4, 0.3), np.zeros(4, int)).any()


def test_dapo_charges_for_the_last_stretch_before_the_limit_and_says_so(recipe_of):
    book = recipe_of("dapo", max_tokens=20480).rulebook
    assert "falls in a straight line over 4096 tokens, to -1 at 20480 tokens" in book.describe()
    problem = next(recipe_of().task.problems())
    texts = Responses.of([Response(problem, "text", tokens) for tokens in (16384, 18432, 20480)])
    np.testing.assert_allclose(book.only("overlong").score(texts).total, [0, -0.5, -1])


def test_dapo_trains(trained):
    steps = trained("dapo")
    assert all(-1 <= step["rewards/overlong/mean"] <= 0 for step in steps)


def test_two_that_decide_the_objective_are_refused(recipe_of):
    with pytest.raises(ValueError, match="grpo and dapo both decide the credit"):
        recipe_of("grpo,dapo")


def test_parameters_are_read_from_the_expression(recipe_of):
    recipe = recipe_of("grpo:kl=0.001:aggregate=token")
    assert (recipe.objective.kl, recipe.objective.aggregate) == (0.001, "token")
    assert "reference" in recipe.objective.needs
    with pytest.raises(ValueError, match="must be one of token, sequence, constant"):
        compose(recipe, ["grpo:aggregate=word"])


@pytest.mark.parametrize("name", ["grpo", "dapo"])
def test_the_clip_can_act_only_with_several_updates(recipe_of, name):
    assert recipe_of(name).minibatches == 1
    assert recipe_of(f"{name}:updates=4").minibatches == 4


@pytest.mark.parametrize(("name", "moves"), [("dapo", False), ("dapo:updates=2", True)])
def test_ratios_leave_one_with_several_updates_a_step_alone(trained, name, moves):
    assert any(abs(step["approx_kl"]) > 1e-4 for step in trained(name)) == moves


def test_methods_that_start_from_zero_or_one_are_compared_with_that(recipe_of):
    plain = recipe_of("grpo,sar:alpha=0").rulebook
    assert plain.range == (0, 1)
    assert plain.describe() == plain.only("correctness").describe()
    for name in ("grpo-lambda", "pear", "sar"):
        assert {claim.arms[0] for claim in get(name).claims} == {"grpo,sar:alpha=0"}
