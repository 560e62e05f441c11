"""How tokens are drawn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

LogitsProcessor = Callable[["Tensor", Sequence[list[int]]], "Tensor"]
"""(logits [B, V], the B rows' response tokens so far) -> logits [B, V]; runs before the temperature."""


HIDDEN = re.compile(r"hidden:(-?\d+)")


def hidden_layers(names: Iterable[str]) -> dict[str, int]:
    """The layers N that records called "hidden:N" ask for, by name."""
    found = {name: HIDDEN.fullmatch(name) for name in sorted(names)}
    return {name: int(match[1]) for name, match in found.items() if match}


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. Temperature 0 is greedy.

    Training assumes that the log-probs of the update are those of the distribution sampled from, which
    holds for any temperature but only without truncation (top_p 1, top_k 0, min_p 0).

    `record` names per-token facts to return besides tokens and log-probs; what isn't named isn't computed:

    entropy    of the distribution at this temperature, before any truncation, in nats
    hidden:N   the hidden state [d] that predicts the token. N counts as transformers' `output_hidden_states`
               does: 0 is the embedding, 1 what the first layer gives, -1 the last and normed state

    `max_rows` bounds how many responses are decoded at once; the others wait.
    """

    max_tokens: int = 256
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    stop: tuple[str, ...] = ()
    processors: tuple[LogitsProcessor, ...] = ()
    record: frozenset[str] = frozenset()
    max_rows: int = 512

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens={self.max_tokens}: allow at least one token per response")
        if self.temperature < 0:
            raise ValueError(f"temperature={self.temperature}: use 0 for greedy decoding, or a positive number")
        if not 0 < self.top_p <= 1 or not 0 <= self.min_p < 1 or self.top_k < 0:
            raise ValueError("top_p must be in (0, 1], min_p in [0, 1), top_k at least 0 (0 keeps every token)")
        if unknown := self.record - {"entropy", *hidden_layers(self.record)}:
            raise ValueError(f"record={sorted(unknown)}: only entropy and hidden:N (N a layer) can be recorded")
        if self.max_rows < 1:
            raise ValueError(f"max_rows={self.max_rows}: at least one row has to be decoded at a time")

    @property
    def truncated(self) -> bool:
        return self.top_p < 1 or self.top_k > 0 or self.min_p > 0


@dataclass
class Sample:
    """One sampled response: token ids (the end token included) and their log-probs under the distribution
    they were drawn from, after processors, temperature and truncation. For greedy decoding the log-probs
    are those at temperature 1. `finished` is False where `max_tokens` cut the response off. `extras` holds what
    was to be recorded: "entropy" a list [T], "hidden:N" a tensor [T, d] in float32."""

    tokens: list[int]
    logprobs: list[float]
    finished: bool
    extras: dict[str, Any]
