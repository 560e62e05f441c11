from __future__ import annotations

import pytest
from rule_samples import batch, respond, thought

from merf import DistinctAnswer, Diversity


def test_diversity_is_the_share_of_pairs_that_nobody_else_in_the_group_has() -> None:
    # a b | b c ; a b | b d ; x y
    responses = batch(respond("a b c"), respond("a b d"), respond("x y"), respond(""))
    assert Diversity(n=2).score(responses).tolist() == [0.5, 0.5, 1, 0]


def test_diversity_does_not_look_beyond_the_group() -> None:
    responses = batch(respond("a b"), respond("c d"), respond("a b"), respond("c d"), group=[0, 0, 1, 1])
    assert Diversity(n=2).score(responses).tolist() == [1, 1, 1, 1]


def test_alone_there_is_nobody_to_differ_from() -> None:
    assert Diversity().score(batch(respond("a b c"))).tolist() == [0]
    assert DistinctAnswer().score(batch(thought("", "4"))).tolist() == [0]


def test_repeating_an_own_pair_is_counted_once() -> None:
    assert Diversity(n=1).score(batch(respond("a a a b"), respond("b"))).tolist() == [0.5, 0]


def test_a_distinct_answer_is_paid_by_how_many_others_differ() -> None:
    responses = batch(*(thought("", answer) for answer in ("4", " 4 ", "5", "Four")), respond("unreadable"))
    # Three other readable answers each; the unreadable one is not counted.
    assert DistinctAnswer().score(responses).tolist() == pytest.approx([2 / 3, 2 / 3, 1, 1, 0])
