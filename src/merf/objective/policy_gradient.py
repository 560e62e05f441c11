"""The clipped policy-gradient objective of PPO, GRPO and their relatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from merf.core.seams import Batch, Loss

Aggregate = Literal["token", "sequence", "constant"]


def per_token_weights(batch: Batch, aggregate: Aggregate) -> Tensor:
    """What each token counts in the loss, [n, T]; over a whole step the weights of

    token     sum to 1, every token alike (DAPO, arXiv 2503.14476)
    sequence  sum to 1, every response alike (GRPO, arXiv 2402.03300)
    constant  are 1 / (responses × length limit), so that length changes nothing (Dr. GRPO, arXiv 2503.20783)
    """
    mask = batch.mask.float()
    match aggregate:
        case "token":
            return mask / max(batch.tokens, 1)
        case "sequence":
            return mask / batch.lengths.clamp_min(1)[:, None] / max(batch.sequences, 1)
        case "constant":
            return mask / (max(batch.sequences, 1) * batch.limit)


@dataclass(frozen=True)
class ClippedPolicyGradient:
    """−Σ w · min(ρ A, clip(ρ, 1 − low, 1 + high) A) + β · KL, with ρ = π(token) / π_old(token).

    `kl` is β. "k3" is ρ_ref − 1 − log ρ_ref with ρ_ref = π_ref/π, unbiased as a value and low in variance;
    "k2" is (log ρ_ref)²/2, whose gradient is that of the KL; both act in the loss. With `entropy` > 0 the
    policy's entropy is rewarded. `dual` (PPO's dual clip, arXiv 1912.09729) bounds the loss of very
    unlikely tokens with negative advantage; None leaves it out.
    """

    clip_low: float = 0.2
    clip_high: float = 0.2
    aggregate: Aggregate = "token"
    kl: float = 0.0
    kl_estimator: Literal["k2", "k3"] = "k3"
    entropy: float = 0.0
    dual: float | None = None

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"reference"} if self.kl else ()) | frozenset({"entropy"} if self.entropy else ())

    def __call__(self, batch: Batch) -> Loss:
        weights = per_token_weights(batch, self.aggregate)
        ratio = (batch.logprobs - batch.old).exp()
        clipped = ratio.clamp(1 - self.clip_low, 1 + self.clip_high)
        gain = torch.minimum(ratio * batch.advantages, clipped * batch.advantages)
        if self.dual is not None:
            floor = self.dual * batch.advantages
            gain = torch.where(batch.advantages < 0, torch.maximum(gain, floor), gain)
        loss = -gain
        count = batch.mask.float()
        outside = ((ratio < 1 - self.clip_low) & (batch.advantages < 0)) | (
            (ratio > 1 + self.clip_high) & (batch.advantages > 0)
        )
        sums = {
            "clip_ratio": (outside * count).sum().detach(),
            "approx_kl": ((batch.old - batch.logprobs) * count).sum().detach(),
        }
        if self.kl:
            assert batch.reference is not None
            kl = kl_to_reference(batch.logprobs, batch.reference, self.kl_estimator)
            loss = loss + self.kl * kl
            sums["kl"] = (kl * count).sum().detach()
        if self.entropy:
            assert batch.entropy is not None
            loss = loss - self.entropy * batch.entropy
        return Loss((loss * weights).sum(), sums)


def kl_to_reference(logprobs: Tensor, reference: Tensor, estimator: Literal["k2", "k3"]) -> Tensor:
    """A per-token estimate of KL(π ‖ π_ref) on tokens sampled from π (Schulman's k2 and k3)."""
    log_ratio = reference - logprobs
    return 0.5 * log_ratio**2 if estimator == "k2" else log_ratio.exp() - 1 - log_ratio
