"""Delethink: chunks, what is carried over into them, and traces that count once however they are cut."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from merf.core.progress import Progress
from merf.core.sampling import Sample
from merf.methods.registry import compose
from merf.objective.policy_gradient import ClippedPolicyGradient
from merf.rollout.chunked import Chunked
from merf.tasks.games import Maze
from merf.train.context import StepContext
from merf.train.parallel import World
from tests.objective.test_policy_gradient import batch_of, make_batch

TEXTS = (
    "Ann is a knight, so Bob is a knave and Cid tells the truth; therefore Dora is a knave as well.",
    "Bob is a knave.",
    "Ann is a knight. " * 20,
)


@pytest.fixture
def written(policy, monkeypatch):
    """What the policy writes, in tokens, whatever it is asked; and what it was asked, in order."""
    ids = [[*policy.tokenize(text), policy.tokenizer.eos_token_id] for text in TEXTS]
    places = [0, 0, 0]
    asked: list[list[list[int]]] = []

    def sample(prompts, how, seeds, progress=None):
        asked.append(prompts)
        out = []
        for i in [i for i in range(3) if places[i] < len(ids[i])]:
            piece = ids[i][places[i] : places[i] + how.max_tokens]
            places[i] += len(piece)
            out.append(Sample(piece, [-0.5] * len(piece), places[i] == len(ids[i]), {"entropy": [0.1] * len(piece)}))
        assert len(out) == len(prompts)
        return out

    monkeypatch.setattr(policy, "sample", sample)
    return ids, asked


def collected(recipe_of, policy, rollout: Chunked, limit: int):
    recipe = recipe_of("merf").but(rollout=rollout, group_size=3)
    ctx = StepContext(recipe.but(sampling=replace(recipe.sampling, max_tokens=limit)), policy, World())
    ctx.begin(Progress(0, 2))
    return rollout.collect([next(recipe.task.problems())], ctx), ctx


def test_chunks_see_the_question_the_beginning_and_the_end_of_the_chunk_before(recipe_of, policy, written):
    ids, asked = written
    rollouts, _ = collected(recipe_of, policy, Chunked(3, chunk=10, carry=4, header=2), limit=30)
    question = asked[0][0]
    long = ids[0]
    rows = rollouts.attempts()[0]
    segments = [rollouts.tokens[row, : int(rollouts.lengths[row])].tolist() for row in rows]
    assert [token for segment in segments for token in segment] == long[:30]
    assert list(map(len, segments))[:2] == [10, min(6, len(long) - 10)]
    for before, row in pairwise(rows):
        tail = rollouts.tokens[before, : int(rollouts.lengths[before])].tolist()[-4:]
        assert rollouts.learning[row] == question + long[:2] + tail
        assert rollouts.acting[row] is rollouts.learning[row]
    assert max(len(a) + int(n) for a, n in zip(rollouts.acting, rollouts.lengths, strict=True)) <= len(question) + 12


def test_a_trace_is_scored_once_on_all_that_was_written(recipe_of, policy, written):
    ids, _ = written
    rollouts, ctx = collected(recipe_of, policy, Chunked(3, chunk=10, carry=4, header=2), limit=30)
    responses = ctx.responses(rollouts)
    assert [r.text for r in responses] == [
        policy.chat.decode(row[:30], policy.stops if len(row) <= 30 else frozenset()) for row in ids
    ]
    assert [r.tokens for r in responses] == [min(len(row), 30) for row in ids]
    assert rollouts.trajectory.tolist() == sorted(rollouts.trajectory.tolist())
    # All segments of a trace know whether it came to an end.
    for rows in rollouts.attempts():
        assert {rollouts.finished[row] for row in rows} == {sum(int(rollouts.lengths[row]) for row in rows) < 30}


def test_every_segment_has_its_traces_advantage_and_the_trace_its_length(recipe_of, policy, written):
    rollouts, ctx = collected(recipe_of, policy, Chunked(3, chunk=10, carry=4, header=2), limit=30)
    recipe = compose(recipe_of("merf").but(sampling=replace(ctx.sampling, max_tokens=30)), ["delethink"])
    scores = replace(ctx.score(rollouts), total=np.array([1.0, 0.0, 2.0]))
    advantages = recipe.credit(scores, rollouts)
    for number, wanted in enumerate([0.0, -1.0, 1.0]):
        for row in np.flatnonzero(rollouts.trajectory == number):
            values = advantages[row][rollouts.mask[row]]
            assert torch.allclose(values, torch.full_like(values, wanted), atol=1e-3)
    whole = [sum(int(rollouts.lengths[row]) for row in rows) for rows in rollouts.attempts()]
    for batch in policy.batches(rollouts, advantages, recipe):
        assert batch.sequences == 3
        assert batch.lengths.tolist() == [whole[rollouts.trajectory[row]] for row in batch.rows.tolist()]


def test_cutting_a_trace_in_two_leaves_its_loss_alone():
    objective = ClippedPolicyGradient(aggregate="sequence")
    parts = {name: value[:, :8] for name, value in make_batch(width=8).items()}
    parts["mask"] = torch.ones_like(parts["mask"])
    whole = objective(batch_of(parts)).value
    cut = {name: value.reshape(12, 4) for name, value in parts.items()}
    assert torch.allclose(objective(batch_of(cut, lengths=torch.full((12,), 8), sequences=6)).value, whole)


def test_chunks_that_can_add_nothing_are_refused(recipe_of):
    with pytest.raises(ValueError, match="raise the length limit"):
        Chunked(4, chunk=4, carry=4, header=0)
    with pytest.raises(ValueError, match="something new"):
        Chunked(4, chunk=8, carry=4, header=5)
    with pytest.raises(ValueError, match="played in turns"):
        recipe_of("delethink", task=Maze(most=4))
    with pytest.raises(ValueError, match="both decide the credit"):
        recipe_of("grpo,delethink")


def test_two_steps(trained, recipe_of):
    assert recipe_of("delethink", max_tokens=24).rollout == Chunked(4, chunk=8, carry=4, header=0)
    steps = trained("delethink", max_tokens=24)
    assert all(8 < step["completions/max_length"] <= 24 for step in steps)
    assert steps[0]["grad_norm"] > 0
