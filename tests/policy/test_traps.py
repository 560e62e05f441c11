"""Known traps of reinforcement finetuning, by name: each has cost somebody a run.

Others stand beside what they are about: token budgets, temperature and padding in test_learning.py, equal rewards
and missing ones in tests/credit, cuts of a step and the KL's formulas in tests/objective, tool output and
re-tokenisation in tests/rollout/test_played.py, exact resumption in tests/train.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.policy.test_sampler import random_prompts
from tests.train.conftest import BOOK

from merf.core.response import Scores
from merf.core.sampling import Sampling
from merf.core.seams import Batch
from merf.credit.group import GroupRelative
from merf.objective.policy_gradient import ClippedPolicyGradient
from merf.policy.policy import Policy
from merf.policy.sampler import truncate
from merf.policy.tree import Tree
from merf.tasks.knights_knaves import KnightsKnaves
from merf.train.build import build_recipe
from merf.train.context import StepContext
from merf.train.loop import old_logprobs, updates, without_truncated
from merf.train.options import TrainOptions
from merf.train.parallel import World

TASK = KnightsKnaves(people=(2, 2))
OPTIONS = TrainOptions(people=(2, 2), problems=4, group_size=4, max_tokens=12)


@pytest.fixture
def step(policy):
    """A recipe and rollouts of which some end by themselves and some are cut off."""
    policy.stops |= set(range(20, 60))
    recipe = build_recipe(OPTIONS, TASK, BOOK)
    ctx = StepContext(recipe, policy, World())
    rollouts = recipe.rollout.collect(recipe.curriculum.draw(4, ctx.progress), ctx)
    assert 0 < sum(rollouts.finished) < len(rollouts)
    return recipe, rollouts


# End tokens and padding


def test_padding_that_is_also_an_end_token_changes_no_number(lab_tokenizer, model_of):
    """Masks come from lengths, never from token values."""
    end = lab_tokenizer.eos_token_id
    found = []
    for pad in (0, end):
        tokenizer = copy.deepcopy(lab_tokenizer)
        tokenizer.pad_token_id = pad
        policy = Policy(model_of("llama", len(tokenizer), eos_token_id=end), tokenizer)
        policy.stops |= set(range(20, 60))
        recipe = build_recipe(OPTIONS, TASK, BOOK)
        ctx = StepContext(recipe, policy, World())
        rollouts = recipe.rollout.collect(recipe.curriculum.draw(4, ctx.progress), ctx)
        batches = list(policy.batches(rollouts, rollouts.mask.float(), recipe))
        found.append((rollouts, torch.cat([batch.logprobs[batch.mask] for batch in batches]), batches[0].tokens))
    (a, ours, tokens), (b, theirs, others) = found
    assert torch.equal(a.tokens, b.tokens)
    assert torch.equal(a.mask, b.mask)
    assert tokens == others == int(a.lengths.sum())
    torch.testing.assert_close(ours, theirs)


def test_every_one_of_several_end_tokens_ends_a_response_and_is_trained_on(lab_tokenizer, model_of):
    model = model_of("llama", len(lab_tokenizer), eos_token_id=lab_tokenizer.eos_token_id)
    model.generation_config.eos_token_id = [*range(20, 60)]
    policy = Policy(model, lab_tokenizer)
    assert policy.stops == {lab_tokenizer.eos_token_id, *range(20, 60)}
    recipe = build_recipe(replace(OPTIONS, problems=8), TASK, BOOK)
    ctx = StepContext(recipe, policy, World())
    rollouts = recipe.rollout.collect(recipe.curriculum.draw(8, ctx.progress), ctx)
    ends = set()
    for i in np.flatnonzero(rollouts.finished):
        ids = rollouts.tokens[i, : int(rollouts.lengths[i])].tolist()
        assert not policy.stops & set(ids[:-1])
        assert bool(rollouts.mask[i, len(ids) - 1])
        assert rollouts.texts[i] == lab_tokenizer.decode(ids[:-1])
        ends.add(ids[-1])
    assert len(ends) > 1


def test_the_end_token_has_a_part_in_the_gradient(policy, step):
    recipe, rollouts = step
    row = rollouts.finished.index(True)
    last = int(rollouts.lengths[row]) - 1
    only = torch.zeros_like(rollouts.mask, dtype=torch.float32)
    only[row, last] = 1.0
    for batch in policy.batches(rollouts, only, recipe):
        recipe.objective(batch).value.backward()
    assert float(policy.model.get_output_embeddings().weight.grad[int(rollouts.tokens[row, last])].norm()) > 0


# Which distribution log-probs are of


TRUNCATIONS = [{"top_p": 0.7}, {"top_k": 9}, {"min_p": 0.05}, {"processors": (lambda logits, so_far: logits / 2,)}]


@pytest.mark.parametrize("how", TRUNCATIONS, ids=lambda how: next(iter(how)))
def test_truncated_sampling_neither_hides_its_distribution_nor_enters_the_ratio(policy, how):
    """Recorded is what was sampled from, renormalised. Ratios are of whole distributions, so they begin at one."""
    sampling = Sampling(max_tokens=10, temperature=0.9, **how)
    recipe = build_recipe(replace(OPTIONS, temperature=0.9), TASK, BOOK).but(sampling=sampling, minibatches=2)
    policy.temperature = 0.9
    ctx = StepContext(recipe, policy, World())
    rollouts = recipe.rollout.collect(recipe.curriculum.draw(4, ctx.progress), ctx)
    policy.model.eval()
    for i in range(4):
        prompt, said = rollouts.acting[i], rollouts.tokens[i, : int(rollouts.lengths[i])]
        logits = policy.model(torch.tensor([prompt + said.tolist()])).logits[0, len(prompt) - 1 : -1].detach()
        for process in sampling.processors:
            logits = process(logits, [])
        sampled_from = truncate((logits / 0.9).log_softmax(-1), sampling).gather(1, said[:, None])[:, 0]
        torch.testing.assert_close(rollouts.logprobs[i, : len(said)], sampled_from, atol=1e-4, rtol=0)

    old = old_logprobs(recipe, policy, rollouts)
    assert (old - rollouts.logprobs)[rollouts.mask].abs().max() > 0.01
    for batch in policy.batches(rollouts, rollouts.mask.float(), recipe, old=old):
        assert (batch.logprobs - batch.old).abs()[batch.mask].max() < 1e-5


# Who counts where


@pytest.mark.parametrize("truncated", ["unreadable", "masked", "as-is"])
def test_who_counts_when_responses_are_cut_off(policy, step, truncated):
    """Cut-off responses always count in their group's baseline. With "masked" they leave loss and denominator;
    otherwise they count there as well."""
    recipe, rollouts = step
    recipe = recipe.but(truncated=truncated)
    reward = np.where(rollouts.finished, 1.0, 0.0)
    shown = without_truncated(rollouts, recipe)
    advantages = GroupRelative(scale="none")(Scores(reward, {"all": reward}, [""] * len(reward)), shown)
    for i, finished in enumerate(rollouts.finished):
        baseline = reward[rollouts.group == rollouts.group[i]].mean()
        inside = finished or truncated != "masked"
        expected = (reward[i] - baseline) * inside
        assert advantages[i, : int(rollouts.lengths[i])].unique().tolist() == pytest.approx([expected])

    counting = [i for i, finished in enumerate(rollouts.finished) if finished or truncated != "masked"]
    batches = list(policy.batches(shown, torch.ones_like(advantages), recipe))
    assert sorted(torch.cat([batch.rows for batch in batches]).tolist()) == counting
    assert {batch.tokens for batch in batches} == {int(rollouts.lengths[counting].sum())}
    assert {batch.sequences for batch in batches} == {len(counting)}


def test_a_cut_off_response_has_no_end_token_and_says_so_to_the_rules(policy, step):
    recipe, rollouts = step
    for truncated, told in (("unreadable", False), ("masked", False), ("as-is", True)):
        ctx = StepContext(recipe.but(truncated=truncated), policy, World())
        responses = ctx.responses(rollouts)
        for i in np.flatnonzero(~np.array(rollouts.finished)):
            assert int(rollouts.tokens[i, int(rollouts.lengths[i]) - 1]) not in policy.stops
            assert responses[int(i)].finished is told


def test_groups_are_draws_and_never_equal_texts(policy):
    """The same problem drawn twice is compared within each draw alone."""
    recipe = build_recipe(OPTIONS, TASK, BOOK)
    ctx = StepContext(recipe, policy, World())
    problem = recipe.curriculum.draw(1, ctx.progress)[0]
    rollouts = recipe.rollout.collect([problem, problem], ctx)
    assert rollouts.acting[0] == rollouts.acting[4]
    reward = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    advantages = GroupRelative(scale="none")(Scores(reward, {"all": reward}, [""] * 8), rollouts)[:, 0]
    assert advantages.tolist() == pytest.approx([-0.25, -0.25, -0.25, 0.75, 0.25, 0.25, 0.25, -0.75])
    for rows in updates(recipe.but(minibatches=2), rollouts, 0):
        assert len(np.unique(rollouts.group[rows])) == 1
        assert len(rows) == 4


@pytest.mark.parametrize("noise", [0.0, 1e-17, 1e-9])
def test_rewards_that_are_almost_equal_never_make_large_advantages(noise):
    """Equality is asked of the rewards themselves: the deviation of 0.1 + 0.2, thrice, isn't zero."""
    reward = np.array([0.1 + 0.2, 0.3, 0.3 + noise, 0.3])
    for scale in ("group", "batch", "none"):
        assert np.abs(GroupRelative(scale=scale).advantages(reward, np.zeros(4, int))).max() < 1e-3
    same = np.full(4, 0.1) + np.full(4, 0.2)
    assert (GroupRelative().advantages(same, np.zeros(4, int)) == 0).all()


# Positions


def test_positions_count_from_each_sequences_own_first_token():
    tree = Tree.grow([[1] * 20 + [2, 3], [1] * 20 + [4]], [[5, 6, 7], [8]], [0, 1], prefix=20)
    spoken = [tree.positions[row][own].tolist() for row, own in zip(tree.index, tree.own, strict=True)]
    assert spoken == [[22, 23, 24], [21]]
    assert tree.positions[:20].tolist() == list(range(20))


def gpt2():
    """A model whose positions are learned one by one, so that a position off by one shows at once."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=100, n_positions=128, n_embd=48, n_layer=2, n_head=4, initializer_range=0.2)
    ).eval()


def test_left_padding_does_not_move_positions(lab_tokenizer):
    """Prompts of very different lengths, padded on the left for sampling and on the right for scoring."""
    model = gpt2()
    policy = Policy(model, lab_tokenizer)
    policy.shares = False
    prompts = [prompt[: 1 + 11 * i] for i, prompt in enumerate(random_prompts(3, prefix=30))]
    samples = policy.sample(prompts, Sampling(max_tokens=8), [0, 1, 2])
    scored = policy.token_logprobs(prompts, [sample.tokens for sample in samples])
    for prompt, sample, row in zip(prompts, samples, scored, strict=True):
        ids = torch.tensor([prompt + sample.tokens])
        logits = model.eval()(ids).logits[0, len(prompt) - 1 : -1]
        alone = logits.log_softmax(-1).gather(1, torch.tensor(sample.tokens)[:, None])[:, 0].detach()
        torch.testing.assert_close(torch.tensor(sample.logprobs), alone, atol=1e-5, rtol=0)
        torch.testing.assert_close(row, alone, atol=1e-5, rtol=0)


# The KL term


def expected_gradient(estimator: str) -> torch.Tensor:
    """The gradient of the KL term in a policy's logits, its expectation over all tokens taken exactly."""
    logits = torch.tensor([0.3, -0.5, 1.1, 0.2], dtype=torch.float64, requires_grad=True)
    everything = logits.log_softmax(-1)
    weights = everything.detach().exp()
    reference = REFERENCE.log_softmax(-1)
    total = torch.zeros((), dtype=torch.float64)
    for token in range(4):
        logprob = everything[token].view(1, 1)
        batch = Batch(
            logprobs=logprob,
            old=logprob.detach(),
            advantages=torch.zeros(1, 1, dtype=torch.float64),
            mask=torch.ones(1, 1, dtype=torch.bool),
            rows=torch.zeros(1, dtype=torch.long),
            lengths=torch.ones(1, dtype=torch.long),
            tokens=1,
            sequences=1,
            limit=1,
            reference=reference[token].view(1, 1),
        )
        total = total + weights[token] * ClippedPolicyGradient(kl=1.0, kl_estimator=estimator)(batch).value
    total.backward()
    return logits.grad


REFERENCE = torch.tensor([1.0, 0.4, -0.2, 0.1], dtype=torch.float64)


def exact_gradient() -> torch.Tensor:
    logits = torch.tensor([0.3, -0.5, 1.1, 0.2], dtype=torch.float64, requires_grad=True)
    logprobs = logits.log_softmax(-1)
    (logprobs.exp() * (logprobs - REFERENCE.log_softmax(-1))).sum().backward()
    return logits.grad


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3-ratio"])
def test_estimators_whose_gradient_is_that_of_the_kl(estimator):
    """k1 acts in the advantages; k2, and k3 weighted with the ratio, in the loss."""
    torch.testing.assert_close(expected_gradient(estimator), exact_gradient(), atol=1e-7, rtol=1e-6)


def test_k3_in_the_loss_follows_another_gradient_than_its_value_says():
    """Its value is the KL's, its gradient that of the KL the other way round: π − π_ref in the logits."""
    own = torch.tensor([0.3, -0.5, 1.1, 0.2], dtype=torch.float64).softmax(-1)
    torch.testing.assert_close(expected_gradient("k3"), own - REFERENCE.softmax(-1), atol=1e-7, rtol=1e-6)
    assert (expected_gradient("k3") - exact_gradient()).abs().max() > 0.05


def test_k1_never_enters_the_clip_of_the_ratio_as_a_loss():
    """In the loss k1's expected gradient is zero; as part of the advantage it is multiplied by the ratio."""
    for estimator, ratio in itertools.product(("k1",), (0.9, 1.0, 1.1)):
        logprobs = torch.full((1, 1), -1.0, requires_grad=True)
        batch = Batch(
            logprobs=logprobs,
            old=logprobs.detach() - float(np.log(ratio)),
            advantages=torch.zeros(1, 1),
            mask=torch.ones(1, 1, dtype=torch.bool),
            rows=torch.zeros(1, dtype=torch.long),
            lengths=torch.ones(1, dtype=torch.long),
            tokens=1,
            sequences=1,
            limit=1,
            reference=torch.full((1, 1), -3.0),
        )
        ClippedPolicyGradient(kl=0.5, kl_estimator=estimator)(batch).value.backward()
        penalty = 0.5 * (float(batch.old) + 3.0)
        assert float(logprobs.grad) == pytest.approx(penalty * ratio, rel=1e-5)
