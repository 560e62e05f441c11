from __future__ import annotations

import numpy as np
import pytest
from rule_samples import RIGHT, UNKNOWN, UNREADABLE, WRONG, batch, respond, thought

from merf import Concise, Correct, NoRepetition, Overlap, Rulebook, Steps, highest, lowest
from merf.rules.arithmetic import Scaled, Sum, Weighted

ONE = Correct(right=1, wrong=0, unreadable=0)
SHORT = Concise(words=4, within=1, over=0)
REPEAT = NoRepetition(n=1)


def test_a_weight_on_outcomes_is_said_as_their_products() -> None:
    assert (0.5 * Correct()).describe() == (
        "Correctness: +1 if the final answer is right; -0.75 if it is readable but wrong; "
        "-1 if it is missing or unreadable."
    )


def test_a_weight_on_degrees_is_said_as_itself() -> None:
    rule = REPEAT * 0.2
    assert rule.describe().endswith("This score is multiplied by 0.2.")
    assert rule.score(batch(respond("so so")))[0] == pytest.approx(-0.1)
    assert (-rule).range == (0, 0.2)


def test_weights_merge_and_a_weight_of_one_disappears() -> None:
    assert (REPEAT * 2) * 3 == REPEAT * 6
    assert REPEAT * 2 * 0.5 == REPEAT
    assert isinstance(2 * ONE, Weighted)
    assert isinstance(2 * REPEAT, Scaled)
    assert np.float64(2) * REPEAT == 2 * REPEAT
    assert np.int64(2) + REPEAT == 2 + REPEAT


def test_sums_add_up_scores_and_ranges_and_say_so() -> None:
    rule = ONE + REPEAT + 0.5
    responses = batch(RIGHT, thought("so so so so"), WRONG)
    assert np.allclose(rule.score(responses), ONE.score(responses) + REPEAT.score(responses) + 0.5)
    assert rule.range == (-0.5, 1.5)
    assert "the sum of [Correctness: +1" in rule.describe()
    assert "raised by 0.5" in rule.describe()
    assert sum([ONE, REPEAT]) == ONE + REPEAT


def test_sums_are_flat_and_keep_constants_outside() -> None:
    third = Overlap()
    assert (ONE + REPEAT) + third == ONE + (REPEAT + third) == Sum((ONE, REPEAT, third))
    assert (ONE + 1) + (REPEAT + 2) == (ONE + REPEAT) + 3


def test_a_bonus_is_worth_nothing_without_a_right_answer() -> None:
    rule = ONE * (1 + 0.5 * SHORT)
    long = thought("two and two and two and two")
    short = respond("<think>2+2</think><answer>4</answer>")
    wrong = respond("<think>2+2</think><answer>5</answer>")
    assert rule.score(batch(short, long, wrong)).tolist() == [1.5, 1, 0]
    assert rule.range == (0, 1.5)
    assert rule.describe().endswith(
        "This score is multiplied by (1 plus [Length: +0.5 if the response has at most 4 words; 0 if it is longer])."
    )


def test_a_bonus_of_several_parts_names_each() -> None:
    rule = ONE * (1 + 0.5 * SHORT + 0.25 * REPEAT)
    assert "(1 plus [Length: +0.5" in rule.describe()
    assert "] plus [No repetition: " in rule.describe()
    assert "multiplied by 0.25]" in rule.describe()


def test_the_range_of_a_product_covers_all_signs() -> None:
    assert (Correct(1, -1, -2) * (REPEAT - 0.5)).range == (-1.5, 3)


def test_lowest_and_highest_pick_one_score() -> None:
    responses = batch(RIGHT, WRONG, thought("so so so so"))
    a, b = ONE.score(responses), REPEAT.score(responses)
    assert np.allclose(lowest(ONE, REPEAT).score(responses), np.minimum(a, b))
    assert np.allclose(highest(ONE, REPEAT).score(responses), np.maximum(a, b))
    assert lowest(ONE, REPEAT).range == (-1, 0)
    assert highest(ONE, REPEAT).range == (0, 1)
    assert "the lowest of [" in lowest(ONE, REPEAT).describe()


@pytest.mark.parametrize(
    "rule",
    [
        2 * ONE,
        2 * (ONE + REPEAT),
        ONE + 1,
        ONE + SHORT,
        ONE * (1 + SHORT),
        SHORT * (1 + ONE),
        lowest(ONE, SHORT),
        highest(ONE, SHORT),
        ONE.named("answer"),
    ],
)
def test_an_unknown_score_stays_unknown_through_arithmetic(rule: Correct) -> None:
    scores = rule.score(batch(RIGHT, UNKNOWN, UNREADABLE))
    assert np.isnan(scores).tolist() == [False, True, False]


def test_a_name_changes_the_heading_and_nothing_else() -> None:
    rule = ONE.named("final-answer")
    assert rule.name == "final-answer"
    assert rule.describe() == ONE.describe().replace("Correctness", "Final answer")
    assert rule.named("other") == ONE.named("other")
    assert (
        SHORT.only_if(rule).score(batch(RIGHT, WRONG)).tolist()
        == SHORT.only_if(ONE).score(batch(RIGHT, WRONG)).tolist()
    )


@pytest.mark.parametrize(
    "make", [lambda: ONE - ONE, lambda: ONE + SHORT - ONE, lambda: Rulebook(REPEAT, (-REPEAT).named("x"))]
)
def test_weights_that_cancel_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match="cancel"):
        make()


def test_a_weight_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="leave it out"):
        0 * ONE
    with pytest.raises(ValueError, match="leave it out"):
        REPEAT * 0.0


@pytest.mark.parametrize("other", ["2", None, True, [1]])
def test_rules_combine_with_numbers_and_rules_only(other: object) -> None:
    with pytest.raises(TypeError, match="a number or another rule"):
        ONE * other


def test_the_order_of_operations_is_visible_in_number_and_sentence() -> None:
    first, second = Correct().clip(0, 1) * 2, (Correct() * 2).clip(0, 1)
    assert first.score(batch(RIGHT)).tolist() == [2]
    assert second.score(batch(RIGHT)).tolist() == [1]
    assert first.describe().endswith("clipped to lie between 0 and 1, then multiplied by 2.")
    assert second.describe().startswith("Correctness: +4 if")
    assert (Steps() + 1).ranked() != Steps().ranked() + 1
