"""The general way, for models whose attention can't be taught to share prefixes: padded rows.

Slower, and the same numbers. Which way a model goes is decided once, by comparing the two on a small
random batch when the policy is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from merf.policy.attention import ATTENTION
from merf.policy.tree import States, Tree, hidden_states, output_logits, run_backbone

TOLERANCE = 2e-3
"""Log-probs (float32) may differ by this much between the two ways before prefix sharing is given up."""


def backbone_of(model: Any) -> Any:
    """The transformer below the language-model head."""
    return model.get_decoder() if hasattr(model, "get_decoder") else model.base_model


def padded_states(
    model: Any, prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]], layers: Sequence[int] = ()
) -> States:
    """The hidden states that predict each response token, [N, T, d]; rows are padded on the right."""
    device = next(model.parameters()).device
    rows = [[*prompt, *response] for prompt, response in zip(prompts, responses, strict=True)]
    longest = max(map(len, rows))
    ids = torch.zeros(len(rows), longest, dtype=torch.long, device=device)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row, device=device)
        mask[i, : len(row)] = 1
    states, _ = run_backbone(backbone_of(model), layers, input_ids=ids, attention_mask=mask, use_cache=False)
    starts = torch.tensor([len(prompt) - 1 for prompt in prompts], device=device)
    steps = torch.arange(max(map(len, responses)), device=device)
    where = (starts[:, None] + steps).clamp_max(longest - 1)
    return states.at((torch.arange(len(rows), device=device)[:, None], where))


def padded_hidden(model: Any, prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]]) -> Tensor:
    """The last hidden states that predict each response token, [N, T, d]."""
    return padded_states(model, prompts, responses).last


@torch.no_grad()
def shares_prefixes(model: Any) -> str:
    """Why prefix sharing can't be used with this model; '' if it can.

    Compares the log-probs of a small random batch both ways.
    """
    if getattr(model.config, "_attn_implementation", None) != ATTENTION:
        return f"{type(model).__name__} doesn't use the attention interface"
    generator = torch.Generator().manual_seed(0)
    limit = min(int(model.get_input_embeddings().weight.shape[0]), 5000)

    def words(n: int) -> list[int]:
        return torch.randint(0, limit, (n,), generator=generator).tolist()

    start = words(24)
    prompts = [start + words(n) for n in (1, 5, 9)]
    responses, parent = [words(n) for n in (7, 12, 1, 30)], [0, 0, 1, 2]
    training = model.training
    model.eval()
    try:
        tree = Tree.grow(prompts, responses, parent, next(model.parameters()).device)
        ours = output_logits(model, hidden_states(model, tree)[tree.predictor]).float().log_softmax(-1)
        hidden = padded_hidden(model, [prompts[i] for i in parent], responses)
        theirs = output_logits(model, hidden).float().log_softmax(-1)
        gap = float((ours - theirs)[tree.own].abs().max())
    except Exception as error:  # any failure of an unknown model's forward means: take the general way
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    finally:
        model.train(training)
    return "" if gap <= TOLERANCE else f"log-probs differ by {gap:.1g}"


class PaddedCache:
    """A model's own key–value cache for rows of equal position, with the interface of `PrefixCache`."""

    def __init__(self, past: Any, mask: Tensor) -> None:
        self.past, self.mask = past, mask

    def keep(self, rows: Tensor) -> None:
        self.past.batch_select_indices(rows)
        self.mask = self.mask[rows]


class PaddedDecoder:
    """The model's own forward with its own cache; prompts padded on the left."""

    refills = False

    def __init__(self, model: Any, layers: Sequence[int] = ()) -> None:
        self.model, self.layers = model, layers

    def open(self, prompts: Sequence[list[int]], rows: Sequence[int]) -> tuple[PaddedCache, States]:
        """Prefill one row for each of `rows`, which name prompts; returns the cache and hidden states [B, d]."""
        device = next(self.model.parameters()).device
        longest = max(len(prompts[i]) for i in rows)
        ids = torch.zeros(len(rows), longest, dtype=torch.long, device=device)
        mask = torch.zeros_like(ids)
        for b, i in enumerate(rows):
            ids[b, longest - len(prompts[i]) :] = torch.tensor(prompts[i], device=device)
            mask[b, longest - len(prompts[i]) :] = 1
        positions = (mask.cumsum(1) - 1).clamp_min(0)
        states, out = run_backbone(
            backbone_of(self.model),
            self.layers,
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
        )
        return PaddedCache(out.past_key_values, mask), states.at((slice(None), -1))

    def step(self, tokens: Tensor, cache: PaddedCache) -> States:
        cache.mask = torch.cat([cache.mask, cache.mask.new_ones(len(tokens), 1)], dim=1)
        states, out = run_backbone(
            backbone_of(self.model),
            self.layers,
            input_ids=tokens[:, None],
            attention_mask=cache.mask,
            position_ids=cache.mask.sum(1, keepdim=True) - 1,
            past_key_values=cache.past,
            use_cache=True,
        )
        cache.past = out.past_key_values
        return states.at((slice(None), 0))
