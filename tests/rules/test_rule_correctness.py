from __future__ import annotations

import numpy as np
import pytest
from rule_samples import RIGHT, UNKNOWN, UNREADABLE, WRONG, batch, respond, thought

from merf import Calibrated, Correct, SaysWhetherRight, ThinkAnswerConfidence


def test_correct_pays_its_three_outcomes_and_nan_where_the_verifier_failed() -> None:
    scores = Correct(right=2, wrong=-1.5, unreadable=-2).score(batch(RIGHT, WRONG, UNREADABLE, UNKNOWN))
    assert np.array_equal(scores, [2, -1.5, -2, np.nan], equal_nan=True)


def test_an_answer_cut_off_at_the_length_limit_is_unreadable() -> None:
    assert Correct().score(batch(thought("two and two", finished=False))).tolist() == [-2.0]


@pytest.mark.parametrize(
    ("answer", "said", "score"),
    [("4", "right", 1.0), ("4", "wrong", -1.0), ("5", "wrong", 1.0), ("5", "Right", -1.0), ("4", "maybe", -0.5)],
)
def test_a_verdict_on_the_own_answer_is_paid_for_being_true(answer: str, said: str, score: float) -> None:
    rule = SaysWhetherRight(agrees=1, differs=-1, missing=-0.5)
    response = thought(f"I am done. <verdict>{said}</verdict>", answer)
    assert rule.score(batch(response)).tolist() == [score]


def test_two_verdicts_are_no_verdict() -> None:
    hedge = thought("<verdict>right</verdict><verdict>wrong</verdict>")
    assert SaysWhetherRight(missing=-1).score(batch(hedge)).tolist() == [-1.0]


def test_a_verdict_on_a_given_solution_is_compared_with_its_label() -> None:
    rule = SaysWhetherRight(about="candidate", tag="conclusion", yes="True", no="False")
    text = "The loop is off by one. <conclusion>False</conclusion>"
    responses = batch(
        respond(text, meta={"candidate": False}), respond(text, meta={"candidate": True}), respond(text, meta={})
    )
    assert np.array_equal(rule.score(responses), [1, 0, np.nan], equal_nan=True)


def stated(confidence: str, answer: str = "4") -> object:
    text = f"<think>so</think><answer>{answer}</answer><confidence>{confidence}</confidence>"
    return respond(text, layout=ThinkAnswerConfidence())


@pytest.mark.parametrize(
    ("confidence", "answer", "score"),
    [
        ("1", "4", 0.0),
        ("0.7", "4", -0.09),
        ("0", "4", -1.0),
        ("0", "5", 0.0),
        ("0.7", "5", -0.49),
        (".5", "5", -0.25),
        ("70%", "4", -1.0),
        ("1.1", "4", -1.0),
        ("-0", "5", -1.0),
        ("nan", "4", -1.0),
        ("٠", "5", -1.0),
        ("", "4", -1.0),
    ],
)
def test_calibration_is_minus_the_brier_score_and_nonsense_costs_the_most(
    confidence: str, answer: str, score: float
) -> None:
    assert Calibrated().score(batch(stated(confidence, answer)))[0] == pytest.approx(score)


def test_rlcr_pays_from_minus_one_to_one() -> None:
    rlcr = Correct(right=1, wrong=0, unreadable=0) + Calibrated()
    assert rlcr.range == (-1.0, 1.0)
    scores = rlcr.score(batch(stated("1"), stated("0", "5"), stated("1", "5"), respond("no tags at all")))
    assert scores.tolist() == [1.0, 0.0, -1.0, -1.0]


def test_the_confidence_is_found_in_any_layout_but_counted_only_once() -> None:
    inside = thought("fairly sure <confidence>0.5</confidence>")
    twice = thought("<confidence>0.5</confidence> or <confidence>0.6</confidence>")
    assert Calibrated().score(batch(inside, twice)).tolist() == [-0.25, -1.0]


def test_an_unknown_verdict_makes_calibration_unknown() -> None:
    assert np.isnan(Calibrated().score(batch(thought("<confidence>0.5</confidence>", "FAIL")))).all()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("<think>a</think><answer>4</answer><confidence>0.5</confidence>", ""),
        ("<think>a</think><answer>4</answer>", "<confidence> is missing"),
        ("<think>a</think><answer>4</answer></confidence>0.5<confidence>", "tags are out of order"),
        ("<think>a</think><answer>4</answer><confidence>0.5</confidence>!", "text outside the tags"),
        ("<confidence>0.5</confidence><think>a</think><answer>4</answer>", "text outside the tags"),
        ("<think>a</think><answer>4</answer><confidence><confidence>1</confidence>", "<confidence> occurs 2 times"),
    ],
)
def test_the_layout_with_confidence_wants_its_three_blocks_in_order(text: str, fault: str) -> None:
    parsed = ThinkAnswerConfidence().parse(text)
    assert parsed.fault == fault
    assert parsed.answer == (None if fault else "4")


def test_the_layout_with_confidence_renders_what_it_parses() -> None:
    layout = ThinkAnswerConfidence()
    assert layout.parse(layout.render("so", "4")).answer == "4"
    assert layout.name == "think-answer-confidence"
    assert layout.instruction().count("<confidence>") == 1
