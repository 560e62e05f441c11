"""Steps of a text, and the tokens they are made of."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merf.core.steps import Checked, CheckedStep, step_spans, token_offsets, token_steps

TEXT = "First this. Then 3.5 of that!\n\nAnd so"


def test_steps_are_sentences_and_lines() -> None:
    assert [TEXT[start:end].strip() for start, end in step_spans(TEXT)] == [
        "First this.",
        "Then 3.5 of that!",
        "And so",
    ]


@given(st.text(alphabet="ab .!\n", max_size=60))
def test_steps_are_in_order_hold_all_words_and_never_overlap(text: str) -> None:
    spans = step_spans(text)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    inside = {i for start, end in spans for i in range(start, end)}
    assert all(char in " .!\n" or i in inside for i, char in enumerate(text))
    assert all(text[start:end].strip() for start, end in spans)


def test_a_token_is_in_the_step_of_its_first_character_that_is_not_blank(lab_tokenizer) -> None:
    spans = step_spans(TEXT)
    encoded = lab_tokenizer(TEXT, return_offsets_mapping=True)
    steps = token_steps(spans, encoded["offset_mapping"], TEXT)
    words = [
        "".join(TEXT[a:b] for (a, b), s in zip(encoded["offset_mapping"], steps, strict=True) if s == n)
        for n in range(3)
    ]
    assert [word.strip() for word in words] == ["First this.", "Then 3.5 of that!", "And so"]


@pytest.mark.parametrize("text", [TEXT, "naïve 漢字 🎲 end.", "", "\n\n", "é" * 5])
def test_offsets_of_sampled_tokens_are_those_of_the_tokenizer(lab_tokenizer, text: str) -> None:
    encoded = lab_tokenizer(text, return_offsets_mapping=True)
    ours = token_offsets(encoded["input_ids"], lambda ids: lab_tokenizer.decode(ids))
    assert len(ours) == len(encoded["input_ids"])
    whole = lab_tokenizer.decode(encoded["input_ids"])
    # The tokenizer may leave the blank before a word out of its span; ours never does. Ends agree, and single
    # bytes of a character end with it or before it.
    for (start, end), (_, theirs) in zip(ours, encoded["offset_mapping"], strict=True):
        assert 0 <= start <= end <= len(whole)
        assert abs(end - theirs) <= 1
    if text.isascii():
        assert "".join(whole[start:end] for start, end in ours) == text


def test_labels_of_steps_become_numbers_per_token(lab_tokenizer) -> None:
    ids = lab_tokenizer(TEXT)["input_ids"]
    steps = token_steps(step_spans(TEXT), token_offsets(ids, lab_tokenizer.decode), TEXT)
    worth = [0.0 if step < 0 else (1.0, -1.0, 0.5)[step] for step in steps]
    praised = lab_tokenizer.decode([one for one, value in zip(ids, worth, strict=True) if value == -1.0])
    assert praised.strip() == "Then 3.5 of that!"


def test_tokens_outside_of_all_steps_are_in_none() -> None:
    assert token_steps([(2, 5), (7, 9)], [(0, 2), (2, 4), (4, 6), (5, 7), (8, 12), (9, 9)]) == [-1, 0, 0, -1, 1, -1]
    assert token_steps([], [(0, 1)]) == [-1]


def test_a_checked_derivation_knows_what_is_wrong_and_what_is_missing() -> None:
    checked = Checked(
        (
            CheckedStep((0, 4), None),
            CheckedStep((4, 8), True, "a"),
            CheckedStep((8, 9), False, "b", "b is not 3"),
            CheckedStep((9, 12), True, "c"),
        ),
        ("a", "b", "c", "d"),
    )
    assert (checked.first_wrong, checked.missing, checked.share, checked.valid) == (2, ("b", "d"), 0.5, False)
    assert checked.shifted(10).spans == [(10, 14), (14, 18), (18, 19), (19, 22)]
    assert Checked(checked.steps[:2], ("a",)).valid
    assert Checked(()).valid
    assert not Checked((), ("a",)).valid
