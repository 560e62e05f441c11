"""One sentence that answers among others that don't."""

from __future__ import annotations

from itertools import islice

import pytest

from merf.core.problem import Problem
from merf.tasks.distractors import NAMES, ROOMS, THINGS, Distractors

TASK = Distractors()
PROBLEM = Problem("", answer="attic")


@pytest.mark.parametrize(
    "answer", ["attic", "the attic", "In the attic.", " ATTIC ", "It is in the attic", "Kate's drum is in the attic."]
)
def test_right_answers_are_right(answer: str) -> None:
    assert TASK.verify(PROBLEM, answer).correct is True


@pytest.mark.parametrize(
    ("answer", "readable"),
    [
        ("cellar", True),
        ("in the hall", True),
        ("attic or cellar", False),
        ("not in the attic", False),
        ("", False),
        ("the room", False),
        ("It was in the attic", False),
        ("attic" * 100, False),
        ("attic cellar", False),
    ],
)
def test_wrong_and_hostile_answers_are_not(answer: str, readable: bool) -> None:
    verdict = TASK.verify(PROBLEM, answer)
    assert (verdict.correct, verdict.readable) == (False, readable)


@pytest.mark.parametrize("misleading", [0.0, 0.5, 1.0])
def test_exactly_one_sentence_answers(misleading: float) -> None:
    task = Distractors(distractors=(0, 20), misleading=misleading)
    for problem in islice(task.problems("test"), 63):
        said, meta = problem.meta["sentences"], problem.meta
        assert len(said) == meta["difficulty"] + 1 == len(set(said))
        subject = f"{meta['name']}'s {meta['thing']} is in the "
        assert [one for one in said if subject in one] == [meta["evidence"]]
        assert meta["evidence"] == f"{subject}{problem.answer} today."
        assert problem.prompt == f"{' '.join(said)} Where is {meta['name']}'s {meta['thing']} today?"
        # No thing is in two places.
        assert len({one.partition(" in the ")[0] for one in said}) == len(said)


def test_misleading_sentences_name_another_room_and_share_something_with_the_evidence() -> None:
    seen = 0
    for problem in islice(Distractors(distractors=(8, 8), misleading=1.0).problems(), 30):
        assert len(problem.meta["misleading"]) == 8
        for one in problem.meta["misleading"]:
            seen += 1
            assert problem.answer not in one
            assert any(room in one for room in ROOMS)
            assert problem.meta["name"] in one or problem.meta["thing"] in one
    assert seen == 240


def test_irrelevant_sentences_name_no_room() -> None:
    for problem in islice(Distractors(distractors=(8, 8), misleading=0.0).problems(), 30):
        assert problem.meta["misleading"] == ()
        for one in problem.meta["sentences"]:
            assert one == problem.meta["evidence"] or not any(room in one for room in ROOMS)


def test_names_and_words_can_be_told_apart() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert not set(THINGS) & set(ROOMS)


@pytest.mark.parametrize(
    ("options", "message"), [({"distractors": (0, 30)}, "between 0 and 20"), ({"misleading": 2.0}, "share from 0 to 1")]
)
def test_dials_out_of_bounds_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Distractors(**options)
