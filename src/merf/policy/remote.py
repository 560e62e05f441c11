"""Sampling from a server that speaks the OpenAI completions protocol: vLLM, SGLang, `transformers serve`.

Token ids travel where the server allows it (vLLM and SGLang do): prompts are sent as ids, and ids and
log-probs come back, so nothing is ever tokenised twice. A server that only speaks text (`transformers
serve`) gets text; its answer is tokenised here, and its log-probs are computed by the local model.
"""

from __future__ import annotations

import json
import math
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from merf.core.sampling import Sample, Sampling
from merf.policy.load import ModelError


class ServerError(RuntimeError):
    """The server can't be reached or doesn't answer as the protocol says; the message says what to check."""


@dataclass
class RemoteEngine:
    """`url` is the server's address up to and including `/v1`, `model` the name it serves.

    speaks   "tokens" if the server takes and returns token ids, "text" otherwise
    score    gives the log-probs [T] of responses after prompts, for servers that report none
    seconds  how long one response may take before the request is given up and tried once more
    """

    url: str
    model: str
    encode: Callable[[str], list[int]]
    decode: Callable[[list[int]], str]
    score: Callable[[Sequence[list[int]], Sequence[list[int]]], Sequence[Sequence[float]]]
    end: int
    speaks: Literal["tokens", "text"] = "tokens"
    at_once: int = 32
    seconds: float = 600.0

    def __call__(
        self,
        prompts: Sequence[list[int]],
        how: Sampling,
        seeds: Sequence[int],
        progress: Callable[[int], None] = lambda tokens: None,
    ) -> list[Sample]:
        """One response per prompt, requested concurrently."""
        if how.processors:
            raise ModelError("logits processors can't run on a remote server: sample locally, or leave them out")
        if how.truncated and self.speaks == "tokens":
            # Whether such log-probs are renormalised depends on how the server was started.
            raise ModelError("top_p, top_k and min_p need local sampling: servers differ in the log-probs they report")

        def one(i: int) -> Sample:
            sample = self._read(self._ask(prompts[i], how, seeds[i]), how)
            progress(len(sample.tokens))
            return sample

        with ThreadPoolExecutor(self.at_once) as pool:
            samples = list(pool.map(one, range(len(prompts))))
        silent = [i for i, sample in enumerate(samples) if not sample.logprobs and sample.tokens]
        for i, row in zip(
            silent, self.score([prompts[i] for i in silent], [samples[i].tokens for i in silent]), strict=True
        ):
            samples[i].logprobs = list(row)
        return samples

    def _ask(self, prompt: list[int], how: Sampling, seed: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": how.max_tokens,
            "temperature": how.temperature,
            "seed": seed % 2**31,
        }
        if how.stop:
            body["stop"] = list(how.stop)
        if self.speaks == "tokens":
            body.update(
                prompt=prompt,
                logprobs=0,
                return_token_ids=True,
                skip_special_tokens=False,
                include_stop_str_in_output=True,
            )
        else:
            body.update(prompt=self.decode(prompt))
        return self._post(f"{self.url}/completions", body)

    def _post(self, address: str, body: dict[str, Any], tries: int = 2) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("OPENAI_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=self.seconds) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            detail = error.read().decode(errors="replace")[:500]
            raise ServerError(f"{address} answered {error.code}: {detail}") from error
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            if tries > 1:
                return self._post(address, body, tries - 1)
            raise ServerError(f"no answer from {address} ({error}): is the server running?") from error

    def _read(self, answer: dict[str, Any], how: Sampling) -> Sample:
        try:
            choice = answer["choices"][0]
            finished = choice["finish_reason"] == "stop"
        except (KeyError, IndexError, TypeError) as error:
            raise ServerError(f"{self.url} answered without choices: {str(answer)[:200]}") from error
        if self.speaks == "text":
            tokens = self.encode(choice["text"])
            return Sample([*tokens, self.end] if finished else tokens, [], finished, {})
        if choice.get("token_ids") is None:
            raise ServerError(
                f"{self.url} returned no token ids. Start vLLM with a version that knows `return_token_ids`, or set "
                'speaks="text" for servers that only speak text.'
            )
        tokens = list(choice["token_ids"])
        logprobs = (choice.get("logprobs") or {}).get("token_logprobs") or []
        if logprobs and len(logprobs) != len(tokens):
            raise ServerError(f"{self.url} returned {len(tokens)} tokens but {len(logprobs)} log-probs")
        if any(value is None or math.isnan(value) for value in logprobs):
            logprobs = []
        return Sample(tokens, list(logprobs), finished, {})

    def load(self, folder: str) -> None:
        """Let the server answer with the weights in `folder` from now on.

        `transformers serve` loads whatever model a request names. SGLang is told to read the folder; other
        servers have to be restarted on it.
        """
        if self.speaks == "tokens":
            self._post(f"{self.url.removesuffix('/v1')}/update_weights_from_disk", {"model_path": folder})
        else:
            self.model = folder
