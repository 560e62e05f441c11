"""Several processes on one run: groups stay whole on a rank, everything else is shared.

Every rank draws the same problems and takes its share of them; responses are then gathered, so that
rewards and advantages are computed from the whole batch, exactly as in one process. Each rank puts its
own responses through the model; gradients are summed. Losses are normalised by the whole step, so the
sum over ranks is the gradient of one process. Each rank holds the whole model, or, with `Policy.shard`, its
share of it: then the backward passes sum the gradients.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from merf.core.rollouts import Rollouts

T = TypeVar("T")


class World:
    """The processes of a run. Alone unless started by `torchrun`."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @classmethod
    def join(cls, device: str) -> World:
        """Join the other processes if `torchrun` started this one."""
        if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        if device.startswith("cuda"):
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))  # what "cuda" means from here on
        if not dist.is_initialized():
            dist.init_process_group("cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo")
            atexit.register(leave)
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def leads(self) -> bool:
        """Whether this process logs and writes."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> list[T]:
        """This rank's part of `items`: every size-th, so that ranks get alike ones."""
        return list(items[self.rank :: self.size])

    def gather(self, mine: Sequence[T]) -> list[T]:
        """Undo `share`: all ranks' parts in the original order."""
        if self.size == 1:
            return list(mine)
        parts: list[Sequence[T]] = [()] * self.size
        dist.all_gather_object(parts, list(mine))
        out: list[Any] = [None] * sum(map(len, parts))
        for rank, part in enumerate(parts):
            out[rank :: self.size] = part
        return out

    def sum_gradients(self, weights: Iterable[Tensor]) -> None:
        """Add up every rank's gradients in place; a rank without any contributes zeros."""
        if self.size == 1:
            return
        for weight in weights:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            dist.all_reduce(weight.grad)

    def sum(self, values: dict[str, float]) -> dict[str, float]:
        """Sums over the ranks."""
        if self.size == 1:
            return values
        parts: list[dict[str, float]] = [{}] * self.size
        dist.all_gather_object(parts, values)
        names = {name: None for part in parts for name in part}
        return {name: sum(part.get(name, 0.0) for part in parts) for name in names}

    def wait(self) -> None:
        """Until every rank is here."""
        if self.size > 1:
            dist.barrier()

    def agree(self, flag: bool) -> bool:
        """True on all ranks if it is true on any."""
        return self.sum({"flag": float(flag)})["flag"] > 0

    def pool(self, mine: Rollouts) -> tuple[Rollouts, list[int]]:
        """All ranks' rollouts in the order of one process, and which rows are this rank's own.

        Groups and attempts are numbered by rank's share: this rank's group g is number rank + size · g.
        """
        if self.size == 1:
            return mine, list(range(len(mine)))
        parts: list[Rollouts] = [mine] * self.size
        # A tensor on a GPU would arrive on the sender's one.
        dist.all_gather_object(parts, mine.to("cpu"))
        device = mine.tokens.device
        numbered = [replace(part.to(device), group=part.group * self.size + rank) for rank, part in enumerate(parts)]
        owner = np.concatenate([np.full(len(part), rank) for rank, part in enumerate(parts)])
        together = Rollouts.concatenate(numbered)
        order = np.argsort(together.group, kind="stable")
        return together.select(order.tolist()), np.flatnonzero(owner[order] == self.rank).tolist()


def leave() -> None:
    """Leave the processes' group before the interpreter goes: threads of its backend that are still running then would
    abort an otherwise good run."""
    if dist.is_initialized():
        dist.destroy_process_group()
