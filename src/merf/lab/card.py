"""The competence card of a base model: what it can do, and what it does when told.

No experiment should run in a world where the rewarded behaviour doesn't pay. So before any training a
card says how accurate the model is when it works and when it guesses, how often it works untold (p0),
and how far each described rule is obeyed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from merf.core.layout import Layout
from merf.core.problem import Messages, Problem
from merf.core.response import Response, Responses
from merf.core.sampling import Sampling
from merf.core.seeds import derive
from merf.evaluate.passk import pass_at_k, powers_of_two
from merf.framing.motivation import Motivated, Telling, Variant
from merf.lab.corpus import Dials
from merf.lab.kinds import KINDS
from merf.lab.worlds import get
from merf.lab.worlds.world import GUESS, World
from merf.policy.policy import Policy
from merf.rules.correctness import Correct
from merf.rules.format import Format
from merf.rules.length import Concise
from merf.rules.reading import tagged
from merf.rules.rule import LevelRule
from merf.rules.rulebook import Rulebook
from merf.rules.steps import Steps

WORTH_IT = 0.25
RARE = 5
"""How many times as many responses are drawn where nothing is told: what is counted there is rare."""

TRIES = 64
"""Responses to each problem from which pass@k is estimated."""

VARIANTS: tuple[Variant, ...] = ("none", "truth", "suboptimal", "adverse", "shuffled", "neutral")
ANSWERED = ("hint", "refine", "rubric")
"""The kinds of documents that want an answer to the problem itself."""


@dataclass(frozen=True)
class Card:
    """Accuracies and shares, measured on held-out problems at temperature 1, `samples` responses a cell, and `RARE`
    times as many for what the model does untold.

    accuracy  by style (each forced by its first words) and difficulty
    told      by what the prompt says, at the world's main difficulty: accuracy, share that works, share in the layout
    obedience by rule, on the same problems: share of responses that reach the rule's best level, told and untold
    kinds     by kind of prompt (`merf.lab.kinds`), on the same problems: accuracy, for "critique" of the verdicts
    pass_at   by k, on the same problems: the chance that one of k responses to the bare problem is right
    world, level, main    whose card it is: the world, its main difficulty, the style that counts as work
    """

    accuracy: dict[str, dict[str, float]] = field(default_factory=dict)
    told: dict[str, dict[str, float]] = field(default_factory=dict)
    obedience: dict[str, dict[str, float]] = field(default_factory=dict)
    samples: int = 0
    kinds: dict[str, float] = field(default_factory=dict)
    pass_at: dict[str, float] = field(default_factory=dict)
    world: str = "knights"
    level: str = "2"
    main: str = "work"

    @property
    def pays(self) -> dict[str, float]:
        """By how much working beats guessing, by difficulty. Below `WORTH_IT` no experiment means anything."""
        guess = self.accuracy[GUESS]
        return {level: round(right - guess[level], 4) for level, right in self.accuracy[self.main].items()}

    @property
    def untold_work(self) -> float:
        """p0: how often the model works without being told anything."""
        return self.told["none"]["works"]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({**asdict(self), "pays": self.pays, "untold_work": self.untold_work}, indent=1))

    @classmethod
    def load(cls, path: Path) -> Card:
        stored = json.loads(path.read_text())
        return cls(**{name: value for name, value in stored.items() if name in cls.__dataclass_fields__})


def paper_rules(layout: Layout) -> Rulebook:
    return Rulebook(Correct(2.0, -1.5, -2.0), Format(1.0, -1.0, layout))


def probes(layout: Layout) -> dict[str, LevelRule]:
    return {
        "correctness +2 / -1.5 / -2": Correct(2.0, -1.5, -2.0),
        "format +1 / -1": Format(1.0, -1.0, layout),
        "length: at most 30 words": Concise(30, 0.5, -0.5),
        "steps: at least 3": Steps(3, 0.5, -0.5),
    }


def measure(
    policy: Policy, world: World | None = None, samples: int = 400, report: Callable[[str], None] = lambda part: None
) -> Card:
    """Measure a card with `samples` responses per cell (one standard error is at most 0.025 for 400)."""
    world = world or get("knights")
    card = Card(samples=samples, world=world.name, level=str(world.level), main=world.main)
    task = world.task(world.level, world.level)
    for style in (*world.openings, GUESS):
        card.accuracy[style] = {}
        for level in world.levels:
            report(f"{style}, difficulty {level}")
            found = responses(policy, world, world.held_out(level, samples), "none", Rulebook(), style)
            card.accuracy[style][str(level)] = share(r.verdict.correct is True for r in found)
    for variant in VARIANTS:
        report(f"told {variant}")
        many = samples * (1 if variant != "none" else RARE)
        found = responses(policy, world, world.held_out(world.level, many), variant, paper_rules(task.layout))
        card.told[variant] = {
            "accuracy": share(r.verdict.correct is True for r in found),
            "works": share(world.works(r.text) for r in found),
            "formatted": share(r.parsed.well_formed for r in found),
        }
    for name, rule in probes(task.layout).items():
        for sign, title in ((1, name), (-1, f"{name}, inverted")):
            report(title)
            book = Rulebook(rule if sign > 0 else -rule)
            cell = {}
            for mode, variant in (("told", "truth"), ("untold", "none")):
                found = responses(policy, world, world.held_out(world.level, samples), variant, book)
                best = book.range[1]
                cell[mode] = share(book.score(Responses.of(found)).total == best)
            card.obedience[title] = cell
    for kind in ("critique", *ANSWERED):
        report(kind)
        card.kinds[kind] = kind_accuracy(policy, world, kind, samples)
    report("pass@k")
    card.pass_at.update(pass_curve(policy, world, max(samples // 8, 1)))
    return card


def share(hits: Any) -> float:
    return round(float(np.mean(list(hits))), 4)


def parts(world: World) -> int:
    """How many parts of a card `measure` reports, each before it is measured."""
    rules = 2 * len(probes(world.task(world.level, world.level).layout))
    return (len(world.openings) + 1) * len(world.levels) + len(VARIANTS) + rules + 1 + len(ANSWERED) + 1


def cells(world: World, samples: int) -> int:
    """How many responses a card takes."""
    styles = (len(world.openings) + 1) * len(world.levels)
    told = len(VARIANTS) - 1 + RARE
    rules = 4 * len(probes(world.task(world.level, world.level).layout))
    return samples * (styles + told + rules + 1 + len(ANSWERED)) + max(samples // 8, 1) * TRIES


def responses(
    policy: Policy, world: World, problems: Sequence[Problem], variant: Variant, book: Rulebook, style: str = ""
) -> list[Response]:
    """One response per problem, with the rulebook told in the given way; `style` forces the first words."""
    framing = Motivated(world.task(world.level, world.level).instruction, Telling(variant))
    told = [framing.frame(problem, book, told=variant != "none").acting for problem in problems]
    openings = [world.opening(problem, style) if style else "" for problem in problems]
    seeds = [derive("card", variant, style, i) for i in range(len(problems))]
    return sampled(policy, world, problems, told, openings, seeds)


def sampled(
    policy: Policy,
    world: World,
    problems: Sequence[Problem],
    prompts: Sequence[Messages],
    openings: Sequence[str],
    seeds: Sequence[int],
) -> list[Response]:
    task = world.task(world.level, world.level)
    encoded = [policy.encode(prompt, opening) for prompt, opening in zip(prompts, openings, strict=True)]
    drawn = policy.sample([e.ids for e in encoded], Sampling(max_tokens=world.tokens), seeds)
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


def kind_accuracy(policy: Policy, world: World, kind: str, samples: int) -> float:
    """How often the answer to a prompt of this kind is right, or for "critique" the verdict."""
    task, problems = world.task(world.level, world.level), world.held_out(world.level, samples)
    dials = Dials(world=world.name, asked_work=1.0, obedience=1.0)
    prompts, wanted = [], []
    for number, problem in enumerate(problems):
        writer = world.writer(problem, Random(derive("card", kind, number)))
        prompt, answers = KINDS[kind](world, writer, task, dials)
        prompts.append(prompt)
        wanted.append(tagged(answers(), "verdict"))
    seeds = [derive("card", kind, "sample", i) for i in range(samples)]
    found = sampled(policy, world, problems, prompts, [""] * samples, seeds)
    if kind in ANSWERED:
        return share(r.verdict.correct is True for r in found)
    return share(tagged(r.text, "verdict") == verdict for r, verdict in zip(found, wanted, strict=True))


def pass_curve(policy: Policy, world: World, problems: int) -> dict[str, float]:
    """pass@1, 2, 4 … of bare prompts at the world's main difficulty."""
    drawn = [problem for problem in world.held_out(world.level, problems) for _ in range(TRIES)]
    system = world.task(world.level, world.level).instruction
    framing = Motivated(system, Telling("none"))
    prompts = [framing.frame(problem, Rulebook(), told=False).acting for problem in drawn]
    seeds = [derive("card", "pass", i) for i in range(len(drawn))]
    found = sampled(policy, world, drawn, prompts, [""] * len(drawn), seeds)
    right = np.array([r.verdict.correct is True for r in found]).reshape(problems, TRIES).sum(1)
    return {str(k): round(pass_at_k(right, TRIES, k), 4) for k in powers_of_two(TRIES)}
