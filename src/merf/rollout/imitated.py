"""Rows that are no attempts: text whose likelihood is to be raised, or lowered, after a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from merf.core.rollouts import Rollouts
from merf.policy.policy import pad_rows


def imitation(
    rollouts: Rollouts, rows: Sequence[int], ids: Sequence[list[int]], weights: Sequence[float], policy: Any
) -> Rollouts:
    """One row for each of `rows`: the tokens `ids` [n] after that row's bare learning prompt, every token with the
    row's weight [n] in `extras["imitate"]`. They belong to the same groups, and earn nothing."""
    prompts = [replace(rollouts.prompts[row], prefill="", ids=()) for row in rows]
    shown = [policy.encode(prompt.learning).ids for prompt in prompts]
    lengths = [len(row) for row in ids]
    tokens = pad_rows(ids, max(lengths), torch.long, policy.device)
    values = pad_rows(
        [[w] * n for w, n in zip(weights, lengths, strict=True)], max(lengths), torch.float32, policy.device
    )
    return replace(
        rollouts.select(rows),
        prompts=prompts,
        acting=shown,
        learning=shown,
        tokens=tokens,
        mask=torch.zeros_like(tokens, dtype=torch.bool),
        logprobs=torch.zeros_like(values),
        lengths=torch.tensor(lengths, device=policy.device),
        texts=[policy.chat.decode(row, policy.stops) for row in ids],
        finished=[True] * len(ids),
        trajectory=np.full(len(ids), -1, np.int64),
        source=["imitation"] * len(ids),
        extras={"imitate": values},
    )
