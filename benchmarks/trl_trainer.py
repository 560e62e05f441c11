"""TRL's `GRPOTrainer` on a CPU, set to what our defaults are: the other side of the comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def trainer_of(
    model: str,
    prompts: Sequence[Any],
    rewards: Callable[..., Any] | Sequence[Callable[..., Any]],
    folder: Path | str,
    *,
    group: int,
    batch: int,
    limit: int,
    steps: int,
    kind: type | None = None,
    callbacks: Sequence[Any] = (),
    ends: Sequence[int] = (),
    plain: bool = True,
    seed: int = 42,
    **config: Any,
) -> Any:
    """A trainer that takes one update per batch of `batch` responses, `group` to a prompt, in the given order.

    `prompts` are conversations, or rows of a dataset. `plain`: float32 and no gradient checkpointing, as ours; else
    TRL's defaults. `ends` are the token ids that end a response, if not the tokenizer's. `kind` is a subclass of
    `GRPOTrainer`.
    """
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.padding_side = "left"
    extra: dict[str, Any] = {"bf16": False, "gradient_checkpointing": False} if plain else {}
    if ends:
        extra["generation_kwargs"] = {"eos_token_id": [*ends]}
    rows = [p if isinstance(p, dict) and "prompt" in p else {"prompt": p} for p in prompts]
    settings = {
        "output_dir": str(folder),
        "per_device_train_batch_size": batch,
        "num_generations": group,
        "max_completion_length": limit,
        "max_steps": steps,
        "learning_rate": 1e-5,
        "lr_scheduler_type": "constant",
        "adam_beta2": 0.999,
        "max_grad_norm": 1.0,
        "beta": 0.0,
        "loss_type": "dapo",
        "temperature": 1.0,
        "shuffle_dataset": False,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
        "dataloader_num_workers": 0,
        "seed": seed,
        **extra,
        **config,
    }
    return (kind or GRPOTrainer)(
        model=AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32),
        reward_funcs=[*rewards] if isinstance(rewards, (list, tuple)) else [rewards],
        args=GRPOConfig(**settings),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[*callbacks],
    )
