"""reasoning-gym's hundred generators as tasks, `rg:NAME` (arXiv 2505.24760; version 0.1.25 was read).

What is done differently from using the package directly, and why:

Seeds. The package makes item i of seed s with `Random(s + i)`, so that seeds 0 and 1 share all items
but one. Here every item's seed is hashed from task, split, seed and index, and the question's text
decides the split (see `procedural`).

Repeatability. Some generators draw from the global random state, and six depend on the order of a
set, which changes from one Python process to the next. They run in a worker with its own random state
and a fixed hash seed.

Trust. Nine scorers hand the answer to `eval` or to SymPy's parser (which calls it). Two of them are
replaced; answers reach the others only if they can't be more than an expression, and all scorers with
code of their own run in a worker that is killed after five seconds.

Marks. An answer is right only at full marks. Part marks count from what the same scorer pays for
nonsense on the same problem, and never for text that contains the right answer among other things: the
package pays `len(right)/len(given)` there. Three scorers are replaced because a fixed answer beats them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

from merf.core.layout import Layout, ThinkAnswer
from merf.core.problem import Problem
from merf.core.response import Verdict
from merf.tasks import nearest
from merf.tasks.countdown import judge
from merf.tasks.deadline import Failure, KillablePool
from merf.tasks.facts import Dial, Facts
from merf.tasks.gym_table import table
from merf.tasks.procedural import Procedural, spread

Entry = Mapping[str, Any]
"""An item of the package: question, answer, metadata."""

SCORING_SECONDS = 5.0
DRAWING_SECONDS = 120.0
"""Sudoku-like puzzles of large sizes take seconds to make."""

LONGEST_ANSWER = 20_000
"""Characters. The longest stored answer (`rg:tower_of_hanoi` at its hardest) has some 14,000."""

NONSENSE = ("zzz", "")

FRESH = frozenset({"acre", "gsm_symbolic", "list_functions"})
"""Datasets that draw their items when they are built; the others can be built once and re-seeded."""


# Replaced scorers.


def _halting(entry: Entry, answer: str) -> Verdict:
    """The package compares `bool(answer)` with `bool(stored)`, and both are texts: always true."""
    return Verdict(correct=answer.strip().casefold() == str(entry["answer"]).casefold())


def _probability(entry: Entry, answer: str) -> Verdict:
    """The package pays full marks for a prefix: `0` for any probability below 1."""
    # No long numbers and no large exponents: the fraction 1e9999999 takes seconds to write out.
    plain = re.fullmatch(r"[-+]?\d{0,20}\.?\d{0,20}(?:/\d{1,20}|[eE][-+]?\d)?", answer.replace(",", "").strip())
    try:
        given = Fraction(plain[0] if plain else "")
    except (ValueError, ZeroDivisionError):
        return Verdict(correct=False, readable=False, note="not a number")
    return Verdict(correct=abs(given - Fraction(entry["answer"])) <= Fraction(1, 10_000))


def _twenty_four(entry: Entry, answer: str) -> Verdict:
    """The package checks how many numbers are used, not which: one solution fits every problem."""
    return judge(answer, list(entry["metadata"]["numbers"]), 24, every=True)


def _countdown(entry: Entry, answer: str) -> Verdict:
    """The package's rule, without SymPy's parser."""
    return judge(answer, list(entry["metadata"]["numbers"]), int(entry["metadata"]["target"]), every=True)


REPLACED: dict[str, tuple[str, Callable[[Entry, str], Verdict]]] = {
    "game_of_life_halting": ("exact text", _halting),
    "coin_flip": ("the number, to 1/10,000", _probability),
    "puzzle24": ("exact arithmetic: each number once, value 24", _twenty_four),
    "countdown": ("exact arithmetic: each number once, value equals the target", _countdown),
}

# Scorers that evaluate the answer as Python.

PLAIN_LITERAL = re.compile(r"(?!.*(?:__|lambda))[^(]*", re.DOTALL)
"""Nothing can be called without a bracket."""

WORD = re.compile(r"[^\W\d]\w*")
FUNCTIONS = frozenset(
    (
        *("sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "sinh", "cosh", "tanh"),
        *("asinh", "acosh", "atanh", "exp", "log", "ln", "sqrt", "Abs", "abs", "pi"),
    )
)


def _is_formula(answer: str) -> bool:
    """Whether a text has only numbers, operators, one-letter names and well-known functions: no attribute, no
    string, no other name that SymPy's parser would look up."""
    if not re.fullmatch(r"[\w\s+\-*/^(),.]*", answer):
        return False
    return all(len(word) == 1 or word in FUNCTIONS for word in WORD.findall(answer))


EVALUATED: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(("binary_matrix", "n_queens", "spiral_matrix", "string_insertion"), PLAIN_LITERAL.fullmatch),
    **dict.fromkeys(("polynomial_multiplication", "simple_integration", "intermediate_integration"), _is_formula),
}
"""What an answer must satisfy before a scorer that evaluates it gets to see it."""


class Gym(Procedural):
    """A dataset of reasoning-gym.

    level    difficulty from the dataset's curriculum: one level for all its knobs, or a range (low, high)
             that problems run through in turn; None leaves the package's default configuration
    knobs    fields of the dataset's configuration, which take precedence over the level
    """

    def __init__(
        self,
        dataset: str,
        *,
        level: int | Sequence[int] | None = None,
        layout: Layout | None = None,
        **knobs: Any,
    ) -> None:
        if dataset not in table():
            raise KeyError(f"reasoning-gym has no dataset {dataset!r}{nearest(dataset, table())}")
        self.dataset, self.knobs = dataset, knobs
        self.name = f"rg:{dataset}"
        self.layout: Layout = layout or ThinkAnswer()
        low, high = (level, level) if level is None or isinstance(level, int) else level
        self.levels = None if low is None or high is None else (low, high)
        for end in {low, high}:
            configuration(dataset, end, knobs)

    @property
    def instruction(self) -> str:
        return self.layout.instruction()

    @property
    def facts(self) -> Facts:
        exact = table()[self.dataset]["scorer"] == "exact"
        if self.dataset in REPLACED:
            verifier = f"{REPLACED[self.dataset][0]} (replaces the package's scorer)"
        else:
            verifier = "exact text" if exact else "the package's scorer, at full marks"
        marks = "none" if exact or self.dataset in REPLACED else "the scorer's, above what nonsense gets"
        return Facts(verifier=verifier, partial=marks, dials=dials(self.dataset))

    def draw(self, seed: int, index: int) -> Problem:
        level = None if self.levels is None else spread(*self.levels, index)
        # Thirty-one bits, which every generator behind the package accepts.
        entry = drawing().call((self.dataset, level, self.knobs, seed >> 33))
        if isinstance(entry, Failure):
            raise ValueError(f"{self.name}: reasoning-gym made no problem ({entry.kind}: {entry.note})")
        metadata = entry["metadata"]
        return Problem(
            prompt=entry["question"],
            answer=entry,
            meta={
                "difficulty": 0 if level is None else level,
                "knobs": metadata.get("difficulty", {}),
                "solution": entry["answer"],
            },
        )

    def verify(self, problem: Problem, answer: str) -> Verdict:
        entry: Entry = problem.answer
        if len(answer) > LONGEST_ANSWER:
            return Verdict(correct=False, readable=False, note=f"longer than {LONGEST_ANSWER} characters")
        if self.dataset in REPLACED:
            return REPLACED[self.dataset][1](entry, answer)
        if table()[self.dataset]["scorer"] == "exact":
            return Verdict(correct=answer.strip() == str(entry["answer"]).strip())
        if self.dataset in EVALUATED and not EVALUATED[self.dataset](answer):
            return Verdict(correct=False, readable=False, note="not a plain expression")
        level = None if self.levels is None else int(problem.meta["difficulty"])
        return self._marked(entry, level, answer)

    def _marked(self, entry: Entry, level: int | None, answer: str) -> Verdict:
        order = (self.dataset, level, self.knobs, entry)
        marks = scoring().call((*order, answer))
        if isinstance(marks, Failure):
            # Was it the answer or the scorer? A scorer that can't even read the stored answer has failed.
            stored = scoring().call((*order, _stored(entry)))
            blame = None if isinstance(stored, Failure) else False
            return Verdict(correct=blame, readable=False, note=f"the scorer gave up ({marks.kind}: {marks.note})")
        score, nonsense = marks
        if score >= 1 - 1e-9:
            return Verdict(correct=True, score=1.0)
        if contains(answer, entry["answer"]):
            return Verdict(correct=False, score=0.0, note="more than the answer alone")
        return Verdict(correct=False, score=max(0.0, (score - nonsense) / (1 - nonsense)) if nonsense < 1 else 0.0)

    def describe(self) -> str:
        return f"reasoning-gym's {self.dataset.replace('_', ' ')}."


def _stored(entry: Entry) -> str:
    """The stored answer, or nonsense where there is none."""
    return entry["answer"] if isinstance(entry["answer"], str) else NONSENSE[0]


def contains(answer: str, stored: object) -> bool:
    """Whether the stored answer stands in the text as a word or words of its own, with something around it."""
    if not isinstance(stored, str) or not stored.strip() or answer.strip() == stored.strip():
        return False
    return re.search(rf"(?<!\w){re.escape(stored.strip())}(?!\w)", answer) is not None


# The package's configurations.


def configuration(dataset: str, level: int | None, knobs: Mapping[str, Any]) -> Any:
    """The dataset's configuration at a curriculum level, with `knobs` on top. ValueError where it is not valid."""
    from reasoning_gym.factory import CURRICULA, DATASETS

    make = DATASETS[dataset][1]
    known = knob_names(dataset)
    for knob in knobs:
        if knob not in known:
            raise ValueError(f"rg:{dataset} has no knob {knob!r}{nearest(knob, known)}")
    values: dict[str, Any] = {}
    if level is not None:
        if dataset not in CURRICULA:
            raise ValueError(f"rg:{dataset} has no curriculum; set its knobs instead: {', '.join(known)}")
        curriculum = CURRICULA[dataset]()
        highest = max(len(a.levels) for a in curriculum.attributes.values()) - 1
        if not 0 <= level <= highest:
            raise ValueError(f"rg:{dataset} has levels 0 to {highest}, not {level}")
        for attribute in curriculum.attributes.values():
            curriculum.set_attr_level(attribute.name, min(level, len(attribute.levels) - 1))
        values = {f.name: v for f, v in _fields(curriculum.generate_configuration())}
    try:
        config = make(**{**values, **knobs, "seed": 0, "size": 1})
        if hasattr(config, "validate"):
            config.validate()
    except (AssertionError, TypeError, ValueError) as error:
        raise ValueError(f"rg:{dataset} can't be made with these knobs: {error}") from error
    return config


def _fields(config: Any) -> list[tuple[dataclasses.Field[Any], Any]]:
    return [(f, getattr(config, f.name)) for f in dataclasses.fields(config)]


def knob_names(dataset: str) -> list[str]:
    from reasoning_gym.factory import DATASETS

    return [f.name for f in dataclasses.fields(DATASETS[dataset][1]) if f.name not in ("seed", "size")]


def dials(dataset: str) -> tuple[Dial, ...]:
    """`level` where there is a curriculum, then every number, switch or word of the configuration, with the
    range that the curriculum takes it through."""
    from reasoning_gym.factory import CURRICULA, DATASETS

    found: list[Dial] = []
    ranges: dict[str, str] = {}
    if dataset in CURRICULA:
        attributes = CURRICULA[dataset]().attributes.values()
        found.append(Dial("level", f"0 to {max(len(a.levels) for a in attributes) - 1}", "the package's default"))
        for attribute in attributes:
            bounds = [v for v in attribute.levels if isinstance(v, int | float) and not isinstance(v, bool)]
            for end in ("field_name", "lower_field_name", "upper_field_name"):
                ranges[getattr(attribute, end, "")] = f"{min(bounds):g} to {max(bounds):g}" if bounds else ""
    for knob, default in _fields(DATASETS[dataset][1]()):
        if knob.name not in ("seed", "size") and isinstance(default, int | float | str):
            found.append(Dial(knob.name, ranges.get(knob.name, ""), default))
    return tuple(found)


# What runs in the workers.


@cache
def drawing() -> KillablePool[tuple[str, int | None, dict[str, Any], int], dict[str, Any]]:
    return KillablePool(draw_entry, seconds=DRAWING_SECONDS, memory=4 << 30, prepare=_import_package)


@cache
def scoring() -> KillablePool[tuple[Any, ...], tuple[float, float]]:
    return KillablePool(score_entry, seconds=SCORING_SECONDS, prepare=_import_package)


def _import_package() -> None:
    import reasoning_gym  # noqa: F401


_built: dict[str, Any] = {}


def _dataset(name: str, level: int | None, knobs: Mapping[str, Any]) -> Any:
    """The dataset object, built once per configuration: some read large word lists when they are built."""
    from reasoning_gym.factory import DATASETS

    key = repr((name, level, sorted(knobs.items())))
    if key not in _built:
        _built[key] = DATASETS[name][0](configuration(name, level, knobs))
    return _built[key]


def draw_entry(order: tuple[str, int | None, dict[str, Any], int]) -> dict[str, Any]:
    import random

    import numpy as np
    from reasoning_gym.factory import DATASETS

    name, level, knobs, seed = order
    # Some generators draw from the global state.
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    if name in FRESH:
        config = dataclasses.replace(configuration(name, level, knobs), seed=seed)
        dataset = DATASETS[name][0](config)
    else:
        dataset = _dataset(name, level, knobs)
        dataset.seed = dataset.config.seed = seed
    entry: dict[str, Any] = dataset[0]
    return entry


def score_entry(order: tuple[str, int | None, dict[str, Any], dict[str, Any], str]) -> tuple[float, float]:
    """Marks for the answer, and the most that nonsense gets on the same problem."""
    name, level, knobs, entry, answer = order
    dataset = _dataset(name, level, knobs)
    nonsense = 0.0
    for text in NONSENSE:
        with contextlib.suppress(Exception):
            nonsense = max(nonsense, float(dataset.score_answer(text, dict(entry))))
    return float(dataset.score_answer(answer, dict(entry))), nonsense
