"""What is told to whom, where, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merf import Correct, Format, Problem, Rulebook
from merf.core.progress import Constant, Cosine, Linear, Progress, Sigmoid
from merf.framing.motivation import POSITIONS, VARIANTS, Motivated, Telling, place

BOOK = Rulebook(Correct(right=2, wrong=-1.5, unreadable=-2), Format(good=1, bad=-1))
PROBLEM = Problem("Who is a knight?")
SYSTEM = "Write your answer inside <answer> </answer>."


def told_members(framing: Motivated, progress: Progress, size: int = 8) -> int:
    return sum(framing(PROBLEM, member, size, progress, BOOK).exposure > 0 for member in range(size))


def text_of(messages) -> str:
    return "\n".join(message["content"] for message in messages)


def test_both_arms_get_the_same_instruction():
    bare = Motivated(SYSTEM, Telling("none"))(PROBLEM, 0, 8, Progress(0, 10), BOOK)
    told = Motivated(SYSTEM, Telling("truth"))(PROBLEM, 0, 8, Progress(0, 10), BOOK)
    assert bare.acting[0]["content"] == SYSTEM
    assert told.acting[0]["content"] == f"{SYSTEM}\n{BOOK.describe()}"
    assert bare.acting[1] == told.acting[1] == {"role": "user", "content": "Who is a knight?"}


@pytest.mark.parametrize("position", POSITIONS)
def test_the_motivation_goes_where_it_is_asked_for(position):
    messages = place(SYSTEM, PROBLEM, "RULES", position)
    system, user = (message["content"] for message in messages)
    expected = {
        "system": (f"{SYSTEM}\nRULES", "Who is a knight?"),
        "before": (SYSTEM, "RULES\nWho is a knight?"),
        "after": (SYSTEM, "Who is a knight?\nRULES"),
    }
    assert (system, user) == expected[position]


def test_a_conversation_keeps_its_own_system_text_and_earlier_turns():
    turns = (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "Who?"},
    )
    messages = place(SYSTEM, Problem(turns), "RULES", "after")
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "user"]
    assert messages[0]["content"] == f"Be brief.\n{SYSTEM}"
    assert messages[1]["content"] == "Hello"
    assert messages[3]["content"] == "Who?\nRULES"


def test_the_variants_say_what_their_names_promise():
    said = {variant: Telling(variant)(BOOK) for variant in VARIANTS}
    assert said["truth"] == BOOK.describe()
    assert "Format" not in said["suboptimal"]
    assert "+2 if the final answer is right" in said["suboptimal"]
    assert "-2 if the final answer is right" in said["adverse"]
    assert sorted(said["shuffled"].split()) == sorted(said["truth"].split())
    assert said["shuffled"] != said["truth"]
    assert said["none"] == ""
    assert abs(len(said["neutral"].split()) - len(said["truth"].split())) <= 16
    for word in ("score", "right", "correct", "answer", "format", "point"):
        assert word not in said["neutral"].lower()


@pytest.mark.parametrize(
    ("share", "size", "expected"), [(1.0, 8, 8), (0.5, 8, 4), (0.25, 8, 2), (0.0, 8, 0), (0.5, 2, 1)]
)
def test_a_share_of_each_group_is_told(share, size, expected):
    assert told_members(Motivated(SYSTEM, exposure=Constant(share)), Progress(3, 10), size) == expected


def test_a_falling_schedule_tells_fewer_and_fewer():
    framing = Motivated(SYSTEM, exposure=Linear(1.0, 0.0))
    counts = [told_members(framing, Progress(step, 9)) for step in range(9)]
    assert counts == [8, 7, 6, 5, 4, 3, 2, 1, 0]


def test_with_bare_learning_the_gradient_never_sees_the_motivation():
    framing = Motivated(SYSTEM, learning="bare")
    prompt = framing(PROBLEM, 0, 8, Progress(0, 10), BOOK)
    assert BOOK.describe() in text_of(prompt.acting)
    assert BOOK.describe() not in text_of(prompt.learning)
    assert prompt.learning == framing.frame(PROBLEM, BOOK, told=False).acting


@given(st.floats(0, 1))
def test_schedules_stay_between_their_ends(fraction):
    for schedule in (Constant(0.5), Linear(1, 0, over=0.3), Cosine(1, 0), Sigmoid()):
        assert 0 <= schedule(fraction) <= 1


def test_the_sigmoid_schedule_is_the_published_one():
    """RuscaRL: 1 / (1 + exp(125 (t − 0.2)))."""
    schedule = Sigmoid(steepness=125, middle=0.2)
    assert schedule(0.2) == 0.5
    assert schedule(0.19) == pytest.approx(1 / (1 + 2.718281828 ** (125 * -0.01)), rel=1e-6)
    assert schedule(1.0) < 1e-9 < schedule(0.3)
