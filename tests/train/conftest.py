from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from merf import Correct, Format, Rulebook
from merf.core.recipe import AdamW
from merf.rules.rule import LevelRule
from merf.rules.wording import Level
from merf.train.options import EvaluationOptions, MotivationOptions, ObjectiveOptions, TrainOptions


@pytest.fixture
def options():
    """A run of a few fast steps."""
    return TrainOptions(
        people=(2, 2),
        steps=6,
        problems=2,
        group_size=4,
        max_tokens=16,
        optimizer=AdamW(lr=1e-2, warmup=2),
        motivation=MotivationOptions(exposure="half"),
        objective=ObjectiveOptions(kl=0.01),
        evaluation=EvaluationOptions(every=3, problems=3, samples=2, quick_problems=2, quick_samples=1),
    )


@dataclass(frozen=True)
class Even(LevelRule):
    """Pays for an even number of characters, so that even random text is paid differently."""

    name: ClassVar[str] = "even"
    label: ClassVar[str] = "Evenness"

    def levels(self, wording=0):
        return (
            Level(1.0, "the number of characters is even", "even", "an even number of characters"),
            Level(0.0, "it is odd", "odd", "an odd one"),
        )

    def classify(self, response):
        return len(response.text) % 2


BOOK = Rulebook(Correct(), Format(), Even())


@pytest.fixture
def book():
    """The paper's rules and one that tells random responses apart."""
    return BOOK
