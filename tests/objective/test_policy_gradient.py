"""The loss against plain NumPy, and its independence of how a step is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from merf.core.seams import Batch
from merf.objective.policy_gradient import ClippedPolicyGradient


def make_batch(n=6, width=9, seed=0) -> dict:
    g = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, width + 1, (n,), generator=g)
    mask = torch.arange(width) < lengths[:, None]
    logprobs = -torch.rand(n, width, generator=g)
    return {
        "logprobs": logprobs,
        "old": logprobs + 0.4 * torch.randn(n, width, generator=g),
        "reference": logprobs + 0.2 * torch.randn(n, width, generator=g),
        "advantages": torch.randn(n, 1, generator=g).expand(n, width) * mask,
        "mask": mask,
    }


def batch_of(parts: dict, rows: list[int] | slice = slice(None), width: int | None = None, **changes) -> Batch:
    numbers = list(range(len(parts["mask"])))[rows] if isinstance(rows, slice) else rows
    cut = {name: value[numbers][:, :width] for name, value in parts.items()}
    mask = parts["mask"]
    counts = {"lengths": mask.sum(1)[numbers], "tokens": int(mask.sum()), "sequences": len(mask), "limit": 20}
    return Batch(**cut, rows=torch.tensor(numbers), **{**counts, **changes})


def numpy_loss(parts, aggregate, low, high, beta=0.0, estimator="k3", dual=None) -> float:
    total, n = 0.0, len(parts["mask"])
    tokens = int(parts["mask"].sum())
    for i in range(n):
        length = int(parts["mask"][i].sum())
        for t in range(length):
            new, old = float(parts["logprobs"][i, t]), float(parts["old"][i, t])
            ref, a = float(parts["reference"][i, t]), float(parts["advantages"][i, t])
            ratio = np.exp(new - old)
            gain = min(ratio * a, np.clip(ratio, 1 - low, 1 + high) * a)
            if dual is not None and a < 0:
                gain = max(gain, dual * a)
            d = ref - new
            kl = np.exp(d) - 1 - d if estimator == "k3" else d * d / 2
            weight = {"token": 1 / tokens, "sequence": 1 / (n * length), "constant": 1 / (n * 20)}[aggregate]
            total += weight * (-gain + beta * kl)
    return total


@pytest.mark.parametrize("aggregate", ["token", "sequence", "constant"])
@pytest.mark.parametrize(
    "how",
    [
        {"clip_low": 0.2, "clip_high": 0.2},
        {"clip_low": 0.2, "clip_high": 0.28},
        {"clip_low": 0.1, "clip_high": 0.3, "kl": 0.05},
        {"kl": 0.1, "kl_estimator": "k2"},
        {"dual": 1.5},
    ],
)
def test_the_loss_equals_the_formula(aggregate, how):
    parts = make_batch()
    ours = ClippedPolicyGradient(aggregate=aggregate, **how)(batch_of(parts)).value
    theirs = numpy_loss(
        parts,
        aggregate,
        how.get("clip_low", 0.2),
        how.get("clip_high", 0.2),
        how.get("kl", 0.0),
        how.get("kl_estimator", "k3"),
        how.get("dual"),
    )
    assert float(ours) == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("aggregate", ["token", "sequence", "constant"])
@pytest.mark.parametrize("cut", [[[0, 1, 2], [3, 4, 5]], [[5], [0, 3], [1, 2, 4]], [[0], [1], [2], [3], [4], [5]]])
def test_loss_and_gradient_do_not_depend_on_how_the_step_is_cut(aggregate, cut):
    objective = ClippedPolicyGradient(aggregate=aggregate, kl=0.1)

    def total(rows_of_batches, width=None):
        parts = make_batch()
        parts["logprobs"].requires_grad_()
        loss = sum(objective(batch_of(parts, rows, width)).value for rows in rows_of_batches)
        loss.backward()
        return loss.item(), parts["logprobs"].grad

    whole, whole_gradient = total([list(range(6))])
    pieces, pieces_gradient = total(cut)
    assert pieces == pytest.approx(whole, abs=1e-6)
    torch.testing.assert_close(pieces_gradient, whole_gradient, atol=1e-6, rtol=0)


def test_padding_has_no_part_in_the_loss():
    parts = make_batch()
    objective = ClippedPolicyGradient(kl=0.1)
    before = objective(batch_of(parts)).value
    for name in ("logprobs", "old", "reference", "advantages"):
        parts[name] = torch.where(parts["mask"], parts[name], torch.full_like(parts[name], 3.0))
    torch.testing.assert_close(objective(batch_of(parts)).value, before)


def test_on_policy_gradient_is_the_advantage_weighted_score():
    """With ρ = 1 the gradient of the loss in every log-prob is −A / tokens."""
    parts = make_batch()
    parts["old"] = parts["logprobs"].clone()
    parts["logprobs"].requires_grad_()
    ClippedPolicyGradient()(batch_of(parts)).value.backward()
    expected = -parts["advantages"] / parts["mask"].sum() * parts["mask"]
    torch.testing.assert_close(parts["logprobs"].grad, expected)


@pytest.mark.parametrize("estimator", ["k2", "k3"])
def test_the_gradient_of_the_kl_term_pulls_towards_the_reference(estimator):
    parts = make_batch()
    parts["advantages"] = torch.zeros_like(parts["advantages"])
    parts["old"] = parts["logprobs"].clone()
    parts["logprobs"].requires_grad_()
    ClippedPolicyGradient(kl=1.0, kl_estimator=estimator)(batch_of(parts)).value.backward()
    step = -parts["logprobs"].grad[parts["mask"]]
    towards = (parts["reference"] - parts["logprobs"].detach())[parts["mask"]]
    assert (torch.sign(step) == torch.sign(towards)).all()


def test_what_the_objective_needs_follows_from_its_terms():
    assert ClippedPolicyGradient().needs == frozenset()
    assert ClippedPolicyGradient(kl=0.1).needs == {"reference"}
    assert ClippedPolicyGradient(entropy=0.01).needs == {"entropy"}
