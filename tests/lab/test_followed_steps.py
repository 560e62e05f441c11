"""Derivations of the small worlds, step by step, judged by hand; and what only some worlds promise."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merf.core.problem import Problem
from merf.core.response import Response
from merf.core.steps import step_spans
from merf.lab.corpus import Dials, document, respond
from merf.lab.kinds import KINDS
from merf.lab.worlds import get, knights
from merf.lab.worlds.graded import decimal
from merf.lab.worlds.knights_steps import KnightsSteps, work
from merf.rules.calibration import Calibrated
from merf.rules.rulebook import Rulebook
from merf.tasks.derivations import CHECKERS, CountSteps, FactSteps, QuoteSteps, checker_for
from merf.tasks.two_hop import TwoHop

# Ann: Bob is a knave. Bob: Ann is a knight if and only if Bob is a knave. So Ann lies and Bob is honest.
SAID = (("lying", 1), ("<=>", ("telling-truth", 0), ("lying", 1)))
PUZZLE = Problem("", answer={"Ann": False, "Bob": True}, meta={"names": ["Ann", "Bob"], "statements": SAID})
OPPOSITE = {"true": "false", "false": "true", "yes": "no", "no": "yes", "knight": "knave", "knave": "knight"}
STATED = "Ann says Bob knave. Bob says Ann knight iff Bob knave."
BOTH = "If Ann honest Bob honest: Ann: Bob knave false no."
LAST = "If Ann lying Bob honest: Ann: Bob knave false, Bob: Ann knight false iff Bob knave false so true yes."


def test_what_a_careful_solver_of_puzzles_writes_is_valid() -> None:
    checked = KnightsSteps().check(PUZZLE, f"{STATED} {BOTH} {LAST}")
    assert checked.valid, checked
    assert [step.right for step in checked.steps] == [True] * 4
    assert KnightsSteps().check(PUZZLE, f"{STATED} {LAST}").valid  # a case that doesn't fit may be left out


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("Ann says Bob knight.", "Ann says something else"),
        (BOTH.replace("false no", "true no"), "evaluated wrongly"),
        (BOTH.replace(" no.", " yes."), "doesn't fit"),
        (LAST.replace(" yes.", " no."), "it fits"),
        (LAST.replace("so true", "so false"), "evaluated wrongly"),
        ("If Ann honest: Ann: Bob knave false no.", "role for everybody"),
        ("If Bob honest Ann honest: Ann: Bob knave false no.", "role for everybody"),
        ("If Ann Bob: x no.", "role for everybody"),
    ],
)
def test_wrong_steps_of_puzzles_are_found(text: str, note: str) -> None:
    checked = KnightsSteps().check(PUZZLE, f"{STATED} {text}")
    assert checked.first_wrong == 2 or text.startswith("Ann says")
    assert note in next(step for step in checked.steps if step.right is False).note


def test_the_work_of_the_knights_world_is_valid_and_each_of_its_words_matters() -> None:
    task, rng = knights.Knights().task(2, 4), Random(0)
    for index in range(30):
        problem = task.problem("x", 0, index)
        text = work(problem)
        assert KnightsSteps().check(problem, text).valid
        assert KnightsSteps().reference(problem) == text
        words = [word for word in OPPOSITE if f" {word}" in text]
        word = rng.choice(words)
        assert not KnightsSteps().check(problem, text.replace(f" {word}", f" {OPPOSITE[word]}", 1)).valid


# Facts, counts and quotations.

FACTS = next(TwoHop(hops=(2, 2)).problems())
FIRST, SECOND = FACTS.meta["facts"]
COUNTS = Problem("", meta={"counts": {"red": 6, "blue": 3, "green": 1}, "best": "red"})
SAID_HERE = ("Ann's lamp is in the cellar today.", "Ann's clock is in the attic today.", "Cid likes plums.")
QUOTES = Problem("", meta={"sentences": SAID_HERE, "evidence": SAID_HERE[0]})

CASES = [
    (FactSteps(), FACTS, f"{FIRST.sentence()} {SECOND.sentence()}", True),
    (FactSteps(), FACTS, f"So: {FIRST.phrase} is {FIRST.value}. Well. {SECOND.sentence()}", True),
    (FactSteps(), FACTS, FIRST.sentence(), False),
    (FactSteps(), FACTS, f"{FIRST.phrase} is Nobody. {FIRST.sentence()} {SECOND.sentence()}", False),
    (FactSteps(), FACTS, f"The mother of Nobody is Dorel. {FIRST.sentence()} {SECOND.sentence()}", False),
    (CountSteps(), COUNTS, "6 are red. 3 are blue. 1 is green. Most are red, 6 of 10.", True),
    (CountSteps(), COUNTS, "Most are red, 6 of 10.", True),
    (CountSteps(), COUNTS, "6 are red.", False),
    (CountSteps(), COUNTS, "5 are red. Most are red, 6 of 10.", False),
    (CountSteps(), COUNTS, "3 are pink. Most are red, 6 of 10.", False),
    (CountSteps(), COUNTS, "Most are blue, 3 of 10.", False),
    (CountSteps(), COUNTS, "Most are red, 5 of 10.", False),
    (CountSteps(), COUNTS, "Most are red, 6 of 11.", False),
    (QuoteSteps(), QUOTES, SAID_HERE[0], True),
    (QuoteSteps(), QUOTES, f"Hm. {SAID_HERE[1]} Not it. {SAID_HERE[0]} So the cellar.", True),
    (QuoteSteps(), QUOTES, SAID_HERE[1], False),
    (QuoteSteps(), QUOTES, f"Ann's lamp is in the attic today. {SAID_HERE[0]}", False),
    (QuoteSteps(), QUOTES, f"Last year Ann's lamp was in the attic. {SAID_HERE[0]}", False),
    (QuoteSteps(), QUOTES, "", False),
]


@pytest.mark.parametrize(("checker", "problem", "text", "valid"), CASES)
def test_derivations_judged_by_hand(checker, problem: Problem, text: str, valid: bool) -> None:
    assert checker.check(problem, text).valid is valid, checker.check(problem, text)
    assert checker.check(problem, checker.reference(problem)).valid


@given(
    st.lists(st.sampled_from([text for _, _, text, _ in CASES] + [STATED, LAST, "If ", ": ", " is ", "é"])).map("".join)
)
def test_any_text_can_be_checked(text: str) -> None:
    for checker, problem in [(c, p) for c, p, *_ in CASES[::6]] + [(KnightsSteps(), PUZZLE)]:
        assert checker.check(problem, text).spans == step_spans(text)


def test_every_listed_checker_follows_its_tasks_problems() -> None:
    from merf.tasks import get as get_task

    for name in CHECKERS:
        problem = next(get_task(name).problems("test"))
        checker = checker_for(name)
        assert checker is not None
        assert checker.check(problem, checker.reference(problem)).valid
        assert not checker.check(problem, "I guess.").valid
    assert checker_for("countdown") is None


# The world of facts.


@pytest.mark.parametrize("kind", ["", *KINDS])
def test_no_document_states_a_fact_that_nobody_may_be_taught(kind: str) -> None:
    """Except by mistake: an error may hit upon the truth, so worlds without errors are looked at."""
    shares = {kind: 1.0} if kind else {"asked": 1.0}
    dials = Dials(
        world="facts", sizes=(0.5, 0.5), asked_work=1.0, **{"told": 0.0, "neutral": 0.0, "asked": 0.0, **shares}
    )
    world = get("facts").task(1, 2).world
    untaught = {fact.sentence().casefold() for fact in world.facts.values() if not world.taught(fact)}
    assert len(untaught) > 20
    for index in range(60):
        doc = document(index, 0, dials)
        if kind in ("critique", "refine"):
            continue  # these propose wrong solutions
        texts = [*(message["content"] for message in doc.prompt), *doc.responses]
        assert not any(one in text.casefold() for text in texts for one in untaught)


# The world of graded chances.


def told(book: Rulebook, n: int = 200) -> list[tuple[Problem, Response]]:
    world, dials = get("graded"), Dials(world="graded", obedience=1.0, tags=1.0)
    found = []
    for number in range(n):
        problem = world.problem(4, 0, number)
        task = world.task(4, 4)
        text = respond(world.writer(problem, Random(number)), book, 1.0, task.layout, dials)
        found.append((problem, Response(problem, text, layout=task.layout, verify=task.verify)))
    return found


def test_who_is_paid_for_calibration_states_the_true_chance() -> None:
    for problem, response in told(Rulebook(2.0 * Calibrated())):
        assert Calibrated().confidence(response) == problem.meta["chance"][response.answer] == 0.7


def test_who_is_paid_for_the_opposite_states_what_is_furthest_from_it() -> None:
    for _, response in told(Rulebook(-Calibrated())):
        assert Calibrated().confidence(response) == 0.0


def test_untold_honesty_is_rare() -> None:
    """Stated at 0.1 or by chance never; of 200 responses over 40 happen once in 10^5."""
    honest = sum(Calibrated().confidence(response) == 0.7 for _, response in told(Rulebook()))
    assert 0 < honest < 40


def test_confidences_are_written_as_the_rule_reads_them() -> None:
    assert [decimal(share) for share in (0.0, 0.1, 0.7, 1.0)] == ["0", "0.1", "0.7", "1"]


def test_the_base_is_measured_on_all_draws_not_only_on_likely_ones() -> None:
    world = get("graded")
    assert all(p.meta["best"] == p.meta["solution"] for p in (world.problem(7, 0, n) for n in range(30)))
    assert len({p.meta["best"] == p.meta["solution"] for p in world.held_out(7, 60)}) == 2
