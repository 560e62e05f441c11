from __future__ import annotations

import numpy as np
import pytest
from rule_samples import RIGHT, UNKNOWN, UNREADABLE, WRONG, batch, respond, thought

from merf import Constant, Correct, Cosine, Exponential, Linear, NoRepetition, Overlap, Progress, Sigmoid, Switch

ALL = batch(RIGHT, WRONG, UNREADABLE, UNKNOWN)
NAN = float("nan")


def sigma(x: float) -> float:
    return 1 / (1 + float(np.exp(-x)))


@pytest.mark.parametrize(
    ("rule", "scores", "said"),
    [
        (Correct().clip(-1, 1), [1, -1, -1], "clipped to lie between -1 and 1"),
        (Correct().capped(0.5), [0.5, -1.5, -2], "capped at 0.5"),
        (Correct().clip(low=-1.75), [2, -1.5, -1.75], "raised to -1.75 where lower"),
        (Correct().squash(0.5, 2), [sigma(3), sigma(-4), sigma(-5)], "1 / (1 + exp(-2 * (score - 0.5)))"),
        (Correct().squash(-1), [sigma(3), sigma(-0.5), sigma(-1)], "1 / (1 + exp(-1 * (score + 1)))"),
        (Correct().squash(), [sigma(2), sigma(-1.5), sigma(-2)], "1 / (1 + exp(-1 * (score)))"),
        # (-1.5 + 2) / 4 = 1/8 of the way up: half of the first of four steps.
        (Correct().tiers(4), [2, -2, -2], "rounded down to one of 4 equal steps between -2 and 2"),
        (Correct().tiers(8), [2, -1.5, -2], "8 equal steps"),
    ],
)
def test_shapings_change_number_sentence_and_range(rule: Correct, scores: list[float], said: str) -> None:
    assert np.allclose(rule.score(ALL), [*scores, NAN], equal_nan=True)
    assert said in rule.describe()
    assert rule.range == (pytest.approx(min(scores)), pytest.approx(max(scores)))


def test_a_score_exactly_on_a_step_is_not_rounded_below_it() -> None:
    rule = Overlap(measure="recall").tiers(10)
    reference = " ".join("abcdefghij")
    for n in range(11):
        found = " ".join("abcdefghij"[:n])
        assert rule.score(batch(thought("", found or "z", truth=reference)))[0] == pytest.approx(n / 10)


def stored(references: object) -> object:
    return thought("two and two", meta={"reference_scores": references})


@pytest.mark.parametrize(
    ("references", "beaten", "centred"),
    [
        (2.0, 0.5, 0.0),
        ([2.0, -2.0], (0.5 + sigma(4)) / 2, 2.0),
        ({"correctness": [-1.5]}, sigma(3.5), 3.5),
        ({"other": [1.0]}, NAN, NAN),
        ([100.0], NAN, NAN),  # no score of this rule
        ([100.0, 2.0], 0.5, 0.0),
        ("2.0", NAN, NAN),
        (None, NAN, NAN),
        ([], NAN, NAN),
    ],
)
def test_reference_scores_come_from_the_problem_and_are_unknown_if_missing(
    references: object, beaten: float, centred: float
) -> None:
    responses = batch(stored(references))
    assert np.allclose(Correct().squash("reference").score(responses), [beaten], equal_nan=True)
    assert np.allclose(Correct().centred().score(responses), [centred], equal_nan=True)


def test_comparisons_with_references_declare_how_far_they_can_reach() -> None:
    low, high = Correct().squash("reference", 0.5).range
    assert (low, high) == (pytest.approx(sigma(-2)), pytest.approx(sigma(2)))
    assert Correct().centred().range == (-4, 4)


@pytest.mark.parametrize(
    ("schedule", "weights", "said"),
    [
        (Linear(1, 0), [1, 0.5, 0], "in a straight line from 1 at the start of training to 0 at its end"),
        (Linear(1, 0.2, over=0.5), [1, 0.2, 0.2], "to 0.2 after 50% of it, where it stays"),
        (Cosine(0, 2), [0, 1, 2], "along half a cosine from 0 at the start of training to 2 at its end"),
        (Sigmoid(10, 0.5), [sigma(5), 0.5, sigma(-5)], "1 / (1 + exp(10 * (t - 0.5)))"),
        (Exponential(0.5), [1, np.exp(-1), np.exp(-2)], "exp(-t / 0.5)"),
        (Switch(0.5, 0.8, 1), [0.8, 1, 1], "0.8 for the first 50% of training and by 1 after that"),
        (Constant(3), [3, 3, 3], "3 throughout training"),
    ],
)
def test_an_annealed_weight_follows_its_schedule_and_says_it(schedule: object, weights: list[float], said: str) -> None:
    rule = Correct().annealed(schedule)
    for step, weight in enumerate(weights):
        responses = batch(RIGHT, UNKNOWN, progress=Progress(step, 3))
        assert np.allclose(rule.score(responses), [2 * weight, NAN], equal_nan=True)
        assert rule.range[0] - 1e-9 <= 2 * weight <= rule.range[1] + 1e-9
    assert said in rule.describe()


def test_a_schedule_beyond_the_end_of_training_stays_in_range() -> None:
    rule = NoRepetition(1).annealed(Linear(0, 1))
    assert rule.score(batch(respond("so so"), progress=Progress(50, 11))).tolist() == [-0.5]


def test_a_schedule_that_cannot_be_said_is_refused() -> None:
    with pytest.raises(TypeError, match="Linear"):
        Correct().annealed(lambda fraction: fraction)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Correct().clip(),
        lambda: Correct().clip(1, 0),
        lambda: Correct().clip(3, 4),
        lambda: Correct().capped(-2),
        lambda: Correct().squash(steepness=0),
        lambda: Correct().squash("references"),
        lambda: Correct().tiers(0),
        lambda: Correct().annealed(Constant(0)),
        lambda: Correct().annealed(Linear(1, 0, over=0)),
        lambda: Correct().annealed(Exponential(0)),
        lambda: Correct().annealed(Cosine(float("nan"))),
        lambda: Correct().clip(0, float("inf")),
        lambda: Correct().squash(float("nan")),
    ],
)
def test_shapings_that_make_no_sense_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        make()
