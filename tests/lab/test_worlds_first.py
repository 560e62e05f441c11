"""Arithmetic, Countdown and string functions: what their traces say is true, step by step."""

from __future__ import annotations

import re
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merf.core.problem import Problem
from merf.core.steps import step_spans
from merf.lab.worlds import get
from merf.lab.worlds.arithmetic import Column, columns, total
from merf.lab.worlds.countdown import Part, joined, moves, reached
from merf.lab.worlds.countdown_steps import CountdownSteps
from merf.tasks.arithmetic import evaluate
from merf.tasks.string_functions import FUNCTIONS


def attempts(name, style, level=None, n=40):
    world = get(name)
    for number in range(n):
        problem = world.problem(level or world.levels[number % len(world.levels)], 11, number)
        yield problem, world.writer(problem, Random(number)).write(style)


@pytest.mark.parametrize(
    ("a", "b", "sign", "said"),
    [
        (7, 8, "+", ["7 + 8 + 0 = 15, write 5, carry 1."]),
        (
            345,
            278,
            "-",
            [
                "5 - 8 - 0 = -3, write 7, borrow 1.",
                "4 - 7 - 1 = -4, write 6, borrow 1.",
                "3 - 2 - 1 = 0, write 0, borrow 0.",
            ],
        ),
        (99, 1, "+", ["9 + 1 + 0 = 10, write 0, carry 1.", "9 + 0 + 1 = 10, write 0, carry 1."]),
    ],
)
def test_columns_by_hand(a, b, sign, said):
    done = list(columns(a, b, sign))
    assert list(map(str, done)) == said
    assert total(done) == (a + b if sign == "+" else a - b)


def test_columns_give_the_sum_of_any_two_numbers():
    rng = Random(0)
    for _ in range(500):
        a, b = (rng.randrange(10 ** rng.randint(1, 12)) for _ in range(2))
        assert total(list(columns(a, b, "+"))) == a + b
        assert total(list(columns(max(a, b), min(a, b), "-"))) == abs(a - b)
        assert all(isinstance(column, Column) and column.right for column in columns(a, b, "+"))


def test_a_checked_result_is_checked_truly():
    for _, attempt in attempts("arithmetic", "checked"):
        (left, sign, right, result) = re.search(r"Check: (\d+) ([+-]) (\d+) = (\d+), yes", attempt.thinking).groups()
        assert int(result) == (int(left) + int(right) if sign == "+" else int(left) - int(right))


def test_the_checker_finds_the_step_that_slipped_and_what_follows_from_it_is_right():
    checker = get("arithmetic").checker
    for problem, attempt in attempts("arithmetic", "flawed", level=4):
        checked = checker.check(problem, attempt.thinking)
        assert sum(step.right is False for step in checked.steps) == 1
        assert not checked.valid
    for text in ("", "carry", "1 + 1 + 0 = 2, write 2, carry 0. " * 9, "From the left: 4.", "\x00" * 50):
        assert not checker.check(problem, text).valid


def test_the_string_checker_wants_every_function_in_order():
    world = get("functions")
    problem = world.problem(3, 0, 0)
    whole = world.checker.reference(problem)
    assert world.checker.check(problem, whole).valid
    steps = whole.split(". ")
    assert not world.checker.check(problem, ". ".join(steps[1:])).valid
    assert not world.checker.check(problem, ". ".join([steps[0], steps[0], *steps[1:]])).valid
    for text in ("", "First zzz of a is b.", "First dax of z z is z.", "So a."):
        assert not world.checker.check(problem, text).valid


@pytest.mark.parametrize("style", ["careful", "verbose", "checked"])
def test_every_line_of_a_search_is_true_and_it_ends_at_the_first_way(style):
    for problem, attempt in attempts("countdown", style):
        target = problem.answer["target"]
        assert attempt.thinking.count("yes") == (2 if style == "checked" else 1)
        for a, sign, b, result in re.findall(r"(\d+) ([-+*]) (\d+) = (\d+)", attempt.thinking):
            assert evaluate(f"{a} {sign} {b}")[0] == int(result)
        for listed, results, found in re.findall(r"(\d+ \d+): ([\d, ]+), (yes|no)\.", attempt.thinking):
            a, b = sorted(map(int, listed.split()), reverse=True)
            stated = [int(value) for value in results.split(", ")]
            assert stated == [a + b, a - b, a * b][: len(stated)]
            assert (target in stated) == (found == "yes")


def test_the_direct_way_has_no_detours():
    for problem, attempt in attempts("countdown", "direct"):
        assert attempt.thinking.count("=") == problem.meta["difficulty"] - 1


def test_a_lucky_search_states_something_false():
    for problem, attempt in attempts("countdown", "lucky"):
        target, false = problem.answer["target"], 0
        for listed, results in re.findall(r"(\d+ \d+): ([\d, ]+), (?:yes|no)\.", attempt.thinking):
            a, b = sorted(map(int, listed.split()), reverse=True)
            stated = [int(value) for value in results.split(", ")]
            false += stated != [a + b, a - b, a * b][: len(stated)]
        assert false == 1
        assert evaluate(attempt.answer)[0] == target


SEARCHED = Problem("", {"numbers": [4, 3, 5], "target": 17})
GIVEN, FOUND = "Numbers 4 3 5, target 17.", "4 * 3 = 12 leaves 12 5: 17, yes. So 4 * 3 + 5."


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (f"{GIVEN} {FOUND}", True),
        (f"{GIVEN} 4 + 3 = 7 leaves 7 5: 12, 2, 35, no. {FOUND}", True),
        (f"{GIVEN} Start with 4 * 3 = 12, leaves 12 5. 12 5: 17, yes. So 5 + 4*3.", True),
        ("Hm. 4 * 3 = 12. 12 + 5 = 17. So (4 * 3) + 5. Check: 4 * 3 = 12, 12 + 5 = 17, yes.", True),
        ("So 4 * 3 + 5.", False),  # how it was found is missing
        ("4 * 3 = 12. 12 + 5 = 17.", False),  # the expression is
        (f"Numbers 4 5 3, target 17. {FOUND}", False),
        (f"Numbers 4 3 5, target 18. {FOUND}", False),
        (f"4 + 3 = 8 leaves 8 5: 13, 3, 40, no. {FOUND}", False),
        (f"4 + 3 = 7 leaves 7 4: 11, 3, 28, no. {FOUND}", False),
        (f"4 + 3 = 7 leaves 7 5: 12, 2, no. {FOUND}", False),
        (f"4 + 3 = 7 leaves 7 5: 12, 2, 35, yes. {FOUND}", False),
        ("4 * 3 = 12 leaves 12 5: 17, 7, 60, no. 4 * 3 = 12. 12 + 5 = 17. So 4 * 3 + 5.", False),
        (f"4 + 4 = 8 leaves 8 5: 13, 3, 40, no. {FOUND}", False),
        (f"Start with 4 + 3 = 7, leaves 7 3 5. {FOUND}", False),
        ("4 * 3 = 12. 12 + 5 = 17. So 4 * 3 + 5 + 5.", False),
        ("4 * 3 = 12. 12 + 5 = 17. So 4 * 5 - 3.", True),
        (f"{FOUND} Check: 4 * 3 = 12, 12 + 5 = 18, yes.", False),
        (f"{FOUND} Check: 4 * 3 = 12, yes.", False),
        (f"{FOUND} Check: yes, yes.", False),
    ],
)
def test_searches_judged_by_hand(text, valid):
    assert CountdownSteps().check(SEARCHED, text).valid is valid


@given(
    st.lists(st.sampled_from([GIVEN, FOUND, "Start with ", " leaves ", "4 * 3 = 12", ": ", ", yes.", "9" * 5000, "٣"]))
)
def test_any_search_can_be_checked(pieces):
    text = "".join(pieces)
    assert CountdownSteps().check(SEARCHED, text).spans == step_spans(text)


def test_every_style_of_searching_is_followed():
    for style in ("careful", "direct", "verbose", "checked"):
        for problem, attempt in attempts("countdown", style):
            assert CountdownSteps().check(problem, attempt.thinking).valid, (style, attempt)


def test_expressions_have_the_brackets_they_need():
    rng = Random(1)
    for _ in range(300):
        parts = tuple(Part(n, str(n)) for n in rng.choices(range(1, 10), k=4))
        numbers = sorted(part.value for part in parts)
        while len(parts) > 1:
            parts = rng.choice(list(moves(parts))).left
        value, used = evaluate(parts[0].text)
        assert value == parts[0].value
        assert sorted(used) == numbers
    assert joined(joined(Part(2, "2"), Part(3, "3"), "+"), Part(4, "4"), "*").text == "(3 + 2) * 4"


def test_a_way_is_found_where_there_is_one_and_none_where_there_is_none():
    parts = tuple(Part(n, str(n)) for n in (1, 1, 1))
    assert reached(parts, 100) is None
    assert [str(move) for move in reached(parts, 3)] == ["1 + 1 = 2", "2 + 1 = 3"]


def test_flawed_applications_go_on_from_their_slip():
    for problem, attempt in attempts("functions", "flawed", level=3):
        applied = re.findall(r"(?:First|Then) (\w+) of ([a-h ]+) is ([a-h ]+)\.", attempt.thinking)
        wrong = [
            gives
            for name, taken, gives in applied
            if FUNCTIONS[name].apply(taken.replace(" ", "")) != gives.replace(" ", "")
        ]
        assert len(wrong) == 1
        for (_, _, before), (_, taken, _) in pairwise(applied):
            assert taken == before
        assert len(applied) == len(problem.meta["functions"])


def test_a_world_of_unknown_functions_asks_for_one_that_nobody_knows():
    for problem, _ in attempts("functions", "careful", n=10):
        text = get("functions").writer(problem, Random(0)).unanswerable()
        (name,) = set(re.findall(r"([a-z]+)\(", text)) - set(FUNCTIONS)
        assert text != problem.prompt
        assert name
