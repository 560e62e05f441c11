"""A model whose weights, gradients and optimiser state are spread over the processes, with PyTorch's FSDP2.

For every weight training holds 16 bytes in float32: the weight, its gradient and Adam's two moments. Spread over N
processes that is 16/N each, plus one layer at a time put together while it is at work. Sampling and scoring go
through the model thousands of times a step, each process with inputs of its own; putting layers together for each
token would take far longer than the arithmetic. So for passes without gradient every process holds a whole copy of
the weights (4 bytes each), which is gathered after each update and forgotten before the next.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils._pytree import tree_map

T = TypeVar("T")


class _Root(nn.Module):
    """Runs anything that uses the model as if it were the model's forward, which is when FSDP puts weights together."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, work: Callable[[], Any]) -> Any:
        return work()


class Shards:
    """`model`, sharded in place, and `whole`, the copy of it on this process."""

    def __init__(self, model: Any, device: torch.device) -> None:
        self.model = model
        self.whole = copy.deepcopy(model).eval().requires_grad_(False)
        mesh = init_device_mesh(device.type, (dist.get_world_size(),))
        layers = set(getattr(model, "_no_split_modules", None) or ())
        self.root = _Root(model)
        for module in [*model.modules(), self.root]:
            if type(module).__name__ in layers or module is self.root:
                fully_shard(module, mesh=mesh)
        for module in self.root.modules():
            if isinstance(module, FSDPModule):
                # Losses are normalised by the whole step, so gradients add up. (A factor in the sum is NCCL's alone.)
                module.set_gradient_divide_factor(1.0)
                module.set_force_sum_reduction_for_comms(True)

    def through(self, work: Callable[[], T]) -> T:
        """`work()`, during which the model can be used. All processes have to be here."""
        found: T = self.root(work)
        return found

    def most(self, n: int) -> int:
        """The largest n of any process."""
        count = torch.tensor(n)
        dist.all_reduce(count, dist.ReduceOp.MAX)
        return int(count)

    def gather(self) -> None:
        """Put the present weights into `whole`. All processes have to be here."""
        for mine, weight in zip(self.whole.parameters(), self.model.parameters(), strict=True):
            mine.data = unsharded(weight.detach())

    def release(self) -> None:
        """Free the memory of `whole`, which must not be used until the next `gather`."""
        for mine in self.whole.parameters():
            mine.data = mine.data.new_empty(0)


def unsharded(state: Any) -> Any:
    """Nested state with every sharded tensor made whole; if there are any, all processes have to be here."""
    return tree_map(lambda value: value.full_tensor() if isinstance(value, DTensor) else value, state)


def sharded_like(weight: Any, value: Any) -> Any:
    """This process's shard of a whole tensor, cut as `weight` is; anything else as it is."""
    if not isinstance(weight, DTensor) or not isinstance(value, Tensor) or isinstance(value, DTensor):
        return value
    if value.shape != weight.shape:
        return value
    return distribute_tensor(value.to(weight.device), weight.device_mesh, weight.placements, src_data_rank=None)
