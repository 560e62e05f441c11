"""A question that one sentence of the context answers, among sentences that don't (the distractors of NoisyBench,
arXiv 2601.07226).

Distractors are of three kinds. *Irrelevant* ones are about something else. *Misleading* ones look like the answer:
the same owner's other thing, somebody else's thing of the same kind, or where the thing was before. Where the thing
is today is said once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from merf.core.layout import Layout, ThinkAnswer
from merf.core.problem import Problem
from merf.core.response import Verdict
from merf.tasks.facts import Dial, Facts
from merf.tasks.graded import NAMES
from merf.tasks.procedural import Procedural, check_range, span, spread

THINGS = ("lamp", "clock", "coat", "kettle", "mirror", "violin", "globe", "ladder", "basket", "camera", "drum", "vase")
ROOMS = ("attic", "cellar", "kitchen", "garage", "hall", "library", "office", "porch", "studio", "pantry")
BEFORE = ("Last year", "Until yesterday", "In spring", "A week ago")
IRRELEVANT = (
    "{name} likes {food}.",
    "{name} was born in {month}.",
    "{name} has {number} cousins.",
    "It rained for {number} days in {month}.",
    "{name} wants to learn to cook {food}.",
    "{name} walks {number} miles in {month}.",
)
FOODS = ("soup", "rice", "bread", "plums", "cake", "fish")
MONTHS = ("March", "April", "June", "July", "August", "October")

ANSWER = re.compile(r"(?:(?:it|[a-z]+'s [a-z]+) is )?(?:in )?(?:the )?([a-z]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Distractors(Procedural):
    """`distractors` is the inclusive range of how many sentences don't answer the question, in equal shares;
    `misleading` the share of them that look as if they did."""

    distractors: tuple[int, int] = (0, 8)
    misleading: float = 0.5
    name: str = "distractors"
    layout: Layout = ThinkAnswer()

    facts: ClassVar[Facts] = Facts(
        verifier="the right room, named alone",
        dials=(
            Dial("distractors", "0 to 20 sentences"),
            Dial("misleading", "0 to 1 of them"),
        ),
    )

    def __post_init__(self) -> None:
        check_range("distractors", self.distractors, 0, 20)
        if not 0 <= self.misleading <= 1:
            raise ValueError(f"misleading={self.misleading}: expected a share from 0 to 1")

    @property
    def instruction(self) -> str:
        return self.layout.instruction()

    def draw(self, seed: int, index: int) -> Problem:
        rng = Random(seed)
        count = spread(*self.distractors, index)
        name, thing, room = rng.choice(NAMES), rng.choice(THINGS), rng.choice(ROOMS)
        evidence = placed(name, thing, room)
        said: dict[str, tuple[str, bool]] = {}
        while len(said) < count:
            misleads = rng.random() < self.misleading
            text = mislead(name, thing, room, rng) if misleads else irrelevant(rng)
            # Of what it speaks; so no thing is in two places at once.
            said.setdefault(text.partition(" in the ")[0], (text, misleads))
        sentences = [evidence, *(text for text, _ in said.values())]
        rng.shuffle(sentences)
        return Problem(
            prompt=f"{' '.join(sentences)} Where is {name}'s {thing} today?",
            answer=room,
            meta={
                "difficulty": count,
                "solution": room,
                "evidence": evidence,
                "sentences": tuple(sentences),
                "misleading": tuple(text for text, misleads in said.values() if misleads),
                "name": name,
                "thing": thing,
            },
        )

    def verify(self, problem: Problem, answer: str) -> Verdict:
        found = ANSWER.fullmatch(answer.strip().rstrip(".")[:200])
        if not found or found[1].lower() not in ROOMS:
            return Verdict(correct=False, readable=False, note="not one of the rooms, named alone")
        return Verdict(correct=found[1].lower() == problem.answer)

    def describe(self) -> str:
        return f"A question that one sentence answers, among {span(*self.distractors)} that don't."


def placed(name: str, thing: str, room: str) -> str:
    return f"{name}'s {thing} is in the {room} today."


def mislead(name: str, thing: str, room: str, rng: Random) -> str:
    """A sentence that shares all but one thing with the evidence, and names another room."""
    elsewhere = rng.choice([other for other in ROOMS if other != room])
    match rng.randrange(3):
        case 0:
            return placed(name, rng.choice([other for other in THINGS if other != thing]), elsewhere)
        case 1:
            return placed(rng.choice([other for other in NAMES if other != name]), thing, elsewhere)
        case _:
            return f"{rng.choice(BEFORE)} {name}'s {thing} was in the {elsewhere}."


def irrelevant(rng: Random) -> str:
    return rng.choice(IRRELEVANT).format(
        name=rng.choice(NAMES), food=rng.choice(FOODS), month=rng.choice(MONTHS), number=rng.randint(2, 9)
    )
