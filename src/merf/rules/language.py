"""Clean text: no repetition, one alphabet. Both are penalties, so an empty response gains nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from merf.core.response import Array, Responses
from merf.rules.reading import THE, Passage, check_passage, ngrams, passage, sequences
from merf.rules.rule import Rule
from merf.rules.wording import Style, listed, pick


@dataclass(frozen=True)
class NoRepetition(Rule):
    """−(1 − distinct n-grams / n-grams), over words."""

    n: int = 4
    of: Passage = "response"

    name: ClassVar[str] = "repetition"
    label: ClassVar[str] = "No repetition"

    def check(self) -> None:
        check_passage(self.of)
        if self.n < 1:
            raise ValueError(f"n={self.n}: a sequence has at least 1 word")

    def repeated(self, text: str) -> float:
        words = text.split()
        count = len(words) - self.n + 1
        return 1.0 - len(set(ngrams(words, self.n))) / count if count > 0 else 0.0

    def score(self, responses: Responses) -> Array:
        return np.array([-self.repeated(passage(response, self.of) or "") for response in responses], np.float64)

    @property
    def range(self) -> tuple[float, float]:
        return -1.0, 0.0

    def statement(self, style: Style, wording: int) -> str:
        what, where = sequences(self.n), THE[self.of]
        if style == "terse":
            return f"minus share of repeated {what} in {where}"
        if style == "story":
            return f"repeating {what} in {where} costs points, up to 1 if it is nothing but repetition"
        return pick(
            wording,
            f"minus the share of {what} in {where} that occurred before in it, from 0 (no repetition) to -1",
            f"0 if no {what} in {where} occur twice, falling to -1 with the share that repeat earlier ones",
        )


@lru_cache(maxsize=32)
def in_scripts(scripts: tuple[str, ...]) -> Any:
    """Matches one character of these Unicode scripts, or one that every script shares."""
    import regex  # type: ignore[import-untyped]

    known = "".join(rf"\p{{Script={name}}}" for name in (*scripts, "Common", "Inherited"))
    try:
        return regex.compile(f"[{known}]")
    except regex.error:
        raise ValueError(
            f"scripts={scripts!r}: use Unicode's names, such as Latin, Cyrillic, Greek, Arabic, Han, Hiragana"
        ) from None


@dataclass(frozen=True)
class Script(Rule):
    """−(letters outside the given Unicode scripts / letters): keeps the reasoning in one alphabet, and
    look-alike letters out (the language consistency reward of DeepSeek-R1, arXiv 2501.12948, by script)."""

    scripts: tuple[str, ...] = ("Latin",)
    of: Passage = "response"

    name: ClassVar[str] = "script"
    label: ClassVar[str] = "Alphabet"

    def check(self) -> None:
        check_passage(self.of)
        given: Any = self.scripts
        names = (given,) if isinstance(given, str) else tuple(given)
        object.__setattr__(self, "scripts", names)
        if not names or not all(isinstance(name, str) and name.replace("_", "").isalpha() for name in names):
            raise ValueError(f"scripts={self.scripts!r}: name at least one Unicode script, such as Latin")
        in_scripts(names)

    def foreign(self, text: str) -> float:
        # Classifying each distinct character once keeps long texts cheap.
        letters = {char: count for char, count in Counter(text).items() if char.isalpha()}
        known = in_scripts(self.scripts)
        outside = sum(count for char, count in letters.items() if not known.match(char))
        return outside / sum(letters.values()) if letters else 0.0

    def score(self, responses: Responses) -> Array:
        return np.array([-self.foreign(passage(response, self.of) or "") for response in responses], np.float64)

    @property
    def range(self) -> tuple[float, float]:
        return -1.0, 0.0

    def statement(self, style: Style, wording: int) -> str:
        scripts, where = listed(self.scripts, "or"), THE[self.of]
        if style == "terse":
            return f"minus share of letters in {where} that are not {scripts}"
        if style == "story":
            return f"letters in {where} that are not {scripts} cost points, up to 1 if all are"
        return pick(
            wording,
            f"minus the share of letters in {where} that are not {scripts}, from 0 (all are {scripts}) to -1 (none is)",
            f"0 if every letter of {where} is {scripts}, falling to -1 with the share of letters that are not",
        )
