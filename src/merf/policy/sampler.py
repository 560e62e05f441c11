"""Sampling many responses to many prompts, each shared piece of text computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from merf.core.sampling import Sample, Sampling, hidden_layers
from merf.policy.decode import Decoder, decoder_for
from merf.policy.padded import PaddedDecoder
from merf.policy.tree import States, output_logits, shared_prefix


def truncate(logprobs: Tensor, how: Sampling) -> Tensor:
    """Renormalised log-probs [B, V] with the tokens that top-k, top-p and min-p exclude at -inf.

    A token is kept while the probability before it, in falling order, is below top_p; the most likely
    token is always kept. The filters are applied one after the other, in this order, as in `transformers`.
    """
    if how.top_k and how.top_k < logprobs.shape[-1]:
        least = logprobs.topk(how.top_k, dim=-1).values[:, -1:]
        logprobs = logprobs.masked_fill(logprobs < least, float("-inf")).log_softmax(-1)
    if how.top_p < 1:
        ordered, order = logprobs.sort(dim=-1, descending=True)
        before = ordered.exp().cumsum(-1) - ordered.exp()
        dropped = torch.zeros_like(before, dtype=torch.bool).scatter(-1, order, before >= how.top_p)
        logprobs = logprobs.masked_fill(dropped, float("-inf")).log_softmax(-1)
    if how.min_p:
        floor = logprobs.max(-1, keepdim=True).values + float(np.log(how.min_p))
        logprobs = logprobs.masked_fill(logprobs < floor, float("-inf")).log_softmax(-1)
    return logprobs


def draw(logprobs: Tensor, uniform: Tensor) -> Tensor:
    """The token at quantile `uniform` [B] of each distribution [B, V], by inverting the running sum."""
    running = logprobs.exp().cumsum(-1, dtype=torch.float64)
    picked = torch.searchsorted(running, (uniform * running[:, -1])[:, None], right=True).squeeze(1)
    return picked.clamp_(max=logprobs.shape[-1] - 1)


def noise(seed: int, length: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The uniform numbers that decide a response, from its own seed alone."""
    return np.random.Generator(np.random.Philox(key=seed)).random(length)


@dataclass
class Rows:
    """The rows being decoded. `tokens`, `logprobs` and `uniform` are [B, max_tokens + 1]; `length` [B] counts
    tokens so far; `number[b]` is the row's place in the caller's list.

    Rows that are done are dropped a few at a time, since dropping copies the cache; until then they are
    decoded along and what they produce lands beyond their length (hence the extra column).
    """

    cache: Any
    states: States  # [B, d], predict the next token
    number: list[int]
    tokens: Tensor
    logprobs: Tensor
    uniform: Tensor
    length: Tensor
    done: Tensor
    finished: Tensor
    extras: dict[str, Tensor]

    def keep(self, rows: Tensor) -> None:
        self.cache.keep(rows)
        self.number = [self.number[i] for i in rows.tolist()]
        self.states = self.states.at(rows)
        for name in ("tokens", "logprobs", "uniform", "length", "done", "finished"):
            setattr(self, name, getattr(self, name)[rows])
        self.extras = {name: value[rows] for name, value in self.extras.items()}

    def admit(self, other: Rows) -> None:
        self.cache.admit(other.cache)
        self.number += other.number
        kept = None
        if self.states.kept is not None and other.states.kept is not None:
            kept = torch.cat([self.states.kept, other.states.kept])
        self.states = States(torch.cat([self.states.last, other.states.last]), kept)
        for name in ("tokens", "logprobs", "uniform", "length", "done", "finished"):
            setattr(self, name, torch.cat([getattr(self, name), getattr(other, name)]))
        self.extras = {name: torch.cat([value, other.extras[name]]) for name, value in self.extras.items()}


@dataclass
class Sampler:
    """Draws responses from a model. Rows that finish make room for prompts that wait.

    `decode` turns token ids into text; it is called only to look for stop strings. `shares` says whether
    the model can share prefixes among rows, `static` whether to decode over buffers of fixed size.
    """

    model: Any
    how: Sampling
    stop_ids: frozenset[int]
    decode: Callable[[list[int]], str]
    shares: bool = True
    dtype: torch.dtype = torch.float32
    static: bool = False

    @torch.inference_mode()
    def __call__(
        self, prompts: Sequence[list[int]], seeds: Sequence[int], progress: Callable[[int], None] = lambda tokens: None
    ) -> list[Sample]:
        """One response per prompt. Equal prompts (the members of a group) are computed once.

        `seeds[i]` alone decides the randomness of response i, whatever it is batched with. `progress` is
        told how many tokens each step produced.
        """
        self.device = next(self.model.parameters()).device
        self.stops = torch.tensor(sorted(self.stop_ids), device=self.device)
        decoder = self._decoder(prompts)
        waiting = sorted(range(len(prompts)), key=lambda i: (prompts[i], i))
        out: list[Sample] = [Sample([], [], False, {})] * len(prompts)
        live: Rows | None = None
        while waiting or live is not None:
            room = self.how.max_rows - (len(live.number) if live else 0)
            if waiting and (live is None or (decoder.refills and 4 * room >= self.how.max_rows)):
                batch, waiting = waiting[:room], waiting[room:]
                fresh = self._open(prompts, seeds, batch, decoder)
                if live is None:
                    live = fresh
                else:
                    live.admit(fresh)
            assert live is not None
            self._choose(live)
            progress(len(live.number) - int(live.done.sum()))
            live = self._close(live, out)
            if live is not None:
                live.states = decoder.step(live.tokens.gather(1, live.length[:, None] - 1).squeeze(1), live.cache)
        return out

    def _decoder(self, prompts: Sequence[list[int]]) -> Decoder:
        layers = tuple(hidden_layers(self.how.record).values())
        if not self.shares:
            return PaddedDecoder(self.model, layers)
        prefix = shared_prefix([list(p) for p in dict.fromkeys(map(tuple, prompts))])
        reach = max(map(len, prompts)) + self.how.max_tokens
        return decoder_for(self.model, prefix, reach, self.dtype, layers, self.static)

    def _open(self, prompts: Sequence[list[int]], seeds: Sequence[int], batch: list[int], decoder: Decoder) -> Rows:
        """Prefill the prompts of these rows."""
        order = {prompt: n for n, prompt in enumerate(dict.fromkeys(tuple(prompts[i]) for i in batch))}
        cache, states = decoder.open([list(p) for p in order], [order[tuple(prompts[i])] for i in batch])
        size = (len(batch), self.how.max_tokens + 1)
        uniform = np.stack([noise(seeds[i], size[1]) for i in batch])
        blank = torch.zeros(len(batch), dtype=torch.bool, device=self.device)
        extras = {"entropy": torch.zeros(size, device=self.device)} if "entropy" in self.how.record else {}
        for name in hidden_layers(self.how.record):
            extras[name] = torch.zeros(*size, states.last.shape[1], device=self.device)
        return Rows(
            cache=cache,
            states=states,
            number=batch,
            tokens=torch.zeros(size, dtype=torch.long, device=self.device),
            logprobs=torch.zeros(size, device=self.device),
            uniform=torch.from_numpy(uniform).to(self.device),
            length=torch.zeros(len(batch), dtype=torch.long, device=self.device),
            done=blank,
            finished=blank.clone(),
            extras=extras,
        )

    def _choose(self, live: Rows) -> None:
        """Draw every row's next token from its hidden state."""
        how = self.how
        logits = output_logits(self.model, live.states.last).float()
        if how.processors:
            so_far = [row[:n] for row, n in zip(live.tokens.tolist(), live.length.tolist(), strict=True)]
            for process in how.processors:
                logits = process(logits, so_far)
        logprobs = (logits / how.temperature if how.temperature else logits).log_softmax(-1)
        place = live.length[:, None]
        if "entropy" in how.record:
            entropy = -(logprobs.exp() * logprobs.clamp_min(torch.finfo(logprobs.dtype).min)).sum(-1, keepdim=True)
            live.extras["entropy"].scatter_(1, place, entropy)
        if live.states.kept is not None:
            every = torch.arange(len(live.number), device=self.device)
            for i, name in enumerate(hidden_layers(how.record)):
                live.extras[name][every, live.length] = live.states.kept[:, i].float()
        if how.temperature:
            logprobs = truncate(logprobs, how)
            chosen = draw(logprobs, live.uniform.gather(1, place).squeeze(1))
        else:
            chosen = logprobs.argmax(-1)
        live.tokens.scatter_(1, place, chosen[:, None])
        live.logprobs.scatter_(1, place, logprobs.gather(1, chosen[:, None]))
        live.length += ~live.done
        stopped = (chosen[:, None] == self.stops).any(1)
        if how.stop:
            stopped |= self._said_stop(live)
        live.finished |= stopped & ~live.done
        live.done |= stopped | (live.length == how.max_tokens)

    def _said_stop(self, live: Rows) -> Tensor:
        """Which rows have just completed a stop string. Enough tokens are decoded to hold the longest one."""
        reach = max(map(len, self.how.stop)) + 8
        found = []
        for row, n in zip(live.tokens.tolist(), live.length.tolist(), strict=True):
            tail = self.decode(row[max(n - reach, 0) : n])
            found.append(any(text in tail for text in self.how.stop))
        return torch.tensor(found, device=self.device)

    def _close(self, live: Rows, out: list[Sample]) -> Rows | None:
        """Hand out rows that are done and drop them from the batch, once there are enough of them."""
        ready = int(live.done.sum())
        if ready < len(live.number) / 8:
            return live
        for i in live.done.nonzero().squeeze(1).tolist():
            n = int(live.length[i])
            rows_of = {name: value[i, :n] for name, value in live.extras.items()}
            with torch.inference_mode(False):  # copies that one can learn from
                extras = {name: row.tolist() if row.dim() == 1 else row.clone() for name, row in rows_of.items()}
            out[live.number[i]] = Sample(
                live.tokens[i, :n].tolist(), live.logprobs[i, :n].tolist(), bool(live.finished[i]), extras
            )
        rows = (~live.done).nonzero().squeeze(1)
        if len(rows) == 0:
            return None
        live.keep(rows)
        return live
