"""Compositions of string functions with meaningless names."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merf.core.problem import Problem
from merf.tasks import get
from merf.tasks.string_functions import FUNCTIONS, HALVES, LETTERS, StringFunctions

TASK = StringFunctions()
PROBLEM = Problem("What is dax(a b c)?", "bc")


@pytest.mark.parametrize(
    ("name", "given", "gives"),
    [
        ("blick", "abca", "acba"),
        ("dax", "abc", "bc"),
        ("dax", "a", "a"),
        ("wug", "abc", "ab"),
        ("toma", "abc", "aabc"),
        ("fep", "abc", "abcc"),
        ("zib", "abc", "bca"),
        ("kiki", "abc", "cab"),
        ("lorp", "cabb", "abbc"),
        ("mip", "abh", "bca"),
        ("snoz", "abcde", "badce"),
        ("gorp", "abcd", "dbca"),
        ("gorp", "a", "a"),
        ("vint", "abc", "abca"),
    ],
)
def test_functions_by_hand(name, given, gives):
    assert FUNCTIONS[name].apply(given) == gives


def test_no_two_functions_do_the_same():
    given = ["abc", "hgfed", "cabb", "ba", "aabbc"]
    assert len({tuple(one.apply(text) for text in given) for one in FUNCTIONS.values()}) == len(FUNCTIONS)
    assert not set(HALVES["first"]) & set(HALVES["second"])
    assert {*HALVES["first"], *HALVES["second"]} == set(HALVES["all"]) == set(FUNCTIONS)


@pytest.mark.parametrize("answer", ["b c", "bc", " b  c\n"])
def test_right_answers_are_right(answer):
    assert TASK.verify(PROBLEM, answer).correct is True


@pytest.mark.parametrize("answer", ["c b", "b", "B C", "b c b c", "dax"])
def test_wrong_answers_are_wrong_and_readable(answer):
    verdict = TASK.verify(PROBLEM, answer)
    assert (verdict.correct, verdict.readable) == (False, True)


@pytest.mark.parametrize("answer", ["", "b, c", "bc.", "dax(a b c)", "b c or c b?", "б c", "b" * 5000, "\x00" * 99])
def test_what_is_no_row_of_letters_is_unreadable(answer):
    verdict = TASK.verify(PROBLEM, answer)
    assert (verdict.correct, verdict.readable) == (False, False)


@settings(max_examples=200)
@given(st.text())
def test_the_verifier_returns_a_verdict_for_any_text(answer):
    TASK.verify(PROBLEM, answer)


@pytest.mark.parametrize("half", HALVES)
def test_compositions_are_of_the_chosen_functions_and_solved_from_the_inside(half):
    task = StringFunctions(depth=(1, 5), functions=half)
    for problem in islice(task.problems("test"), 40):
        chosen, value = problem.meta["functions"], problem.meta["values"][0].replace(" ", "")
        assert set(chosen) <= set(HALVES[half])
        assert len(chosen) == problem.meta["difficulty"]
        for name in chosen:
            value = FUNCTIONS[name].apply(value)
            assert f"{name} {FUNCTIONS[name].does}." in problem.prompt
        assert value == problem.answer
        assert set(value) <= set(LETTERS)
        # The function applied last stands first in the call.
        call = problem.prompt.rpartition("What is ")[2]
        assert call.split("(")[:-1] == chosen[::-1]
        assert task.verify(problem, problem.meta["solution"]).correct is True


def test_a_call_is_held_out_whether_or_not_its_functions_are_defined():
    def calls(split, definitions):
        task = StringFunctions(depth=(1, 1), length=(2, 2), definitions=definitions)
        return {str(p.prompt).rpartition("What is ")[2] for p in islice(task.problems(split), 200)}

    assert not calls("train", True) & calls("test", False)
    assert not calls("train", False) & calls("test", True)


def test_undefined_functions_are_not_explained():
    problem = next(StringFunctions(definitions=False).problems())
    assert not any(one.does in problem.prompt for one in FUNCTIONS.values())


def test_dials_outside_their_range_are_refused():
    for wrong in ({"depth": (0, 2)}, {"length": (1, 4)}, {"functions": "third"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            get("string-functions", **wrong)
