"""A task that even random text solves half of the time, and short trainings on it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import pytest

from merf import Correct, Plain, Problem, Response, Responses, Rulebook, Verdict
from merf.core.layout import Layout
from merf.core.recipe import AdamW
from merf.train import records
from merf.train.build import build_recipe, evaluation_plan
from merf.train.loop import train
from merf.train.options import EvaluationOptions, MotivationOptions, TrainOptions
from merf.train.run import Run


@dataclass(frozen=True)
class Evens:
    """An even number of characters is right."""

    layout: Layout = Plain()
    name: str = "evens"

    @property
    def instruction(self):
        return self.layout.instruction()

    def problems(self, split="train", seed=0):
        for i in itertools.count():
            yield Problem(f"Write something, number {i}.", answer="Ann", id=f"{split}/{i}")

    def verify(self, problem, answer):
        return Verdict(correct=len(answer) % 2 == 0)

    def describe(self):
        return "anything of even length"


BOOK = Rulebook(Correct(2, -1.5, -2))
OPTIONS = TrainOptions(
    steps=2,
    problems=2,
    group_size=4,
    max_tokens=8,
    truncated="as-is",
    optimizer=AdamW(lr=1e-2),
    motivation=MotivationOptions(variant="none"),
    evaluation=EvaluationOptions(every=100, problems=1, samples=1, quick_problems=1, quick_samples=1),
)


@pytest.fixture
def recipe_of():
    """(methods, task) -> the recipe of a short run with them."""

    def build(*methods: str, task=None, **changes):
        options = TrainOptions(**{**vars(OPTIONS), "methods": methods, **changes})
        return build_recipe(options, task or Evens(), BOOK)

    return build


@pytest.fixture
def trained(policy, tmp_path, recipe_of):
    """(methods) -> the metrics of two steps with them; whatever is logged must be finite."""

    def run(*methods: str, **changes):
        recipe = recipe_of(*methods, **changes)
        train(recipe, policy, Run(tmp_path, evaluation_plan(OPTIONS, recipe)))
        steps = list(records.read(tmp_path / "metrics.jsonl"))
        assert len(steps) == 2
        assert all(math.isfinite(step["loss"]) and math.isfinite(step["grad_norm"]) for step in steps)
        return steps

    return run


def answers(*texts: str, group=None, task=None, **given) -> Responses:
    """Finished responses to one problem each, verified by `task`."""
    task = task or Evens()
    problem = next(task.problems())
    items = [Response(problem, text, layout=task.layout, verify=task.verify, **given) for text in texts]
    return Responses.of(items, group)
