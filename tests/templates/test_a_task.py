"""Copy this file for a task of your own: what every task has to keep. Here for Knights & Knaves."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merf.tasks.knights_knaves import KnightsKnaves

TASK = KnightsKnaves(people=(2, 3))
PROBLEM = next(TASK.problems("test"))

# Answers you judged by hand: right, wrong, and hostile ones.
RIGHT = [PROBLEM.meta["solution"], PROBLEM.meta["solution"].upper()]
WRONG = [PROBLEM.meta["solution"].replace("knight", "?").replace("knave", "knight").replace("?", "knave")]
HOSTILE = ["", "correct", "the answer is right", PROBLEM.meta["solution"] * 2, "a knight or a knave", "\x00" * 1000]


@pytest.mark.parametrize("answer", RIGHT)
def test_right_answers_are_right(answer):
    assert TASK.verify(PROBLEM, answer).correct is True


@pytest.mark.parametrize("answer", WRONG + HOSTILE)
def test_wrong_and_hostile_answers_are_not(answer):
    assert TASK.verify(PROBLEM, answer).correct is False


@settings(max_examples=200)
@given(st.text())
def test_the_verifier_returns_a_verdict_for_any_text(answer):
    TASK.verify(PROBLEM, answer)


def test_problems_are_the_same_every_time_and_train_and_test_share_none():
    def prompts(split: str) -> list:
        return [problem.prompt for problem in islice(TASK.problems(split, 0), 30)]

    assert prompts("train") == prompts("train")
    assert not set(prompts("train")) & set(prompts("test"))


def test_every_problem_knows_its_task_its_number_and_its_difficulty():
    for problem in islice(TASK.problems(), 5):
        assert problem.task == TASK.name
        assert problem.id
        assert problem.meta["difficulty"]


def test_an_ideal_response_in_the_tasks_own_layout_gets_full_marks():
    """The instruction, the layout's parser and the verifier agree with one another."""
    from merf import Correct, Format, Response, Responses, Rulebook

    text = TASK.layout.render("Because.", PROBLEM.meta["solution"])
    response = Response(PROBLEM, text, layout=TASK.layout, verify=TASK.verify)
    book = Rulebook(Correct(), Format(layout=TASK.layout))
    assert book.score(Responses.of([response])).total[0] == book.range[1]
    assert TASK.layout.instruction() in TASK.instruction
