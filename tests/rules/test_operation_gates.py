from __future__ import annotations

import numpy as np
import pytest
from rule_samples import RIGHT, UNKNOWN, UNREADABLE, WRONG, batch, respond, thought

from merf import (
    Brevity,
    Concise,
    Correct,
    Format,
    NoRepetition,
    Overlap,
    Rule,
    Steps,
    best_groups,
    easiest,
    hardest,
    priority,
    solved,
)
from merf.rules.conditions import truths

ONE = Correct(right=1, wrong=0, unreadable=0)
SHORT = Concise(words=4, within=1, over=-1)
ALL = batch(RIGHT, WRONG, UNREADABLE, UNKNOWN)


def test_a_gated_score_counts_only_where_the_condition_holds() -> None:
    rule = SHORT.only_if(Correct())
    assert np.array_equal(rule.score(ALL), [1, 0, 0, np.nan], equal_nan=True)
    assert rule.range == (-1, 1)
    assert rule.describe() == (
        "Length: +1 if the response has at most 4 words; -1 if it is longer. "
        "This score is counted only if the final answer is right (otherwise 0)."
    )


def test_otherwise_can_be_another_number() -> None:
    rule = SHORT.only_if(Correct(), otherwise=-3)
    assert np.array_equal(rule.score(ALL), [1, -3, -3, np.nan], equal_nan=True)
    assert rule.range == (-3, 1)
    assert "(otherwise -3)" in rule.describe()
    assert "else -3" in rule.describe("terse")


def test_behind_a_closed_gate_nobody_is_asked() -> None:
    unknown_if_wrong = Overlap(reference="gold").only_if(Correct())
    assert np.array_equal(unknown_if_wrong.score(batch(RIGHT, WRONG)), [np.nan, 0], equal_nan=True)


def test_conditions_combine_and_are_said_in_words() -> None:
    both = SHORT.only_if(Correct() & Format())
    assert "only if the final answer is right and the response is exactly <think>" in both.describe()
    not_right = SHORT.only_if(~Correct())
    assert np.array_equal(not_right.score(ALL), [0, 1, 1, np.nan], equal_nan=True)
    assert "the final answer is readable but wrong or the final answer is missing" in not_right.describe()
    either = SHORT.only_if(Correct() | Steps())
    assert " or " in either.describe()
    assert ~~Correct().at_least(2) == Correct().at_least(2)


def test_a_threshold_picks_the_outcomes_that_reach_it() -> None:
    readable = SHORT.only_if(Correct().at_least(-1.5))
    assert np.array_equal(readable.score(ALL), [1, 1, 0, np.nan], equal_nan=True)
    brackets = SHORT.only_if(Correct().at_least(-1.5) & Format()).describe()
    assert "(the final answer is right or the final answer is readable but wrong) and the response" in brackets


def test_a_rule_in_degrees_needs_a_threshold_as_a_condition() -> None:
    with pytest.raises(TypeError, match=r"\.at_least\(0\.5\)"):
        SHORT.only_if(Overlap())
    rule = SHORT.only_if(Overlap().at_least(0.5))
    assert rule.score(batch(thought("", "4"), thought("", "5"))).tolist() == [1, 0]
    assert "is the reference answer" not in rule.describe()
    assert "comes to at least 0.5" in rule.describe()
    assert "comes to less than 0.5" in SHORT.only_if(Overlap().below(0.5)).describe()


@pytest.mark.parametrize(
    "make",
    [
        lambda: SHORT.only_if(Correct() & ~Correct()),
        lambda: SHORT.only_if(Correct()).only_if(~Correct()),
        lambda: SHORT.only_if(Correct()).clip(0, 1).only_if(~Correct(1, 0, 0)),
        lambda: (SHORT.only_if(Correct()) + NoRepetition()).only_if(~Correct()),
        lambda: SHORT.only_if(Overlap().at_least(0.8) & Overlap().below(0.5)),
        lambda: SHORT.only_if(Correct().at_least(2)).only_if(Correct().below(-1.5)),
        lambda: SHORT.only_if(easiest(0.2) & ~easiest(0.2)),
        lambda: SHORT.only_if(solved(0.8) & ~solved(0.5)),
    ],
)
def test_contradictory_gates_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match=r"never|contradict"):
        make()


@pytest.mark.parametrize(
    "make", [lambda: SHORT.only_if(Correct() | ~Correct()), lambda: SHORT.only_if(~(Correct() & ~Correct()))]
)
def test_a_gate_that_is_always_open_is_refused(make: object) -> None:
    with pytest.raises(ValueError, match="always open"):
        make()


@pytest.mark.parametrize("threshold", [-2, -3, 2.5])
def test_a_threshold_that_all_or_none_reach_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="choose a threshold above -2 and up to 2"):
        Correct().at_least(threshold)


def test_gates_that_can_open_together_are_fine() -> None:
    assert truths(Correct().at_least(-1.5) & ~Correct()) == {True, False}
    SHORT.only_if(Correct().at_least(-1.5)).only_if(~Correct())
    SHORT.only_if(Overlap().at_least(0.5) & Overlap().below(0.8))


GROUPS = [0, 0, 1, 1, 2, 2]
MIXED = batch(RIGHT, RIGHT, RIGHT, WRONG, WRONG, WRONG, group=GROUPS)


@pytest.mark.parametrize(
    ("condition", "held"),
    [
        (easiest(0.2), [1, 1, 0, 0, 0, 0]),  # ⌈0.2 · 3⌉ = 1 question
        (easiest(0.5), [1, 1, 1, 1, 0, 0]),
        (hardest(0.1), [0, 0, 0, 0, 1, 1]),
        (solved(0.5), [1, 1, 1, 1, 0, 0]),
        (solved(1), [1, 1, 0, 0, 0, 0]),
        (best_groups(0.1, by=-Correct()), [0, 0, 0, 0, 1, 1]),
        (best_groups(0.1), [1, 1, 0, 0, 0, 0]),
    ],
)
def test_group_conditions_hold_for_whole_questions(condition: object, held: list[float]) -> None:
    assert condition.holds(MIXED).tolist() == held


def test_a_share_of_a_round_number_of_questions_is_not_rounded_up_by_accident() -> None:
    responses = batch(*[RIGHT] * 30, group=list(range(30)))
    assert easiest(0.1).holds(responses).sum() == 3


def test_a_question_without_any_verdict_is_unknown_and_not_counted() -> None:
    responses = batch(UNKNOWN, UNKNOWN, WRONG, WRONG, RIGHT, UNKNOWN, group=GROUPS)
    held = easiest(0.5).holds(responses)
    assert np.array_equal(held, [np.nan, np.nan, 0, 0, 1, 1], equal_nan=True)


def test_grpo_lambda_asks_for_brevity_only_on_the_easiest_questions() -> None:
    alpha = 0.6
    rule = ONE * (1 - alpha * (1 - Brevity())).where(easiest(0.5), otherwise=1)
    responses = batch(
        *(thought("", tokens=n) for n in (10, 30)),
        thought("", tokens=10),
        thought("", "5", tokens=5),
        group=[0, 0, 1, 1],
    )
    sigmoid = 1 / (1 + np.exp(1))  # of z = -1
    expected = [1 - alpha * sigmoid, 1 - alpha * (1 - sigmoid), 1, 0]
    assert np.allclose(rule.score(responses), expected)
    assert "the easiest 50% of the batch" in rule.describe()


@pytest.mark.parametrize("share", [0, 1, -0.2, 1.5])
def test_a_share_of_questions_lies_between_none_and_all(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        easiest(share)


def test_priority_counts_a_score_only_if_all_before_it_reached_their_thresholds() -> None:
    rule: Rule = priority(Correct(1, 0.3, 0).at_least(0.3), Format(0.2, 0), Steps(least=1, shown=0.05, missing=0))
    free = respond("The answer is 4.")
    assert rule.score(
        batch(thought("Two."), thought("Two.", "5"), thought("Two.", "?"), free)
    ).tolist() == pytest.approx([1.25, 0.55, 0, 0])
    assert rule.range == (0, 1.25)


def test_priority_equals_nested_gates_in_number_but_says_it_as_a_list() -> None:
    listed = priority(Correct(), Format(), SHORT)
    nested = Correct() + (Format() + SHORT.only_if(Format())).only_if(Correct())
    assert np.array_equal(listed.score(ALL), nested.score(ALL), equal_nan=True)
    assert "in order of priority, first [Correctness: +2" in listed.describe()
    assert "only if the final answer is right, also [Format: +1" in listed.describe()


def test_priority_needs_thresholds_and_company() -> None:
    with pytest.raises(ValueError, match="at least two"):
        priority(Correct())
    with pytest.raises(TypeError, match="threshold"):
        priority(Overlap(), Correct())
    with pytest.raises(TypeError, match="threshold"):
        priority(~Correct(), Format())
