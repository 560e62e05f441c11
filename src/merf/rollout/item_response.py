"""How likely a problem is solved with a given share of help: a three-parameter logistic curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.special import expit

from merf.core.response import Array

LOW, START, HIGH = (0.1, -2.0, 0.0), (5.0, -0.5, 0.0), (50.0, 1.0, 0.99)
"""Bounds of slope, shift and floor, and where the fit begins."""


@dataclass(frozen=True)
class ItemResponse:
    """f(p) = b + (1 − b) / (1 + exp(−k (p + μ))): accuracy as a function of the share p of help.

    k is the slope, μ the solver's ability, shifted by the problem's difficulty, b the floor that guessing gives.
    """

    k: float
    mu: float
    b: float

    def __call__(self, rate: Array | float) -> Array:
        curve: Array = self.b + (1 - self.b) * expit(self.k * (np.asarray(rate) + self.mu))
        return curve

    def rate(self, accuracy: float) -> float:
        """The share of help in [0, 1] that comes closest to this accuracy; 0 if guessing alone reaches it."""
        if accuracy <= self.b:
            return 0.0
        return float(np.clip(-self.mu - np.log((1 - self.b) / (accuracy - self.b) - 1) / self.k, 0.0, 1.0))

    @classmethod
    def fit(cls, rates: Sequence[float], accuracies: Sequence[float]) -> ItemResponse:
        """Least squares over the distinct rates, accuracies at equal rates averaged."""
        distinct, place = np.unique(np.asarray(rates, np.float64), return_inverse=True)
        mean = np.bincount(place, weights=accuracies) / np.bincount(place)

        def gap(constants: Array) -> Array:
            return cls(*constants)(distinct) - mean

        found = least_squares(gap, START, bounds=(LOW, HIGH))
        return cls(*map(float, found.x))
