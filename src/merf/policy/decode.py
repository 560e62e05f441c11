"""One decoding step: last tokens in, next-token logits out.

`LlamaDecoder` reads the weights of Llama-shaped models (Llama, Mistral, Qwen2, Qwen3) and runs a step in
as few tensor operations as it can. `ModelDecoder` calls the model's own forward pass and works for any
model whose attention goes through the attention interface. Both attend through a `PrefixCache`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import rms_norm, silu

from merf.policy.cache import PrefixCache
from merf.policy.tree import States, Tree, capture_keys, run_backbone

LLAMA_SHAPED = ("llama", "mistral", "qwen2", "qwen3")


class Decoder(Protocol):
    """How rows come to their next hidden state. `cache` is whatever `open` made. A decoder is made for certain
    layers; the states of these are kept as well."""

    refills: bool
    """Whether caches of rows at different positions can be joined."""

    def open(self, prompts: Sequence[list[int]], parent: Sequence[int]) -> tuple[Any, States]:
        """Prefill: row b continues `prompts[parent[b]]`. Returns a cache and hidden states [B, d]."""
        ...

    def step(self, tokens: Tensor, cache: Any) -> States:
        """Feed each row's newest token [B]; returns hidden states [B, d]."""
        ...


class ModelDecoder:
    """The model's own forward, one token per row, over a prefix-sharing cache.

    `prefix` is how many leading tokens all prompts share.
    """

    refills = True

    def __init__(self, model: Any, prefix: int, layers: Sequence[int] = ()) -> None:
        self.model, self.prefix, self.keeps = model, prefix, layers
        self.stored: torch.dtype | None = None  # what keys and values are kept in, if not as they come

    def open(self, prompts: Sequence[list[int]], parent: Sequence[int]) -> tuple[PrefixCache, States]:
        """Run every distinct prompt once."""
        device = next(self.model.parameters()).device
        tree = Tree.grow(prompts, [], [], device, prefix=self.prefix)
        states, captured = capture_keys(self.model, tree, self.keeps)
        last = tree.prompts.index[:, 0] + tree.prompts.own.sum(1) - 1
        rows = torch.tensor(parent, dtype=torch.long, device=device)
        # Rotation may have made float32 of them, which every step would have to read and convert.
        captured = [(key.to(self.stored or key.dtype), value.to(self.stored or value.dtype)) for key, value in captured]
        return self.cache_of(captured, tree, rows), states.at(last[rows])

    def cache_of(self, captured: Sequence[tuple[Tensor, Tensor]], tree: Tree, parent: Tensor) -> PrefixCache:
        """What the prompts' keys and values are kept in."""
        return PrefixCache(captured, tree, parent)

    def step(self, tokens: Tensor, cache: PrefixCache) -> States:
        positions = cache.advance()
        states, _ = run_backbone(
            self.model.get_decoder(),
            self.keeps,
            input_ids=tokens[:, None],
            position_ids=positions[:, None],
            attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=tokens.device),
            use_cache=False,
            prefix_cache=cache,
        )
        cache.wrote()
        return states.at((slice(None), 0))


class LlamaDecoder(ModelDecoder):
    """A compact decoding step over the weights of a Llama-shaped model.

    A step of a small model is many operations of a few microseconds each, so what can be computed beforehand is: the
    projections that read the same input are stacked into one matrix, the weights of the norms before them and the
    scale of attention are multiplied into them. That copies weights, so build a fresh decoder after every update of
    the model.
    """

    def __init__(
        self,
        model: Any,
        prefix: int,
        positions: int,
        dtype: torch.dtype = torch.float32,
        layers: Sequence[int] = (),
    ) -> None:
        """`positions` is how far any sequence can reach; rotary angles are tabulated up to it. Weights are
        read as `dtype`."""
        super().__init__(model, prefix, layers)
        self.stored = dtype
        backbone, config = model.get_decoder(), model.config
        weight = backbone.embed_tokens.weight
        self.embedding = weight.to(dtype)
        self.norm = backbone.norm.weight.to(dtype)
        self.eps = config.rms_norm_eps
        self.floor = torch.tensor(self.eps)  # the same for the norm on a CPU
        angles = torch.arange(positions, device=weight.device)[None]
        cos, sin = backbone.rotary_emb(weight[None, :1].float(), angles)
        left, right = sin[0].chunk(2, dim=-1)
        # Rotated by half, [a, b] becomes [b, a]; the sign of (−b, a) is the table's.
        self.turn = torch.stack([cos[0], torch.cat([-left, right], dim=-1)]).to(dtype)  # [2, positions, D]
        self.layers = [read(layer, dtype) for layer in backbone.layers]

    def unit(self, x: Tensor) -> Tensor:
        """x / rms(x) over the last dimension."""
        if x.device.type != "cpu" or x.dtype != torch.float32:
            return rms_norm(x, x.shape[-1:], None, self.eps)  # one kernel on a GPU, nine on a CPU
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return x * torch.addcmul(self.floor, length, length, value=1 / x.shape[-1]).rsqrt_()

    def step(self, tokens: Tensor, cache: PrefixCache) -> States:
        positions = cache.advance().clamp_max(self.turn.shape[1] - 1)  # only rows that are done get that far
        cos, sin = self.turn[:, positions, None]  # [B, 1, D]
        x = self.embedding[tokens]
        passed = []  # what goes into each layer, then what comes out at the end
        for index, w in enumerate(self.layers):
            passed.append(x)
            qkv = self.unit(x) @ w.qkv
            qkv = (qkv if w.qkv_bias is None else qkv + w.qkv_bias).view(len(x), -1, w.head)
            qk, v = qkv[:, : w.turned], qkv[:, w.turned :]
            if w.qk_norm is not None:
                qk = self.unit(qk) * w.qk_norm
            qk = torch.addcmul(qk * cos, qk.roll(w.head // 2, -1), sin)
            x = w.out(x, cache.attend(index, qk[:, : w.queries], qk[:, w.queries :], v).flatten(1))
            gate, up = (self.unit(x) @ w.gate_up).chunk(2, dim=-1)
            x = w.down(x, silu(gate) * up)
        cache.wrote()
        passed.append(self.unit(x) * self.norm)
        kept = torch.stack([passed[layer] for layer in self.keeps], dim=1) if self.keeps else None
        return States(passed[-1], kept)


@dataclass(frozen=True)
class Weights:
    """A layer's weights as a step reads them (d width, D head size, H query heads, K key heads, m inner width)."""

    qkv: Tensor  # [d, (H + 2K) D]
    qkv_bias: Tensor | None
    qk_norm: Tensor | None  # [H + K, D]
    out_proj: Tensor  # [H D, d]
    out_bias: Tensor | None
    gate_up: Tensor  # [d, 2m]
    down_proj: Tensor  # [m, d]
    head: int  # D
    queries: int  # H
    turned: int  # H + K, the heads that are rotated

    def out(self, x: Tensor, attended: Tensor) -> Tensor:
        """x [B, d] with what attention adds."""
        return torch.addmm(x if self.out_bias is None else x + self.out_bias, attended, self.out_proj)

    def down(self, x: Tensor, inner: Tensor) -> Tensor:
        """x [B, d] with what the MLP adds."""
        return torch.addmm(x, inner, self.down_proj)


def read(layer: Any, dtype: torch.dtype) -> Weights:
    """A Llama-shaped layer's weights."""
    attention, mlp = layer.self_attn, layer.mlp
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    size, scale = attention.head_dim, attention.scaling
    queries, keys = (p.weight.shape[0] // size for p in projections[:2])
    qk_norm = None
    scales = [scale, 1.0, 1.0]
    if hasattr(attention, "q_norm"):
        each = [attention.q_norm.weight * scale] * queries + [attention.k_norm.weight] * keys
        qk_norm, scales = torch.stack(each).to(dtype), [1.0, 1.0, 1.0]
    scaled = [*zip(projections, scales, strict=True)]
    before, after = layer.input_layernorm.weight, layer.post_attention_layernorm.weight

    def laid(weight: Tensor) -> Tensor:
        """[out, in] -> [in, out]; on a CPU also in memory, where small products are a tenth to a fifth faster so."""
        weight = weight.to(dtype).t()
        return weight.contiguous() if weight.device.type == "cpu" else weight

    return Weights(
        qkv=laid(torch.cat([p.weight * before * a for p, a in scaled])),
        qkv_bias=None if projections[0].bias is None else torch.cat([p.bias * a for p, a in scaled]).to(dtype),
        qk_norm=qk_norm,
        out_proj=laid(attention.o_proj.weight),
        out_bias=None if attention.o_proj.bias is None else attention.o_proj.bias.to(dtype),
        gate_up=laid(torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]) * after),
        down_proj=laid(mlp.down_proj.weight),
        head=size,
        queries=queries,
        turned=queries + keys,
    )


def decoder_for(
    model: Any,
    prefix: int,
    positions: int,
    dtype: torch.dtype = torch.float32,
    layers: Sequence[int] = (),
    static: bool = False,
) -> Decoder:
    """The fastest decoder that fits a model which can share prefixes. `static`: over buffers of fixed size, where
    the model is Llama-shaped."""
    config = model.config
    windowed = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    plain = config.model_type in LLAMA_SHAPED and not (windowed and config.sliding_window < positions)
    adapted = getattr(model, "_hf_peft_config_loaded", False)
    if plain and not adapted:
        if static:
            from merf.policy.static import StaticDecoder

            return StaticDecoder(model, prefix, positions, dtype, layers)
        return LlamaDecoder(model, prefix, positions, dtype, layers)
    return ModelDecoder(model, prefix, layers)
