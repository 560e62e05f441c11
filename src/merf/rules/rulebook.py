"""The rulebook: named parts, their sum, and the motivation in words."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from merf.core.response import Responses, Scores
from merf.rules.arithmetic import refuse_cancelling
from merf.rules.rule import Rule, must_be_rule
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
        for part in parts:
            must_be_rule(part)
        names = [part.name for part in parts]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(
                f"two parts are called {', '.join(sorted(twice))}: give one of them another name with .named(…), "
                "or add them up to one part"
            )
        refuse_cancelling(parts)
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
        if not self.parts:
            raise ValueError(
                "an empty rulebook can't score: give it at least one rule, such as Rulebook(Correct()); "
                "to pay in silence, use .silent()"
            )
        parts = {part.name: part.score(responses) for part in self.parts}
        total = np.sum(list(parts.values()), axis=0)
        notes = [response.note for response in responses]
        for i in np.flatnonzero(np.isnan(total)):
            failed = [name for name, scores in parts.items() if np.isnan(scores[i])]
            notes[i] = notes[i] or f"not applicable: {', '.join(failed)}"
        return Scores(total=total, parts=parts, notes=notes)

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
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"this rulebook has {', '.join(known) or 'none'}"
                raise KeyError(f"no part is called {name!r}; {hint}")
        return Rulebook(*(part for part in self.parts if part.name in names), told=self.told)

    def silent(self) -> Rulebook:
        """Pays the same and says nothing (plain RLVR)."""
        return Rulebook(*self.parts, told=False)

    def save(self, path: str | Path) -> None:
        """Write it as TOML, to be read by `Rulebook.load` and by people."""
        Path(path).write_text(self.as_toml(), encoding="utf-8")

    @classmethod
    def load(cls, source: str | Path, trust_code: bool = False) -> Rulebook:
        """A rulebook from a TOML file, or from Python as `package.module:name`.

        Naming a module runs its code. A TOML file that refers to functions in modules does so as well, and is
        refused unless `trust_code` is set.
        """
        from merf.rules.python import imported_rulebook
        from merf.rules.toml import from_toml

        if not isinstance(source, Path) and not source.endswith(".toml") and ":" in source:
            return imported_rulebook(source)
        path = Path(source)
        if path.suffix == ".py":
            raise ValueError(
                f"{path} is a Python file: name the rulebook in it by its import path, package.module:name, "
                "which runs that module"
            )
        return from_toml(path.read_text(encoding="utf-8"), str(path), trust_code)

    def as_toml(self) -> str:
        """The rulebook as a TOML document."""
        from merf.rules.toml import to_toml

        return to_toml(self)

    @classmethod
    def from_toml(cls, text: str, trust_code: bool = False) -> Rulebook:
        from merf.rules.toml import from_toml

        return from_toml(text, "the rulebook", trust_code)

    def as_python(self) -> str:
        """The rulebook as a Python expression."""
        from merf.rules.python import to_python

        return to_python(self)

    @classmethod
    def from_python(cls, text: str, trust_code: bool = False) -> Rulebook:
        """Read what `as_python` writes. Nothing but rules, operations and constants is evaluated."""
        from merf.rules.python import from_python

        return from_python(text, trust_code)
