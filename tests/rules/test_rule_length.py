from __future__ import annotations

import numpy as np
import pytest
from rule_samples import UNKNOWN, WRONG, batch, respond, thought

from merf import Brevity, Concise, Overlong


def test_concise_counts_words() -> None:
    rule = Concise(words=3, within=1, over=-1)
    assert rule.score(batch(respond("one two three"), respond(" one  two\nthree four"), respond(""))).tolist() == [
        1,
        -1,
        1,
    ]


@pytest.mark.parametrize(("tokens", "score"), [(0, 0), (75, 0), (80, -0.2), (90, -0.6), (100, -1), (1000, -1)])
def test_overlong_falls_in_a_straight_line_over_its_band(tokens: int, score: float) -> None:
    rule = Overlong(limit=100, band=25)
    assert rule.score(batch(respond("" if tokens == 0 else "x", tokens)))[0] == pytest.approx(score)
    assert rule.range == (-1, 0)


def test_a_length_that_nobody_counted_is_unknown_and_not_zero() -> None:
    uncounted = thought("two and two", tokens=0)
    assert np.isnan(Overlong().score(batch(uncounted))).all()
    assert np.isnan(Brevity().score(batch(uncounted, thought("two", tokens=9)))).tolist() == [True, False]
    assert not np.isnan(Brevity(unit="words").score(batch(uncounted))).any()


def test_brevity_is_the_sigmoid_of_the_standardised_length_among_right_answers() -> None:
    responses = batch(thought("", tokens=10), thought("", tokens=20), thought("", tokens=30), WRONG, UNKNOWN)
    z = np.array([-1, 0, 1]) / np.sqrt(2 / 3)  # population standard deviation of 10, 20, 30 is 10 · √(2/3)
    expected = [*(1 / (1 + np.exp(z))), 0, np.nan]
    assert np.allclose(Brevity().score(responses), expected, equal_nan=True)


def test_the_wrong_answers_of_a_group_do_not_move_the_statistics() -> None:
    right = [thought("", tokens=10), thought("", tokens=30)]
    alone = Brevity().score(batch(*right))
    with_wrong = Brevity().score(batch(*right, thought("", "5", tokens=10_000)))
    assert np.array_equal(alone, with_wrong[:2])


def test_brevity_compares_within_the_group_only() -> None:
    responses = batch(*(thought("", tokens=n) for n in (10, 20, 1000, 2000)), group=[7, 7, 3, 3])
    assert np.allclose(Brevity().score(responses), [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))] * 2)


def test_a_lone_right_answer_is_neither_short_nor_long() -> None:
    assert Brevity().score(batch(thought("", tokens=10), WRONG)).tolist() == [0.5, 0]


def test_the_span_shape_gives_one_to_the_shortest_and_zero_to_the_longest() -> None:
    lengths = [10, 15, 30]
    responses = batch(*(thought("", tokens=n) for n in lengths), WRONG)
    assert Brevity(shape="span").score(responses).tolist() == [1, 0.75, 0, 0]
    assert Brevity(shape="span").score(batch(thought("", tokens=10))).tolist() == [0]


def test_brevity_among_all_looks_at_wrong_answers_too() -> None:
    responses = batch(thought("", "5", tokens=10), thought("", tokens=30))
    assert Brevity(shape="span", among="all").score(responses).tolist() == [1, 0]
