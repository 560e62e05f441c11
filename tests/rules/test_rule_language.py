from __future__ import annotations

import pytest
from rule_samples import batch, respond, thought

from merf import NoRepetition, Script


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("", 0),
        ("a b c", 0),
        ("a b a b a b", -3 / 5),  # ab ba ab ba ab: five pairs, two distinct
        ("so so so so", -2 / 3),
        ("a b c d e", 0),
    ],
)
def test_repetition_costs_the_share_of_pairs_that_occurred_before(text: str, score: float) -> None:
    assert NoRepetition(n=2).score(batch(respond(text)))[0] == pytest.approx(score)


def test_repetition_can_be_measured_in_the_reasoning_alone() -> None:
    response = thought("so so so", "fine words here")
    assert NoRepetition(n=1, of="reasoning").score(batch(response))[0] == pytest.approx(-2 / 3)
    assert NoRepetition(n=1, of="answer").score(batch(response)).tolist() == [0]


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("", 0),
        ("12 + 3 = 15 …", 0),
        ("plain Latin, naïve café", 0),
        ("abcд", -1 / 4),
        ("答案", -1),
        ("раypal", -2 / 6),  # two Cyrillic look-alikes
    ],
)
def test_script_costs_the_share_of_letters_from_other_alphabets(text: str, score: float) -> None:
    assert Script("Latin").score(batch(respond(text)))[0] == pytest.approx(score)


def test_several_scripts_may_be_allowed() -> None:
    japanese = Script(("Han", "Hiragana", "Katakana"))
    assert japanese.score(batch(respond("答えはカフェです ok")))[0] == pytest.approx(-2 / 10)


@pytest.mark.parametrize("scripts", [(), ("Klingonish",), ("",), ("Latin}",)])
def test_an_alphabet_that_unicode_does_not_know_is_refused(scripts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="Latin"):
        Script(scripts)
