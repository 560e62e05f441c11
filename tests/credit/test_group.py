"""Advantages against plain NumPy, and the traps of group statistics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merf.credit.group import GroupRelative, group_equal

GROUP = np.array([0, 0, 0, 0, 1, 1, 1, 1])
REWARD = np.array([1.0, 0.0, 0.0, 3.0, 2.0, 2.0, 2.0, 2.0])


def test_grpo_advantages_equal_the_formula():
    a = GroupRelative().advantages(REWARD, GROUP)
    first = REWARD[:4]
    np.testing.assert_allclose(a[:4], (first - first.mean()) / (first.std(ddof=1) + 1e-4))
    assert (a[4:] == 0).all()


def test_dr_grpo_leaves_the_division_out():
    a = GroupRelative(scale="none").advantages(REWARD, GROUP)
    np.testing.assert_allclose(a[:4], REWARD[:4] - 1.0)


def test_lite_ppo_divides_by_the_batch_deviation():
    a = GroupRelative(scale="batch").advantages(REWARD, GROUP)
    np.testing.assert_allclose(a[:4], (REWARD[:4] - 1.0) / (REWARD.std(ddof=1) + 1e-4))


def test_rloo_compares_with_the_mean_of_the_others():
    a = GroupRelative(scale="none", leave_one_out=True).advantages(REWARD, GROUP)
    np.testing.assert_allclose(a[:4], [1 - 3 / 3, 0 - 4 / 3, 0 - 4 / 3, 3 - 1 / 3])


def test_a_missing_reward_leaves_mean_and_deviation_of_the_others_alone():
    reward = np.array([1.0, np.nan, 0.0, 3.0])
    a = GroupRelative().advantages(reward, np.zeros(4, int))
    known = np.array([1.0, 0.0, 3.0])
    np.testing.assert_allclose(a[[0, 2, 3]], (known - known.mean()) / (known.std(ddof=1) + 1e-4))
    assert a[1] == 0


def test_equal_float_rewards_give_exactly_zero():
    """0.1 + 0.2 three times over has a standard deviation that is not exactly zero in floating point."""
    reward = np.full(3, 0.1) + np.full(3, 0.2)
    assert (GroupRelative().advantages(reward, np.zeros(3, int)) == 0).all()
    assert group_equal(reward, np.zeros(3, int)).all()


def test_nearly_equal_rewards_do_not_explode():
    reward = np.array([0.2, 0.2 + 1e-9, 0.2, 0.2])
    assert np.abs(GroupRelative().advantages(reward, np.zeros(4, int))).max() < 1e-3


def test_a_lone_reward_in_its_group_teaches_nothing():
    reward = np.array([1.0, np.nan, np.nan])
    assert (GroupRelative().advantages(reward, np.zeros(3, int)) == 0).all()


rewards = st.lists(st.floats(-5, 5).map(lambda x: round(x, 2)), min_size=2, max_size=8)


@pytest.mark.parametrize("scale", ["group", "none"])
@given(rewards, st.floats(0.5, 4), st.floats(-3, 3))
def test_group_advantages_ignore_affine_changes_of_the_reward(scale, values, factor, shift):
    reward, group = np.array(values), np.zeros(len(values), int)
    credit = GroupRelative(scale=scale, eps=0.0)
    before, after = credit.advantages(reward, group), credit.advantages(factor * reward + shift, group)
    expected = before if scale == "group" else factor * before
    if np.ptp(reward) > 0:
        np.testing.assert_allclose(after, expected, atol=1e-6)


@given(rewards, st.permutations(range(8)))
def test_advantages_follow_their_responses_when_rows_are_reordered(values, order):
    reward = np.array((values * 4)[:8])
    group = np.array([0, 1] * 4)
    a = GroupRelative().advantages(reward, group)
    order = np.array(order)
    np.testing.assert_allclose(GroupRelative().advantages(reward[order], group[order]), a[order], atol=1e-12)
