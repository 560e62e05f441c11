"""Decoding over fixed buffers gives the eager path's numbers, and only ever replays what was recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.policy.test_sampler import random_prompts
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from merf.core.sampling import Sampling
from merf.policy import static
from merf.policy.sampler import Sampler
from merf.policy.static import StaticDecoder, bucket

KINDS = ("llama", "mistral", "qwen2", "qwen3")
STOPS = frozenset({2, *range(30, 40)})


def samples(model, prompts, fixed: bool, **how: Any):
    how = {"max_tokens": 90, "record": frozenset({"entropy", "hidden:1"}), **how}
    return Sampler(model, Sampling(**how), STOPS, str, static=fixed)(prompts, list(range(len(prompts))))


def assert_same(ours, theirs):
    assert [s.tokens for s in ours] == [s.tokens for s in theirs]
    for a, b in zip(ours, theirs, strict=True):
        assert a.finished == b.finished
        assert np.allclose(a.logprobs, b.logprobs, atol=1e-5)
        assert np.allclose(a.extras["entropy"], b.extras["entropy"], atol=1e-4)
        torch.testing.assert_close(a.extras["hidden:1"], b.extras["hidden:1"], atol=1e-5, rtol=1e-4)


class Tape(TorchDispatchMode):
    """Records every kernel with its operands, and replays them on the same memory: a CUDA graph on a CPU.

    Whatever Python decided while recording stays decided, and results land where they landed then.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, kernel, types, args=(), kwargs=None):
        assert "local_scalar_dense" not in str(kernel), "a step that reads a number back can't be recorded"
        out = kernel(*args, **(kwargs or {}))
        self.calls.append((kernel, args, kwargs or {}, out))
        return out

    def replay(self) -> None:
        for kernel, args, kwargs, out in self.calls:
            for old, new in zip(tree_leaves(out), tree_leaves(kernel(*args, **kwargs)), strict=True):
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def on_tape(recorded: list[Tape]):
    def captured(step, device):
        step()  # a warm-up, as on a GPU
        tape = Tape()
        with tape:
            states = step()
        recorded.append(tape)

        def replay():
            tape.replay()
            return states

        return replay

    return captured


@pytest.mark.parametrize("kind", KINDS)
def test_fixed_buffers_give_the_numbers_of_the_eager_path(model_of, kind):
    model = model_of(kind, 100)
    prompts = random_prompts(4, copies=4)
    assert_same(samples(model, prompts, True), samples(model, prompts, False))


@pytest.mark.parametrize("how", [{}, {"max_rows": 5}, {"max_tokens": 1}, {"max_tokens": 7}, {"temperature": 0.6}])
def test_replaying_recorded_steps_gives_the_same_numbers(model_of, monkeypatch, how):
    """Rows end at different times, batches are opened one after the other, and room grows past its first size."""
    model = model_of("qwen2", 100)
    prompts = random_prompts(5, copies=3)
    recorded: list[Tape] = []
    monkeypatch.setattr(static, "captured", on_tape(recorded))
    ours = samples(model, prompts, True, **how)
    assert_same(ours, samples(model, prompts, False, **how))
    steps = max(len(s.tokens) for s in ours)
    assert len(recorded) < steps or steps == 1


def test_prompts_without_a_common_prefix(model_of, monkeypatch):
    model = model_of("llama", 100)
    monkeypatch.setattr(static, "captured", on_tape([]))
    prompts = [prompt for i in range(3) for prompt in random_prompts(1, copies=2, prefix=4, seed=i)]
    assert_same(samples(model, prompts, True), samples(model, prompts, False))


def test_mixed_precision_goes_through_fixed_buffers(policy, monkeypatch):
    """Keys and values are kept in bfloat16; what is sampled is scored alike within that precision."""
    recorded: list[Tape] = []
    monkeypatch.setattr(static, "captured", on_tape(recorded))
    policy.precision, policy.static = torch.bfloat16, True
    prompts = [[40, 50, 60]] * 6
    drawn = policy.sample(prompts, Sampling(max_tokens=20), list(range(6)))
    scored = policy.token_logprobs(prompts, [s.tokens for s in drawn])
    assert recorded
    for sample, row in zip(drawn, scored, strict=True):
        assert np.allclose(sample.logprobs, row, atol=0.15)


def test_buffers_keep_their_place_and_steps_come_in_few_sizes(model_of):
    model = model_of("llama", 100)
    decoder = StaticDecoder(model, 0, 200)
    prompts = random_prompts(6)
    cache, _ = decoder.open(prompts, [i for i in range(6) for _ in range(4)])
    buffers = [x for layer in cache.layers for x in (layer.own_k, layer.own_v, layer.prompt_k, layer.prompt_v)]
    buffers += [cache.at, cache.tokens, cache.grid, cache.all_seats, cache.all_parents]
    before = [x.data_ptr() for x in buffers]
    live = 24
    with torch.no_grad():
        for step in range(100):
            decoder.step(torch.full((live,), 11), cache)
            if step % 9 == 8 and live > 3:
                live -= 2
                cache.keep(torch.arange(1, live + 1))
    assert [x.data_ptr() for x in buffers] == before
    rows, rooms = zip(*cache.recorded, strict=True)
    assert set(rows) <= {4, 8, 16, 24}
    assert set(rooms) <= {64, 128}
    assert len(cache.recorded) <= 5


@pytest.mark.parametrize(("n", "size"), [(1, 4), (4, 4), (5, 8), (9, 16), (17, 24), (24, 24)])
def test_buckets_hold_what_they_must(n, size):
    assert bucket(n, 4, 24) == size


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_graphs_give_the_numbers_of_the_eager_path(model_of):
    model = model_of("qwen2", 100).cuda()
    prompts = random_prompts(5, copies=3)
    assert_same(samples(model, prompts, True), samples(model, prompts, False))
