"""Sums and differences of numbers with a given number of digits."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merf.core.problem import Problem
from merf.tasks import get
from merf.tasks.digits import DigitArithmetic

TASK = DigitArithmetic()
PROBLEM = Problem("What is 347 + 586?", 933)


@pytest.mark.parametrize("answer", ["933", " 933 ", "0933", "933\n"])
def test_right_answers_are_right(answer):
    assert TASK.verify(PROBLEM, answer).correct is True


@pytest.mark.parametrize("answer", ["932", "-933", "9330", "339", "0"])
def test_wrong_answers_are_wrong_and_readable(answer):
    verdict = TASK.verify(PROBLEM, answer)
    assert (verdict.correct, verdict.readable) == (False, True)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "9 33",
        "933.",
        "933.0",
        "+933",
        "347 + 586",
        "it is 933",
        "933 or 934",
        "٩٣٣",
        "9" * 5000,
        "\x00" * 99,
    ],
)
def test_what_is_no_whole_number_is_unreadable(answer):
    verdict = TASK.verify(PROBLEM, answer)
    assert (verdict.correct, verdict.readable) == (False, False)


@settings(max_examples=200)
@given(st.text())
def test_the_verifier_returns_a_verdict_for_any_text(answer):
    TASK.verify(PROBLEM, answer)


def test_both_numbers_have_the_digits_asked_for_and_the_solution_is_right():
    task = DigitArithmetic(digits=(2, 5))
    for problem in islice(task.problems("test"), 40):
        a, b = problem.meta["numbers"]
        assert len(str(a)) == len(str(b)) == problem.meta["difficulty"]
        assert problem.answer == (a + b if problem.meta["operation"] == "+" else a - b) >= 0
        assert task.verify(problem, problem.meta["solution"]).correct is True
        assert str(problem.prompt) == f"What is {a} {problem.meta['operation']} {b}?"


def test_problems_are_the_same_every_time_and_train_and_test_share_none():
    def prompts(split):
        return [problem.prompt for problem in islice(TASK.problems(split, 0), 200)]

    assert prompts("train") == prompts("train")
    assert not set(prompts("train")) & set(prompts("test"))


def test_dials_outside_their_range_are_refused():
    with pytest.raises(ValueError, match="digits"):
        get("digit-arithmetic", digits=(0, 3))
    with pytest.raises(ValueError, match="operations"):
        get("digit-arithmetic", operations="+*")
