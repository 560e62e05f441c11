"""Models that can't share prefixes take the general way, and get the same numbers."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from tests.policy.test_sampler import random_prompts

from merf.core.sampling import Sampling
from merf.policy.attention import ATTENTION
from merf.policy.padded import padded_hidden, shares_prefixes
from merf.policy.policy import Policy
from merf.policy.sampler import Sampler
from merf.policy.tree import output_logits


@pytest.fixture
def windowed(model_of):
    """Attention over the last 8 tokens only, which a shared prefix would get wrong."""
    return model_of("mistral", 100, sliding_window=8)


def gemma2():
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(
        vocab_size=100,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        sliding_window=8,
        attn_logit_softcapping=1.0,
    )
    torch.manual_seed(0)
    model = Gemma2ForCausalLM(config).eval()
    model.set_attn_implementation(ATTENTION)
    return model


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "qwen3", "gemma"])
def test_the_usual_shapes_share_prefixes(model_of, kind):
    assert shares_prefixes(model_of(kind, 100)) == ""


def test_a_sliding_window_and_soft_capped_attention_are_noticed(windowed):
    assert "differ" in shares_prefixes(windowed)
    assert shares_prefixes(gemma2())


def test_a_model_outside_the_attention_interface_is_noticed(model_of):
    model = model_of("llama", 100)
    model.set_attn_implementation("sdpa")
    assert "attention interface" in shares_prefixes(model)


def test_the_policy_says_in_one_line_that_it_takes_the_slower_way(windowed, lab_tokenizer, caplog):
    with caplog.at_level(logging.WARNING, "merf"):
        policy = Policy(windowed, lab_tokenizer)
    assert not policy.shares
    assert len(caplog.records) == 1
    assert "padded rows" in caplog.text


def test_padded_logprobs_equal_those_of_single_sequences(windowed):
    prompts = random_prompts(5)
    responses = [[11 + i] * (3 * i + 1) for i in range(5)]
    with torch.no_grad():
        hidden = padded_hidden(windowed, prompts, responses)
        for row, prompt, response in zip(hidden, prompts, responses, strict=True):
            alone = windowed(torch.tensor([prompt + response])).logits[0, len(prompt) - 1 : -1]
            together = output_logits(windowed, row[: len(response)])
            torch.testing.assert_close(together.log_softmax(-1), alone.log_softmax(-1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("rows", [512, 4])
def test_padded_sampling_gives_the_models_own_logprobs(windowed, rows):
    prompts = random_prompts(6, copies=2)
    sampler = Sampler(windowed, Sampling(max_tokens=15, max_rows=rows), frozenset({2, 30, 31, 32}), str, shares=False)
    for prompt, sample in zip(prompts, sampler(prompts, list(range(12))), strict=True):
        logits = windowed(torch.tensor([prompt + sample.tokens])).logits[0, len(prompt) - 1 : -1]
        expected = logits.log_softmax(-1).gather(1, torch.tensor(sample.tokens)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(sample.logprobs), expected.detach(), atol=1e-5, rtol=0)


def test_both_ways_sample_the_same_responses(model_of):
    model = model_of("qwen2", 100)
    prompts = random_prompts(6, copies=3)
    runs = [
        Sampler(model, Sampling(max_tokens=20), frozenset({2}), str, shares=shares)(prompts, list(range(18)))
        for shares in (True, False)
    ]
    assert [s.tokens for s in runs[0]] == [s.tokens for s in runs[1]]
    for a, b in zip(*runs, strict=True):
        assert np.allclose(a.logprobs, b.logprobs, atol=1e-5)


def test_training_on_padded_rows_gives_the_same_weights(model_of, lab_tokenizer, tmp_path):
    from tests.train.conftest import BOOK

    from merf.core.recipe import AdamW
    from merf.tasks.knights_knaves import KnightsKnaves
    from merf.train.build import build_recipe
    from merf.train.loop import train
    from merf.train.options import ObjectiveOptions, TrainOptions
    from merf.train.run import Run

    options = TrainOptions(
        steps=2, problems=3, group_size=4, max_tokens=12, optimizer=AdamW(lr=1e-3), objective=ObjectiveOptions(kl=0.01)
    )
    found = []
    for shares in (True, False):
        policy = Policy(model_of("llama", len(lab_tokenizer), eos_token_id=lab_tokenizer.eos_token_id), lab_tokenizer)
        policy.shares = shares
        train(build_recipe(options, KnightsKnaves(people=(2, 2)), BOOK), policy, Run(tmp_path / str(shares)))
        found.append({name: p.detach().clone() for name, p in policy.model.named_parameters()})
    for name, weight in found[0].items():
        # AdamW turns rounding differences of almost-zero gradients into a visible share of one step (1e-3).
        torch.testing.assert_close(found[1][name], weight, atol=1e-4, rtol=0)
