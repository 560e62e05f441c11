"""The rulebook: named parts, their sum, and the motivation in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from merf.core.response import Responses, Scores
from merf.rules.rule import Rule
from merf.rules.wording import Style, assemble


@dataclass(frozen=True, init=False)
class Rulebook:
    """Adds up its rules' scores, and describes them in words: the motivation.

    `book.describe()` is what a model is told, `book.score(responses)` what it is paid. Both come
    from the same parts, so they can't drift apart.
    """

    parts: tuple[Rule, ...]
    told: bool

    def __init__(self, *parts: Rule, told: bool = True) -> None:
        names = [part.name for part in parts]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two parts are called {', '.join(sorted(twice))}: give one of them another name")
        object.__setattr__(self, "parts", tuple(parts))
        object.__setattr__(self, "told", told)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.parts)

    def describe(self, style: Style = "full", wording: int = 0) -> str:
        """The motivation: how responses are scored, in words. Empty for a silent or empty rulebook."""
        said = self.parts if self.told else ()
        return assemble([part.describe(style, wording) for part in said], style, wording)

    def score(self, responses: Responses) -> Scores:
        """Scores of N responses. A response one of whose parts is NaN has a NaN total."""
        parts = {part.name: part.score(responses) for part in self.parts}
        total = np.sum(list(parts.values()), axis=0) if parts else np.zeros(len(responses))
        return Scores(total=total, parts=parts, notes=[response.note for response in responses])

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and highest total that could be paid."""
        return sum(part.range[0] for part in self.parts), sum(part.range[1] for part in self.parts)

    def inverted(self) -> Rulebook:
        """Every score's sign flipped, in number and word (MeRF's adverse arm)."""
        return Rulebook(*(-part for part in self.parts), told=self.told)

    def only(self, *names: str) -> Rulebook:
        """Just the named parts (MeRF's suboptimal arm keeps correctness alone)."""
        known = [part.name for part in self.parts]
        for name in names:
            if name not in known:
                raise KeyError(f"no part is called {name!r}; this rulebook has {', '.join(known)}")
        return Rulebook(*(part for part in self.parts if part.name in names), told=self.told)

    def silent(self) -> Rulebook:
        """Pays the same and says nothing (plain RLVR)."""
        return Rulebook(*self.parts, told=False)
