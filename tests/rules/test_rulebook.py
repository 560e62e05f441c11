from __future__ import annotations

import numpy as np
import pytest
from rule_samples import RIGHT, UNKNOWN, UNREADABLE, WRONG, batch, thought

from merf import Concise, Correct, Format, NoRepetition, Overlap, Rulebook, Steps

BOOK = Rulebook(Correct(right=2, wrong=-1.5, unreadable=-2), Format(good=1, bad=-1))


def test_a_rulebook_adds_up_its_parts_and_keeps_them_by_name() -> None:
    scores = BOOK.score(batch(RIGHT, WRONG, UNREADABLE))
    assert scores.total.tolist() == [3, -0.5, -3]
    assert scores.parts["correctness"].tolist() == [2, -1.5, -2]
    assert scores.parts["format"].tolist() == [1, 1, -1]
    assert scores.notes == ["", "", "<think> is missing"]
    assert BOOK.range == (-3, 3)


def test_a_part_that_is_unknown_makes_the_total_unknown_and_is_noted() -> None:
    book = Rulebook(Format(), Overlap(reference="gold"))
    scores = book.score(batch(RIGHT, thought("a", "4", meta={"gold": "4"})))
    assert np.array_equal(scores.total, [np.nan, 2], equal_nan=True)
    assert scores.notes == ["not applicable: overlap", ""]
    assert scores.failed == 1
    assert BOOK.score(batch(UNKNOWN)).notes == ["verifier failed"]


def test_inverting_twice_gives_the_original_back() -> None:
    book = Rulebook(Correct(), NoRepetition().only_if(Correct()), (Overlap() + Steps()).named("quality"), told=False)
    assert book.inverted() != book
    assert book.inverted().inverted() == book
    assert book.inverted().range == (-book.range[1], -book.range[0])


def test_only_keeps_the_named_parts() -> None:
    assert BOOK.only("format") == Rulebook(Format(good=1, bad=-1))
    with pytest.raises(KeyError, match="did you mean 'format'"):
        BOOK.only("formet")


def test_a_silent_rulebook_pays_the_same_and_says_nothing() -> None:
    silent = BOOK.silent()
    assert silent.describe() == ""
    assert np.array_equal(silent.score(batch(RIGHT, WRONG)).total, BOOK.score(batch(RIGHT, WRONG)).total)


def test_an_empty_rulebook_says_nothing_and_cannot_score() -> None:
    assert Rulebook().describe() == ""
    with pytest.raises(ValueError, match=r"Rulebook\(Correct\(\)\)"):
        Rulebook().score(batch(RIGHT))


def test_two_parts_with_one_name_are_refused_with_advice() -> None:
    with pytest.raises(ValueError, match=r"\.named"):
        Rulebook(Concise(10), Concise(20))
    assert len(Rulebook(Concise(10), Concise(20).named("very short")).parts) == 2


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (lambda: Correct(right=float("nan")), "right=nan"),
        (lambda: Correct(right=float("inf")), "finite"),
        (lambda: Correct(right="2"), "should be a number"),
        (lambda: Correct(right=True), "should be a number"),
        (lambda: Concise(words=2.5), "whole number"),
        (lambda: Correct(1, 1, 1), "can't tell any two apart"),
        (lambda: Format(0, 0), "leave it out"),
        (lambda: Steps(least=0), "at least 1"),
        (lambda: Correct(1e308, -1e308, 0) * 10, "smaller numbers"),
        (lambda: Correct() * float("nan"), "finite"),
        (lambda: Correct().named(" "), "named"),
        (lambda: Rulebook("Correct"), "is not a rule"),
    ],
)
def test_nonsense_is_refused_when_the_rule_is_made(make: object, advice: str) -> None:
    with pytest.raises((ValueError, TypeError), match=advice):
        make()


def test_rules_are_values() -> None:
    assert Correct(2.0) == Correct(2)
    assert {Correct().only_if(Format()): 1}[Correct().only_if(Format())] == 1
    assert Correct() != Correct(3)
