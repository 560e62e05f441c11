"""Pairs of responses of which the first is to be preferred, on top of any other objective.

With Δ the difference, better minus worse, of log π(y) − log π_ref(y), and l(y) = log π(y) / |y|:

    dpo    −log σ(β Δ)                                   DPO, arXiv 2305.18290
    ipo    (Δ − 1/(2β))²                                 IPO, arXiv 2310.12036
    simpo  −log σ(β (l(better) − l(worse)) − γ)          SimPO, arXiv 2405.14734; without a reference
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn.functional import logsigmoid

from merf.core.seams import Batch, Loss, Objective

Kind = Literal["dpo", "ipo", "simpo"]


def preference_loss(kind: Kind, gap: Tensor, beta: float, gamma: float = 0.0) -> Tensor:
    """The loss of each pair [p] by its gap [p]: Δ, or for "simpo" the difference of mean log-probs."""
    match kind:
        case "dpo":
            return -logsigmoid(beta * gap)
        case "ipo":
            return (gap - 1 / (2 * beta)) ** 2
        case "simpo":
            return -logsigmoid(beta * gap - gamma)


@dataclass(frozen=True)
class Preferring:
    """The loss of `inner`, and the mean over the step's pairs of `weight` times the preference loss plus `imitation`
    times −l(better).

    Pairs are read from the rollouts' `extras["pair"]`; `extras["reference"]` holds their tokens' log-probs under the
    reference, which never change.
    """

    inner: Objective
    kind: Kind = "dpo"
    beta: float = 0.1
    gamma: float = 0.0
    weight: float = 1.0
    imitation: float = 0.0

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise ValueError(f"beta={self.beta}: preferences are weighed by a number above 0; 0.1 is usual")

    @property
    def needs(self) -> frozenset[str]:
        return self.inner.needs

    def __call__(self, batch: Batch) -> Loss:
        loss = self.inner(batch)
        pair = batch.extras.get("pair")
        if pair is None or not bool((pair != 0).any()):
            return loss
        own = (pair != 0).float()  # [n, T]
        length = own.sum(1).clamp_min(1)
        said = batch.logprobs * own
        ratio = (said - batch.extras["reference"] * own).sum(1)  # [n]
        mean = said.sum(1) / length
        number = pair.sum(1) / length  # [n], +p, −p, or 0
        better, worse = places(number)
        value = mean if self.kind == "simpo" else ratio
        gap = value[better] - value[worse]
        each = self.weight * preference_loss(self.kind, gap, self.beta, self.gamma) - self.imitation * mean[better]
        return Loss(loss.value + each.sum() / count_pairs(batch.whole), loss.sums)


def places(number: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of the better and of the worse responses, pair by pair. Both of a pair are in every batch or neither."""
    rows = number.round().long()
    better, worse = (rows > 0).nonzero().squeeze(1), (rows < 0).nonzero().squeeze(1)
    better, worse = better[rows[better].argsort()], worse[(-rows[worse]).argsort()]
    if len(better) != len(worse) or bool((rows[better] != -rows[worse]).any()):
        raise ValueError("a pair was parted: each number p in extras['pair'] needs one row of +p and one of -p")
    return better, worse


def count_pairs(whole: Mapping[str, Tensor]) -> int:
    """How many pairs the whole step has."""
    return int((whole["pair"] > 0).any(1).sum())
