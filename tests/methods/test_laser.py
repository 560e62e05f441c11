"""LaSeR: the token after the response, its loss, and what it is good for."""

from __future__ import annotations

import copy
from itertools import islice

import numpy as np
import pytest
import torch

from merf.core.progress import Progress
from merf.core.response import Response, Responses
from merf.core.seams import Loss
from merf.credit.blend import Blended
from merf.judges.last_token import LastToken, voted
from merf.methods.laser import SelfVerifying
from merf.policy.load import ModelError
from merf.tasks.games import Maze
from merf.train import records
from merf.train.context import StepContext
from merf.train.loop import train
from merf.train.parallel import World
from merf.train.run import Run
from tests.methods.conftest import Evens


class Nothing:
    """An objective without a loss of its own."""

    needs: frozenset[str] = frozenset()

    def __call__(self, batch):
        return Loss(batch.logprobs.sum() * 0)


@pytest.fixture
def step(policy, recipe_of):
    """(recipe, rollouts of two groups of four, their advantages, the policy), the judge ready."""
    recipe = recipe_of("laser:learn=0:mix=0")
    ctx = StepContext(recipe, policy, World())
    ctx.begin(Progress(0, 2))
    rollouts = recipe.rollout.collect(list(islice(Evens().problems(), 2)), ctx)
    judge = LastToken(beta=0.3)
    judge.constant, judge.steps = -7.0, 1
    objective = SelfVerifying(Nothing(), judge, alpha=0.5)
    return recipe.but(objective=objective), rollouts, torch.zeros(rollouts.mask.shape), policy


def by_hand(policy, rollouts, right) -> float:
    """The loss in NumPy, from log-probs read one response at a time."""
    token = policy.unwritten()
    total, n = 0.0, {1: int((right == 1).sum()), 0: int((right == 0).sum())}
    everybody = n[0] + n[1]
    for i, truth in enumerate(right):
        ids = rollouts.tokens[i, : int(rollouts.lengths[i])].tolist()
        (logprob,) = policy.logprobs([[*rollouts.learning[i], *ids]], [[token]])[0]
        if not np.isnan(truth):
            weight = everybody / (2 * n[int(truth)])
            total += weight * (0.3 * (logprob + 7.0) - truth) ** 2 / everybody
    return 0.5 * total


@pytest.mark.parametrize("tokens_per_batch", [16_384, 60])
def test_the_loss_is_the_formula_however_the_step_is_cut(step, tokens_per_batch):
    recipe, rollouts, nothing, policy = step
    policy.tokens_per_batch = tokens_per_batch
    right = np.array([1, 0, 0, 0, 1, np.nan, 0, 0])
    rollouts = rollouts.with_extras(right=torch.tensor(right)[:, None].float().expand(rollouts.mask.shape))
    batches = list(policy.batches(rollouts, nothing, recipe))
    assert (len(batches) > 1) == (tokens_per_batch == 60)
    loss = sum(recipe.objective(batch).value for batch in batches)
    assert float(loss.detach()) == pytest.approx(by_hand(policy, rollouts, right), rel=1e-4)


def test_its_gradient_is_that_of_the_formula(step):
    """Against finite differences of the hand-written loss along a random direction."""
    recipe, rollouts, nothing, policy = step
    right = rollouts.extras["right"][:, 0].numpy()
    assert 0 < right.sum() < 8  # some of both
    for batch in policy.batches(rollouts, nothing, recipe):
        recipe.objective(batch).value.backward()
    weights = list(policy.model.parameters())
    generator = torch.Generator().manual_seed(1)
    direction = [torch.randn(weight.shape, generator=generator) for weight in weights]
    slope = sum(float((weight.grad * way).sum()) for weight, way in zip(weights, direction, strict=True))

    def moved(size):
        with torch.no_grad():
            for weight, way in zip(weights, direction, strict=True):
                weight += size * way
        return by_hand(policy, rollouts, right)

    eps = 2e-4
    ahead = moved(eps)
    assert slope == pytest.approx((ahead - moved(-2 * eps)) / (2 * eps), rel=2e-2)


def test_the_policy_gradient_is_the_same_with_and_without_the_token(step):
    recipe, rollouts, _, policy = step
    plain = recipe.but(objective=Nothing())
    advantages = torch.ones(rollouts.mask.shape) * rollouts.mask
    (with_it,) = policy.batches(rollouts, advantages, recipe)
    (without,) = policy.batches(rollouts, advantages, plain)
    order = torch.argsort(with_it.rows), torch.argsort(without.rows)
    torch.testing.assert_close(with_it.logprobs[order[0]], without.logprobs[order[1]], atol=1e-5, rtol=0)
    assert without.probe is None
    assert with_it.probe.shape == (8,)


def test_learning_by_it_tells_right_from_wrong(step):
    recipe, rollouts, nothing, policy = step
    optimizer = torch.optim.Adam(policy.model.parameters(), lr=3e-3)
    for _ in range(40):
        for batch in policy.batches(rollouts, nothing, recipe):
            recipe.objective(batch).value.backward()
        optimizer.step()
        optimizer.zero_grad()
    ctx = StepContext(recipe_of_judges(recipe), policy, World())
    ctx.begin(Progress(1, 2))
    judge = recipe.objective.judge
    scores = judge.judge(rollouts, ctx.score(rollouts), policy)
    assert judge.update(rollouts, scores)["self/auroc"] == 1
    wanted = rollouts.extras["right"][:, 0].numpy()
    assert np.abs(scores.parts["self-reward"] - wanted).max() < 0.3


def recipe_of_judges(recipe):
    """The recipe without its own judge, whose constant a random model doesn't allow."""
    return recipe.but(judges=(RightOnly(),))


class RightOnly:
    """Nobody, but who is there is told what is right."""

    def judge(self, rollouts, scores, policy):
        return scores


def test_the_constant_is_the_first_steps_mean_and_a_common_token_is_refused(step):
    recipe, rollouts, _, policy = step
    ctx = StepContext(recipe_of_judges(recipe), policy, World())
    scores = ctx.score(rollouts)
    with pytest.raises(ValueError, match="name a rarer token, or take a larger beta"):
        LastToken(beta=0.01).judge(rollouts, scores, policy)
    judge = LastToken(beta=0.3)
    assert judge.judge(rollouts, scores, policy).parts["self-reward"].mean() == pytest.approx(0, abs=1e-6)
    again = copy.deepcopy(judge.state_dict())
    other = LastToken(beta=0.3)
    other.load_state_dict(again)
    assert (other.constant, other.steps) == (judge.constant, 1)


def test_a_token_is_found_or_named(policy):
    assert policy.unwritten() not in policy.stops
    assert policy.unwritten("<think>") == policy.tokenize("<think>")[0]
    with pytest.raises(ModelError, match="single token"):
        policy.unwritten("certainly right")


def test_advantages_are_mixed_by_hand():
    credit = Blended("self", share=0.25, spread=0.1)
    paid = np.array([1.0, 0, 0, 1, 0, 0, np.nan])
    said = np.array([0.5, 0.5, 0.2, 0.41, 0.40, 0.42, 0.9])
    group = np.array([0, 0, 0, 1, 1, 1, 1])
    found = credit.advantages(paid, said, group)

    def relative(values):
        return (values - values.mean()) / (values.std(ddof=1) + 1e-4)

    np.testing.assert_allclose(found[:3], 0.75 * relative(paid[:3]) + 0.25 * relative(said[:3]))
    np.testing.assert_allclose(found[3:6], relative(paid[3:6]))  # these three hardly differ
    assert found[6] == 0
    np.testing.assert_array_equal(credit.advantages(paid, None, group)[:3], relative(paid[:3]))


def test_votes_by_hand():
    problem = next(Evens().problems())
    items = [
        Response(problem, text, layout=Evens().layout, verify=Evens().verify)
        for text in ("odd", "odd", "even", "a", "bb", "")
    ]
    responses = Responses.of(items, [0, 0, 0, 1, 1, 2])
    assert voted(responses, np.ones(6)) == pytest.approx(0)  # odd, a (first of a tie), nobody
    assert voted(responses, np.array([0.1, 0.2, 0.9, 0.1, 0.5, 1])) == pytest.approx(2 / 3)


def test_two_steps_and_what_evaluations_say(trained, tmp_path):
    steps = trained("laser:beta=0.5:learn=0:mix=0")
    assert all(0 <= step["self/auroc"] <= 1 for step in steps if "self/auroc" in step)
    assert all(step["self/error"] > 0 for step in steps)
    found = list(records.read(tmp_path / "evaluations.jsonl"))
    assert all("self/weighted_vote" in evaluation for evaluation in found if evaluation["step"] == 2)
    for one in found:
        if one["step"] == 2:
            assert one["self/vote_gain"] == pytest.approx(one["self/weighted_vote"] - one["self/vote"])
    assert all("self/weighted_vote" not in evaluation for evaluation in found if evaluation["step"] == 0)


def test_before_its_warm_up_it_is_grpo(policy, recipe_of, tmp_path):
    def first(method):
        folder = tmp_path / method.partition(":")[0]
        train(recipe_of(method), copy.deepcopy(policy), Run(folder))
        return next(records.read(folder / "metrics.jsonl"))

    ours, theirs = first("laser:beta=0.5:learn=9:mix=9"), first("grpo")
    assert theirs["grad_norm"] > 0.01
    assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-4)
    assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-6)


def test_an_interrupted_run_resumes_to_the_same_weights(policy, recipe_of, tmp_path):
    class Cut(Run):
        def before_step(self, progress, ctx):
            self.interrupted = self.interrupted or progress.step == 1

    def finish(folder, run=Run):
        model = copy.deepcopy(policy)
        recipe = recipe_of("laser:beta=0.5:learn=0:mix=0", steps=3)
        train(recipe, model, run(folder))
        return list(model.model.parameters())

    straight = finish(tmp_path / "straight")
    finish(tmp_path / "broken", Cut)
    resumed = finish(tmp_path / "broken")
    assert all(torch.equal(a, b) for a, b in zip(straight, resumed, strict=True))


def test_what_can_not_work_is_refused(recipe_of):
    with pytest.raises(ValueError, match="grpo and laser both decide the credit"):
        recipe_of("grpo,laser")
    with pytest.raises(ValueError, match="played in turns"):
        recipe_of("laser", task=Maze(most=4))
    with pytest.raises(ValueError, match="beta lies above 0"):
        recipe_of("laser:beta=0")


def test_what_is_right_is_recorded_as_it_is_paid(step):
    recipe, rollouts, _, policy = step
    ctx = StepContext(recipe_of_judges(recipe), policy, World())
    paid = ctx.score(rollouts).total
    assert torch.equal(rollouts.extras["right"], torch.tensor(paid == 2)[:, None].float().expand(rollouts.mask.shape))
