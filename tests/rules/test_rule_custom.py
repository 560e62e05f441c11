from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from rule_samples import RIGHT, WRONG, batch, respond, thought

from merf import Correct, Response, Responses, Rulebook, rule


@rule
def polite(text: str) -> bool:
    """The response says please."""
    return "please" in text.lower()


@rule(low=-1, high=1, name="balance")
def tilt(thinking: str, answer: str | None) -> float | None:
    """How much longer the answer is than the reasoning.

    This paragraph is for programmers and isn't told.
    """
    if answer is None:
        return None
    longer, total = len(answer) - len(thinking), len(answer) + len(thinking)
    return longer / total if total else 0.0


def plain_function(text: str) -> float:
    return float(len(text) > 3)


lengthy = rule(plain_function, description="The response is longer than three letters.", name="lengthy")


@rule(whole_batch=True)
def among_the_first(responses: Responses) -> list[float]:
    """The response stands in the first half of its batch."""
    return [float(i < len(responses) / 2) for i in range(len(responses))]


def test_true_pays_high_false_pays_low_and_none_is_unknown() -> None:
    assert polite.score(batch(respond("Please!"), respond("now!"))).tolist() == [1, 0]
    scores = tilt.score(batch(thought("abc", "x"), respond("no tags")))
    assert np.array_equal(scores, [-0.5, np.nan], equal_nan=True)


def test_the_docstring_is_what_the_model_is_told() -> None:
    assert polite.describe() == "Polite: the response says please (from 0 to 1 points)."
    assert "programmers" not in tilt.describe()
    assert tilt.describe().startswith("Balance: how much longer the answer is than the reasoning")
    assert tilt.range == (-1, 1)


def test_a_function_rule_is_a_rule_like_any_other() -> None:
    book = Rulebook(Correct(1, 0, 0), (0.5 * polite).only_if(Correct()))
    responses = batch(thought("please"), thought("please", "5"), RIGHT)
    assert book.score(responses).total.tolist() == [1.5, 0, 1]
    assert "0.5" in book.describe()


def test_a_function_may_take_the_response_under_any_name() -> None:
    @rule(low=0, high=10)
    def size(r: Response) -> int:
        """Its tokens."""
        return min(r.tokens, 10)

    assert size.score(batch(respond("a b c"))).tolist() == [3]


def test_a_function_may_score_the_whole_batch_at_once() -> None:
    assert among_the_first.score(batch(RIGHT, WRONG)).tolist() == [1, 0]


def test_the_plain_function_can_still_be_called() -> None:
    assert polite("please") is True


def test_a_rule_without_a_description_is_refused() -> None:
    with pytest.raises(ValueError, match="docstring"):

        @rule
        def silent(text: str) -> float:
            return 0.0


@pytest.mark.parametrize(
    ("value", "error", "advice"),
    [
        ("0.5", TypeError, "return a number"),
        ([0.5], TypeError, "return a number"),
        (2.0, ValueError, "low= and high="),
        (math.inf, ValueError, "outside its declared range"),
        (1j, TypeError, "return a number"),
    ],
)
def test_a_wrong_result_is_an_error_that_names_the_rule(value: Any, error: type[Exception], advice: str) -> None:
    odd = rule(lambda text: value, description="Something.", name="odd")
    with pytest.raises(error, match=advice) as caught:
        odd.score(batch(RIGHT))
    assert "'odd'" in str(caught.value)


@pytest.mark.parametrize(
    ("results", "advice"), [([1.0], "1 scores for 2 responses"), ("ab", "list of numbers"), (0.5, "list of numbers")]
)
def test_a_batch_rule_has_to_give_one_score_per_response(results: Any, advice: str) -> None:
    odd = rule(lambda responses: results, description="Something.", name="odd", whole_batch=True)
    with pytest.raises((ValueError, TypeError), match=advice):
        odd.score(batch(RIGHT, WRONG))


def test_nan_stays_nan_and_numpy_numbers_are_numbers() -> None:
    values = iter([float("nan"), np.float32(0.5), np.int64(1), np.bool_(False)])
    fair = rule(lambda text: next(values), description="Something.", name="fair")
    assert np.array_equal(fair.score(batch(RIGHT, RIGHT, RIGHT, RIGHT)), [np.nan, 0.5, 1, 0], equal_nan=True)


def test_a_function_that_fails_on_a_response_gives_no_score_and_says_so() -> None:
    fragile = rule(lambda text: 1 / len(text), description="Something.", name="fragile")
    with pytest.warns(RuntimeWarning, match="'fragile' failed with ZeroDivisionError"):
        scores = fragile.score(batch(respond(""), respond("ab")))
    assert np.array_equal(scores, [np.nan, 0.5], equal_nan=True)


def test_parameters_that_mean_nothing_are_refused_when_the_rule_is_made() -> None:
    with pytest.raises(TypeError, match="text, thinking"):
        rule(lambda prompt, completion: 0.0, description="Something.")
    with pytest.raises(TypeError, match="takes a function"):
        rule("text", description="Something.")


def test_function_rules_survive_pickling() -> None:
    for made in (polite, tilt, lengthy, 2 * polite):
        assert pickle.loads(pickle.dumps(made)) == made


def test_a_class_or_a_plain_function_in_a_rulebook_is_refused_with_advice() -> None:
    with pytest.raises(TypeError, match="@rule above it"):
        Rulebook(plain_function)
    with pytest.raises(TypeError, match=r"write Correct\(\)"):
        Rulebook(Correct)
