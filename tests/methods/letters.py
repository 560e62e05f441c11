"""A language model whose tokens are single characters and whose likelihoods are set by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from merf import Responses


@dataclass
class Letters:
    """`chance(context, token, model)` is the probability of a character after a text."""

    chance: Callable[[str, str, str], float] = lambda context, token, model: 0.5
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def tokenize(self, text):
        return [ord(letter) for letter in text]

    def decode(self, ids):
        return "".join(chr(i) for i in ids)

    def prompt(self, messages):
        return self.tokenize("".join(f"[{turn['content']}]" for turn in messages))

    def logprobs(self, contexts, continuations, model="policy"):
        out = []
        for context, said in zip(map(self.decode, contexts), map(self.decode, continuations), strict=True):
            self.asked.append((context, said, model))
            out.append(np.log([self.chance(context + said[:i], token, model) for i, token in enumerate(said)]))
        return out


def recorded(responses: Responses, model: Letters, prompt: str = "Q:", opening: str = "", **records) -> Responses:
    """The responses with their tokens as the sampler would have recorded them, and the model to ask."""
    items = []
    for i, response in enumerate(responses):
        extras = {
            "prompt_ids": model.tokenize(prompt + opening),
            "ids": model.tokenize(response.text.removeprefix(opening)),
            **{name: np.array(values[i]) for name, values in records.items()},
        }
        items.append(replace(response, extras=extras))
    return replace(responses, items=items, likelihood=model)
