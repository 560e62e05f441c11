"""Small real models: random weights, real tokenizers, the shapes people use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()

QWEN_TEMPLATE = (
    "{%- if messages[0].role == 'system' -%}{{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' -}}"
    "{%- else -%}{{- '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' -}}{%- endif -%}"
    "{%- for message in messages -%}{%- if message.role != 'system' -%}"
    "{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' -}}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
LLAMA_TEMPLATE = (
    "{{- '<|begin_of_text|>' -}}{%- for message in messages -%}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' -}}"
    "{{- message['content'] | trim + '<|eot_id|>' -}}"
    "{%- endfor -%}{%- if add_generation_prompt -%}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}{%- endif -%}"
)


@pytest.fixture(scope="session")
def lab_tokenizer() -> Any:
    from merf.lab.corpus import Dials
    from merf.lab.pretrain import corpus_tokenizer

    return corpus_tokenizer(0, Dials(), documents=150, size=400)


def make_model(kind: str, vocabulary: int, **changes: Any) -> Any:
    """A random model of one of the supported shapes, two layers deep, in float32."""
    from merf.policy.attention import ATTENTION

    shape: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": 64,
        "intermediate_size": 112,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
        "initializer_range": 0.08,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": 2,
        **changes,
    }
    names = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3", "gemma": "Gemma"}
    config = getattr(transformers, f"{names[kind]}Config")(**shape)
    torch.manual_seed(0)
    model = getattr(transformers, f"{names[kind]}ForCausalLM")(config)
    model.generation_config.eos_token_id = shape["eos_token_id"]
    model.set_attn_implementation(ATTENTION)
    return model.eval()


@pytest.fixture(scope="session")
def model_of() -> Callable[..., Any]:
    return make_model


@pytest.fixture
def policy(lab_tokenizer: Any) -> Any:
    """A fresh random Llama-shaped policy with the lab's tokenizer."""
    from merf.policy.policy import Policy

    return Policy(make_model("llama", len(lab_tokenizer), eos_token_id=lab_tokenizer.eos_token_id), lab_tokenizer)


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory: pytest.TempPathFactory, lab_tokenizer: Any) -> dict[str, Path]:
    """Qwen2- and Llama-shaped models with their own chat templates and end tokens, saved as real folders."""
    import copy

    from tokenizers import AddedToken

    folders = {}
    for kind, template, end in (("qwen2", QWEN_TEMPLATE, "<|im_end|>"), ("llama", LLAMA_TEMPLATE, "<|eot_id|>")):
        tokenizer = copy.deepcopy(lab_tokenizer)
        if kind == "llama":
            names = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
            tokenizer.add_tokens([AddedToken(name, special=True) for name in names])
        tokenizer.eos_token = end
        tokenizer.chat_template = template
        folder = tmp_path_factory.mktemp("models") / kind
        make_model(kind, len(tokenizer), eos_token_id=tokenizer.eos_token_id).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        folders[kind] = folder
    return folders
