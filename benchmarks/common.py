"""What the benchmarks share: the machine's peak, models, prompts, and timing in processes of their own."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE.parent / "docs" / "performance"


def matmul_peak(threads: int, seconds: float = 1.0, size: int = 2048) -> float:
    """The best rate of square float32 matrix products here, in GFLOP/s."""
    import torch

    torch.set_num_threads(threads)
    a, b = torch.randn(size, size), torch.randn(size, size)
    best, started = 0.0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        before = time.perf_counter()
        torch.mm(a, b)
        best = max(best, 2 * size**3 / (time.perf_counter() - before) / 1e9)
    return best


def machine(threads: int) -> dict[str, Any]:
    from importlib.metadata import version

    from merf.train.start import processor

    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "platform": platform.platform(),
        "matmul_peak_gflops": round(matmul_peak(threads), 1),
        "torch": version("torch"),
        "transformers": version("transformers"),
    }


def llama(folder: Path, width: int = 160, layers: int = 5, vocabulary: int | None = None, context: int = 2048) -> Path:
    """A random Llama-shaped model with the tokenizer of the lab's base, saved as an ordinary folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from merf.lab.bases import resolve
    from merf.policy.load import load_tokenizer

    if (folder / "config.json").exists():
        return folder
    tokenizer = load_tokenizer(resolve("lab:knights"))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary or len(tokenizer),
        hidden_size=width,
        intermediate_size=width * 8 // 3 // 16 * 16,
        num_hidden_layers=layers,
        num_attention_heads=max(width // 32, 1),
        num_key_value_heads=max(width // 32, 1),
        max_position_embeddings=context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def child(script: str, arguments: dict[str, Any], threads: int) -> dict[str, Any]:
    """Run `script` with JSON arguments in a fresh process and return the JSON it prints on its last line."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(HERE),
    }
    done = subprocess.run(
        [sys.executable, script, json.dumps(arguments)], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{script} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def peak_memory() -> float:
    """The largest resident size of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def median(values: list[float]) -> float:
    return statistics.median(values)


def spread(values: list[float], digits: int = 2) -> str:
    """`median (lowest – highest)`."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} – {max(values):.{digits}f})"


def publish(name: str, record: dict[str, Any]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")


def show(title: str, header: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold")
    for i, column in enumerate(header):
        table.add_column(column, justify="left" if i == 0 else "right")
    for row in rows:
        table.add_row(*row)
    Console(width=max(120, 20 * len(header))).print(table)
