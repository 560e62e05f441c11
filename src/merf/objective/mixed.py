"""One objective for rows of two kinds: a ratio for the policy's own, a shaped probability for the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from merf.core.seams import Batch, Loss
from merf.objective.policy_gradient import ClippedPolicyGradient, per_token_weights

Shaping = Callable[[Tensor], Tensor]
"""From a token's probability to what takes the place of the ratio."""


@dataclass(frozen=True)
class Regularised:
    """f(p) = p / (p + γ): the gradient's weight γ p / (p + γ)² is greatest for tokens of probability γ."""

    gamma: float = 0.1

    def __call__(self, probability: Tensor) -> Tensor:
        return probability / (probability + self.gamma)


def plain(probability: Tensor) -> Tensor:
    """f(p) = p: a ratio to a behaviour policy that was certain of every token."""
    return probability


@dataclass(frozen=True)
class MixedPolicy:
    """`on` for rows whose source is "policy"; −Σ w f(π(token)) A for all others, with the same weights w.

    LUFFY (arXiv 2504.14945) and Critique-GRPO (arXiv 2506.03106) shape the others with `Regularised`.
    """

    on: ClippedPolicyGradient = ClippedPolicyGradient()
    shaping: Shaping = Regularised()

    @property
    def needs(self) -> frozenset[str]:
        return self.on.needs

    def __call__(self, batch: Batch) -> Loss:
        own = torch.tensor([source == "policy" for source in batch.source], device=batch.mask.device)[:, None]
        ours = self.on(replace(batch, mask=batch.mask & own))
        others = replace(batch, mask=batch.mask & ~own)
        weights = per_token_weights(others, self.on.aggregate)
        probability = batch.logprobs.exp()
        gain = self.shaping(probability) * batch.advantages * weights
        sums: dict[str, Any] = {"off_policy_probability": (probability * others.mask).sum().detach()}
        return Loss(ours.value - gain.sum(), {**ours.sums, **sums})
