"""Games in turns with perfect verifiers: guess an animal by asking about it, find the way through a house."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from merf.core.problem import Problem
from merf.tasks.environment import Game, Reply, Turns
from merf.tasks.facts import Dial, Facts
from merf.tasks.procedural import check_range, span, spread

PROPERTIES = (
    *("has fur", "can fly", "lives in water", "eats meat", "lays eggs", "has four legs"),
    *("is larger than a person", "is kept by people", "is awake at night"),
)

ANIMALS: dict[str, frozenset[str]] = {
    name: frozenset(PROPERTIES[i] for i in which)
    for name, which in {
        "bat": (0, 1, 3, 8),
        "cat": (0, 3, 5, 7, 8),
        "crocodile": (2, 3, 4, 5, 6),
        "deer": (0, 5),
        "dog": (0, 3, 5, 7),
        "dolphin": (2, 3),
        "eagle": (1, 3, 4),
        "elephant": (5, 6),
        "fox": (0, 3, 5, 8),
        "frog": (2, 3, 4, 5),
        "goldfish": (2, 4, 7),
        "goose": (1, 2, 4, 7),
        "hedgehog": (3, 5, 8),
        "hen": (4, 7),
        "hippo": (2, 5, 6),
        "horse": (0, 5, 6, 7),
        "lion": (0, 3, 5, 6),
        "owl": (1, 3, 4, 8),
        "parrot": (1, 4, 7),
        "penguin": (2, 3, 4),
        "rabbit": (0, 5, 7),
        "shark": (2, 3, 6),
        "sparrow": (1, 4),
        "whale": (2, 6),
    }.items()
}
"""A small world: no two animals have the same properties."""


def listed(items: list[str]) -> str:
    return f"{', '.join(items[:-1])} or {items[-1]}"


@dataclass
class Asking:
    """Twenty questions under way: `left` are the animals that fit every reply so far."""

    secret: str
    animals: tuple[str, ...]
    most: int
    asked: int = 0

    def __post_init__(self) -> None:
        self.left = set(self.animals)

    def step(self, call: str) -> Reply:
        question = call.casefold().strip(" .?!")
        self.asked += 1
        done = self.asked >= self.most
        if question in self.animals:
            if question == self.secret:
                known = 1 - math.log(len(self.left)) / math.log(len(self.animals))
                return Reply("Yes, that is it.", done=True, won=True, reward=1 - known / 2)
            return self._narrowed(f"No, it is not the {question}.", self.left - {question}, done)
        if question not in PROPERTIES:
            return Reply("Ask one of the questions, or name one of the animals.", done, legal=False)
        true = question in ANIMALS[self.secret]
        left = {animal for animal in self.left if (question in ANIMALS[animal]) == true}
        return self._narrowed("Yes." if true else "No.", left, done)

    def _narrowed(self, text: str, left: set[str], done: bool) -> Reply:
        """Half of the reward is for what is known, counted in bits; the other half for winning."""
        learned = math.log(len(self.left) / len(left)) / math.log(len(self.animals))
        self.left = left
        return Reply(text, done, reward=learned / 2)


@dataclass(frozen=True)
class TwentyQuestions(Game):
    """Guess one of a few animals. `animals` is the inclusive range of how many there are, in equal shares; `most`
    how many questions and guesses are allowed."""

    animals: tuple[int, int] = (4, 12)
    most: int = 8
    name: str = "twenty-questions"

    facts: ClassVar[Facts] = Facts(
        verifier="the questions are asked again; the animal must be named in time",
        partial="half of the bits learned",
        turns="up to most",
        dials=(Dial("animals", f"3 to {len(ANIMALS)} animals"), Dial("most", "1 to 20 questions and guesses")),
    )

    def __post_init__(self) -> None:
        check_range("animals", self.animals, 3, len(ANIMALS))
        if not 1 <= self.most <= 20:
            raise ValueError(f"most={self.most}: expected 1 to 20 questions and guesses")

    @property
    def layout(self) -> Turns:
        return Turns("ask", "reply", self.most)

    def draw(self, seed: int, index: int) -> Problem:
        rng = Random(seed)
        count = spread(*self.animals, index)
        animals = rng.sample(sorted(ANIMALS), count)
        secret = rng.choice(animals)
        return Problem(
            prompt=(
                f"I am thinking of an animal: {listed(animals)}. Find out which. In each turn either ask one of these "
                f"questions: {listed([f'{p}?' for p in PROPERTIES])} Or name an animal."
            ),
            answer={"secret": secret, "animals": tuple(animals)},
            meta={"difficulty": count, "solution": secret},
        )

    def reset(self, problem: Problem) -> Asking:
        return Asking(problem.answer["secret"], problem.answer["animals"], self.most)

    def describe(self) -> str:
        return f"Guess which of {span(*self.animals)} animals is meant, in at most {self.most} questions."


ROOMS = (
    *("attic", "balcony", "ballroom", "bathroom", "bedroom", "cellar", "chapel", "corridor", "dining room", "gallery"),
    *("garage", "greenhouse", "hall", "kitchen", "larder", "laundry", "library", "lounge", "nursery", "office"),
    *("pantry", "parlour", "playroom", "porch", "stable", "storeroom", "studio", "study", "terrace", "workshop"),
)

DIRECTIONS = {"north": (0, -1), "east": (1, 0), "south": (0, 1), "west": (-1, 0)}

Place = tuple[int, int]


def carve(side: int, rng: Random) -> set[frozenset[Place]]:
    """Doors between the rooms of a square house, so that one way leads from any room to any other."""
    start = (rng.randrange(side), rng.randrange(side))
    doors: set[frozenset[Place]] = set()
    seen, path = {start}, [start]
    while path:
        x, y = path[-1]
        beside = [(x + dx, y + dy) for dx, dy in DIRECTIONS.values()]
        fresh = [(a, b) for a, b in beside if 0 <= a < side and 0 <= b < side and (a, b) not in seen]
        if not fresh:
            path.pop()
            continue
        room = rng.choice(fresh)
        doors.add(frozenset((path[-1], room)))
        seen.add(room)
        path.append(room)
    return doors


def distances(goal: Place, doors: set[frozenset[Place]]) -> dict[Place, int]:
    """How many doors every room is from the goal."""
    found, waiting = {goal: 0}, deque([goal])
    while waiting:
        place = waiting.popleft()
        for door in doors:
            if place in door:
                (other,) = door - {place}
                if other not in found:
                    found[other] = found[place] + 1
                    waiting.append(other)
    return found


@dataclass
class Walking:
    """A walk through a house under way."""

    names: dict[Place, str]
    doors: set[frozenset[Place]]
    place: Place
    goal: Place
    most: int
    moved: int = 0

    def __post_init__(self) -> None:
        self.distance = distances(self.goal, self.doors)
        self.start = self.distance[self.place]

    def look(self) -> str:
        x, y = self.place
        ways = [way for way, (dx, dy) in DIRECTIONS.items() if frozenset((self.place, (x + dx, y + dy))) in self.doors]
        return f"You are in the {self.names[self.place]}. Doors: {', '.join(ways)}."

    def step(self, call: str) -> Reply:
        way = call.casefold().strip(" .!").removeprefix("go ")
        self.moved += 1
        done = self.moved >= self.most
        if way not in DIRECTIONS:
            return Reply("Go north, east, south or west.", done, legal=False)
        (x, y), (dx, dy) = self.place, DIRECTIONS[way]
        if frozenset((self.place, (x + dx, y + dy))) not in self.doors:
            return Reply(f"There is no door. {self.look()}", done)
        before, self.place = self.distance[self.place], (x + dx, y + dy)
        nearer = (before - self.distance[self.place]) / self.start / 2
        if self.place == self.goal:
            return Reply(f"{self.look()} You have arrived.", done=True, won=True, reward=nearer + 0.5)
        return Reply(self.look(), done, reward=nearer)


@dataclass(frozen=True)
class Maze(Game):
    """Find a room in a house seen one room at a time. `sides` is the inclusive range of the house's width in rooms,
    in equal shares; `most` how many moves are allowed."""

    sides: tuple[int, int] = (2, 4)
    most: int = 20
    name: str = "maze"

    facts: ClassVar[Facts] = Facts(
        verifier="the moves are made again; they must end in the right room",
        partial="half of the way that is covered at the end",
        turns="up to most",
        dials=(Dial("sides", "2 to 5 rooms wide"), Dial("most", "1 to 100 moves")),
    )

    def __post_init__(self) -> None:
        check_range("sides", self.sides, 2, 5)
        if not 1 <= self.most <= 100:
            raise ValueError(f"most={self.most}: expected 1 to 100 moves")

    @property
    def layout(self) -> Turns:
        return Turns("move", "result", self.most)

    def draw(self, seed: int, index: int) -> Problem:
        rng = Random(seed)
        side = spread(*self.sides, index)
        places = [(x, y) for y in range(side) for x in range(side)]
        names = dict(zip(places, rng.sample(ROOMS, len(places)), strict=True))
        doors = carve(side, rng)
        goal = rng.choice(places)
        far = distances(goal, doors)
        start = rng.choice([place for place in places if 1 <= far[place] <= self.most])
        walk = Walking(names, doors, start, goal, self.most)
        return Problem(
            prompt=(
                f"You are in a house of {side} by {side} rooms: {listed(sorted(names.values()))}. Find your way to "
                f"the {names[goal]}, going north, east, south or west in each turn. {walk.look()}"
            ),
            answer={"names": names, "doors": doors, "place": start, "goal": goal},
            meta={"difficulty": side, "solution": "\n".join(way_home(walk))},
        )

    def reset(self, problem: Problem) -> Walking:
        return Walking(**problem.answer, most=self.most)

    def describe(self) -> str:
        return f"Find a room in a house of {span(*self.sides)} rooms by as many, seen one room at a time."


def way_home(walk: Walking) -> list[str]:
    """The shortest way from where the walk begins to its goal."""
    ways, (x, y) = [], walk.place
    while (x, y) != walk.goal:
        for way, (dx, dy) in DIRECTIONS.items():
            beside = (x + dx, y + dy)
            nearer = walk.distance.get(beside, len(walk.distance)) < walk.distance[(x, y)]
            if nearer and frozenset(((x, y), beside)) in walk.doors:
                ways.append(way)
                x, y = beside
                break
    return ways
