"""PRIME: token rewards from a reward model that learns alongside, and advantages made of them."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from merf.core.progress import Progress
from merf.judges.implicit import ImplicitRewards
from merf.methods.prime import ProcessAndOutcome
from merf.train.context import StepContext
from merf.train.loop import train
from merf.train.parallel import World
from merf.train.run import Run
from tests.methods.conftest import Evens


@pytest.fixture
def step(policy, recipe_of):
    """(judge, rollouts of two groups of four, their scores, the policy)."""
    recipe = recipe_of("prime")
    policy.freeze_reference()
    ctx = StepContext(recipe, policy, World())
    ctx.begin(Progress(0, 2))
    rollouts = recipe.rollout.collect(list(islice(Evens().problems(), 2)), ctx)
    scores = replace(ctx.score(rollouts), right=np.array([1, 0, 1, 0, 0, 0, 1, np.nan]))
    return recipe.judges[0], rollouts, scores, policy


def sums(scores, rollouts) -> np.ndarray:
    assert not scores.tokens[~rollouts.mask].any()
    return scores.tokens.sum(1).numpy()


def test_at_first_the_reward_model_is_the_reference_and_has_no_opinion(step):
    _, rollouts, scores, _ = step
    assert np.allclose(sums(scores, rollouts), 0, atol=1e-6)


def test_its_gradient_is_that_of_the_cross_entropy(step, monkeypatch):
    judge, rollouts, scores, policy = step
    with torch.no_grad():
        for weight in judge.model.parameters():
            weight.add_(0.01 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    judge.beta = 0.5
    scores = judge.judge(rollouts, scores, policy)
    assert np.abs(sums(scores, rollouts)).max() > 1e-3

    twin = copy.deepcopy(judge.model)
    responses = [rollouts.tokens[i, : int(n)].tolist() for i, n in enumerate(rollouts.lengths)]
    reference = torch.stack(
        [row.sum() for row in policy.token_logprobs(rollouts.learning, responses, policy.reference)]
    )
    loss = 0
    for rows, values, own in policy.scored(rollouts.learning, responses, twin):
        logit = 0.5 * ((values * own).sum(1) - reference[rows])
        right = torch.tensor(scores.right[rows])
        known = ~right.isnan()
        loss += (
            torch.nn.functional.binary_cross_entropy_with_logits(logit[known].double(), right[known], reduction="sum")
            / 7
        )
    loss.backward()
    monkeypatch.setattr(judge.optimizer, "step", lambda: None)
    monkeypatch.setattr(judge.optimizer, "zero_grad", lambda **how: None)
    facts = judge.update(rollouts, scores)
    assert facts["judge/loss"] == pytest.approx(float(loss.detach()), rel=1e-4)
    for ours, theirs in zip(judge.model.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-5)


def test_it_learns_to_tell_right_from_wrong_and_leaves_the_policy_alone(step):
    _, rollouts, scores, policy = step
    judge = ImplicitRewards(beta=0.5, lr=3e-3)
    before = [weight.clone() for weight in policy.model.parameters()]
    for _ in range(15):
        scores = judge.judge(rollouts, scores, policy)
        facts = judge.update(rollouts, scores)
    assert facts["judge/accuracy"] == 1
    found = sums(judge.judge(rollouts, scores, policy), rollouts)
    assert found[scores.right == 1].min() > found[scores.right == 0].max()
    assert all(torch.equal(a, b) for a, b in zip(before, policy.model.parameters(), strict=True))


def test_a_judge_that_is_stopped_goes_on_with_the_same_numbers(step):
    _, rollouts, scores, policy = step
    one, other = ImplicitRewards(lr=1e-3), ImplicitRewards(lr=1e-3)
    one.update(rollouts, one.judge(rollouts, scores, policy))
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert other.state_dict().keys() == one.state_dict().keys()  # saved again before it was used
    for judge in (one, other):
        judge.update(rollouts, judge.judge(rollouts, scores, policy))
    mine, theirs = (judge.judge(rollouts, scores, policy).tokens for judge in (one, other))
    assert torch.equal(mine, theirs)


def test_advantages_by_hand(step):
    _, rollouts, scores, _ = step
    rollouts = rollouts.select([0, 1, 2])
    width = rollouts.tokens.shape[1]
    mask = torch.zeros(3, width, dtype=torch.bool)
    mask[0, :3] = mask[1, :2] = mask[2, :1] = True
    tokens = torch.zeros(3, width)
    tokens[0, :3] = torch.tensor([0.3, -0.1, 0.4])
    tokens[1, :2] = torch.tensor([-0.2, 0.0])
    tokens[2, :1] = 0.5
    scores = replace(scores, total=np.array([1.0, 0.0, 0.0]), tokens=tokens, right=None)
    found = ProcessAndOutcome()(scores, replace(rollouts, mask=mask))
    # Means 0.2, −0.1, 0.5; of the others 0.2, 0.35, 0.05. Outcomes against the others 1, −0.5, −0.5.
    assert found[0, :3].tolist() == pytest.approx([1 + 0.1 - 0.3 + 0.2, 1 - 0.3 + 0.2, 1 + 0.2])
    assert found[1, :2].tolist() == pytest.approx([-0.5 - 0.55 - 0.35, -0.5 - 0.35])
    assert found[2, :1].tolist() == pytest.approx([-0.5 + 0.45])
    assert not found[~mask].any()


def test_groups_paid_alike_and_missing_rewards_get_nothing(step):
    _, rollouts, scores, _ = step
    scores = replace(scores, total=np.array([1.0, 1, 1, 1, 2, 0, np.nan, 0]), tokens=torch.ones(rollouts.mask.shape))
    found = ProcessAndOutcome()(scores, rollouts)
    assert not found[:4].any()
    assert not found[6].any()
    assert found[4].any()


def test_two_steps(trained):
    steps = trained("prime")
    assert steps[0]["judge/loss"] == pytest.approx(np.log(2), abs=1e-6)
    assert steps[1]["judge/loss"] != steps[0]["judge/loss"]


def test_an_interrupted_run_resumes_to_the_same_weights(policy, recipe_of, tmp_path):
    class Cut(Run):
        def before_step(self, progress, ctx):
            self.interrupted = self.interrupted or progress.step == 1

    def finish(folder, run=Run):
        model = copy.deepcopy(policy)
        recipe = recipe_of("prime", steps=3)
        train(recipe, model, run(folder))
        return [*model.model.parameters(), *recipe.judges[0].model.parameters()]

    straight = finish(tmp_path / "straight")
    finish(tmp_path / "broken", Cut)
    resumed = finish(tmp_path / "broken")
    assert all(torch.equal(a, b) for a, b in zip(straight, resumed, strict=True))


def test_what_can_not_work_is_refused(recipe_of, step):
    with pytest.raises(ValueError, match="grpo and prime both decide the credit"):
        recipe_of("grpo,prime")
    _, rollouts, scores, _ = step
    with pytest.raises(ValueError, match="needs a judge"):
        ProcessAndOutcome()(replace(scores, tokens=None), rollouts)


def test_without_beta_no_token_is_paid_and_the_outcome_is_left(trained):
    from merf.methods.registry import get

    assert get("prime").claims[0].arms[0] == "prime:beta=0"
    assert all(step["judge/loss"] == pytest.approx(np.log(2)) for step in trained("prime:beta=0"))
