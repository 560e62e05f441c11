"""A whole training set-up: one answer per seam."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from merf.core.sampling import Sampling
from merf.core.seams import Credit, Curriculum, Framing, Judge, Objective, Rewards, Rollout, Task


@dataclass(frozen=True)
class AdamW:
    """The optimiser's constants. The learning rate rises linearly over `warmup` steps, then stays flat or
    falls to `floor` times its peak along a straight line or half a cosine. Gradients are clipped to a
    global norm of `clip`."""

    lr: float = 1e-6
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    warmup: int = 0
    decay: Literal["constant", "linear", "cosine"] = "constant"
    floor: float = 0.0
    clip: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """One value per seam, and the numbers of a run. A method is a function from recipe to recipe.

    task        what is asked, and what counts as right
    rulebook    what earns reward, and how that is said
    framing     what the model sees
    rollout     how responses come about
    credit      scores -> advantages
    objective   advantages -> loss
    curriculum  which problems come next
    judges      scorers that are trained alongside
    problems    distinct problem draws per step
    group_size  responses per draw
    minibatches optimiser steps per rollout batch and epoch; more than one makes the later ones off-policy
    epochs      passes over each rollout batch
    truncated   what to do with responses cut off at the length limit: "unreadable" scores them as having
                no answer, "masked" also leaves them out of the gradient, "as-is" reads what is there
    reference   keep the starting weights for rules and rollouts that ask for them (an objective with a KL term
                keeps them anyway)
    failures    the share of responses whose verifier may fail in one step before the run stops
    """

    task: Task
    rulebook: Rewards
    framing: Framing
    rollout: Rollout
    credit: Credit
    objective: Objective
    curriculum: Curriculum
    judges: tuple[Judge, ...] = ()
    problems: int = 16
    group_size: int = 8
    sampling: Sampling = field(default_factory=Sampling)
    optimizer: AdamW = field(default_factory=AdamW)
    steps: int = 100
    minibatches: int = 1
    epochs: int = 1
    truncated: Literal["unreadable", "masked", "as-is"] = "unreadable"
    failures: float = 0.2
    reference: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.group_size < 2:
            raise ValueError(
                f"group_size={self.group_size}: advantages compare the members of a group, so a group needs at least 2"
            )
        if self.problems < 1 or self.steps < 1 or self.minibatches < 1 or self.epochs < 1:
            raise ValueError("problems, steps, minibatches and epochs must all be at least 1")
        low, high = self.rulebook.range
        if low == high:
            raise ValueError(
                f"every response would score {low:g}: give the rulebook a rule that can tell responses apart"
            )

    def but(self, **changes: Any) -> Recipe:
        """This recipe with some seams or numbers replaced."""
        return replace(self, **changes)
