"""The competence card of a base model: what it can do, and what it does when told.

No experiment should run in a world where the rewarded behaviour doesn't pay. So before any training a
card says how accurate the model is when it works and when it guesses, how often it works untold (p0),
and how far each described rule is obeyed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from merf.core.problem import Problem
from merf.core.response import Response, Responses
from merf.core.sampling import Sampling
from merf.core.seeds import derive
from merf.framing.motivation import Motivated, Telling, Variant
from merf.lab.worlds import knights
from merf.policy.policy import Policy
from merf.rules.correctness import Correct
from merf.rules.format import Format
from merf.rules.length import Concise
from merf.rules.rule import LevelRule
from merf.rules.rulebook import Rulebook
from merf.rules.steps import Steps

WORLD = knights.Knights()
SIZES = (2, 3, 4)
WORTH_IT = 0.25
RARE = 5
"""How many times as many responses are drawn where nothing is told: what is counted there is rare."""


@dataclass(frozen=True)
class Card:
    """Accuracies and shares, measured on held-out puzzles at temperature 1, `samples` responses a cell, and `RARE`
    times as many for what the model does untold.

    accuracy  by style ("work", "guess", both forced by the first words) and number of people
    told      by what the prompt says, on puzzles with two people: accuracy, share that works, share in the layout
    obedience by rule, on the same puzzles: share of responses that reach the rule's best level, told and untold
    """

    accuracy: dict[str, dict[str, float]] = field(default_factory=dict)
    told: dict[str, dict[str, float]] = field(default_factory=dict)
    obedience: dict[str, dict[str, float]] = field(default_factory=dict)
    samples: int = 0

    @property
    def pays(self) -> dict[str, float]:
        """By how much working beats guessing, by number of people. Below `WORTH_IT` no experiment means anything."""
        return {n: round(right - self.accuracy["guess"][n], 4) for n, right in self.accuracy["work"].items()}

    @property
    def untold_work(self) -> float:
        """p0: how often the model works without being told anything."""
        return self.told["none"]["works"]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({**asdict(self), "pays": self.pays, "untold_work": self.untold_work}, indent=1))

    @classmethod
    def load(cls, path: Path) -> Card:
        stored = json.loads(path.read_text())
        return cls(stored["accuracy"], stored["told"], stored["obedience"], stored["samples"])


def paper_rules() -> Rulebook:
    return Rulebook(Correct(2.0, -1.5, -2.0), Format(1.0, -1.0))


PROBES: dict[str, LevelRule] = {
    "correctness +2 / -1.5 / -2": Correct(2.0, -1.5, -2.0),
    "format +1 / -1": Format(1.0, -1.0),
    "length: at most 30 words": Concise(30, 0.5, -0.5),
    "steps: at least 3": Steps(3, 0.5, -0.5),
}


def measure(policy: Policy, samples: int = 400, report: Callable[[str], None] = lambda part: None) -> Card:
    """Measure a card with `samples` responses per cell (one standard error is at most 0.025 for 400)."""
    card = Card(samples=samples)
    for style in ("work", "guess"):
        card.accuracy[style] = {}
        for people in SIZES:
            report(f"{style}, {people} people")
            found = responses(policy, puzzles(people, people, samples), "none", Rulebook(), style)
            card.accuracy[style][str(people)] = share(r.verdict.correct is True for r in found)
    variants: tuple[Variant, ...] = ("none", "truth", "suboptimal", "adverse", "shuffled", "neutral")
    for variant in variants:
        report(f"told {variant}")
        many = samples * (1 if variant != "none" else RARE)
        found = responses(policy, puzzles(2, 2, many), variant, paper_rules())
        card.told[variant] = {
            "accuracy": share(r.verdict.correct is True for r in found),
            "works": share(WORLD.works(r.text) for r in found),
            "formatted": share(r.parsed.well_formed for r in found),
        }
    for name, rule in PROBES.items():
        for sign, title in ((1, name), (-1, f"{name}, inverted")):
            report(title)
            book = Rulebook(rule if sign > 0 else -rule)
            cell = {}
            for mode, variant in (("told", "truth"), ("untold", "none")):
                found = responses(policy, puzzles(2, 2, samples), variant, book)
                best = book.range[1]
                cell[mode] = share(book.score(Responses.of(found)).total == best)
            card.obedience[title] = cell
    return card


def share(hits: Any) -> float:
    return round(float(np.mean(list(hits))), 4)


def puzzles(fewest: int, most: int, n: int) -> list[Problem]:
    return list(islice(knights.task((fewest, most)).problems("card"), n))


def responses(
    policy: Policy, problems: Sequence[Problem], variant: Variant, book: Rulebook, style: str = ""
) -> list[Response]:
    """One response per problem, with the rulebook told in the given way; `style` forces the first words."""
    task = knights.task()
    framing = Motivated(task.instruction, Telling(variant))
    encoded = []
    for problem in problems:
        told = framing.frame(problem, book, told=variant != "none").acting
        encoded.append(policy.encode(told, WORLD.opening(problem, style) if style else ""))
    seeds = [derive("card", variant, style, i) for i in range(len(problems))]
    drawn = policy.sample([e.ids for e in encoded], Sampling(max_tokens=400), seeds)
    return [
        Response(
            problem=problem,
            text=e.opening + policy.chat.decode(s.tokens, policy.stops),
            tokens=len(s.tokens),
            finished=s.finished,
            layout=task.layout,
            verify=task.verify,
        )
        for problem, e, s in zip(problems, encoded, drawn, strict=True)
    ]
