"""Knights & Knaves puzzles and their verifier."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merf.tasks.knights_knaves import NAMES, KnightsKnaves, answer_text, in_words, solutions, true_under

TASK = KnightsKnaves(people=(2, 8))
PROBLEMS = list(islice(TASK.problems("test"), 28))


def test_every_puzzle_has_exactly_the_solution_it_claims():
    for problem in PROBLEMS:
        names = problem.meta["names"]
        found = solutions(problem.meta["statements"])
        assert found == [tuple(problem.answer[name] for name in names)]


def test_the_verifier_agrees_with_reasoning_gyms_own_solver():
    from reasoning_gym.logic.knights_knaves import KnightsKnavesDataset

    for problem in PROBLEMS:
        assert KnightsKnavesDataset.find_solution(problem.meta["statements"]) == solutions(problem.meta["statements"])


def test_sizes_come_in_equal_shares_and_everybody_speaks_once():
    sizes = [problem.meta["difficulty"] for problem in PROBLEMS]
    assert sorted(sizes) == sorted(list(range(2, 9)) * 4)
    for problem in PROBLEMS:
        assert len(problem.meta["statements"]) == problem.meta["difficulty"]
        for name in problem.meta["names"]:
            assert name in problem.prompt


def test_problems_are_the_same_every_time_and_splits_and_seeds_differ():
    def first(split, seed):
        return [p.prompt for p in islice(TASK.problems(split, seed), 50)]

    assert first("train", 0) == first("train", 0)
    assert not set(first("train", 0)) & set(first("test", 0))
    assert not set(first("train", 0)) & set(first("train", 1))


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (("telling-truth", 0), "Ann is a knight"),
        (("lying", 1), "Bob is a knave"),
        (("not", ("lying", 1)), "Bob is not a knave"),
        (("and", ("lying", 0), ("telling-truth", 1)), "Ann is a knave and Bob is a knight"),
        (("->", ("lying", 0), ("not", ("lying", 1))), "if Ann is a knave then Bob is not a knave"),
        (("<=>", ("lying", 0), ("lying", 1)), "Ann is a knave if and only if Bob is a knave"),
        (("not", ("or", ("lying", 0), ("lying", 1))), "it is not the case that (Ann is a knave or Bob is a knave)"),
    ],
)
def test_statements_in_english(statement, words):
    assert in_words(statement, NAMES) == words


@pytest.mark.parametrize(
    ("statement", "true_for"),
    [
        (("->", ("telling-truth", 0), ("lying", 1)), {(True, False), (False, True), (False, False)}),
        (("<=>", ("telling-truth", 0), ("lying", 1)), {(True, False), (False, True)}),
        (("not", ("and", ("telling-truth", 0), ("telling-truth", 1))), {(True, False), (False, True), (False, False)}),
    ],
)
def test_truth_tables(statement, true_for):
    everything = [(a, b) for a in (True, False) for b in (True, False)]
    assert {roles for roles in everything if true_under(statement, roles)} == true_for


def verdict(answer: str, roles=(True, False, True)):
    names = ["Ann", "Bob", "Cid"]
    problem = PROBLEMS[1]
    problem = type(problem)(problem.prompt, dict(zip(names, roles, strict=True)), "knights-knaves")
    return TASK.verify(problem, answer)


@pytest.mark.parametrize(
    "answer",
    [
        "Ann is a knight, Bob is a knave, Cid is a knight.",
        "Cid is a knight. Ann is a knight. Bob is a knave",
        "(1) Ann is a KNIGHT\n(2) Bob is a knave\n(3) Cid is a knight",
    ],
)
def test_right_answers_in_any_order_and_case(answer):
    assert verdict(answer).correct is True


@pytest.mark.parametrize(
    "answer",
    ["Ann is a knave, Bob is a knave, Cid is a knight.", "Ann is a knave, Bob is a knight, Cid is a knave."],
)
def test_wrong_answers_are_readable(answer):
    found = verdict(answer)
    assert (found.correct, found.readable) == (False, True)
    assert 0 <= found.score < 1


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Ann is a knight, Bob is a knave.",
        "Ann is a knight, Bob is a knave, Cid is a knight or a knave.",
        "Ann is a knight, Bob is a knave, Cid is a knight. Ann is a knave.",
        "knight knave knight",
        "Ann is a knight, Ann is a knave, Cid is a knight.",
        "Annie is a knight, Bob is a knave, Cid is a knight",
        "Everybody is a knight",
        "Ann is a knight and Bob is a knight and Cid is a knave and "
        "Ann is a knight and Bob is a knave and Cid is a knight",
    ],
)
def test_hedges_and_gaps_are_unreadable(answer):
    found = verdict(answer)
    assert (found.correct, found.readable) == (False, False)


@settings(max_examples=300)
@given(st.text())
def test_the_verifier_returns_a_verdict_for_any_text(answer):
    assert verdict(answer).correct is False


def test_answers_render_and_read_back():
    for problem in PROBLEMS:
        assert TASK.verify(problem, answer_text(list(problem.answer), list(problem.answer.values()))).correct


@pytest.mark.parametrize("people", [(1, 3), (3, 2), (3, 9)])
def test_impossible_sizes_are_refused(people):
    with pytest.raises(ValueError, match="2 to 8 people"):
        KnightsKnaves(people=people)


def test_too_few_names_are_refused():
    with pytest.raises(ValueError, match="8 people need as many names, 3 were given"):
        KnightsKnaves(people=(2, 8), names=NAMES[:3])
