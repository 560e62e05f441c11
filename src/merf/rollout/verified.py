"""Rollouts that know which of their attempts are right, for objectives that learn to say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from merf.core.problem import Problem
from merf.core.rollouts import Rollouts
from merf.core.seams import Context, Rollout
from merf.rules.conditions import right_answers


@dataclass(frozen=True)
class Verified:
    """What `rollout` collects, with the verdict on every attempt in `extras["right"]`."""

    rollout: Rollout

    def collect(self, problems: Sequence[Problem], ctx: Context) -> Rollouts:
        rollouts = self.rollout.collect(problems, ctx)
        right = right_answers(ctx.responses(rollouts))
        of_rows = np.append(right, np.nan)[rollouts.trajectory]  # the last place is for rows that are no attempt
        columns = rollouts.logprobs.new_tensor(of_rows)[:, None].expand(rollouts.tokens.shape)
        return rollouts.with_extras(right=columns.contiguous())
