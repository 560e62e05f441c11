"""Loading models and tokenizers, with errors that say what to do."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from merf.core.problem import Message, Messages
from merf.policy.attention import ATTENTION


class ModelError(ValueError):
    """A model or tokenizer can't be used as it is; the message says what to change."""


def load_model(source: str | Path, trust_remote_code: bool = False) -> Any:
    """A causal language model in float32 from a local folder or the Hugging Face hub."""
    try:
        model = AutoModelForCausalLM.from_pretrained(
            str(source),
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
        )
    except (OSError, ValueError) as error:
        raise ModelError(_unloadable("model", source, error)) from error
    # A model that doesn't go through the attention interface refuses; the policy then uses padded rows.
    with contextlib.suppress(ValueError):
        model.set_attn_implementation(ATTENTION)
    return model


def load_tokenizer(source: str | Path, trust_remote_code: bool = False) -> Any:
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(source), trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        raise ModelError(_unloadable("tokenizer", source, error)) from error
    if tokenizer.eos_token_id is None:
        raise ModelError(f"the tokenizer of {source} has no end token: set `eos_token` in its tokenizer_config.json")
    return tokenizer


def _unloadable(what: str, source: str | Path, error: Exception) -> str:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if Path(source).exists():
        return f"no {what} could be loaded from the folder {source}: {reason}"
    return (
        f"no {what} called {str(source)!r}: it is neither a local folder nor a model that can be fetched from the "
        f"hub ({reason}). Give a folder with config.json and *.safetensors, a hub id, or one of the lab's bases "
        "as `lab:NAME` (`merf lab list` shows them)."
    )


@dataclass(frozen=True)
class Chat:
    """Turns conversations into token ids with the tokenizer's own chat template, or plainly without one."""

    tokenizer: Any

    def render(self, messages: Messages) -> str:
        """The prompt text, up to where the assistant's response begins."""
        if self.tokenizer.chat_template is None:
            return "".join(f"{message['content']}\n\n" for message in messages)
        try:
            return self._apply(messages)
        except Exception as error:  # jinja templates raise their own errors for roles they don't know
            merged = without_system(messages)
            if merged == messages:
                raise ModelError(f"the tokenizer's chat template refuses this conversation: {error}") from error
            return self._apply(merged)

    def _apply(self, messages: Messages) -> str:
        text: str = self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
        return text

    def encode(self, text: str) -> list[int]:
        """Token ids of rendered text; the template has already written all special tokens."""
        plain = self.tokenizer.chat_template is None
        ids: list[int] = self.tokenizer(text, add_special_tokens=plain)["input_ids"]
        if plain and ids and ids[-1] == self.tokenizer.eos_token_id:
            ids = ids[:-1]
        return ids

    def opening(self, rendered: str) -> str:
        """What the template has already written of the response: some begin it with `<think>`."""
        tail = rendered.rstrip()
        return "<think>" if tail.endswith("<think>") else ""

    def decode(self, ids: list[int], stops: frozenset[int] = frozenset()) -> str:
        """The text of `ids` without the end token. Other special tokens stay: some models' tags are special."""
        kept = ids[:-1] if ids and ids[-1] in stops else ids
        text: str = self.tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text


def without_system(messages: Messages) -> Messages:
    """The same conversation with the system text moved into the first user turn."""
    if messages[0]["role"] != "system":
        return messages
    system, first, *rest = messages
    return (Message(role=first["role"], content=f"{system['content']}\n\n{first['content']}"), *rest)


def stop_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that ends a response: the tokenizer's and the generation config's."""
    configured = getattr(model, "generation_config", None)
    ids = getattr(configured, "eos_token_id", None)
    listed = ids if isinstance(ids, list) else [ids]
    return frozenset(i for i in [tokenizer.eos_token_id, *listed] if i is not None)


def context_length(model: Any) -> int:
    """How many tokens the model can attend to."""
    return int(getattr(model.config.get_text_config(), "max_position_embeddings", 2**31))
