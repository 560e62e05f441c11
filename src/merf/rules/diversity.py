"""Differing from the other responses to the same question. Alone, a response gets 0."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from merf.core.response import Array, Responses
from merf.rules.reading import THE, Passage, check_passage, ngrams, passage, sequences, words_and_signs
from merf.rules.rule import Rule
from merf.rules.wording import Style, pick


@dataclass(frozen=True)
class Diversity(Rule):
    """Distinct-n within the group, credited to who made it: the share of a response's distinct n-grams that
    no other member of its group contains (lexical diversity as in MultiRole-R1, arXiv 2507.20187).

    The group's own distinct-n is the same number for every member, so a group baseline would erase it.
    Word salad is as diverse as it gets: use it as a bonus on right answers.
    """

    n: int = 2
    of: Passage = "response"

    name: ClassVar[str] = "diversity"
    label: ClassVar[str] = "Diversity"

    def check(self) -> None:
        check_passage(self.of)
        if self.n < 1:
            raise ValueError(f"n={self.n}: a sequence has at least 1 word")

    def score(self, responses: Responses) -> Array:
        texts = [passage(response, self.of) or "" for response in responses]
        scores = np.zeros(len(responses))
        for rows in responses.groups():
            if len(rows) < 2:
                continue
            sets = {row: set(ngrams(words_and_signs(texts[row]), self.n)) for row in rows}
            holders = Counter(gram for grams in sets.values() for gram in grams)
            for row, grams in sets.items():
                scores[row] = sum(holders[gram] == 1 for gram in grams) / len(grams) if grams else 0.0
        return scores

    @property
    def range(self) -> tuple[float, float]:
        return 0.0, 1.0

    def statement(self, style: Style, wording: int) -> str:
        what, where = sequences(self.n), THE[self.of]
        if style == "terse":
            return f"share of {what} in {where} that no other response in the group has, 0 to 1"
        if style == "story":
            return f"{what} in {where} that no other response to this question has earn up to 1 point, by their share"
        return pick(
            wording,
            f"the share of the {what} in {where} that no other response to this question has, from 0 to 1",
            f"from 0 to 1, how many of the {what} in {where} are its own among all responses to this question",
        )


@dataclass(frozen=True)
class DistinctAnswer(Rule):
    """The share of the group's other readable answers that differ from this one, in [0, 1]. Answers are
    compared as text, without regard to case and white space; an unreadable one gets 0."""

    name: ClassVar[str] = "distinct-answer"
    label: ClassVar[str] = "Distinct answer"

    def score(self, responses: Responses) -> Array:
        answers = [None if r.answer is None else " ".join(r.answer.casefold().split()) for r in responses]
        scores = np.zeros(len(responses))
        for rows in responses.groups():
            counts = Counter(answers[row] for row in rows if answers[row] is not None)
            others = counts.total() - 1
            for row in rows:
                if answers[row] is not None and others:
                    scores[row] = (counts.total() - counts[answers[row]]) / others
        return scores

    @property
    def range(self) -> tuple[float, float]:
        return 0.0, 1.0

    def statement(self, style: Style, wording: int) -> str:
        if style == "terse":
            return "share of the group's other answers that differ, 0 to 1"
        if style == "story":
            return "an answer that others to this question do not give earns up to 1 point, by how many differ"
        return pick(
            wording,
            "the share of the other readable answers to this question that differ from this one, from 0 to 1; "
            "0 if this one is unreadable",
            "from 0 to 1, how many of the other readable answers to this question say something else; 0 for an "
            "unreadable answer",
        )
