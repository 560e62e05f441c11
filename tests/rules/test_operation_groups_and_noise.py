from __future__ import annotations

import numpy as np
import pytest
from rule_samples import RIGHT, UNKNOWN, UNREADABLE, WRONG, batch, thought

from merf import Concise, Correct, NoRepetition, Overlap

ONE = Correct(right=1, wrong=0, unreadable=0)


def test_within_group_is_the_z_score_of_the_group_without_its_unknown_members() -> None:
    responses = batch(RIGHT, WRONG, WRONG, WRONG, UNKNOWN, RIGHT, RIGHT, group=[0, 0, 0, 0, 0, 1, 1])
    root = np.sqrt(3)  # 1, 0, 0, 0: mean 1/4, standard deviation √3/4
    expected = [root, -1 / root, -1 / root, -1 / root, np.nan, 0, 0]
    assert np.allclose(ONE.within_group().score(responses), expected, equal_nan=True)


def test_the_limit_bounds_what_one_member_of_a_big_group_can_get() -> None:
    responses = batch(RIGHT, *[WRONG] * 99)
    assert ONE.within_group().score(responses)[0] == 3
    assert ONE.within_group(limit=1.5).range == (-1.5, 1.5)
    assert ONE.within_group(limit=20).score(responses)[0] == pytest.approx(np.sqrt(99))


def test_ranks_run_from_zero_to_one_and_ties_share() -> None:
    responses = batch(RIGHT, WRONG, UNREADABLE, WRONG, UNKNOWN)
    assert np.allclose(Correct().ranked().score(responses), [1, 0.5, 0, 0.5, np.nan], equal_nan=True)
    assert Correct().ranked().score(batch(RIGHT, RIGHT)).tolist() == [0.5, 0.5]
    assert Correct().ranked().score(batch(RIGHT)).tolist() == [0.5]


def test_group_operations_say_what_they_compare_with() -> None:
    assert "in standard deviations above or below the mean of all responses to this question, at most 3" in (
        ONE.within_group().describe()
    )
    assert "by the rank among all responses to this question" in ONE.ranked().describe()


def spread(n: int, members: int = 4) -> list[object]:
    return [thought("two", id=f"q{i}", member=m) for i in range(n) for m in range(members)]


def test_flips_are_drawn_once_per_question_and_repeat() -> None:
    responses = batch(*spread(300), group=[i // 4 for i in range(1200)])
    noisy = ONE.noisy(0.4)
    scores = noisy.score(responses).reshape(300, 4)
    assert (scores == scores[:, :1]).all()
    assert 0.3 < (scores[:, 0] == 0).mean() < 0.5
    assert np.array_equal(noisy.score(responses), noisy.score(responses))
    assert not np.array_equal(noisy.score(responses), ONE.noisy(0.4, draw=1).score(responses))


def test_flips_per_response_differ_within_a_question() -> None:
    scores = ONE.noisy(0.5, per="response").score(batch(*spread(100))).reshape(100, 4)
    assert (scores.std(axis=1) > 0).mean() > 0
    assert 0.4 < scores.mean() < 0.6


def test_a_flip_swaps_right_and_wrong_and_leaves_the_unreadable_alone() -> None:
    always = Correct().noisy(1)
    scores = always.score(batch(RIGHT, WRONG, UNREADABLE, UNKNOWN))
    assert np.array_equal(scores, [-1.5, 2, -2, np.nan], equal_nan=True)
    assert np.array_equal(Correct().noisy(0).score(batch(RIGHT, WRONG)), [2, -1.5])


def test_a_flip_of_a_score_in_degrees_turns_it_upside_down() -> None:
    rule = (0.5 * Overlap()).noisy(1)
    assert rule.score(batch(thought("", "4"), thought("", "5"))).tolist() == [0, 0.5]
    assert "0 counts as 0.5 and 0.5 as 0" in rule.describe()


def test_noise_is_told_or_kept_quiet_by_choice() -> None:
    assert "40% of all questions" in Correct().noisy(0.4).describe()
    assert "draw 2" in Correct().noisy(0.4, draw=2).describe()
    quiet = Correct().noisy(0.4, told=False)
    assert quiet.describe() == Correct().describe()
    assert quiet != Correct().noisy(0.4)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ONE.noisy(1.5),
        lambda: ONE.noisy(-0.1),
        lambda: ONE.noisy(0.1, per="token"),
        lambda: ONE.within_group(limit=0),
        lambda: Concise(words=-1),
        lambda: NoRepetition(n=0),
    ],
)
def test_group_and_noise_parameters_that_make_no_sense_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        make()
