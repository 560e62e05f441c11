"""Prefix-shared passes give the same numbers as one sequence at a time."""

from __future__ import annotations

from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from merf.policy import attention
from merf.policy.tree import Tree, hidden_states, output_logits, shared_prefix, similar

KINDS = ("llama", "mistral", "qwen2", "qwen3", "gemma")


@pytest.fixture(params=["by parts", "by copies"])
def way(request, monkeypatch):
    """Both ways to attend over a tree: a CPU's, and that of devices whose kernels keep their log-sum-exp."""
    if request.param == "by copies":
        monkeypatch.setattr(attention, "gives_lse", lambda *_: False)


def random_batch(seed: int, prefix: int = 20, prompts: int = 3, most: int = 9) -> tuple[list, list, list]:
    rng = Random(seed)

    def words(n: int) -> list[int]:
        return [rng.randrange(10, 90) for _ in range(n)]

    head = words(prefix)
    made = [head + words(rng.randint(1, 12)) for _ in range(prompts)]
    parent = [rng.randrange(prompts) for _ in range(most)]
    return made, [words(rng.randint(1, 30)) for _ in parent], parent


def one_by_one(model, prompts, responses, parent):
    """Log-probs of each response's tokens from plain SDPA forward passes."""
    model.set_attn_implementation("sdpa")
    out = []
    for i, response in zip(parent, responses, strict=True):
        logits = model(torch.tensor([prompts[i] + response])).logits[0, len(prompts[i]) - 1 : -1]
        out.append(logits.log_softmax(-1).gather(1, torch.tensor(response)[:, None])[:, 0])
    model.set_attn_implementation("merf_tree")
    return out


def in_a_tree(model, prompts, responses, parent):
    tree = Tree.grow(prompts, responses, parent)
    logits = output_logits(model, hidden_states(model, tree)[tree.predictor])
    logprobs = logits.log_softmax(-1).gather(2, tree.tokens[tree.index][..., None])[..., 0]
    return [row[own] for row, own in zip(logprobs, tree.own, strict=True)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prefix", [0, 3, 20])
def test_tree_logprobs_equal_those_of_single_sequences(model_of, way, kind, prefix):
    model = model_of(kind, 100)
    batch = random_batch(prefix, prefix)
    with torch.no_grad():
        for ours, theirs in zip(in_a_tree(model, *batch), one_by_one(model, *batch), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_tree_gradients_equal_those_of_single_sequences_for_every_parameter(model_of, way, kind):
    model = model_of(kind, 100)
    batch = random_batch(7)
    gradients = []
    for score in (in_a_tree, one_by_one):
        model.zero_grad()
        torch.cat(score(model, *batch)).sum().backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters()})
    for name, ours in gradients[0].items():
        theirs = gradients[1][name]
        assert (ours - theirs).norm() <= 1e-5 * theirs.norm(), name


def test_a_response_does_not_see_its_siblings(model_of, way):
    model = model_of("llama", 100)
    prompts, responses, parent = random_batch(3)
    with torch.no_grad():
        before = in_a_tree(model, prompts, responses, parent)[0]
        changed = [responses[0]] + [[11] * len(r) for r in responses[1:]]
        after = in_a_tree(model, prompts, changed, parent)[0]
    torch.testing.assert_close(before, after, atol=1e-6, rtol=0)


def test_one_prompt_alone_has_no_prefix_and_keeps_a_token_of_its_own():
    assert shared_prefix([[1, 2, 3] * 10]) == 0
    same = [list(range(30)), list(range(30))]
    assert shared_prefix(same) == 29


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=40), min_size=1, max_size=6))
def test_the_shared_prefix_is_shared_and_leaves_every_prompt_a_token(prompts):
    length = shared_prefix(prompts)
    assert all(prompt[:length] == prompts[0][:length] for prompt in prompts)
    assert all(len(prompt) > length for prompt in prompts)


@given(st.lists(st.integers(1, 500), min_size=1, max_size=40))
def test_leaves_of_similar_length_cover_every_response_once(lengths):
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    runs = list(similar(order, lengths))
    assert [i for run in runs for i in run] == order
    for run in runs:
        assert lengths[run[-1]] <= 1.3 * lengths[run[0]] + 8


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), prefix=st.integers(0, 25), prompts=st.integers(1, 5), most=st.integers(1, 12))
def test_any_tree_gives_the_plain_models_numbers(model_of, seed, prefix, prompts, most):
    model = model_of("qwen2", 100)
    batch = random_batch(seed, prefix, prompts, most)
    with torch.no_grad():
        for ours, theirs in zip(in_a_tree(model, *batch), one_by_one(model, *batch), strict=True):
            torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), prefix=st.integers(0, 25), prompts=st.integers(1, 5), most=st.integers(1, 12))
def test_both_ways_of_attending_agree_on_values_and_gradients(seed, prefix, prompts, most):
    """In double precision, so that nothing but the formula can differ."""
    tree = Tree.grow(*random_batch(seed, prefix, prompts, most), prefix=prefix)
    torch.manual_seed(seed)
    given = [torch.randn(len(tree.tokens), 3, 8, dtype=torch.double, requires_grad=True) for _ in range(3)]
    upstream = torch.randn(len(tree.tokens), 3, 8, dtype=torch.double)
    found = []
    for attend in (attention.by_parts, attention.by_copies):
        out = attend(*given, tree, 0.3)
        found.append([out.detach(), *torch.autograd.grad(out, given, upstream)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-9)


def test_a_kernel_that_gives_its_log_sum_exp_is_there():
    """Without it everything is right but slower, so only this test would tell."""
    x = torch.zeros(1, 1, 4)
    assert attention.gives_lse(x, x, 0.0)
