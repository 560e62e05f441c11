"""Columnar storage of what a policy produced in one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from merf.core.layout import Layout
from merf.core.problem import Problem, Prompt
from merf.core.progress import Progress
from merf.core.response import Likelihood, Response, Responses, Verifier

if TYPE_CHECKING:
    from torch import Tensor


PER_TOKEN = frozenset({"entropy"})
"""Records that rules may read."""

LISTS = ("problems", "prompts", "acting", "learning", "texts", "finished", "member", "source")
TENSORS = ("tokens", "mask", "logprobs", "lengths")


@dataclass(frozen=True)
class Rollouts:
    """N segments of at most T tokens. Most attempts are one segment; turns and chunks make several.

    problems   [N]     what was asked
    prompts    [N]     what was shown when acting, what is shown when learning
    acting     [N]     token ids of the acting prompt, exactly as the sampler saw them
    learning   [N]     token ids of the learning prompt; the same list object where nothing differs
    tokens     [N, T]  response tokens, padded on the right with anything
    mask       [N, T]  True on tokens that advantages act on: not padding, not tool output
    logprobs   [N, T]  of the sampling policy, under the distribution it sampled from
    lengths    [N]     number of response tokens (the end token included, tool text included)
    texts      [N]     the decoded response, opening included, end token left out
    finished   [N]     False where the length limit cut the response off
    group      [N]     which draw of a problem (not which problem text)
    member     [N]     index within the group
    trajectory [N]     which attempt, numbered from 0 without gaps; the segments of one attempt share it, in order.
                       -1 for rows that are no attempt and earn nothing: text to be imitated
    source     [N]     "policy", or "refined", "teacher", "replay", "imitation"…
    extras             named per-token records: "entropy" [N, T], "hidden:N" [N, T, d]; "imitate" [N, T] holds
                       weights of tokens whose likelihood is to be raised, whatever the advantages say; "pair" [N, T]
                       is p on the tokens of the better and -p on those of the worse response of pair p ≥ 1; "right"
                       [N, T] is a whole row of 1 or 0 for a right or wrong response, NaN where that isn't known
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
        likelihood: Likelihood | None = None,
    ) -> Responses:
        """The attempts as rules see them, one per trajectory, by number."""
        items = []
        for rows in self.attempts():
            start = rows[0]
            items.append(
                Response(
                    problem=self.problems[start],
                    text="".join(self.texts[row] for row in rows),
                    tokens=int(sum(self.lengths[row] for row in rows)),
                    finished=bool(self.finished[rows[-1]]),
                    member=self.member[start],
                    layout=layout,
                    verify=verify,
                    extras=self._extras(rows),
                )
            )
        return Responses(items, self.group[self.first_rows()], progress, likelihood)

    def attempts(self) -> list[list[int]]:
        """The rows of each attempt, in order, by attempt number."""
        found: list[list[int]] = [[] for _ in range(int(self.trajectory.max(initial=-1)) + 1)]
        for row, attempt in enumerate(self.trajectory):
            if attempt >= 0:
                found[attempt].append(row)
        return found

    def first_rows(self) -> list[int]:
        """The first row of each attempt."""
        return [rows[0] for rows in self.attempts()]

    def counting_tokens(self) -> Tensor:
        """For each row the number of trained tokens in the whole attempt it belongs to. [N]"""
        own = self.mask.sum(1)
        number = own.new_tensor(self.trajectory.tolist()) + 1  # place 0 is for rows that are no attempt
        whole = own.new_zeros(len(own) + 1).index_add(0, number, own)[number]
        return own.where(number == 0, whole)

    def _extras(self, rows: Sequence[int]) -> dict[str, Any]:
        """What rules may want to know of one attempt; several segments are put end to end."""

        def joined(columns: Tensor) -> Any:
            return np.concatenate([columns[row, : int(self.lengths[row])].cpu().numpy() for row in rows])

        return {
            "prompt_ids": self.acting[rows[0]],
            "ids": joined(self.tokens).tolist(),
            "logprobs": joined(self.logprobs),
            **{name: joined(values) for name, values in self.extras.items() if name in PER_TOKEN},
        }

    def to(self, device: Any) -> Rollouts:
        """The same rollouts with their tensors on another device."""
        tensors: dict[str, Any] = {name: getattr(self, name).to(device) for name in TENSORS}
        return replace(self, **tensors, extras={name: values.to(device) for name, values in self.extras.items()})

    def masked(self, kept: np.ndarray[Any, np.dtype[np.bool_]]) -> Rollouts:
        """The same rollouts with the segments outside `kept` [N] left out of the gradient."""
        rows = self.mask.new_tensor(kept.tolist())
        return replace(self, mask=self.mask & rows[:, None])

    def with_extras(self, **extras: Any) -> Rollouts:
        return replace(self, extras={**self.extras, **extras})

    def select(self, rows: Sequence[int]) -> Rollouts:
        """Some rows, in the given order; attempts are numbered anew by first appearance."""
        picked = list(rows)
        numbers: dict[int, int] = {}
        trajectory = [
            -1 if self.trajectory[i] < 0 else numbers.setdefault(int(self.trajectory[i]), len(numbers)) for i in picked
        ]
        lists: dict[str, Any] = {name: [getattr(self, name)[i] for i in picked] for name in LISTS}
        tensors: dict[str, Any] = {name: getattr(self, name)[picked] for name in TENSORS}
        return replace(
            self,
            **lists,
            **tensors,
            group=self.group[picked],
            trajectory=np.array(trajectory, np.int64),
            extras={name: values[picked] for name, values in self.extras.items()},
        )

    @staticmethod
    def concatenate(parts: Sequence[Rollouts]) -> Rollouts:
        """The rows of all parts, one part after the other. Equal group numbers stay one group; attempts are
        numbered on. Per-token records that a part lacks are zero there."""
        width = max(part.tokens.shape[1] for part in parts)
        count = sum(map(len, parts))

        def stacked(columns: Sequence[Any]) -> Any:
            like = next(c for c in columns if c is not None)
            out = like.new_zeros((count, width, *like.shape[2:]))
            start = 0
            for part, column in zip(parts, columns, strict=True):
                if column is not None:
                    out[start : start + len(part), : column.shape[1]] = column
                start += len(part)
            return out

        lengths = parts[0].lengths.new_zeros(count)
        trajectory, start, attempts = [], 0, 0
        for part in parts:
            lengths[start : start + len(part)] = part.lengths
            trajectory.append(np.where(part.trajectory < 0, -1, part.trajectory + attempts))
            start, attempts = start + len(part), attempts + int(part.trajectory.max(initial=-1)) + 1
        names = {name: None for part in parts for name in part.extras}
        lists: dict[str, Any] = {name: [row for part in parts for row in getattr(part, name)] for name in LISTS}
        return replace(
            parts[0],
            **lists,
            tokens=stacked([part.tokens for part in parts]),
            mask=stacked([part.mask for part in parts]),
            logprobs=stacked([part.logprobs for part in parts]),
            lengths=lengths,
            group=np.concatenate([part.group for part in parts]),
            trajectory=np.concatenate(trajectory),
            extras={name: stacked([part.extras.get(name) for part in parts]) for name in names},
        )
