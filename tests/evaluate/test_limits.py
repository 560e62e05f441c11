"""Limits against brute force over samples, and what a comparison of two models comes to."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from merf.evaluate.limits import compared, limits, perplexity
from merf.evaluate.passk import pass_at_k, solved


@pytest.mark.parametrize("samples", [1, 4, 6])
def test_chances_are_those_of_drawing_k_of_the_samples(samples):
    for right in range(samples + 1):
        marks = [1] * right + [0] * (samples - right)
        for k in range(1, samples + 1):
            drawn = [max(some) for some in itertools.combinations(marks, k)]
            assert solved([right], samples, k)[0] == pytest.approx(np.mean(drawn))
    with pytest.raises(ValueError, match="draw at least k"):
        pass_at_k([0], samples, samples + 1)


BASE, TRAINED = np.array([8, 1, 0, 0, 2]), np.array([8, 8, 4, 0, 0])


def test_at_all_samples_the_sets_are_counted():
    found = limits(BASE, TRAINED, 8).solvable[8]
    assert (found.both, found.base_only, found.trained_only, found.neither) == pytest.approx((0.4, 0.2, 0.2, 0.2))


def test_at_one_sample_they_are_products_of_the_rates():
    base, trained = BASE / 8, TRAINED / 8
    found = limits(BASE, TRAINED, 8).solvable[1]
    assert found.both == pytest.approx((base * trained).mean())
    assert found.trained_only == pytest.approx((trained * (1 - base)).mean())
    assert sum(vars(found).values()) == pytest.approx(1)


def test_curves_gap_and_crossing():
    base, trained = np.array([1, 1, 1, 1]), np.array([8, 8, 0, 0])
    found = limits(base, trained, 8)
    assert list(found.base) == [1, 2, 4, 8]
    assert [found.base[k].mean for k in (1, 2, 4, 8)] == pytest.approx([1 / 8, 1 / 4, 1 / 2, 1])
    assert all(found.trained[k].mean == 0.5 for k in found.trained)
    assert found.crossing == 4
    assert found.gap.mean == pytest.approx(0.5)
    assert limits(base, base, 8).crossing == 1
    assert limits(np.zeros(4), trained, 8).crossing is None


def test_other_numbers_of_samples_end_the_curve_too():
    assert list(limits(np.array([0, 6]), np.array([1, 6]), 6).base) == [1, 2, 4, 6]


def test_perplexities_by_hand():
    assert perplexity(np.log([0.5, 0.125])) == pytest.approx(4)
    assert np.isnan(perplexity(np.array([])))
    found = compared(np.linspace(1, 2, 101), np.array([1.5, 1.6, 3.0, np.nan]))
    assert found.base[2] == pytest.approx(1.5)
    assert found.inside == pytest.approx(2 / 3)


def test_different_problems_are_refused():
    with pytest.raises(ValueError, match="ask both the same"):
        limits(np.array([1]), np.array([1, 2]), 4)
