"""Rewards of the benchmarks. In a module of their own, since scoring workers import them by name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from zlib import crc32

from merf.core.response import Responses, Scores
from merf.rules.custom import rule
from merf.rules.rulebook import Rulebook
from merf.rules.scoring import Scorer

SLOW, HANGS = 0.02, 10.0
"""Seconds that a slow reward takes, and one that hangs (so that a trainer without a limit still ends)."""

RARE = 200
"""One in so many texts hangs."""

PATIENCE = 2.0
"""Seconds after which an answer is no longer waited for, where there is a limit."""


def vowels(text: str) -> float:
    """The share of characters that are vowels: cheap, and different for every response."""
    return sum(text.count(letter) for letter in "aeiou") / max(len(text), 1)


def seconds_of(text: str) -> float:
    return HANGS if crc32(text.encode()) % RARE == 0 else SLOW


def slow_vowels(text: str) -> float:
    time.sleep(seconds_of(text))
    return vowels(text)


async def slow_vowels_each(texts: list[str]) -> list[float | None]:
    """All at once, each with a limit of its own; None where it is reached."""

    async def one(text: str) -> float | None:
        try:
            await asyncio.wait_for(asyncio.sleep(seconds_of(text)), PATIENCE)
        except asyncio.TimeoutError:
            return None
        return vowels(text)

    return list(await asyncio.gather(*map(one, texts)))


@rule(description="the share of letters that are vowels", low=0.0, high=1.0)
def vowel_share(response: Any) -> float:
    return vowels(response.text)


@rule(description="the share of letters that are vowels, found out slowly", low=0.0, high=1.0)
def slow_vowel_share(response: Any) -> float:
    return slow_vowels(response.text)


class InWorkers:
    """A rulebook whose rules run in workers that are killed when time is up."""

    def __init__(self, book: Rulebook, workers: int) -> None:
        self.book = book
        # A call that merely waits may take ten times its limit on the clock (`merf.tasks.deadline.PATIENCE`).
        self.scorer = Scorer(book, seconds=PATIENCE / 10, workers=workers)

    def score(self, responses: Responses) -> Scores:
        return self.scorer.score(replace(responses, likelihood=None))  # workers need no model

    def __iter__(self) -> Iterator[Any]:
        return iter(self.book)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.book, name)
