"""Games of the package TextArena (arXiv 2504.11442), `textarena:NAME`, played in turns.

    get("textarena:Mastermind-v0", most=10)

`GAMES` are the single-player games for which three things were checked: they open without a network or a key, the
same seed opens the same game in every process, and they can be won. Of the others, some need word lists from the
internet or another model's key (Hangman, Wordle, GuessWho, …), some always begin in the same position and so have no
held-out games (TowerOfHanoi, PegJump, Countdown, Cryptarithm, Minesweeper), and in version 0.7.4 some can't be won
(FifteenPuzzle raises an exception on the winning move, Bandit compares the answer with a table), don't import, print
as they go (LogicPuzzle), or take many seconds to open (Sudoku-v0-hard).

The package draws from Python's global random numbers. Here every game keeps a state of its own and leaves the global
one as it was.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from merf.core.problem import Problem
from merf.tasks import nearest
from merf.tasks.environment import Game, Reply, Turns
from merf.tasks.extras import require
from merf.tasks.facts import Dial, Facts

GAMES = (
    *("2048-v0-ultra-easy", "2048-v0-mega-easy", "2048-v0-super-easy", "2048-v0-very-easy", "2048-v0-easy", "2048-v0"),
    *("Crosswords-v0", "Crosswords-v0-hardcore"),
    *("FrozenLake-v0", "FrozenLake-v0-random", "FrozenLake-v0-hardcore"),
    *("GuessTheNumber-v0", "GuessTheNumber-v0-hardcore"),
    "LightsOut-v0",
    *("Mastermind-v0", "Mastermind-v0-hard", "Mastermind-v0-extreme"),
    *("Secretary-v0", "Secretary-v0-long"),
    *("Sudoku-v0-very-easy", "Sudoku-v0-easy", "Sudoku-v0", "Sudoku-v0-medium"),
)

LONGEST = 200
"""Characters of a call that the package's parsers are given."""

FROM_GAME = -1
"""The number by which the package's messages say that the game is speaking."""

LOCK = threading.Lock()


class Arcade:
    """One game of TextArena under way."""

    def __init__(self, name: str, seed: int) -> None:
        import textarena

        self._random = random.Random(seed).getstate()
        with self._own_random():
            self.game = textarena.make(f"{name}-raw")  # without the wrappers, which rewrite what is said
            self.game.reset(num_players=1, seed=seed % 2**32)
        self.opening = self._said()

    @contextmanager
    def _own_random(self) -> Iterator[None]:
        with LOCK:
            outside = random.getstate()
            random.setstate(self._random)
            try:
                yield
            finally:
                self._random = random.getstate()
                random.setstate(outside)

    def _said(self) -> str:
        """What the game has said since it was last asked."""
        _, messages = self.game.get_observation()
        return "\n".join(text.strip() for sender, text, _ in messages if sender == FROM_GAME)

    @property
    def position(self) -> str:
        """All that the game knows, hidden things too, as a text that is the same in every process."""
        return plain(self.game.state.game_state)

    def step(self, call: str) -> Reply:
        move = call if "[" in call else f"[{call}]"
        state = self.game.state
        errors = state.error_count
        try:
            with self._own_random():
                done, _ = self.game.step(move[:LONGEST])
        except Exception as error:  # the package's parsers are not ours to trust
            return Reply(f"The game can't make sense of that ({type(error).__name__}).", done=True, legal=False)
        legal = state.error_count <= errors and not state.game_info[0]["invalid_move"]
        if not done:
            return Reply(self._said() or "Go on.", legal=legal)
        reward = float((state.rewards or {}).get(0, 0.0))
        won = reward >= 1
        text = f"{self._said()}\n{state.game_info[0].get('reason', '')}".strip()
        return Reply(text, done=True, won=won, legal=legal, reward=1.0 if won else min(max(reward, 0.0), 1.0) / 2)


def plain(value: Any) -> str:
    """A value as text; sets are sorted, and objects only named, as their text may hold an address."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{plain(key)}: {plain(one)}' for key, one in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(plain, value))}]"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(plain, value)))}}}"
    return repr(value) if isinstance(value, str | int | float | None) else type(value).__name__


@dataclass(frozen=True)
class TextArena(Game):
    """`game` is a game's name in TextArena, `most` how many calls are allowed."""

    game: str
    most: int = 20

    facts: ClassVar[Facts] = Facts(
        verifier="the calls are made again; the package says whether the game is won",
        partial="half of the package's own progress",
        turns="up to most",
        dials=(Dial("most", "1 to 200 calls"),),
    )

    def __post_init__(self) -> None:
        require("textarena", "textarena", f"the task textarena:{self.game}")
        if self.game not in GAMES:
            raise KeyError(f"there is no checked game {self.game!r} of TextArena{nearest(self.game, GAMES)}")
        if not 1 <= self.most <= 200:
            raise ValueError(f"most={self.most}: expected 1 to 200 calls")

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"textarena:{self.game}"

    @property
    def layout(self) -> Turns:
        return Turns("move", "result", self.most)

    def draw(self, seed: int, index: int) -> Problem:
        opened = Arcade(self.game, seed)
        return Problem(
            prompt=opened.opening,
            answer={"seed": seed},
            meta={"difficulty": GAMES.index(self.game) + 1, "position": opened.position},
        )

    def identity(self, problem: Problem) -> str:
        # Where the opening hides a number, the number is what makes two games different.
        return f"{problem.prompt}\n{problem.meta['position']}"

    def reset(self, problem: Problem) -> Arcade:
        return Arcade(self.game, problem.answer["seed"])

    def describe(self) -> str:
        return f"The game {self.game} of TextArena, with at most {self.most} calls."
