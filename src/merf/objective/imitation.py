"""Text to be imitated, on top of any other objective."""

from __future__ import annotations

from dataclasses import dataclass

from merf.core.seams import Batch, Loss, Objective


@dataclass(frozen=True)
class Imitating:
    """The loss of `inner`, and −weight · Σ_t w_t log π(token_t) / (responses of the step).

    w are the rollouts' `extras["imitate"]`: they say which tokens, and how much each of them counts.
    """

    inner: Objective
    weight: float = 1.0

    @property
    def needs(self) -> frozenset[str]:
        return self.inner.needs

    def __call__(self, batch: Batch) -> Loss:
        loss = self.inner(batch)
        if "imitate" not in batch.extras:
            return loss
        gain = (batch.extras["imitate"] * batch.logprobs).sum() / max(batch.sequences, 1)
        return Loss(loss.value - self.weight * gain, loss.sums)
