"""Metis-SPECS: pairs that differ by one rule, a cold start that prefers, and then rewards."""

from __future__ import annotations

import copy
import math
from itertools import islice
from random import Random

import numpy as np
import pytest
import torch

from merf import Concise, Correct, Format, Response, Rulebook, ThinkAnswer
from merf.core.progress import Progress
from merf.core.recipe import AdamW
from merf.lab.bases import resolve
from merf.lab.worlds import knights
from merf.methods.registry import compose
from merf.policy.policy import Policy
from merf.rollout.preferred import EDITS, ColdStart, broken_rules
from merf.tasks.games import Maze
from merf.train import records
from merf.train.build import build_recipe
from merf.train.context import StepContext
from merf.train.loop import train
from merf.train.options import MotivationOptions, TrainOptions
from merf.train.parallel import World
from merf.train.run import Run

TASK = knights.task((2, 2))
OPTIONS = TrainOptions(
    steps=4,
    problems=2,
    group_size=4,
    max_tokens=120,
    optimizer=AdamW(lr=1e-3),
    motivation=MotivationOptions(exposure="always"),
)


@pytest.fixture(scope="module")
def base():
    return Policy.load(resolve("lab:knights"))


def recipe_of(text: str = "specs:start=0.5", **changes):
    return compose(build_recipe(TrainOptions(**{**vars(OPTIONS), **changes}), TASK), [text])


def right(thinking: str = "If Ann lies. Then Bob does.") -> Response:
    problem = next(TASK.problems())
    text = ThinkAnswer().render(thinking, problem.meta["solution"])
    return Response(problem, text, layout=ThinkAnswer(), verify=TASK.verify)


def test_what_an_edit_breaks_is_what_the_rules_say():
    rules = list(Rulebook(Correct(1, 0, 0), Format(0.5, 0), Concise(20, 1, 0)))
    response = right()
    short = ThinkAnswer().render("", response.answer)
    assert broken_rules(rules, response, short) == set()
    assert broken_rules(rules, response, response.text + " so") == {"format"}
    assert broken_rules(rules, response, ThinkAnswer().render("so " * 30, response.answer)) == {"length"}
    assert broken_rules(rules, response, ThinkAnswer().render("so", "Ann is a knave.")) == {"correctness"}
    assert broken_rules(rules, response, response.text.replace(response.answer, "")) == {"correctness"}


def test_edits_break_rules_one_at_a_time_and_leave_the_answer_alone():
    book = Rulebook(Correct(1, 0, 0), Format(0.5, 0), Concise(20, 1, 0))
    rules, response, seen = list(book), right("so " * 10), set()
    start = ColdStart(rollout=None, rulebook=book, steps=1)
    for seed in range(60):
        text = start.broken(rules, response, Random(seed))
        (name,) = broken_rules(rules, response, text)
        assert response.answer in text
        seen.add((name, text))
    assert {name for name, _ in seen} == {"format", "length"}
    assert len(seen) > 8
    only = ColdStart(rollout=None, rulebook=book, steps=1, only="length")
    assert broken_rules(rules, response, only.broken(rules, response, Random(0))) == {"length"}


def test_edits_are_total():
    for text in ("", "<think>", "</answer><answer>", "Ann", "#### \\boxed{"):
        response = Response(next(TASK.problems()), text, layout=ThinkAnswer(), verify=TASK.verify)
        assert all(isinstance(edit(response, Random(seed)), str) for edit in EDITS for seed in range(5))


@pytest.fixture
def step(base):
    """(recipe, rollouts of a step of the cold start, context)."""
    policy = copy.deepcopy(base)
    policy.freeze_reference()
    recipe = recipe_of(group_size=6, problems=3)
    ctx = StepContext(recipe, policy, World())
    ctx.begin(Progress(0, 4))
    return recipe, recipe.rollout.collect(list(islice(TASK.problems(), 3)), ctx), ctx


def test_pairs_are_two_texts_after_one_prompt_and_everything_else_is_silent(step):
    recipe, rollouts, ctx = step
    pair = rollouts.extras["pair"]
    numbers = pair.abs().amax(1).long()
    assert numbers.max() >= 3
    assert not rollouts.mask.any()
    for p in range(1, int(numbers.max()) + 1):
        better, worse = sorted(np.flatnonzero(numbers == p), key=lambda row: -float(pair[row, 0]))
        assert rollouts.learning[better] == rollouts.learning[worse]
        assert rollouts.group[better] == rollouts.group[worse]
        texts = [rollouts.texts[row] for row in (better, worse)]
        rows = [i for i in rollouts.first_rows() if rollouts.texts[i] == texts[0]]
        response = ctx.responses(rollouts)[int(rollouts.trajectory[rows[0]])]
        assert response.verdict.correct
        assert broken_rules(list(recipe.rulebook), response, texts[1]) == {"format"}
        for row in (better, worse):
            length = int(rollouts.lengths[row])
            ids = rollouts.tokens[row, :length].tolist()
            assert ids[-1] in ctx.policy.stops
            assert bool((pair[row, :length] != 0).all())
            assert not pair[row, length:].any()
            expected = ctx.policy.logprobs([rollouts.learning[row]], [ids], "reference")[0]
            np.testing.assert_allclose(rollouts.extras["reference"][row, :length], expected, atol=1e-4)


def test_the_loss_of_a_fresh_policy_and_its_gradient(step):
    """While policy and reference agree the loss is log 2, and its gradient −β/2 Σ (∇log π(y⁺) − ∇log π(y⁻))."""
    recipe, rollouts, ctx = step
    policy, objective = ctx.policy, recipe.objective
    policy.tokens_per_batch = 500
    batches = list(policy.batches(rollouts, torch.zeros(rollouts.mask.shape), recipe))
    assert len(batches) > 1
    pairs = int((rollouts.extras["pair"] > 0).any(1).sum())
    losses = [objective(batch).value for batch in batches]
    shares = [float((batch.extras["pair"] > 0).any(1).sum()) / pairs for batch in batches]
    liked = [
        (batch.logprobs * (batch.extras["pair"] > 0)).sum(1) / (batch.extras["pair"] > 0).sum(1).clamp_min(1)
        for batch in batches
    ]
    for loss, share, mean in zip(losses, shares, liked, strict=True):
        assert float(loss.detach()) == pytest.approx(
            share * math.log(2) - 0.1 * float(mean.sum().detach()) / pairs, abs=1e-4
        )
    sum(losses).backward()
    found = torch.cat([p.grad.flatten() for p in policy.model.parameters() if p.grad is not None])
    policy.model.zero_grad()
    by_hand = 0
    for batch in policy.batches(rollouts, torch.zeros(rollouts.mask.shape), recipe):
        sign = batch.extras["pair"].sign()
        better = (sign > 0).float()
        by_hand -= 0.1 / 2 * (sign * batch.logprobs).sum() / pairs
        by_hand -= 0.1 * ((better * batch.logprobs).sum(1) / better.sum(1).clamp_min(1)).sum() / pairs
    by_hand.backward()
    wanted = torch.cat([p.grad.flatten() for p in policy.model.parameters() if p.grad is not None])
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-3)


def test_it_prefers_first_and_is_rewarded_then(base, tmp_path):
    policy = copy.deepcopy(base)
    recipe = recipe_of()
    train(recipe, policy, Run(tmp_path))
    cold, _, warm, last = records.read(tmp_path / "metrics.jsonl")
    assert cold["grad_norm"] > 0
    assert cold["approx_kl"] == 0  # nothing is counted
    assert "+0.5 if the response is exactly" in recipe.rulebook.describe()
    assert all(math.isfinite(step["loss"]) for step in (cold, warm, last))
    ctx = StepContext(recipe, policy, World())
    ctx.begin(Progress(2, 4))
    rollouts = recipe.rollout.collect(list(islice(TASK.problems(), 1)), ctx)
    assert "pair" not in rollouts.extras
    assert rollouts.mask.any()


def test_the_cold_start_widens_the_gap_between_the_two(step):
    recipe, rollouts, ctx = step
    policy = ctx.policy
    optimizer = torch.optim.Adam(policy.model.parameters(), lr=3e-4)

    def loss_of_a_pass():
        total = 0.0
        for batch in policy.batches(rollouts, torch.zeros(rollouts.mask.shape), recipe):
            loss = recipe.objective(batch).value
            loss.backward()
            total += float(loss.detach())
        optimizer.step()
        optimizer.zero_grad()
        return total

    losses = [loss_of_a_pass() for _ in range(8)]
    assert losses[-1] < losses[0] - 0.3


def test_an_interrupted_cold_start_resumes_to_the_same_weights(base, tmp_path):
    class Cut(Run):
        def before_step(self, progress, ctx):
            self.interrupted = self.interrupted or progress.step == 1

    def finish(folder, run=Run):
        model = copy.deepcopy(base)
        train(recipe_of(steps=3), model, run(folder))
        return list(model.model.parameters())

    straight = finish(tmp_path / "straight")
    finish(tmp_path / "broken", Cut)
    resumed = finish(tmp_path / "broken")
    assert all(torch.equal(a, b) for a, b in zip(straight, resumed, strict=True))


def test_what_can_not_work_is_refused():
    with pytest.raises(ValueError, match="grpo and specs both decide the credit"):
        recipe_of("grpo,specs")
    with pytest.raises(KeyError, match="did you mean 'format'"):
        recipe_of("specs:broken=formt")
    with pytest.raises(ValueError, match="a share of the run"):
        recipe_of("specs:start=2")
    with pytest.raises(ValueError, match="played in turns"):
        compose(build_recipe(OPTIONS, Maze(most=4)), ["specs"])
