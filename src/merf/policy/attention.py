"""Attention over a token tree, registered as an attention implementation for the model's own forward.

A token of a response attends to the shared prefix, its prompt and what it has said itself. Softmax over parts of
the keys can be put together from softmax over each part, given its log-sum-exp:

    lse = log Σ_parts exp(lse_part)        out = Σ_parts exp(lse_part − lse) · out_part

so on a CPU every part is attended to where it lies (`TreeAttention`), each by PyTorch's own flash kernel, and nothing
of a prompt is copied for its responses. The gradient of a part needs only the whole's `out` and `lse` (as in ring
attention, arXiv 2310.01889). Elsewhere each piece's keys are copied together for one call of
`scaled_dot_product_attention`, which does not give its log-sum-exp away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from merf.policy.tree import Look, Pieces, Tree

if TYPE_CHECKING:
    from merf.policy.cache import PrefixCache

ATTENTION = "merf_tree"


def tree_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    tree: Tree | None = None,
    captured: list[tuple[Tensor, Tensor]] | None = None,
    prefix_cache: PrefixCache | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention over a token tree; query [1, H, S, D], key and value [1, K, S, D], result [1, S, H, D].

    `captured` collects each layer's keys and values. With a `prefix_cache` instead of a tree this is one
    decoding step; query [B, H, 1, D], result [B, 1, H, D]. With neither it is SDPA.
    """
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if prefix_cache is not None:
        layer = int(module.layer_idx)  # type: ignore[arg-type]
        return prefix_cache.attend(layer, query[:, :, 0] * scale, key[:, :, 0], value[:, :, 0])[:, None], None
    if tree is None:
        attended: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **kwargs
        )
        return attended
    if captured is not None:
        captured.append((key, value))
    if query.shape[1] != key.shape[1]:
        key, value = (x.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for x in (key, value))
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))  # [S, H, D]
    out = by_parts(q, k, v, tree, scale) if gives_lse(q, v, dropout) else by_copies(q, k, v, tree, scale, dropout)
    return out[None], None


AttentionInterface.register(ATTENTION, tree_attention)
AttentionMaskInterface.register(ATTENTION, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


# By parts

KERNEL = "_scaled_dot_product_flash_attention_for_cpu"
"""What PyTorch's `scaled_dot_product_attention` runs on a CPU."""


def gives_lse(query: Tensor, value: Tensor, dropout: float) -> bool:
    """Whether there is a kernel here that gives the log-sum-exp."""
    there = hasattr(torch.ops.aten, KERNEL) and hasattr(torch.ops.aten, f"{KERNEL}_backward")
    return query.device.type == "cpu" and there and not dropout and query.shape[-1] == value.shape[-1]


def across(pieces: Pieces, x: Tensor) -> Tensor:
    """[S, H, D] -> [n, H, L, D], as kernels want it."""
    return pieces.pad(x).transpose(1, 2)


def along(pieces: Pieces, x: Tensor) -> Tensor:
    """The way back, [n, H, L, ...] -> [m, H, ...]."""
    return pieces.unpad(x.transpose(1, 2))


def looked_at(look: Look, x: Tensor) -> Tensor:
    """What a look's keys have, [S, H, D] -> [n, H, shared + L, D]."""
    own = look.keys.pad(x)
    shared = x[: look.shared].expand(len(own), -1, -1, -1)
    return (torch.cat([shared, own], dim=1) if look.shared else own).transpose(1, 2)


def unseen(look: Look, dtype: torch.dtype) -> Tensor | None:
    """-inf on keys that are padding, [n, 1, 1, shared + L]. From all that counts causality hides it already."""
    if look.causal or look.keys.full:
        return None
    own = torch.nn.functional.pad(look.keys.own, (look.shared, 0), value=True)
    return torch.zeros(own.shape, dtype=dtype, device=own.device).masked_fill_(~own, float("-inf"))[:, None, None]


class TreeAttention(Function):
    """Query, key and value [S, H, D] -> what each token attends to [S, H, D]."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, tree: Tree, scale: float) -> Tensor:
        attend = getattr(torch.ops.aten, KERNEL)
        exact = torch.promote_types(query.dtype, torch.float32)
        out = torch.empty(query.shape, dtype=exact)
        lse = torch.empty(query.shape[:2], dtype=exact)
        for look in tree.looks:
            q, k, v = across(look.queries, query), looked_at(look, key), looked_at(look, value)
            part, its = attend(q, k, v, 0.0, look.causal, attn_mask=unseen(look, q.dtype), scale=scale)
            part, its, at = along(look.queries, part).to(exact), along(look.queries, its).to(exact), look.queries.at
            if look.causal:  # the first look of each token
                out[at], lse[at] = part, its
            else:
                before = lse[at]
                out[at] = torch.lerp(out[at], part, torch.sigmoid(its - before)[..., None])
                lse[at] = torch.logaddexp(before, its)
        out = out.to(query.dtype)
        ctx.save_for_backward(query, key, value, out, lse)
        ctx.tree, ctx.scale = tree, scale
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        attend_backward = getattr(torch.ops.aten, f"{KERNEL}_backward")
        query, key, value, out, lse = ctx.saved_tensors
        grads = [torch.empty_like(x, memory_format=torch.contiguous_format) for x in (query, key, value)]
        for look in ctx.tree.looks:
            q, given, o = (across(look.queries, x) for x in (query, gradients[0], out))
            k, v = looked_at(look, key), looked_at(look, value)
            # With an infinite log-sum-exp padding has looked at nothing and sends nothing back.
            seen = look.queries.pad(lse).masked_fill(~look.queries.own[..., None], float("inf")).transpose(1, 2)
            bias = unseen(look, q.dtype)
            parts = attend_backward(given, q, k, v, o, seen, 0.0, look.causal, attn_mask=bias, scale=ctx.scale)
            for grad, pieces, part, shared in zip(
                grads, (look.queries, look.keys, look.keys), parts, (0, look.shared, look.shared), strict=True
            ):
                grad[:shared] += part[:, :, :shared].sum(0).transpose(0, 1)
                found = along(pieces, part[:, :, shared:])
                grad[pieces.at] = found if look.causal else grad[pieces.at] + found
        return *grads, None, None


looks: Callable[[Tensor, Tensor, Tensor, Tree, float], Tensor] = TreeAttention.apply


def by_parts(query: Tensor, key: Tensor, value: Tensor, tree: Tree, scale: float) -> Tensor:
    device = query.device.type
    if torch.is_autocast_enabled(device):  # rotation may have made float32 of queries and keys
        query, key, value = (x.to(torch.get_autocast_dtype(device)) for x in (query, key, value))
    return looks(query, key, value, tree, scale)


# By copies


class Padded(Function):
    """Pieces of the row [S, H, D] -> [n, L, H, D], padding holding its piece's first token.

    Nothing that counts reads padding, so the gradient there is zero and the way back is to leave it out. (Plain
    indexing adds gradients up row by row, which is slow.)
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, pieces: Pieces) -> Tensor:
        ctx.pieces, ctx.length = pieces, len(x)
        return pieces.pad(x).contiguous()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        whole = gradient.new_zeros(ctx.length, *gradient.shape[2:])
        whole[ctx.pieces.at] = ctx.pieces.unpad(gradient)
        return whole, None


class Unpadded(Function):
    """The way back, [n, L, H, D] -> [m, H, D]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, pieces: Pieces) -> Tensor:
        ctx.pieces = pieces
        return pieces.unpad(x).contiguous()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        shape = ctx.pieces.own.shape
        padded = gradient.new_zeros(shape.numel(), *gradient.shape[1:]).index_copy_(0, ctx.pieces.flat, gradient)
        return padded.unflatten(0, shape), None


class Inherited(Function):
    """Of every leaf what its prompt has: [n, ...] -> [leaves, ...]. Gradients of leaves are added up by a matrix
    product, in the same order every time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, parent: Tensor) -> Tensor:
        ctx.parent, ctx.prompts = parent, len(x)
        return x.index_select(0, parent)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        belongs = (torch.arange(ctx.prompts, device=gradient.device)[:, None] == ctx.parent).to(gradient.dtype)
        return (belongs @ gradient.flatten(1)).view(ctx.prompts, *gradient.shape[1:]), None


padded: Callable[[Tensor, Pieces], Tensor] = Padded.apply
unpadded: Callable[[Tensor, Pieces], Tensor] = Unpadded.apply
inherited: Callable[[Tensor, Tensor], Tensor] = Inherited.apply


def by_copies(query: Tensor, key: Tensor, value: Tensor, tree: Tree, scale: float, dropout: float = 0.0) -> Tensor:
    """The same with public means: every piece's keys are put together."""

    def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        out = scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=mask is None, scale=scale
        )
        return out.transpose(1, 2)  # [n, L, H, D]

    first, own, n = slice(tree.prefix), tree.prompts, len(tree.prompts.own)
    out = []
    if tree.prefix:
        out.append(attend(query[None, first], key[None, first], value[None, first], None)[0])
    seen = torch.cat([own.own.new_ones(n, tree.prefix), own.own], dim=1)
    keys, values = (torch.cat([x[first].expand(n, -1, -1, -1), padded(x, own)], dim=1) for x in (key, value))
    mask = visible(seen[:, first], own.own)
    out.append(unpadded(attend(padded(query, own), keys, values, mask), own))
    for pieces, parent in tree.leaves:
        k, v = (
            torch.cat([inherited(of_prompt, parent), padded(x, pieces)], dim=1)
            for of_prompt, x in ((keys, key), (values, value))
        )
        mask = visible(seen[parent], pieces.own)
        out.append(unpadded(attend(padded(query, pieces), k, v, mask), pieces))
    return torch.cat(out)


def visible(before: Tensor, own: Tensor) -> Tensor:
    """Which keys each query sees, [n, 1, L, K + L]: those `before` [n, K] it, then causally its `own` [n, L]."""
    length = own.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=own.device).tril()
    # Queries on padding see themselves alone and are thrown away.
    seen = causal & own[:, None, :] | torch.eye(length, dtype=torch.bool, device=own.device)
    return torch.cat([before[:, None, :].expand(-1, length, -1), seen], dim=-1)[:, None]
