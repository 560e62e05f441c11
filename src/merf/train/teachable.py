"""Whether a run has anything to learn from, measured rather than guessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Watch = Callable[[str, dict[str, Any]], None]
"""Is told of every record of a run: its kind ("step", "evaluation", "warning", "status") and what it says."""

TRIVIAL = 0.99
"""Accuracy before training from which problems count as too easy."""

EARLY = 5
"""Steps after which a run that had nothing to learn from is warned of."""


@dataclass
class Teachable:
    """Passes a run's records on to `watch`, and warns, with the measured rates, of problems that are all too
    hard or too easy for the model and of rewards that don't differ within any group.

    `responses` is how many responses the first evaluation draws in each mode.
    """

    watch: Watch
    responses: int
    before: list[Mapping[str, Any]] = field(default_factory=list, init=False)
    early: list[Mapping[str, Any]] = field(default_factory=list, init=False)

    def __call__(self, kind: str, record: dict[str, Any]) -> None:
        self.watch(kind, record)
        if kind == "evaluation" and record["step"] == 0:
            self.before.append(record)
            if len(self.before) == 2:
                self._warn(difficulty_warning(self.before, self.responses))
        elif kind == "step" and record["step"] < EARLY:
            self.early.append(record)
            if len(self.early) == EARLY:
                self._warn(reward_warning(self.early))

    def _warn(self, text: str) -> None:
        if text:
            self.watch("warning", {"text": text})


def difficulty_warning(evaluations: list[Mapping[str, Any]], responses: int) -> str:
    """What the evaluations before training (without and with the motivation) give reason to warn of."""
    bare, told = evaluations
    if max(bare["accuracy"], told["accuracy"]) == 0:
        return (
            f"before training, none of {responses} responses to the held-out problems was right, without the rules in "
            f"the prompt or with them ({rates(told)}). Unless luck helps, there is nothing to learn from: choose "
            "easier problems (--set), allow more --max-tokens, or use a stronger model"
        )
    if min(bare["accuracy"], told["accuracy"]) >= TRIVIAL:
        return (
            f"before training, {bare['accuracy']:.1%} of {responses} responses to the held-out problems were right "
            f"already ({rates(bare)}). There is little to learn: choose harder problems (--set)"
        )
    return ""


def rates(evaluation: Mapping[str, Any]) -> str:
    """The shares that tell why, in words."""
    said = [
        f"layout kept in {evaluation['formatted']:.1%}",
        f"right if the layout is overlooked in {evaluation['lenient']:.1%}",
        f"cut off at the length limit in {evaluation['cut_off']:.1%}",
    ]
    levels = [key for key in evaluation if key.startswith("accuracy/")]
    if len(levels) > 1:
        said.append("right by difficulty " + ", ".join(f"{k.partition('/')[2]}: {evaluation[k]:.1%}" for k in levels))
    return "; ".join(said)


def reward_warning(steps: list[Mapping[str, Any]]) -> str:
    """What the first steps give reason to warn of."""
    if any(step["live_groups"] > 0 for step in steps):
        return ""
    right = sum(step["correct"] for step in steps) / len(steps)
    means = {
        key.split("/")[1]: steps[-1][key] for key in steps[-1] if key.startswith("rewards/") and key.endswith("/mean")
    }
    paid = ", ".join(f"{name} {mean:+.2f}" for name, mean in means.items())
    return (
        f"in the first {len(steps)} steps all members of every group were paid alike, so nothing was learned "
        f"({right:.1%} of the answers right; paid on average: {paid}). Choose problems that are sometimes solved, a "
        "larger --group-size or --temperature, or a rulebook that tells responses apart more finely"
    )
