"""The clipped policy-gradient objective of PPO, GRPO and their relatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from merf.core.seams import Batch, Loss

Aggregate = Literal["token", "sequence", "constant"]
Estimator = Literal["k1", "k2", "k3", "k3-ratio"]


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

    `kl` is β. The estimators, with ρ_ref = π_ref/π (Schulman's names), and where they act:

    k1        −log ρ_ref, taken off the token's advantage: a reward, so it passes through ratio and clip
    k2        (log ρ_ref)²/2 in the loss; its expected gradient on the policy's own samples is the KL's
    k3        ρ_ref − 1 − log ρ_ref in the loss, the usual choice: low in variance and unbiased as a value, but its
              expected gradient is that of KL(π_ref ‖ π)
    k3-ratio  ρ · k3 in the loss: value and expected gradient are the KL's, off-policy too

    With `entropy` > 0 the
    policy's entropy is rewarded. `dual` (PPO's dual clip, arXiv 1912.09729) bounds the loss of very
    unlikely tokens with negative advantage; None leaves it out.
    """

    clip_low: float = 0.2
    clip_high: float = 0.2
    aggregate: Aggregate = "token"
    kl: float = 0.0
    kl_estimator: Estimator = "k3"
    entropy: float = 0.0
    dual: float | None = None

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"reference"} if self.kl else ()) | frozenset({"entropy"} if self.entropy else ())

    def __call__(self, batch: Batch) -> Loss:
        weights = per_token_weights(batch, self.aggregate)
        ratio = (batch.logprobs - batch.old).exp()
        clipped = ratio.clamp(1 - self.clip_low, 1 + self.clip_high)
        advantages = batch.advantages
        if self.kl and self.kl_estimator == "k1":
            assert batch.reference is not None
            advantages = advantages - self.kl * (batch.old - batch.reference)
        gain = torch.minimum(ratio * advantages, clipped * advantages)
        if self.dual is not None:
            floor = self.dual * advantages
            gain = torch.where(advantages < 0, torch.maximum(gain, floor), gain)
        loss = -gain
        count = batch.mask.float()
        outside = ((ratio < 1 - self.clip_low) & (advantages < 0)) | ((ratio > 1 + self.clip_high) & (advantages > 0))
        sums = {
            "clip_ratio": (outside * count).sum().detach(),
            "approx_kl": ((batch.old - batch.logprobs) * count).sum().detach(),
        }
        if self.kl:
            assert batch.reference is not None
            kl = kl_to_reference(batch.logprobs, batch.reference, self.kl_estimator)
            if self.kl_estimator == "k3-ratio":
                kl = ratio * kl
            if self.kl_estimator != "k1":
                loss = loss + self.kl * kl
            sums["kl"] = (kl * count).sum().detach()
        if self.entropy:
            assert batch.entropy is not None
            loss = loss - self.entropy * batch.entropy
        return Loss((loss * weights).sum(), sums)


def kl_to_reference(logprobs: Tensor, reference: Tensor, estimator: Estimator) -> Tensor:
    """A per-token estimate of KL(π ‖ π_ref) on tokens sampled from π (Schulman's k1, k2 and k3)."""
    log_ratio = reference - logprobs
    match estimator:
        case "k1":
            return -log_ratio
        case "k2":
            return 0.5 * log_ratio**2
        case _:
            return log_ratio.exp() - 1 - log_ratio
