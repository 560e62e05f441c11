"""The policy: a language model that can be prompted, sampled, scored and updated."""

from __future__ import annotations

import copy
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from merf.core.problem import Messages
from merf.core.recipe import Recipe
from merf.core.rollouts import Rollouts
from merf.core.sampling import Sample, Sampling, hidden_layers
from merf.core.seams import Batch
from merf.policy.load import Chat, ModelError, context_length, load_model, load_tokenizer, stop_ids
from merf.policy.logprobs import token_logprobs
from merf.policy.padded import padded_states, shares_prefixes
from merf.policy.remote import RemoteEngine
from merf.policy.sampler import Sampler
from merf.policy.shards import Shards
from merf.policy.tree import Tree, tree_states

log = logging.getLogger("merf")

GIVEN = ("imitate", "pair")
"""Records of tokens that an objective looks at whatever their advantages are."""


@dataclass(frozen=True)
class Encoded:
    """A prompt as token ids, and what its template has already written of the response."""

    ids: list[int]
    opening: str


class Scored(NamedTuple):
    """What a pass through the model says of response tokens: log-probs [n, T], and on request entropies [n, T] and
    the hidden states [n, T, d] that predict them; 0 where nothing was asked."""

    logprobs: Tensor
    entropy: Tensor | None
    hidden: dict[str, Tensor]

    def until(self, width: int) -> Scored:
        """The same for the first `width` tokens."""
        entropy = None if self.entropy is None else self.entropy[:, :width]
        return Scored(self.logprobs[:, :width], entropy, {name: v[:, :width] for name, v in self.hidden.items()})


class Policy:
    """A causal language model with its tokenizer. `temperature` is that of every log-prob it gives."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        device: str = "cpu",
        tokens_per_batch: int = 8_192,
        precision: torch.dtype = torch.float32,
    ) -> None:
        """Weights and optimiser state stay in float32; `precision` is that of the passes through the model."""
        self.model = model.to(device).train()
        self.whole = self.model  # for passes without gradient; another one if `model` is sharded
        self.shards: Shards | None = None
        self.tokenizer = tokenizer
        self.device = torch.device(device)
        self.precision = precision
        self.chat = Chat(tokenizer)
        self.stops = stop_ids(model, tokenizer)
        self.context = context_length(model)
        self.tokens_per_batch = tokens_per_batch
        self.largest_batch = 0  # tokens of the largest micro-batch into which rows were cut last
        self.temperature = 1.0
        self.reference: Any = None
        self.adapted = False
        self.static = False  # whether to decode over buffers of fixed size (on a GPU: as CUDA graphs)
        self.engine: RemoteEngine | None = None
        self._encoded: dict[tuple[str, str, tuple[int, ...]], Encoded] = {}
        obstacle = shares_prefixes(self.model)
        self.shares = not obstacle
        if obstacle:
            log.warning("prefix sharing is off for this model (%s): padded rows are used, which is slower", obstacle)

    @classmethod
    def load(cls, source: str | Path, device: str = "cpu", trust_remote_code: bool = False, **options: Any) -> Policy:
        """From a local folder or the hub; weights in float32."""
        tokenizer = load_tokenizer(source, trust_remote_code)
        return cls(load_model(source, trust_remote_code), tokenizer, device, **options)

    def save(self, folder: Path) -> None:
        """An ordinary `from_pretrained` folder: config, safetensors, tokenizer."""
        self.whole.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    # Prompts

    def encode(self, messages: Messages, prefill: str = "", more: tuple[int, ...] = ()) -> Encoded:
        """Token ids of a prompt, followed by `more`; the same list object for the same prompt."""
        text = self.chat.render(messages)
        key = (text, prefill, more)
        if key not in self._encoded:
            if len(self._encoded) > 100_000:
                self._encoded.clear()
            ids = [*self.chat.encode(text + prefill), *more]
            self._encoded[key] = Encoded(ids, self.chat.opening(text) + prefill)
        return self._encoded[key]

    def check_room(self, prompts: Sequence[list[int]], max_tokens: int) -> None:
        """Refuse prompts that leave no room for a response, before anything is computed."""
        longest = max(map(len, prompts))
        if longest + max_tokens > self.context:
            raise ModelError(
                f"the longest prompt has {longest} tokens and responses may have {max_tokens}, but the model's "
                f"context holds {self.context}: shorten the motivation (style 'terse'), lower --max-tokens, or use "
                "another model"
            )

    # Sampling

    def sample(
        self,
        prompts: Sequence[list[int]],
        how: Sampling,
        seeds: Sequence[int],
        progress: Callable[[int], None] = lambda tokens: None,
    ) -> list[Sample]:
        """One response to each prompt; see `Sampler`, or `RemoteEngine` where one is in use."""
        self.check_room(prompts, how.max_tokens)
        if self.engine is not None:
            return self.engine(prompts, how, seeds, progress)
        with self.evaluating(), self.passes():
            sampler = Sampler(self.whole, how, self.stops, self.chat.decode, self.shares, self.precision, self.static)
            return sampler(prompts, seeds, progress)

    def use_server(self, url: str, model: str, speaks: Literal["tokens", "text"], folder: Path) -> None:
        """Sample from a server instead; it is given the present weights through `folder` before every step."""

        def score(prompts: Sequence[list[int]], responses: Sequence[list[int]]) -> list[list[float]]:
            return [row.tolist() for row in self.token_logprobs(prompts, responses)]

        end = self.tokenizer.eos_token_id
        self.engine = RemoteEngine(url, model, self.chat.encode, self.chat.decode, score, end, speaks)
        self.published = folder

    def publish(self, step: int) -> None:
        """Let the server, if there is one, sample with the present weights."""
        if self.engine is not None:
            folder = self.published / f"step-{step}"
            self.save(folder)
            self.engine.load(str(folder))
            shutil.rmtree(self.published / f"step-{step - 1}", ignore_errors=True)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Dropout off."""
        self.whole.eval()
        try:
            yield
        finally:
            self.model.train()

    def passes(self) -> torch.autocast:
        """The precision of a pass through the model: mixed, unless it is float32."""
        mixed = self.precision != torch.float32
        return torch.autocast(self.device.type, self.precision if mixed else torch.bfloat16, enabled=mixed)

    # Scoring

    def tokenize(self, text: str) -> list[int]:
        """Token ids of plain text, without special tokens."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def decode(self, ids: list[int]) -> str:
        """The text of a response's token ids, without the end token."""
        return self.chat.decode(ids, self.stops)

    def prompt(self, messages: Messages) -> list[int]:
        """Token ids of a conversation, up to where the response begins."""
        return self.encode(messages).ids

    def logprobs(
        self,
        contexts: Sequence[list[int]],
        continuations: Sequence[list[int]],
        model: Literal["policy", "reference"] = "policy",
    ) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
        """Log-probs of each continuation's tokens after its context, at the training temperature, no gradient."""
        if model == "reference":
            with self.as_reference() as frozen:
                found = self.token_logprobs(contexts, continuations, frozen)
        else:
            found = self.token_logprobs(contexts, continuations)
        return [row.double().cpu().numpy() for row in found]

    @torch.no_grad()
    def token_logprobs(
        self, prompts: Sequence[list[int]], responses: Sequence[list[int]], model: Any = None
    ) -> list[Tensor]:
        """The same as tensors, under this policy or any `model` of its shape."""
        out: list[Tensor] = [torch.empty(0)] * len(responses)
        with self.evaluating():
            for rows, values, own in self.scored(prompts, responses, model):
                for i, row, mask in zip(rows, values, own, strict=True):
                    out[i] = row[mask]
        return out

    def scored(
        self, prompts: Sequence[list[int]], responses: Sequence[list[int]], model: Any = None
    ) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """Micro-batches of the responses that aren't empty: row numbers, log-probs [n, T], and [n, T] where these are
        of tokens. With gradient, unless that is off."""
        filled = [i for i, response in enumerate(responses) if response]
        for rows in self._cut([prompts[i] for i in filled], [responses[i] for i in filled]):
            picked = [filled[i] for i in rows]
            mine = [responses[i] for i in picked]
            own = self._present(mine)
            yield picked, self._score(model or self.whole, [prompts[i] for i in picked], mine, own).logprobs, own

    @torch.no_grad()
    def inspect(
        self, prompts: Sequence[list[int]], responses: Sequence[list[int]], record: frozenset[str]
    ) -> list[dict[str, Tensor]]:
        """Of each response's tokens their "logprobs" [T], and what `record` names as in `Sampling`: "entropy" [T],
        "hidden:N" [T, d]."""
        out: list[dict[str, Tensor]] = [{} for _ in responses]
        filled = [i for i, response in enumerate(responses) if response]
        with self.evaluating():
            for rows in self._cut([prompts[i] for i in filled], [responses[i] for i in filled]):
                picked = [filled[i] for i in rows]
                mine = [responses[i] for i in picked]
                own = self._present(mine)
                found = self._score(self.whole, [prompts[i] for i in picked], mine, own, record)
                named = {"logprobs": found.logprobs, "entropy": found.entropy, **found.hidden}
                for place, i in enumerate(picked):
                    out[i] = {name: v[place][own[place]] for name, v in named.items() if v is not None}
        return out

    def unwritten(self, text: str = "") -> int:
        """A token that responses don't hold: the one that `text` is, or else a special token that ends nothing."""
        if text:
            ids = self.tokenize(text)
            if len(ids) != 1:
                raise ModelError(f"{text!r} is {len(ids)} tokens to this tokenizer: name one that is a single token")
            return ids[0]
        added = self.tokenizer.added_tokens_decoder.items()
        free = [*self.tokenizer.all_special_ids, *(i for i, token in added if token.special)]
        found = next((i for i in free if i not in self.stops), None)
        if found is None:
            raise ModelError("every special token of this tokenizer ends a response: name a token that is never used")
        return int(found)

    def _present(self, responses: Sequence[list[int]]) -> Tensor:
        """[n, T], True on tokens and False on padding."""
        lengths = torch.tensor([len(response) for response in responses], device=self.device)
        return torch.arange(int(lengths.max()), device=self.device) < lengths[:, None]

    def padded_logprobs(self, rollouts: Rollouts, model: Any = None) -> Tensor:
        """Log-probs [N, T] of the rollouts' tokens after their learning prompts."""
        responses = [rollouts.tokens[i, : int(n)].tolist() for i, n in enumerate(rollouts.lengths)]
        rows = self.token_logprobs(rollouts.learning, responses, model)
        out = rollouts.logprobs.new_zeros(rollouts.tokens.shape)
        for i, row in enumerate(rows):
            out[i, : len(row)] = row
        return out

    def _score(
        self,
        model: Any,
        prompts: Sequence[list[int]],
        responses: Sequence[list[int]],
        wanted: Tensor,
        needs: frozenset[str] = frozenset(),
    ) -> Scored:
        """Log-probs [n, T], and what else `needs` names, of the response tokens where `wanted` [n, T]."""
        if self.shards is not None and model is self.model:
            return self.shards.through(lambda: self._pass(model, prompts, responses, wanted, needs))
        return self._pass(model, prompts, responses, wanted, needs)

    def _pass(
        self,
        model: Any,
        prompts: Sequence[list[int]],
        responses: Sequence[list[int]],
        wanted: Tensor,
        needs: frozenset[str],
    ) -> Scored:
        layers = hidden_layers(needs)
        tokens = pad_rows(responses, wanted.shape[1], torch.long, self.device)
        with self.passes():
            if self.shares:
                place = {prompt: i for i, prompt in enumerate(dict.fromkeys(map(tuple, prompts)))}
                parent = [place[tuple(prompt)] for prompt in prompts]
                tree = Tree.grow([list(prompt) for prompt in place], responses, parent, self.device)
                states = tree_states(model, tree, [*layers.values()]).at(tree.predictor[wanted])
            else:
                states = padded_states(model, prompts, responses, [*layers.values()]).at(wanted)
            values, spread = token_logprobs(
                model, states.last, tokens[wanted], self.temperature, entropy="entropy" in needs
            )

        def padded(flat: Tensor) -> Tensor:
            where = wanted if flat.dim() == 1 else wanted[..., None]
            return flat.new_zeros((*wanted.shape, *flat.shape[1:])).masked_scatter(where, flat)

        kept = {} if states.kept is None else {name: padded(states.kept[:, i]) for i, name in enumerate(layers)}
        return Scored(padded(values), None if spread is None else padded(spread), kept)

    def _cut(
        self, prompts: Sequence[list[int]], responses: Sequence[list[int]], tied: Sequence[int] = ()
    ) -> Iterator[list[int]]:
        """Row numbers of micro-batches that hold about `tokens_per_batch` tokens, equal prompts together and
        batches of similar length. Rows of one prompt that are `tied` by the same number, other than 0, are never
        parted."""
        by_prompt: dict[tuple[int, ...], dict[int, list[int]]] = {}
        for i, prompt in enumerate(prompts):
            number = tied[i] if tied and tied[i] else -1 - i
            by_prompt.setdefault(tuple(prompt), {}).setdefault(number, []).append(i)

        def longest(rows: Sequence[int]) -> int:
            return max(len(responses[i]) for i in rows)

        families = sorted(by_prompt.items(), key=lambda item: max(map(longest, item[1].values())))
        batch: list[int] = []
        size = self.largest_batch = 0
        for prompt_ids, units in families:
            for place, rows in enumerate(sorted(units.values(), key=longest)):
                cost = sum(len(responses[i]) for i in rows) + (0 if place else len(prompt_ids))
                if batch and size + cost > self.tokens_per_batch:
                    yield batch
                    batch, size = [], 0
                batch += rows
                size += cost
                self.largest_batch = max(self.largest_batch, size)
        if batch:
            yield batch

    # Learning

    def add_adapters(self, rank: int, seed: int = 0) -> None:
        """Freeze the model and train low-rank adapters (LoRA, arXiv 2106.09685) on its linear layers instead."""
        try:
            from peft import LoraConfig
        except ImportError as error:
            raise ModelError("LoRA needs the peft package: pip install 'merf[lora]'") from error
        torch.manual_seed(seed)
        self.model.add_adapter(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear"))
        self.adapted = True

    def shard(self) -> None:
        """Spread the weights that are trained, their gradients and their optimiser state over all processes. Before
        an optimiser is made for them."""
        self.shards = Shards(self.model, self.device)
        self.whole = self.shards.whole

    def refresh(self) -> None:
        """Let every process have the whole of present weights; all processes have to call this together."""
        if self.shards is not None:
            self.shards.gather()

    def release(self) -> None:
        """Forget the whole copy, to make room for an update."""
        if self.shards is not None:
            self.shards.release()

    def save_memory(self) -> None:
        """Compute activations again in the backward pass instead of keeping them."""
        if hasattr(self.model, "activation_checkpointing_enable"):
            self.model.activation_checkpointing_enable()
        else:  # transformers before 5.20
            self.model.gradient_checkpointing_enable()

    def freeze_reference(self) -> None:
        """Keep the present weights for KL terms: a frozen copy, or the model without its adapters."""
        if not self.adapted:
            self.reference = copy.deepcopy(self.whole).eval().requires_grad_(False)

    @contextmanager
    def as_reference(self) -> Iterator[Any]:
        """The reference model, for scoring."""
        if not self.adapted and self.reference is None:
            raise ModelError("no reference weights were kept: set `reference=True` in the recipe")
        if not self.adapted:
            yield self.reference
            return
        self.model.disable_adapters()
        try:
            yield self.model
        finally:
            self.model.enable_adapters()

    def batches(
        self,
        rollouts: Rollouts,
        advantages: Tensor,
        recipe: Recipe,
        rows: Sequence[int] | None = None,
        mine: Sequence[int] | None = None,
        old: Tensor | None = None,
    ) -> Iterator[Batch]:
        """Micro-batches of a step for the objective, log-probs with gradient.

        `rows` are the segments of this optimiser step (all, if not given), `mine` those that this process
        computes; denominators count all of `rows`. `old [N, T]` are the log-probs of the policy the ratio
        refers to; without them the present policy is taken, which is exact for the first update after
        sampling. Segments whose advantages are all zero never reach the model, unless the objective has a
        term that doesn't depend on them; they still count in the denominators. Each batch has to be put through
        backward before the next is asked for. Pairs are never parted.
        """
        needs, limit = recipe.objective.needs, recipe.sampling.max_tokens
        chosen = list(range(len(rollouts))) if rows is None else list(rows)
        mask = rollouts.mask
        tokens = int(mask[chosen].sum())
        sequences = len(np.unique(rollouts.trajectory[chosen][mask[chosen].any(1).cpu().numpy()]))
        lengths = rollouts.counting_tokens()
        ours = set(chosen if mine is None else mine)
        given = [rollouts.extras[name] != 0 for name in GIVEN if name in rollouts.extras]
        beyond = torch.stack(given).any(0) if given else torch.zeros_like(mask)  # [N, T]
        whole = rollouts.extras
        if len(chosen) < len(rollouts):
            whole = {name: values[chosen] for name, values in rollouts.extras.items()}
        probe = self.unwritten(getattr(recipe.objective, "probe", "")) if "probe" in needs else None
        live = [i for i in chosen if i in ours and bool(mask[i].any())]
        if not needs:
            live = [i for i in live if bool((advantages[i] != 0).any())]
        live = sorted({*live, *(i for i in chosen if i in ours and bool(beyond[i].any()))})
        responses = [rollouts.tokens[i, : int(rollouts.lengths[i])].tolist() for i in live]
        prompts = [rollouts.learning[i] for i in live]
        pairs = rollouts.extras.get("pair")
        tied = [] if pairs is None else pairs[live].abs().amax(1).long().tolist()
        parts = [*self._cut(prompts, responses, tied)]
        idle = 0 if self.shards is None else self.shards.most(len(parts)) - len(parts)
        for part in parts:
            shown, said = [prompts[i] for i in part], [responses[i] for i in part]
            where = torch.tensor([live[i] for i in part], device=self.device)
            own = self._present(said)
            width = own.shape[1]
            counted = mask[where, :width] & own
            wanted = counted | (beyond[where, :width] & own)
            if probe is not None:
                ends = own.sum(1, keepdim=True)  # the place after each response
                said = [[*row, probe] for row in said]
                wanted = torch.nn.functional.pad(wanted, (0, 1)).scatter(1, ends, True)
            found = self._score(self.model, shown, said, wanted, needs)
            after = None if probe is None else found.logprobs.gather(1, ends).squeeze(1)
            if probe is not None:
                found = found.until(width)
            reference = None
            if "reference" in needs:
                with torch.no_grad(), self.as_reference() as frozen:
                    reference = self._score(frozen, shown, said, wanted).logprobs[:, :width]
            yield Batch(
                logprobs=found.logprobs,
                old=found.logprobs.detach() if old is None else old[where, :width],
                advantages=advantages[where, :width],
                mask=counted,
                rows=where,
                lengths=lengths[where],
                tokens=tokens,
                sequences=sequences,
                limit=limit,
                reference=reference,
                entropy=found.entropy,
                hidden=found.hidden,
                source=[rollouts.source[live[i]] for i in part],
                extras={name: values[where, :width] for name, values in rollouts.extras.items()},
                whole=whole,
                probe=after,
            )
        # Sharded, every process takes part in the passes of all others: in as many as the busiest of them.
        for _ in range(idle):
            nothing = self._score(self.model, [[0]], [[0]], torch.ones(1, 1, dtype=torch.bool, device=self.device))
            (0 * nothing.logprobs.sum()).backward()


def pad_rows(rows: Sequence[Sequence[float]], width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Lists of different lengths as one tensor [N, width], padded with 0 on the right."""
    out = np.zeros((len(rows), width), dtype=torch.empty(0, dtype=dtype).numpy().dtype)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return torch.from_numpy(out).to(device)


def pad_records(rows: Sequence[Any], width: int, device: torch.device) -> Tensor:
    """Records of N responses, lists [T] or tensors [T, d], as one tensor [N, width] or [N, width, d]."""
    if not isinstance(rows[0], Tensor):
        return pad_rows(rows, width, torch.float32, device)
    out = rows[0].new_zeros((len(rows), width, *rows[0].shape[1:]))
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out.to(device)
