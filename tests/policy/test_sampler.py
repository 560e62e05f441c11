"""The sampler draws from the model's own distribution, and says truthfully with what probability."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from merf.core.sampling import Sampling
from merf.policy import sampler as sampler_module
from merf.policy.decode import LlamaDecoder, ModelDecoder
from merf.policy.sampler import Sampler, draw, truncate

KINDS = ("llama", "mistral", "qwen2", "qwen3", "gemma")


def random_prompts(n: int, copies: int = 1, prefix: int = 15, seed: int = 0) -> list[list[int]]:
    rng = Random(seed)
    head = [rng.randrange(10, 90) for _ in range(prefix)]
    made = [head + [rng.randrange(10, 90) for _ in range(rng.randint(1, 20))] for _ in range(n)]
    return [prompt for prompt in made for _ in range(copies)]


SHORT = Sampling(max_tokens=24)


def run(model, prompts, how=SHORT, seeds=None, stop_ids=frozenset({2}), decode=str):
    return Sampler(model, how, stop_ids, decode)(prompts, seeds or list(range(len(prompts))))


@pytest.mark.parametrize("kind", KINDS)
def test_recorded_logprobs_are_the_models_own(model_of, kind):
    model = model_of(kind, 100)
    prompts = random_prompts(5, copies=4)
    for prompt, sample in zip(prompts, run(model, prompts), strict=True):
        logits = model(torch.tensor([prompt + sample.tokens])).logits[0, len(prompt) - 1 : -1]
        expected = logits.log_softmax(-1).gather(1, torch.tensor(sample.tokens)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(sample.logprobs), expected.detach(), atol=1e-5, rtol=0)


def test_logprobs_and_entropies_belong_to_the_temperature_sampled_at(model_of):
    model = model_of("llama", 100)
    prompts = random_prompts(4)
    how = Sampling(max_tokens=12, temperature=0.7, record=frozenset({"entropy"}))
    for prompt, sample in zip(prompts, run(model, prompts, how), strict=True):
        logits = model(torch.tensor([prompt + sample.tokens])).logits[0, len(prompt) - 1 : -1]
        everything = (logits / 0.7).log_softmax(-1).detach()
        expected = everything.gather(1, torch.tensor(sample.tokens)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(sample.logprobs), expected, atol=1e-5, rtol=0)
        entropy = -(everything.exp() * everything).sum(-1)
        torch.testing.assert_close(torch.tensor(sample.extras["entropy"]), entropy, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_greedy_output_equals_generate_on_200_prompts(model_of, kind):
    model = model_of(kind, 100)
    prompts = random_prompts(200, seed=1)
    ours = run(model, prompts, Sampling(max_tokens=10, temperature=0.0))
    model.set_attn_implementation("sdpa")
    for prompt, sample in zip(prompts, ours, strict=True):
        ids = torch.tensor([prompt])
        theirs = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=10, eos_token_id=2, pad_token_id=0
        )
        assert sample.tokens == theirs[0, len(prompt) :].tolist()
    model.set_attn_implementation("merf_tree")


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "qwen3"])
def test_the_compact_decoder_equals_the_models_own_forward(model_of, kind, monkeypatch):
    model = model_of(kind, 100, attention_bias=True) if kind == "llama" else model_of(kind, 100)
    prompts = random_prompts(4, copies=3)
    compact = run(model, prompts)
    assert isinstance(sampler_module.decoder_for(model, 0, 100), LlamaDecoder)
    monkeypatch.setattr(sampler_module, "decoder_for", lambda model, prefix, *_: ModelDecoder(model, prefix))
    general = run(model, prompts)
    assert [s.tokens for s in compact] == [s.tokens for s in general]
    for a, b in zip(compact, general, strict=True):
        assert np.allclose(a.logprobs, b.logprobs, atol=1e-5)


def test_a_response_does_not_depend_on_what_it_is_batched_with(model_of):
    model = model_of("llama", 100)
    prompts = random_prompts(6, copies=3)
    together = run(model, prompts)
    alone = [run(model, [prompt], seeds=[i])[0] for i, prompt in enumerate(prompts)]
    waiting = run(model, prompts, Sampling(max_tokens=24, max_rows=4))
    assert [s.tokens for s in together] == [s.tokens for s in alone] == [s.tokens for s in waiting]


@pytest.mark.parametrize("kind", KINDS)
def test_a_response_goes_on_from_any_of_its_beginnings(model_of, kind):
    """Continued greedily from its first k tokens, a response becomes what it was; log-probs too."""
    model = model_of(kind, 100)
    greedy = Sampling(max_tokens=16, temperature=0.0)
    for prompt, whole in zip(prompts := random_prompts(3), run(model, prompts, greedy), strict=True):
        cuts = range(len(whole.tokens))
        begun = [[*prompt, *whole.tokens[:k]] for k in cuts]
        for k, rest in zip(cuts, run(model, begun, greedy), strict=True):
            ours, theirs = whole.tokens[k:], rest.tokens[: len(whole.tokens) - k]
            assert ours == theirs
            assert np.allclose(whole.logprobs[k:], rest.logprobs[: len(ours)], atol=1e-5)


def test_rows_that_wait_are_let_in_while_others_are_being_written(model_of):
    """Continuous batching: room is filled from the queue long before the first batch is through."""
    model = model_of("llama", 100)
    opened, steps = [], []
    decoder = LlamaDecoder(model, 0, 200)
    real_open, real_step = decoder.open, decoder.step
    decoder.open = lambda prompts, parent: (opened.append((len(steps), len(parent))), real_open(prompts, parent))[1]
    decoder.step = lambda tokens, cache: (steps.append(len(tokens)), real_step(tokens, cache))[1]
    sampler = Sampler(model, Sampling(max_tokens=40, max_rows=8), frozenset(range(30, 45)), str)
    sampler._decoder = lambda prompts: decoder
    prompts = random_prompts(24, prefix=0)
    samples = sampler(prompts, list(range(24)))
    lengths = [len(s.tokens) for s in samples]
    assert len(opened) > 3
    assert max(steps) == 8
    assert sum(n for _, n in opened) == 24
    # Batch after batch would take as many steps as the longest of each batch of eight.
    in_turn = sum(
        max(lengths[i] for i in batch) for batch in np.array_split(sorted(range(24), key=prompts.__getitem__), 3)
    )
    assert len(steps) < in_turn


def test_an_end_token_is_kept_and_ends_the_response(model_of):
    model = model_of("llama", 100)
    stops = frozenset({2, 17, 40, 55, 60, 61, 62, 63, 64, 65})
    for sample in run(model, random_prompts(8, copies=4), stop_ids=stops):
        assert not stops & set(sample.tokens[:-1])
        assert sample.finished == (sample.tokens[-1] in stops)
        assert sample.finished or len(sample.tokens) == 24


def test_stop_strings_end_a_response_at_the_token_that_completes_them(model_of):
    model = model_of("llama", 100)

    def decode(ids: list[int]) -> str:
        return "".join(chr(ord("a") + i % 26) for i in ids)

    samples = run(model, random_prompts(6, copies=4), Sampling(max_tokens=40, stop=("ab", "q")), decode=decode)
    stopped = [s for s in samples if s.finished and s.tokens[-1] != 2]
    assert stopped
    for sample in stopped:
        text = decode(sample.tokens)
        assert text.endswith(("ab", "q"))
        assert "ab" not in text[:-1]
        assert "q" not in text[:-1]


def test_logits_processors_see_the_tokens_so_far(model_of):
    model = model_of("llama", 100)

    def never_twice(logits, so_far):
        for row, tokens in enumerate(so_far):
            logits[row, tokens] = float("-inf")
        return logits

    for sample in run(
        model, random_prompts(6), Sampling(max_tokens=30, processors=(never_twice,)), stop_ids=frozenset()
    ):
        assert len(set(sample.tokens)) == 30


def test_draws_follow_the_distribution():
    """Chi-square goodness of fit on 40,000 draws; a correct sampler fails at p < 1e-4 once in 10,000 seeds,
    and the seed is fixed."""
    logprobs = torch.randn(1, 50, generator=torch.Generator().manual_seed(3)).log_softmax(-1)
    uniform = torch.from_numpy(np.random.default_rng(0).random(40_000))
    picked = draw(logprobs.expand(40_000, -1), uniform)
    counts = torch.bincount(picked, minlength=50).numpy()
    p = stats.chisquare(
        counts, 40_000 * logprobs[0].double().exp().numpy() / logprobs[0].double().exp().sum().item()
    ).pvalue
    assert p > 1e-4


def test_whole_responses_follow_the_models_distribution(model_of):
    """Two-token responses of a small vocabulary against the model's exact joint distribution: chi-square with
    rare pairs pooled; false alarm at p < 1e-4 once in 10,000 seeds, and the seeds are fixed."""
    model = model_of("llama", 20)
    prompt = [3, 4, 5, 6]
    samples = Sampler(model, Sampling(max_tokens=2, max_rows=4096), frozenset(), str)(
        [prompt] * 8000, list(range(8000))
    )
    with torch.no_grad():
        first = model(torch.tensor([prompt])).logits[0, -1].softmax(-1)
        second = model(torch.tensor([[*prompt, a] for a in range(20)])).logits[:, -1].softmax(-1)
    joint = (first[:, None] * second).flatten().double().numpy()
    counts = np.bincount([s.tokens[0] * 20 + s.tokens[1] for s in samples], minlength=400)
    common = joint * 8000 >= 5
    observed = np.append(counts[common], counts[~common].sum())
    expected = np.append(joint[common], joint[~common].sum()) * 8000
    assert stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-4


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 1000),
    top_p=st.sampled_from([1.0, 0.9, 0.5, 0.01]),
    top_k=st.sampled_from([0, 1, 3, 200]),
    min_p=st.sampled_from([0.0, 0.05, 0.5]),
)
def test_truncation_keeps_the_likeliest_token_and_renormalises(seed, top_p, top_k, min_p):
    logprobs = (3 * torch.randn(4, 30, generator=torch.Generator().manual_seed(seed))).log_softmax(-1)
    kept = truncate(logprobs, Sampling(top_p=top_p, top_k=top_k, min_p=min_p))
    assert torch.allclose(kept.exp().sum(-1), torch.ones(4), atol=1e-5)
    assert torch.equal(kept.argmax(-1), logprobs.argmax(-1))
    if top_k:
        assert ((kept > float("-inf")).sum(-1) <= top_k).all()


@pytest.mark.parametrize("how", [{"top_p": 0.7}, {"top_k": 5}, {"min_p": 0.1}, {"top_k": 8, "top_p": 0.6}])
def test_truncation_keeps_the_same_tokens_as_transformers(how):
    from transformers.generation import logits_process as theirs

    logits = 2 * torch.randn(16, 40, generator=torch.Generator().manual_seed(5))
    expected = logits
    if "top_k" in how:
        expected = theirs.TopKLogitsWarper(how["top_k"])(None, expected)
    if "top_p" in how:
        expected = theirs.TopPLogitsWarper(how["top_p"])(None, expected)
    if "min_p" in how:
        expected = theirs.MinPLogitsWarper(how["min_p"])(None, expected)
    ours = truncate(logits.log_softmax(-1), Sampling(**how))
    torch.testing.assert_close(ours, expected.log_softmax(-1))


@pytest.mark.parametrize(
    "wrong", [{"max_tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"min_p": 1.0}, {"top_k": -1}]
)
def test_nonsensical_sampling_is_refused(wrong):
    with pytest.raises(ValueError, match=r"must|allow|use"):
        Sampling(**wrong)
