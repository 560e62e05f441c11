"""Responses in turns: what the environment writes is read by the model and never trained on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.tasks.test_environment import HOUSE

from merf.core.progress import Progress
from merf.core.sampling import Sample, Sampling
from merf.policy.load import ModelError
from merf.rollout.played import batches, play
from merf.tasks.games import Maze
from merf.train.build import build_recipe, evaluation_plan
from merf.train.context import StepContext
from merf.train.options import TrainOptions
from merf.train.parallel import World

TASK = Maze(most=4)
END = object()
"""Stands for the end token in a script."""


class Scripted:
    """Makes a policy write what a script says, turn by turn; remembers what it was shown."""

    def __init__(self, policy: Any, monkeypatch: pytest.MonkeyPatch, *scripts: tuple[Any, ...]) -> None:
        self.policy, self.scripts = policy, scripts
        self.shown: list[list[list[int]]] = []
        self.hows: list[Any] = []
        monkeypatch.setattr(policy, "sample", self)

    def __call__(self, prompts: Any, how: Any, seeds: Any, progress: Any = None) -> list[Sample]:
        self.policy.check_room(prompts, how.max_tokens)
        self.shown.append(prompts)
        self.hows.append(how)
        turn, samples = len(self.shown) - 1, []
        alive = [script for script in self.scripts if len(script) > turn]
        assert len(alive) == len(prompts), "a script for every attempt that goes on"
        for script in alive:
            ids = [self.policy.tokenizer.eos_token_id] if script[turn] is END else self.policy.tokenize(script[turn])
            finished = len(ids) <= how.max_tokens
            numbers = [-0.5 - 0.25 * turn] * len(ids)
            kept = slice(how.max_tokens)
            samples.append(Sample(ids[kept], numbers[kept], finished, {"entropy": numbers[kept]}))
        return samples


@pytest.fixture
def context(policy: Any) -> StepContext:
    options = TrainOptions(task="maze", problems=1, group_size=2, max_tokens=400)
    ctx = StepContext(build_recipe(options, TASK), policy, World())
    ctx.begin(Progress(0, 1))
    return ctx


WAY = ("So east. <move>east</move>", "<move>south</move>", "<move>west</move>")
ANOTHER = ("<move>west</move>", "I give up.")


def collected(context: StepContext, monkeypatch: pytest.MonkeyPatch, *scripts: tuple[Any, ...]) -> tuple[Any, Scripted]:
    scripted = Scripted(context.policy, monkeypatch, *scripts)
    return context.recipe.rollout.collect([HOUSE], context), scripted


def test_turns_follow_each_other_in_one_response(context: StepContext, monkeypatch: pytest.MonkeyPatch) -> None:
    rollouts, scripted = collected(context, monkeypatch, WAY, ANOTHER)
    assert rollouts.texts[0] == (
        "So east. <move>east</move>\n<result>You are in the hall. Doors: south, west.</result>\n"
        "<move>south</move>\n<result>You are in the cellar. Doors: north, west.</result>\n"
        "<move>west</move>\n<result>You are in the den. Doors: east. You have arrived.</result>\n"
    )
    assert list(rollouts.finished) == [True, True]
    assert all(how.stop == ("</move>",) for how in scripted.hows)
    responses = context.responses(rollouts)
    assert [response.verdict.correct for response in responses] == [True, False]
    assert context.score(rollouts).parts["correctness"].tolist() == [2.0, -1.5]


def test_every_turn_continues_the_very_tokens_before_it(context: StepContext, monkeypatch: pytest.MonkeyPatch) -> None:
    rollouts, scripted = collected(context, monkeypatch, WAY, ANOTHER)
    whole = rollouts.acting[0] + rollouts.tokens[0, : rollouts.lengths[0]].tolist()
    seen = [shown[0] for shown in scripted.shown]
    assert [whole[: len(prompt)] for prompt in seen] == seen
    assert [len(prompt) for prompt in seen] == sorted({len(prompt) for prompt in seen})
    assert context.policy.chat.decode(whole[len(rollouts.acting[0]) :]) == rollouts.texts[0]


def test_what_the_environment_wrote_is_masked(context: StepContext, monkeypatch: pytest.MonkeyPatch) -> None:
    rollouts, _ = collected(context, monkeypatch, WAY, ANOTHER)
    for row, script in enumerate((WAY, ANOTHER)):
        written = rollouts.tokens[row][rollouts.mask[row]].tolist()
        assert context.policy.chat.decode(written) == "".join(script)
        assert not rollouts.mask[row, rollouts.lengths[row] :].any()
        silent = ~rollouts.mask[row]
        assert (rollouts.logprobs[row][silent] == 0).all()
    assert rollouts.logprobs[0][rollouts.mask[0]].unique().tolist() == [-1.0, -0.75, -0.5]
    assert rollouts.on_policy is True


def test_no_gradient_comes_from_the_environments_tokens(context: StepContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss moves with the log-probs of the model's own tokens and with no others."""
    rollouts, _ = collected(context, monkeypatch, WAY, ANOTHER)
    advantages = context.recipe.credit(context.score(rollouts), rollouts)
    assert (advantages != 0).equal(rollouts.mask)
    for batch in context.policy.batches(rollouts, advantages, context.recipe):
        assert batch.tokens == int(rollouts.mask.sum())
        leaf = batch.logprobs.detach().requires_grad_()
        context.recipe.objective(replace(batch, logprobs=leaf, old=leaf.detach())).value.backward()
        assert (leaf.grad != 0).equal(batch.mask)
        own = context.policy.token_logprobs(
            [rollouts.acting[i] for i in batch.rows.tolist()],
            [rollouts.tokens[i, : rollouts.lengths[i]].tolist() for i in batch.rows.tolist()],
        )
        for row, expected in enumerate(own):
            seen = batch.mask[row, : len(expected)]
            assert torch.allclose(
                batch.logprobs[row, : len(expected)][seen], torch.as_tensor(expected)[seen], atol=1e-4
            )


@pytest.mark.parametrize(
    ("script", "finished", "fault"),
    [
        (("No idea.",), True, "no <move>"),
        ((END,), True, "no <move>"),
        (("north</move>",), True, "outside of a turn"),
        (("<move>west</move>",) * 4, True, ""),  # the game ends by itself
        (("<move>east</move>" + " and so on" * 200,), False, "cut off"),
    ],
)
def test_how_attempts_end(
    script: tuple[Any, ...], finished: bool, fault: str, context: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollouts, _ = collected(context, monkeypatch, script, script)
    assert list(rollouts.finished) == [finished] * 2
    assert all(fault in response.parsed.fault for response in context.responses(rollouts))


@pytest.mark.parametrize("limit", range(1, 250, 24))
def test_the_limit_holds_for_the_whole_response(limit: int, context: StepContext) -> None:
    calls: list[int] = []

    def draw(rows: Any, so_far: Any, how: Any) -> list[Sample]:
        calls.append(how.max_tokens)
        ids = context.policy.tokenize("<move>east</move>" if len(calls) % 2 else "<move>west</move>")
        kept = ids[: how.max_tokens]
        return [Sample(kept, [0.0] * len(kept), len(kept) == len(ids), {}) for _ in rows]

    prompt = context.policy.encode(({"role": "user", "content": "Go."},))
    (attempt,) = play(TASK, [HOUSE], [prompt], Sampling(max_tokens=limit), context.policy, draw)
    assert len(attempt.tokens) <= limit
    assert calls == sorted(calls, reverse=True)
    assert len(attempt.tokens) == len(attempt.own) == len(attempt.logprobs)
    # Either four moves were made, or there was no more room.
    assert attempt.finished == (attempt.text.count("<result>") == 4)


class Room:
    """As much of an attempt as `batches` looks at."""

    def __init__(self, prompt: int, used: int, limit: int) -> None:
        self.prompt, self.tokens, self.room = prompt, [0] * used, limit - used


def test_attempts_go_on_together_where_the_context_allows() -> None:
    same = [Room(10, used, 100) for used in (0, 50, 90)]
    assert list(batches(same, [0, 1, 2], 1000)) == [([0, 1, 2], 100)]
    # 10 + 90 + 100 is too much for a context of 150, and so is 10 + 50 + 100.
    assert list(batches(same, [0, 1, 2], 150)) == [([0], 100), ([1, 2], 50)]
    assert list(batches(same, [0, 1, 2], 110)) == [([0], 100), ([1], 50), ([2], 10)]


def test_a_prompt_without_room_is_refused(context: StepContext, monkeypatch: pytest.MonkeyPatch) -> None:
    context.policy.context = 50
    with pytest.raises(ModelError, match="context holds 50"):
        collected(context, monkeypatch, WAY, WAY)


def test_evaluation_plays_as_well(context: StepContext, monkeypatch: pytest.MonkeyPatch) -> None:
    Scripted(context.policy, monkeypatch, WAY, ("<move>south</move>", END))
    prompt = evaluation_plan(TrainOptions(task="maze"), context.recipe).prompts["bare"](HOUSE)
    (first, won), (second, lost) = context.sample_all([HOUSE] * 2, [prompt] * 2, context.sampling, [1, 2])
    assert TASK.verify(HOUSE, TASK.layout.parse(won).answer or "").correct is True
    assert "There is no door." in lost
    assert first.finished
    assert second.tokens[-1] == context.policy.tokenizer.eos_token_id


def test_random_play_repeats_itself(context: StepContext) -> None:
    """With the real sampler: the same seeds give the same turns."""
    once = context.recipe.rollout.collect([HOUSE], context)
    context.begin(Progress(0, 1))
    again = context.recipe.rollout.collect([HOUSE], context)
    assert once.texts == again.texts
    assert torch.equal(once.tokens, again.tokens)
    assert torch.equal(once.mask, again.mask)
