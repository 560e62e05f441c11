"""Micro-batches, precision and memory: what changes cost, and what must never change the result."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.train.conftest import BOOK

from merf.core.recipe import AdamW
from merf.core.sampling import Sampling
from merf.policy.logprobs import token_logprobs
from merf.policy.policy import Policy
from merf.tasks.knights_knaves import KnightsKnaves
from merf.train.build import build_recipe
from merf.train.context import StepContext
from merf.train.learner import Learner, TrainingStopped
from merf.train.options import ObjectiveOptions, TrainOptions
from merf.train.parallel import World

OPTIONS = TrainOptions(
    people=(2, 2),
    problems=4,
    group_size=4,
    max_tokens=20,
    optimizer=AdamW(lr=1e-3),
    objective=ObjectiveOptions(kl=0.02),
)
TASK = KnightsKnaves(people=(2, 2))


@pytest.fixture
def step(policy):
    """One step up to its advantages."""
    recipe = build_recipe(OPTIONS, TASK, BOOK)
    policy.freeze_reference()
    ctx = StepContext(recipe, policy, World())
    problems = recipe.curriculum.draw(4, ctx.progress)
    rollouts = recipe.rollout.collect(problems, ctx)
    return recipe, rollouts, recipe.credit(ctx.score(rollouts), rollouts)


def gradient(policy, recipe, rollouts, advantages, order=None) -> tuple[float, dict]:
    loss = 0.0
    for batch in policy.batches(rollouts, advantages, recipe, order):
        share = recipe.objective(batch).value
        share.backward()
        loss += share.item()
    found = {name: p.grad.clone() for name, p in policy.model.named_parameters() if p.grad is not None}
    policy.model.zero_grad(set_to_none=True)
    return loss, found


def assert_same_gradient(ours, theirs, tolerance=1e-5):
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert (ours[name] - theirs[name]).norm() <= tolerance * theirs[name].norm() + 1e-9, name


@pytest.mark.parametrize("aggregate", ["token", "sequence", "constant"])
@pytest.mark.parametrize("budget", [1, 200, 700])
def test_loss_and_gradient_do_not_depend_on_the_token_budget(policy, step, aggregate, budget):
    recipe, rollouts, advantages = step
    recipe = recipe.but(objective=replace(recipe.objective, aggregate=aggregate))
    loss, whole = gradient(policy, recipe, rollouts, advantages)
    policy.tokens_per_batch = budget
    pieces_loss, pieces = gradient(policy, recipe, rollouts, advantages)
    assert pieces_loss == pytest.approx(loss, abs=1e-6)
    assert_same_gradient(pieces, whole)


def test_loss_and_gradient_do_not_depend_on_row_order(policy, step):
    recipe, rollouts, advantages = step
    loss, straight = gradient(policy, recipe, rollouts, advantages, list(range(16)))
    again, shuffled = gradient(policy, recipe, rollouts, advantages, list(range(16))[::-1])
    assert again == pytest.approx(loss, abs=1e-6)
    assert_same_gradient(shuffled, straight)


def test_groups_without_advantage_never_reach_the_model(policy, step, monkeypatch):
    recipe, rollouts, advantages = step
    recipe = recipe.but(objective=replace(recipe.objective, kl=0.0))
    advantages = advantages.clone()
    advantages[:8] = 0
    seen: list[int] = []
    real = policy._score

    def watched(model, prompts, responses, wanted, needs=frozenset()):
        seen.append(len(responses))
        return real(model, prompts, responses, wanted, needs)

    monkeypatch.setattr(policy, "_score", watched)
    batches = list(policy.batches(rollouts, advantages, recipe))
    assert sum(seen) <= 8
    assert all((batch.rows >= 8).all() for batch in batches)
    assert all(batch.tokens == int(rollouts.mask.sum()) for batch in batches)


def test_the_ratio_is_exactly_one_at_the_first_update(policy, step):
    recipe, rollouts, advantages = step
    for batch in policy.batches(rollouts, advantages, recipe):
        assert torch.equal(batch.old, batch.logprobs.detach())
    for batch in policy.batches(rollouts, advantages, recipe, old=rollouts.logprobs):
        assert (batch.old - batch.logprobs).abs()[batch.mask].max() < 1e-5


def test_temperature_is_in_every_logprob_pass(policy):
    """At T = 0.7 sampler, scorer, reference and update agree, so the ratio is one."""
    recipe = build_recipe(replace(OPTIONS, temperature=0.7), TASK, BOOK)
    policy.temperature = 0.7
    policy.freeze_reference()
    ctx = StepContext(recipe, policy, World())
    rollouts = recipe.rollout.collect(recipe.curriculum.draw(4, ctx.progress), ctx)
    advantages = rollouts.mask.float()
    again = policy.padded_logprobs(rollouts)
    assert (again - rollouts.logprobs).abs()[rollouts.mask].max() < 1e-5
    for batch in policy.batches(rollouts, advantages, recipe, old=rollouts.logprobs):
        assert (batch.logprobs - batch.old).abs()[batch.mask].max() < 1e-5
        assert (batch.reference - batch.old).abs()[batch.mask].max() < 1e-5


def test_the_end_token_is_trained_on_even_where_it_is_also_the_padding(lab_tokenizer, model_of):
    tokenizer = copy.deepcopy(lab_tokenizer)
    tokenizer.pad_token = tokenizer.eos_token
    policy = Policy(model_of("llama", len(tokenizer), eos_token_id=tokenizer.eos_token_id), tokenizer)
    policy.stops |= set(range(20, 120))
    recipe = build_recipe(OPTIONS, TASK, BOOK)
    ctx = StepContext(recipe, policy, World())
    rollouts = recipe.rollout.collect(recipe.curriculum.draw(4, ctx.progress), ctx)
    ended = [i for i, finished in enumerate(rollouts.finished) if finished]
    assert ended
    for i in ended:
        last = int(rollouts.lengths[i]) - 1
        assert int(rollouts.tokens[i, last]) in policy.stops
        assert bool(rollouts.mask[i, last])
        assert not rollouts.mask[i, last + 1 :].any()


def test_a_problem_drawn_twice_makes_two_groups(policy):
    recipe = build_recipe(OPTIONS, TASK, BOOK)
    ctx = StepContext(recipe, policy, World())
    problem = recipe.curriculum.draw(1, ctx.progress)[0]
    rollouts = recipe.rollout.collect([problem, problem], ctx)
    assert rollouts.group.tolist() == [0] * 4 + [1] * 4
    assert len(set(rollouts.texts)) > 4


def test_logprobs_and_entropies_in_chunks_equal_those_at_once(policy, monkeypatch):
    from merf.policy import logprobs

    hidden = torch.randn(37, 64, requires_grad=True)
    targets = torch.randint(0, 50, (37,))
    found = []
    for chunk in (2**23, 50 * policy.model.config.vocab_size):
        monkeypatch.setattr(logprobs, "CHUNK", chunk)
        values, entropy = token_logprobs(policy.model, hidden, targets, 0.8, entropy=True)
        (values.sum() + entropy.sum()).backward()
        found.append((values.detach(), entropy.detach(), hidden.grad.clone()))
        hidden.grad = None
    monkeypatch.setattr(logprobs, "CHUNK", 5 * policy.model.config.vocab_size)
    values, entropy = token_logprobs(policy.model, hidden, targets, 0.8, entropy=True)
    (values.sum() + entropy.sum()).backward()
    found.append((values.detach(), entropy.detach(), hidden.grad.clone()))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_gradient_checkpointing_changes_nothing_but_memory(policy, step):
    recipe, rollouts, advantages = step
    _, plain = gradient(policy, recipe, rollouts, advantages)
    policy.save_memory()
    _, saved = gradient(policy, recipe, rollouts, advantages)
    assert_same_gradient(saved, plain, 1e-6)


def test_mixed_precision_is_close_and_keeps_weights_and_gradients_in_float32(policy, step):
    recipe, rollouts, advantages = step
    _, full = gradient(policy, recipe, rollouts, advantages)
    policy.precision = torch.bfloat16
    _, mixed = gradient(policy, recipe, rollouts, advantages)
    assert all(p.dtype == torch.float32 for p in policy.model.parameters())
    ours = torch.cat([g.flatten() for g in mixed.values()])
    theirs = torch.cat([full[name].flatten() for name in mixed])
    assert torch.nn.functional.cosine_similarity(ours, theirs, dim=0) > 0.98
    samples = policy.sample([[40, 50, 60]] * 4, Sampling(max_tokens=10), [0, 1, 2, 3])
    expected = policy.token_logprobs([[40, 50, 60]] * 4, [s.tokens for s in samples])
    for sample, row in zip(samples, expected, strict=True):
        assert np.allclose(sample.logprobs, row, atol=0.15)


def test_out_of_memory_halves_the_budget_once_and_then_says_what_to_change(policy, step, monkeypatch, caplog):
    recipe, rollouts, advantages = step
    _, expected = gradient(policy, recipe, rollouts, advantages)
    learner = Learner(policy, recipe.optimizer, World())
    real, failures = policy._score, [1]

    def tight(*args, **kwargs):
        if failures:
            failures.pop()
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(*args, **kwargs)

    monkeypatch.setattr(policy, "_score", tight)
    (whole,) = policy._cut(rollouts.learning, [[0] * int(n) for n in rollouts.lengths])
    assert len(whole) == len(rollouts)
    budget = policy.largest_batch
    assert budget < policy.tokens_per_batch
    learner.accumulate(lambda: policy.batches(rollouts, advantages, recipe), recipe.objective)
    found = {name: p.grad.clone() for name, p in policy.model.named_parameters() if p.grad is not None}
    assert_same_gradient(found, expected)
    assert policy.tokens_per_batch == budget // 2
    assert len([*policy._cut(rollouts.learning, [[0] * int(n) for n in rollouts.lengths])]) > 1
    assert "out of memory" in caplog.text
    failures[:] = [1, 1]
    with pytest.raises(TrainingStopped, match="--gradient-checkpointing"):
        learner.accumulate(lambda: policy.batches(rollouts, advantages, recipe), recipe.objective)


def test_out_of_memory_while_sampling_halves_the_rows_and_changes_no_response(policy, step, monkeypatch, caplog):
    recipe, rollouts, _ = step
    ctx = StepContext(recipe, policy, World())
    problems = build_recipe(OPTIONS, TASK, BOOK).curriculum.draw(4, ctx.progress)
    real, most, asked = policy.sample, [8], []

    def tight(prompts, how, seeds, progress):
        asked.append(how.max_rows)
        if min(len(prompts), how.max_rows) > most[0]:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(prompts, how, seeds, progress)

    monkeypatch.setattr(policy, "sample", tight)
    again = recipe.rollout.collect(problems, ctx)
    assert asked == [512, 8]
    assert "sampling 8 responses at a time instead of 16" in caplog.text
    assert torch.equal(again.tokens, rollouts.tokens)
    torch.testing.assert_close(again.logprobs, rollouts.logprobs, atol=1e-5, rtol=0)
    most[0] = 3
    with pytest.raises(TrainingStopped, match="even with 4 responses sampled at a time: lower --max-tokens"):
        recipe.rollout.collect(problems, ctx)


def test_prompts_and_responses_of_very_different_lengths_keep_their_places(policy):
    prompts = [[30 + i] * (1 + 13 * i) for i in range(5)]
    responses = [[40 + i] * (1 + 7 * (4 - i)) for i in range(5)]
    together = policy.token_logprobs(prompts, responses)
    for prompt, response, row in zip(prompts, responses, together, strict=True):
        alone = policy.token_logprobs([prompt], [response])[0]
        torch.testing.assert_close(row, alone, atol=1e-5, rtol=0)
    assert policy.token_logprobs([[1, 2]], [[]])[0].shape == (0,)
