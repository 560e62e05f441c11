"""Key-value facts, asked for one by one and in chains of two: "Who is the mother of the owner of the red boat?"

The facts are those of a made-up universe, so nobody has read them anywhere. A stated share of them is *untaught*: it
stands in no training document (`Universe.documents`). A model that has learnt the documents can answer the other
questions from memory; these can only be looked up, or guessed. That is what studies of searching and of searching
one's own memory (SSRL, arXiv 2508.10874) need.

    get("two-hop")            from memory; with `layout=LookUps()` the model writes what a search would find
    get("two-hop-search")     with a tool that finds the facts, the untaught ones too
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from random import Random
from typing import ClassVar, Literal, get_args

from merf.core.layout import Layout, ThinkAnswer
from merf.core.problem import Problem
from merf.core.response import Verdict
from merf.core.seeds import derive
from merf.tasks.answers import Exact
from merf.tasks.environment import LookUps
from merf.tasks.extras import require
from merf.tasks.facts import Dial, Facts
from merf.tasks.procedural import Procedural, check_range, span, spread
from merf.tasks.search import SYLLABLES, Library, Searching

COLOURS = ("red", "blue", "green", "white", "black", "old", "new", "long", "small", "grand")
THINGS = ("boat", "house", "cart", "clock", "violin", "garden", "mirror", "tower", "piano", "lantern")
TOWNS = ("Oldport", "Westmere", "Highcliff", "Stonebridge", "Larkfield", "Millbrook", "Saltmarsh", "Winterton")

Relation = Literal["owner", "mother", "teacher", "doctor", "neighbour", "town"]
OF_PEOPLE: tuple[Relation, ...] = ("mother", "teacher", "doctor", "neighbour", "town")
"""Relations whose subject is a person; "town" leads to a town, the others to a person. Things have an owner."""

Ask = Literal["any", "taught", "untaught"]


@dataclass(frozen=True)
class Fact:
    """`value` is the `relation` of `subject`."""

    subject: str
    relation: Relation
    value: str

    @property
    def phrase(self) -> str:
        """The key in words: `the mother of Dorel`."""
        return phrase(self.relation, self.subject)

    def sentence(self) -> str:
        return f"{self.phrase[:1].upper()}{self.phrase[1:]} is {self.value}."


def phrase(relation: Relation, subject: str) -> str:
    return f"the home town of {subject}" if relation == "town" else f"the {relation} of {subject}"


@dataclass(frozen=True)
class Universe:
    """Every fact there is, by subject and relation; `untaught` is the share that no document states."""

    seed: int
    facts: dict[tuple[str, Relation], Fact]
    untaught: float

    def taught(self, fact: Fact) -> bool:
        """Whether a document may state the fact. It depends on the fact alone, and a fact that is untaught at some
        share is so at every larger one."""
        place = derive("untaught", self.seed, fact.subject, fact.relation) / 2**64
        return place >= self.untaught

    def documents(self) -> tuple[str, ...]:
        """All that may be read in training: one sentence for each taught fact."""
        return tuple(fact.sentence() for fact in self.facts.values() if self.taught(fact))

    def sentences(self) -> tuple[str, ...]:
        """Every fact, the untaught too: what a search finds."""
        return tuple(fact.sentence() for fact in self.facts.values())

    def chains(self, hops: int, ask: Ask) -> list[tuple[Fact, ...]]:
        """Every chain of so many facts: all of them taught, or at least one of them untaught."""
        firsts = list(self.facts.values())
        found: list[tuple[Fact, ...]] = [(one,) for one in firsts]
        if hops == 2:
            found = [
                (one, self.facts[one.value, relation])
                for one in firsts
                for relation in (OF_PEOPLE if one.relation != "town" else ())
            ]
        if ask == "any":
            return found
        return [chain for chain in found if all(map(self.taught, chain)) == (ask == "taught")]


@lru_cache(maxsize=8)
def make_universe(seed: int, people: int, untaught: float) -> Universe:
    """`people` people and half as many things. Nobody is anything to himself."""
    rng = Random(derive("universe", seed, people))
    names = sorted({a.capitalize() + b for a, b in product(SYLLABLES, SYLLABLES) if a != b})
    who = rng.sample(names, people)
    things = [f"the {colour} {thing}" for colour, thing in product(COLOURS, THINGS)]
    facts = [Fact(thing, "owner", rng.choice(who)) for thing in rng.sample(things, min(people // 2, len(things)))]
    for one in who:
        for relation in OF_PEOPLE:
            value = rng.choice(TOWNS) if relation == "town" else rng.choice([other for other in who if other != one])
            facts.append(Fact(one, relation, value))
    return Universe(seed, {(fact.subject, fact.relation): fact for fact in facts}, untaught)


@lru_cache(maxsize=8)
def chains_of(seed: int, people: int, untaught: float, hops: int, ask: Ask) -> list[tuple[Fact, ...]]:
    return make_universe(seed, people, untaught).chains(hops, ask)


@lru_cache(maxsize=4)
def library_of(seed: int, people: int) -> Library:
    return Library(make_universe(seed, people, 0.0).sentences())


def question(chain: tuple[Fact, ...]) -> str:
    """`Who is the mother of the owner of the red boat?`"""
    last = chain[-1]
    inner = chain[0].subject if len(chain) == 1 else chain[0].phrase
    return f"{'What' if last.relation == 'town' else 'Who'} is {phrase(last.relation, inner)}?"


@dataclass(frozen=True)
class TwoHop(Procedural):
    """`hops` is the inclusive range of how many facts a question takes, in equal shares; `people` how many there are,
    in a universe that differs with `universe`; `untaught` the share of facts that no training document states; `ask`
    whether questions are taken from "any" facts, from "taught" ones only, or have an "untaught" one in them."""

    hops: tuple[int, int] = (1, 2)
    people: int = 60
    universe: int = 0
    untaught: float = 0.2
    ask: Ask = "any"
    name: str = "two-hop"
    layout: Layout = ThinkAnswer()

    facts: ClassVar[Facts] = Facts(
        verifier="the same name, alone",
        dials=(
            Dial("hops", "1 to 2 facts"),
            Dial("people", "10 to 200"),
            Dial("untaught", "0 to 1 of the facts"),
            Dial("ask", "any, taught or untaught"),
        ),
    )

    def __post_init__(self) -> None:
        check_range("hops", self.hops, 1, 2)
        if not 10 <= self.people <= 200:
            raise ValueError(f"people={self.people}: expected 10 to 200")
        if not 0 <= self.untaught <= 1:
            raise ValueError(f"untaught={self.untaught}: expected a share from 0 to 1")
        if self.ask not in get_args(Ask):
            raise ValueError(f"ask={self.ask!r}: expected {', '.join(get_args(Ask))}")

    @property
    def instruction(self) -> str:
        return self.layout.instruction()

    @property
    def world(self) -> Universe:
        """All facts."""
        return make_universe(self.universe, self.people, self.untaught)

    def draw(self, seed: int, index: int) -> Problem:
        hops = spread(*self.hops, index)
        chains = chains_of(self.universe, self.people, self.untaught, hops, self.ask)
        if not chains:
            raise ValueError(f"{self.name}: with untaught={self.untaught} there are no questions for ask={self.ask!r}")
        chain = Random(seed).choice(chains)
        return Problem(
            prompt=question(chain),
            answer=(chain[-1].value,),
            meta={
                "difficulty": hops,
                "solution": chain[-1].value,
                "facts": chain,
                "taught": all(map(self.world.taught, chain)),
                "universe": (self.universe, self.people, self.untaught),
            },
        )

    def verify(self, problem: Problem, answer: str) -> Verdict:
        given = Exact.normal(answer)
        if not given.isalpha():
            return Verdict(correct=False, readable=False, note="not one name")
        return Verdict(correct=any(given == Exact.normal(one) for one in problem.answer))

    def describe(self) -> str:
        return f"Questions that take {span(*self.hops)} facts of a made-up universe, some of which nobody was taught."


@dataclass(frozen=True)
class TwoHopSearch(TwoHop):
    """The same questions with a search tool: `calls` look-ups of `results` sentences each."""

    calls: int = 3
    results: int = 3
    name: str = "two-hop-search"

    facts: ClassVar[Facts] = Facts(
        verifier=TwoHop.facts.verifier,
        turns="up to calls + 1",
        dials=(*TwoHop.facts.dials, Dial("calls", "1 to 20 look-ups allowed"), Dial("results", "1 to 20 sentences")),
    )

    def __post_init__(self) -> None:
        require("bm25s", "search", f"the task {self.name}")
        super().__post_init__()
        for dial in ("calls", "results"):
            if not 1 <= getattr(self, dial) <= 20:
                raise ValueError(f"{dial}={getattr(self, dial)}: expected 1 to 20")
        object.__setattr__(self, "layout", LookUps(most=self.calls))

    @cached_property
    def library(self) -> Library:
        return library_of(self.universe, self.people)

    def reset(self, problem: Problem) -> Searching:
        return Searching(self.library, self.results, self.calls)
