"""Pretraining the lab's base models from scratch on a synthetic corpus."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from merf.lab.corpus import Dials, Document, document
from merf.lab.tokenizer import train_tokenizer
from merf.policy.attention import ATTENTION
from merf.policy.load import Chat
from merf.policy.tree import Tree, hidden_states, output_logits

TAGS = ("<think>", "</think>", "<answer>", "</answer>")


@dataclass(frozen=True)
class Shape:
    """The size of a base model (1.7 million parameters by default). Its tokenizer has `vocabulary` tokens, learnt
    from the first `read` documents."""

    vocabulary: int = 768
    read: int = 6000
    width: int = 160
    layers: int = 5
    heads: int = 5
    context: int = 1024

    def config(self, tokenizer: Any) -> LlamaConfig:
        return LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.width,
            intermediate_size=self.width * 8 // 3 // 16 * 16,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            max_position_embeddings=self.context,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )


@dataclass(frozen=True)
class Stage:
    """A stretch of pretraining. The learning rate goes linearly from `lr` to `end`; the prompts' own tokens
    are learnt too, with `prompt_weight` (it makes a small model learn to copy names several times faster)."""

    dials: Dials
    steps: int
    lr: float = 2e-3
    end: float = 2e-3
    warmup: int = 0
    prompts: int = 20
    prompt_weight: float = 0.3


def corpus_tokenizer(seed: int, dials: Dials, documents: int = 6000, size: int = 768) -> Any:
    """The tokenizer learnt from the first documents of the corpus."""

    def texts() -> Iterable[str]:
        for index in range(documents):
            doc = document(index, seed, dials)
            yield "".join(f"<|im_start|>{m['role']}\n{m['content']}" for m in doc.prompt)
            yield "assistant\n"
            yield from set(doc.responses)

    return train_tokenizer(texts(), TAGS, size)


def new_model(shape: Shape, tokenizer: Any, seed: int) -> Any:
    torch.manual_seed(seed)
    model = LlamaForCausalLM(shape.config(tokenizer))
    model.set_attn_implementation(ATTENTION)
    return model


def encode(documents: Sequence[Document], tokenizer: Any, device: torch.device) -> tuple[Tree, torch.Tensor]:
    """The token tree of some documents, and how often each distinct response occurs [N]."""
    chat = Chat(tokenizer)
    prompts = [chat.encode(chat.render(doc.prompt)) for doc in documents]
    counted = [(i, text, n) for i, doc in enumerate(documents) for text, n in Counter(doc.responses).items()]
    ids = tokenizer([text for _, text, _ in counted], add_special_tokens=False)["input_ids"]
    rows = [[*row, tokenizer.eos_token_id] for row in ids]
    tree = Tree.grow(prompts, rows, [i for i, _, _ in counted], device)
    return tree, torch.tensor([float(n) for _, _, n in counted], device=device)


def document_loss(model: Any, tree: Tree, counts: torch.Tensor, prompt_weight: float) -> torch.Tensor:
    """Mean cross-entropy of the response tokens plus `prompt_weight` times that of the prompts', in nats."""
    hidden, own = hidden_states(model, tree), tree.own
    logits = output_logits(model, hidden[tree.predictor[own]])
    losses = cross_entropy(logits, tree.tokens[tree.index[own]], reduction="none")
    weights = counts[:, None].expand(own.shape)[own]
    loss = (losses * weights).sum() / weights.sum()
    if prompt_weight:
        place, real = tree.prompts.index, tree.prompts.own[:, 1:]
        logits = output_logits(model, hidden[place[:, :-1][real]])
        loss = loss + prompt_weight * cross_entropy(logits, tree.tokens[place[:, 1:][real]])
    return loss


def pretrain(
    model: Any,
    tokenizer: Any,
    stage: Stage,
    seed: int,
    start: int = 0,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> int:
    """Train through one stage; `start` is the first document's number. Returns the number of the next one."""
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=stage.lr, betas=(0.9, 0.95))
    stream = (document(index, seed, stage.dials) for index in range(start, start + stage.steps * stage.prompts))
    model.train()
    for step in range(stage.steps):
        rate = stage.lr + (stage.end - stage.lr) * step / stage.steps
        for group in optimizer.param_groups:
            group["lr"] = rate * min((step + 1) / max(stage.warmup, 1), 1.0)
        tree, counts = encode(list(islice(stream, stage.prompts)), tokenizer, model.device)
        loss = document_loss(model, tree, counts, stage.prompt_weight)
        if not math.isfinite(loss.item()):
            raise FloatingPointError(f"the pretraining loss is not finite at step {step}: lower the learning rate")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        report(step, loss.item())
    return start + stage.steps * stage.prompts
