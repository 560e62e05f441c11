"""TextArena's games, each won by a player who may look behind the curtain, and played by one who talks nonsense."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from collections import deque
from itertools import islice
from typing import Any

import pytest

from merf.tasks import get

pytest.importorskip("textarena", reason="needs pip install 'merf[textarena]'")

from merf.tasks.textarena import GAMES, Arcade, plain


def guess_number(game: Any) -> list[str]:
    return ["1", str(game.game_number)] if game.game_number != 1 else ["1"]


def break_code(game: Any) -> list[str]:
    return [" ".join(map(str, game.state.game_state["secret_code"]))]


def wait_for_the_best(game: Any) -> list[str]:
    draws = game.state.game_state["draws"]
    return [*(["continue"] * draws.index(max(draws))), "accept"]


def cross_the_ice(game: Any) -> list[str]:
    state, ways = game.state.game_state, game.actions
    grid, waiting = state["grid"], deque([(tuple(state["player_pos"]), [])])
    seen = {tuple(state["player_pos"])}
    while waiting:
        (row, column), path = waiting.popleft()
        if (row, column) == tuple(state["goal_pos"]):
            return path
        for way, (down, right) in ways.items():
            place = (row + down, column + right)
            inside = 0 <= place[0] < len(grid) and 0 <= place[1] < len(grid)
            if inside and place not in seen and grid[place[0]][place[1]] != "H":
                seen.add(place)
                waiting.append((place, [*path, way]))
    raise AssertionError("no way")


def turn_off_the_lights(game: Any) -> list[str]:
    """Chasing the lights down from every way to begin with the first row."""
    size = game.size
    for first in itertools.product((False, True), repeat=size):
        grid = [row[:] for row in game.state.game_state["grid"]]
        pressed = []
        for row in range(size):
            for column in range(size):
                if first[column] if row == 0 else grid[row - 1][column]:
                    game._toggle_lights(grid, row, column)
                    pressed.append(f"{row} {column}")
        if game._is_solved(grid):
            return pressed
    raise AssertionError("can't be turned off")


def fill_in(game: Any) -> list[str]:
    board = game.state.game_state["board"]
    return [f"{r + 1} {c + 1} {game.full_grid[r][c]}" for r in range(9) for c in range(9) if board[r][c] == 0]


def write_words(game: Any) -> list[str]:
    board, solution = game.state.game_state["board"], game.state.game_state["solution"]
    return [f"{r} {c} {solution[r][c]}" for r, row in enumerate(board) for c, letter in enumerate(row) if letter == "_"]


def slide(game: Any) -> list[str]:
    return ["Up", "Left", "Down", "Right"] * 20


WINNERS = {
    "GuessTheNumber": guess_number,
    "Mastermind": break_code,
    "Secretary": wait_for_the_best,
    "FrozenLake": cross_the_ice,
    "LightsOut": turn_off_the_lights,
    "Sudoku": fill_in,
    "Crosswords": write_words,
    "2048-v0-ultra-easy": slide,
}


def winner(name: str) -> Any:
    return WINNERS.get(name) or WINNERS.get(name.split("-")[0])


@pytest.mark.parametrize("name", [name for name in GAMES if winner(name)])
def test_every_game_can_be_won_and_says_so(name: str) -> None:
    task = get(f"textarena:{name}", most=200)
    for problem in islice(task.problems("test"), 2):
        calls = winner(name)(task.reset(problem).game)
        verdict = task.verify(problem, "\n".join(calls))
        assert (verdict.correct, verdict.score) == (True, 1.0), verdict
        assert task.verify(problem, "\n".join(calls)) == verdict
        assert task.verify(problem, "").correct is False


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize(
    "answer", ["", "I win", "[]", "[" * 5000, "9" * 5000, "[٣ ٣]", "[1 2 3 4 5 6 7 8]", "\x00", "[-1 -1]", "[a b X]"]
)
def test_nonsense_wins_nothing_and_stops_nothing(name: str, answer: str) -> None:
    task = get(f"textarena:{name}")
    problem = next(task.problems())
    verdict = task.verify(problem, "\n".join([answer] * 3))
    assert verdict.correct is False
    assert verdict.score is not None
    assert 0 <= verdict.score <= 0.5


@pytest.mark.parametrize("name", GAMES)
def test_splits_share_no_game_and_problems_are_the_same_every_time(name: str) -> None:
    task = get(f"textarena:{name}")
    sides = [{task.identity(p) for p in islice(task.problems(split), 12)} for split in ("train", "test")]
    assert not sides[0] & sides[1]
    assert [task.identity(p) for p in islice(task.problems(), 3)] == [
        task.identity(p) for p in islice(task.problems(), 3)
    ]


def test_games_leave_the_global_random_numbers_alone_and_are_not_moved_by_them() -> None:
    random.seed(7)
    expected = random.Random(7).random()
    one = Arcade("2048-v0", 3)
    replies = [one.step(way).text for way in ("Up", "Left", "Down")]
    assert random.random() == expected
    other = Arcade("2048-v0", 3)
    again = []
    for way in ("Up", "Left", "Down"):
        random.random()
        again.append(other.step(way).text)
    assert again == replies


def test_games_are_the_same_in_another_process() -> None:
    script = (
        "from merf.tasks import get\nfrom merf.tasks.textarena import GAMES\n"
        "for name in GAMES:\n    task = get(f'textarena:{name}')\n    print(hash_of(task))"
    ).replace("hash_of(task)", "repr(task.identity(next(task.problems())))")
    printed = [
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1]
    assert len(printed[0].splitlines()) == len(GAMES)


def test_a_turn_is_told_from_a_move_that_the_game_refuses() -> None:
    game = Arcade("GuessTheNumber-v0", 5)
    refused, taken = game.step("fish"), game.step("[3]" if game.game.game_number != 3 else "[4]")
    assert (refused.legal, refused.done) == (False, False)
    assert (taken.legal, taken.done) == (True, False)
    assert "higher" in taken.text or "lower" in taken.text


def test_names_are_checked() -> None:
    with pytest.raises(KeyError, match="did you mean 'Mastermind-v0'"):
        get("textarena:Mastermind")
    with pytest.raises(ValueError, match="1 to 200"):
        get("textarena:Mastermind-v0", most=0)


def test_what_a_game_knows_is_one_text_everywhere() -> None:
    assert (
        plain({"b": {3, 1, 2}, "a": [None, (1, "x")], "c": object()})
        == "{'b': {1, 2, 3}, 'a': [None, [1, 'x']], 'c': object}"
    )
