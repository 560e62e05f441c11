"""Questions with a known chance of being right."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from random import Random

import numpy as np
import pytest

from merf.core.problem import Problem
from merf.core.response import Response
from merf.rules.calibration import Calibrated
from merf.tasks.graded import BALLS, COLOURS, SPLITS, Graded, contents

TASK = Graded()
PROBLEM = Problem("", answer=("red",))


@pytest.mark.parametrize("answer", ["red", " Red.", "RED"])
def test_right_answers_are_right(answer: str) -> None:
    assert TASK.verify(PROBLEM, answer).correct is True


@pytest.mark.parametrize(
    ("answer", "readable"),
    [
        ("blue", True),
        ("", False),
        ("red or blue", False),
        ("red blue", False),
        ("reddish", False),
        ("any colour", False),
    ],
)
def test_wrong_and_hostile_answers_are_not(answer: str, readable: bool) -> None:
    verdict = TASK.verify(PROBLEM, answer)
    assert (verdict.correct, verdict.readable) == (False, readable)


def test_grades_are_the_chances_of_the_best_answer() -> None:
    for grade, splits in SPLITS.items():
        for split in splits:
            assert sum(split) == BALLS
            assert split[0] == 11 - grade
            assert all(other < split[0] for other in split[1:])
            assert len(split) <= len(COLOURS)


def test_the_best_answer_is_right_as_often_as_the_confidence_says() -> None:
    """700 problems of each grade; at 0.5 a share 0.08 off has a chance under 3e-5."""
    right = Counter()
    problems = list(islice(TASK.problems("test"), 7 * 700))
    for problem in problems:
        right[problem.meta["confidence"]] += problem.meta["best"] == problem.meta["solution"]
        assert problem.meta["confidence"] == (11 - problem.meta["difficulty"]) / 10
        assert sum(problem.meta["chance"].values()) == pytest.approx(1)
    for confidence, hits in right.items():
        assert abs(hits / 700 - confidence) < 0.08
    assert right[1.0] == 700


def test_the_honest_confidence_earns_most_under_rlcrs_rule() -> None:
    """The mean of 300 draws for a question at 0.7: being honest beats being sure by (1 − 0.7)², 0.09, with a standard
    error of 0.015 at most; and the rule reads the layout's block."""
    task, rule = Graded(grades=(4, 4)), Calibrated()
    problems = list(islice(task.problems(), 1000))

    def paid(confidence: str) -> float:
        scores = []
        for problem in problems:
            text = f"<think>x</think><answer>{problem.meta['best']}</answer><confidence>{confidence}</confidence>"
            scores.append(rule.pay(Response(problem, text, layout=task.layout, verify=task.verify)))
        return float(np.mean(scores))

    assert paid("0.7") > paid("1") + 0.04
    assert paid("0.7") > paid("0.4") + 0.04


def test_the_words_say_what_is_in_the_bag() -> None:
    said = {contents({"red": 3, "blue": 6, "pink": 1}, Random(seed)) for seed in range(20)}
    assert said == {
        "3 red balls, 6 blue ones and 1 pink one",
        "3 red balls, 3 more blue ones than red and 1 pink one",
    }
    assert contents({"red": 10}, Random(0)) == "10 red balls"


def test_grades_out_of_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="between 1 and 7"):
        Graded(grades=(0, 3))
