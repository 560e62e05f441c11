"""Layouts: strict where they pay, lenient where they only report, never at a loss for an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merf.core.layout import LAYOUTS, Boxed, FinalLine, ThinkAnswer, layout_named

GOOD = "<think>so</think><answer>Ann is a knight.</answer>"


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@given(
    st.text(st.characters(blacklist_characters="<>{}\\#\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), min_size=1).filter(
        str.strip
    )
)
def test_what_a_layout_renders_it_reads_back(layout, answer):
    parsed = layout.parse(layout.render("thinking", answer))
    assert parsed.well_formed
    assert parsed.answer == answer.strip()
    assert layout.find(layout.render("thinking", answer)) == answer.strip()


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@given(st.text())
def test_any_text_is_read_without_raising_and_a_fault_means_no_answer(layout, text):
    parsed = layout.parse(text)
    assert (parsed.answer is None) == bool(parsed.fault)
    layout.find(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (GOOD.replace("</think>", ""), "</think> is missing"),
        (GOOD + GOOD, "<think> occurs 2 times"),
        (GOOD.replace("<answer>", "<answer><answer>"), "<answer> occurs 2 times"),
        ("<answer>x</answer><think>y</think>", "tags are out of order"),
        (GOOD + " The end.", "text outside the tags"),
        ("Well, " + GOOD, "text outside the tags"),
        ("", "<think> is missing"),
        ("<think>a</answer><answer>b</think>", "tags are out of order"),
    ],
)
def test_think_answer_names_what_is_wrong(text, fault):
    assert ThinkAnswer().parse(text).fault == fault


def test_white_space_around_the_tags_is_fine():
    parsed = ThinkAnswer().parse("\n<think> so </think>\n\n<answer> yes </answer>\n")
    assert (parsed.thinking, parsed.answer) == ("so", "yes")


def test_the_lenient_reading_takes_the_last_answer_block():
    text = "<answer>one</answer> no, <answer>two</answer> and more"
    assert ThinkAnswer().parse(text).answer is None
    assert ThinkAnswer().find(text) == "two"
    assert ThinkAnswer().find("<answer>cut off") == "cut off"


def test_the_last_box_counts_and_braces_nest():
    parsed = Boxed().parse(r"first \boxed{1}, then \boxed{\frac{1}{2}}.")
    assert parsed.answer == r"\frac{1}{2}"
    assert Boxed().parse(r"\boxed{\frac{1}{2}").fault == r"\boxed{ is never closed"


def test_the_final_line_must_be_the_last():
    assert FinalLine().parse("6 * 7\n#### 42").answer == "42"
    assert not FinalLine().parse("#### 42\nor so").well_formed
    assert FinalLine().find("#### 42\nor so") == "42"


def test_an_unknown_layout_lists_the_known_ones():
    with pytest.raises(KeyError, match="think-answer, boxed, final-line, plain"):
        layout_named("xml")
