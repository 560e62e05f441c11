"""Questions with a search tool: BM25 over a folder of documents, or over a small made-up world.

    get("search-qa")                                                 facts that no model has read anywhere
    get("search-qa", documents="notes/", data="questions.jsonl")     your own

The response calls the tool with `<search>query</search>`; the passages found stand inside `<information>`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from merf.core.problem import Problem
from merf.core.response import Verdict
from merf.core.seeds import derive
from merf.tasks.answers import ANSWERS
from merf.tasks.data import Data
from merf.tasks.environment import LookUps, Reply
from merf.tasks.extras import require
from merf.tasks.facts import Dial, Facts
from merf.tasks.procedural import Procedural, check_range, check_split, span, spread

LONGEST = 400
"""Characters of a passage that are shown."""

LONGEST_QUERY = 500
"""Characters of a query that are read."""


class Library:
    """Passages that can be searched."""

    def __init__(self, passages: tuple[str, ...]) -> None:
        require("bm25s", "search", "the task search-qa")
        import bm25s

        self.passages = passages
        self._index = bm25s.BM25()
        self._index.index(self._tokens(list(passages)), show_progress=False)

    @staticmethod
    def _tokens(texts: list[str]) -> Any:
        import bm25s

        return bm25s.tokenize(texts, stopwords="en", show_progress=False, return_ids=False)

    def search(self, query: str, most: int) -> list[str]:
        """The passages that share words with the query, the most relevant (Okapi BM25) first. Ties go to the earlier
        passage."""
        words = self._tokens([query[:LONGEST_QUERY]])[0]
        if not words:
            return []
        scores = self._index.get_scores(words)
        order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:most]
        return [self.passages[i] for i in order if scores[i] > 0]


@lru_cache(maxsize=4)
def library_at(folder: str) -> Library:
    """The paragraphs of a folder's .txt and .md files, and the `text` of its .jsonl files' rows."""
    home = Path(folder).expanduser()
    if not home.is_dir():
        raise FileNotFoundError(f"there is no folder {folder} of documents")
    passages: list[str] = []
    for path in sorted(home.rglob("*")):
        if path.suffix in (".txt", ".md"):
            text = path.read_text(encoding="utf-8", errors="replace")
            passages += [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
        elif path.suffix == ".jsonl":
            with path.open(encoding="utf-8", errors="replace") as lines:
                passages += [_passage(line, path, number) for number, line in enumerate(lines, 1) if line.strip()]
    passages = [passage for passage in passages if passage]
    if not passages:
        raise ValueError(f"{folder} holds no text: documents are .txt, .md or .jsonl files (rows with a `text`)")
    return Library(tuple(passages))


def _passage(line: str, path: Path, number: int) -> str:
    try:
        row = json.loads(line)
        return f"{row.get('title', '')} {row['text']}".strip()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}, line {number}: not a JSON object with a `text`") from error


# The made-up world.

SYLLABLES = ("ba", "dor", "el", "fin", "gar", "hul", "ka", "lim", "mo", "nar", "os", "pel", "ri", "sam", "tu", "ven")
FIRST_NAMES = ("Ada", "Bela", "Cyril", "Dinah", "Edwin", "Flora", "Gilbert", "Hedda", "Ivo", "Judith", "Klaus", "Lena")
TRADES = ("baker", "carpenter", "clockmaker", "fisher", "gardener", "glazier", "miller", "potter", "printer", "weaver")
DISHES = ("barley soup", "chestnut cake", "fried eel", "leek pie", "pickled plums", "roast goose", "rye dumplings")


@dataclass(frozen=True)
class World:
    """Who was born where and does what; which river every town lies on and what is eaten there."""

    born: dict[str, str]
    trade: dict[str, str]
    river: dict[str, str]
    dish: dict[str, str]

    def passages(self) -> tuple[str, ...]:
        people = [f"{who} was born in {self.born[who]} and is a {self.trade[who]}." for who in self.born]
        towns = [
            f"{town} lies on the river {self.river[town]}. It is known for {self.dish[town]}." for town in self.river
        ]
        return (*people, *towns)


@lru_cache(maxsize=4)
def make_world(seed: int, people: int) -> World:
    rng = Random(derive("search world", seed))

    def names(count: int, parts: int) -> list[str]:
        found: dict[str, None] = {}
        while len(found) < count:
            found["".join(rng.choice(SYLLABLES) for _ in range(parts)).capitalize()] = None
        return list(found)

    towns, rivers = names(max(people // 5, 4), 3), names(max(people // 10, 3), 2)
    who = [f"{rng.choice(FIRST_NAMES)} {last}" for last in names(people, 4)]
    return World(
        born={one: rng.choice(towns) for one in who},
        trade={one: rng.choice(TRADES) for one in who},
        river={town: rng.choice(rivers) for town in towns},
        dish={town: rng.choice(DISHES) for town in towns},
    )


@lru_cache(maxsize=4)
def library_of(seed: int, people: int) -> Library:
    return Library(make_world(seed, people).passages())


@dataclass
class Searching:
    """Look-ups under way."""

    library: Library
    results: int
    most: int
    asked: int = 0

    def step(self, call: str) -> Reply:
        self.asked += 1
        if self.asked > self.most:
            return Reply("No look-ups are left.", done=True, legal=False)
        found = self.library.search(call, self.results)
        text = " ".join(f"({number}) {passage[:LONGEST]}" for number, passage in enumerate(found, 1))
        return Reply(text or "Nothing was found.")


@dataclass(frozen=True)
class SearchQA(Procedural):
    """Questions to be looked up. `calls` is how many look-ups are allowed and `results` how many passages each
    finds. Made-up questions take one look-up or two (`hops`, in equal shares) in a world of `people`, which
    differs with `world`. With `documents`, a folder, questions come from `data` (see `Data`), and `prompt` and
    `answer` name its columns."""

    hops: tuple[int, int] = (1, 2)
    people: int = 100
    world: int = 0
    calls: int = 3
    results: int = 3
    documents: str = ""
    data: str = ""
    prompt: str = ""
    answer: str = ""
    name: str = "search-qa"

    facts: ClassVar[Facts] = Facts(
        verifier="the same text, normalised",
        turns="up to calls + 1",
        dials=(
            Dial("hops", "1 to 2 look-ups needed"),
            Dial("people", "20 to 5000"),
            Dial("calls", "1 to 20 look-ups allowed"),
            Dial("results", "1 to 20 passages"),
        ),
    )

    def __post_init__(self) -> None:
        require("bm25s", "search", f"the task {self.name}")
        check_range("hops", self.hops, 1, 2)
        for dial, lowest, highest in (("people", 20, 5000), ("calls", 1, 20), ("results", 1, 20)):
            if not lowest <= getattr(self, dial) <= highest:
                raise ValueError(f"{dial}={getattr(self, dial)}: expected {lowest} to {highest}")
        if bool(self.documents) != bool(self.data):
            raise ValueError(
                "search-qa needs both or neither: documents=FOLDER to search in, data=FILE of questions about them"
            )
        if self.documents:
            _ = self.questions, self.library  # what is wrong with them is said at once

    @property
    def layout(self) -> LookUps:
        return LookUps(most=self.calls)

    @property
    def instruction(self) -> str:
        return self.layout.instruction()

    @cached_property
    def library(self) -> Library:
        return library_at(self.documents) if self.documents else library_of(self.world, self.people)

    @cached_property
    def questions(self) -> Data:
        columns = {"prompt": self.prompt, "answer": self.answer}
        given = {field: column for field, column in columns.items() if column}
        return Data(self.data, verifier="exact", name=self.name, **given)  # type: ignore[arg-type]

    def problems(self, split: str = "train", seed: int = 0) -> Iterator[Problem]:
        check_split(split)
        return self.questions.problems(split, seed) if self.data else super().problems(split, seed)

    def draw(self, seed: int, index: int) -> Problem:
        rng, hops = Random(seed), spread(*self.hops, index)
        world = make_world(self.world, self.people)
        who = rng.choice(list(world.born))
        town = world.born[who]
        question, answer = rng.choice(
            (
                (f"In which town was {who} born?", town),
                (f"What is {who}'s trade?", world.trade[who]),
            )
            if hops == 1
            else (
                (f"On which river lies the town in which {who} was born?", world.river[town]),
                (f"What is the town in which {who} was born known for?", world.dish[town]),
            )
        )
        return Problem(prompt=question, answer=(answer,), meta={"difficulty": hops, "solution": answer})

    def reset(self, problem: Problem) -> Searching:
        return Searching(self.library, self.results, self.calls)

    def verify(self, problem: Problem, answer: str) -> Verdict:
        return ANSWERS["exact"].verify(problem, answer)

    def describe(self) -> str:
        if self.data:
            return f"{self.questions.describe()} Looked up in {self.documents}."
        return f"Questions that take {span(*self.hops)} look-ups in a made-up world."
