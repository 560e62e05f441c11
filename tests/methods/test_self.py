"""SELF: problems that the policy solves greedily are left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from merf import Problem, Progress, Prompt
from merf.core.rollouts import Rollouts
from merf.core.sampling import Sampling
from merf.curriculum.unsolved import Unsolved
from merf.rollout.sampled import Sampled
from tests.methods.conftest import Evens

PROBLEMS = [Problem(name) for name in ("aa", "b", "cc", "d")]


class Echo:
    """A context whose policy says the question; even ones are right."""

    progress = Progress(0, 1)
    policy = None
    sampling = Sampling(temperature=1.0)

    def __init__(self):
        self.calls = []

    def frame(self, problem, member):
        return Prompt(problem.messages, problem.messages)

    def sample(self, problems, prompts, group, member, how=None):
        self.calls.append(((how or self.sampling).temperature, [problem.prompt for problem in problems]))
        n = len(problems)
        return Rollouts(
            problems=problems,
            prompts=prompts,
            acting=[[0]] * n,
            learning=[[0]] * n,
            tokens=torch.zeros(n, 1, dtype=torch.long),
            mask=torch.ones(n, 1, dtype=torch.bool),
            logprobs=torch.zeros(n, 1),
            lengths=torch.ones(n, dtype=torch.long),
            texts=[problem.prompt for problem in problems],
            finished=[True] * n,
            group=np.array(group),
            member=list(member),
            trajectory=np.arange(n),
            source=["policy"] * n,
        )


def test_only_problems_whose_greedy_response_is_wrong_are_sampled_and_keep_their_numbers():
    ctx = Echo()
    rollouts = Unsolved(Evens(), Sampled(2)).collect(PROBLEMS, ctx)
    assert ctx.calls == [(0.0, ["aa", "b", "cc", "d"]), (1.0, ["b", "b", "d", "d"])]
    assert rollouts.group.tolist() == [1, 1, 3, 3]
    assert rollouts.mask.all()


def test_if_all_are_solved_nothing_reaches_the_gradient():
    rollouts = Unsolved(Evens(), Sampled(2)).collect([PROBLEMS[0], PROBLEMS[2]], Echo())
    assert len(rollouts) == 2
    assert not rollouts.mask.any()


def test_it_trains_in_front_of_the_ordinary_rollout(trained):
    assert all(step["grad_norm"] >= 0 for step in trained("grpo,self"))


def test_two_that_decide_the_rollout_are_refused(recipe_of):
    with pytest.raises(ValueError, match="self and self both decide the rollout"):
        recipe_of("self", "self")


def test_it_asks_the_bare_question_where_half_of_a_group_is_told(recipe_of):
    recipe = recipe_of("self,merf:exposure=half")
    prompt = recipe.framing(PROBLEMS[0], recipe.rollout.member, recipe.group_size, Progress(0, 2), recipe.rulebook)
    assert recipe.rollout.member == recipe.group_size - 1
    assert prompt.exposure == 0
