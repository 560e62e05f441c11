"""Prefix-shared forward passes: every distinct piece of text goes through the model once.

The tokens of a batch form a tree three levels deep: one prefix shared by all prompts (system text and
motivation), one branch per distinct prompt, one leaf per response.

    prefix ─┬─ prompt 0 ─┬─ response 0
            │            └─ response 1
            └─ prompt 1 ─── response 2

All of them are laid end to end in a single row [1, S], so embeddings, projections and MLPs run once per
token of the tree with no padding at all. Only attention looks at the shape of the tree: a leaf attends to
prefix, own prompt and itself. The model's own forward is used, with the attention of `attention.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

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
class Pieces:
    """Pieces of the row, to be padded to a rectangle.

    at            the row positions of their m tokens, one piece after the other: a slice, or [m]
    index [n, L]  row positions, padded with the piece's own first
    own   [n, L]  False on padding
    flat  [m]     the real entries among n * L
    """

    at: slice | Tensor
    index: Tensor
    own: Tensor
    flat: Tensor

    @classmethod
    def of(cls, lengths: Sequence[int], start: int, device: torch.device) -> Pieces:
        """Pieces of these lengths, end to end from row position `start`."""
        stop = start + sum(lengths)
        return cls._cut(lengths, slice(start, stop), torch.arange(start, stop, device=device))

    @classmethod
    def at_rows(cls, lengths: Sequence[int], rows: Tensor) -> Pieces:
        """Pieces of these lengths that lie at the row positions `rows` [m]."""
        return cls._cut(lengths, rows, rows)

    @classmethod
    def _cut(cls, lengths: Sequence[int], at: slice | Tensor, rows: Tensor) -> Pieces:
        sizes = torch.tensor(lengths, device=rows.device)
        firsts = sizes.cumsum(0) - sizes
        steps = torch.arange(max(lengths), device=rows.device)
        own = steps < sizes[:, None]
        index = rows[torch.where(own, firsts[:, None] + steps, firsts[:, None])]
        return cls(at, index, own, own.flatten().nonzero().squeeze(1))

    @cached_property
    def full(self) -> bool:
        """Whether there is no padding."""
        return len(self.flat) == self.own.numel()

    @cached_property
    def even(self) -> bool:
        """Whether the pieces are of equal length and one part of the row, so that nothing has to be copied."""
        return isinstance(self.at, slice) and self.full

    def pad(self, x: Tensor) -> Tensor:
        """[S, ...] -> [n, L, ...]"""
        tokens = x[self.at] if self.even else x.index_select(0, self.index.flatten())
        return tokens.view(*self.own.shape, *x.shape[1:])

    def unpad(self, x: Tensor) -> Tensor:
        """[n, L, ...] -> [m, ...]"""
        return x.flatten(0, 1) if self.even else x.flatten(0, 1).index_select(0, self.flat)


class Leaves(NamedTuple):
    """Responses of similar length, and which prompt each belongs to [n]."""

    pieces: Pieces
    parent: Tensor


class Look(NamedTuple):
    """A part of the tree's attention: each of the n pieces of `queries` looks at its own of the n pieces of `keys`, in
    front of which every one has the first `shared` tokens of the row. Causally, if pieces look at themselves."""

    queries: Pieces
    keys: Pieces
    shared: int = 0
    causal: bool = False


@dataclass(frozen=True)
class Tree:
    """The token tree of a batch of N responses to n distinct prompts.

    tokens    [S]     all tokens, laid out prefix | prompts | responses (shortest first)
    positions [S]     each token's position in its own sequence
    prefix            length of the shared prefix
    prompts           the prompts' own tokens
    leaves            the responses, those of similar length together
    index     [N, T]  row position of every response token, in the caller's order
    own       [N, T]  False on padding
    predictor [N, T]  the row position whose hidden state predicts each response token
    """

    tokens: Tensor
    positions: Tensor
    prefix: int
    prompts: Pieces
    leaves: tuple[Leaves, ...]
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

        own_prompts = Pieces.of([len(tail) for tail in tails], prefix, device)
        leaves = []
        for bucket in similar(order, [len(r) for r in responses]):
            lengths = [len(responses[i]) for i in bucket]
            parents = torch.tensor([parent[i] for i in bucket], device=device)
            leaves.append(Leaves(Pieces.of(lengths, start, device), parents))
            start += sum(lengths)

        sizes = torch.tensor([len(r) for r in responses], dtype=torch.long, device=device)
        steps = torch.arange(int(sizes.max()) if len(sizes) else 0, device=device)
        own = steps < sizes[:, None]
        firsts = torch.tensor(starts, dtype=torch.long, device=device)[:, None]
        index = torch.where(own, firsts + steps, firsts)
        # The first token of a response is predicted at its prompt's last position, the others one to the left.
        last = own_prompts.index[:, 0] + own_prompts.own.sum(1) - 1
        predictor = torch.where(
            steps == 0, last[torch.tensor(parent, dtype=torch.long, device=device)][:, None], index - 1
        )
        return cls(
            torch.tensor(row, device=device),
            torch.tensor(positions, device=device),
            prefix,
            own_prompts,
            tuple(leaves),
            index,
            own,
            predictor,
        )

    @cached_property
    def looks(self) -> tuple[Look, ...]:
        """The parts that its attention is made of. First every token's look at its own piece, then what came before."""
        device = self.tokens.device
        asked = [int(n) for n in self.prompts.own.sum(1)]
        said = [0] * len(asked)  # tokens that were said to each prompt
        where: list[list[Tensor]] = [[] for _ in asked]  # and their row positions
        for pieces, parent in self.leaves:
            for rows, own, prompt in zip(pieces.index, pieces.own, parent.tolist(), strict=True):
                where[prompt].append(rows[own])
                said[prompt] += len(where[prompt][-1])

        looks = [Look(own, own, causal=True) for own in (self.prompts, *(pieces for pieces, _ in self.leaves))]
        if self.prefix:
            first = Pieces.of([self.prefix], 0, device)
            after = Pieces.of([sum(asked)], self.prefix, device)
            looks = [Look(first, first, causal=True), *looks, Look(after, first)]
        answered = sorted((i for i, tokens in enumerate(said) if tokens), key=said.__getitem__)
        for bucket in similar(answered, said):
            answers = torch.cat([rows for i in bucket for rows in where[i]])
            prompts = torch.cat([self.prompts.index[i, : asked[i]] for i in bucket])
            queries = Pieces.at_rows([said[i] for i in bucket], answers)
            looks.append(Look(queries, Pieces.at_rows([asked[i] for i in bucket], prompts), self.prefix))
        return tuple(looks)


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
