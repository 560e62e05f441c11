"""Dependency graphs, and derivations in them, judged by hand."""

from __future__ import annotations

from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merf.core.problem import Problem
from merf.core.steps import step_spans
from merf.tasks.dependency_graph import CONTEXTS, DependencyGraph, Quantity, needed_for, sentence, value_of
from merf.tasks.dependency_steps import DependencySteps

OWLS, FOXES, STORKS, OTTERS = "owls in Oakwood", "foxes in Lakeside", "storks in Redmoor", "otters in Ashford"
QUANTITIES = {
    OWLS: Quantity(OWLS, "", (7,)),
    FOXES: Quantity(FOXES, "*", (OWLS, 3)),
    STORKS: Quantity(STORKS, "-", (OWLS, FOXES)),
    OTTERS: Quantity(OTTERS, "+", (OWLS, 2)),
}
# Modulo 23: 7, 21, 7 - 21 = -14 = 9, 9.
VALUES = {OWLS: 7, FOXES: 21, STORKS: 9, OTTERS: 9}
PROBLEM = Problem(
    "",
    answer={"value": 9, "thing": "storks"},
    meta={"quantities": QUANTITIES, "values": VALUES, "modulus": 23, "target": STORKS},
)
TASK, STEPS = DependencyGraph(), DependencySteps()
FIRST = f"{FOXES} = {OWLS} * 3 = 7 * 3 = 21."
LAST = f"{STORKS} = {OWLS} - {FOXES} = 7 - 21 = -14 = 9."


@pytest.mark.parametrize("answer", ["9", " 9. ", "9 storks"])
def test_right_answers_are_right(answer: str) -> None:
    assert TASK.verify(PROBLEM, answer).correct is True


@pytest.mark.parametrize(
    "answer", ["8", "-14", "9 owls", "9 or 10", "9 9", "", "nine", "9.0", "٩", "9" * 5000, "the answer", "32"]
)
def test_wrong_and_hostile_answers_are_not(answer: str) -> None:
    assert TASK.verify(PROBLEM, answer).correct is False


@pytest.mark.parametrize(
    "text",
    [
        f"{FIRST} {LAST}",
        f"Let us see.\n{FIRST}\nSo {LAST[0].lower()}...\n{LAST}",
        f"{OWLS} = 7. {FIRST} {LAST}",
        f"{FOXES} = {OWLS} × 3 = 21. {STORKS} = {OWLS} − {FOXES} = 9.",
        f"The number of {FOXES} = 3 * {OWLS} = 21. Storks in Redmoor = 7 - 21 = 9",
        f"{FOXES} = 3 * 7 = 21. {STORKS} = 7 - {FOXES} = 9. {OTTERS} = 7 + 2 = 9.",
    ],
)
def test_derivations_in_which_everything_follows_are_valid(text: str) -> None:
    assert STEPS.check(PROBLEM, text).valid, STEPS.check(PROBLEM, text)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (f"{FIRST} {STORKS} = {OWLS} - {FOXES} = 7 - 21 = 10.", f"{STORKS} is not 10"),
        (f"{FIRST} {STORKS} = {OWLS} - {FOXES} = 7 - 21 = -14.", f"{STORKS} is not -14"),
        (f"{FIRST} {STORKS} = {FOXES} - {OWLS} = 21 - 7 = 9.", "made of something else"),
        (f"{FIRST} {STORKS} = {OTTERS} = 9.", "not how it is made"),
        (f"{FIRST} {STORKS} = {OWLS} + 2 = 9.", "not how it is made"),
        (f"{FIRST} {STORKS} = 9.", "doesn't say how"),
        (f"{FIRST} {STORKS} = 8 = {OWLS} - {FOXES} = 9.", f"{STORKS} is not 8"),
        (LAST, f"{FOXES} isn't known yet"),
        (f"{FOXES} = {OWLS} * 3 = 7 * 4 = 21.", "made of something else"),
        (f"{OWLS} = 8.", f"{OWLS} is not 8"),
        (f"{OWLS} = {FOXES} - 14 = 7.", "made of nothing"),
        ("unicorns in Oakwood = 9.", "no such quantity"),
        (f"{STORKS} = .", "no value at the end"),
        (f"{FIRST} {STORKS} == 9.", "not how it is made"),
        ("=" * 50, "no such quantity"),
        (f"{FOXES} = {OWLS} * 3 * 1 = 21.", "made of something else"),
        (f"{FOXES} = " + "1 + " * 200 + "1 = 21.", "longer than"),
    ],
)
def test_wrong_steps_are_found_and_what_is_wrong_with_them(text: str, note: str) -> None:
    checked = STEPS.check(PROBLEM, text)
    assert checked.first_wrong is not None
    assert checked.steps[checked.first_wrong].note.startswith(note)
    assert not checked.valid


def test_a_right_answer_without_its_derivation_is_not_valid() -> None:
    assert STEPS.check(PROBLEM, "I guess it is 9.").missing == (FOXES, STORKS)
    assert STEPS.check(PROBLEM, FIRST).share == 0.5
    assert STEPS.check(PROBLEM, "").steps == ()


@given(st.lists(st.sampled_from([FIRST, LAST, OWLS, FOXES, " = ", " - ", "3", "9", ". ", "\n", "=", "é"])).map("".join))
def test_any_text_can_be_checked(text: str) -> None:
    checked = STEPS.check(PROBLEM, text)
    assert checked.spans == step_spans(text)
    assert checked.valid <= (checked.share == 1.0)


@pytest.mark.parametrize("modulus", [23, 5, 0])
def test_references_are_complete_and_right_and_as_long_as_the_difficulty_says(modulus: int) -> None:
    task = DependencyGraph(operations=(1, 12), modulus=modulus)
    for problem in islice(task.problems("test"), 60):
        reference = STEPS.reference(problem)
        checked = STEPS.check(problem, reference)
        assert checked.valid
        assert len(checked.needed) == problem.meta["difficulty"]
        assert reference.endswith(f" = {problem.meta['solution']}.")
        assert task.verify(problem, problem.meta["solution"]).correct is True


def test_one_changed_number_anywhere_in_a_reference_is_found() -> None:
    rng = Random(0)
    for problem in islice(TASK.problems(), 60):
        reference = STEPS.reference(problem)
        digits = [i for i, char in enumerate(reference) if char.isdigit()]
        spot = rng.choice(digits)
        changed = f"{reference[:spot]}{(int(reference[spot]) + 1) % 10}{reference[spot + 1 :]}"
        assert not STEPS.check(problem, changed).valid


def test_a_missing_step_is_missed() -> None:
    for problem in islice(TASK.problems(), 30):
        steps = STEPS.reference(problem).split(". ")
        assert not STEPS.check(problem, ". ".join(steps[:-1])).valid


def test_everything_said_is_needed_or_stands_aside() -> None:
    task = DependencyGraph(operations=(3, 6), aside=3)
    for problem in islice(task.problems(), 40):
        quantities, target = problem.meta["quantities"], problem.meta["target"]
        needed = needed_for(target, quantities)
        others = set(quantities) - set(needed)
        assert len(others) == 3 or len(others) == 4
        parents = {parent for name in quantities for parent in quantities[name].parents}
        assert all(name in parents for name in needed if name != target)
        for name in quantities:
            assert name.partition(" in ")[2].casefold() in problem.prompt.casefold()


def test_english_says_what_the_graph_means() -> None:
    rng = Random(0)
    said = {sentence(quantity, rng) for quantity in QUANTITIES.values() for _ in range(20)}
    assert said == {
        "There are 7 owls in Oakwood.",
        "Oakwood has 7 owls.",
        "Lakeside has 3 times as many foxes as there are owls in Oakwood.",
        "There are 3 times as many foxes in Lakeside as owls in Oakwood.",
        "The number of storks in Redmoor is the number of owls in Oakwood minus the number of foxes in Lakeside.",
        "Ashford has 2 more otters than there are owls in Oakwood.",
        "There are 2 more otters in Ashford than owls in Oakwood.",
    }


def test_values_follow_from_their_parents() -> None:
    for modulus in (23, 0):
        for problem in islice(DependencyGraph(modulus=modulus).problems(), 20):
            values = problem.meta["values"]
            for name, quantity in problem.meta["quantities"].items():
                assert value_of(quantity, values, modulus) == values[name]
                assert 0 <= values[name] < (modulus or 100)


def test_names_can_be_told_apart() -> None:
    names = [f"{t} in {p}" for c in CONTEXTS.values() for t in c.things for p in c.places]
    assert len(set(names)) == len(names)
    for context in CONTEXTS.values():
        assert not any(a != b and (a in b) for a in context.places for b in context.places)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"operations": (0, 3)}, "between 1 and 12"),
        ({"aside": 11}, "0 to 10"),
        ({"modulus": 3}, "5 to 99"),
        ({"contexts": ("zo",)}, "zoo, school"),
    ],
)
def test_dials_out_of_bounds_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DependencyGraph(**options)
