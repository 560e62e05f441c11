from __future__ import annotations

import numpy as np
import pytest
from rule_samples import batch, respond, thought

from merf import Overlap

GOLD = "select name from pupils where age > 9"


def score(rule: Overlap, answer: str, **given: object) -> float:
    return float(rule.score(batch(thought("", answer, **given)))[0])


def test_token_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    # 3 shared words, 4 found, 5 wanted: p = 3/4, r = 3/5, F1 = 2/3.
    assert score(Overlap(), "the red big fox", truth="the quick red fox jumps") == pytest.approx(2 / 3)
    assert score(Overlap(measure="recall"), "the red big fox", truth="the quick red fox jumps") == pytest.approx(3 / 5)


def test_repeating_a_shared_word_does_not_pay() -> None:
    assert score(Overlap(), "fox fox fox fox", truth="the fox") == pytest.approx(2 * 1 / (4 + 2))


def test_jaccard_of_pairs_is_the_n_gram_rule_for_sql() -> None:
    # Of 7 wanted pairs (8 words and signs) the answer has 5 of its own 6; together there are 8.
    found = "select name from pupils where size"
    pairs = 4  # select name, name from, from pupils, pupils where
    assert score(Overlap(measure="jaccard", n=2), found, truth=GOLD) == pytest.approx(pairs / (5 + 7 - pairs))


def test_only_listed_names_count_for_the_schema_rule() -> None:
    rule = Overlap(reference="sql", measure="jaccard", names="schema")
    meta = {"sql": GOLD, "schema": ["name", "pupils", "AGE", "school"]}
    # wanted {name, pupils, age}, found {name, pupils, school}: 2 of 4.
    assert score(rule, "select name, school from pupils", meta=meta) == pytest.approx(2 / 4)


def test_the_closest_of_several_references_counts() -> None:
    assert score(Overlap(), "a big dog", truth=["a cat", "a big dog"]) == 1
    assert score(Overlap(), "a big dog", truth=("a cat", None)) == pytest.approx(2 / 5)


def test_a_missing_passage_gets_nothing_and_a_missing_reference_no_score() -> None:
    rule = Overlap(reference="gold")
    responses = batch(
        respond("no tags", meta={"gold": "four"}),
        thought("", "four", meta={"gold": "four"}),
        thought("", "four"),
        thought("", "four", meta={"gold": ""}),
        thought("", "four", meta={"gold": 4}),
    )
    assert np.array_equal(rule.score(responses), [0, 1, np.nan, np.nan, np.nan], equal_nan=True)


def test_words_are_compared_without_regard_to_case_and_spacing() -> None:
    assert score(Overlap(), "  THE\nFox ", truth="the fox") == 1


@pytest.mark.parametrize("given", [{"measure": "rouge"}, {"n": 0}, {"of": "thoughts"}, {"n": 1.5}])
def test_impossible_measures_are_refused(given: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Overlap(**given)
