"""Measures of confidence against plain loops, and their intervals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merf.evaluate.calibration import auroc, brier, calibration, ece, reliability
from merf.evaluate.statistics import resampled, wilson

pairs = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


def columns(drawn) -> tuple[np.ndarray, np.ndarray]:
    return np.array([c for c, _ in drawn], float), np.array([z for _, z in drawn], float)


@given(pairs)
def test_auroc_is_the_share_of_pairs_in_the_right_order(drawn):
    confidence, right = columns(drawn)
    wins = [
        1.0 if a > b else 0.5 if a == b else 0.0
        for a, b in itertools.product(confidence[right == 1], confidence[right == 0])
    ]
    assert auroc(confidence, right) == pytest.approx(np.mean(wins) if wins else np.nan, nan_ok=True)


@given(pairs)
def test_ece_and_brier_are_their_formulas(drawn):
    confidence, right = columns(drawn)
    total = 0.0
    for b in range(10):
        here = [i for i, c in enumerate(confidence) if min(int(c * 10), 9) == b]
        if here:
            total += len(here) / len(right) * abs(right[here].mean() - confidence[here].mean())
    assert ece(confidence, right) == pytest.approx(total, abs=1e-9)
    assert brier(confidence, right) == pytest.approx(np.mean([(c - z) ** 2 for c, z in drawn]))


def test_a_hand_worked_example():
    confidence, right = np.array([0.95, 0.85, 0.9, 0.15, np.nan, 1.0]), np.array([1, 0, 1, 0, 1, np.nan])
    # Bins: 0.9 to 1: two, both right, mean 0.925; 0.8 to 0.9: one, wrong; 0.1 to 0.2: one, wrong.
    assert ece(confidence, right) == pytest.approx(0.5 * 0.075 + 0.25 * 0.85 + 0.25 * 0.15)
    assert brier(confidence, right) == pytest.approx((0.05**2 + 0.85**2 + 0.1**2 + 0.15**2) / 4)
    assert auroc(confidence, right) == 1
    assert [b.count for b in reliability(confidence, right)] == [0, 1, 0, 0, 0, 0, 0, 0, 1, 2]


def test_nothing_to_measure_is_not_a_number():
    nothing = np.full(4, np.nan)
    found = calibration(nothing, np.ones(4), np.arange(4), np.arange(4.0))
    assert found.stated == 0
    assert np.isnan([found.ece.mean, found.brier.mean, found.auroc.mean, found.gap.mean, found.length.mean]).all()
    assert np.isnan(auroc(np.array([0.1, 0.9]), np.ones(2)))


def test_well_calibrated_and_over_confident_models_are_told_apart():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(size=4000)
    right = (rng.uniform(size=4000) < confidence).astype(float)
    problem, tokens = np.repeat(np.arange(500), 8), rng.uniform(size=4000)
    honest = calibration(confidence, right, problem, tokens)
    assert honest.ece.mean < 0.03
    assert honest.gap.low < 0 < honest.gap.high
    assert honest.auroc.low > 0.75
    proud = calibration(np.sqrt(confidence), right, problem, tokens)
    assert proud.gap.low > 0.1
    assert proud.auroc.mean == pytest.approx(honest.auroc.mean)


def test_intervals_resample_problems_not_responses():
    """Responses that only repeat their problem's first add nothing: the interval is that of the problems."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=50)

    def width(repeats):
        found = resampled(
            lambda v: float(v.mean()), np.repeat(np.arange(50), repeats), np.repeat(values, repeats), seed=3
        )
        return found.high - found.low

    assert width(8) == pytest.approx(width(1))
    assert width(1) == pytest.approx(2 * 1.96 * values.std() / 50**0.5, rel=0.1)


def test_the_interval_of_a_share_is_wilsons():
    found = wilson(0, 10)
    assert (found.low, found.high) == pytest.approx((0, 0.2775), abs=1e-3)
    hits, n, z = 7, 20, 1.959964
    middle = (hits / n + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (hits / n * (1 - hits / n) / n + z**2 / (4 * n**2)) ** 0.5
    found = wilson(hits, n)
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half))
