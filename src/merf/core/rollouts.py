"""Columnar storage of what a policy produced in one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from merf.core.layout import Layout
from merf.core.problem import Problem, Prompt
from merf.core.progress import Progress
from merf.core.response import Response, Responses, Verifier

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Rollouts:
    """N segments of at most T tokens. Most attempts are one segment; turns and chunks make several.

    problems   [N]     what was asked
    prompts    [N]     what was shown when acting, what is shown when learning
    acting     [N]     token ids of the acting prompt, exactly as the sampler saw them
    learning   [N]     token ids of the learning prompt; the same list object where nothing differs
    tokens     [N, T]  response tokens, padded on the right with anything
    mask       [N, T]  True on tokens that are trained on: not padding, not tool output
    logprobs   [N, T]  of the sampling policy, under the distribution it sampled from
    lengths    [N]     number of response tokens (the end token included, tool text included)
    texts      [N]     the decoded response, opening included, special tokens left out
    finished   [N]     False where the length limit cut the response off
    group      [N]     which draw of a problem (not which problem text)
    member     [N]     index within the group
    trajectory [N]     which attempt, numbered from 0 without gaps; the segments of one attempt share it, in order
    source     [N]     "policy", or "refined", "teacher", "replay"…
    extras             named per-segment records, e.g. "entropy" [N, T]
    """

    problems: Sequence[Problem]
    prompts: Sequence[Prompt]
    acting: Sequence[list[int]]
    learning: Sequence[list[int]]
    tokens: Tensor
    mask: Tensor
    logprobs: Tensor
    lengths: Tensor
    texts: Sequence[str]
    finished: Sequence[bool]
    group: np.ndarray[Any, np.dtype[np.int64]]
    member: Sequence[int]
    trajectory: np.ndarray[Any, np.dtype[np.int64]]
    source: Sequence[str]
    extras: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def on_policy(self) -> bool:
        """Whether the gradient sees the very prompts that were acted on."""
        return all(a is b for a, b in zip(self.acting, self.learning, strict=True))

    def responses(
        self,
        layout: Layout,
        verify: Verifier,
        progress: Progress,
        extras: Callable[[int], dict[str, Any]] = lambda row: {},
    ) -> Responses:
        """The attempts as rules see them, one per trajectory, by number."""
        _, first, count = np.unique(self.trajectory, return_index=True, return_counts=True)
        items = []
        for start, segments in zip(first, count, strict=True):
            rows = range(start, start + segments)
            items.append(
                Response(
                    problem=self.problems[start],
                    text="".join(self.texts[row] for row in rows),
                    tokens=int(sum(self.lengths[row] for row in rows)),
                    finished=bool(self.finished[rows[-1]]),
                    member=self.member[start],
                    layout=layout,
                    verify=verify,
                    extras=extras(int(start)),
                )
            )
        return Responses(items, self.group[first], progress)

    def masked(self, kept: np.ndarray[Any, np.dtype[np.bool_]]) -> Rollouts:
        """The same rollouts with the segments outside `kept` [N] left out of the gradient."""
        rows = self.mask.new_tensor(kept.tolist())
        return replace(self, mask=self.mask & rows[:, None])

    def with_extras(self, **extras: Any) -> Rollouts:
        return replace(self, extras={**self.extras, **extras})
