"""Facts in chains: what is asked, what may be taught, and what a search finds."""

from __future__ import annotations

from itertools import islice, pairwise

import pytest

from merf.core.problem import Problem
from merf.core.response import Response
from merf.tasks.environment import LookUps, is_played
from merf.tasks.two_hop import OF_PEOPLE, Fact, TwoHop, TwoHopSearch, make_universe, question

BOAT = Fact("the red boat", "owner", "Dorel")
MOTHER = Fact("Dorel", "mother", "Tufin")
HOME = Fact("Dorel", "town", "Oldport")
PROBLEM = Problem(question((BOAT, MOTHER)), answer=("Tufin",))
TASK = TwoHop()


def test_questions_and_facts_in_words() -> None:
    assert question((BOAT,)) == "Who is the owner of the red boat?"
    assert question((BOAT, MOTHER)) == "Who is the mother of the owner of the red boat?"
    assert question((BOAT, HOME)) == "What is the home town of the owner of the red boat?"
    assert MOTHER.sentence() == "The mother of Dorel is Tufin."


@pytest.mark.parametrize("answer", ["Tufin", " tufin.", "TUFIN"])
def test_right_answers_are_right(answer: str) -> None:
    assert TASK.verify(PROBLEM, answer).correct is True


@pytest.mark.parametrize("answer", ["Dorel", "", "Tufin or Dorel", "Dorel Tufin", "the mother", "Tufi", "everybody"])
def test_wrong_and_hostile_answers_are_not(answer: str) -> None:
    assert TASK.verify(PROBLEM, answer).correct is False


def test_the_answer_is_where_the_facts_lead() -> None:
    for problem in islice(TASK.problems("test"), 60):
        facts = problem.meta["facts"]
        assert len(facts) == problem.meta["difficulty"]
        for fact, following in pairwise(facts):
            assert fact.value == following.subject
        assert problem.answer == (facts[-1].value,)
        assert all(fact == TASK.world.facts[fact.subject, fact.relation] for fact in facts)
        assert facts[0].subject in problem.prompt


def test_a_fixed_share_of_facts_stands_in_no_document() -> None:
    """Of 350 facts a share of 0.2 is untaught, up to 0.09: further off than that happens once in 30,000 universes."""
    world = make_universe(0, 60, 0.2)
    documents = world.documents()
    assert abs(1 - len(documents) / len(world.facts) - 0.2) < 0.09
    untaught = [fact for fact in world.facts.values() if not world.taught(fact)]
    assert not {fact.sentence() for fact in untaught} & set(documents)
    assert len(documents) + len(untaught) == len(world.facts) == len(world.sentences())
    # The same facts in every process and run, and more of them at a larger share.
    assert [f for f in make_universe(0, 60, 0.5).facts.values() if make_universe(0, 60, 0.5).taught(f)] == [
        f for f in world.facts.values() if world.taught(f) and make_universe(0, 60, 0.5).taught(f)
    ]
    assert not make_universe(0, 60, 1.0).documents()
    assert len(make_universe(0, 60, 0.0).documents()) == len(world.facts)


@pytest.mark.parametrize("ask", ["taught", "untaught"])
def test_questions_can_be_limited_to_what_was_taught_or_was_not(ask: str) -> None:
    for problem in islice(TwoHop(ask=ask).problems(), 40):
        assert problem.meta["taught"] is (ask == "taught")
        stated = set(TASK.world.documents())
        assert all(fact.sentence() in stated for fact in problem.meta["facts"]) is (ask == "taught")


def test_nobody_is_anything_to_himself_and_everybody_has_everything() -> None:
    for fact in make_universe(3, 40, 0.1).facts.values():
        assert fact.subject != fact.value
        if fact.relation != "town":
            assert all((fact.value, relation) in make_universe(3, 40, 0.1).facts for relation in OF_PEOPLE)


def test_a_search_finds_the_untaught_too() -> None:
    task = TwoHopSearch(ask="untaught")
    assert is_played(task)
    assert not is_played(TASK)
    for problem in islice(task.problems("test"), 20):
        found = task.reset(problem)
        for fact in problem.meta["facts"]:
            assert fact.sentence() in found.step(fact.phrase).text
    assert task.layout.most == 3


def test_a_response_that_searches_its_own_memory_is_read_in_the_layout_of_look_ups() -> None:
    task = TwoHop(layout=LookUps())
    text = (
        "<think>Whose is it?</think><search>the owner of the red boat</search>"
        "<information>The owner of the red boat is Dorel.</information>"
        "<think>And the mother?</think><search>the mother of Dorel</search>"
        "<information>The mother of Dorel is Tufin.</information><think>So.</think><answer>Tufin</answer>"
    )
    assert Response(PROBLEM, text, layout=task.layout, verify=task.verify).verdict.correct is True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hops": (1, 3)}, "between 1 and 2"),
        ({"people": 5}, "10 to 200"),
        ({"untaught": 1.5}, "share from 0 to 1"),
        ({"ask": "all"}, "any, taught, untaught"),
    ],
)
def test_dials_out_of_bounds_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TwoHop(**options)


def test_asking_for_untaught_facts_where_there_are_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="no questions"):
        next(TwoHop(untaught=0.0, ask="untaught").problems())
