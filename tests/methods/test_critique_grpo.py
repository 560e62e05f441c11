"""Critique-GRPO: who joins the group, what was said to them, and how their tokens are weighed."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from merf import Response, ThinkAnswer
from merf.core.problem import Problem
from merf.core.progress import Progress
from merf.core.response import Verdict
from merf.core.sampling import Sample
from merf.objective.mixed import MixedPolicy, Regularised, plain
from merf.objective.policy_gradient import ClippedPolicyGradient
from merf.rollout.refined import AGAIN, Refined, indicative, with_solution
from merf.tasks.games import Maze
from merf.train.context import StepContext
from merf.train.parallel import World
from tests.methods.conftest import Evens
from tests.objective.test_policy_gradient import batch_of, make_batch

FIRST = ("Ann", "Bob a", "Cid is", "Eve", "knight", "knave", "Dora b", "Hal")
SECOND = ("Ann", "Bob", "Cid is", "Eve", "Gus", "Hal", "Ida", "Kate")
"""Even lengths are right: one right refinement for the first problem, one for the second."""


@pytest.fixture
def context(policy, recipe_of, monkeypatch):
    """A step of two problems with groups of four, in which the policy writes FIRST and then SECOND."""
    asked = []

    def sample(prompts, how, seeds, progress=None):
        asked.append(prompts)
        rows = [[*policy.tokenize(text), policy.tokenizer.eos_token_id] for text in (FIRST, SECOND)[len(asked) - 1]]
        return [Sample(row, [-0.5] * len(row), True, {"entropy": [0.1] * len(row)}) for row in rows]

    monkeypatch.setattr(policy, "sample", sample)
    recipe = recipe_of("critique-grpo", max_tokens=32)
    ctx = StepContext(recipe, policy, World())
    ctx.begin(Progress(0, 2))
    problems = list(islice(Evens().problems(), 2))
    return ctx, recipe.rollout.collect(problems, ctx), asked


def test_the_last_of_each_group_gives_way_to_its_right_refinement(context):
    _, rollouts, _ = context
    assert rollouts.texts == ["Ann", "Bob a", "Cid is", "Cid is", "knight", "knave", "Dora b", "Kate"]
    assert rollouts.source == ["policy", "policy", "policy", "refined"] * 2
    assert rollouts.group.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert list(rollouts.member) == [0, 1, 2, 3] * 2
    assert rollouts.trajectory.tolist() == list(range(8))


def test_refinements_are_asked_with_the_critique_and_learned_without_it(context):
    ctx, rollouts, asked = context
    first, second = asked
    for row, text in enumerate(FIRST):
        said = ctx.policy.chat.decode(second[row])
        assert text in said
        assert ("answer is right" if len(text) % 2 == 0 else "answer is wrong") in said
    for row in (3, 7):
        assert rollouts.learning[row] == first[row]
        assert rollouts.acting[row] in second


def test_the_baseline_is_the_mixed_groups_mean_and_nothing_divides(context):
    ctx, rollouts, _ = context
    advantages = ctx.recipe.credit(ctx.score(rollouts), rollouts)
    # Paid 2 if even, −1.5 if odd: −1.5, −1.5, 2, 2 and 2, −1.5, 2, 2.
    wanted = [-1.75, -1.75, 1.75, 1.75, 0.875, -2.625, 0.875, 0.875]
    assert np.allclose(advantages[:, 0].tolist(), wanted)


def test_critiques_say_what_is_known():
    problem = Problem("Who?", answer={"Ann": True}, meta={"solution": "Ann is a knight."})

    def response(text, verdict):
        return Response(problem, text, layout=ThinkAnswer(), verify=lambda p, a: verdict)

    wrong = response("<think>x</think><answer>y</answer>", Verdict(False, note="not one role each"))
    assert indicative(wrong) == f"Your answer is wrong (not one role each). {AGAIN}"
    assert "The right answer is: Ann is a knight." in with_solution(wrong)
    assert "<answer> is missing" in indicative(response("<think>x</think>", Verdict(True)))
    assert indicative(response("<think>x</think><answer>y</answer>", Verdict(None))) == AGAIN
    assert with_solution(replace(wrong, problem=Problem("Who?", answer=3))) == indicative(wrong)


def test_a_group_keeps_some_of_both():
    with pytest.raises(ValueError, match="at least 1 refinement"):
        Refined(Evens(), group_size=4, kept=4)


def test_mixed_objective_is_the_formula():
    parts = make_batch()
    source = ["policy", "refined", "policy", "teacher", "policy", "refined"]
    on = ClippedPolicyGradient(1.0, math.inf, aggregate="constant")
    total = 0.0
    for i, kind in enumerate(source):
        for t in range(int(parts["mask"][i].sum())):
            new, old = float(parts["logprobs"][i, t]), float(parts["old"][i, t])
            ratio = math.exp(new - old) if kind == "policy" else math.exp(new) / (math.exp(new) + 0.1)
            total -= ratio * float(parts["advantages"][i, t]) / (6 * 20)
    loss = MixedPolicy(on, Regularised(0.1))(batch_of(parts, source=source))
    assert float(loss.value) == pytest.approx(total, rel=1e-4)


def test_rare_tokens_move_most():
    probability = torch.tensor([0.001, 0.1, 0.9])
    logprobs = probability.log().requires_grad_()
    (slope,) = torch.autograd.grad(Regularised(0.1)(logprobs.exp()).sum(), logprobs)
    assert torch.allclose(slope, 0.1 * probability / (probability + 0.1) ** 2)
    assert slope.argmax() == 1
    assert plain(probability) is probability


def test_without_other_rows_it_is_the_policy_gradient():
    parts = make_batch()
    on = ClippedPolicyGradient()
    batch = batch_of(parts, source=["policy"] * 6)
    assert torch.equal(MixedPolicy(on)(batch).value, on(batch).value)


def test_two_steps(trained):
    steps = trained("critique-grpo:kept=2", max_tokens=8)
    assert all(0 < step["off_policy_probability"] < 1 for step in steps)


def test_it_wants_the_rollout_to_itself_and_answers_in_one_go(recipe_of):
    with pytest.raises(ValueError, match="delethink and critique-grpo both decide the credit"):
        recipe_of("delethink,critique-grpo")
    with pytest.raises(ValueError, match="played in turns"):
        recipe_of("critique-grpo", task=Maze(most=4))
