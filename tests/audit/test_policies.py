"""Policies know nothing, changes change nothing that matters, and guesses are wrong."""

from __future__ import annotations

from random import Random

import pytest
from broken_rulebooks import Sums
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merf import Boxed, FinalLine, Plain, Problem, ThinkAnswer
from merf.audit.cases import Case, draw_cases, guesses, same, solution_of
from merf.audit.changes import CHANGES
from merf.audit.policies import POLICIES

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
LAYOUTS = [ThinkAnswer(), Boxed(), FinalLine(), Plain()]


@patient
@given(st.text(max_size=30), st.lists(st.text(max_size=10) | st.none(), min_size=1, max_size=5), st.integers(0, 9))
def test_guesses_differ_from_the_solution_and_from_each_other(solution, others, seed) -> None:
    drawn, chance = guesses(solution or None, others, Random(seed))
    assert drawn
    assert len(set(drawn)) == len(drawn)
    assert 0 <= chance <= 1
    assert not solution or not any(same(guess, solution) for guess in drawn)


@patient
@given(st.text(min_size=1, max_size=20), st.integers(0, 9))
def test_the_right_answer_is_among_the_candidates_but_never_first_or_last(solution, seed) -> None:
    drawn, _ = guesses(solution, ["1", "2"], Random(seed))
    candidates = Case(Problem("?"), ThinkAnswer(), solution, drawn).candidates
    assert solution in candidates[1:-1]
    assert candidates.count(solution) == 1


def test_guesses_have_the_form_of_the_answer() -> None:
    drawn, chance = guesses("Ann is a knight, Bob is a knave.", ["Eve is a knight."], Random(0))
    assert set(drawn[:3]) == {
        "Ann is a knave, Bob is a knave.",
        "Ann is a knight, Bob is a knight.",
        "Ann is a knave, Bob is a knight.",
    }
    assert 0.1 < chance < 0.5
    drawn, _ = guesses("417", ["3"], Random(0))
    assert all(len(guess) == 3 and guess.isdigit() for guess in drawn[:5])
    assert set(guesses("B", ["B"], Random(0))[0]) == {"A", "C", "D", "E"}


@pytest.mark.parametrize(
    ("answer", "meta", "text"),
    [
        ("7", {}, "7"),
        (7, {}, "7"),
        (("a", "b"), {}, "a"),
        ({"x": 1}, {}, None),
        (None, {"solution": "s"}, "s"),
        ("", {}, None),
    ],
)
def test_the_stored_answer_as_a_text(answer, meta, text) -> None:
    assert solution_of(Problem("?", answer=answer, meta=meta)) == text


def test_answers_are_the_same_as_texts_or_as_numbers() -> None:
    assert same(" Yes ", "yes")
    assert same("0.50", "0.5")
    assert not same("05 x", "5 x")
    assert not same("9" * 5000, "1")


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_every_policy_and_change_works_in_every_layout_with_and_without_a_stored_answer(layout) -> None:
    case, *_ = draw_cases(Sums(layout=layout), 2, 0, lambda items, doing: items)
    nameless = Case(case.problem, layout, None, ("0", "1"))
    for policy in POLICIES.values():
        assert policy.about
        for text in (*policy.texts(case), *policy.texts(nameless)):
            assert isinstance(text, str)
    for change in CHANGES.values():
        assert change.about
        assert case.respond("7") not in change.texts(case, "7") or layout == Plain()


@pytest.mark.parametrize("layout", LAYOUTS[:3], ids=lambda layout: layout.name)
def test_policies_that_offer_nothing_leave_the_answers_place_empty(layout) -> None:
    case, *_ = draw_cases(Sums(layout=layout), 2, 0, lambda items, doing: items)
    for policy in POLICIES.values():
        if policy.offers == "nothing" and policy.finished:
            for text in policy.texts(case):
                assert not (layout.parse(text).answer or "").strip(), policy.name
