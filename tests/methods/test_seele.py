"""SEELE: the item-response curve, hints that follow it, and what of them is learned."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from merf import Plain, ThinkAnswer, Verdict
from merf.core.progress import Progress
from merf.core.sampling import Sample
from merf.objective.imitation import Imitating
from merf.objective.policy_gradient import ClippedPolicyGradient
from merf.rollout.hinted import Hinted, Item, beginning, pieces
from merf.rollout.item_response import ItemResponse
from merf.tasks.games import Maze
from merf.train.context import StepContext
from merf.train.parallel import World
from tests.methods.conftest import Evens
from tests.objective.test_policy_gradient import batch_of, make_batch

SOLUTION = "Ann is a knight and Bob is a knave."


@dataclass(frozen=True)
class Solved(Evens):
    """Evens whose problems have a solution of nine words; "knave" twice in the answer is right."""

    def problems(self, split="train", seed=0):
        for problem in super().problems(split, seed):
            yield replace(problem, meta={"solution": SOLUTION})

    def verify(self, problem, answer):
        return Verdict(correct=answer.count("knave") == 2)


def test_the_curve_and_its_inverse_by_hand():
    assert ItemResponse(10, -0.5, 0).rate(0.5) == pytest.approx(0.5)
    assert ItemResponse(10, -0.5, 0.2).rate(0.5) == pytest.approx(0.5 - math.log(0.8 / 0.3 - 1) / 10)
    assert float(ItemResponse(10, -0.5, 0.2)(0.5)) == pytest.approx(0.6)
    assert ItemResponse(10, -0.5, 0.5).rate(0.5) == 0  # guessing alone reaches the target
    assert ItemResponse(10, -1.5, 0).rate(0.5) == 1  # more than the whole solution would be needed
    assert ItemResponse(10, 0.5, 0).rate(0.5) == 0


@given(st.floats(1, 40), st.floats(-0.9, -0.1), st.floats(0, 0.4), st.floats(0.45, 0.95))
def test_the_inverse_undoes_the_curve_inside_its_range(k, mu, b, accuracy):
    curve = ItemResponse(k, mu, b)
    rate = curve.rate(accuracy)
    if 0 < rate < 1:
        assert float(curve(rate)) == pytest.approx(accuracy, abs=1e-6)


def test_a_fit_finds_the_curve_it_was_drawn_from():
    truth = ItemResponse(8, -0.4, 0.1)
    rates = np.linspace(0, 1, 9)
    found = ItemResponse.fit(rates, truth(rates))
    assert np.allclose(found(rates), truth(rates), atol=1e-3)
    assert found.rate(0.5) == pytest.approx(truth.rate(0.5), abs=1e-2)


def test_accuracies_at_equal_rates_are_averaged():
    assert ItemResponse.fit([0.2, 0.7, 0.7], [0, 1, 0.5]) == ItemResponse.fit([0.2, 0.7], [0, 0.75])


def test_too_many_right_answers_ask_for_less_help_and_too_few_for_more():
    def after(*seen):
        item = Item(None, list(range(1, 9)), [rate for rate, _ in seen], [accuracy for _, accuracy in seen])
        return item.next_rate(0.5)

    assert after() == 7 / 8
    assert after((7 / 8, 1.0)) < 7 / 8
    assert after((7 / 8, 0.0)) > 7 / 8
    assert 0.25 < after((0.25, 0.0), (0.75, 1.0)) < 0.75


def test_solutions_are_cut_after_steps_or_words():
    assert pieces("One. Two!\nThree") == [4, 9, 15]
    assert [SOLUTION[:end] for end in pieces(SOLUTION)][:2] == ["Ann ", "Ann is "]
    assert pieces("") == []
    item = Item(next(Solved().problems()), pieces(SOLUTION))
    assert [item.hint(rate) for rate in (0, 0.25, 1)] == ["", "Ann is", SOLUTION]
    assert beginning(ThinkAnswer(), "Ann is") == "<think>Ann is"
    assert beginning(Plain(), "Ann is") == "Ann is"
    assert beginning(ThinkAnswer(), "") == ""


@pytest.fixture
def context(policy, recipe_of, monkeypatch):
    """A policy that says "knave" until there are two of them if it was shown five words, and nothing otherwise."""

    def sample(prompts, how, seeds, progress=None):
        out = []
        for prompt in prompts:
            said = policy.chat.decode(prompt)
            enough = "knight and" in said
            text = " knave" * (2 - said.count("knave")) if enough else ""
            row = [*policy.tokenize(text), policy.tokenizer.eos_token_id]
            out.append(Sample(row, [-0.5] * len(row), True, {"entropy": [0.1] * len(row)}))
        return out

    monkeypatch.setattr(policy, "sample", sample)
    recipe = recipe_of("seele", task=Solved(), group_size=8, max_tokens=32)
    ctx = StepContext(recipe, policy, World())
    ctx.begin(Progress(0, 2))
    return ctx, recipe.rollout.collect(list(islice(Solved().problems(), 2)), ctx)


def test_rounds_close_in_on_where_the_problem_tips(context):
    ctx, rollouts = context
    attempts = rollouts.first_rows()
    group = [row for row in attempts if rollouts.group[row] == 0]
    shown = [len(rollouts.prompts[row].prefill.split()) for row in group]
    assert [rollouts.member[row] for row in group] == list(range(8))
    assert shown[:2] == [8, 8]
    assert shown[2] < 8
    assert [a == b for a, b in zip(shown[::2], shown[1::2], strict=True)] == [True] * 4
    right = [response.verdict.correct for response in ctx.responses(rollouts)][:8]
    assert right == [words >= 5 for words in shown]
    for row in group:
        assert rollouts.texts[row].startswith(rollouts.prompts[row].prefill)
        assert rollouts.acting[row] is rollouts.learning[row]


def test_hints_are_rows_to_be_imitated_after_the_bare_prompt(context):
    ctx, rollouts = context
    hints = np.flatnonzero(rollouts.trajectory == -1)
    assert len(hints)
    bare = ctx.policy.encode(ctx.frame(rollouts.problems[0], 0).learning).ids
    for row in hints:
        assert SOLUTION.startswith(rollouts.texts[row].strip())
        assert rollouts.learning[row] == bare or rollouts.group[row] == 1
        assert not rollouts.mask[row].any()
        length = int(rollouts.lengths[row])
        assert rollouts.extras["imitate"][row, :length].tolist() == [2.0] * length  # two responses per round
        assert not rollouts.extras["imitate"][row, length:].any()
    assert not rollouts.extras["imitate"][rollouts.first_rows()].any()
    assert len(ctx.score(rollouts).total) == 16


def test_imitation_is_a_weighted_log_likelihood_over_the_steps_responses():
    parts = make_batch()
    weights = torch.arange(6.0)[:, None] * parts["mask"]
    inner = ClippedPolicyGradient()
    batch = batch_of(parts, extras={"imitate": weights})
    wanted = inner(batch).value - 0.3 * (weights * parts["logprobs"]).sum() / 6
    assert torch.allclose(Imitating(inner, 0.3)(batch).value, wanted)
    assert torch.equal(Imitating(inner)(batch_of(parts)).value, inner(batch).value)


def test_two_steps(trained):
    steps = trained("seele:rounds=2:gamma=0.1", task=Solved())
    assert steps[0]["grad_norm"] > 0


def test_what_it_needs_is_asked_for(recipe_of):
    with pytest.raises(ValueError, match="has none: use another task"):
        recipe_of("seele")
    with pytest.raises(ValueError, match="multiple of the rounds"):
        recipe_of("seele:rounds=3", task=Solved())
    with pytest.raises(ValueError, match="lies between 0 and 1"):
        Hinted(Solved(), 4, 2, target=1)
    with pytest.raises(ValueError, match="played in turns"):
        recipe_of("seele", task=Maze(most=4))
    with pytest.raises(ValueError, match="both decide the credit"):
        recipe_of("delethink,seele", task=Solved())
