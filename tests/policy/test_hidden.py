"""Hidden states and entropies on request: the model's own, and nothing when nobody asks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from tests.policy.test_sampler import random_prompts
from tests.train.conftest import BOOK

from merf.core.sampling import Sampling
from merf.core.seams import Batch, Loss
from merf.policy import sampler as sampler_module
from merf.policy.decode import LlamaDecoder, ModelDecoder
from merf.policy.policy import Policy
from merf.policy.sampler import Sampler
from merf.tasks.knights_knaves import KnightsKnaves
from merf.train.build import build_recipe
from merf.train.context import StepContext
from merf.train.options import TrainOptions
from merf.train.parallel import World

KINDS = ("llama", "mistral", "qwen2", "qwen3", "gemma")
RECORD = frozenset({"entropy", "hidden:0", "hidden:1", "hidden:-1"})


@torch.no_grad()
def of_the_model(model, prompt: list[int], response: list[int]) -> dict[str, torch.Tensor]:
    """What transformers gives for one sequence by itself, at the positions that predict the response."""
    out = model(torch.tensor([prompt + response]), output_hidden_states=True)
    logprobs = out.logits[0].log_softmax(-1)
    found = {"entropy": -(logprobs.exp() * logprobs).sum(-1)}
    found |= {f"hidden:{layer}": out.hidden_states[layer][0] for layer in (0, 1, -1)}
    return {name: value[len(prompt) - 1 : -1] for name, value in found.items()}


def assert_all_equal(model, prompts, responses, records):
    for prompt, response, record in zip(prompts, responses, records, strict=True):
        for name, expected in of_the_model(model, prompt, response).items():
            torch.testing.assert_close(torch.as_tensor(record[name]), expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["tree", "padded", "own forward"])
def test_sampled_states_are_the_models_own(model_of, kind, way, monkeypatch):
    model = model_of(kind, 100)
    prompts = random_prompts(4, copies=2)
    if way == "own forward":
        own = lambda model, prefix, positions, dtype, layers, static: ModelDecoder(model, prefix, layers)  # noqa: E731
        monkeypatch.setattr(sampler_module, "decoder_for", own)
    how = Sampling(max_tokens=10, record=RECORD, max_rows=5)  # fewer rows than prompts: some have to wait
    samples = Sampler(model, how, frozenset({2, 30, 31, 32, 33}), str, shares=way != "padded")(prompts, range(8))
    assert len({len(sample.tokens) for sample in samples}) > 1
    assert_all_equal(model, prompts, [s.tokens for s in samples], [s.extras for s in samples])
    state = samples[0].extras["hidden:1"]
    head = torch.nn.Linear(state.shape[1], 1)
    head(state).sum().backward()  # what was sampled can be learned from
    assert head.weight.grad is not None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shares", [True, False])
def test_scored_states_are_the_models_own(model_of, lab_tokenizer, kind, shares):
    policy = Policy(model_of(kind, len(lab_tokenizer)), lab_tokenizer)
    policy.shares = shares
    policy.tokens_per_batch = 60
    prompts = random_prompts(4, copies=2)
    responses = [[20 + i] * (1 + 2 * i) for i in range(8)]
    records = policy.inspect(prompts, responses, RECORD)
    assert set(records[0]) == RECORD | {"logprobs"}
    policy.model.eval()
    assert_all_equal(policy.model, prompts, responses, records)


def test_nothing_is_kept_that_nobody_asked_for(policy, monkeypatch):
    seen = []
    backbone = policy.model.get_decoder()
    hook = backbone.register_forward_pre_hook(lambda m, a, k: seen.append(k.get("output_hidden_states")), with_kwargs=1)
    (record,) = policy.inspect([[40, 50]], [[60, 70]], frozenset())
    (sample,) = policy.sample([[40, 50]], Sampling(max_tokens=3), [0])
    hook.remove()
    assert set(record) == {"logprobs"}
    assert sample.extras == {}
    assert seen == [None, None]
    assert isinstance(Sampler(policy.model, Sampling(), policy.stops, str)._decoder([[1, 2]]), LlamaDecoder)


def test_what_cannot_be_recorded_is_refused():
    with pytest.raises(ValueError, match="hidden:N"):
        Sampling(record=frozenset({"hidden"}))


@dataclass(frozen=True)
class Shrinks:
    """A loss on hidden states: the mean square of the first layer's."""

    needs: frozenset[str] = frozenset({"hidden:1", "entropy"})

    def __call__(self, batch: Batch) -> Loss:
        squares = batch.hidden["hidden:1"].square().mean(-1)
        return Loss((squares * batch.mask).sum() / batch.tokens)


@pytest.mark.parametrize("budget", [120, 16_384])
def test_an_objective_that_declares_states_gets_them_with_gradient(policy, budget):
    options = TrainOptions(people=(2, 2), problems=2, group_size=3, max_tokens=9)
    recipe = build_recipe(options, KnightsKnaves(people=(2, 2)), BOOK)
    recipe = recipe.but(objective=Shrinks(), sampling=replace(recipe.sampling, record=frozenset({"hidden:-1"})))
    ctx = StepContext(recipe, policy, World())
    rollouts = recipe.rollout.collect(recipe.curriculum.draw(2, ctx.progress), ctx)
    assert rollouts.extras["hidden:-1"].shape == (*rollouts.tokens.shape, 64)

    policy.tokens_per_batch = budget
    total = 0.0
    for batch in policy.batches(rollouts, rollouts.mask.float(), recipe):
        sampled, scored = batch.extras["hidden:-1"], policy.model.get_output_embeddings()(batch.extras["hidden:-1"])
        own = scored.log_softmax(-1).gather(2, rollouts.tokens[batch.rows, : sampled.shape[1], None])[..., 0]
        assert (own - batch.logprobs)[batch.mask].abs().max() < 1e-4
        loss = recipe.objective(batch).value
        loss.backward()
        total += loss.item()
    ours = {name: p.grad.clone() for name, p in policy.model.named_parameters() if p.grad is not None}
    policy.model.zero_grad()

    squares = []
    for i in range(len(rollouts)):
        prompt, response = rollouts.learning[i], rollouts.tokens[i, : int(rollouts.lengths[i])].tolist()
        states = policy.model(torch.tensor([prompt + response]), output_hidden_states=True).hidden_states[1][0]
        squares.append(states[len(prompt) - 1 : -1].square().mean(-1))
    expected = torch.cat(squares).mean()
    expected.backward()
    assert total == pytest.approx(expected.item(), rel=1e-5)
    for name, gradient in ours.items():
        theirs = dict(policy.model.named_parameters())[name].grad
        if theirs is not None:
            torch.testing.assert_close(gradient, theirs, atol=1e-6, rtol=1e-4)
