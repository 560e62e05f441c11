"""What training has added, and what it was there before: the limits of a trained model beside its base.

Yue et al., "Does Reinforcement Learning Really Incentivize Reasoning Capacity in LLMs Beyond the Base Model?",
arXiv 2504.13837. Both models are asked the same prompts, n samples a problem, c of them right.

    pass@k      mean 1 − C(n−c, k) / C(n, k); the base may overtake the trained model as k grows
    solvable    of the problems, the shares that k samples of both, of one or of neither model can be expected to solve
    gap         pass@n of the base − pass@1 of the trained model: what training has left undone
    perplexity  exp(−1/|y| Σ_t log π_base(y_t | x, y_<t)), of both models' responses under the base

Intervals resample problems. Guessable problems should be left out beforehand: at large k a guess is always right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from merf.core.response import Array
from merf.evaluate.passk import powers_of_two, solved
from merf.evaluate.statistics import Interval, resampled

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Solvable:
    """Shares of the problems; they add up to 1."""

    both: float
    base_only: float
    trained_only: float
    neither: float


@dataclass(frozen=True)
class Perplexities:
    """The quantiles 5, 25, 50, 75 and 95 % of responses' perplexities under the base, and the share of the trained
    model's responses that lies within the base's own middle 95 %."""

    base: tuple[float, ...]
    trained: tuple[float, ...]
    inside: float


@dataclass(frozen=True)
class Limits:
    """The findings; mappings are by k. `crossing` is the least k at which the base is at least as good as the trained
    model and stays so, None if there is none."""

    problems: int
    samples: int
    base: dict[int, Interval]
    trained: dict[int, Interval]
    difference: dict[int, Interval]
    solvable: dict[int, Solvable]
    crossing: int | None
    gap: Interval
    perplexity: Perplexities | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def limits(
    base: Array, trained: Array, samples: int, perplexities: tuple[Sequence[float], Sequence[float]] | None = None
) -> Limits:
    """From how many of `samples` responses to each problem were right [P], under either model. `perplexities` are those
    of the base's and of the trained model's responses under the base."""
    if len(base) != len(trained) or not len(base):
        raise ValueError(
            f"{len(base)} problems for the base and {len(trained)} for the trained model: ask both the same"
        )
    ks = list(powers_of_two(samples))
    if ks[-1] != samples:
        ks.append(samples)
    ours, theirs = ({k: solved(right, samples, k) for k in ks} for right in (trained, base))

    def over_problems(values: Array) -> Interval:
        return resampled(lambda v: float(v.mean()), np.arange(len(values)), values)

    difference = {k: over_problems(ours[k] - theirs[k]) for k in ks}
    behind = [k for k in ks if all(difference[later].mean <= 1e-12 for later in ks if later >= k)]
    return Limits(
        problems=len(base),
        samples=samples,
        base={k: over_problems(theirs[k]) for k in ks},
        trained={k: over_problems(ours[k]) for k in ks},
        difference=difference,
        solvable={k: solvable(theirs[k], ours[k]) for k in ks},
        crossing=behind[0] if behind else None,
        gap=over_problems(theirs[samples] - ours[1]),
        perplexity=None if perplexities is None else compared(*map(np.asarray, perplexities)),
    )


def solvable(base: Array, trained: Array) -> Solvable:
    """From each model's chances [P] to solve the problems; samples of the two are independent."""
    return Solvable(
        both=float(np.mean(base * trained)),
        base_only=float(np.mean(base * (1 - trained))),
        trained_only=float(np.mean((1 - base) * trained)),
        neither=float(np.mean((1 - base) * (1 - trained))),
    )


def perplexity(logprobs: Array) -> float:
    """Of one response, from its tokens' log-probs; NaN for an empty one."""
    return float(np.exp(-np.mean(logprobs))) if len(logprobs) else float("nan")


def compared(base: Array, trained: Array) -> Perplexities:
    base, trained = base[~np.isnan(base)], trained[~np.isnan(trained)]
    low, high = np.quantile(base, (0.025, 0.975))
    return Perplexities(
        tuple(map(float, np.quantile(base, QUANTILES))),
        tuple(map(float, np.quantile(trained, QUANTILES))),
        float(np.mean((low <= trained) & (trained <= high))),
    )
