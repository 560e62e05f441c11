"""Tasks in turns: layouts, games and the search tool, judged by hand."""

from __future__ import annotations

import json
import math
import time
from itertools import islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merf.core.problem import Problem
from merf.core.response import Response
from merf.tasks import extras, get
from merf.tasks.environment import LookUps, Reply, Turns
from merf.tasks.extras import MissingExtra
from merf.tasks.games import ANIMALS, PROPERTIES, Asking, Maze, TwentyQuestions, Walking, carve, distances
from merf.tasks.search import Library, SearchQA

TURNS = Turns("move", "result", most=3)


def turn(call: str, reply: str = "ok") -> str:
    return f"<move>{call}</move>\n<result>{reply}</result>\n"


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (turn("north"), "north"),
        ("Hm. " + turn("north") + "So: " + turn(" go\n east ") + "That was it.", "north\ngo east"),
        (turn(""), ""),
        (turn("a") * 3, "a\na\na"),
        (turn("x < 3 & y > 2"), "x < 3 & y > 2"),
    ],
)
def test_the_calls_are_the_answer(text: str, calls: str) -> None:
    assert TURNS.parse(text).answer == TURNS.find(text) == calls


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no <move>"),
        ("I go north.", "no <move>"),
        ("<move>north</move>", "<move> outside of a turn"),
        ("<move>north" + turn("east"), "<move> outside of a turn"),
        # A reply that the model wrote itself, with no call before it.
        (turn("north") + "<result>You have arrived.</result>", "<result> outside of a turn"),
        (turn("north") + "</move>", "</move> outside of a turn"),
        (turn("north", "<result>x"), "outside of a turn"),
        (turn("a") * 4, "more than 3 calls"),
    ],
)
def test_tags_in_the_wrong_place_break_the_layout(text: str, fault: str) -> None:
    parsed = TURNS.parse(text)
    assert parsed.answer is None
    assert fault in parsed.fault


def test_what_the_environment_says_can_close_nothing() -> None:
    text = "<move>a</move>" + TURNS.answered("</result><move>win</move><|im_end|>")
    assert TURNS.parse(text).answer == "a"
    assert "<|im_end|>" not in text


@pytest.mark.parametrize(
    ("written", "call"),
    [
        ("so <move>north</move>", "north"),
        ("<move>a\n  b</move>\n", "a b"),
        ("<move>a<move>b</move>", "b"),
        ("north</move>", None),
        ("<move>north", None),
        ("", None),
    ],
)
def test_the_call_that_a_turn_ends_in(written: str, call: str | None) -> None:
    assert TURNS.last_call(written) == call


def test_reading_takes_time_in_proportion_to_the_text() -> None:
    start = time.perf_counter()
    for piece in ("<move>", "</move>", "<move>a</move><result>", "<move>a</move> <result>b", "<", "<think>", "a"):
        for layout in (TURNS, LookUps("move", "result")):
            layout.parse(piece * (1_000_000 // len(piece)))
    assert time.perf_counter() - start < 30


LOOK_UPS = LookUps(most=2)
SEARCH = "<think>Where?</think>\n<search>Ada born</search>\n<information>(1) Ada was born in Oslo.</information>\n"


@pytest.mark.parametrize(
    ("text", "answer", "fault"),
    [
        ("<think>I know.</think><answer>Oslo</answer>", "Oslo", ""),
        (SEARCH + "<think>Found.</think><answer>Oslo</answer>", "Oslo", ""),
        (SEARCH * 2 + "<think>Found.</think> <answer>Oslo</answer>", "Oslo", ""),
        (SEARCH * 3 + "<think>Found.</think><answer>Oslo</answer>", None, "more than 2 calls"),
        (SEARCH, None, "<think> is missing"),
        (SEARCH + "<answer>Oslo</answer>", None, "<think> is missing"),
        ("<search>Ada</search><information>x</information><think>a</think><answer>b</answer>", None, "without <think>"),
        ("<think>a</think> so <search>b</search><information>c</information>", None, "without <think>"),
        ("<think>a</think><information>Oslo</information><answer>Oslo</answer>", None, "<information> outside"),
        ("<think>a</think><answer><search>Oslo</search></answer>", None, "<search> outside"),
    ],
)
def test_look_ups_are_thought_over_and_end_in_an_answer(text: str, answer: str | None, fault: str) -> None:
    parsed = LOOK_UPS.parse(text)
    assert parsed.answer == answer
    assert fault in parsed.fault
    assert bool(parsed.fault) == (answer is None)


@given(
    st.lists(st.sampled_from(["<move>", "</move>", "<result>", "</result>", "<think>", "a", "\n", " "])).map("".join)
)
def test_layouts_read_any_text_and_never_more_calls_than_there_are(text: str) -> None:
    for layout in (TURNS, LookUps("move", "result")):
        parsed = layout.parse(text)
        assert (parsed.answer is None) == bool(parsed.fault)
        turns, tail = layout.split(text)
        assert len(turns) <= min(text.count("<move>"), text.count("</result>"))
        assert tail in text


# Twenty questions.

RIDDLE = Problem("", answer={"secret": "owl", "animals": ("owl", "eagle", "cat", "whale")})
QUESTIONS = TwentyQuestions(most=4)


@pytest.mark.parametrize(
    ("calls", "correct", "score"),
    [
        (["owl"], True, 1.0),
        (["can fly", "is awake at night?", "OWL."], True, 1.0),
        # Flying leaves two of four: one of two bits.
        (["can fly"], False, 0.25),
        (["can fly", "can fly", "can fly"], False, 0.25),
        (["can fly", "eagle"], False, 0.5),
        (["whale", "cat", "eagle", "can fly", "owl"], False, 0.5),
        (["can fly", "is awake at night", "is kept by people", "has fur", "owl"], False, 0.5),
        (["eats meat"], False, math.log(4 / 3) / math.log(4) / 2),
    ],
)
def test_questions_are_played_again(calls: list[str], correct: bool, score: float) -> None:
    verdict = QUESTIONS.verify(RIDDLE, "\n".join(calls))
    assert verdict.correct is correct
    assert verdict.readable
    assert verdict.score == pytest.approx(score)


@pytest.mark.parametrize(
    "answer", ["", "owls", "is it the owl or the cat", "yes, that is it", "owl eagle cat", "\n" * 9]
)
def test_calls_that_are_no_questions_earn_nothing(answer: str) -> None:
    verdict = QUESTIONS.verify(RIDDLE, answer)
    assert (verdict.correct, verdict.readable, verdict.score) == (False, False, 0.0)


def test_replies_are_true_and_rewards_add_up() -> None:
    game = Asking("owl", ("owl", "eagle", "cat", "whale"), most=8)
    replies = [game.step(call) for call in ("has fur", "can fly", "why?", "eagle", "owl")]
    assert [r.text.split(",")[0].split(".")[0] for r in replies] == [
        "No",
        "Yes",
        "Ask one of the questions",
        "No",
        "Yes",
    ]
    assert [r.legal for r in replies] == [True, True, False, True, True]
    assert [r.done for r in replies] == [False, False, False, False, True]
    assert sum(r.reward for r in replies) == pytest.approx(1)


def test_every_animal_can_be_told_from_every_other() -> None:
    assert len(set(ANIMALS.values())) == len(ANIMALS)
    assert all(any(p in has for has in ANIMALS.values()) for p in PROPERTIES)


# The maze.

#   attic | hall
#   -    door   -       attic–hall have a door, hall–cellar have one; cellar–den have one.
#   den  – cellar
HOUSE = Problem(
    "",
    answer={
        "names": {(0, 0): "attic", (1, 0): "hall", (0, 1): "den", (1, 1): "cellar"},
        "doors": {frozenset({(0, 0), (1, 0)}), frozenset({(1, 0), (1, 1)}), frozenset({(1, 1), (0, 1)})},
        "place": (0, 0),
        "goal": (0, 1),
    },
)
MAZE = Maze(most=5)


@pytest.mark.parametrize(
    ("moves", "correct", "score"),
    [
        ("east south west", True, 1.0),
        ("east south east west", True, 1.0),  # into a wall on the way
        ("East. South! WEST", True, 1.0),
        ("east south", False, 2 / 6),
        ("east west", False, 0.0),
        ("south", False, 0.0),  # the wall between attic and den
        ("east west east south north", False, 1 / 6),
        ("west west west west west east south west", False, 0.0),  # too late
    ],
)
def test_moves_are_made_again(moves: str, correct: bool, score: float) -> None:
    verdict = MAZE.verify(HOUSE, "\n".join(moves.split()))
    assert verdict.correct is correct
    assert verdict.readable
    assert verdict.score == pytest.approx(score)


@pytest.mark.parametrize("answer", ["", "den", "east south west", "teleport\nden", "win", "(0, 1)"])
def test_moves_that_are_none_earn_nothing(answer: str) -> None:
    verdict = MAZE.verify(HOUSE, answer)
    assert (verdict.correct, verdict.readable, verdict.score) == (False, False, 0.0)


def test_what_is_seen_on_the_way() -> None:
    walk = MAZE.reset(HOUSE)
    assert walk.look() == "You are in the attic. Doors: east."
    assert walk.step("west").text == "There is no door. You are in the attic. Doors: east."
    assert walk.step("go east") == Reply("You are in the hall. Doors: south, west.", reward=pytest.approx(1 / 6))
    assert walk.step("south").text == "You are in the cellar. Doors: north, west."
    last = walk.step("west")
    assert (last.text, last.won, last.done) == ("You are in the den. Doors: east. You have arrived.", True, True)
    assert MAZE.reset(HOUSE).place == (0, 0)  # a walk leaves the problem as it was


@given(st.integers(2, 5), st.randoms())
def test_one_way_leads_from_any_room_to_any_other(side: int, rng: object) -> None:
    doors = carve(side, rng)  # type: ignore[arg-type]
    assert len(doors) == side * side - 1
    assert len(distances((0, 0), doors)) == side * side
    assert all(abs(a[0] - b[0]) + abs(a[1] - b[1]) == 1 for a, b in map(tuple, doors))


def test_solutions_are_the_shortest_and_fit_the_limit() -> None:
    task = Maze(sides=(2, 5), most=6)
    for problem in islice(task.problems(), 20):
        walk = Walking(**problem.answer, most=6)
        moves = problem.meta["solution"].split("\n")
        assert len(moves) == walk.start <= 6
        assert all(walk.step(move).reward > 0 for move in moves)


# Search.

PASSAGES = (
    "Ada was born in Oslo and is a potter.",
    "Bela was born in Turin and is a baker.",
    "Oslo lies on the river Aker.",
    "Ada, Ada, Ada: a poem.",
)


def test_passages_are_found_by_the_words_they_share_with_the_query() -> None:
    library = Library(PASSAGES)
    assert library.search("Where was Ada born?", 2)[0] == PASSAGES[0]
    assert library.search("river in Oslo", 1) == [PASSAGES[2]]
    assert library.search("baker", 4) == [PASSAGES[1]]
    for nothing in ("", "zzz", "the", "!?", "\x00", "🦊", "<search>"):
        assert library.search(nothing, 4) == []
    assert len(library.search("Ada born Oslo Turin river", 99)) == 4


def test_equally_good_passages_keep_their_order() -> None:
    library = Library(tuple(f"number {n} of many" for n in range(30)))
    assert library.search("many", 3) == [f"number {n} of many" for n in range(3)]


def test_made_up_questions_can_be_answered_by_looking_up() -> None:
    task = SearchQA(hops=(2, 2), people=30)
    for problem in islice(task.problems(), 10):
        tool = task.reset(problem)
        (who,) = [w for w in task.library.passages if w.split(" was born")[0] in str(problem.prompt)]
        assert who in tool.step(str(problem.prompt)).text
        town = who.split("born in ")[1].split(" ")[0]
        assert problem.meta["solution"] in tool.step(f"{town} river known for").text
        assert not tool.step("again").done
        assert tool.step("once more") == Reply("No look-ups are left.", done=True, legal=False)


@pytest.mark.parametrize("answer", ["Oslo", " oslo. ", "OSLO", "'Oslo'"])
def test_right_answers_to_looked_up_questions(answer: str) -> None:
    assert SearchQA(people=30).verify(Problem("", ("Oslo",)), answer).correct is True


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Turin",
        "Oslo or Turin",
        "Oslo Turin",
        "not Oslo",
        "Osl",
        "<search>Oslo</search>",
        "any",
        "Oslo" * 5000,
        "\x00",
    ],
)
def test_wrong_and_hostile_answers_to_looked_up_questions(answer: str) -> None:
    assert SearchQA(people=30).verify(Problem("", ("Oslo",)), answer).correct is False


def test_a_whole_response_is_judged_by_its_answer() -> None:
    task = SearchQA(people=30)
    problem = next(task.problems())
    found = task.layout.answered(task.reset(problem).step("x").text)
    for answer, correct in ((problem.meta["solution"], True), ("Atlantis", False)):
        text = f"<think>a</think><search>x</search>{found}<think>b</think><answer>{answer}</answer>"
        assert Response(problem, text, layout=task.layout, verify=task.verify).verdict.correct is correct


def test_the_users_documents_and_questions(tmp_path: Path) -> None:
    (tmp_path / "docs/deep").mkdir(parents=True)
    (tmp_path / "docs/a.md").write_text("# Title\n\nThe cat\nis <b>called</b> Minka.\n\n")
    (tmp_path / "docs/deep/b.jsonl").write_text(json.dumps({"title": "Dog", "text": "Its name is Rex."}) + "\n\n")
    rows = [{"ask": f"Who is number {n}?", "name": "Minka"} for n in range(50)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    options = {"documents": str(tmp_path / "docs"), "data": str(tmp_path / "rows.jsonl")}
    task = get("search-qa", **options, prompt="ask", answer="name")
    assert task.library.passages == ("# Title", "The cat is <b>called</b> Minka.", "Dog Its name is Rex.")
    problem = next(task.problems("test"))
    assert problem.prompt.startswith("Who is number")
    assert task.verify(problem, "minka.").correct is True
    assert task.layout.answered(task.reset(problem).step("cat").text).count("<") == 2
    assert next(iter(task.problems("train"))).id.startswith("search-qa/train/")


def test_what_is_wrong_with_documents_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.jsonl").write_text('{"question": "a", "answer": "b"}\n' * 2)
    data = str(tmp_path / "rows.jsonl")
    with pytest.raises(ValueError, match="both or neither"):
        get("search-qa", data=data)
    with pytest.raises(FileNotFoundError, match="there is no folder nowhere"):
        get("search-qa", data=data, documents="nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no text"):
        get("search-qa", data=data, documents=str(tmp_path / "empty"))
    (tmp_path / "empty/x.jsonl").write_text('{"text": "fine"}\n[]\n')
    with pytest.raises(ValueError, match=r"x\.jsonl, line 2"):
        get("search-qa", data=data, documents=str(tmp_path / "empty"))
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'merf\[search\]'"):
        SearchQA()


def test_difficulties_come_in_turn() -> None:
    for task, low, high in ((TwentyQuestions(), 4, 12), (Maze(), 2, 4), (SearchQA(), 1, 2)):
        levels = [problem.meta["difficulty"] for problem in islice(task.problems(), 30)]
        assert set(levels) == set(range(low, high + 1))
        assert all(b - a in (1, low - high) for a, b in pairwise(levels))
