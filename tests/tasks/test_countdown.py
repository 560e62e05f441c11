"""Countdown, and arithmetic from untrusted text."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merf.core.problem import Problem
from merf.tasks.arithmetic import evaluate
from merf.tasks.countdown import Countdown

TASK = Countdown()
PROBLEM = Problem("", {"numbers": [3, 7, 25, 50], "target": 82})


@pytest.mark.parametrize(
    "answer", ["3 * 25 + 7", "3*25+7=82", " ((3) × 25) + 7 ", "7 + 25*3 = 82", "-(7 - 3*25) + 7*0 + 14"]
)
def test_right_and_wrong_expressions(answer: str) -> None:
    right = "14" not in answer
    assert TASK.verify(PROBLEM, answer).correct is right


@pytest.mark.parametrize(
    ("answer", "readable", "note"),
    [
        ("3 * 25", True, "another value"),
        ("82", True, "isn't there"),
        ("25 + 25 + 25 + 7", True, "too often"),
        ("3 / (7 - 7)", True, "divides by zero"),
        ("", False, "allowed"),
        ("the answer is 3*25+7", False, "allowed"),
        ("3 * 25 + 7 = 83", False, "alone"),
        ("3 * 25 + 7 = 82 = 82", False, "alone"),
        ("9**9**9**9", False, "only + - * /"),
        ("50 // 7", False, "only + - * /"),
        ("3 7", False, "not an arithmetic"),
        ("3(25)+7", False, "only + - * /"),
        ("(3*25+7", False, "not an arithmetic"),
        ("(" * 90 + "3" + ")" * 90, True, "another value"),
        ("(" * 150 + "3" + ")" * 150, False, "longer"),
        ("-" * 199 + "3", True, "another value"),
        ("3" * 150, True, "isn't there"),
        ("3_7", False, "allowed"),
        ("3.0*25+7", False, "allowed"),
        ("__import__('os').system('true')", False, "allowed"),
        ("3*25+7\n", True, ""),
        ("٣*25+7", False, "allowed"),
    ],
)
def test_hand_checked_answers(answer: str, readable: bool, note: str) -> None:
    verdict = TASK.verify(PROBLEM, answer)
    assert verdict.readable is readable
    assert note in verdict.note
    assert verdict.correct is (note == "")


def test_solutions_use_every_number_and_stay_whole_and_positive() -> None:
    task = Countdown(numbers=(2, 6), target=(1, 1000))
    for problem in islice(task.problems("test"), 100):
        value, used = evaluate(problem.meta["solution"])
        assert value == problem.answer["target"]
        assert sorted(used) == sorted(problem.answer["numbers"])
        assert len(used) == problem.meta["difficulty"]
        assert task.verify(problem, problem.meta["solution"]).correct is True
        for number in used:
            assert str(number) in str(problem.prompt)


@given(
    st.recursive(
        st.integers(0, 99).map(str),
        lambda e: st.tuples(e, st.sampled_from("+-*/"), e).map(lambda t: f"({''.join(t)})"),
        max_leaves=12,
    )
)
def test_values_are_pythons_own_in_exact_arithmetic(text: str) -> None:
    import re

    exact = re.sub(r"\d+", lambda digits: f"Fraction({digits[0]})", text)
    try:
        expected = eval(exact, {"Fraction": Fraction})
    except ZeroDivisionError:
        with pytest.raises(ZeroDivisionError):
            evaluate(text)
        return
    assert evaluate(text)[0] == expected
