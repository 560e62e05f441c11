"""One large GPU: a model of Qwen2.5-1.5B's shape with random weights, 32 prompts × 8 responses × 512 tokens.

Measured side by side, taking turns: sampling token by token, sampling with CUDA graphs, TRL's way of sampling
(transformers' own `generate`), and the update. A decoding step can't be faster than reading all weights and caches
once, an update not faster than its matrix products: the shares of these two limits are given beside the rates, with
bandwidth and matmul peak measured here and now. Without a GPU it says so and ends.

    python benchmarks/gpu.py [--rounds 3]
    python benchmarks/gpu.py --tiny      # the same code with a tiny model on whatever is there: no figures
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from common import machine, median, publish, show, spread

PROMPTS, GROUP, PROMPT = 32, 8, 200
SHARED = 150
"""Leading tokens that all prompts have in common: the motivation."""


def qwen(folder: Path, tiny: bool) -> Path:
    """A random model of Qwen2.5-1.5B's shape with the lab's tokenizer."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from merf.lab.bases import resolve
    from merf.policy.load import load_tokenizer

    tokenizer = load_tokenizer(resolve("lab:knights"))
    shape = {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "vocab_size": 151936}
    heads = {"num_attention_heads": 12, "num_key_value_heads": 2}
    if tiny:
        shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "vocab_size": 1000}
        heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    torch.manual_seed(0)
    config = Qwen2Config(
        **shape, **heads, max_position_embeddings=4096, tie_word_embeddings=True, eos_token_id=tokenizer.eos_token_id
    )
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def finished(device: str) -> None:
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def timed(work: Callable[[], Any], device: str) -> float:
    finished(device)
    before = time.perf_counter()
    work()
    finished(device)
    return time.perf_counter() - before


def limits(device: str, tiny: bool) -> dict[str, float]:
    """Bytes per second of a copy (read and written), and bfloat16 operations per second of a square product."""
    import torch

    size = 1 << (20 if tiny else 30)
    a, b = (torch.empty(size, dtype=torch.uint8, device=device) for _ in range(2))
    copies = [timed(lambda: b.copy_(a), device) for _ in range(5)]
    side = 256 if tiny else 8192
    x = torch.randn(side, side, dtype=torch.bfloat16, device=device)
    products = [timed(lambda: x @ x, device) for _ in range(5)]
    return {"bytes per second": 2 * size / min(copies), "operations per second": 2 * side**3 / min(products)}


def decode_bytes(config: Any, weights: int, prompts: int, limit: int) -> float:
    """What a decoding step has to read at the least, averaged over a response's length: all weights, the keys and
    values of the common prefix once, of each prompt once, of each response half a length on average. In bfloat16."""
    head = config.hidden_size // config.num_attention_heads
    per_token = 2 * config.num_hidden_layers * config.num_key_value_heads * head * 2
    tokens = SHARED + prompts * (PROMPT - SHARED) + prompts * GROUP * limit / 2
    return 2 * weights + per_token * tokens


def update_operations(config: Any, weights: int, prompts: int, limit: int) -> float:
    """Multiplications and additions of forward and backward: three times the forward's."""
    scored = prompts * GROUP * limit
    row = SHARED + prompts * (PROMPT - SHARED) + scored
    embedding = config.vocab_size * config.hidden_size
    dense = row * (weights - embedding) + scored * embedding
    attention = 2 * config.num_hidden_layers * config.hidden_size * scored * (PROMPT + limit / 2)
    return 3 * 2 * (dense + attention)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true")
    asked = parser.parse_args()
    import torch

    if not torch.cuda.is_available() and not asked.tiny:
        print("no GPU here: nothing is measured (--tiny runs the code on a tiny model)")
        return
    from merf.core.sampling import Sampling
    from merf.policy.policy import Policy

    device = "cuda" if torch.cuda.is_available() else "cpu"
    count, limit = (2, 4) if asked.tiny else (PROMPTS, 512)
    with tempfile.TemporaryDirectory() as folder:
        policy = Policy.load(qwen(Path(folder), asked.tiny), device, tokens_per_batch=32_768, precision=torch.bfloat16)
        plain = Policy.load(Path(folder), device).model.to(torch.bfloat16).eval()
    plain.set_attn_implementation("sdpa")
    policy.stops = frozenset({-1})  # nothing ends before the limit
    config = policy.model.config
    weights = sum(p.numel() for p in policy.model.parameters())
    rng = Random(0)
    head = [rng.randrange(300) for _ in range(SHARED)]
    prompts = [head + [rng.randrange(300) for _ in range(PROMPT - SHARED)] for _ in range(count)]
    shown = [prompt for prompt in prompts for _ in range(GROUP)]
    said = [[rng.randrange(300) for _ in range(limit)] for _ in shown]
    ids = torch.tensor(shown, device=device)

    def sample(static: bool) -> None:
        policy.static = static
        policy.sample(shown, Sampling(max_tokens=limit), list(range(len(shown))))

    def generate() -> None:
        with torch.no_grad():
            plain.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                top_k=0,
                max_new_tokens=limit,
                min_new_tokens=limit,
                pad_token_id=0,
            )

    def update() -> None:
        for rows in policy._cut(shown, said):
            wanted = torch.ones(len(rows), limit, dtype=torch.bool, device=device)
            mine = policy._score(policy.model, [shown[i] for i in rows], [said[i] for i in rows], wanted)
            mine.logprobs.sum().backward()
        policy.model.zero_grad(set_to_none=True)

    works = {
        "sampling": lambda: sample(False),
        "sampling, CUDA graphs": lambda: sample(True),
        "sampling by transformers' generate": generate,
        "update": update,
    }
    bounds: dict[str, list[float]] = {}
    times: dict[str, list[float]] = {name: [] for name in works}
    for round_ in range(-1, asked.rounds):  # the first round warms everything up
        for name, value in limits(device, asked.tiny).items():
            bounds.setdefault(name, []).append(value)
        for name, work in works.items():
            seconds = timed(work, device)
            if round_ >= 0:
                times[name].append(seconds)

    tokens = len(shown) * limit
    least = {
        name: limit * decode_bytes(config, weights, count, limit) / max(bounds["bytes per second"]) for name in works
    }
    least["update"] = update_operations(config, weights, count, limit) / max(bounds["operations per second"])
    theirs = median(times["sampling by transformers' generate"])
    found = {
        "machine": machine(1),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else "none",
        "parameters": weights,
        "tokens": tokens,
        "limits": bounds,
        "seconds": times,
        "tokens per second": {name: tokens / median(values) for name, values in times.items()},
        "share of the limit": {name: least[name] / median(values) for name, values in times.items()},
        "generate takes, in times ours": {
            name: theirs / median(times[name]) for name in ("sampling", "sampling, CUDA graphs")
        },
        "memory_mib": torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else None,
    }
    rows = [
        [name, spread(times[name]), f"{tokens / median(times[name]):,.0f}", f"{found['share of the limit'][name]:.0%}"]  # type: ignore[index]
        for name in works
    ]
    title = f"{found['gpu']}, {weights / 1e9:.2f} billion weights, {count} × {GROUP} × {limit} tokens"
    show(title, ["", "seconds", "tokens per second", "share of the limit"], rows, found)
    if asked.tiny:
        print("a tiny model: nothing is kept")
    else:
        publish("gpu", found)


if __name__ == "__main__":
    main()
