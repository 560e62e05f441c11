"""The unbiased pass@k estimator (Codex, arXiv 2107.03374)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from merf.core.response import Array


def solved(right: Sequence[int] | np.ndarray, samples: int, k: int) -> Array:
    """Of each problem the chance that at least one of k samples is right [P]: 1 − C(n−c, k) / C(n, k).

    `right[i]` of problem i's `samples` were right; k ≤ samples.
    """
    if not 1 <= k <= samples:
        raise ValueError(f"pass@{k} can't be estimated from {samples} samples: draw at least k")
    return np.array([1.0 - _all_wrong(samples, int(c), k) for c in right])


def pass_at_k(right: Sequence[int] | np.ndarray, samples: int, k: int) -> float:
    """The mean of these chances over the problems."""
    return float(np.mean(solved(right, samples, k)))


def _all_wrong(n: int, c: int, k: int) -> float:
    """C(n−c, k) / C(n, k) as a product that neither overflows nor cancels."""
    if n - c < k:
        return 0.0
    return float(np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


def powers_of_two(samples: int) -> Iterable[int]:
    """1, 2, 4 … up to `samples`."""
    k = 1
    while k <= samples:
        yield k
        k *= 2
