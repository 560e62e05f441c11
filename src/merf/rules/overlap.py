"""Partial credit for sharing words, word sequences or listed names with a reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from merf.core.response import Array, Response, Responses
from merf.rules.reading import THE, Passage, check_passage, ngrams, passage, sequences, words_and_signs
from merf.rules.rule import Rule
from merf.rules.wording import Style, pick

Measure = Literal["f1", "jaccard", "recall"]
MEASURES: dict[str, str] = {
    "f1": "F1, the harmonic mean of precision and recall",
    "jaccard": "shared ones divided by all different ones",
    "recall": "the share of the reference's that occur",
}


@dataclass(frozen=True)
class Overlap(Rule):
    """How much a passage and a reference have in common, in [0, 1].

    "f1"       2pr / (p + r) over n-gram counts (n = 1: SQuAD's token F1)
    "jaccard"  |A ∩ B| / |A ∪ B| over distinct n-grams (n = 2: the n-gram rule of Reasoning-SQL, arXiv 2503.23157)
    "recall"   r alone, over n-gram counts

    The reference is the problem's answer, or `meta[reference]`; of several the closest counts. With `names`,
    only words listed in `meta[names]` count: with the tables and columns of a database that is Reasoning-SQL's
    schema rule. A missing passage gets 0; without a reference text the score is NaN.
    """

    reference: str = "answer"
    measure: Measure = "f1"
    n: int = 1
    names: str = ""
    of: Passage = "answer"

    name: ClassVar[str] = "overlap"
    label: ClassVar[str] = "Overlap"

    def check(self) -> None:
        check_passage(self.of)
        if self.measure not in MEASURES:
            raise ValueError(f"measure={self.measure!r}: choose one of {', '.join(MEASURES)}")
        if self.n < 1:
            raise ValueError(f"n={self.n}: a sequence has at least 1 word")

    def items(self, text: str, response: Response) -> Counter[tuple[str, ...]]:
        words = words_and_signs(text)
        if self.names:
            listed = response.problem.meta.get(self.names)
            known = {str(name).casefold() for name in listed} if isinstance(listed, Sequence) else set()
            words = [word for word in words if word in known]
        return Counter(ngrams(words, self.n))

    def references(self, response: Response) -> list[str]:
        problem = response.problem
        stored = problem.answer if self.reference == "answer" else problem.meta.get(self.reference)
        texts = [stored] if isinstance(stored, str) else stored if isinstance(stored, list | tuple) else []
        return [text for text in texts if isinstance(text, str)]

    def agreement(self, found: Counter[tuple[str, ...]], wanted: Counter[tuple[str, ...]]) -> float:
        if self.measure == "jaccard":
            return len(found.keys() & wanted.keys()) / len(found.keys() | wanted.keys())
        shared = (found & wanted).total()
        if self.measure == "recall":
            return shared / wanted.total()
        return 2.0 * shared / (found.total() + wanted.total())

    def pay(self, response: Response) -> float:
        wanted = [items for text in self.references(response) if (items := self.items(text, response))]
        if not wanted:
            return float("nan")
        text = passage(response, self.of)
        found = self.items(text, response) if text is not None else Counter()
        return max(self.agreement(found, items) for items in wanted)

    def score(self, responses: Responses) -> Array:
        return np.array([self.pay(response) for response in responses], np.float64)

    @property
    def range(self) -> tuple[float, float]:
        return 0.0, 1.0

    def statement(self, style: Style, wording: int) -> str:
        what = "names" if self.names and self.n == 1 else sequences(self.n)
        what += f' from the list "{self.names}"' if self.names else ""
        source = "the reference answer" if self.reference == "answer" else f'the reference "{self.reference}"'
        measure, where = MEASURES[self.measure], THE[self.of]
        if style == "terse":
            return f"{self.measure} of {what} in {where} and {source}, 0 to 1"
        if style == "story":
            return f"the more {what} {where} shares with {source}, the more it earns, up to 1 point"
        return pick(
            wording,
            f"how far the {what} in {where} agree with those in {source} ({measure}), from 0 to 1",
            f"from 0 (nothing in common) to 1 (the same), the agreement of {where} with {source} in {what}: {measure}",
        )
