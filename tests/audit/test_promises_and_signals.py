"""What is promised, what is paid, and whether it makes a difference to anybody."""

from __future__ import annotations

import pytest
from broken_rulebooks import Sums, effort
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merf import Concise, Correct, Format, Matches, Rulebook, Steps
from merf.audit import Audit, audit
from merf.audit.promises import level_rules, stated, unstated

PAPER = Rulebook(Correct(), Format())


def found(book: Rulebook, told: str | None = None) -> Audit:
    return audit(book, Sums(), problems=3, told=told)


def names(audited: Audit) -> list[str]:
    return [hole.name for hole in audited.holes]


patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
numbers = st.integers(-300, 300).map(lambda n: n / 100)


@patient
@given(numbers, numbers, numbers)
def test_promises_are_read_from_the_description_as_a_model_reads_them(right, wrong, unreadable) -> None:
    if right == wrong == unreadable:
        return
    rule = Correct(right, wrong, unreadable)
    for level in rule.levels():
        assert stated(Rulebook(rule).describe(), level.when) == level.value


def test_a_promise_is_only_read_from_a_whole_clause() -> None:
    text = "Score: +2 if it is right; -1 if it is not."
    assert stated(text, "it is right") == 2.0
    assert stated(text, "it is not") == -1.0
    assert stated(text, "it is") is None
    assert stated("12 if it is right", "it is right") == 12.0


def test_noise_that_the_model_is_not_told_of_breaks_the_promise() -> None:
    honest = found(Rulebook(Correct().noisy(0.5, per="response")))
    assert "broken promise" not in names(honest)
    secret = found(Rulebook(Correct().noisy(1.0, told=False)))
    broken = [hole.about for hole in secret.holes if hole.name == "broken promise"]
    assert "where the final answer is right, 2 is promised and -1.5 is paid" in broken
    assert "where the final answer is readable but wrong, -1.5 is promised and 2 is paid" in broken


def test_degrees_are_promised_as_a_range() -> None:
    outcomes = found(Rulebook(Correct(1, 0, 0), effort)).outcomes
    right = next(o for o in outcomes if o.levels == (("correctness", "the final answer is right"),))
    assert right.promised == (1.0, 2.0)
    assert right.kept
    assert 1.0 < right.paid[0] <= right.paid[1] <= 2.0


def test_conditions_are_part_of_an_outcome() -> None:
    book = Rulebook(Concise(30, 1, 0).only_if(Correct(1, 0, 0)))
    assert {rule.name for rule in level_rules(book.parts[0])} == {"length", "correctness"}
    paid = {tuple(level for _, level in outcome.levels): outcome.paid for outcome in found(book).outcomes}
    assert paid["the response has at most 30 words", "the final answer is right"] == (1.0, 1.0)
    assert paid["the response has at most 30 words", "the final answer is readable but wrong"] == (0.0, 0.0)


def test_a_silent_rulebook_promises_nothing_and_breaks_nothing() -> None:
    audited = found(PAPER.silent())
    assert audited.passed
    assert all(outcome.promised is None for outcome in audited.outcomes)
    assert "the rulebook is silent: the model is told nothing" in audited.notes


def test_a_prompt_written_by_hand_has_to_state_the_numbers() -> None:
    told = "Answer in tags, as in <answer> (1) Zoey, (2) Ann </answer>. A right answer scores 2 points."
    assert unstated(PAPER, told) == ("-1.5", "+1", "-1")
    assert names(found(PAPER, told)) == ["unstated"]
    assert found(PAPER, "Scores: 2 right, -1.5 wrong, -2 unreadable, format 1 or -1.").passed
    assert found(PAPER, PAPER.describe()).passed


def test_what_groups_can_not_see_is_noted() -> None:
    book = Rulebook(
        Correct() + 1,
        (Correct(4, -3, -4)).named("again"),
        Matches("x+", "the answer is made of x").named("never"),
    )
    audited = found(book)
    assert audited.signals.constants == ("correctness",)
    assert audited.signals.silent == ("never",)
    assert set(audited.signals.redundant) == {"correctness", "again"}
    assert [part for part, _ in audited.signals.unreached] == ["never"]
    assert audited.signals.alive == 1.0
    assert any('"correctness" adds a constant' in note for note in audited.notes)


def test_parts_that_make_a_difference_are_not_noted() -> None:
    signals = found(Rulebook(Correct(), Format(), Steps())).signals
    assert (signals.redundant, signals.silent, signals.constants) == ((), (), ())


def test_a_rulebook_that_pays_everybody_alike_teaches_nothing() -> None:
    audited = found(Rulebook(Matches("x+", "the answer is made of x")))
    assert audited.signals.alive == 0.0
    assert names(audited) == ["no signal"]


@pytest.mark.parametrize("style", ["story", "terse"])
def test_other_styles_hold_every_number_too(style) -> None:
    assert unstated(PAPER, PAPER.describe(style)) == ()
