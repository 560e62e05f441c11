"""Preference losses against plain NumPy, and their independence of how a step is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.objective.test_policy_gradient import batch_of, make_batch

from merf.core.seams import Batch
from merf.objective.policy_gradient import ClippedPolicyGradient
from merf.objective.preference import Preferring

PAIRS = np.array([1, 0, -2, -1, 2, 0])
"""Of six rows: row 0 is preferred to row 3, row 4 to row 2; rows 1 and 5 are ordinary responses."""


def made() -> tuple[dict, dict]:
    parts = make_batch()
    real = parts["mask"].clone()
    ordinary = torch.tensor(PAIRS == 0)[:, None]
    extras = {"pair": torch.tensor(PAIRS)[:, None] * real, "reference": parts.pop("reference")}
    parts["mask"] = real & ordinary
    parts["advantages"] = parts["advantages"] * ordinary
    return parts, extras


def batch(parts: dict, extras: dict, rows: list[int]) -> Batch:
    cut = {name: values[rows] for name, values in extras.items()}
    return batch_of(parts, rows, extras=cut, whole=extras)


def by_hand(logprobs: np.ndarray, extras: dict, kind: str, beta: float, gamma: float, imitation: float) -> float:
    pair, reference = (extras[name].numpy() for name in ("pair", "reference"))
    total = 0.0
    for p in (1, 2):
        ratio, mean = {}, {}
        for sign in (1, -1):
            (row,) = np.flatnonzero((sign * p == pair).any(1))
            own = pair[row] != 0
            ratio[sign] = (logprobs[row] - reference[row])[own].sum()
            mean[sign] = logprobs[row][own].mean()
        match kind:
            case "dpo":
                loss = np.log1p(np.exp(-beta * (ratio[1] - ratio[-1])))
            case "ipo":
                loss = (ratio[1] - ratio[-1] - 1 / (2 * beta)) ** 2
            case "simpo":
                loss = np.log1p(np.exp(-(beta * (mean[1] - mean[-1]) - gamma)))
        total += (0.7 * loss - imitation * mean[1]) / 2
    return total


@pytest.mark.parametrize("kind", ["dpo", "ipo", "simpo"])
@pytest.mark.parametrize("cut", [[[0, 1, 2, 3, 4, 5]], [[3, 0, 1], [5, 4, 2]], [[5], [1], [2, 4], [0, 3]]])
def test_loss_and_gradient_are_the_formulas_however_the_step_is_cut(kind, cut):
    parts, extras = made()
    objective = Preferring(ClippedPolicyGradient(), kind, beta=0.3, gamma=0.2, weight=0.7, imitation=0.1)
    leaf = parts["logprobs"].double().requires_grad_()
    parts = {**parts, "logprobs": leaf}
    loss = sum(objective(batch(parts, extras, rows)).value for rows in cut)
    inner = sum(objective.inner(batch(parts, extras, rows)).value for rows in cut)
    (slope,) = torch.autograd.grad(loss - inner, leaf)
    start = leaf.detach().numpy()
    wanted = by_hand(start, extras, kind, 0.3, 0.2, 0.1)
    assert float((loss - inner).detach()) == pytest.approx(wanted, rel=1e-6)
    for i, t in np.ndindex(start.shape):
        ahead, behind = start.copy(), start.copy()
        ahead[i, t] += 1e-5
        behind[i, t] -= 1e-5
        difference = by_hand(ahead, extras, kind, 0.3, 0.2, 0.1) - by_hand(behind, extras, kind, 0.3, 0.2, 0.1)
        assert float(slope[i, t]) == pytest.approx(difference / 2e-5, abs=1e-6)


def test_without_pairs_it_is_the_inner_objective():
    parts = make_batch()
    parts.pop("reference")
    inner = ClippedPolicyGradient()
    assert torch.equal(Preferring(inner)(batch_of(parts)).value, inner(batch_of(parts)).value)
    assert Preferring(ClippedPolicyGradient(kl=0.1)).needs == {"reference"}


def test_a_parted_pair_is_refused():
    parts, extras = made()
    with pytest.raises(ValueError, match="a pair was parted"):
        Preferring(ClippedPolicyGradient())(batch(parts, extras, [0, 1, 2, 4]))
    with pytest.raises(ValueError, match="beta=0"):
        Preferring(ClippedPolicyGradient(), beta=0)
