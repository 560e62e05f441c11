"""The training loop."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

import numpy as np
from torch import Tensor

from merf.core.progress import Progress
from merf.core.recipe import Recipe
from merf.core.rollouts import Rollouts
from merf.core.seeds import derive
from merf.policy.policy import Policy
from merf.train.context import StepContext
from merf.train.learner import Learner
from merf.train.measure import Tally, step_metrics
from merf.train.parallel import World
from merf.train.run import Run


def train(recipe: Recipe, policy: Policy, run: Run, world: World | None = None) -> None:
    """Train `policy` by `recipe`, from wherever `run` stands to its last step."""
    world = world or World()
    ctx = StepContext(recipe, policy, world, run.tokens)
    learner = Learner(policy, recipe.optimizer, world)
    policy.temperature = recipe.sampling.temperature
    if recipe.reference or "reference" in recipe.objective.needs:
        policy.freeze_reference()
    first = run.restore(ctx, learner)

    for step in range(first, recipe.steps):
        progress = Progress(step, recipe.steps)
        ctx.begin(progress)
        run.before_step(progress, ctx)
        problems = recipe.curriculum.draw(recipe.problems, progress)
        rollouts, mine = world.pool(recipe.rollout.collect(world.share(problems), ctx))
        scores = ctx.score(rollouts)
        rollouts = without_truncated(rollouts, recipe)
        advantages = recipe.credit(scores, rollouts)  # [N, T]

        tally = Tally()
        old = old_logprobs(recipe, policy, rollouts)
        for rows in updates(recipe, rollouts, step):
            batches = partial(policy.batches, rollouts, advantages, recipe, rows, mine, old)
            tally.include(learner.accumulate(batches, recipe.objective))
            tally.updated(learner.step(progress))

        recipe.curriculum.observe(problems, scores)
        for judge in recipe.judges:
            tally.updated(judge.update(rollouts, scores))
        run.after_step(
            progress, rollouts, scores, step_metrics(rollouts, scores, advantages, tally, world), ctx, learner
        )
        if run.interrupted:
            break
    run.finish(ctx, learner)


def without_truncated(rollouts: Rollouts, recipe: Recipe) -> Rollouts:
    """With truncated="masked", responses that were cut off leave the gradient (but not the baseline)."""
    if recipe.truncated != "masked":
        return rollouts
    return rollouts.masked(np.array(rollouts.finished))


def old_logprobs(recipe: Recipe, policy: Policy, rollouts: Rollouts) -> Tensor | None:
    """What ratios are taken against, [N, T]. None stands for the policy itself, exact for a single update.

    The sampler's own log-probs serve where they are those of the policy: for the prompt that is learned from, and of
    the whole distribution.
    """
    if recipe.minibatches * recipe.epochs == 1:
        return None
    how = recipe.sampling
    if rollouts.on_policy and not how.truncated and not how.processors:
        return rollouts.logprobs
    return policy.padded_logprobs(rollouts)


def updates(recipe: Recipe, rollouts: Rollouts, step: int) -> Iterator[list[int]]:
    """The rows of each optimiser step: whole groups, shuffled anew in every epoch."""
    groups = [int(g) for g in np.unique(rollouts.group)]
    for epoch in range(recipe.epochs):
        if recipe.minibatches * recipe.epochs > 1:
            Random(derive(recipe.seed, "shuffle", step, epoch)).shuffle(groups)
        for part in np.array_split(groups, recipe.minibatches):
            yield np.flatnonzero(np.isin(rollouts.group, part)).tolist()
