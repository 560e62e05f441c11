"""Log-probs and entropies of given tokens, without ever holding [tokens, vocabulary] for a whole batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from merf.policy.tree import output_logits

CHUNK = 2**23
"""Logits computed at a time, in numbers (32 MiB in float32)."""


def token_logprobs(
    model: Any, hidden: Tensor, targets: Tensor, temperature: float = 1.0, entropy: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Log-probs [m] of `targets` [m] given the hidden states [m, d] that predict them, at a temperature
    (0 counts as 1, as in the sampler), and the distributions' entropies [m] in nats on request.

    With gradients on and more than one chunk, a chunk's logits are computed again in the backward pass
    instead of being kept.
    """

    def piece(h: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        logits = output_logits(model, h).float()
        everything = (logits / temperature if temperature else logits).log_softmax(-1)
        spread = -(everything.exp() * everything).sum(-1) if entropy else everything.new_zeros(len(h))
        return everything.gather(1, t[:, None]).squeeze(1), spread

    vocabulary = model.get_output_embeddings().weight.shape[0]
    size = max(CHUNK // vocabulary, 1)
    if len(hidden) <= size:
        picked, spread = piece(hidden, targets)
        return picked, spread if entropy else None
    parts = []
    for h, t in zip(hidden.split(size), targets.split(size), strict=True):
        parts.append(checkpoint(piece, h, t, use_reentrant=False) if torch.is_grad_enabled() else piece(h, t))
    picked = torch.cat([p for p, _ in parts])
    return picked, torch.cat([s for _, s in parts]) if entropy else None
