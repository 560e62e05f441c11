"""Responses in turns: the model calls, the environment replies, the model goes on.

Token ids travel: a turn continues the very tokens before it, nothing is tokenised twice. All turns of an attempt
are one row of the rollouts; the environment's tokens are in it, are counted by the length limit, and are masked,
so that no gradient comes from text that the model didn't write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from merf.core.problem import Problem
from merf.core.rollouts import Rollouts
from merf.core.sampling import Sample, Sampling
from merf.core.seams import Context
from merf.policy.policy import pad_rows
from merf.tasks.environment import Environment, PlayedTask, Turns

Draw = Callable[[Sequence[int], Sequence[tuple[int, ...]], Sampling], Sequence[Sample]]
"""(numbers of attempts, their tokens so far, how) -> what each writes next."""


@dataclass
class Attempt:
    """One response under way. `own` says of every token whether the model wrote it."""

    world: Environment
    prompt: int
    """Tokens of the prompt."""
    limit: int
    text: str = ""
    tokens: list[int] = field(default_factory=list)
    own: list[bool] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    extras: dict[str, list[float]] = field(default_factory=dict)
    over: bool = False
    finished: bool = False

    @property
    def room(self) -> int:
        """Tokens that are left."""
        return self.limit - len(self.tokens)

    def write(self, sample: Sample, layout: Turns, policy: Any) -> None:
        """Take in what the model wrote, and the environment's reply if it made a call."""
        length = min(len(sample.tokens), self.room)
        written = sample.tokens[:length]
        self._add(written, sample.logprobs[:length], {name: row[:length] for name, row in sample.extras.items()}, True)
        text = policy.chat.decode(written, policy.stops)
        self.text += text
        call = layout.last_call(text)
        if length < len(sample.tokens) or not sample.finished:
            self.over = True  # cut off at the limit
        elif written[-1] in policy.stops or call is None:
            self.over = self.finished = True
        else:
            self._reply(call, layout, policy)

    def _reply(self, call: str, layout: Turns, policy: Any) -> None:
        reply = self.world.step(call)
        text = layout.answered(reply.text)
        ids = policy.tokenize(text)
        if len(ids) < self.room or (reply.done and len(ids) == self.room):
            nothing = [0.0] * len(ids)
            self._add(ids, nothing, dict.fromkeys(self.extras, nothing), False)
            self.text += text
            self.over = self.finished = reply.done
        else:
            self.over = True

    def _add(self, ids: list[int], logprobs: list[float], extras: dict[str, list[float]], own: bool) -> None:
        self.tokens += ids
        self.own += [own] * len(ids)
        self.logprobs += logprobs
        for name, values in extras.items():
            self.extras.setdefault(name, []).extend(values)


def play(
    task: PlayedTask, problems: Sequence[Problem], prompts: Sequence[Any], how: Sampling, policy: Any, draw: Draw
) -> list[Attempt]:
    """Play every attempt to its end. `prompts` are encoded; `how.max_tokens` limits the whole response, replies
    included."""
    layout = task.layout
    attempts = [
        Attempt(task.reset(problem), len(prompt.ids), how.max_tokens, prompt.opening)
        for problem, prompt in zip(problems, prompts, strict=True)
    ]
    while playing := [i for i, attempt in enumerate(attempts) if not attempt.over]:
        for rows, limit in batches(attempts, playing, policy.context):
            turn = replace(how, max_tokens=limit, stop=(*how.stop, layout.stop))
            samples = draw(rows, [tuple(attempts[i].tokens) for i in rows], turn)
            for i, sample in zip(rows, samples, strict=True):
                attempts[i].write(sample, layout, policy)
    return attempts


def batches(attempts: Sequence[Attempt], playing: list[int], context: int) -> Iterator[tuple[list[int], int]]:
    """Attempts that can go on together, with how many tokens they are given: as many as the one with the most room
    has, where that fits the context of all."""
    while playing:
        limit = max(attempts[i].room for i in playing)
        fits = {i: attempts[i].prompt + len(attempts[i].tokens) + limit <= context for i in playing}
        # Where it fits nobody, sampling refuses the prompts and says why.
        rows = [i for i in playing if fits[i]] or playing
        yield rows, limit
        playing = [i for i in playing if i not in rows]


@dataclass(frozen=True)
class Played:
    """`group_size` independent attempts at each problem of a played task."""

    task: PlayedTask
    group_size: int = 8

    def collect(self, problems: Sequence[Problem], ctx: Context) -> Rollouts:
        group = [g for g in range(len(problems)) for _ in range(self.group_size)]
        member = [m for _ in problems for m in range(self.group_size)]
        asked = [problems[g] for g in group]
        prompts = [ctx.frame(problem, m) for problem, m in zip(asked, member, strict=True)]
        policy = ctx.policy
        acting = [policy.encode(prompt.acting, prompt.prefill, prompt.ids) for prompt in prompts]
        learning = [policy.encode(prompt.learning, prompt.prefill, prompt.ids) for prompt in prompts]

        def draw(rows: Sequence[int], so_far: Sequence[tuple[int, ...]], how: Sampling) -> list[Sample]:
            drawn = ctx.sample(
                [asked[i] for i in rows],
                [replace(prompts[i], ids=(*prompts[i].ids, *ids)) for i, ids in zip(rows, so_far, strict=True)],
                [group[i] for i in rows],
                [member[i] for i in rows],
                how,
            )
            return [_sample(drawn, row) for row in range(len(rows))]

        played = play(self.task, asked, acting, ctx.sampling, policy, draw)
        lengths = [len(attempt.tokens) for attempt in played]
        width, device = max(lengths), policy.device

        def padded(rows: Sequence[Sequence[float]], dtype: torch.dtype) -> torch.Tensor:
            return pad_rows(rows, width, dtype, device)

        return Rollouts(
            problems=asked,
            prompts=prompts,
            acting=[one.ids for one in acting],
            learning=[one.ids for one in learning],
            tokens=padded([attempt.tokens for attempt in played], torch.long),
            mask=padded([attempt.own for attempt in played], torch.bool),
            logprobs=padded([attempt.logprobs for attempt in played], torch.float32),
            lengths=torch.tensor(lengths, device=device),
            texts=[attempt.text for attempt in played],
            finished=[attempt.finished for attempt in played],
            group=np.asarray(group, np.int64),
            member=member,
            trajectory=np.arange(len(played)),
            source=["policy"] * len(played),
            extras={
                name: padded([attempt.extras[name] for attempt in played], torch.float32) for name in played[0].extras
            },
        )


def _sample(drawn: Rollouts, row: int) -> Sample:
    length = int(drawn.lengths[row])
    return Sample(
        tokens=drawn.tokens[row, :length].tolist(),
        logprobs=drawn.logprobs[row, :length].tolist(),
        finished=drawn.finished[row],
        extras={name: values[row, :length].tolist() for name, values in drawn.extras.items()},
    )
