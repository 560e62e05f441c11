"""One decoding step: last tokens in, next-token logits out.

`LlamaDecoder` reads the weights of Llama-shaped models (Llama, Mistral, Qwen2, Qwen3) and runs a step in
as few tensor operations as it can. `ModelDecoder` calls the model's own forward pass and works for any
model whose attention goes through the attention interface. Both attend through a `PrefixCache`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import linear, rms_norm, silu

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


def rotate_half(x: Tensor) -> Tensor:
    left, right = x.chunk(2, dim=-1)
    return torch.cat([-right, left], dim=-1)


class LlamaDecoder(ModelDecoder):
    """A compact decoding step over the weights of a Llama-shaped model.

    The projections that read the same input are stacked into one matrix. That copies weights, so build
    a fresh decoder after every update of the model.
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
        self.embedding = backbone.embed_tokens.weight.to(dtype)
        self.eps = config.rms_norm_eps
        self.norm = backbone.norm.weight.to(dtype)
        angles = torch.arange(positions, device=self.embedding.device)[None]
        cos, sin = backbone.rotary_emb(self.embedding[None, :1], angles)
        self.cos, self.sin = cos[0].to(dtype), sin[0].to(dtype)
        self.layers = [self._read(layer, dtype) for layer in backbone.layers]

    @staticmethod
    def _read(layer: Any, dtype: torch.dtype) -> dict[str, Any]:
        attention, mlp = layer.self_attn, layer.mlp
        projections = (attention.q_proj, attention.k_proj, attention.v_proj)

        def weight_of(module: Any) -> Tensor | None:
            return None if module is None else module.weight.to(dtype)

        def stacked(parts: Sequence[Any], name: str) -> Tensor | None:
            rows = [getattr(part, name) for part in parts]
            return None if rows[0] is None else torch.cat(rows).to(dtype)

        return {
            "before": weight_of(layer.input_layernorm),
            "qkv": stacked(projections, "weight"),
            "qkv_bias": stacked(projections, "bias"),
            "q_norm": weight_of(getattr(attention, "q_norm", None)),
            "k_norm": weight_of(getattr(attention, "k_norm", None)),
            "out": weight_of(attention.o_proj),
            "out_bias": stacked([attention.o_proj], "bias"),
            "after": weight_of(layer.post_attention_layernorm),
            "gate_up": stacked((mlp.gate_proj, mlp.up_proj), "weight"),
            "down": weight_of(mlp.down_proj),
            "head": attention.head_dim,
            "scaling": attention.scaling,
            "widths": [p.weight.shape[0] for p in projections],
        }

    def step(self, tokens: Tensor, cache: PrefixCache) -> States:
        positions = cache.advance().clamp_max(len(self.cos) - 1)  # only rows that are done get that far
        cos, sin = self.cos[positions][:, None], self.sin[positions][:, None]  # [B, 1, D]
        x = self.embedding[tokens]
        passed = []  # what goes into each layer, then what comes out at the end
        for index, w in enumerate(self.layers):
            passed.append(x)
            normed = rms_norm(x, (x.shape[-1],), w["before"], self.eps)
            projected = linear(normed, w["qkv"], w["qkv_bias"]).split(w["widths"], dim=-1)
            q, k, v = (part.view(len(x), -1, w["head"]) for part in projected)
            if w["q_norm"] is not None:
                q = rms_norm(q, (w["head"],), w["q_norm"], self.eps)
                k = rms_norm(k, (w["head"],), w["k_norm"], self.eps)
            q = q * cos + rotate_half(q) * sin
            k = k * cos + rotate_half(k) * sin
            attended = cache.attend(index, q, k, v, w["scaling"])
            x = x + linear(attended.flatten(1), w["out"], w["out_bias"])
            normed = rms_norm(x, (x.shape[-1],), w["after"], self.eps)
            gate, up = linear(normed, w["gate_up"]).chunk(2, dim=-1)
            x = x + linear(silu(gate) * up, w["down"])
        cache.wrote()
        passed.append(rms_norm(x, (x.shape[-1],), self.norm, self.eps))
        kept = torch.stack([passed[layer] for layer in self.keeps], dim=1) if self.keeps else None
        return States(passed[-1], kept)


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
