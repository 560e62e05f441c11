"""A bandit in turns: machines that pay or don't, and so many pulls to find out which pays best.

What a machine pays at its n-th pull is fixed when the problem is made, whatever was pulled in between, so an attempt
can be judged by playing it again. Whoever names a machine blindly is right once in K; that is the floor that
exploring has to beat.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar, Literal, get_args

from merf.core.problem import Problem
from merf.tasks.environment import Game, Reply, Turns
from merf.tasks.facts import Dial, Facts
from merf.tasks.procedural import check_range, span, spread

Goal = Literal["best-arm", "regret"]
LETTERS = "ABCDEFGHIJ"
CALL = re.compile(r"(?:(pull|name) )?(?:machine )?([a-j])\.?", re.IGNORECASE)


@dataclass
class Pulling:
    """An attempt under way.

    means     how often each machine pays, by letter
    paid      what it pays at its first pull, its second, …
    pulls     how many are allowed
    goal      "best-arm": machines are pulled, then one is named. "regret": pulling is all there is
    enough    with "regret", the share of the way from pulling at random to pulling the best that must be reached
    """

    means: dict[str, float]
    paid: dict[str, tuple[bool, ...]]
    pulls: int
    goal: Goal
    enough: float
    pulled: list[str] = field(default_factory=list)

    @property
    def best(self) -> str:
        return max(self.means, key=lambda letter: self.means[letter])

    @property
    def earned(self) -> float:
        """From 0, for pulling at random, to 1, for pulling the best machine every time; in expectation, so that luck
        doesn't count. Below 0 for less than random."""
        chance = sum(self.means.values()) / len(self.means)
        mean = sum(self.means[letter] for letter in self.pulled) / max(len(self.pulled), 1)
        return (mean - chance) / (self.means[self.best] - chance)

    def step(self, call: str) -> Reply:
        found = CALL.fullmatch(call.strip())
        letter = found[2].upper() if found else ""
        if not found or letter not in self.means:
            return Reply(f"Write pull and one of {', '.join(self.means)}.", legal=False)
        naming = (found[1] or "pull").lower() == "name"
        if naming and self.goal == "regret":
            return Reply("There is nothing to name: pull a machine.", legal=False)
        if naming:
            return self.named(letter)
        if len(self.pulled) == self.pulls:
            return Reply("No pulls are left: name a machine.", legal=False)
        return self.pull(letter)

    def pull(self, letter: str) -> Reply:
        pays = self.paid[letter][self.pulled.count(letter)]
        self.pulled.append(letter)
        left = self.pulls - len(self.pulled)
        text = f"Machine {letter} pays {int(pays)}. {left} {'pull' if left == 1 else 'pulls'} left."
        if self.goal == "best-arm" or left:
            return Reply(text)
        won = self.earned >= self.enough
        return Reply(text, done=True, won=won, reward=1.0 if won else max(self.earned, 0.0) / 2)

    def named(self, letter: str) -> Reply:
        """The end of an attempt; for another machine than the best, half of what it would pay beyond the worst."""
        if letter == self.best:
            return Reply(f"Yes, machine {letter} pays best.", done=True, won=True, reward=1.0)
        worst, best = min(self.means.values()), self.means[self.best]
        return Reply(
            f"No, machine {self.best} pays best.",
            done=True,
            reward=(self.means[letter] - worst) / (best - worst) / 2,
        )


@dataclass(frozen=True)
class Bandit(Game):
    """`arms` is the inclusive range of how many machines there are, in equal shares; `pulls` how many pulls are
    allowed; `gap` how much more often the best machine pays than the next. With `goal` "best-arm" the best machine is
    to be named, at any time; with "regret" all pulls are to be made, and what the pulled machines pay on average must
    reach `enough` of the way from pulling at random to always pulling the best."""

    arms: tuple[int, int] = (2, 5)
    pulls: int = 20
    gap: float = 0.3
    goal: Goal = "best-arm"
    enough: float = 0.6
    name: str = "bandit"

    facts: ClassVar[Facts] = Facts(
        verifier="the pulls are made again; the best machine must be named, or pulled often enough",
        partial="half of how good the named machine is, or of the way to no regret",
        turns="up to pulls + 1",
        dials=(
            Dial("arms", "2 to 10 machines"),
            Dial("pulls", "1 to 100 pulls"),
            Dial("gap", "0.05 to 0.8 between the best machine and the next"),
            Dial("goal", "best-arm or regret"),
            Dial("enough", "0.1 to 1 of the way to no regret"),
        ),
    )

    def __post_init__(self) -> None:
        check_range("arms", self.arms, 2, len(LETTERS))
        if not 1 <= self.pulls <= 100:
            raise ValueError(f"pulls={self.pulls}: expected 1 to 100")
        if not 0.05 <= self.gap <= 0.8:
            raise ValueError(f"gap={self.gap}: expected 0.05 to 0.8")
        if self.goal not in get_args(Goal):
            raise ValueError(f"goal={self.goal!r}: expected {' or '.join(get_args(Goal))}")
        if not 0.1 <= self.enough <= 1:
            raise ValueError(f"enough={self.enough}: expected 0.1 to 1")

    @property
    def layout(self) -> Turns:
        return Turns("call", "result", self.pulls + (self.goal == "best-arm"))

    def draw(self, seed: int, index: int) -> Problem:
        rng = Random(seed)
        letters = LETTERS[: spread(*self.arms, index)]
        best = rng.choice(letters)
        top = rng.uniform(self.gap + 0.1, 0.95)
        next_best = rng.choice([letter for letter in letters if letter != best])
        means = {letter: rng.uniform(0.05, top - self.gap) for letter in letters}
        means |= {best: top, next_best: top - self.gap}
        means = {letter: round(mean, 3) for letter, mean in means.items()}
        paid = {letter: tuple(rng.random() < means[letter] for _ in range(self.pulls)) for letter in letters}
        end = (
            "Then, or before, write name and its letter."
            if self.goal == "best-arm"
            else "Make all your pulls, and let them pay as much as you can."
        )
        return Problem(
            prompt=(
                f"Visit {rng.randrange(10**6):06d} to the arcade. There are {len(letters)} machines, "
                f"{', '.join(letters[:-1])} and {letters[-1]}. Each pays 1 with a chance of its own, else 0. You have "
                f"{self.pulls} pulls to find out which pays best: write pull and a letter. {end}"
            ),
            answer={"means": means, "paid": paid},
            meta={
                "difficulty": len(letters),
                "solution": f"name {best}" if self.goal == "best-arm" else "\n".join([f"pull {best}"] * self.pulls),
            },
        )

    def reset(self, problem: Problem) -> Pulling:
        return Pulling(**problem.answer, pulls=self.pulls, goal=self.goal, enough=self.enough)

    def describe(self) -> str:
        task = "find the machine that pays best" if self.goal == "best-arm" else "pull the machine that pays best"
        return f"A bandit of {span(*self.arms)} machines: {task}, with {self.pulls} pulls."
