"""Prefix-shared forward passes: every distinct piece of text goes through the model once.

The tokens of a batch form a tree three levels deep: one prefix shared by all prompts (system text and
motivation), one branch per distinct prompt, one leaf per response.

    prefix ─┬─ prompt 0 ─┬─ response 0
            │            └─ response 1
            └─ prompt 1 ─── response 2

All of them are laid end to end in a single row [1, S], so embeddings, projections and MLPs run once per
token of the tree with no padding at all. Only attention looks at the shape of the tree: a leaf attends to
prefix, own prompt and itself. The model's own forward is used; `tree_attention` is registered as an
attention implementation, and behaves as SDPA when it is called without a tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

if TYPE_CHECKING:
    from merf.policy.cache import PrefixCache

ATTENTION = "merf_tree"

SHORTEST_SHARED_PREFIX = 8
"""Prefixes shorter than this many tokens are not worth a level of their own."""


def shared_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """How many leading tokens all prompts share, leaving every prompt at least one token of its own."""
    if len(prompts) < 2:
        return 0
    low, high = min(map(tuple, prompts)), max(map(tuple, prompts))
    limit = min(len(prompt) for prompt in prompts) - 1
    length = 0
    while length < limit and low[length] == high[length]:
        length += 1
    return length if length >= SHORTEST_SHARED_PREFIX else 0


@dataclass(frozen=True)
class Level:
    """Sequences of similar length and where they lie in the row.

    start         the row position of the first; the others follow, end to end
    index [n, L]  row positions, padded with the sequence's own first position
    own   [n, L]  False on padding
    flat  [m]     the real entries among n * L, in row order
    mask  [n, 1, L, K]  which keys each query sees: what came before, then causally its own sequence
    parent [n]    for responses, which prompt each belongs to
    """

    start: int
    index: Tensor
    own: Tensor
    flat: Tensor
    mask: Tensor
    parent: Tensor

    @classmethod
    def of(
        cls, lengths: Sequence[int], start: int, before: Tensor, parent: Sequence[int], device: torch.device
    ) -> Level:
        """Lay sequences of these lengths end to end from row position `start`.

        `before [p, K]` says which earlier keys exist for each parent.
        """
        sizes = torch.tensor(lengths, device=device)
        firsts = start + sizes.cumsum(0) - sizes
        steps = torch.arange(max(lengths), device=device)
        own = steps < sizes[:, None]
        index = torch.where(own, firsts[:, None] + steps, firsts[:, None])
        parents = torch.tensor(parent, dtype=torch.long, device=device)
        causal = torch.ones(len(steps), len(steps), dtype=torch.bool, device=device).tril()
        # Padding is stored at the sequence's first position, which causality already hides from no query
        # that counts; queries on padding see themselves alone and are thrown away.
        seen = causal & own[:, None, :] | torch.eye(len(steps), dtype=torch.bool, device=device)
        earlier = before[parents][:, None, :].expand(-1, len(steps), -1)
        mask = torch.cat([earlier, seen], dim=-1)[:, None]
        return cls(start, index, own, own.flatten().nonzero().squeeze(1), mask, parents)


@dataclass(frozen=True)
class Tree:
    """The token tree of a batch of N responses to n distinct prompts.

    tokens    [S]     all tokens, laid out prefix | prompts | responses (shortest first)
    positions [S]     each token's position in its own sequence
    prefix            length of the shared prefix
    prompts           the prompts' own tokens
    leaves            the responses, cut into levels of similar length
    index     [N, T]  row position of every response token, in the caller's order
    own       [N, T]  False on padding
    predictor [N, T]  the row position whose hidden state predicts each response token
    """

    tokens: Tensor
    positions: Tensor
    prefix: int
    prompts: Level
    leaves: tuple[Level, ...]
    index: Tensor
    own: Tensor
    predictor: Tensor

    @classmethod
    def grow(
        cls,
        prompts: Sequence[Sequence[int]],
        responses: Sequence[Sequence[int]],
        parent: Sequence[int],
        device: torch.device | str = "cpu",
        prefix: int | None = None,
    ) -> Tree:
        """Lay out `responses`, none empty, the i-th of which answers `prompts[parent[i]]`.

        `prefix` is how many leading tokens all prompts share; it is looked up when not given.
        """
        device = torch.device(device)
        prefix = shared_prefix(prompts) if prefix is None else prefix
        tails = [prompt[prefix:] for prompt in prompts]
        order = sorted(range(len(responses)), key=lambda i: len(responses[i]))
        row = list(prompts[0][:prefix])
        positions = list(range(prefix))
        for tail in tails:
            row += tail
            positions += range(prefix, prefix + len(tail))
        start, starts = len(row), [0] * len(responses)
        for i in order:
            starts[i] = len(row)
            row += responses[i]
            first = prefix + len(tails[parent[i]])
            positions += range(first, first + len(responses[i]))

        seen = torch.ones(len(prompts), prefix, dtype=torch.bool, device=device)
        prompt_level = Level.of([len(t) for t in tails], prefix, seen, range(len(prompts)), device)
        seen = torch.cat([seen, prompt_level.own], dim=1)
        leaves = []
        for bucket in similar(order, [len(r) for r in responses]):
            lengths = [len(responses[i]) for i in bucket]
            leaves.append(Level.of(lengths, start, seen, [parent[i] for i in bucket], device))
            start += sum(lengths)

        sizes = torch.tensor([len(r) for r in responses], dtype=torch.long, device=device)
        steps = torch.arange(int(sizes.max()) if len(sizes) else 0, device=device)
        own = steps < sizes[:, None]
        firsts = torch.tensor(starts, dtype=torch.long, device=device)[:, None]
        index = torch.where(own, firsts + steps, firsts)
        # The first token of a response is predicted at its prompt's last position, the others one to the left.
        last = prompt_level.index[:, 0] + prompt_level.own.sum(1) - 1
        predictor = torch.where(
            steps == 0, last[torch.tensor(parent, dtype=torch.long, device=device)][:, None], index - 1
        )
        return cls(
            torch.tensor(row, device=device),
            torch.tensor(positions, device=device),
            prefix,
            prompt_level,
            tuple(leaves),
            index,
            own,
            predictor,
        )


def similar(order: Sequence[int], lengths: Sequence[int], slack: float = 1.3) -> Iterator[list[int]]:
    """Cut `order`, sorted by length, into runs whose longest is at most `slack` times the shortest (plus 8)."""
    run: list[int] = []
    for i in order:
        if run and lengths[i] > slack * lengths[run[0]] + 8:
            yield run
            run = []
        run.append(i)
    if run:
        yield run


class Padded(Function):
    """A level's tokens [m, H, D] end to end -> [n, L, H, D], padding holding its sequence's first token.

    Nothing that counts reads padding, so the gradient there is zero and the way back is to leave it out. (Plain
    indexing adds gradients up row by row, which took a tenth of an update.)
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, level: Level) -> Tensor:
        ctx.level = level
        n, length = level.index.shape
        return x.index_select(0, level.index.flatten() - level.start).view(n, length, *x.shape[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0].flatten(0, 1).index_select(0, ctx.level.flat), None


class Unpadded(Function):
    """The way back, [n, L, H, D] -> [m, H, D]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, level: Level) -> Tensor:
        ctx.level = level
        return x.flatten(0, 1).index_select(0, level.flat)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        n, length = ctx.level.index.shape
        padded = gradient.new_zeros(n * length, *gradient.shape[1:]).index_copy_(0, ctx.level.flat, gradient)
        return padded.view(n, length, *gradient.shape[1:]), None


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


padded: Callable[[Tensor, Level], Tensor] = Padded.apply
unpadded: Callable[[Tensor, Level], Tensor] = Unpadded.apply
inherited: Callable[[Tensor, Tensor], Tensor] = Inherited.apply


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
    if prefix_cache is not None:
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        layer = int(module.layer_idx)  # type: ignore[arg-type]
        return prefix_cache.attend(layer, query[:, :, 0], key[:, :, 0], value[:, :, 0], scale)[:, None], None
    if tree is None:
        attended: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **kwargs
        )
        return attended

    grouped = query.shape[1] != key.shape[1]

    def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool = False) -> Tensor:
        out = scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal, scale=scaling, enable_gqa=grouped
        )
        return out.transpose(1, 2)  # [n, L, H, D]

    def cut(x: Tensor) -> list[Tensor]:
        """[1, H, S, D] -> the prefix [H, P0, D], then every level's sequences, padded, [n, H, L, D]."""
        sizes = [tree.prefix, *(len(level.flat) for level in levels)]
        prefix, *rest = x[0].transpose(0, 1).split(sizes)
        return [
            prefix.transpose(0, 1),
            *(padded(x, level).transpose(1, 2) for x, level in zip(rest, levels, strict=True)),
        ]

    if captured is not None:
        captured.append((key, value))
    levels = (tree.prompts, *tree.leaves)
    (prefix_q, prompt_q, *leaf_q), (prefix_k, prompt_k, *leaf_k), (prefix_v, prompt_v, *leaf_v) = map(
        cut, (query, key, value)
    )
    out = []
    if tree.prefix:
        out.append(attend(prefix_q[None], prefix_k[None], prefix_v[None], None, causal=True)[0])

    n = len(tree.prompts.index)
    context_k = torch.cat([prefix_k.expand(n, -1, -1, -1), prompt_k], dim=2)
    context_v = torch.cat([prefix_v.expand(n, -1, -1, -1), prompt_v], dim=2)
    out.append(unpadded(attend(prompt_q, context_k, context_v, tree.prompts.mask), tree.prompts))

    for leaf, q, k, v in zip(tree.leaves, leaf_q, leaf_k, leaf_v, strict=True):
        keys = torch.cat([inherited(context_k, leaf.parent), k], dim=2)
        values = torch.cat([inherited(context_v, leaf.parent), v], dim=2)
        out.append(unpadded(attend(q, keys, values, leaf.mask), leaf))
    return torch.cat(out)[None], None


AttentionInterface.register(ATTENTION, tree_attention)
AttentionMaskInterface.register(ATTENTION, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


class States(NamedTuple):
    """Hidden states of some positions: the last ones [..., d], and those of k layers [..., k, d] that were asked
    for (numbered as in `output_hidden_states`), None if none were."""

    last: Tensor
    kept: Tensor | None

    def at(self, place: Any) -> States:
        """The states of some of the positions."""
        return States(self.last[place], None if self.kept is None else self.kept[place])


def run_backbone(backbone: Any, layers: Sequence[int], **inputs: Any) -> tuple[States, Any]:
    """The states that a transformer gives for `inputs`, and its whole output."""
    out = backbone(**inputs, output_hidden_states=True) if layers else backbone(**inputs)
    kept = torch.stack([out.hidden_states[layer] for layer in layers], dim=-2) if layers else None
    return States(out.last_hidden_state, kept), out


def tree_states(model: Any, tree: Tree, layers: Sequence[int] = (), **kwargs: Any) -> States:
    """The model's hidden states over the tree's row, [S, d]."""
    states, _ = run_backbone(
        model.get_decoder(),
        layers,
        input_ids=tree.tokens[None],
        position_ids=tree.positions[None],
        # A mask with four dimensions is passed through untouched; `tree_attention` ignores it.
        attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=tree.tokens.device),
        use_cache=False,
        tree=tree,
        **kwargs,
    )
    return states.at(0)


def hidden_states(model: Any, tree: Tree) -> Tensor:
    """The model's last hidden states over the tree's row, [S, d]."""
    return tree_states(model, tree).last


def capture_keys(model: Any, tree: Tree, layers: Sequence[int] = ()) -> tuple[States, list[tuple[Tensor, Tensor]]]:
    """Hidden states [S, d], and each layer's keys and values [1, K, S, D] after rotation."""
    captured: list[tuple[Tensor, Tensor]] = []
    return tree_states(model, tree, layers, captured=captured), captured


def output_logits(model: Any, hidden: Tensor) -> Tensor:
    """Next-token logits [n, V] from last hidden states [n, d]."""
    logits: Tensor = model.get_output_embeddings()(hidden)
    cap = getattr(model.config, "final_logit_softcapping", None)
    return logits if cap is None else torch.tanh(logits / cap) * cap
