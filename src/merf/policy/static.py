"""Decoding over buffers of fixed size and place, so that a step can be recorded once and replayed: CUDA graphs.

A small model's decoding step on a GPU is a few hundred kernels that each run for microseconds; launching them one
by one from Python takes longer than running them. A CUDA graph launches all of them at once, but only the very
same ones: same shapes, same addresses. So rows that finish are moved to the front of the buffers instead of into
smaller ones, and a step works on the first b rows and t positions, with b and t from a short list of sizes. One
graph is recorded for each pair that occurs.

All of it but `captured` is ordinary PyTorch, and on a CPU gives what the other decoders give.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from merf.policy.cache import Layer, PrefixCache
from merf.policy.decode import LlamaDecoder
from merf.policy.tree import States, Tree

SMALLEST_ROWS, SMALLEST_ROOM = 4, 64
"""Buckets start here and double."""

Recorded = Callable[[], States]


def bucket(n: int, smallest: int, most: int) -> int:
    """The least size at hand that holds n: `smallest` times a power of two, or `most`."""
    size = smallest
    while size < n:
        size *= 2
    return min(size, most)


class StaticCache(PrefixCache):
    """A `PrefixCache` whose tensors never change their place. Its rows were opened together, so all of them have
    written the same number of tokens. A step sees `rows_used` rows, padding included, and `room_used` positions.
    """

    def __init__(self, captured: Sequence[tuple[Tensor, Tensor]], tree: Tree, parent: Tensor, room: int) -> None:
        """As for a `PrefixCache`; a row can write `room` tokens."""
        super().__init__(captured, tree, parent)
        device = self.parent.device
        self.live = self.most_rows = len(self.parent)
        self.room = room
        self.rows_used = self.room_used = 0
        for layer in self.layers:
            layer.own_k, layer.own_v = (
                pad(x, (0, 0, 0, room - x.shape[2])) if room > x.shape[2] else x[:, :, :room].contiguous()
                for x in (layer.own_k, layer.own_v)
            )
        self.ragged, self.in_order = False, False
        self.at = torch.zeros(1, dtype=torch.long, device=device)  # where this step's tokens are written
        self.places = torch.arange(room, device=device)
        self.all_parents = self.parent.clone()
        self.all_seats = self.seat.clone()
        self.tokens = torch.zeros(self.most_rows, dtype=torch.long, device=device)
        self.recorded: dict[tuple[int, int], Recorded] = {}

    def begin(self, tokens: Tensor) -> tuple[int, int]:
        """Put this step's tokens [live] into their buffer; the buckets of the step."""
        self.tokens[: self.live] = tokens
        self.rows_used = bucket(self.live, SMALLEST_ROWS, self.most_rows)
        self.room_used = bucket(self.filled + 1, SMALLEST_ROOM, self.room)
        return self.rows_used, self.room_used

    def advance(self) -> Tensor:
        self.parent, self.seat = self.all_parents[: self.rows_used], self.all_seats[: self.rows_used]
        later = self.places[: self.room_used] > self.at
        self.own_bias = torch.zeros(later.shape, device=later.device).masked_fill(later, float("-inf"))
        return self.prompt_length[self.parent] + self.at

    def _store(self, layer: Layer, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        own_k, own_v = (x[: self.rows_used, :, : self.room_used] for x in (layer.own_k, layer.own_v))
        own_k.index_copy_(2, self.at, key[:, :, None].to(own_k.dtype))
        own_v.index_copy_(2, self.at, value[:, :, None].to(own_v.dtype))
        return own_k, own_v

    def wrote(self) -> None:
        """Recorded with the step, so it must not count: `finish` does."""

    def finish(self) -> None:
        """The step is over."""
        self.at += 1
        self.filled += 1

    def keep(self, rows: Tensor) -> None:
        """Move these rows to the front. Prompts stay where they are, also those that nobody continues."""
        self.live = len(rows)
        self.all_parents[: self.live] = self.all_parents[rows]
        self.all_seats[: self.live] = self.all_seats[rows]
        # Seats that nobody sits on any more are computed for row 0 and never read.
        self.grid.zero_()
        self.grid[self.all_seats[: self.live]] = torch.arange(self.live, device=rows.device)
        for layer in self.layers:
            layer.own_k[: self.live, :, : self.filled] = layer.own_k[rows, :, : self.filled]
            layer.own_v[: self.live, :, : self.filled] = layer.own_v[rows, :, : self.filled]

    def admit(self, other: PrefixCache) -> None:
        raise NotImplementedError("rows of a static cache are opened together")


class StaticDecoder(LlamaDecoder):
    """`LlamaDecoder` over a `StaticCache`; on a GPU its steps are replayed graphs."""

    refills = False

    def cache_of(self, captured: Sequence[tuple[Tensor, Tensor]], tree: Tree, parent: Tensor) -> StaticCache:
        longest = tree.prefix + tree.prompts.index.shape[1]
        return StaticCache(captured, tree, parent, room=self.turn.shape[1] - longest)

    def step(self, tokens: Tensor, cache: Any) -> States:
        key = cache.begin(tokens)
        if key not in cache.recorded:

            def whole() -> States:
                return LlamaDecoder.step(self, cache.tokens[: key[0]], cache)

            cache.recorded[key] = captured(whole, tokens.device)
        states = cache.recorded[key]()
        cache.finish()
        # The next replay writes over what this one gave.
        last, kept = states.at(slice(cache.live))
        return States(last.clone(), None if kept is None else kept.clone())


def captured(step: Recorded, device: torch.device) -> Recorded:
    """`step` as a CUDA graph; on other devices as it is. It may be run several times before it is first used, which
    changes nothing: it writes the same numbers to the same places."""
    if device.type != "cuda":
        return step
    aside = torch.cuda.Stream(device)
    aside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(aside):
        for _ in range(2):  # libraries allocate their workspaces in the first runs
            step()
    torch.cuda.current_stream(device).wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        states = step()

    def replay() -> States:
        graph.replay()
        return states

    return replay
