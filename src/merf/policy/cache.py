"""Key–value storage for sampling, shaped like the prompts' tree.

The keys and values of text that several rows share are stored once and read once: those of the prefix
common to all prompts [K, P0, D], those of each prompt's own tokens [n, K, P, D], and those of what each row
has written itself [B, K, T, D]. One softmax runs over all three parts, so this is plain attention, exactly.
(K key heads, D head size, H = K · g query heads.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from merf.policy.tree import Tree

HEADROOM = 64
"""Own-token storage grows by this many positions at a time."""


@dataclass
class Layer:
    """Keys and values of one transformer layer."""

    prefix_k: Tensor  # [K, P0, D]
    prefix_v: Tensor
    prompt_k: Tensor  # [n, K, P, D]
    prompt_v: Tensor
    own_k: Tensor  # [B, K, T, D]
    own_v: Tensor


class PrefixCache:
    """The cache of B rows that continue n prompts; row b continues prompt `parent[b]`."""

    def __init__(self, captured: Sequence[tuple[Tensor, Tensor]], tree: Tree, parent: Tensor) -> None:
        """`captured` holds each layer's keys and values over the prompts' tree row, [1, K, S, D]."""
        level, rows = tree.prompts, len(parent)
        n, length = level.index.shape
        self.parent = parent
        self.prompt_own = level.own  # [n, P]
        self.prompt_length = level.own.sum(1) + tree.prefix  # [n], the prefix included
        self.written = torch.zeros_like(parent)  # [B], own tokens so far
        self.filled = 0  # the most any row has written
        self.ragged = False  # whether rows have written different amounts
        self.layers = []
        for key, value in captured:
            heads, size = key.shape[1], key.shape[3]
            k, v = (
                x[0].index_select(1, level.index.flatten()).view(heads, n, length, size).transpose(0, 1).contiguous()
                for x in (key, value)
            )
            own_k, own_v = (key.new_zeros(rows, heads, HEADROOM, size) for _ in range(2))
            prefix_k, prefix_v = (x[0, :, : tree.prefix].contiguous() for x in (key, value))
            self.layers.append(Layer(prefix_k, prefix_v, k, v, own_k, own_v))
        self._seat()

    def _seat(self) -> None:
        """Seat the rows of each prompt side by side: `grid [n * R]` holds row numbers, `seat [B]` is its inverse."""
        n, rows = len(self.prompt_own), len(self.parent)
        counts = torch.bincount(self.parent, minlength=n)
        order = torch.argsort(self.parent, stable=True)
        place = torch.arange(rows, device=order.device) - (counts.cumsum(0) - counts)[self.parent[order]]
        self.width = int(counts.max()) if rows else 0
        self.seat = torch.empty_like(order)
        self.seat[order] = self.parent[order] * self.width + place
        self.grid = torch.zeros(n * self.width, dtype=torch.long, device=order.device)
        self.grid[self.seat] = torch.arange(rows, device=order.device)
        self.in_order = n * self.width == rows and bool((self.seat == self.grid).all())
        self.rows = torch.arange(rows, device=order.device)
        blank = torch.zeros(self.prompt_own.shape, device=order.device)
        bias = blank.masked_fill(~self.prompt_own, float("-inf"))
        self.prompt_bias = bias.repeat_interleave(self.layers[0].prefix_k.shape[0], 0)[:, None]  # [n * K, 1, P]
        self.own_bias: Tensor | None = None

    def advance(self) -> Tensor:
        """Make room for one more token per row; returns each row's position [B]. Call once per decoding step."""
        self.filled += 1
        if self.filled > self.layers[0].own_k.shape[2]:
            for layer in self.layers:
                layer.own_k = pad(layer.own_k, (0, 0, 0, HEADROOM))
                layer.own_v = pad(layer.own_v, (0, 0, 0, HEADROOM))
        if self.ragged:
            later = torch.arange(self.filled, device=self.rows.device) > self.written[:, None]
            self.own_bias = torch.zeros(later.shape, device=later.device).masked_fill_(later, float("-inf"))[
                :, None, None
            ]
        return self.prompt_length[self.parent] + self.written

    def attend(self, index: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Store one token's key and value [B, K, D] for layer `index` and attend with `query` [B, H, D], which has
        attention's scale in it already."""
        layer = self.layers[index]
        rows, heads, size = key.shape
        group = query.shape[1] // heads
        n, width, before, length = len(self.prompt_own), self.width, layer.prefix_k.shape[1], layer.prompt_k.shape[2]
        own_k, own_v = (x.flatten(0, 1) for x in self._store(layer, key, value))  # [B * K, T, D]
        grid, alone = (n, heads, width, group, -1), (rows, heads, group, -1)

        q = query.view(alone)
        seated = self._seated(q).reshape(n * heads, width * group, size)
        scores = [torch.baddbmm(self.prompt_bias, seated, layer.prompt_k.flatten(0, 1).transpose(1, 2)).view(grid)]
        if before:
            flat = seated.view(n, heads, -1, size).transpose(0, 1).reshape(heads, -1, size)
            at_prefix = torch.bmm(flat, layer.prefix_k.transpose(1, 2)).view(heads, n, -1, before).transpose(0, 1)
            scores.append(at_prefix.view(grid))
        at_own = torch.bmm(q.reshape(-1, group, size), own_k.transpose(1, 2)).view(alone)
        scores.append(self._seated(at_own if self.own_bias is None else at_own + self.own_bias))
        weights = torch.cat(scores, dim=-1).softmax(-1, torch.float32).to(value.dtype)

        on_prompt, on_own = weights[..., :length], self._unseated(weights[..., length + before :])
        out = torch.bmm(on_prompt.flatten(2, 3).flatten(0, 1), layer.prompt_v.flatten(0, 1)).view(grid)
        if before:
            flat = weights[..., length : length + before].transpose(0, 1).reshape(heads, -1, before)
            out = out + torch.bmm(flat, layer.prefix_v).view(heads, n, width, group, size).transpose(0, 1)
        mine = torch.bmm(on_own.reshape(rows * heads, group, -1), own_v).view(alone)
        return (mine + self._unseated(out)).view(rows, -1, size)

    def _store(self, layer: Layer, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Write every row's token down; returns all that the rows have written so far [B, K, T, D]."""
        if self.ragged:
            layer.own_k[self.rows, :, self.written] = key
            layer.own_v[self.rows, :, self.written] = value
        else:
            layer.own_k.select(2, self.filled - 1).copy_(key)
            layer.own_v.select(2, self.filled - 1).copy_(value)
        return layer.own_k[:, :, : self.filled], layer.own_v[:, :, : self.filled]

    def _seated(self, x: Tensor) -> Tensor:
        """[B, K, g, X] in rows -> [n, K, width, g, X] in seats. On empty ones sits whoever, and is not read."""
        x = x if self.in_order else x.index_select(0, self.grid)
        return x.view(-1, self.width, *x.shape[1:]).transpose(1, 2)

    def _unseated(self, x: Tensor) -> Tensor:
        """The way back."""
        x = x.transpose(1, 2).flatten(0, 1)
        return x if self.in_order else x.index_select(0, self.seat)

    def wrote(self) -> None:
        """Every row's token is stored. Call once after the layers of a decoding step."""
        self.written += 1

    def keep(self, rows: Tensor) -> None:
        """Drop all other rows, and prompts that nobody continues."""
        prompts, self.parent = self.parent[rows].unique(return_inverse=True)
        self.written = self.written[rows]
        self.filled = int(self.written.max()) if len(rows) else 0
        self.ragged = self.ragged and bool((self.written != self.filled).any())
        self.prompt_own, self.prompt_length = self.prompt_own[prompts], self.prompt_length[prompts]
        longest = int(self.prompt_own.sum(1).max()) if len(prompts) else 0
        self.prompt_own = self.prompt_own[:, :longest]
        for layer in self.layers:
            layer.own_k, layer.own_v = layer.own_k[rows], layer.own_v[rows]
            layer.prompt_k, layer.prompt_v = layer.prompt_k[prompts, :, :longest], layer.prompt_v[prompts, :, :longest]
        self._seat()

    def admit(self, other: PrefixCache) -> None:
        """Add the rows of `other`, which must share this cache's prefix, behind this one's."""
        self.parent = torch.cat([self.parent, other.parent + len(self.prompt_own)])
        self.written = torch.cat([self.written, other.written])
        self.filled = max(self.filled, other.filled)
        self.ragged = bool((self.written != self.filled).any())
        longest = max(self.prompt_own.shape[1], other.prompt_own.shape[1])

        def both(a: Tensor, b: Tensor, length: int) -> Tensor:
            return torch.cat([pad(x, (0, 0, 0, length - x.shape[2])) for x in (a, b)])

        own = [pad(x, (0, longest - x.shape[1])) for x in (self.prompt_own, other.prompt_own)]
        self.prompt_own = torch.cat(own)
        self.prompt_length = torch.cat([self.prompt_length, other.prompt_length])
        for mine, theirs in zip(self.layers, other.layers, strict=True):
            room = max(mine.own_k.shape[2], theirs.own_k.shape[2])
            mine.own_k, mine.own_v = both(mine.own_k, theirs.own_k, room), both(mine.own_v, theirs.own_v, room)
            mine.prompt_k = both(mine.prompt_k, theirs.prompt_k, longest)
            mine.prompt_v = both(mine.prompt_v, theirs.prompt_v, longest)
        self._seat()
