"""Long responses in short contexts: after every chunk the context is reset, and only its end is carried over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from merf.core.problem import Problem
from merf.core.rollouts import Rollouts
from merf.core.seams import Context
from merf.rollout.sampled import Sampled


@dataclass(frozen=True)
class Chunked:
    """`group_size` attempts at each problem, each written in chunks that are rows of their own.

    The first chunk has at most `chunk` tokens. A later one is shown the problem, the first `header` tokens of the
    response and the last `carry` tokens of the chunk before, and adds at most `chunk` − `carry`; the sampling
    limit bounds all of them together. No forward pass sees more than the problem and `header` + `chunk` tokens.
    """

    group_size: int
    chunk: int
    carry: int
    header: int

    def __post_init__(self) -> None:
        if not 0 < self.carry < self.chunk or not 0 <= self.header <= self.chunk - self.carry:
            raise ValueError(
                f"chunk={self.chunk}, carry={self.carry}, header={self.header}: a chunk has to hold the header, what "
                "is carried over (at least one token) and something new; raise the length limit, or carry less"
            )

    def collect(self, problems: Sequence[Problem], ctx: Context) -> Rollouts:
        limit = ctx.sampling.max_tokens
        first = Sampled(self.group_size).collect(
            problems, ctx, replace(ctx.sampling, max_tokens=min(self.chunk, limit))
        )
        parts, attempts = [first], [np.arange(len(first))]
        written = [tokens_of(first, row) for row in range(len(first))]
        finished = list(first.finished)
        room = limit - self.chunk
        while room > 0 and not all(finished):
            going = [i for i, done in enumerate(finished) if not done]
            last = parts[-1]
            tails = {int(i): tokens_of(last, row)[-self.carry :] for row, i in enumerate(attempts[-1])}
            prompts = [
                replace(first.prompts[i], ids=(*first.prompts[i].ids, *written[i][: self.header], *tails[i]))
                for i in going
            ]
            chunk = ctx.sample(
                [first.problems[i] for i in going],
                prompts,
                first.group[going].tolist(),
                [first.member[i] for i in going],
                replace(ctx.sampling, max_tokens=min(self.chunk - self.carry, room)),
            )
            texts = []
            for row, i in enumerate(going):
                before, written[i] = written[i], written[i] + tokens_of(chunk, row)
                finished[i] = chunk.finished[row]
                texts.append(added_text(ctx, before, written[i]))
            parts.append(replace(chunk, texts=texts))
            attempts.append(np.array(going))
            room -= self.chunk - self.carry
        number = np.concatenate(attempts)
        together = replace(Rollouts.concatenate(parts), trajectory=number, finished=[finished[int(i)] for i in number])
        return together.select(np.argsort(number, kind="stable").tolist())


def tokens_of(rollouts: Rollouts, row: int) -> list[int]:
    ids: list[int] = rollouts.tokens[row, : int(rollouts.lengths[row])].tolist()
    return ids


def added_text(ctx: Context, before: list[int], after: list[int]) -> str:
    """The text that comes with the later tokens. Decoding them alone could lose a space or split a character."""
    text: str = ctx.policy.chat.decode(after, ctx.policy.stops)
    return text[len(ctx.policy.chat.decode(before)) :]
